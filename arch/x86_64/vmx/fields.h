/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of VMX: VMCS fields, control bits, exit reasons. No C in here, so that entry.S may
 * include it too. Only what the tree uses, but for the exit reasons, which are all listed.
 *
 * Source: SDM vol. 3C, chapter "Virtual-Machine Control Structures"; vol. 3D, appendices A
 * (capabilities), B (field encodings), C (exit reasons).
 */
#ifndef ARCH_VMX_FIELDS_H
#define ARCH_VMX_FIELDS_H

/* 16 bits: control, guest, host. Guest segments follow each other in the order of enum segment. */
#define VMCS_VPID		    0x0000
#define VMCS_GUEST_SELECTOR	    0x0800 /* + 2 * enum segment */
#define VMCS_GUEST_INTERRUPT_STATUS 0x0810 /* requested vector, above it the one in service */
#define VMCS_HOST_ES		    0x0c00
#define VMCS_HOST_CS		    0x0c02
#define VMCS_HOST_SS		    0x0c04
#define VMCS_HOST_DS		    0x0c06
#define VMCS_HOST_FS		    0x0c08
#define VMCS_HOST_GS		    0x0c0a
#define VMCS_HOST_TR		    0x0c0c

/* 64 bits: control, read-only, guest, host */
#define VMCS_MSR_BITMAP		0x2004
#define VMCS_TSC_OFFSET		0x2010
#define VMCS_VIRTUAL_APIC	0x2012
#define VMCS_EPTP		0x201a
#define VMCS_EOI_EXITS		0x201c /* + 2 * its number: 4 times 64 vectors */
#define VMCS_GUEST_PHYS_ADDRESS 0x2400
#define VMCS_LINK_POINTER	0x2800
#define VMCS_GUEST_DEBUGCTL	0x2802
#define VMCS_GUEST_EFER		0x2806
#define VMCS_GUEST_PDPTE	0x280a /* + 2 * its number */
#define VMCS_HOST_EFER		0x2c02

/* 32 bits: control */
#define VMCS_PIN_CONTROLS	  0x4000
#define VMCS_PRIMARY_CONTROLS	  0x4002
#define VMCS_EXCEPTION_BITMAP	  0x4004
#define VMCS_PF_ERROR_MASK	  0x4006
#define VMCS_PF_ERROR_MATCH	  0x4008
#define VMCS_CR3_TARGET_COUNT	  0x400a
#define VMCS_EXIT_CONTROLS	  0x400c
#define VMCS_EXIT_MSR_STORE_COUNT 0x400e
#define VMCS_EXIT_MSR_LOAD_COUNT  0x4010
#define VMCS_ENTRY_CONTROLS	  0x4012
#define VMCS_ENTRY_MSR_LOAD_COUNT 0x4014
#define VMCS_ENTRY_EVENT	  0x4016
#define VMCS_ENTRY_EVENT_ERROR	  0x4018
#define VMCS_ENTRY_EVENT_INSN_LEN 0x401a
#define VMCS_TPR_THRESHOLD	  0x401c
#define VMCS_SECONDARY_CONTROLS	  0x401e
#define VMCS_PLE_GAP		  0x4020
#define VMCS_PLE_WINDOW		  0x4022

/* 32 bits: read-only */
#define VMCS_INSN_ERROR		   0x4400
#define VMCS_EXIT_REASON	   0x4402
#define VMCS_EXIT_EVENT		   0x4404
#define VMCS_EXIT_EVENT_ERROR	   0x4406
#define VMCS_VECTORING_EVENT	   0x4408
#define VMCS_VECTORING_EVENT_ERROR 0x440a
#define VMCS_EXIT_INSN_LEN	   0x440c

