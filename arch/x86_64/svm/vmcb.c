/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control block: what it holds at power-on, guest state in and out
 *
 * Documents: APM vol. 2, 15.5 "VMRUN Instruction", appendix B "Layout of VMCB".
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/vcpu/policy.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/vm/vm.h"

/*
 * A PAUSE exits when that many came without the threshold's number of cycles between two of them:
 * a guest that spins, probably for a vCPU that is not running.
 */
#define PAUSE_FILTER_COUNT     3000
#define PAUSE_FILTER_THRESHOLD 1000

/*
 * Write-back, whatever memory type the guest's page tables select: RAM is all that they reach, and
 * the hypervisor, which copies pages out of it and into it, must not see another type of it.
 */
#define G_PAT_WRITE_BACK 0x0606060606060606ull

/*
 * Everything that a guest may do that is not its own business. #DB and #AC only because a guest
 * can make their delivery raise them again for ever, which no interrupt would end (CVE-2015-8104,
 * CVE-2015-5307). Bits of instructions that a CPU does not have are ignored.
 */
static void set_intercepts(struct vmcb_control *control)
{
	control->intercept_cr = INTERCEPT_CR4_WRITE | INTERCEPT_CR8_READ | INTERCEPT_CR8_WRITE;
	control->intercept_exception = BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC);
	control->intercept3 =
		(uint32_t)(INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_INIT |
			   INTERCEPT_VINTR | INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_RSM |
			   INTERCEPT_INVD | INTERCEPT_HLT | INTERCEPT_INVLPGA | INTERCEPT_IOIO |
			   INTERCEPT_MSR | INTERCEPT_TASK_SWITCH | INTERCEPT_SHUTDOWN);
	control->intercept4 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD |
			      INTERCEPT_VMSAVE | INTERCEPT_STGI | INTERCEPT_CLGI |
			      INTERCEPT_SKINIT | INTERCEPT_WBINVD | INTERCEPT_MONITOR |
			      INTERCEPT_MWAIT | INTERCEPT_MWAIT_ARMED | INTERCEPT_XSETBV |
			      INTERCEPT_RDPRU;
	control->intercept5 = INTERCEPT_INVLPGB | INTERCEPT_MCOMMIT | INTERCEPT_TLBSYNC;

	/* Without the filter every PAUSE would exit, also in the shortest wait. */
	if (svm_has(SVM_FEATURE_PAUSE_FILTER)) {
		control->intercept3 |= INTERCEPT_PAUSE;
		control->pause_filter_count = PAUSE_FILTER_COUNT;
		if (svm_has(SVM_FEATURE_PAUSE_THRESHOLD))
			control->pause_filter_threshold = PAUSE_FILTER_THRESHOLD;
	}
}

int svm_vcpu_init(struct vcpu *vcpu)
{
	struct vmcb *vmcb = frame_alloc();
	struct vcpu_state state;

	if (!vmcb)
		return -ENOMEM;
	vcpu->arch.control = vmcb;
	vcpu->arch.control_pa = virt_to_phys(vmcb);

	svm_of(vcpu)->cr4_offered = cr4_offered();
	set_intercepts(&vmcb->control);
	vmcb->control.iopm_base = svm_iopm_address();
	vmcb->control.msrpm_base = svm_msrpm_address();
	vmcb->control.int_control = V_INTR_MASKING; /* the guest's IF holds no host interrupt */
	vmcb->control.np_enable = NP_ENABLE;
	vmcb->control.nested_cr3 = vcpu->vm->nested_root;
	vmcb->save.dr6 = DR6_INIT;
	vmcb->save.dr7 = DR7_INIT;
	vmcb->save.g_pat = G_PAT_WRITE_BACK;
	vcpu_state_reset(&state);
	svm_set_state(vcpu, &state);
	return 0;
}

void svm_vcpu_free(struct vcpu *vcpu)
{
	if (vcpu->arch.control)
		frame_free(vcpu->arch.control);
	vcpu->arch.control = NULL;
}

static struct vmcb_segment *segment_of(struct vmcb *vmcb, enum segment seg)
{
	struct vmcb_segment *const segments[SEG_COUNT] = {
		[SEG_ES] = &vmcb->save.es,     [SEG_CS] = &vmcb->save.cs, [SEG_SS] = &vmcb->save.ss,
		[SEG_DS] = &vmcb->save.ds,     [SEG_FS] = &vmcb->save.fs, [SEG_GS] = &vmcb->save.gs,
		[SEG_LDTR] = &vmcb->save.ldtr, [SEG_TR] = &vmcb->save.tr,
	};

	return segments[seg];
}

/*
 * VMX has descriptor bits 55:52 in bits 15:12 and says "unusable"; SVM has them in bits 11:8 and
 * says "not present", which no usable register is. Bits 47:40 are at the bottom in both.
 */
