/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the VMX backend share
 *
 *   controls.c  which features are asked for, and what the CPU grants
 *   vmx.c       the contract's table; VMXON, loading, running
 *   vmcs.c      a new control block; the host's part of it
 *   state.c     the guest's registers in the control block
 *   cr.c	 writes of CR0 and CR4 that exit
 *   event.c     exceptions and interrupts into the guest
 *   apic.c      interrupts that the processor delivers by itself
 *   exits.c     from exit reasons to the contract's words
 *   failure.c   entries that the processor refused; the state dump
 *   check.c     what of the guest's state made it refuse
 *   ept.c       nested page tables
 *   entry.S     into the guest, out again, and the hypercall fast path
 *
 * Unless it says otherwise a function here wants the vCPU loaded on this CPU, interrupts off.
 */
#ifndef ARCH_VMX_VMX_H
#define ARCH_VMX_VMX_H

#include "arch/x86_64/virt.h"
#include "arch/x86_64/vmx/fields.h"
#include "core/vm/vcpu.h"

/* ---- controls.c ---------------------------------------------------------------------------------
 */

enum vmx_word {
	WORD_PIN,
	WORD_PRIMARY,
	WORD_SECONDARY,
	WORD_EXIT,
	WORD_ENTRY,
	WORD_EPT_VPID, /* not controls but capabilities; negotiated alike */
	WORD_COUNT
};

/* What was negotiated on the first CPU and holds for all; read-only afterwards. */
struct vmx_config {
	uint64_t word[WORD_COUNT];
	uint64_t later[WORD_COUNT]; /* controls that are off at first, but may be switched on */
	uint32_t revision;	    /* of the VMCS format */
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	unsigned int preemption_shift; /* TSC ticks to preemption timer ticks */
	bool has_tsc_aux, has_spec_ctrl;
	bool has_apicv; /* all that apic.c needs */
};

/* The secondary controls of direct interrupt delivery: see apic.c. */
#define APICV_CONTROLS                                                                             \
	(BIT(SECONDARY_X2APIC) | BIT(SECONDARY_APIC_REGISTERS) | BIT(SECONDARY_VIRTUAL_INTERRUPTS))

extern struct vmx_config vmx_config;

static inline bool vmx_has(enum vmx_word word, unsigned int bit)
{
	return vmx_config.word[word] & BIT(bit);
}

/* vmx_cpu_check - virt_ops.cpu_check */
int vmx_cpu_check(void);

/* vmx_print_controls - the words of the current VMCS, for the message of a failed entry. */
void vmx_print_controls(void);

/* ---- the backend's part of a vCPU ---------------------------------------------------------------
 */

/* Kept in arch.scratch. Only 64-bit members: that is what the array is made of. */
struct vmx_vcpu {
	uint64_t rsp;	  /* what VMCS_GUEST_RSP holds: gpr[RSP] is written back if it differs */
	uint64_t cpu;	  /* 1 + index of the CPU it was loaded on last; 0: never */
	uint64_t vpid;	  /* 0: the CPU has none */
	uint64_t eptp;	  /* VMCS_EPTP */
	uint64_t primary; /* what VMCS_PRIMARY_CONTROLS holds */
	uint64_t cr4_offered;  /* CR4 bits that the guest may set */
	uint64_t event_length; /* length of the instruction, for arch.event of a software kind */
	uint64_t apic_page;    /* address of the virtual-APIC page; 0: the CPU has no use for it */
	uint64_t eoi_exits[4]; /* what VMCS_EOI_EXITS hold */
	uint64_t dr[4], dr6;   /* guest's debug registers when not loaded; DR7 is in the VMCS */
};

_Static_assert(sizeof(struct vmx_vcpu) <= sizeof(((struct arch_vcpu *)0)->scratch),
	       "the backend's part fits into the space for it");

static inline struct vmx_vcpu *vmx_of(struct vcpu *vcpu)
{
	return (struct vmx_vcpu *)vcpu->arch.scratch;
}

/* ---- vmcs.c -------------------------------------------------------------------------------------
 */

/* vmcs_prepare - build what all control blocks share. Context: boot CPU, once. */
void vmcs_prepare(void);

int vmcs_vcpu_init(struct vcpu *vcpu);
void vmcs_vcpu_free(struct vcpu *vcpu);

/* vmcs_msr_bitmap - physical address; @direct: with the local APIC's MSRs passed as apic.c needs.
 */
hpa_t vmcs_msr_bitmap(bool direct);

/* vmcs_write_host_state - the fields that differ from CPU to CPU, for this one. */
void vmcs_write_host_state(void);

/* ---- state.c ------------------------------------------------------------------------------------
 */

/* vmcs_write_reset_state - power-on values of the guest fields that struct vcpu_state does not
 * have. */
void vmcs_write_reset_state(struct vcpu *vcpu);

void vmx_get_state(struct vcpu *vcpu, struct vcpu_state *state);
void vmx_set_state(struct vcpu *vcpu, const struct vcpu_state *state);
void vmx_get_paging(struct vcpu *vcpu, struct vcpu_paging *paging);
void vmx_set_efer(struct vcpu *vcpu, uint64_t efer);
uint64_t vmx_get_efer(struct vcpu *vcpu);
uint64_t vmx_get_base(struct vcpu *vcpu, enum segment seg);
void vmx_set_base(struct vcpu *vcpu, enum segment seg, uint64_t base);
void vmx_skip_insn(struct vcpu *vcpu, unsigned int len);

