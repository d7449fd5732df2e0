/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract that both backends, VMX and SVM, fulfil
 *
 * The backend enters the guest and says in vendor-neutral words why it came back; what is done
 * about it is decided once, in core/vm/vcpu.c, for both vendors. One image holds both backends;
 * virt_select() picks one at boot.
 *
 * A vCPU is used by one CPU at a time: every hook that takes a vCPU is called on the CPU that has
 * it loaded (vcpu_load() .. vcpu_unload()), with interrupts off, unless it says otherwise.
 */
#ifndef ARCH_VIRT_H
#define ARCH_VIRT_H

#include "core/types.h"

struct vcpu;
struct vm;
struct pcpu;

/* General registers in the order of their numbers in instruction encodings. */
enum gpr {
	RAX,
	RCX,
	RDX,
	RBX,
	RSP,
	RBP,
	RSI,
	RDI,
	R8,
	R9,
	R10,
	R11,
	R12,
	R13,
	R14,
	R15,
	GPR_COUNT
};

/* Why the guest stopped running. core/vm/vcpu.c has one handler for each. */
enum exit_kind {
	EXIT_NONE,	 /* handled inside the backend: just enter again */
	EXIT_INTERRUPT,	 /* a host interrupt is pending: open the window */
	EXIT_IRQ_WINDOW, /* the guest can now take an interrupt, or an NMI */
	EXIT_EOI,	 /* exit->eoi: the guest ended a level-triggered interrupt; it is skipped */
	EXIT_HYPERCALL,	 /* one that hypercall_fast() leaves to core/ */
	EXIT_CPUID,
	EXIT_HLT,
	EXIT_PAUSE,
	EXIT_IO,	/* exit->io */
	EXIT_MSR_READ,	/* number in ECX */
	EXIT_MSR_WRITE, /* number in ECX, value in EDX:EAX */
	EXIT_MMIO,	/* exit->mmio: guest-physical access to nothing that is mapped */
	EXIT_CR8,	/* exit->cr8 */
	EXIT_XSETBV,
	EXIT_CACHE,	/* INVD or WBINVD: skipped */
	EXIT_UNDEFINED, /* an instruction we do not offer: answered with #UD */
	EXIT_TRIPLE_FAULT,
	EXIT_ENTRY_FAILED, /* the processor refused the guest's state; the backend has printed why
			    */
	EXIT_UNHANDLED,	   /* anything else: stops the guest */
	EXIT_KIND_COUNT
};

struct vcpu_exit {
	enum exit_kind kind;
	uint64_t reason; /* the vendor's own number, for messages */
	union {
		struct {
			uint16_t port;
			uint8_t size; /* 1, 2 or 4 */
			bool in, string, rep;
		} io;
		struct {
			gpa_t gpa;
			bool write, fetch;
			uint8_t insn_count; /* instruction bytes that the CPU gave; 0: none */
			uint8_t insn[15];
		} mmio;
		struct {
			uint8_t gpr; /* enum gpr */
			bool write;
		} cr8;
		uint8_t eoi; /* its vector */
	};
};

/* A segment register as VMX keeps it; attr is the VMCS access-rights format on both backends. */
struct vcpu_segment {
	uint16_t selector;
	uint32_t attr;
	uint32_t limit;
	uint64_t base;
};

#define SEGMENT_ATTR_UNUSABLE BIT(16)
#define SEGMENT_ATTR_CODE64   0xa09bu /* present, DPL 0, execute/read, accessed, L, G */
#define SEGMENT_ATTR_CODE32   0xc09bu
#define SEGMENT_ATTR_CODE16   0x009bu
#define SEGMENT_ATTR_DATA32   0xc093u
#define SEGMENT_ATTR_DATA16   0x0093u
#define SEGMENT_ATTR_TSS64    0x008bu
#define SEGMENT_ATTR_LDT      0x0082u

