/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMX backend: the contract's table, and what it does on a whole CPU and a whole vCPU
 *
 * Documents: SDM vol. 3C, chapters "Introduction to Virtual Machine Extensions" (VMXON, feature
 * control), "Virtual-Machine Control Structures" (current, active, clear), "Virtual Machine Monitor
 * Programming Considerations".
 */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/mitigations.h"
#include "arch/x86_64/cpu/msr.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/vmx/insn.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/vm/vm.h"

/* Control registers have bits that VMX wants set (fixed0) or allows (fixed1): SDM vol. 3D, A.7. */
static int set_fixed_bits(void)
{
	uint64_t cr0 = read_cr0() | vmx_config.cr0_fixed0;
	uint64_t cr4 = read_cr4() | vmx_config.cr4_fixed0 | CR4_VMXE;

	if (cr0 & ~vmx_config.cr0_fixed1 || cr4 & ~vmx_config.cr4_fixed1) {
		printk("tidepool: CPU %u: VMX does not allow CR0 %llx with CR4 %llx\n",
		       this_cpu()->index, (unsigned long long)cr0, (unsigned long long)cr4);
		return -EINVAL;
	}
	write_cr0(cr0);
	write_cr4(cr4);
	return 0;
}

/* Firmware that leaves the register unlocked leaves the choice to us. */
static void lock_feature_control(void)
{
	uint64_t feature = rdmsr(MSR_FEATURE_CONTROL);

	if (!(feature & FEATURE_CONTROL_LOCK))
		wrmsr(MSR_FEATURE_CONTROL, feature | FEATURE_CONTROL_VMX | FEATURE_CONTROL_LOCK);
}

static int vmx_cpu_enable(struct pcpu *cpu)
{
	uint32_t *region = frame_alloc();

	if (!region)
		return trace_error(-ENOMEM);
	if (cpu->index == 0)
		vmcs_prepare();
	lock_feature_control();
	if (set_fixed_bits() < 0) {
		frame_free(region);
		return -EINVAL;
	}
	*region = vmx_config.revision;
	if (!vmxon(virt_to_phys(region))) {
		printk("tidepool: CPU %u: VMXON failed\n", cpu->index);
		write_cr4(read_cr4() & ~CR4_VMXE);
		frame_free(region);
		return -EIO;
	}
	cpu->virt_area = region;

	/* Firmware, or a hypervisor before us, may have left something. */
	invept(VMX_INVALIDATE_ALL, 0);
	if (vmx_has(WORD_SECONDARY, SECONDARY_VPID))
		invvpid(VMX_INVALIDATE_ALL, 0);
	return 0;
}

/*
 * Guest MSRs that stay in the CPU across exits, because the hypervisor uses none of them. (Exits
 * themselves switch EFER, FS and GS base, SYSENTER and DEBUGCTL; PAT: see ept.c.)
 */
static const struct {
	uint32_t msr;
	uint32_t offset;     /* of its value in struct arch_vcpu while not loaded */
	const bool *present; /* NULL: on every CPU */
} kept_msrs[] = {
	{MSR_STAR, offsetof(struct arch_vcpu, star), NULL},
	{MSR_LSTAR, offsetof(struct arch_vcpu, lstar), NULL},
	{MSR_CSTAR, offsetof(struct arch_vcpu, cstar), NULL},
	{MSR_SFMASK, offsetof(struct arch_vcpu, sfmask), NULL},
	{MSR_KERNEL_GS_BASE, offsetof(struct arch_vcpu, kernel_gs_base), NULL},
	{MSR_TSC_AUX, offsetof(struct arch_vcpu, tsc_aux), &vmx_config.has_tsc_aux},
};

static uint64_t *kept_value(struct vcpu *vcpu, unsigned int i)
{
	return (uint64_t *)((char *)&vcpu->arch + kept_msrs[i].offset);
}

static void load_msrs(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(kept_msrs); i++)
		if (!kept_msrs[i].present || *kept_msrs[i].present)
			wrmsr(kept_msrs[i].msr, *kept_value(vcpu, i));
}

static void unload_msrs(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(kept_msrs); i++) {
		uint64_t *value = kept_value(vcpu, i);

		if (kept_msrs[i].present && !*kept_msrs[i].present)
			continue;
		*value = rdmsr(kept_msrs[i].msr);
	}
}

/* DR7 and DEBUGCTL are switched by exits, and an exit leaves them off for the host. */
static void load_debug_registers(const struct vmx_vcpu *vmx)
{
	write_dr0(vmx->dr[0]);
	write_dr1(vmx->dr[1]);
	write_dr2(vmx->dr[2]);
	write_dr3(vmx->dr[3]);
	write_dr6(vmx->dr6);
}

static void unload_debug_registers(struct vmx_vcpu *vmx)
{
	vmx->dr[0] = read_dr0();
	vmx->dr[1] = read_dr1();
	vmx->dr[2] = read_dr2();
	vmx->dr[3] = read_dr3();
	vmx->dr6 = read_dr6();
}

