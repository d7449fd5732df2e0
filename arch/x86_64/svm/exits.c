/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the processor's exit code to enum exit_kind
 *
 * One const table; a code that is not in it becomes EXIT_UNHANDLED and stops the guest.
 * Documents: APM vol. 2, appendix C "SVM Intercept Exit Codes", 15.9 "Instruction Intercepts",
 * 15.33 "Decode Assists", 15.7.1 "State Saved on Exit".
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/fetch.h"
#include "arch/x86_64/vcpu/machine_check.h"
#include "arch/x86_64/vcpu/policy.h"
#include "core/console.h"
#include "core/string.h"
#include "core/vm/vm.h"

#define INSN_HLT 0xf4

struct exit_rule {
	enum exit_kind kind; /* the decode function may say otherwise */
	/*
	 * Of the instruction, for CPUs that do not save the next RIP: without prefixes, which mean
	 * nothing to these instructions and which no compiler or assembler puts there.
	 */
	uint8_t length;
	void (*decode)(struct vcpu *vcpu, const struct vmcb_control *control);
};

/* Leaf 0Dh tells the size of what XCR0 enables. */
static void decode_cpuid(struct vcpu *vcpu, const struct vmcb_control *control)
{
	(void)control;
	svm_read_back_xcr0(vcpu);
}

static void decode_io(struct vcpu *vcpu, const struct vmcb_control *control)
{
	uint64_t info = control->exit_info1;

	vcpu->exit.io.port = (uint16_t)(info >> IOIO_PORT_SHIFT);
	vcpu->exit.io.size = (info >> IOIO_SIZE_SHIFT) & IOIO_SIZE_MASK;
	vcpu->exit.io.in = info & IOIO_IN;
	vcpu->exit.io.string = info & IOIO_STRING;
	vcpu->exit.io.rep = info & IOIO_REP;
	svm_of(vcpu)->next_rip = control->exit_info2; /* on every CPU */
}

static void decode_msr(struct vcpu *vcpu, const struct vmcb_control *control)
{
	vcpu->exit.kind = control->exit_info1 ? EXIT_MSR_WRITE : EXIT_MSR_READ;
}

/* All of a guest's RAM is mapped, so this is none, or a block that it has given to the host. */
static void decode_nested_fault(struct vcpu *vcpu, const struct vmcb_control *control)
{
	/*
	 * Device memory as stack, descriptor table or page table: there is no instruction that
	 * could be emulated, and no guest does it on purpose.
	 */
	if (control->exit_int_info & EVENT_VALID || control->exit_info1 & NPF_TABLE_WALK) {
		vcpu->exit.kind = EXIT_UNHANDLED;
		return;
	}
	vcpu->exit.mmio.gpa = control->exit_info2;
	vcpu->exit.mmio.write = control->exit_info1 & NPF_WRITE;
	vcpu->exit.mmio.fetch = control->exit_info1 & NPF_FETCH;
	vcpu->exit.mmio.insn_count = 0;
	if (svm_has(SVM_FEATURE_DECODE_ASSISTS) && control->insn_count <= INSN_MAX) {
		vcpu->exit.mmio.insn_count = control->insn_count;
		memcpy(vcpu->exit.mmio.insn, control->insn_bytes, INSN_MAX);
	}
}

/*
 * The guest gets these back. They are exits so that a guest whose handler causes the next one
 * without end cannot keep the CPU (CVE-2015-5307, CVE-2015-8104): hence EXIT_INTERRUPT in the
 * table, for the host's interrupts must get in between.
 */
static void decode_debug(struct vcpu *vcpu, const struct vmcb_control *control)
{
	(void)control;
	vmcb_of(vcpu)->save.dr7 &=
		~DR7_GD; /* as delivery does: its handler may use the registers */
	svm_inject_exception(vcpu, VECTOR_DB, -1);
}

static void decode_alignment(struct vcpu *vcpu, const struct vmcb_control *control)
{
	svm_inject_exception(vcpu, VECTOR_AC, (int64_t)(control->exit_info1 & UINT32_MAX));
}

static void decode_iret(struct vcpu *vcpu, const struct vmcb_control *control)
{
	(void)control;
	svm_begin_iret(vcpu);
}

/* An intercepted one is not delivered again: it is handled here or not at all. */
static void decode_machine_check(struct vcpu *vcpu, const struct vmcb_control *control)
{
	(void)control;
	machine_check_in_guest(vcpu);
}

static bool is_legacy_prefix(uint8_t byte)
{
	static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					   0x66, 0x67, 0xf0, 0xf2, 0xf3};

	for (unsigned int i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (prefixes[i] == byte)
			return true;
	return false;
}