enum segment { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/* All of a vCPU's state but the general registers (struct arch_vcpu) and vector registers. */
struct vcpu_state {
	uint64_t rip, rflags;
	uint64_t cr0, cr3, cr4, efer;
	struct vcpu_segment seg[SEG_COUNT];
	struct {
		uint64_t base;
		uint16_t limit;
	} gdtr, idtr;
};

/* What walking the guest's page tables and decoding its instruction needs. */
struct vcpu_paging {
	uint64_t rip, rflags;
	uint64_t cr0, cr3, cr4, efer;
	uint64_t cs_base;
	uint32_t cs_attr;
	uint8_t cpl;
};

/*
 * The processor's part of a vCPU. The offsets of the members marked (asm) are generated into
 * build/asm_offsets.h.
 */
struct arch_vcpu {
	/*
	 * (asm) RSP, and on SVM RAX, live in the control block while the guest runs; they are valid
	 * here at every exit that leaves the fast path, and written back if changed.
	 */
	uint64_t gpr[GPR_COUNT];
	uint64_t cr2;	     /* (asm) guest CR2: VMX does not switch it */
	uint64_t host_sp;    /* (asm) backend's own */
	uint64_t launched;   /* (asm) VMX: VMRESUME instead of VMLAUNCH */
	uint64_t fast_calls; /* (asm) hypercalls served without leaving the fast path */
	void *control;	     /* (asm) the VMCS or VMCB, one zeroed frame */
	hpa_t control_pa;    /* (asm) */
	void *fpu;	     /* XSAVE area, one frame, of the guest when not loaded */
	uint64_t xcr0;	     /* the guest's */
	uint64_t tsc_offset; /* guest TSC = host TSC + this */
	/* MSRs that exits do not switch: valid here while the vCPU is not loaded */
	uint64_t tsc_aux, kernel_gs_base, star, lstar, cstar, sfmask, spec_ctrl;
	/* MSRs that are nothing but a value to read back: arch/x86_64/vcpu/ */
	uint64_t pat, misc_enable, mtrr_def_type, tsc_adjust, wall_clock, system_time;
	uint64_t event; /* an event to inject at the next entry, in VMX's format; 0: none */
	uint32_t event_error;
	uint64_t scratch[20]; /* the backend's own, whatever it needs to remember */
};

/* Rights of a nested page-table mapping. */
#define NPT_READ  1u
#define NPT_WRITE 2u
#define NPT_EXEC  4u

struct virt_ops {
	const char *name; /* "VMX" or "SVM" */

	/*
	 * cpu_check - can this CPU run guests, and (not on the first) as the first one can?
	 * Prints a sentence naming what is missing. Returns 0 or -ENODEV. Changes nothing.
	 */
	int (*cpu_check)(void);
	/* cpu_enable - switch virtualisation on, on this CPU. Returns 0 or a negative error,
	 * printed. */
	int (*cpu_enable)(struct pcpu *cpu);

	/* vm_init - an empty nested page table in vm->nested_root. -ENOMEM. */
	int (*vm_init)(struct vm *vm);
	/* vm_free - free all of the nested page table. No vCPU of the VM is loaded anywhere. */
	void (*vm_free)(struct vm *vm);
	/*
	 * vm_map_block - map one 2 MiB block, in place of what was there. Both addresses are
	 * aligned to it.
	 * @prot: NPT_* bits. Returns 0 or -ENOMEM, the latter only where no block was mapped within
	 * the same 1 GiB. Context: before the VM's first entry, or vm->lock held; then
	 * flush_nested() is due on each vCPU.
	 */
	int (*vm_map_block)(struct vm *vm, gpa_t gpa, hpa_t hpa, unsigned int prot);

	/* flush_nested - the vCPU's next entry uses nothing cached of the nested page table. */
	void (*flush_nested)(struct vcpu *vcpu);

	/* vcpu_init - control block and areas, power-on state. Any CPU; not loaded. -ENOMEM. */
	int (*vcpu_init)(struct vcpu *vcpu);
	void (*vcpu_free)(struct vcpu *vcpu);

	/* vcpu_load - make the vCPU current on this CPU: VMPTRLD, MSRs that exits do not switch,
	 * FPU. */
	void (*vcpu_load)(struct vcpu *vcpu);
	/* vcpu_unload - the reverse; afterwards another CPU may load it. */
	void (*vcpu_unload)(struct vcpu *vcpu);

	/* run - enter the guest; returns with vcpu->exit filled. The hypercall fast path stays
	 * inside. */
	void (*run)(struct vcpu *vcpu);

