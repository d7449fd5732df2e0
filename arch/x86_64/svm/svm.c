/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: what a CPU must have, switching it on, address space identifiers, running a vCPU
 *
 * Documents: APM vol. 2, 15.4 "Enabling SVM", 15.5 "VMRUN Instruction", 15.16 "TLB Control",
 * 15.30 "SVM Related MSRs"; vol. 3, appendix E "Obtaining Processor Information Via the CPUID
 * Instruction", function 8000_000Ah.
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/vcpu/policy.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/vm/vm.h"

#define CPUID_EXT_MAX		0x80000000u
#define CPUID_EXT_FEATURES	0x80000001u
#define CPUID_SVM		0x8000000au
#define EXT_FEATURES_ECX_SVM	BIT(2)
#define EXT_FEATURES_EDX_RDTSCP BIT(27)

#define ASID_FIRST 1u /* 0 is the host */

/* What is used of SVM; a later CPU must have what the first one has. */
static const struct {
	uint64_t bit;
	const char *name;
	bool required;
} features[] = {
	{SVM_FEATURE_NPT, "nested paging (NPT)", true},
	{SVM_FEATURE_NEXT_RIP, "next-RIP save", false},
	{SVM_FEATURE_DECODE_ASSISTS, "decode assists", false},
	{SVM_FEATURE_PAUSE_FILTER, "PAUSE filter", false},
	{SVM_FEATURE_PAUSE_THRESHOLD, "PAUSE filter threshold", false},
};

static bool boot_cpu_enabled;
static uint64_t boot_cpu_features;
static bool has_tsc_aux, has_xcr0;
static void (*enter)(struct vcpu *vcpu, hpa_t host_area); /* of svm_switches[] */

/*
 * Each CPU deals out its ASIDs in turn. A vCPU keeps its own while it stays on the CPU and the
 * CPU is in the same generation; when none is left, the whole TLB is flushed and a new generation
 * starts. So a vCPU never meets translations of another, or its own old ones, however few ASIDs
 * there are, and no CPU needs to flush by ASID. Used by its own CPU only.
 */
static struct asid_pool {
	uint64_t generation; /* from 1: a new vCPU has 0 */
	uint32_t next;
	uint32_t count; /* ASIDs that the CPU has, the host's included */
} asid_pools[PCPU_MAX];

bool svm_has(uint64_t feature)
{
	return boot_cpu_features & feature;
}

static bool has_rdtscp(void)
{
	return cpuid_edx(CPUID_EXT_FEATURES, 0) & EXT_FEATURES_EDX_RDTSCP;
}

static int refuse(const char *what)
{
	printk("tidepool: CPU %u: %s\n", this_cpu()->index, what);
	return -ENODEV;
}

static int svm_cpu_check(void)
{
	uint32_t max = cpuid_eax(CPUID_EXT_MAX, 0);
	struct cpuid_regs svm;
	uint64_t vm_cr;

	if (max < CPUID_EXT_FEATURES ||
	    !(cpuid_ecx(CPUID_EXT_FEATURES, 0) & EXT_FEATURES_ECX_SVM) || max < CPUID_SVM)
		return refuse("has no AMD-V (SVM)");
	/* A CPU, or an emulator, without the register has nothing that could be locked. */
	if (rdmsr_safe(MSR_VM_CR, &vm_cr) < 0)
		vm_cr = 0;
	if (vm_cr & VM_CR_SVMDIS && vm_cr & VM_CR_LOCK)
		return refuse("AMD-V (SVM) is switched off and locked by the firmware; enable it "
			      "in the firmware's set-up");

	svm = cpuid(CPUID_SVM, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(features); i++) {
		if (svm.edx & features[i].bit)
			continue;
		if (features[i].required) {
			printk("tidepool: CPU %u: AMD-V (SVM) lacks %s, which Tidepool needs\n",
			       this_cpu()->index, features[i].name);
			return -ENODEV;
		}
		if (boot_cpu_enabled && svm_has(features[i].bit)) {
			printk("tidepool: CPU %u: AMD-V (SVM) lacks %s, which CPU 0 has\n",
			       this_cpu()->index, features[i].name);
			return -ENODEV;
		}
	}
	if (boot_cpu_enabled && has_tsc_aux != has_rdtscp())
		return refuse("it and CPU 0 differ in RDTSCP");
	if (boot_cpu_enabled && has_xcr0 != !!(read_cr4() & CR4_OSXSAVE))
		return refuse("it and CPU 0 differ in XSAVE");
	if (svm.ebx <= ASID_FIRST)
		return refuse("AMD-V (SVM) has no address space identifier (ASID) for guests");
	return 0;
}

/* What later CPUs are compared with, and what all vCPUs share. */
static void init_boot_cpu(void)
{
	boot_cpu_features = cpuid_edx(CPUID_SVM, 0);
	has_tsc_aux = has_rdtscp();
	has_xcr0 = read_cr4() & CR4_OSXSAVE;
	svm_maps_init();
	enter = svm_switches[mitigations_switch() % SVM_SWITCH_COUNT];
	boot_cpu_enabled = true;
}

