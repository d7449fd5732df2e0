/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From VMX's exit reasons to the contract's words
 *
 * One table holds every reason. One without an entry is new to us: it stops the guest.
 *
 * Documents: SDM vol. 3D, appendix C "VMX Basic Exit Reasons"; vol. 3C, "VM Exits", section "Basic
 * VM-Exit Information" (tables of exit qualifications).
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/machine_check.h"
#include "arch/x86_64/vmx/insn.h"
#include "arch/x86_64/vmx/vmx.h"

/* Exit qualifications */
#define CR_NUMBER	 0xf
#define CR_TYPE_SHIFT	 4
#define CR_TYPE_MASK	 0x3
#define CR_TYPE_TO_CR	 0
#define CR_TYPE_FROM_CR	 1
#define CR_GPR_SHIFT	 8
#define CR_GPR_MASK	 0xf
#define IO_SIZE		 0x7 /* minus 1 */
#define IO_IN		 BIT(3)
#define IO_STRING	 BIT(4)
#define IO_REP		 BIT(5)
#define IO_PORT_SHIFT	 16
#define EPT_WRITE	 BIT(1)
#define EPT_FETCH	 BIT(2)
#define EPT_LINEAR_VALID BIT(7)
#define EPT_FINAL	 BIT(8) /* the access itself, not the walk that translates its address */
#define EPT_NMI_UNBLOCK	 BIT(12)

/*
 * Runs the host's handler as the interrupt itself would have. The exit left NMIs blocked, which the
 * handler's IRET ends.
 */
static void run_host_nmi(void)
{
	__asm__ volatile("int %0" : : "i"(VECTOR_NMI) : "memory");
}

/*
 * An IRET that ends NMI blocking has done so before it faults; the block has to come back for its
 * second try (SDM vol. 3C, "Information About NMI Unblocking Due to IRET").
 */
static void restore_nmi_blocking(bool unblocked)
{
	if (unblocked && !(vmread32(VMCS_VECTORING_EVENT) & EVENT_VALID))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			vmread32(VMCS_GUEST_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
}

/* What raising #DB does to DR6 and DR7; an exit leaves it to us, and so does injection. */
static void apply_debug_exception(void)
{
	uint64_t conditions = vmread(VMCS_EXIT_QUALIFICATION) &
			      (DEBUG_CONDITIONS | DEBUG_BD | DEBUG_BS);

	write_dr6((read_dr6() & ~(uint64_t)DEBUG_CONDITIONS) | conditions);
	if (conditions & DEBUG_BD)
		vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~(uint64_t)DR7_GD);
	/* The next entry wants the trap pending whenever TF is set in a shadow. */
	if (vmread32(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_SHADOW &&
	    vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF)
		vmwrite(VMCS_GUEST_PENDING_DEBUG, DEBUG_BS);
}

static enum exit_kind decode_exception(struct vcpu *vcpu)
{
	uint32_t info = vmread32(VMCS_EXIT_EVENT);

	if ((info & EVENT_TYPE) == EVENT_TYPE_NMI) {
		run_host_nmi();
		return EXIT_NONE;
	}
	switch (info & EVENT_VECTOR) {
	case VECTOR_MC:
		machine_check_in_guest(vcpu);
		return EXIT_NONE;
	case VECTOR_DB:
		apply_debug_exception();
		break;
	case VECTOR_AC:
		break;
	default:
		return EXIT_UNHANDLED;
	}
	restore_nmi_blocking(info & EVENT_NMI_UNBLOCKED);
	event_reinject_exit(vcpu);
	/*
	 * Where the exception is raised by its own delivery, the next exit comes before the
	 * processor looks for interrupts (SDM vol. 3A, table "Priority Among Concurrent Events"):
	 * without a window here, this guest would have the CPU for ever.
	 */
	return EXIT_INTERRUPT;
}

/* A VMCALL outside ring 0, refused, see entry.S; or one that the fast path left to core/. */
static enum exit_kind decode_hypercall(struct vcpu *vcpu)
{
	if (!hypercall_fast(vcpu, vmx_get_cpl()))
		return EXIT_HYPERCALL;
	vcpu->arch.fast_calls++;
	vmx_skip_insn(vcpu, 0);
	return EXIT_NONE;
}

static enum exit_kind decode_cr_access(struct vcpu *vcpu)
{
	uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
	unsigned int cr = qualification & CR_NUMBER;
	unsigned int type = qualification >> CR_TYPE_SHIFT & CR_TYPE_MASK;
	unsigned int gpr = qualification >> CR_GPR_SHIFT & CR_GPR_MASK;
	uint64_t value = vcpu->arch.gpr[gpr];

	if (cr == 8 && (type == CR_TYPE_TO_CR || type == CR_TYPE_FROM_CR)) {
		vcpu->exit.cr8.gpr = (uint8_t)gpr;
		vcpu->exit.cr8.write = type == CR_TYPE_TO_CR;
		return EXIT_CR8;
	}
	if (type != CR_TYPE_TO_CR || (cr != 0 && cr != 4))
		return EXIT_UNHANDLED; /* CLTS, LMSW, CR3: all that they touch is the guest's */
	if (cr_write(vcpu, cr, vmx_is_64bit_mode() ? value : (uint32_t)value) < 0)
		vmx_inject_exception(vcpu, VECTOR_GP, 0);
	else
		vmx_skip_insn(vcpu, 0);
	return EXIT_NONE;
}

static enum exit_kind decode_io(struct vcpu *vcpu)
{
	uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);

	vcpu->exit.io.port = (uint16_t)(qualification >> IO_PORT_SHIFT);
	vcpu->exit.io.size = (uint8_t)((qualification & IO_SIZE) + 1);
	vcpu->exit.io.in = qualification & IO_IN;
	vcpu->exit.io.string = qualification & IO_STRING;
	vcpu->exit.io.rep = qualification & IO_REP;
	return EXIT_IO;
}