/* 32 bits: guest, host */
#define VMCS_GUEST_LIMIT	    0x4800 /* + 2 * enum segment */
#define VMCS_GUEST_GDTR_LIMIT	    0x4810
#define VMCS_GUEST_IDTR_LIMIT	    0x4812
#define VMCS_GUEST_ATTR		    0x4814 /* + 2 * enum segment */
#define VMCS_GUEST_CS_ATTR	    0x4816
#define VMCS_GUEST_SS_ATTR	    0x4818
#define VMCS_GUEST_TR_ATTR	    0x4822
#define VMCS_GUEST_INTERRUPTIBILITY 0x4824
#define VMCS_GUEST_ACTIVITY	    0x4826
#define VMCS_GUEST_SYSENTER_CS	    0x482a
#define VMCS_PREEMPTION_TIMER	    0x482e
#define VMCS_HOST_SYSENTER_CS	    0x4c00

/* Natural width: control, read-only */
#define VMCS_CR0_MASK		0x6000
#define VMCS_CR4_MASK		0x6002
#define VMCS_CR0_SHADOW		0x6004
#define VMCS_CR4_SHADOW		0x6006
#define VMCS_EXIT_QUALIFICATION 0x6400
#define VMCS_GUEST_LINEAR	0x640a

/* Natural width: guest */
#define VMCS_GUEST_CR0		 0x6800
#define VMCS_GUEST_CR3		 0x6802
#define VMCS_GUEST_CR4		 0x6804
#define VMCS_GUEST_BASE		 0x6806 /* + 2 * enum segment */
#define VMCS_GUEST_CS_BASE	 0x6808
#define VMCS_GUEST_GDTR_BASE	 0x6816
#define VMCS_GUEST_IDTR_BASE	 0x6818
#define VMCS_GUEST_DR7		 0x681a
#define VMCS_GUEST_RSP		 0x681c
#define VMCS_GUEST_RIP		 0x681e
#define VMCS_GUEST_RFLAGS	 0x6820
#define VMCS_GUEST_PENDING_DEBUG 0x6822
#define VMCS_GUEST_SYSENTER_ESP	 0x6824
#define VMCS_GUEST_SYSENTER_EIP	 0x6826

/* Natural width: host */
#define VMCS_HOST_CR0	       0x6c00
#define VMCS_HOST_CR3	       0x6c02
#define VMCS_HOST_CR4	       0x6c04
#define VMCS_HOST_FS_BASE      0x6c06
#define VMCS_HOST_GS_BASE      0x6c08
#define VMCS_HOST_TR_BASE      0x6c0a
#define VMCS_HOST_GDTR_BASE    0x6c0c
#define VMCS_HOST_IDTR_BASE    0x6c0e
#define VMCS_HOST_SYSENTER_ESP 0x6c10
#define VMCS_HOST_SYSENTER_EIP 0x6c12
#define VMCS_HOST_RSP	       0x6c14
#define VMCS_HOST_RIP	       0x6c16

/* Pin-based execution controls (bit numbers, as are all the controls below) */
#define PIN_EXTERNAL_INTERRUPT 0
#define PIN_NMI		       3
#define PIN_VIRTUAL_NMI	       5
#define PIN_PREEMPTION_TIMER   6

/* Primary processor-based execution controls */
#define PRIMARY_INTERRUPT_WINDOW 2
#define PRIMARY_TSC_OFFSETTING	 3
#define PRIMARY_HLT		 7
#define PRIMARY_INVLPG		 9
#define PRIMARY_MWAIT		 10
#define PRIMARY_RDPMC		 11
#define PRIMARY_RDTSC		 12
#define PRIMARY_CR3_LOAD	 15
#define PRIMARY_CR3_STORE	 16
#define PRIMARY_CR8_LOAD	 19
#define PRIMARY_CR8_STORE	 20
#define PRIMARY_TPR_SHADOW	 21
#define PRIMARY_NMI_WINDOW	 22
#define PRIMARY_MOV_DR		 23
#define PRIMARY_IO		 24
#define PRIMARY_IO_BITMAPS	 25
#define PRIMARY_MONITOR_TRAP	 27
#define PRIMARY_MSR_BITMAPS	 28
#define PRIMARY_MONITOR		 29
#define PRIMARY_PAUSE		 30
#define PRIMARY_SECONDARY	 31

