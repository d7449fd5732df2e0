/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machine control block, as the processor reads and writes it
 *
 * Documents: AMD64 Architecture Programmer's Manual (APM) vol. 2, chapter 15 "Secure Virtual
 * Machine", appendix B "Layout of VMCB" and appendix C "SVM Intercept Exit Codes". The members
 * that nothing here uses are reserved[] whatever the manual calls them.
 */
#ifndef ARCH_SVM_VMCB_H
#define ARCH_SVM_VMCB_H

/* EXITCODE (appendix C). The assembler includes these. */
#define VMEXIT_CR4_READ	    0x004
#define VMEXIT_CR8_READ	    0x008
#define VMEXIT_CR4_WRITE    0x014
#define VMEXIT_CR8_WRITE    0x018
#define VMEXIT_EXCEPTION(v) (0x040 + (v))
#define VMEXIT_INTR	    0x060
#define VMEXIT_NMI	    0x061
#define VMEXIT_SMI	    0x062
#define VMEXIT_INIT	    0x063
#define VMEXIT_VINTR	    0x064
#define VMEXIT_RDPMC	    0x06f
#define VMEXIT_CPUID	    0x072
#define VMEXIT_IRET	    0x074
#define VMEXIT_RSM	    0x073
#define VMEXIT_INVD	    0x076
#define VMEXIT_PAUSE	    0x077
#define VMEXIT_HLT	    0x078
#define VMEXIT_INVLPGA	    0x07a
#define VMEXIT_IOIO	    0x07b
#define VMEXIT_MSR	    0x07c
#define VMEXIT_TASK_SWITCH  0x07d
#define VMEXIT_SHUTDOWN	    0x07f
#define VMEXIT_VMRUN	    0x080
#define VMEXIT_VMMCALL	    0x081
#define VMEXIT_VMLOAD	    0x082
#define VMEXIT_VMSAVE	    0x083
#define VMEXIT_STGI	    0x084
#define VMEXIT_CLGI	    0x085
#define VMEXIT_SKINIT	    0x086
#define VMEXIT_WBINVD	    0x089
#define VMEXIT_MONITOR	    0x08a
#define VMEXIT_MWAIT	    0x08b
#define VMEXIT_MWAIT_ARMED  0x08c
#define VMEXIT_XSETBV	    0x08d
#define VMEXIT_RDPRU	    0x08e
#define VMEXIT_INVLPGB	    0x0a0
#define VMEXIT_MCOMMIT	    0x0a3
#define VMEXIT_TLBSYNC	    0x0a4
#define VMEXIT_NPF	    0x400
#define VMEXIT_INVALID	    0xffffffff /* the low half of -1 */

/* VMMCALL is 0F 01 D9; the ABI knows no other encoding, so no prefixes. */
#define VMMCALL_LENGTH 3

#ifndef __ASSEMBLER__

#include "core/types.h"

/* Intercept vector 0: reads of CRn are bit n, writes bit 16 + n. */
#define INTERCEPT_CR4_READ  BIT(4)
#define INTERCEPT_CR8_READ  BIT(8)
#define INTERCEPT_CR4_WRITE BIT(20)
#define INTERCEPT_CR8_WRITE BIT(24)

/* Intercept vector 3 (offset 00Ch) */
#define INTERCEPT_INTR	      BIT(0)
#define INTERCEPT_NMI	      BIT(1)
#define INTERCEPT_SMI	      BIT(2)
#define INTERCEPT_INIT	      BIT(3)
#define INTERCEPT_VINTR	      BIT(4)
#define INTERCEPT_RDPMC	      BIT(15)
#define INTERCEPT_CPUID	      BIT(18)
#define INTERCEPT_RSM	      BIT(19)
#define INTERCEPT_IRET	      BIT(20)
#define INTERCEPT_INVD	      BIT(22)
#define INTERCEPT_PAUSE	      BIT(23)
#define INTERCEPT_HLT	      BIT(24)
#define INTERCEPT_INVLPGA     BIT(26)
#define INTERCEPT_IOIO	      BIT(27)
#define INTERCEPT_MSR	      BIT(28)
#define INTERCEPT_TASK_SWITCH BIT(29)
#define INTERCEPT_SHUTDOWN    BIT(31)

/* Intercept vector 4 (offset 010h) */
#define INTERCEPT_VMRUN	      BIT(0)
#define INTERCEPT_VMMCALL     BIT(1)
#define INTERCEPT_VMLOAD      BIT(2)
#define INTERCEPT_VMSAVE      BIT(3)
#define INTERCEPT_STGI	      BIT(4)
#define INTERCEPT_CLGI	      BIT(5)
#define INTERCEPT_SKINIT      BIT(6)
#define INTERCEPT_WBINVD      BIT(9)
#define INTERCEPT_MONITOR     BIT(10)
#define INTERCEPT_MWAIT	      BIT(11)
#define INTERCEPT_MWAIT_ARMED BIT(12)
#define INTERCEPT_XSETBV      BIT(13)
#define INTERCEPT_RDPRU	      BIT(14)

