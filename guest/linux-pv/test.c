// SPDX-License-Identifier: GPL-2.0-only
/* See test.h: only in a driver that was built with TIDEPOOL_TEST=1. */

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>

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

static atomic_t batches;

void tidepool_test_pause(enum tidepool_pause place)
{
	mdelay(READ_ONCE(tidepool_test_pauses[place]));
}

void tidepool_test_sleep(enum tidepool_pause place)
{
	msleep(READ_ONCE(tidepool_test_pauses[place]));
}

bool tidepool_test_refuse(void)
{
	unsigned int every = READ_ONCE(refuse);

	return every && atomic_inc_return(&batches) % every == 0;
}
