/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries that the processor refused, and the state dump
 *
 * A guest can bring itself into a state that cannot be entered; that is its end, not the host's.
 * What the processor tells is little: so everything that its checks look at is printed.
 *
 * Documents: SDM vol. 3C, "VM-Entry Failures During or After Loading Guest State", "Checks on Guest
 * State"; vol. 3C, "VM Instruction Error Numbers".
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/machine_check.h"
#include "arch/x86_64/vmx/insn.h"
#include "arch/x86_64/vmx/vmx.h"
#include "core/console.h"
#include "core/vm/vm.h"

typedef unsigned long long ull; /* what %llx takes */

static const char *const insn_errors[] = {
	[1] = "VMCALL in VMX root operation",
	[2] = "VMCLEAR with a bad address",
	[3] = "VMCLEAR of the VMXON region",
	[4] = "VMLAUNCH of a VMCS that is not clear",
	[5] = "VMRESUME of a VMCS that is not launched",
	[6] = "VMRESUME after VMXOFF",
	[7] = "bad control fields",
	[8] = "bad host state",
	[9] = "VMPTRLD with a bad address",
	[10] = "VMPTRLD of the VMXON region",
	[11] = "VMPTRLD with another VMCS revision",
	[12] = "no such VMCS field",
	[13] = "write to a read-only VMCS field",
	[15] = "VMXON in VMX root operation",
	[16] = "bad executive VMCS",
	[17] = "executive VMCS not launched",
	[18] = "executive VMCS is not the VMXON region",
	[26] = "entry while events are blocked by MOV SS",
	[28] = "bad operand of INVEPT or INVVPID",
};

static const char *insn_error_text(uint32_t error)
{
	if (error < ARRAY_SIZE(insn_errors) && insn_errors[error])
		return insn_errors[error];
	return "unknown error";
}

static void print_registers(const struct vcpu *vcpu)
{
	static const char *const names[GPR_COUNT] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15",
	};

	for (unsigned int i = 0; i < GPR_COUNT; i += 4)
		printk("  %s %016llx %s %016llx %s %016llx %s %016llx\n", names[i],
		       (ull)vcpu->arch.gpr[i], names[i + 1], (ull)vcpu->arch.gpr[i + 1],
		       names[i + 2], (ull)vcpu->arch.gpr[i + 2], names[i + 3],
		       (ull)vcpu->arch.gpr[i + 3]);
}

static void print_segments(const struct vcpu_state *state)
{
	static const char *const names[SEG_COUNT] = {"es", "cs", "ss",	 "ds",
						     "fs", "gs", "ldtr", "tr"};

	for (unsigned int i = 0; i < SEG_COUNT; i++)
		printk("  %-4s %04x base %016llx limit %08x attr %05x\n", names[i],
		       state->seg[i].selector, (ull)state->seg[i].base, state->seg[i].limit,
		       state->seg[i].attr);
	printk("  gdtr base %016llx limit %04x   idtr base %016llx limit %04x\n",
	       (ull)state->gdtr.base, state->gdtr.limit, (ull)state->idtr.base, state->idtr.limit);
}

void vmx_dump(struct vcpu *vcpu)
{
	struct vcpu_state state;

	vmx_get_state(vcpu, &state);
	printk("  exit: %s (reason %x, qualification %llx, guest-physical %llx, linear %llx)\n",
	       exit_name((uint32_t)vcpu->exit.reason), (uint32_t)vcpu->exit.reason,
	       (ull)vmread(VMCS_EXIT_QUALIFICATION), (ull)vmread(VMCS_GUEST_PHYS_ADDRESS),
	       (ull)vmread(VMCS_GUEST_LINEAR));
	printk("  rip %016llx rflags %08llx cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx\n",
	       (ull)state.rip, (ull)state.rflags, (ull)state.cr0, (ull)read_cr2(), (ull)state.cr3,
	       (ull)state.cr4, (ull)state.efer);
	print_registers(vcpu);
	print_segments(&state);
	printk("  event while exiting %x, queued %llx; interruptibility %x, activity %x, "
	       "pending debug %llx\n",
	       vmread32(VMCS_VECTORING_EVENT), (ull)vcpu->arch.event,
	       vmread32(VMCS_GUEST_INTERRUPTIBILITY), vmread32(VMCS_GUEST_ACTIVITY),
	       (ull)vmread(VMCS_GUEST_PENDING_DEBUG));
}

/*
 * The one refusal that is our doing: the fast path leaves an interrupt shadow in place (entry.S),
 * and with RFLAGS.TF in a shadow the processor wants the single-step trap pending. The instruction
 * that the shadow was for is over: ending it is right, and raises the trap. Returns whether that
 * was it.
 */
static bool repair_shadow(struct vcpu *vcpu, uint32_t reason)
{
	if ((reason & EXIT_REASON_MASK) != EXIT_REASON_INVALID_GUEST_STATE)
		return false;
	if (!(vmread32(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_SHADOW) ||
	    !(vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) || vmread(VMCS_GUEST_PENDING_DEBUG) & DEBUG_BS)
		return false;
	event_take_back(vcpu);
	vmx_end_shadow();
	return true;
}

/* The controls with their real registers, which the dump of what the guest sees does not show. */
static void print_controls(void)
{
	vmx_print_controls();
	printk("  real cr0 %llx (fixed %llx to %llx), real cr4 %llx (fixed %llx to %llx)\n",
	       (ull)vmread(VMCS_GUEST_CR0), (ull)vmx_config.cr0_fixed0, (ull)vmx_config.cr0_fixed1,
	       (ull)vmread(VMCS_GUEST_CR4), (ull)vmx_config.cr4_fixed0, (ull)vmx_config.cr4_fixed1);
	printk("  entry event %x error %x\n", vmread32(VMCS_ENTRY_EVENT),
	       vmread32(VMCS_ENTRY_EVENT_ERROR));
}

void failure_decode(struct vcpu *vcpu, uint32_t reason)
{
	vcpu->exit.reason = reason & EXIT_REASON_MASK;
	if (reason == VMX_ENTER_FAILED) {
		uint32_t error = vmread32(VMCS_INSN_ERROR);

		printk("tidepool: guest %s: VM entry: error %u: %s\n", vcpu->vm->name, error,
		       insn_error_text(error));
	} else if ((reason & EXIT_REASON_MASK) == EXIT_REASON_MACHINE_CHECK) {
		event_take_back(vcpu);
		machine_check_in_guest(vcpu);
		vcpu->exit.kind = EXIT_NONE;
		return;
	} else if (repair_shadow(vcpu, reason)) {
		vcpu->exit.kind = EXIT_NONE;
		return;
	} else {
		printk("tidepool: guest %s: VM entry: %s, qualification %llx\n", vcpu->vm->name,
		       exit_name(reason), (ull)vmread(VMCS_EXIT_QUALIFICATION));
		if ((reason & EXIT_REASON_MASK) == EXIT_REASON_INVALID_GUEST_STATE &&
		    !check_guest_state(vcpu))
			printk("tidepool: guest %s: VM entry: by a check that is not known here\n",
			       vcpu->vm->name);
	}
	print_controls();
	vcpu->exit.kind = EXIT_ENTRY_FAILED;
}
