/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the devices call, played by the tests: a guest, the console, the time
 */
#ifndef TESTS_UNIT_DEV_HOST_H
#define TESTS_UNIT_DEV_HOST_H

#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define HOST_TSC_KHZ 1000000u /* one tick a nanosecond */

/* What the devices have done since host_reset(). */
struct host {
	uint64_t now;	 /* what time_ticks() returns */
	uint32_t kicked; /* a bit for each vCPU */
	unsigned int kicks;
	unsigned int stops;
	char stop_reason[80];
	enum vm_end end; /* of the last vm_stop() */
	char console[8192];
	size_t console_len;
	unsigned int console_writes;
	bool console_slow; /* what is written is not shown before a test sets console_shown */
	size_t console_shown;
	bool no_frames; /* frame_alloc() finds none */
	bool direct;	/* virt->apic_direct() gives host_apic_page */
	unsigned int indirects;
};

extern struct host host;
extern uint32_t host_apic_page[PAGE_SIZE / sizeof(uint32_t)];
extern struct vm host_vm;
extern struct guest_config host_config; /* its configuration */
extern struct vcpu host_vcpus[CONFIG_MAX_VCPUS];

/* host_reset - a guest named "web" with CONFIG_MAX_VCPUS vCPUs; all devices in power-on state. */
void host_reset(void);

#endif
