/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptor tables, and what happens on an interrupt or exception.
 * Documents: SDM vol. 3A, chapter "Interrupt and Exception Handling", "Task Management in 64-bit
 * Mode".
 */
#include "tests/guest/lib/trap.h"
#include "tests/guest/lib/selectors.h"
#include "tests/guest/lib/test.h"

#define VECTORS		 256
#define FIRST_INTERRUPT	 32
#define STUB_BYTES	 16 /* as in trap_entry.S */
#define GATE_INTERRUPT	 0x8e
#define GATE_USER	 0xee
#define TSS_AVAILABLE	 0x89
#define TRAP_STACK_BYTES 8192

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, attr;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

struct tss {
	uint32_t reserved;
	uint64_t rsp[3];
	uint64_t reserved_2[9]; /* interrupt stack table, unused */
	uint16_t reserved_3, io_map;
} __attribute__((packed));

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

_Static_assert(sizeof(struct gate) == 16, "64-bit gate");
_Static_assert(sizeof(struct tss) == 0x68, "64-bit task state segment");

struct fixup {
	uint64_t fault, resume;
};

extern const uint8_t trap_stubs[];
extern uint64_t gdt[];
extern const struct fixup fixups_start[], fixups_end[];
void user_leave(void);
void trap_dispatch(struct trap_frame *frame);

volatile int trap_vector = NO_VECTOR;

static struct gate idt[VECTORS];
static struct tss tss;
static uint8_t trap_stack[TRAP_STACK_BYTES] __attribute__((aligned(16)));
static void (*handlers[VECTORS])(void);

static void set_gate(unsigned int vector, uint64_t address, uint8_t attr)
{
	idt[vector] = (struct gate){
		.offset_low = (uint16_t)address,
		.selector = SELECTOR_CODE,
		.attr = attr,
		.offset_mid = (uint16_t)(address >> 16),
		.offset_high = (uint32_t)(address >> 32),
	};
}

void trap_init_cpu(void)
{
	struct table_pointer pointer = {.limit = sizeof(idt) - 1, .base = (uint64_t)idt};

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void trap_init(void)
{
	uint64_t base = (uint64_t)&tss;

	for (unsigned int i = 0; i < VECTORS; i++)
		set_gate(i, (uint64_t)trap_stubs + i * STUB_BYTES, GATE_INTERRUPT);
	set_gate(VECTOR_LEAVE_USER, (uint64_t)user_leave, GATE_USER);
	trap_init_cpu();

	tss.rsp[0] = (uint64_t)(trap_stack + sizeof(trap_stack));
	tss.io_map = sizeof(tss);
	gdt[SELECTOR_TSS / 8] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 |
				(uint64_t)TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
	gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
}

void trap_set_handler(uint8_t vector, void (*handler)(void))
{
	handlers[vector] = handler;
}

void trap_dispatch(struct trap_frame *frame)
{
	const struct fixup *fixup;

	if (handlers[frame->vector]) {
		handlers[frame->vector]();
		return;
	}
	for (fixup = fixups_start; fixup < fixups_end; fixup++) {
		if (fixup->fault == frame->rip && frame->vector < FIRST_INTERRUPT) {
			trap_vector = (int)frame->vector;
			frame->rip = fixup->resume;
			return;
		}
	}
	test_error("vector %lu, error code 0x%lx, at 0x%lx", frame->vector, frame->error_code,
		   frame->rip);
	test_finish();
}