#define ATTR_LOW       0x00ffu
#define ATTR_HIGH_SVM  0x0f00u
#define ATTR_HIGH_VMX  0xf000u
#define ATTR_PRESENT   0x0080u
#define ATTR_DPL_SHIFT 5
#define ATTR_DPL       (3u << ATTR_DPL_SHIFT)
#define ATTR_TSS_BUSY  0x0002u
#define ATTR_CODE_DB   0x4000u

static uint16_t attr_to_svm(uint32_t attr)
{
	if (attr & SEGMENT_ATTR_UNUSABLE)
		return 0;
	return (uint16_t)((attr & ATTR_LOW) | (attr & ATTR_HIGH_VMX) >> 4);
}

static uint32_t attr_from_svm(uint16_t attr)
{
	if (!(attr & ATTR_PRESENT))
		return (uint32_t)SEGMENT_ATTR_UNUSABLE;
	return (attr & ATTR_LOW) | (attr & ATTR_HIGH_SVM) << 4;
}

void svm_get_state(struct vcpu *vcpu, struct vcpu_state *state)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	uint32_t *ss_attr = &state->seg[SEG_SS].attr;

	state->rip = vmcb->save.rip;
	state->rflags = vmcb->save.rflags;
	state->cr0 = vmcb->save.cr0;
	state->cr3 = vmcb->save.cr3;
	state->cr4 = svm_read_cr4(vcpu);
	state->efer = svm_get_efer(vcpu);
	for (enum segment seg = 0; seg < SEG_COUNT; seg++) {
		const struct vmcb_segment *from = segment_of(vmcb, seg);

		state->seg[seg] = (struct vcpu_segment){
			.selector = from->selector,
			.attr = attr_from_svm(from->attr),
			.limit = from->limit,
			.base = from->base,
		};
	}
	/* The format has the privilege level in SS, SVM in a byte of its own; SS may differ. */
	*ss_attr = (*ss_attr & ~ATTR_DPL) | (uint32_t)vmcb->save.cpl << ATTR_DPL_SHIFT;
	/* VMX wants the TSS in use marked busy; SVM does not care. */
	state->seg[SEG_TR].attr |= ATTR_TSS_BUSY;
	state->gdtr.base = vmcb->save.gdtr.base;
	state->gdtr.limit = (uint16_t)vmcb->save.gdtr.limit;
	state->idtr.base = vmcb->save.idtr.base;
	state->idtr.limit = (uint16_t)vmcb->save.idtr.limit;
}

void svm_set_state(struct vcpu *vcpu, const struct vcpu_state *state)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->save.rip = state->rip;
	vmcb->save.rflags = state->rflags | RFLAGS_RESERVED;
	vmcb->save.cr0 = state->cr0 | CR0_ET;
	vmcb->save.cr3 = state->cr3;
	svm_set_cr4(vcpu, state->cr4);
	vmcb->save.efer = (state->efer & ~EFER_LMA) | EFER_SVME;
	if (state->efer & EFER_LME && state->cr0 & CR0_PG)
		vmcb->save.efer |= EFER_LMA;
	svm_of(vcpu)->unchecked = true;
	for (enum segment seg = 0; seg < SEG_COUNT; seg++)
		*segment_of(vmcb, seg) = (struct vmcb_segment){
			.selector = state->seg[seg].selector,
			.attr = attr_to_svm(state->seg[seg].attr),
			.limit = state->seg[seg].limit,
			.base = state->seg[seg].base,
		};
	vmcb->save.cpl = (state->seg[SEG_SS].attr & ATTR_DPL) >> ATTR_DPL_SHIFT;
	vmcb->save.gdtr.base = state->gdtr.base;
	vmcb->save.gdtr.limit = state->gdtr.limit;
	vmcb->save.idtr.base = state->idtr.base;
	vmcb->save.idtr.limit = state->idtr.limit;
	vmcb->save.dr7 = DR7_INIT;
	vmcb->control.event_inj = 0;
	vmcb->control.interrupt_shadow = 0;
	svm_reset_nmi(vcpu);
	svm_of(vcpu)->asid_generation = 0; /* no translation of the state before may be met */
}

void svm_get_paging(struct vcpu *vcpu, struct vcpu_paging *paging)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);

	*paging = (struct vcpu_paging){
		.rip = vmcb->save.rip,
		.rflags = vmcb->save.rflags,
		.cr0 = vmcb->save.cr0,
		.cr3 = vmcb->save.cr3,
		.cr4 = vmcb->save.cr4,
		.efer = svm_get_efer(vcpu),
		.cs_base = vmcb->save.cs.base,
		.cs_attr = attr_from_svm(vmcb->save.cs.attr),
		.cpl = vmcb->save.cpl,
	};
}

/* LMA is the processor's to change; SVME has to be set while a guest runs, which it never sees. */
void svm_set_efer(struct vcpu *vcpu, uint64_t efer)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->save.efer = (efer & ~EFER_LMA) | (vmcb->save.efer & EFER_LMA) | EFER_SVME;
	svm_of(vcpu)->unchecked = true;
}

