/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's vCPU on the processor of vmx_host.h, for the tests of what the backend does with it. */
#ifndef TESTS_UNIT_VMX_GUEST_H
#define TESTS_UNIT_VMX_GUEST_H

#include "tests/unit/vmx_host.h"
#include "arch/x86_64/vcpu/cr4.c"
#include "arch/x86_64/vmx/apic.c"
#include "arch/x86_64/vmx/check.c"
#include "arch/x86_64/vmx/cr.c"
#include "arch/x86_64/vmx/event.c"
#include "arch/x86_64/vmx/exits.c"
#include "arch/x86_64/vmx/failure.c"
#include "arch/x86_64/vmx/state.c"

#define PDPT 0x5000ull

struct vmx_config vmx_config;
static struct vm vm;
static struct vcpu vcpu;
static uint64_t guest_pdptes[PDPTE_COUNT];
static unsigned int refused_calls;

bool virt_apicv_off;

void vmx_print_controls(void)
{
}

hpa_t vmcs_msr_bitmap(bool direct)
{
	return direct ? 0x2000 : 0x1000;
}

/* What core/dev's local APIC says. */
static struct {
	bool changed;
	uint16_t status;
	unsigned int raised;
} host_lapic;

bool lapic_update_page(struct lapic *lapic, uint16_t *status)
{
	(void)lapic;
	*status = host_lapic.status;
	return host_lapic.changed;
}

bool lapic_raise(struct vcpu *to, uint8_t vector, bool level)
{
	assert_ptr_equal(to, &vcpu);
	assert_false(level);
	host_lapic.raised = vector;
	return true;
}

void *frame_alloc(void)
{
	return calloc(1, PAGE_SIZE);
}

void frame_free(void *frame)
{
	free(frame);
}

uint64_t image_load_base;

bool hypercall_fast(struct vcpu *caller, unsigned int cpl)
{
	if (cpl == 0) /* one that the fast path has left alone already */
		return false;
	assert_int_equal(cpl, 3);
	caller->arch.gpr[RAX] = (uint64_t)-EPERM;
	refused_calls++;
	return true;
}

int vm_read_guest(const struct vm *of, gpa_t gpa, void *buf, size_t size)
{
	assert_ptr_equal(of, &vm);
	if (gpa != PDPT)
		return -EFAULT;
	memcpy(buf, guest_pdptes, size);
	return 0;
}

/* A guest's CPU with everything but protection keys, VME and UMIP. */
static unsigned int host_machine_checks;

void machine_check_in_guest(struct vcpu *of)
{
	(void)of;
	host_machine_checks++;
}

struct cpuid_regs cpuid_guest_bits(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	if (leaf == 1)
		return (struct cpuid_regs){.ecx = BIT(17) | BIT(26), .edx = 0xffffffff & ~BIT(1)};
	return (struct cpuid_regs){.ebx = BIT(0) | BIT(7) | BIT(20)};
}

/* A 64-bit kernel with paging, in ring 0. */
static int setup(void **state)
{
	struct vcpu_state s = {
		.rip = 0x1000,
		.cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP,
		.cr3 = PDPT,
		.cr4 = CR4_PAE,
		.efer = EFER_LME | EFER_NXE,
		.seg[SEG_CS].attr = SEGMENT_ATTR_CODE64,
		.seg[SEG_SS].attr = SEGMENT_ATTR_DATA32,
		.seg[SEG_TR].attr = SEGMENT_ATTR_TSS64,
	};

	(void)state;
	memset(host_fields, 0, sizeof(host_fields));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(guest_pdptes, 0, sizeof(guest_pdptes));
	host_messages[0] = '\0';
	refused_calls = 0;
	vmx_config.cr4_fixed1 = UINT64_MAX;
	host_cr4 = CR4_PAE | CR4_MCE | CR4_VMXE;
	vcpu.vm = &vm;
	vmx_of(&vcpu)->vpid = 5;
	vmwrite(VMCS_EXIT_INSN_LEN, 3);
	vmcs_write_reset_state(&vcpu);
	vcpu.arch.gpr[RAX] = 0x77;
	cr_init(&vcpu);
	assert_int_equal(vcpu.arch.gpr[RAX], 0x77);
	vmx_set_state(&vcpu, &s);
	host_invvpids = 0;
	return 0;
}

#endif
