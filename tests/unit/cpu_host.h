/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The surroundings of arch/x86_64/vcpu in a unit test: a processor of the test's making, a guest
 * with a few blocks of RAM, a backend that remembers what it was told, devices that keep a log.
 */
#ifndef TESTS_UNIT_CPU_HOST_H
#define TESTS_UNIT_CPU_HOST_H

#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/virt.h"
#include "core/errno.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define HOST_BLOCKS   2u
#define HOST_RAM      (HOST_BLOCKS * BLOCK_SIZE)
#define HOST_TSC_KHZ  2600000u
#define HOST_WALL     1700000000u /* time of day at policy_init() */
#define HOST_START    1000000ull  /* host TSC at policy_init() */
#define HOST_ARCH_CAP UINT64_MAX  /* the host's IA32_ARCH_CAPABILITIES */

#define HOST_PORT 0x80u

#define HOST_VENDOR_INTEL                                                                          \
	{                                                                                          \
		0x1f, 0x756e6547, 0x6c65746e, 0x49656e69                                           \
	}
#define HOST_VENDOR_AMD                                                                            \
	{                                                                                          \
		0x10, 0x68747541, 0x444d4163, 0x69746e65                                           \
	}

struct host_access {
	gpa_t gpa;
	unsigned int size;
	bool write;
	uint64_t value;
};

struct host {
	struct cpuid_regs (*cpuid)(uint32_t leaf, uint32_t subleaf);
	uint64_t now;
	struct vcpu_state state; /* the vCPU's, as the backend has it */
	uint8_t cpl;
	unsigned int offset_updates;   /* virt->set_tsc_offset() */
	unsigned int deadline_updates; /* lapic_tsc_changed() */
	uint64_t host_spec_ctrl;       /* mitigations_host_spec_ctrl() */
	unsigned int rdmsr_count;      /* host_rdmsr() */
	uint32_t wrmsr_number;	       /* host_wrmsr(), the last */
	uint64_t wrmsr_value;
	unsigned int wrmsr_count;
	uint64_t xcr0;			    /* the processor's */
	uint64_t saved, restored;	    /* components of the last host_fpu_save(), _restore() */
	uint64_t saved_xcr0, restored_xcr0; /* XCR0 at that time */
	unsigned int pointers_forgotten;    /* host_fpu_forget_pointers() */
	uint64_t bus_value;		    /* what devices answer */
	char ports_written[256];  /* bytes that went to HOST_PORT, then those read from it */
	unsigned int ports_count; /* accesses to ports */
	int fault;		  /* vector of the exception injected; -1: none */
	int64_t fault_code;
	unsigned int steps_ended;  /* virt->end_step() */
	struct host_access log[4]; /* accesses to devices */
	unsigned int accesses;
};

extern struct host host;
extern struct vm host_vm;
extern struct vcpu host_vcpu;

/* host_reset - a new machine; RAM zeroed. @vcpus: of the guest; host_vcpu is number 0. */
void host_reset(uint32_t vcpus);

/* host_ram - a byte of guest RAM; @gpa below HOST_RAM. */
uint8_t *host_ram(gpa_t gpa);

/* host_cpuid_intel, host_cpuid_amd - processors that set every bit of every leaf. */
struct cpuid_regs host_cpuid_intel(uint32_t leaf, uint32_t subleaf);
struct cpuid_regs host_cpuid_amd(uint32_t leaf, uint32_t subleaf);

#endif