/*
 * Only the access of an instruction can be emulated. A page table, or the stack or IDT of an
 * event's delivery, in what is no memory is none: the instruction at RIP has nothing to do with it.
 */
static enum exit_kind decode_ept_violation(struct vcpu *vcpu)
{
	uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);

	restore_nmi_blocking(qualification & EPT_NMI_UNBLOCK);
	if (!(qualification & EPT_LINEAR_VALID) || !(qualification & EPT_FINAL) ||
	    vmread32(VMCS_VECTORING_EVENT) & EVENT_VALID)
		return EXIT_UNHANDLED;
	vcpu->exit.mmio.gpa = vmread(VMCS_GUEST_PHYS_ADDRESS);
	vcpu->exit.mmio.write = qualification & EPT_WRITE;
	vcpu->exit.mmio.fetch = qualification & EPT_FETCH;
	vcpu->exit.mmio.insn_count = 0; /* VMX gives no instruction bytes */
	return EXIT_MMIO;
}

/* Comes after the EOI. */
static enum exit_kind decode_eoi(struct vcpu *vcpu)
{
	vcpu->exit.eoi = (uint8_t)vmread(VMCS_EXIT_QUALIFICATION);
	return EXIT_EOI;
}

struct exit_entry {
	const char *name;
	enum exit_kind kind;
	enum exit_kind (*decode)(struct vcpu *vcpu); /* tells the kind itself */
};

#define PLAIN(text, what)                                                                          \
	{                                                                                          \
		.name = (text), .kind = (what)                                                     \
	}
#define DECODE(text, func)                                                                         \
	{                                                                                          \
		.name = (text), .decode = (func)                                                   \
	}

