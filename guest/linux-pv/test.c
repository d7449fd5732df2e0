// SPDX-License-Identifier: GPL-2.0-only
/* See test.h: only in a driver that was built with TIDEPOOL_TEST=1. */

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/processor.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>
#include <asm/tsc.h>

#include "test.h"

unsigned int tidepool_test_rules_off;
module_param_named(test_rules_off, tidepool_test_rules_off, uint, 0644);
MODULE_PARM_DESC(test_rules_off, "FOR TESTS: corrupts data. Bits of enum tidepool_rule");

unsigned int tidepool_test_pauses[TIDEPOOL_PAUSES];
module_param_array_named(test_pauses, tidepool_test_pauses, uint, NULL, 0644);
MODULE_PARM_DESC(test_pauses, "FOR TESTS: milliseconds, indexed by enum tidepool_pause");

static unsigned int refuse;
module_param_named(test_refuse, refuse, uint, 0644);
MODULE_PARM_DESC(test_refuse, "FOR TESTS: refuse every Nth batch of puts as if there were no room");

static unsigned int forget;
module_param_named(test_forget, forget, uint, 0644);
MODULE_PARM_DESC(test_forget, "FOR TESTS: no memory for every Nth read from the disk");

static bool fail_writes;
module_param_named(test_fail_writes, fail_writes, bool, 0644);
MODULE_PARM_DESC(test_fail_writes, "FOR TESTS: writes of files' pages fail");

static unsigned long longest[2];
module_param_array_named(test_longest, longest, ulong, NULL, 0644);
MODULE_PARM_DESC(test_longest, "FOR TESTS: ticks that the longest eviction of a folio took, interrupts "
			       "off, and its pages");

static unsigned int largest;
module_param_named(test_largest, largest, uint, 0644);
MODULE_PARM_DESC(test_largest, "FOR TESTS: the most pages that a list was to put");

static atomic_t batches;
static atomic_t reads;

void tidepool_test_pause(enum tidepool_pause place)
{
	u64 end = ktime_get_mono_fast_ns() + READ_ONCE(tidepool_test_pauses[place]) * NSEC_PER_MSEC;

	/* mdelay() takes far longer than it says on an emulated CPU. */
	while (ktime_get_mono_fast_ns() < end)
		cpu_relax();
}

void tidepool_test_sleep(enum tidepool_pause place)
{
	msleep(READ_ONCE(tidepool_test_pauses[place]));
}

static bool is_nth(atomic_t *count, unsigned int every)
{
	return every && atomic_inc_return(count) % every == 0;
}

bool tidepool_test_refuse(void)
{
	return is_nth(&batches, READ_ONCE(refuse));
}

bool tidepool_test_forget(void)
{
	return is_nth(&reads, READ_ONCE(forget));
}

bool tidepool_test_fail_writes(void)
{
	return READ_ONCE(fail_writes);
}

u64 tidepool_test_now(void)
{
	return rdtsc_ordered();
}

/* Two CPUs at once may lose the longer one: for a bench with one. */
void tidepool_test_note(u64 start, long pages)
{
	u64 ticks = rdtsc_ordered() - start;

	if (ticks <= longest[0])
		return;
	longest[0] = ticks;
	longest[1] = pages;
}

/* Two CPUs at once may lose the larger one. */
void tidepool_test_note_list(unsigned int pages)
{
	largest = max(largest, pages);
}