/* Secondary processor-based execution controls */
#define SECONDARY_EPT		     1
#define SECONDARY_RDTSCP	     3
#define SECONDARY_X2APIC	     4
#define SECONDARY_VPID		     5
#define SECONDARY_WBINVD	     6
#define SECONDARY_UNRESTRICTED_GUEST 7
#define SECONDARY_APIC_REGISTERS     8
#define SECONDARY_VIRTUAL_INTERRUPTS 9
#define SECONDARY_PAUSE_LOOP	     10
#define SECONDARY_INVPCID	     12

/* VM-exit and VM-entry controls */
#define EXIT_CTL_SAVE_DEBUG    2
#define EXIT_CTL_HOST_64BIT    9
#define EXIT_CTL_ACK_INTERRUPT 15
#define EXIT_CTL_SAVE_EFER     20
#define EXIT_CTL_LOAD_EFER     21
#define EXIT_CTL_SAVE_TIMER    22
#define ENTRY_CTL_LOAD_DEBUG   2
#define ENTRY_CTL_IA32E_GUEST  9
#define ENTRY_CTL_LOAD_EFER    15

/* MSR_VMX_EPT_VPID_CAP */
#define EPT_CAP_WALK_4		6
#define EPT_CAP_WRITE_BACK	14
#define EPT_CAP_2M		16
#define EPT_CAP_INVEPT		20
#define EPT_CAP_INVEPT_SINGLE	25
#define EPT_CAP_INVEPT_ALL	26
#define VPID_CAP_INVVPID	32
#define VPID_CAP_INVVPID_SINGLE 41
#define VPID_CAP_INVVPID_ALL	42

/* Exit reasons. Bit 31 is set when the VM entry failed. */
#define EXIT_REASON_ENTRY_FAILURE	 0x80000000
#define EXIT_REASON_MASK		 0xffff
#define EXIT_REASON_EXCEPTION_NMI	 0
#define EXIT_REASON_EXTERNAL_INTERRUPT	 1
#define EXIT_REASON_TRIPLE_FAULT	 2
#define EXIT_REASON_INIT		 3
#define EXIT_REASON_SIPI		 4
#define EXIT_REASON_IO_SMI		 5
#define EXIT_REASON_OTHER_SMI		 6
#define EXIT_REASON_INTERRUPT_WINDOW	 7
#define EXIT_REASON_NMI_WINDOW		 8
#define EXIT_REASON_TASK_SWITCH		 9
#define EXIT_REASON_CPUID		 10
#define EXIT_REASON_GETSEC		 11
#define EXIT_REASON_HLT			 12
#define EXIT_REASON_INVD		 13
#define EXIT_REASON_INVLPG		 14
#define EXIT_REASON_RDPMC		 15
#define EXIT_REASON_RDTSC		 16
#define EXIT_REASON_RSM			 17
#define EXIT_REASON_VMCALL		 18
#define EXIT_REASON_VMCLEAR		 19
#define EXIT_REASON_VMLAUNCH		 20
#define EXIT_REASON_VMPTRLD		 21
#define EXIT_REASON_VMPTRST		 22
#define EXIT_REASON_VMREAD		 23
#define EXIT_REASON_VMRESUME		 24
#define EXIT_REASON_VMWRITE		 25
#define EXIT_REASON_VMXOFF		 26
#define EXIT_REASON_VMXON		 27
#define EXIT_REASON_CR_ACCESS		 28
#define EXIT_REASON_MOV_DR		 29
#define EXIT_REASON_IO			 30
#define EXIT_REASON_RDMSR		 31
#define EXIT_REASON_WRMSR		 32
#define EXIT_REASON_INVALID_GUEST_STATE	 33
#define EXIT_REASON_MSR_LOADING		 34
#define EXIT_REASON_MWAIT		 36
#define EXIT_REASON_MONITOR_TRAP	 37
#define EXIT_REASON_MONITOR		 39
#define EXIT_REASON_PAUSE		 40
#define EXIT_REASON_MACHINE_CHECK	 41
#define EXIT_REASON_TPR_BELOW_THRESHOLD	 43
#define EXIT_REASON_APIC_ACCESS		 44
#define EXIT_REASON_VIRTUALIZED_EOI	 45
#define EXIT_REASON_GDTR_IDTR		 46
#define EXIT_REASON_LDTR_TR		 47
#define EXIT_REASON_EPT_VIOLATION	 48
#define EXIT_REASON_EPT_MISCONFIGURATION 49
#define EXIT_REASON_INVEPT		 50
#define EXIT_REASON_RDTSCP		 51
#define EXIT_REASON_PREEMPTION_TIMER	 52
#define EXIT_REASON_INVVPID		 53
#define EXIT_REASON_WBINVD		 54
#define EXIT_REASON_XSETBV		 55
#define EXIT_REASON_APIC_WRITE		 56
#define EXIT_REASON_RDRAND		 57
#define EXIT_REASON_INVPCID		 58
#define EXIT_REASON_VMFUNC		 59
#define EXIT_REASON_ENCLS		 60
#define EXIT_REASON_RDSEED		 61
#define EXIT_REASON_PML_FULL		 62
#define EXIT_REASON_XSAVES		 63
#define EXIT_REASON_XRSTORS		 64
#define EXIT_REASON_PCONFIG		 65
#define EXIT_REASON_SPP			 66
#define EXIT_REASON_UMWAIT		 67
#define EXIT_REASON_TPAUSE		 68
#define EXIT_REASON_LOADIWKEY		 69
#define EXIT_REASON_ENQCMD_PASID	 72
#define EXIT_REASON_ENQCMDS_PASID	 73
#define EXIT_REASON_BUS_LOCK		 74
#define EXIT_REASON_INSN_TIMEOUT	 75
#define EXIT_REASON_COUNT		 76