static const struct exit_entry exits[EXIT_REASON_COUNT] = {
	[EXIT_REASON_EXCEPTION_NMI] = DECODE("exception or NMI", decode_exception),
	[EXIT_REASON_EXTERNAL_INTERRUPT] = PLAIN("external interrupt", EXIT_INTERRUPT),
	[EXIT_REASON_TRIPLE_FAULT] = PLAIN("triple fault", EXIT_TRIPLE_FAULT),
	[EXIT_REASON_INTERRUPT_WINDOW] = PLAIN("interrupt window", EXIT_IRQ_WINDOW),
	[EXIT_REASON_NMI_WINDOW] = PLAIN("NMI window", EXIT_IRQ_WINDOW),
	[EXIT_REASON_CPUID] = PLAIN("CPUID", EXIT_CPUID),
	[EXIT_REASON_HLT] = PLAIN("HLT", EXIT_HLT),
	[EXIT_REASON_INVD] = PLAIN("INVD", EXIT_CACHE),
	[EXIT_REASON_WBINVD] = PLAIN("WBINVD or WBNOINVD", EXIT_CACHE),
	[EXIT_REASON_VMCALL] = DECODE("VMCALL", decode_hypercall),
	[EXIT_REASON_CR_ACCESS] = DECODE("control register access", decode_cr_access),
	[EXIT_REASON_IO] = DECODE("I/O instruction", decode_io),
	[EXIT_REASON_RDMSR] = PLAIN("RDMSR", EXIT_MSR_READ),
	[EXIT_REASON_WRMSR] = PLAIN("WRMSR", EXIT_MSR_WRITE),
	[EXIT_REASON_PAUSE] = PLAIN("PAUSE", EXIT_PAUSE),
	[EXIT_REASON_XSETBV] = PLAIN("XSETBV", EXIT_XSETBV),
	[EXIT_REASON_EPT_VIOLATION] = DECODE("EPT violation", decode_ept_violation),

	/* Instructions that guests are not offered */
	[EXIT_REASON_GETSEC] = PLAIN("GETSEC", EXIT_UNDEFINED),
	[EXIT_REASON_RDPMC] = PLAIN("RDPMC", EXIT_UNDEFINED),
	[EXIT_REASON_RSM] = PLAIN("RSM", EXIT_UNDEFINED),
	[EXIT_REASON_VMCLEAR] = PLAIN("VMCLEAR", EXIT_UNDEFINED),
	[EXIT_REASON_VMLAUNCH] = PLAIN("VMLAUNCH", EXIT_UNDEFINED),
	[EXIT_REASON_VMPTRLD] = PLAIN("VMPTRLD", EXIT_UNDEFINED),
	[EXIT_REASON_VMPTRST] = PLAIN("VMPTRST", EXIT_UNDEFINED),
	[EXIT_REASON_VMREAD] = PLAIN("VMREAD", EXIT_UNDEFINED),
	[EXIT_REASON_VMRESUME] = PLAIN("VMRESUME", EXIT_UNDEFINED),
	[EXIT_REASON_VMWRITE] = PLAIN("VMWRITE", EXIT_UNDEFINED),
	[EXIT_REASON_VMXOFF] = PLAIN("VMXOFF", EXIT_UNDEFINED),
	[EXIT_REASON_VMXON] = PLAIN("VMXON", EXIT_UNDEFINED),
	[EXIT_REASON_INVEPT] = PLAIN("INVEPT", EXIT_UNDEFINED),
	[EXIT_REASON_INVVPID] = PLAIN("INVVPID", EXIT_UNDEFINED),
	[EXIT_REASON_VMFUNC] = PLAIN("VMFUNC", EXIT_UNDEFINED),
	[EXIT_REASON_MWAIT] = PLAIN("MWAIT", EXIT_UNDEFINED),
	[EXIT_REASON_MONITOR] = PLAIN("MONITOR", EXIT_UNDEFINED),
	[EXIT_REASON_ENCLS] = PLAIN("ENCLS", EXIT_UNDEFINED),
	[EXIT_REASON_PCONFIG] = PLAIN("PCONFIG", EXIT_UNDEFINED),
	[EXIT_REASON_UMWAIT] = PLAIN("UMWAIT", EXIT_UNDEFINED),
	[EXIT_REASON_TPAUSE] = PLAIN("TPAUSE", EXIT_UNDEFINED),
	[EXIT_REASON_LOADIWKEY] = PLAIN("LOADIWKEY", EXIT_UNDEFINED),

	/* Not supported; the rest of them cannot happen with the controls that we set */
	[EXIT_REASON_TASK_SWITCH] = PLAIN("task switch", EXIT_UNHANDLED),
	[EXIT_REASON_EPT_MISCONFIGURATION] = PLAIN("EPT misconfiguration", EXIT_UNHANDLED),
	[EXIT_REASON_INIT] = PLAIN("INIT signal", EXIT_UNHANDLED),
	[EXIT_REASON_SIPI] = PLAIN("start-up IPI", EXIT_UNHANDLED),
	[EXIT_REASON_IO_SMI] = PLAIN("I/O SMI", EXIT_UNHANDLED),
	[EXIT_REASON_OTHER_SMI] = PLAIN("SMI", EXIT_UNHANDLED),
	[EXIT_REASON_INVLPG] = PLAIN("INVLPG", EXIT_UNHANDLED),
	[EXIT_REASON_RDTSC] = PLAIN("RDTSC", EXIT_UNHANDLED),
	[EXIT_REASON_MOV_DR] = PLAIN("debug register access", EXIT_UNHANDLED),
	[EXIT_REASON_INVALID_GUEST_STATE] = PLAIN("invalid guest state", EXIT_UNHANDLED),
	[EXIT_REASON_MSR_LOADING] = PLAIN("MSR loading", EXIT_UNHANDLED),
	[EXIT_REASON_MONITOR_TRAP] = PLAIN("monitor trap", EXIT_UNHANDLED),
	[EXIT_REASON_MACHINE_CHECK] = PLAIN("machine check", EXIT_UNHANDLED),
	[EXIT_REASON_TPR_BELOW_THRESHOLD] = PLAIN("TPR below threshold", EXIT_UNHANDLED),
	[EXIT_REASON_APIC_ACCESS] = PLAIN("APIC access", EXIT_UNHANDLED),
	[EXIT_REASON_VIRTUALIZED_EOI] = DECODE("virtualised EOI", decode_eoi),
	[EXIT_REASON_GDTR_IDTR] = PLAIN("GDTR or IDTR access", EXIT_UNHANDLED),
	[EXIT_REASON_LDTR_TR] = PLAIN("LDTR or TR access", EXIT_UNHANDLED),
	[EXIT_REASON_RDTSCP] = PLAIN("RDTSCP", EXIT_UNHANDLED),
	[EXIT_REASON_PREEMPTION_TIMER] = PLAIN("preemption timer", EXIT_INTERRUPT),
	[EXIT_REASON_APIC_WRITE] = DECODE("APIC write", apic_decode_write),
	[EXIT_REASON_RDRAND] = PLAIN("RDRAND", EXIT_UNHANDLED),
	[EXIT_REASON_INVPCID] = PLAIN("INVPCID", EXIT_UNHANDLED),
	[EXIT_REASON_RDSEED] = PLAIN("RDSEED", EXIT_UNHANDLED),
	[EXIT_REASON_PML_FULL] = PLAIN("page-modification log full", EXIT_UNHANDLED),
	[EXIT_REASON_XSAVES] = PLAIN("XSAVES", EXIT_UNHANDLED),
	[EXIT_REASON_XRSTORS] = PLAIN("XRSTORS", EXIT_UNHANDLED),
	[EXIT_REASON_SPP] = PLAIN("sub-page permission", EXIT_UNHANDLED),
	[EXIT_REASON_ENQCMD_PASID] = PLAIN("ENQCMD", EXIT_UNHANDLED),
	[EXIT_REASON_ENQCMDS_PASID] = PLAIN("ENQCMDS", EXIT_UNHANDLED),
	[EXIT_REASON_BUS_LOCK] = PLAIN("bus lock", EXIT_UNHANDLED),
	[EXIT_REASON_INSN_TIMEOUT] = PLAIN("instruction time-out", EXIT_UNHANDLED),
};

static const struct exit_entry *find_entry(uint32_t reason)
{
	uint32_t basic = reason & EXIT_REASON_MASK;

	return basic < EXIT_REASON_COUNT && exits[basic].name ? &exits[basic] : NULL;
}

const char *exit_name(uint32_t reason)
{
	const struct exit_entry *entry = find_entry(reason);

	return entry ? entry->name : "unknown reason";
}

void exit_decode(struct vcpu *vcpu, uint32_t reason)
{
	const struct exit_entry *entry = find_entry(reason);

	vcpu->exit.reason = reason;
	event_requeue(vcpu); /* first: an exception below may replace what is queued */
	if (!entry)
		vcpu->exit.kind = EXIT_UNHANDLED;
	else if (entry->decode)
		vcpu->exit.kind = entry->decode(vcpu);
	else
		vcpu->exit.kind = entry->kind;
}