/* Intercept vector 5 (offset 014h) */
#define INTERCEPT_INVLPGB BIT(0)
#define INTERCEPT_MCOMMIT BIT(3)
#define INTERCEPT_TLBSYNC BIT(4)

/* TLB_CONTROL (15.16.2) */
#define TLB_FLUSH_NOTHING 0
#define TLB_FLUSH_ALL	  1

/* Virtual interrupt control (offset 060h) */
#define V_IRQ		BIT(8)
#define V_INTR_PRIO_MAX (15ull << 16)
#define V_IGN_TPR	BIT(20)
#define V_INTR_MASKING	BIT(24)

/* INTERRUPT_SHADOW (offset 068h) */
#define INTERRUPT_SHADOW BIT(0)

/* NP_ENABLE (offset 090h) */
#define NP_ENABLE BIT(0)

/* EVENTINJ and EXITINTINFO have one format (15.20). */
#define EVENT_VECTOR	     0xffu
#define EVENT_TYPE	     (7u << 8)
#define EVENT_TYPE_INTR	     (0u << 8)
#define EVENT_TYPE_NMI	     (2u << 8)
#define EVENT_TYPE_EXCEPTION (3u << 8)
#define EVENT_TYPE_SOFTWARE  (4u << 8)
#define EVENT_ERROR_VALID    BIT(11)
#define EVENT_VALID	     BIT(31)
#define EVENT_ERROR_SHIFT    32

/* EXITINFO1 of VMEXIT_IOIO (15.10.2); the port is in bits 31:16 */
#define IOIO_IN		BIT(0)
#define IOIO_STRING	BIT(2)
#define IOIO_REP	BIT(3)
#define IOIO_SIZE_SHIFT 4 /* one bit each for 1, 2, 4 bytes */
#define IOIO_SIZE_MASK	7
#define IOIO_PORT_SHIFT 16

/* EXITINFO1 of VMEXIT_NPF (15.25.6) */
#define NPF_WRITE      BIT(1)
#define NPF_FETCH      BIT(4)
#define NPF_TABLE_WALK BIT(33) /* met while the guest's own page tables were walked */

/* EXITINFO1 of VMEXIT_CR*_READ and _WRITE with decode assists (15.33.1) */
#define CR_EXIT_DECODED	 BIT(63)
#define CR_EXIT_GPR_MASK 0xf

#define DR6_BS BIT(14) /* a single step */
#define DR7_GD BIT(13) /* the next debug register access traps */

/* Power-on contents of DR6 and DR7. */
#define DR6_INIT 0xffff0ff0ull
#define DR7_INIT 0x400ull

struct vmcb_segment {
	uint16_t selector;
	uint16_t attr; /* descriptor bits 55:52 and 47:40 */
	uint32_t limit;
	uint64_t base;
};

struct vmcb_control {
	uint32_t intercept_cr;	      /* 000 */
	uint32_t intercept_dr;	      /* 004 */
	uint32_t intercept_exception; /* 008 */
	uint32_t intercept3;	      /* 00c */
	uint32_t intercept4;	      /* 010 */
	uint32_t intercept5;	      /* 014 */
	uint8_t reserved0[0x24];
	uint16_t pause_filter_threshold; /* 03c */
	uint16_t pause_filter_count;	 /* 03e */
	uint64_t iopm_base;		 /* 040 */
	uint64_t msrpm_base;		 /* 048 */
	uint64_t tsc_offset;		 /* 050 */
	uint32_t asid;			 /* 058 */
	uint8_t tlb_control;		 /* 05c */
	uint8_t reserved1[3];
	uint32_t int_control;	   /* 060: V_* */
	uint32_t int_vector;	   /* 064 */
	uint64_t interrupt_shadow; /* 068 */
	uint32_t exit_code;	   /* 070 */
	uint32_t exit_code_high;
	uint64_t exit_info1;	/* 078 */
	uint64_t exit_info2;	/* 080 */
	uint64_t exit_int_info; /* 088 */
	uint64_t np_enable;	/* 090 */
	uint8_t reserved2[0x10];
	uint64_t event_inj;	/* 0a8 */
	uint64_t nested_cr3;	/* 0b0 */
	uint64_t virt_ext;	/* 0b8: LBR virtualisation and VMLOAD/VMSAVE virtualisation */
	uint64_t clean;		/* 0c0: 0 makes VMRUN read everything */
	uint64_t next_rip;	/* 0c8 */
	uint8_t insn_count;	/* 0d0 */
	uint8_t insn_bytes[15]; /* 0d1 */
	uint8_t reserved3[0x320];
};