	void (*get_state)(struct vcpu *vcpu, struct vcpu_state *state);
	/*
	 * set_state - start over in this state: breakpoints are off, no event is queued, nothing
	 * of the old address space is cached.
	 */
	void (*set_state)(struct vcpu *vcpu, const struct vcpu_state *state);
	void (*get_paging)(struct vcpu *vcpu, struct vcpu_paging *paging);
	/* set_efer - a guest's checked write of EFER. */
	void (*set_efer)(struct vcpu *vcpu, uint64_t efer);
	uint64_t (*get_efer)(struct vcpu *vcpu);
	/* get_base, set_base - FS and GS base (SEG_FS, SEG_GS) while loaded. */
	uint64_t (*get_base)(struct vcpu *vcpu, enum segment seg);
	void (*set_base)(struct vcpu *vcpu, enum segment seg, uint64_t base);

	/*
	 * skip_insn - move RIP behind the instruction that made the last exit
	 * @len: its length where the caller decoded it, 0 where the backend knows it
	 * Also ends an interrupt shadow.
	 */
	void (*skip_insn)(struct vcpu *vcpu, unsigned int len);
	/*
	 * end_step - one step of a repeated instruction is done, RIP stays: ends an interrupt
	 * shadow, raises the single-step trap.
	 */
	void (*end_step)(struct vcpu *vcpu);
	/* set_rflags - the arithmetic flags that an emulated instruction leaves; nothing else
	 * changes. */
	void (*set_rflags)(struct vcpu *vcpu, uint64_t rflags);

	/* inject_exception - at the next entry. @error_code: -1 for vectors without one. */
	void (*inject_exception)(struct vcpu *vcpu, uint8_t vector, int64_t error_code);
	/* irq_ready - may an interrupt be injected now? (IF set, no shadow, no event queued) */
	bool (*irq_ready)(struct vcpu *vcpu);
	/* inject_irq - at the next entry; only when irq_ready(). */
	void (*inject_irq)(struct vcpu *vcpu, uint8_t vector);
	/* irq_window - ask for (or drop) an EXIT_IRQ_WINDOW as soon as irq_ready() would be true.
	 */
	void (*irq_window)(struct vcpu *vcpu, bool on);

	/*
	 * inject_nmi - an NMI at the next entry, when the guest can take one
	 *
	 * It cannot while an earlier one's handler runs, in an interrupt shadow, or with an event
	 * queued. Returns 0; -EBUSY: an EXIT_IRQ_WINDOW comes as soon as it can; -EAGAIN: the
	 * processor does not tell when, the caller tries again a little later.
	 */
	int (*inject_nmi)(struct vcpu *vcpu);

	/*
	 * apic_direct - the vCPU's local APIC goes to x2APIC mode: have the processor deliver its
	 *		 interrupts from now on, without exits for TPR, EOI, and the moment to
	 *inject apic_update - before each entry in that mode, instead of inject_irq() and
	 *irq_window()
	 *
	 * Returns the page of the registers that the processor uses and changes while the vCPU runs
	 * (struct lapic), or NULL: it cannot, or is told not to. NULL instead of the hooks: never.
	 * apic_indirect - the reverse.
	 */
	uint32_t *(*apic_direct)(struct vcpu *vcpu);
	void (*apic_indirect)(struct vcpu *vcpu);
	void (*apic_update)(struct vcpu *vcpu);

	/* set_tsc_offset - takes arch.tsc_offset into the control block. */
	void (*set_tsc_offset)(struct vcpu *vcpu);
	/* dump - print the guest's state, for the message when it is stopped. */
	void (*dump)(struct vcpu *vcpu);
};

/* The backend in use; set by virt_select(), never changes. */
extern const struct virt_ops *virt;

extern const struct virt_ops vmx_ops;
extern const struct virt_ops svm_ops;

/* virt_apicv_off - "apicv=off": apic_direct is never done. Set before virt_select(). */
extern bool virt_apicv_off;

/*
 * virt_select - choose the backend by the boot CPU's vendor and check it
 * Returns 0, or -ENODEV with a sentence on the console.
 */
int virt_select(void);

#endif