static int svm_cpu_enable(struct pcpu *cpu)
{
	uint32_t asids = cpuid_ebx(CPUID_SVM, 0);
	void *host_area = frame_alloc();
	uint64_t vm_cr;

	cpu->virt_area = frame_alloc();
	if (!host_area || !cpu->virt_area) {
		printk("tidepool: CPU %u: no memory for AMD-V's (SVM's) save areas\n", cpu->index);
		if (host_area)
			frame_free(host_area);
		if (cpu->virt_area)
			frame_free(cpu->virt_area);
		cpu->virt_area = NULL;
		return -ENOMEM;
	}
	if (!boot_cpu_enabled)
		init_boot_cpu();

	if (rdmsr_safe(MSR_VM_CR, &vm_cr) == 0 && vm_cr & VM_CR_SVMDIS)
		wrmsr(MSR_VM_CR, vm_cr & ~VM_CR_SVMDIS); /* not locked: svm_cpu_check() */
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, virt_to_phys(cpu->virt_area));

	/* The host's half of what VMLOAD moves does not change any more: saved once. */
	cpu->virt_host_area = virt_to_phys(host_area);
	__asm__ volatile("vmsave %%rax" : : "a"(cpu->virt_host_area) : "memory");

	/* Nothing is left in the first generation: the first vCPU to come flushes the TLB. */
	asid_pools[cpu->index] = (struct asid_pool){
		.generation = 1,
		.next = asids,
		.count = asids,
	};
	return 0;
}

/*
 * Called right before the run and not when the vCPU is loaded: the flush that starts a generation
 * has to come before anybody runs in it, and a loaded vCPU need not run.
 */
static void take_asid(struct vcpu *vcpu, uint32_t cpu)
{
	struct vmcb_control *control = &vmcb_of(vcpu)->control;
	struct asid_pool *pool = &asid_pools[cpu];
	struct svm_vcpu *svm = svm_of(vcpu);

	if (svm->asid_cpu == cpu && svm->asid_generation == pool->generation)
		return;
	if (pool->next >= pool->count) {
		pool->generation++;
		pool->next = ASID_FIRST;
		control->tlb_control = TLB_FLUSH_ALL;
	}
	control->asid = pool->next++;
	svm->asid_cpu = cpu;
	svm->asid_generation = pool->generation;
}

/* Under a new ASID nothing is cached; the old one is not used again before all of it is flushed. */
static void svm_flush_nested(struct vcpu *vcpu)
{
	svm_of(vcpu)->asid_generation = 0;
}

void svm_write_cr2(struct vcpu *vcpu)
{
	write_cr2(vmcb_of(vcpu)->save.cr2);
}

static void svm_vcpu_load(struct vcpu *vcpu)
{
	const uint64_t *dr = svm_of(vcpu)->dr;

	if (has_tsc_aux)
		wrmsr(MSR_TSC_AUX, vcpu->arch.tsc_aux);
	write_dr0(dr[0]);
	write_dr1(dr[1]);
	write_dr2(dr[2]);
	write_dr3(dr[3]);
	mitigations_load(vcpu->vm->id, vcpu->arch.spec_ctrl);
	svm_write_cr2(vcpu);
	fpu_load(vcpu);
}

void svm_read_back_xcr0(struct vcpu *vcpu)
{
	if (has_xcr0)
		vcpu->arch.xcr0 = xgetbv(0);
}

/*
 * The guest's writes of TSC_AUX exit, so arch.tsc_aux is up to date. The next vCPU overwrites what
 * is left behind here, and the host uses none of it.
 */
static void svm_vcpu_unload(struct vcpu *vcpu)
{
	uint64_t *dr = svm_of(vcpu)->dr;

	svm_read_back_xcr0(vcpu);
	fpu_unload(vcpu);
	mitigations_unload(vcpu->arch.spec_ctrl);
	dr[0] = read_dr0();
	dr[1] = read_dr1();
	dr[2] = read_dr2();
	dr[3] = read_dr3();
}

static void svm_run(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	struct pcpu *cpu = this_cpu();

	/*
	 * State that the processor itself left is valid; what somebody wrote is checked first,
	 * because a VMRUN that fails may leave the host's state in the VMCB, and nothing to print.
	 */
	if (svm_of(vcpu)->unchecked) {
		if (!svm_check_state(vcpu)) {
			vcpu->exit.kind = EXIT_ENTRY_FAILED;
			vcpu->exit.reason = VMEXIT_INVALID;
			return;
		}
		svm_of(vcpu)->unchecked = false;
	}
	take_asid(vcpu, cpu->index);
	vmcb->save.rax = vcpu->arch.gpr[RAX];
	vmcb->save.rsp = vcpu->arch.gpr[RSP];
	enter(vcpu, cpu->virt_host_area);
	vcpu->arch.gpr[RAX] = vmcb->save.rax;
	vcpu->arch.gpr[RSP] = vmcb->save.rsp;

	vmcb->control.tlb_control = TLB_FLUSH_NOTHING;
	svm_requeue_event(vcpu);
	svm_decode_exit(vcpu);
}

const struct virt_ops svm_ops = {
	.name = "SVM",
	.cpu_check = svm_cpu_check,
	.cpu_enable = svm_cpu_enable,
	.vm_init = svm_vm_init,
	.vm_free = svm_vm_free,
	.vm_map_block = svm_vm_map_block,
	.flush_nested = svm_flush_nested,
	.vcpu_init = svm_vcpu_init,
	.vcpu_free = svm_vcpu_free,
	.vcpu_load = svm_vcpu_load,
	.vcpu_unload = svm_vcpu_unload,
	.run = svm_run,
	.get_state = svm_get_state,
	.set_state = svm_set_state,
	.get_paging = svm_get_paging,
	.set_efer = svm_set_efer,
	.get_efer = svm_get_efer,
	.get_base = svm_get_base,
	.set_base = svm_set_base,
	.skip_insn = svm_skip_insn,
	.end_step = svm_end_step,
	.set_rflags = svm_set_rflags,
	.inject_exception = svm_inject_exception,
	.irq_ready = svm_irq_ready,
	.inject_irq = svm_inject_irq,
	.irq_window = svm_irq_window,
	.inject_nmi = svm_inject_nmi,
	.set_tsc_offset = svm_set_tsc_offset,
	.dump = svm_dump,
};
