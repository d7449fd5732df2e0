/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much of a CPU a busy guest gets: the ticks that it ran in a window of time, in thousandths.
 * "start=" and "length=" give the window in ticks of the guest's TSC; it stays busy as long again
 * after it, so that its neighbours are not alone in theirs. Also the longest time that it did not
 * run, in ticks.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define START_DEFAULT  100000000ull
#define LENGTH_DEFAULT 1000000000ull
#define GAP_TICKS      20000u /* between two looks at the TSC: somebody else ran, or the host */

const char test_name[] = "share";

void test_main(void)
{
	uint64_t start = cmdline_number("start=", START_DEFAULT);
	uint64_t length = cmdline_number("length=", LENGTH_DEFAULT);
	uint64_t now = rdtsc(), last, ran = 0, longest = 0;

	if (now > start)
		test_error("the window had begun %lu ticks before", now - start);
	while (now < start + 2 * length) {
		last = now;
		now = rdtsc();
		if (last < start || now >= start + length)
			continue;
		if (now - last < GAP_TICKS)
			ran += now - last;
		else if (now - last > longest)
			longest = now - last;
	}
	print("share: %lu longest pause: %lu\n", ran * 1000 / length, longest);
}
