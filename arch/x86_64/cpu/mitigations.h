/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Speculation: what this machine's processors need, decided once per boot
 *
 * docs/security.md says what is on when, why, and what is left open. A part of the work is done by
 * variants of the world switch (entry.S of both backends), so that a machine that needs nothing
 * pays nothing: no branch, no empty instruction.
 */
#ifndef ARCH_CPU_MITIGATIONS_H
#define ARCH_CPU_MITIGATIONS_H

/* What a variant of the world switch does; the variant's number is the sum. */
#define SWITCH_RSB   1 /* fill the return stack before the first unbalanced RET */
#define SWITCH_IBRS  2 /* set SPEC_CTRL.IBRS at each exit, and the guest's value at each entry */
#define SWITCH_CLEAR 4 /* VMX: VERW at each entry, and the L1D flush where asked for */

#define SVM_SWITCH_COUNT 4
#define VMX_SWITCH_COUNT 8

#define RSB_ENTRIES 32 /* at least as many as any processor has */

#ifndef __ASSEMBLY__
#include "core/types.h"

enum mitigation {
	MITIGATION_HOST_IBRS, /* SPEC_CTRL.IBRS set once, and left set for guests */
	MITIGATION_AUTO_IBRS, /* AMD: EFER.AIBRSE */
	MITIGATION_EXIT_IBRS,
	MITIGATION_RSB,
	MITIGATION_IBPB, /* between VMs on one CPU */
	MITIGATION_VERW,
	MITIGATION_L1D,
	MITIGATION_LFENCE, /* AMD: LFENCE waits, as the compiler's and our barriers expect */
	MITIGATION_COUNT
};

/* What a CPU tells about itself. */
struct speculation_facts {
	bool amd;		    /* or Hygon; else taken for Intel */
	bool spec_ctrl;		    /* has SPEC_CTRL with IBRS */
	bool ibpb;		    /* has PRED_CMD */
	bool flush_cmd;		    /* has FLUSH_CMD */
	bool md_clear;		    /* VERW clears buffers */
	bool rtm;		    /* has TSX */
	uint64_t arch_capabilities; /* Intel; 0 where there is none: counts as affected */
	bool auto_ibrs;
	bool ibrs_always_on; /* AMD: IBRS may be set once and stay */
	bool lfence_serial;  /* AMD: LFENCE waits without being told */
};

/* mitigations_decide - the set, a bit for each enum mitigation, that such a CPU needs. */
uint32_t mitigations_decide(const struct speculation_facts *facts);

/*
 * mitigations_init - decide for all CPUs, print one line
 * @off: the boot line says so; nothing is done then
 * Context: boot CPU, once, before mitigations_init_cpu().
 */
void mitigations_init(bool off);

/*
 * mitigations_init_cpu - what is set once on each CPU
 * Returns 0, or -ENODEV with a sentence when this CPU needs other things than the first one.
 */
int mitigations_init_cpu(void);

/* mitigations_switch - number of the world switch's variant: SWITCH_* bits. */
unsigned int mitigations_switch(void);

/*
 * mitigations_host_spec_ctrl - the SPEC_CTRL bits that stay set while the hypervisor runs
 * 0 where the CPU has no such register.
 */
uint64_t mitigations_host_spec_ctrl(void);

/*
 * mitigations_load - for vcpu_load(): forget branches that another VM taught this CPU
 * @vm_id:     of the vCPU's VM
 * @spec_ctrl: the guest's SPEC_CTRL; takes effect now
 */
void mitigations_load(uint32_t vm_id, uint64_t spec_ctrl);

/* mitigations_unload - for vcpu_unload(): the host's SPEC_CTRL again. @spec_ctrl: the guest's. */
void mitigations_unload(uint64_t spec_ctrl);

/* Read by vmx/entry.S: is the L1 data cache flushed at entries? */
extern uint8_t mitigations_flush_l1d;

#endif /* __ASSEMBLY__ */
#endif