/*
 * MOV to or from a control register, for CPUs without decode assists: prefixes, REX, 0F 20 or 0F
 * 22, ModRM. Returns the instruction's length, 0 if it is something else.
 */
static unsigned int decode_mov_cr(const uint8_t *insn, size_t count, bool code64, uint8_t *gpr)
{
	unsigned int i = 0;
	uint8_t rex = 0;

	while (i < count && is_legacy_prefix(insn[i]))
		i++;
	if (i < count && code64 && (insn[i] & 0xf0) == 0x40)
		rex = insn[i++];
	if (count - i < 3 || insn[i] != 0x0f || (insn[i + 1] != 0x20 && insn[i + 1] != 0x22))
		return 0;
	*gpr = (uint8_t)((insn[i + 2] & 7) | (rex & 1) << 3);
	return i + 3;
}

static bool is_code64(const struct vcpu_paging *paging)
{
	return insn_mode(paging) == INSN_MODE_64;
}

/*
 * The host's interrupt, between STI and HLT. QEMU (7.2, and what came after) does not load the
 * shadow that it saved here: at the next VMRUN the guest's interrupt would come first, and a guest
 * that waits for it would then halt for good. Nothing comes before the HLT, so it is done now.
 */
static void decode_host_event(struct vcpu *vcpu, const struct vmcb_control *control)
{
	struct vcpu_paging paging;
	uint8_t insn[INSN_MAX];

	if (!(control->interrupt_shadow & INTERRUPT_SHADOW))
		return;
	svm_get_paging(vcpu, &paging);
	if (paging.cpl || !insn_fetch(vcpu->vm, &paging, insn) || *insn != INSN_HLT)
		return;
	vcpu->exit.kind = EXIT_HLT;
	svm_of(vcpu)->next_rip = paging.rip + 1;
}

/* Finds out which register the MOV is from or to, and its end. Returns false if it is no MOV. */
static bool find_mov_cr(struct vcpu *vcpu, const struct vmcb_control *control, uint8_t *gpr)
{
	struct vcpu_paging paging;
	uint8_t insn[INSN_MAX];
	unsigned int length;

	if (svm_has(SVM_FEATURE_DECODE_ASSISTS) && control->exit_info1 & CR_EXIT_DECODED) {
		*gpr = control->exit_info1 & CR_EXIT_GPR_MASK;
		if (svm_has(SVM_FEATURE_NEXT_RIP))
			return true;
	}
	svm_get_paging(vcpu, &paging);
	length = decode_mov_cr(insn, insn_fetch(vcpu->vm, &paging, insn), is_code64(&paging), gpr);
	svm_of(vcpu)->next_rip = paging.rip + length;
	return length;
}

static void decode_cr8(struct vcpu *vcpu, const struct vmcb_control *control)
{
	vcpu->exit.cr8.write = control->exit_code == VMEXIT_CR8_WRITE;
	if (!find_mov_cr(vcpu, control, &vcpu->exit.cr8.gpr))
		vcpu->exit.kind = EXIT_UNHANDLED;
}

static void decode_cr4(struct vcpu *vcpu, const struct vmcb_control *control)
{
	struct vcpu_paging paging;
	uint64_t value;
	uint8_t gpr;

	if (!find_mov_cr(vcpu, control, &gpr)) {
		vcpu->exit.kind = EXIT_UNHANDLED;
		return;
	}
	svm_get_paging(vcpu, &paging);
	if (control->exit_code == VMEXIT_CR4_READ) {
		vcpu->arch.gpr[gpr] = svm_read_cr4(vcpu);
		svm_skip_insn(vcpu, 0);
		return;
	}
	value = vcpu->arch.gpr[gpr];
	if (svm_write_cr4(vcpu, is_code64(&paging) ? value : (uint32_t)value) < 0)
		svm_inject_exception(vcpu, VECTOR_GP, 0);
	else
		svm_skip_insn(vcpu, 0);
}

/* The checks that svm_check_state() does not know. */
static void decode_invalid(struct vcpu *vcpu, const struct vmcb_control *control)
{
	printk("tidepool: guest %s: VMRUN refused its state; what follows may be the host's\n",
	       vcpu->vm->name);
	printk("tidepool: asid %x  event %llx  intercepts %x %x\n", control->asid,
	       (unsigned long long)control->event_inj, control->intercept3, control->intercept4);
}

