/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the SVM backend know of each other; nobody else includes this.
 *
 *   svm.c	checks and enables CPUs, loads and runs vCPUs; the table of operations
 *   vmcb.c	the control block: power-on contents, guest state in and out, why VMRUN refused it
 *   exits.c	from the processor's exit code to enum exit_kind
 *   cr.c	writes of CR4
 *   inject.c	exceptions, interrupts, interrupt window
 *   npt.c	nested page tables
 *   maps.c	which ports and MSRs the guest reaches by itself
 *   entry.S	the world switch, and the hypercall's short way
 */
#ifndef ARCH_SVM_SVM_H
#define ARCH_SVM_SVM_H

#include "arch/x86_64/cpu/mitigations.h"
#include "arch/x86_64/svm/vmcb.h"
#include "arch/x86_64/virt.h"
#include "core/types.h"
#include "core/vm/vcpu.h"

/* CPUID 8000_000A EDX: what this processor's SVM can do. */
#define SVM_FEATURE_NPT		    BIT(0)
#define SVM_FEATURE_LOCK	    BIT(2)
#define SVM_FEATURE_NEXT_RIP	    BIT(3)
#define SVM_FEATURE_DECODE_ASSISTS  BIT(7)
#define SVM_FEATURE_PAUSE_FILTER    BIT(10)
#define SVM_FEATURE_PAUSE_THRESHOLD BIT(12)

/* svm_has - do all CPUs have this feature? Valid once the boot CPU is enabled. */
bool svm_has(uint64_t feature);

/* The L bit of struct vcpu_segment's attr: 64-bit code, when EFER.LMA is set. */
#define ATTR_CODE_L 0x2000u

/* Who blocks NMIs: these processors do not tell, but can be made to exit for IRET. */
enum svm_nmi {
	NMI_OPEN,
	NMI_HANDLER, /* one was injected; IRET exits */
	NMI_IRET,    /* the IRET is being executed: it is over when RIP is another */
};

/* What the backend remembers of a vCPU, in arch.scratch. */
struct svm_vcpu {
	uint64_t next_rip;	  /* behind the instruction that made the last exit */
	uint64_t asid_cpu;	  /* index of the CPU that asid was taken on */
	uint64_t asid_generation; /* of that CPU; 0: none taken yet */
	uint64_t unchecked;	  /* the state was set by us since svm_check_state() */
	uint64_t cr4_offered;	  /* CR4 bits that the guest may set */
	uint64_t nmi;		  /* enum svm_nmi */
	uint64_t nmi_iret;	  /* NMI_IRET: where it is */
	uint64_t dr[4];		  /* DR0 to DR3 when not loaded; the VMCB has DR6 and DR7 */
};

_Static_assert(sizeof(struct svm_vcpu) <= sizeof(((struct arch_vcpu *)0)->scratch),
	       "fits the backend's part of a vCPU");

static inline struct svm_vcpu *svm_of(struct vcpu *vcpu)
{
	return (struct svm_vcpu *)vcpu->arch.scratch;
}

static inline struct vmcb *vmcb_of(struct vcpu *vcpu)
{
	return vcpu->arch.control;
}

/*
 * svm_switches - run the guest until an exit that C has to decide about (entry.S)
 * @host_area: physical address of the VMCB that keeps the host's half of VMSAVE's state
 *
 * The variants of the world switch, by mitigations_switch(). Serves hypercalls on the way. RAX and
 * RSP are exchanged through the VMCB. Context: loaded, interrupts off; returns with them off, GIF
 * set.
 */
extern void (*const svm_switches[SVM_SWITCH_COUNT])(struct vcpu *vcpu, hpa_t host_area);

/*
 * svm_read_back_xcr0 - take XCR0 from the register into arch.xcr0
 *
 * QEMU's TCG (7.2) has no intercept of XSETBV: the guest changes XCR0 by itself. Whoever needs to
 * know it calls this first. Context: loaded, after a run.
 */
void svm_read_back_xcr0(struct vcpu *vcpu);

/*
 * svm_write_cr2 - put the VMCB's CR2 into the register
 *
 * VMRUN does this, but not in Bochs (2.7), where the register would keep what the vCPU before left.
 * Context: loaded.
 */
void svm_write_cr2(struct vcpu *vcpu);

/* vmcb.c; the contracts are those of struct virt_ops in arch/x86_64/virt.h */
int svm_vcpu_init(struct vcpu *vcpu);
void svm_vcpu_free(struct vcpu *vcpu);
void svm_get_state(struct vcpu *vcpu, struct vcpu_state *state);
void svm_set_state(struct vcpu *vcpu, const struct vcpu_state *state);
void svm_get_paging(struct vcpu *vcpu, struct vcpu_paging *paging);
void svm_set_efer(struct vcpu *vcpu, uint64_t efer);
void svm_set_rflags(struct vcpu *vcpu, uint64_t rflags);
uint64_t svm_get_efer(struct vcpu *vcpu);
uint64_t svm_get_base(struct vcpu *vcpu, enum segment seg);
void svm_set_base(struct vcpu *vcpu, enum segment seg, uint64_t base);
void svm_set_tsc_offset(struct vcpu *vcpu);
void svm_dump(struct vcpu *vcpu);

/*
 * svm_check_state - would VMRUN accept the VMCB? Prints which consistency check fails.
 * Source: APM vol. 2, 15.5.1, "Canonicalization and Consistency Checks"; not those that depend on
 * which bits of CR3, CR4 and EFER the processor has.
 */
bool svm_check_state(struct vcpu *vcpu);

/* svm_decode_exit - fill vcpu->exit from the VMCB after an exit. (exits.c) */
void svm_decode_exit(struct vcpu *vcpu);

/* inject.c */
void svm_skip_insn(struct vcpu *vcpu, unsigned int len);
void svm_end_step(struct vcpu *vcpu);
void svm_inject_exception(struct vcpu *vcpu, uint8_t vector, int64_t error_code);
bool svm_irq_ready(struct vcpu *vcpu);
void svm_inject_irq(struct vcpu *vcpu, uint8_t vector);
void svm_irq_window(struct vcpu *vcpu, bool on);
int svm_inject_nmi(struct vcpu *vcpu);
/* svm_begin_iret - the guest is about to execute the IRET that ends NMI blocking. */
void svm_begin_iret(struct vcpu *vcpu);
/* svm_reset_nmi - nothing blocks NMIs. */
void svm_reset_nmi(struct vcpu *vcpu);
/* svm_requeue_event - what the exit kept from being delivered is injected at the next entry. */
void svm_requeue_event(struct vcpu *vcpu);

/* svm_read_cr4 - CR4 as the guest sees it (cr.c) */
uint64_t svm_read_cr4(struct vcpu *vcpu);

/* svm_set_cr4 - makes it see @value, unchecked */
void svm_set_cr4(struct vcpu *vcpu, uint64_t value);

/*
 * svm_write_cr4 - the guest's MOV of @value to CR4, but for moving RIP
 * Returns 0, or -EINVAL: #GP, no effect.
 */
int svm_write_cr4(struct vcpu *vcpu, uint64_t value);

/* npt.c */
int svm_vm_init(struct vm *vm);
void svm_vm_free(struct vm *vm);
int svm_vm_map_block(struct vm *vm, gpa_t gpa, hpa_t hpa, unsigned int prot);

/* maps.c */
/* svm_maps_init - fill the MSR map. Context: boot CPU, before the first vCPU. */
void svm_maps_init(void);
hpa_t svm_iopm_address(void);
hpa_t svm_msrpm_address(void);

#endif
