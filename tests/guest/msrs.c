/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile: reads every MSR of the architectural ranges and of those that hypervisors use, and
 * writes it with odd values. Each access has to be done or to raise #GP.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define MSR_TSC	      0x10
#define PATTERN_WORDS 4096
#define NON_CANONICAL 0x8000000000000000ull

const char test_name[] = "msrs";

static uint64_t pattern[PATTERN_WORDS];

/* Known exceptions for what is not allowed, none for what is. */
static bool is_answer(int vector)
{
	return vector == NO_VECTOR || vector == VECTOR_GP;
}

/* Puts back what it was: this guest is to get to its end. */
static void write_odd_values(uint32_t msr, bool readable, uint64_t before)
{
	const uint64_t values[] = {0, test_random(), 1, UINT64_MAX, NON_CANONICAL, UINT32_MAX};
	size_t count = readable ? sizeof(values) / sizeof(values[0]) : 2;

	for (size_t i = 0; i < count; i++) {
		int vector = wrmsr_safe(msr, values[i]);

		if (!is_answer(vector))
			test_failure("WRMSR 0x%x of 0x%lx: exception %d", msr, values[i], vector);
	}
	if (readable && msr != MSR_TSC)
		wrmsr_safe(msr, before);
}

void test_main(void)
{
	static const struct {
		uint32_t first, count;
	} ranges[] = {
		{0, 0x2000},	     {0xc0000000, 0x2000}, {0xc0010000, 0x400}, {0x40000000, 0x400},
		{0x4b564d00, 0x100}, {0x80000000, 0x10},   {0xffffff00, 0x100},
	};
	unsigned int known = 0;

	for (size_t i = 0; i < PATTERN_WORDS; i++)
		pattern[i] = i;
	for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
		for (uint32_t i = 0; i < ranges[r].count; i++) {
			uint32_t msr = ranges[r].first + i;
			uint64_t value = 0;
			int vector = rdmsr_safe(msr, &value);

			if (!is_answer(vector))
				test_failure("RDMSR 0x%x: exception %d", msr, vector);
			known += vector == NO_VECTOR;
			write_odd_values(msr, vector == NO_VECTOR, value);
		}
	}
	CHECK(known > 10 && known < 200, "%u MSRs can be read", known);
	for (size_t i = 0; i < PATTERN_WORDS; i++)
		CHECK(pattern[i] == i, "memory has changed");
	print("msrs: %u can be read\n", known);
}