void svm_set_rflags(struct vcpu *vcpu, uint64_t rflags)
{
	vmcb_of(vcpu)->save.rflags = rflags;
}

uint64_t svm_get_efer(struct vcpu *vcpu)
{
	return vmcb_of(vcpu)->save.efer & ~EFER_SVME;
}

/* VMSAVE has run at the exit and VMLOAD will at the next entry, so the block is up to date. */
uint64_t svm_get_base(struct vcpu *vcpu, enum segment seg)
{
	return segment_of(vmcb_of(vcpu), seg)->base;
}

void svm_set_base(struct vcpu *vcpu, enum segment seg, uint64_t base)
{
	segment_of(vmcb_of(vcpu), seg)->base = base;
}

void svm_set_tsc_offset(struct vcpu *vcpu)
{
	vmcb_of(vcpu)->control.tsc_offset = vcpu->arch.tsc_offset;
}

void svm_dump(struct vcpu *vcpu)
{
	static const char *const gpr_names[GPR_COUNT] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15",
	};
	static const char *const segment_names[SEG_COUNT] = {"es", "cs", "ss",	"ds",
							     "fs", "gs", "ldt", "tr"};
	const struct vmcb *vmcb = vmcb_of(vcpu);
	struct vcpu_state state;

	svm_get_state(vcpu, &state);
	for (int i = 0; i < GPR_COUNT; i += 4)
		printk("  %s %016llx  %s %016llx  %s %016llx  %s %016llx\n", gpr_names[i],
		       (unsigned long long)vcpu->arch.gpr[i], gpr_names[i + 1],
		       (unsigned long long)vcpu->arch.gpr[i + 1], gpr_names[i + 2],
		       (unsigned long long)vcpu->arch.gpr[i + 2], gpr_names[i + 3],
		       (unsigned long long)vcpu->arch.gpr[i + 3]);
	printk("  rip %016llx  rflags %llx  cpl %u  efer %llx\n", (unsigned long long)state.rip,
	       (unsigned long long)state.rflags, vmcb->save.cpl, (unsigned long long)state.efer);
	printk("  cr0 %llx  cr2 %llx  cr3 %llx  cr4 %llx\n", (unsigned long long)state.cr0,
	       (unsigned long long)vmcb->save.cr2, (unsigned long long)state.cr3,
	       (unsigned long long)state.cr4);
	for (enum segment seg = 0; seg < SEG_COUNT; seg++)
		printk("  %-3s %04x  base %llx  limit %x  attr %05x\n", segment_names[seg],
		       state.seg[seg].selector, (unsigned long long)state.seg[seg].base,
		       state.seg[seg].limit, state.seg[seg].attr);
	printk("  gdt %llx/%x  idt %llx/%x\n", (unsigned long long)state.gdtr.base,
	       state.gdtr.limit, (unsigned long long)state.idtr.base, state.idtr.limit);
	printk("  exit %x  info1 %llx  info2 %llx  interrupted event %llx  next event %llx\n",
	       vmcb->control.exit_code, (unsigned long long)vmcb->control.exit_info1,
	       (unsigned long long)vmcb->control.exit_info2,
	       (unsigned long long)vmcb->control.exit_int_info,
	       (unsigned long long)vmcb->control.event_inj);
}

bool svm_check_state(struct vcpu *vcpu)
{
	const struct vmcb_control *control = &vmcb_of(vcpu)->control;
	const struct vmcb_save *save = &vmcb_of(vcpu)->save;
	bool long_mode = save->efer & EFER_LME && save->cr0 & CR0_PG;
	uint32_t cs_attr = attr_from_svm(save->cs.attr);
	const struct {
		bool failed;
		const char *name;
	} checks[] = {
		{!(save->efer & EFER_SVME), "EFER.SVME is 0"},
		{!(save->cr0 & CR0_CD) && save->cr0 & CR0_NW, "CR0.CD is 0 and CR0.NW 1"},
		{save->cr0 >> 32, "CR0 bits 63:32 are not 0"},
		{save->cr4 >> 32, "CR4 bits 63:32 are not 0"},
		{save->dr6 >> 32, "DR6 bits 63:32 are not 0"},
		{save->dr7 >> 32, "DR7 bits 63:32 are not 0"},
		{long_mode && !(save->cr4 & CR4_PAE), "long mode without CR4.PAE"},
		{long_mode && !(save->cr0 & CR0_PE), "long mode without CR0.PE"},
		{long_mode && cs_attr & ATTR_CODE_L && cs_attr & ATTR_CODE_DB,
		 "CS.L and CS.D are both 1"},
		{!(control->intercept4 & INTERCEPT_VMRUN), "VMRUN is not intercepted"},
	};
	bool valid = true;

	for (unsigned int i = 0; i < ARRAY_SIZE(checks); i++) {
		if (checks[i].failed) {
			printk("tidepool: guest %s: VMRUN would refuse its state: %s\n",
			       vcpu->vm->name, checks[i].name);
			valid = false;
		}
	}
	return valid;
}
