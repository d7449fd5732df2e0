/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backtraces: the compiler keeps frame pointers, tools/gen_symbols.py adds the names
 */
#include "arch/x86_64/cpu/backtrace.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/percpu.h"
#include "core/console.h"

#define BACKTRACE_MAX_DEPTH 32

/* Generated; sorted by address. */
struct symbol {
	uint32_t address; /* from IMAGE_BASE */
	uint32_t name;	  /* from symbol_names */
};

extern const uint64_t symbol_count;
extern const struct symbol symbol_table[];
extern const char symbol_names[];

extern const char text_start[], text_end[];
extern const char boot_stack[], boot_stack_top[];

/* What a function with a frame pointer leaves on the stack. */
struct stack_frame {
	uint64_t caller_rbp;
	uint64_t return_address;
};

const char *symbol_name(uint64_t address, uint64_t *offset)
{
	uint64_t low = 0, high = symbol_count;

	if (address < (uint64_t)text_start || address >= (uint64_t)text_end)
		return NULL;
	while (low < high) { /* finds the first symbol behind the address */
		uint64_t middle = low + (high - low) / 2;

		if (IMAGE_BASE + symbol_table[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	*offset = address - IMAGE_BASE - symbol_table[low - 1].address;
	return symbol_names + symbol_table[low - 1].name;
}

static void print_address(uint64_t address, bool is_return_address)
{
	uint64_t offset;
	/* A call that never returns may be the last instruction of its function. */
	const char *name = symbol_name(address - is_return_address, &offset);

	if (name)
		printk("  %016llx %s+0x%llx\n", (unsigned long long)address, name,
		       (unsigned long long)(offset + is_return_address));
	else
		printk("  %016llx\n", (unsigned long long)address);
}

static bool on_a_stack(uint64_t address)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);

	if (!IS_ALIGNED(address, sizeof(uint64_t)))
		return false;
	if (address >= (uint64_t)boot_stack &&
	    address + sizeof(struct stack_frame) <= (uint64_t)boot_stack_top)
		return true;
	return here >= PCPU_BASE && here < IMAGE_BASE &&
	       ALIGN_DOWN(address, PCPU_REGION_SIZE) == ALIGN_DOWN(here, PCPU_REGION_SIZE) &&
	       percpu_is_stack(address, sizeof(struct stack_frame));
}

void backtrace_print(uint64_t rip, uint64_t rbp)
{
	printk("backtrace:\n");
	if (rip)
		print_address(rip, false);
	for (int depth = 0; depth < BACKTRACE_MAX_DEPTH && on_a_stack(rbp); depth++) {
		const struct stack_frame *frame = (const struct stack_frame *)rbp;

		if (!frame->return_address)
			return;
		print_address(frame->return_address, true);
		if (frame->caller_rbp <= rbp)
			return;
		rbp = frame->caller_rbp;
	}
}
