/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts another CPU.
 * Documents: SDM vol. 3A, "MP Initialization Protocol Algorithm".
 */
#include "tests/guest/lib/smp.h"
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/trap.h"

#define TRAMPOLINE 0x8000u /* RAM below 1 MiB that nothing else uses */
#define PAGE_SHIFT 12

extern const uint8_t smp_trampoline[], smp_trampoline_end[];
void smp_main(void);

static void (*volatile entry)(void);

/* The first C code of the other CPU. */
void smp_main(void)
{
	trap_init_cpu();
	entry();
}

uint32_t smp_start_page(void)
{
	return TRAMPOLINE >> PAGE_SHIFT;
}

void smp_start(uint32_t id, void (*function)(void))
{
	entry = function;
	memcpy((void *)(uint64_t)TRAMPOLINE, smp_trampoline,
	       (size_t)(smp_trampoline_end - smp_trampoline));
	apic_send(id, APIC_ICR_INIT);
	apic_send(id, APIC_ICR_STARTUP | smp_start_page());
}
