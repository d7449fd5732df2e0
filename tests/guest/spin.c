/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A healthy neighbour: computes, and says so now and then, for the number of rounds that
 * "rounds=" gives. With interrupts off, as it begins, or on by "open": in Bochs that decides
 * whether the host's end its run.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define ROUND_TICKS    100000000ull
#define ROUNDS_DEFAULT 10

const char test_name[] = "spin";

void test_main(void)
{
	uint64_t rounds = cmdline_number("rounds=", ROUNDS_DEFAULT);

	if (cmdline_has("open"))
		irq_enable();
	for (uint64_t round = 1; round <= rounds; round++) {
		uint64_t start = rdtsc(), now = start, last;

		while (now - start < ROUND_TICKS) {
			last = now;
			now = rdtsc();
			if (now < last) {
				test_failure("the TSC went back by %lu ticks", last - now);
				return;
			}
		}
		print("spin: %lu\n", round);
	}
}