void vmx_end_step(struct vcpu *vcpu);
void vmx_set_rflags(struct vcpu *vcpu, uint64_t rflags);

/* vmx_end_shadow - end blocking by STI or MOV SS, as the end of an instruction does. */
void vmx_end_shadow(void);

/* vmx_is_64bit_mode - does the guest run 64-bit code? False in compatibility mode. */
bool vmx_is_64bit_mode(void);

/* vmx_get_cpl - the guest's privilege level: the DPL of SS (SDM vol. 3C, "Guest Register State").
 */
unsigned int vmx_get_cpl(void);

/* ---- cr.c ---------------------------------------------------------------------------------------
 */

/* cr_read0, cr_read4 - the registers as the guest sees them. */
uint64_t cr_read0(void);
uint64_t cr_read4(void);

/* cr_set0, cr_set4 - make the guest see @value; nothing is checked. */
void cr_set0(uint64_t value);
void cr_set4(struct vcpu *vcpu, uint64_t value);

/* cr_init - masks of the bits that the guest does not own. Context: the VMCS is current. */
void cr_init(struct vcpu *vcpu);

/* cr_set_long_mode - EFER as given, but LMA as LME and @paging want it; entry control likewise. */
void cr_set_long_mode(uint64_t efer, bool paging);

/* cr_load_pdptes - take the four PAE entries from guest memory at CR3. Returns 0 or -EINVAL: #GP.
 */
int cr_load_pdptes(struct vcpu *vcpu);

/*
 * cr_write - the guest's MOV of @value to CR0 or CR4
 * Does all that the instruction would but for moving RIP. Returns 0, or -EINVAL: #GP, no effect.
 */
int cr_write(struct vcpu *vcpu, unsigned int cr, uint64_t value);

/* ---- event.c ------------------------------------------------------------------------------------
 */

void vmx_inject_exception(struct vcpu *vcpu, uint8_t vector, int64_t error_code);
bool vmx_irq_ready(struct vcpu *vcpu);
void vmx_inject_irq(struct vcpu *vcpu, uint8_t vector);
void vmx_irq_window(struct vcpu *vcpu, bool on);
/* event_switch_primary - set or clear a primary control. */
void event_switch_primary(struct vcpu *vcpu, unsigned int control, bool on);
int vmx_inject_nmi(struct vcpu *vcpu);

/* event_enter - put the queued event, if there is one, where the next entry finds it. */
void event_enter(struct vcpu *vcpu);

/* event_requeue - an event whose delivery the exit broke off is delivered at the next entry. */
void event_requeue(struct vcpu *vcpu);

/* event_take_back - queue again what event_enter() had placed for an entry that failed. */
void event_take_back(struct vcpu *vcpu);

/* event_reinject_exit - give the guest the exception that made this exit. */
void event_reinject_exit(struct vcpu *vcpu);

/* ---- apic.c -------------------------------------------------------------------------------------
 */

/* apic_vcpu_init - the page, where the CPU can use one. Returns 0 or -ENOMEM. apic_vcpu_free. */
int apic_vcpu_init(struct vcpu *vcpu);
void apic_vcpu_free(struct vcpu *vcpu);

uint32_t *vmx_apic_direct(struct vcpu *vcpu);
void vmx_apic_indirect(struct vcpu *vcpu);
void vmx_apic_update(struct vcpu *vcpu);

/* apic_decode_write - EXIT_REASON_APIC_WRITE: after a write that the processor leaves to us. */
enum exit_kind apic_decode_write(struct vcpu *vcpu);

/* ---- exits.c, failure.c, ept.c, entry.S ---------------------------------------------------------
 */

/* exit_decode - fill vcpu->exit. @reason: VMCS_EXIT_REASON, no failed entry. */
void exit_decode(struct vcpu *vcpu, uint32_t reason);

/* exit_name - for messages; never NULL. */
const char *exit_name(uint32_t reason);

/*
 * failure_decode - fill vcpu->exit after an entry that failed, and print why
 * @reason: VMX_ENTER_FAILED, or VMCS_EXIT_REASON with EXIT_REASON_ENTRY_FAILURE
 */
void failure_decode(struct vcpu *vcpu, uint32_t reason);

/* check_guest_state - print each of the processor's checks that fails. Returns how many do. */
unsigned int check_guest_state(struct vcpu *vcpu);

void vmx_dump(struct vcpu *vcpu);

int ept_vm_init(struct vm *vm);
void ept_vm_free(struct vm *vm);
int ept_vm_map_block(struct vm *vm, gpa_t gpa, hpa_t hpa, unsigned int prot);

/* ept_pointer - what VMCS_EPTP takes for a VM's tables. */
uint64_t ept_pointer(const struct vm *vm);

/*
 * The variants of the world switch, by mitigations_switch().
 *
 * enter runs the guest until an exit that is not a served hypercall. Returns the exit reason, or
 * VMX_ENTER_FAILED. Guest registers are in arch.gpr, but for RSP.
 * exit is where the processor resumes after an exit; not a function.
 */
struct vmx_switch {
	uint32_t (*enter)(struct vcpu *vcpu);
	void (*exit)(void);
};

extern const struct vmx_switch vmx_switches[];

/* vmx_switch - the variant in use; valid after vmcs_prepare(). */
extern const struct vmx_switch *vmx_switch;

#endif