/*
 * An event, in the format shared by the entry, exit and vectoring information fields and by
 * arch.event (SDM vol. 3C, "VM-Entry Controls for Event Injection").
 */
#define EVENT_VECTOR		 0x000000ff
#define EVENT_TYPE		 0x00000700
#define EVENT_TYPE_INTERRUPT	 0x00000000
#define EVENT_TYPE_NMI		 0x00000200
#define EVENT_TYPE_EXCEPTION	 0x00000300
#define EVENT_TYPE_SOFT_INT	 0x00000400
#define EVENT_TYPE_PRIV_SOFT_EXC 0x00000500 /* INT1 */
#define EVENT_TYPE_SOFT_EXC	 0x00000600 /* INT3, INTO */
#define EVENT_ERROR_CODE	 0x00000800
#define EVENT_NMI_UNBLOCKED	 0x00001000 /* exit information: IRET had ended NMI blocking */
#define EVENT_VALID		 0x80000000

/* VMCS_GUEST_INTERRUPTIBILITY */
#define INTERRUPTIBILITY_STI	0x1
#define INTERRUPTIBILITY_MOV_SS 0x2
#define INTERRUPTIBILITY_SHADOW (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)
#define INTERRUPTIBILITY_NMI	0x8

/* VMCS_GUEST_PENDING_DEBUG and exit qualification of #DB: the layout of DR6 */
#define DEBUG_CONDITIONS 0xf
#define DEBUG_BD	 0x2000
#define DEBUG_BS	 0x4000
#define DR6_RESET	 0xffff0ff0
#define DR7_RESET	 0x400
#define DR7_GD		 0x2000

/* Segment access rights (VMCS_GUEST_ATTR) */
#define ATTR_TYPE      0xf
#define ATTR_DPL       0x60
#define ATTR_DPL_SHIFT 5
#define ATTR_LONG      0x2000

/* Returned by vmx_enter() instead of an exit reason: VMLAUNCH or VMRESUME itself failed. */
#define VMX_ENTER_FAILED 0xffffffff

#endif