struct vmcb_save {
	struct vmcb_segment es;	  /* 000 */
	struct vmcb_segment cs;	  /* 010 */
	struct vmcb_segment ss;	  /* 020 */
	struct vmcb_segment ds;	  /* 030 */
	struct vmcb_segment fs;	  /* 040 (VMSAVE) */
	struct vmcb_segment gs;	  /* 050 (VMSAVE) */
	struct vmcb_segment gdtr; /* 060: base and limit */
	struct vmcb_segment ldtr; /* 070 (VMSAVE) */
	struct vmcb_segment idtr; /* 080: base and limit */
	struct vmcb_segment tr;	  /* 090 (VMSAVE) */
	uint8_t reserved0[0x2b];
	uint8_t cpl; /* 0cb */
	uint8_t reserved1[4];
	uint64_t efer; /* 0d0 */
	uint8_t reserved2[0x70];
	uint64_t cr4;	 /* 148 */
	uint64_t cr3;	 /* 150 */
	uint64_t cr0;	 /* 158 */
	uint64_t dr7;	 /* 160 */
	uint64_t dr6;	 /* 168 */
	uint64_t rflags; /* 170 */
	uint64_t rip;	 /* 178 */
	uint8_t reserved3[0x58];
	uint64_t rsp; /* 1d8 */
	uint8_t reserved4[0x18];
	uint64_t rax;		 /* 1f8 */
	uint64_t star;		 /* 200 (VMSAVE, to sysenter_eip) */
	uint64_t lstar;		 /* 208 */
	uint64_t cstar;		 /* 210 */
	uint64_t sfmask;	 /* 218 */
	uint64_t kernel_gs_base; /* 220 */
	uint64_t sysenter_cs;	 /* 228 */
	uint64_t sysenter_esp;	 /* 230 */
	uint64_t sysenter_eip;	 /* 238 */
	uint64_t cr2;		 /* 240 */
	uint8_t reserved5[0x20];
	uint64_t g_pat;	   /* 268 */
	uint64_t debugctl; /* 270 */
	uint8_t reserved6[0x988];
};

struct vmcb {
	struct vmcb_control control;
	struct vmcb_save save;
};

#define VMCB_CONTROL_AT(member, offset)                                                            \
	_Static_assert(offsetof(struct vmcb, control.member) == (offset), "VMCB control." #member)
#define VMCB_SAVE_AT(member, offset)                                                               \
	_Static_assert(offsetof(struct vmcb, save.member) == 0x400 + (offset), "VMCB save." #member)

VMCB_CONTROL_AT(intercept5, 0x014);
VMCB_CONTROL_AT(pause_filter_threshold, 0x03c);
VMCB_CONTROL_AT(iopm_base, 0x040);
VMCB_CONTROL_AT(tsc_offset, 0x050);
VMCB_CONTROL_AT(asid, 0x058);
VMCB_CONTROL_AT(tlb_control, 0x05c);
VMCB_CONTROL_AT(int_control, 0x060);
VMCB_CONTROL_AT(int_vector, 0x064);
VMCB_CONTROL_AT(interrupt_shadow, 0x068);
VMCB_CONTROL_AT(exit_code, 0x070);
VMCB_CONTROL_AT(exit_info1, 0x078);
VMCB_CONTROL_AT(exit_int_info, 0x088);
VMCB_CONTROL_AT(np_enable, 0x090);
VMCB_CONTROL_AT(event_inj, 0x0a8);
VMCB_CONTROL_AT(nested_cr3, 0x0b0);
VMCB_CONTROL_AT(clean, 0x0c0);
VMCB_CONTROL_AT(next_rip, 0x0c8);
VMCB_CONTROL_AT(insn_count, 0x0d0);
VMCB_CONTROL_AT(insn_bytes, 0x0d1);
VMCB_SAVE_AT(es, 0x000);
VMCB_SAVE_AT(tr, 0x090);
VMCB_SAVE_AT(cpl, 0x0cb);
VMCB_SAVE_AT(efer, 0x0d0);
VMCB_SAVE_AT(cr4, 0x148);
VMCB_SAVE_AT(dr6, 0x168);
VMCB_SAVE_AT(rflags, 0x170);
VMCB_SAVE_AT(rip, 0x178);
VMCB_SAVE_AT(rsp, 0x1d8);
VMCB_SAVE_AT(rax, 0x1f8);
VMCB_SAVE_AT(kernel_gs_base, 0x220);
VMCB_SAVE_AT(sysenter_eip, 0x238);
VMCB_SAVE_AT(cr2, 0x240);
VMCB_SAVE_AT(g_pat, 0x268);
_Static_assert(sizeof(struct vmcb) == PAGE_SIZE, "a VMCB is one page");

#endif /* __ASSEMBLER__ */
#endif