static void vmx_vcpu_load(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t cpu = this_cpu()->index + 1;

	vmptrld(vcpu->arch.control_pa);
	if (vmx->cpu != cpu) {
		/*
		 * New on this CPU, or back after another one: what is cached here under its VPID
		 * and nested tables is from before, or an earlier guest's who had the same.
		 */
		vmx->cpu = cpu;
		vmcs_write_host_state();
		invept(VMX_INVALIDATE_SINGLE, vmx->eptp);
		if (vmx->vpid)
			invvpid(VMX_INVALIDATE_SINGLE, (uint16_t)vmx->vpid);
	}
	load_msrs(vcpu);
	mitigations_load(vcpu->vm->id, vcpu->arch.spec_ctrl);
	load_debug_registers(vmx);
	write_cr2(vcpu->arch.cr2);
	fpu_load(vcpu);
}

static void vmx_vcpu_unload(struct vcpu *vcpu)
{
	fpu_unload(vcpu);
	vcpu->arch.cr2 = read_cr2();
	unload_debug_registers(vmx_of(vcpu));
	mitigations_unload(vcpu->arch.spec_ctrl);
	unload_msrs(vcpu);
	vmclear(vcpu->arch.control_pa);
	vcpu->arch.launched = 0;
}

/* Whatever VPID it is cached under: SDM vol. 3C, "Operations that Invalidate Cached Mappings". */
static void vmx_flush_nested(struct vcpu *vcpu)
{
	invept(VMX_INVALIDATE_SINGLE, vmx_of(vcpu)->eptp);
}

/*
 * Has the guest's run end when this CPU's timer is due, whatever becomes of the timer's interrupt:
 * it normally ends the run by itself, but Bochs 2.7 keeps interrupts masked while a guest runs with
 * RFLAGS.IF clear, and such a guest could hold the CPU for ever. What the timer had left is saved
 * at exits, so that hypercalls, whose fast path does not come by here, do not wind it up again.
 * Source: SDM vol. 3C, "VMX-Preemption Timer".
 */
static void arm_preemption_timer(void)
{
	uint64_t deadline = this_cpu()->timer_deadline, now = rdtsc(), ticks;

	if (!vmx_has(WORD_PIN, PIN_PREEMPTION_TIMER))
		return;
	ticks = deadline > now ? (deadline - now) >> vmx_config.preemption_shift : 0;
	vmwrite(VMCS_PREEMPTION_TIMER, ticks < UINT32_MAX ? ticks : UINT32_MAX);
}

static void vmx_run(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	struct arch_vcpu *arch = &vcpu->arch;
	uint64_t calls_before = arch->fast_calls;
	uint32_t reason;
	bool failed;

	event_enter(vcpu);
	arm_preemption_timer();
	if (arch->gpr[RSP] != vmx->rsp)
		vmwrite(VMCS_GUEST_RSP, arch->gpr[RSP]);

	reason = vmx_switch->enter(vcpu);

	/* With both kinds of failure the bit is set. */
	failed = reason & EXIT_REASON_ENTRY_FAILURE;
	/* What failed may have been the entry after a hypercall. */
	if (!failed || arch->fast_calls != calls_before)
		arch->launched = 1;
	vmx->rsp = vmread(VMCS_GUEST_RSP);
	arch->gpr[RSP] = vmx->rsp;
	if (failed)
		failure_decode(vcpu, reason);
	else
		exit_decode(vcpu, reason);
}

_Static_assert(VMX_ENTER_FAILED &EXIT_REASON_ENTRY_FAILURE, "one test finds both failures");

static void vmx_set_tsc_offset(struct vcpu *vcpu)
{
	vmwrite(VMCS_TSC_OFFSET, vcpu->arch.tsc_offset);
}

const struct virt_ops vmx_ops = {
	.name = "VMX",
	.cpu_check = vmx_cpu_check,
	.cpu_enable = vmx_cpu_enable,
	.vm_init = ept_vm_init,
	.vm_free = ept_vm_free,
	.vm_map_block = ept_vm_map_block,
	.flush_nested = vmx_flush_nested,
	.vcpu_init = vmcs_vcpu_init,
	.vcpu_free = vmcs_vcpu_free,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_unload = vmx_vcpu_unload,
	.run = vmx_run,
	.get_state = vmx_get_state,
	.set_state = vmx_set_state,
	.get_paging = vmx_get_paging,
	.set_efer = vmx_set_efer,
	.get_efer = vmx_get_efer,
	.get_base = vmx_get_base,
	.set_base = vmx_set_base,
	.skip_insn = vmx_skip_insn,
	.end_step = vmx_end_step,
	.set_rflags = vmx_set_rflags,
	.inject_exception = vmx_inject_exception,
	.irq_ready = vmx_irq_ready,
	.inject_irq = vmx_inject_irq,
	.irq_window = vmx_irq_window,
	.inject_nmi = vmx_inject_nmi,
	.apic_direct = vmx_apic_direct,
	.apic_indirect = vmx_apic_indirect,
	.apic_update = vmx_apic_update,
	.set_tsc_offset = vmx_set_tsc_offset,
	.dump = vmx_dump,
};
