/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new control block, and the host's part of it
 *
 * A control block is current on a CPU only between vmx_vcpu_load() and vmx_vcpu_unload(), which
 * ends with VMCLEAR: then all of it is in memory, and it may be freed or loaded by another CPU.
 *
 * Documents: SDM vol. 3C, "Virtual-Machine Control Structures"; vol. 3C, "Loading Host State".
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/desc.h"
#include "arch/x86_64/cpu/mitigations.h"
#include "arch/x86_64/cpu/msr.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/vmx/insn.h"
#include "arch/x86_64/vmx/vmx.h"
#include "core/config.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/string.h"
#include "core/vm/vm.h"

/*
 * Exceptions that exit. #DB and #AC could otherwise be raised by their own delivery for ever,
 * without an instruction boundary at which anything else gets the CPU (CVE-2015-8104,
 * CVE-2015-5307). A machine check is the host's.
 */
#define EXCEPTIONS (BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC))

/*
 * PAUSE-loop exits, in TSC ticks: PAUSEs at most the gap apart are one loop, and a loop that lasts
 * longer than the window exits. The window is longer than a lock is normally held.
 */
#define PLE_GAP	   128
#define PLE_WINDOW 4096

/*
 * MSRs that guests read and write without an exit: those that entries and exits switch, and those
 * that vmx_vcpu_load() switches and the hypervisor never uses. All others exit to
 * arch/x86_64/vcpu/msr.c.
 */
static const uint32_t passed_msrs[] = {
	MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_STAR,	  MSR_LSTAR,
	MSR_CSTAR,	 MSR_SFMASK,	   MSR_FS_BASE,	     MSR_GS_BASE, MSR_KERNEL_GS_BASE,
};

/* MSR bitmap: reads of low and high MSRs, then writes of both; a clear bit means no exit. */
#define MSR_BITMAP_HIGH	 0x400
#define MSR_BITMAP_WRITE 0x800
#define MSR_HIGH_BASE	 0xc0000000u
#define MSR_RANGE_MASK	 0x1fffu

/* The local APIC's MSRs that apic.c leaves to the processor: first and last, read and write. */
#define PASS_READ  1u
#define PASS_WRITE 2u

static const struct {
	uint32_t first, last;
	unsigned int pass;
} direct_msrs[] = {
	{0x808, 0x808, PASS_READ | PASS_WRITE}, /* TPR */
	{0x80a, 0x80a, PASS_READ},		/* PPR */
	{0x80b, 0x80b, PASS_WRITE},		/* EOI */
	{0x810, 0x817, PASS_READ},		/* ISR */
	{0x820, 0x827, PASS_READ},		/* IRR */
	{0x83f, 0x83f, PASS_WRITE},		/* interrupt to oneself */
};