static const struct exit_rule rules[] = {
	[VMEXIT_CR4_READ] = {.kind = EXIT_NONE, .decode = decode_cr4},
	[VMEXIT_CR4_WRITE] = {.kind = EXIT_NONE, .decode = decode_cr4},
	[VMEXIT_CR8_READ] = {.kind = EXIT_CR8, .decode = decode_cr8},
	[VMEXIT_CR8_WRITE] = {.kind = EXIT_CR8, .decode = decode_cr8},
	[VMEXIT_EXCEPTION(VECTOR_DB)] = {.kind = EXIT_INTERRUPT, .decode = decode_debug},
	[VMEXIT_EXCEPTION(VECTOR_AC)] = {.kind = EXIT_INTERRUPT, .decode = decode_alignment},
	[VMEXIT_EXCEPTION(VECTOR_MC)] = {.kind = EXIT_INTERRUPT, .decode = decode_machine_check},
	/* These four stay pending: they arrive at the host when GIF and IF are set again. */
	[VMEXIT_INTR] = {.kind = EXIT_INTERRUPT, .decode = decode_host_event},
	[VMEXIT_NMI] = {.kind = EXIT_INTERRUPT, .decode = decode_host_event},
	[VMEXIT_SMI] = {.kind = EXIT_INTERRUPT, .decode = decode_host_event},
	[VMEXIT_INIT] = {.kind = EXIT_INTERRUPT, .decode = decode_host_event},
	[VMEXIT_VINTR] = {.kind = EXIT_IRQ_WINDOW},
	[VMEXIT_RDPMC] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_CPUID] = {.kind = EXIT_CPUID, .length = 2, .decode = decode_cpuid},
	[VMEXIT_IRET] = {.kind = EXIT_NONE, .decode = decode_iret},
	[VMEXIT_RSM] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_INVD] = {.kind = EXIT_CACHE, .length = 2},
	[VMEXIT_PAUSE] = {.kind = EXIT_PAUSE, .length = 2},
	[VMEXIT_HLT] = {.kind = EXIT_HLT, .length = 1},
	[VMEXIT_INVLPGA] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_IOIO] = {.kind = EXIT_IO, .decode = decode_io},
	[VMEXIT_MSR] = {.kind = EXIT_MSR_READ, .length = 2, .decode = decode_msr},
	[VMEXIT_TASK_SWITCH] = {.kind = EXIT_UNHANDLED}, /* of 32-bit systems long gone */
	[VMEXIT_SHUTDOWN] = {.kind = EXIT_TRIPLE_FAULT},
	[VMEXIT_VMRUN] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_VMMCALL] = {.kind = EXIT_HYPERCALL, .length = VMMCALL_LENGTH},
	[VMEXIT_VMLOAD] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_VMSAVE] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_STGI] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_CLGI] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_SKINIT] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_WBINVD] = {.kind = EXIT_CACHE, .length = 2},
	[VMEXIT_MONITOR] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_MWAIT] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_MWAIT_ARMED] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_XSETBV] = {.kind = EXIT_XSETBV, .length = 3},
	[VMEXIT_RDPRU] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_INVLPGB] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_MCOMMIT] = {.kind = EXIT_UNDEFINED},
	[VMEXIT_TLBSYNC] = {.kind = EXIT_UNDEFINED},
};

/* Those that would make the table long. */
static const struct exit_rule nested_fault_rule = {.kind = EXIT_MMIO,
						   .decode = decode_nested_fault};
static const struct exit_rule invalid_rule = {.kind = EXIT_ENTRY_FAILED, .decode = decode_invalid};
static const struct exit_rule unknown_rule = {.kind = EXIT_UNHANDLED};

static const struct exit_rule *find_rule(uint32_t code)
{
	if (code == VMEXIT_NPF)
		return &nested_fault_rule;
	if (code == VMEXIT_INVALID)
		return &invalid_rule;
	if (code >= ARRAY_SIZE(rules) || (rules[code].kind == EXIT_NONE && !rules[code].decode))
		return &unknown_rule;
	return &rules[code];
}

void svm_decode_exit(struct vcpu *vcpu)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);
	const struct exit_rule *rule = find_rule(vmcb->control.exit_code);

	vcpu->exit.kind = rule->kind;
	vcpu->exit.reason = vmcb->control.exit_code;
	if (svm_has(SVM_FEATURE_NEXT_RIP))
		svm_of(vcpu)->next_rip = vmcb->control.next_rip;
	else
		svm_of(vcpu)->next_rip = vmcb->save.rip + rule->length;
	if (rule->decode)
		rule->decode(vcpu, &vmcb->control);
}