static uint8_t msr_bitmap[PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t msr_bitmap_direct[PAGE_SIZE] __attribute__((aligned(4096)));

const struct vmx_switch *vmx_switch;

void vmcs_prepare(void)
{
	vmx_switch = &vmx_switches[mitigations_switch()];
	memset(msr_bitmap, 0xff, sizeof(msr_bitmap));
	for (unsigned int i = 0; i < ARRAY_SIZE(passed_msrs); i++) {
		uint32_t msr = passed_msrs[i] & MSR_RANGE_MASK;
		uint32_t byte = msr / 8 + (passed_msrs[i] >= MSR_HIGH_BASE ? MSR_BITMAP_HIGH : 0);
		uint8_t keep = (uint8_t) ~(1u << msr % 8);

		msr_bitmap[byte] &= keep;
		msr_bitmap[byte + MSR_BITMAP_WRITE] &= keep;
	}
	memcpy(msr_bitmap_direct, msr_bitmap, sizeof(msr_bitmap_direct));
	for (unsigned int i = 0; i < ARRAY_SIZE(direct_msrs); i++) {
		for (uint32_t msr = direct_msrs[i].first; msr <= direct_msrs[i].last; msr++) {
			uint8_t keep = (uint8_t) ~(1u << msr % 8);

			if (direct_msrs[i].pass & PASS_READ)
				msr_bitmap_direct[msr / 8] &= keep;
			if (direct_msrs[i].pass & PASS_WRITE)
				msr_bitmap_direct[msr / 8 + MSR_BITMAP_WRITE] &= keep;
		}
	}
}

hpa_t vmcs_msr_bitmap(bool direct)
{
	return virt_to_phys(direct ? msr_bitmap_direct : msr_bitmap);
}

static void write_controls(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->primary = vmx_config.word[WORD_PRIMARY];
	vmwrite(VMCS_PIN_CONTROLS, vmx_config.word[WORD_PIN]);
	vmwrite(VMCS_PRIMARY_CONTROLS, vmx->primary);
	vmwrite(VMCS_SECONDARY_CONTROLS, vmx_config.word[WORD_SECONDARY]);
	vmwrite(VMCS_EXIT_CONTROLS, vmx_config.word[WORD_EXIT]);
	vmwrite(VMCS_ENTRY_CONTROLS, vmx_config.word[WORD_ENTRY]);

	vmwrite(VMCS_EXCEPTION_BITMAP, EXCEPTIONS);
	vmwrite(VMCS_PF_ERROR_MASK, 0);
	vmwrite(VMCS_PF_ERROR_MATCH, 0);
	vmwrite(VMCS_CR3_TARGET_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_MSR_BITMAP, vmcs_msr_bitmap(false));
	vmwrite(VMCS_TSC_OFFSET, vcpu->arch.tsc_offset);

	vmx->eptp = ept_pointer(vcpu->vm);
	vmwrite(VMCS_EPTP, vmx->eptp);
	if (vmx_has(WORD_SECONDARY, SECONDARY_VPID)) {
		/* Unique while the VM exists. Guests that had it before: see vmx_vcpu_load(). */
		vmx->vpid = 1 + vcpu->vm->id * CONFIG_MAX_VCPUS + vcpu->id;
		vmwrite(VMCS_VPID, vmx->vpid);
	}
	if (vmx_has(WORD_SECONDARY, SECONDARY_PAUSE_LOOP)) {
		vmwrite(VMCS_PLE_GAP, PLE_GAP);
		vmwrite(VMCS_PLE_WINDOW, PLE_WINDOW);
	}
}

_Static_assert(UINT16_MAX > CONFIG_MAX_GUESTS * CONFIG_MAX_VCPUS, "VPIDs have 16 bits");

/* What is the same on every CPU. FS, GS and SYSENTER are not used by the hypervisor. */
static void write_common_host_state(void)
{
	vmwrite(VMCS_HOST_ES, SELECTOR_DATA);
	vmwrite(VMCS_HOST_CS, SELECTOR_CODE);
	vmwrite(VMCS_HOST_SS, SELECTOR_DATA);
	vmwrite(VMCS_HOST_DS, SELECTOR_DATA);
	vmwrite(VMCS_HOST_FS, 0);
	vmwrite(VMCS_HOST_GS, 0);
	vmwrite(VMCS_HOST_TR, SELECTOR_TSS);
	vmwrite(VMCS_HOST_FS_BASE, 0);
	vmwrite(VMCS_HOST_GS_BASE, 0);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_switch->exit);
}

/* An exit sets the limits of GDTR and IDTR to 0xffff and clears LDTR: nothing here minds. */
void vmcs_write_host_state(void)
{
	struct desc_pointer gdtr, idtr;

	sgdt(&gdtr);
	sidt(&idtr);
	vmwrite(VMCS_HOST_CR0, read_cr0());
	vmwrite(VMCS_HOST_CR3, read_cr3());
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmwrite(VMCS_HOST_GDTR_BASE, gdtr.base);
	vmwrite(VMCS_HOST_IDTR_BASE, idtr.base);
	vmwrite(VMCS_HOST_TR_BASE, (uint64_t)&this_cpu()->tables.tss);
}

int vmcs_vcpu_init(struct vcpu *vcpu)
{
	struct arch_vcpu *arch = &vcpu->arch;
	hpa_t before = vmptrst();
	struct vcpu_state state;
	uint32_t *revision;

	arch->control = frame_alloc();
	if (!arch->control || apic_vcpu_init(vcpu) < 0)
		return -ENOMEM;
	arch->control_pa = virt_to_phys(arch->control);
	revision = arch->control;
	*revision = vmx_config.revision;

	vmclear(arch->control_pa);
	vmptrld(arch->control_pa);
	write_controls(vcpu);
	write_common_host_state();
	vmcs_write_reset_state(vcpu);
	cr_init(vcpu);
	vcpu_state_reset(&state);
	vmx_set_state(vcpu, &state);
	vmclear(arch->control_pa);
	if (before != VMCS_NONE)
		vmptrld(before);
	return 0;
}

void vmcs_vcpu_free(struct vcpu *vcpu)
{
	if (vcpu->arch.control)
		frame_free(vcpu->arch.control);
	vcpu->arch.control = NULL;
	apic_vcpu_free(vcpu);
}
