/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests only: rules of cache.h that can be turned off one by one, and pauses at the places where
 * a race has to fit in. They exist in a driver that was built with TIDEPOOL_TEST=1, never in one
 * that is installed: without it each rule is on, and a pause is nothing.
 */
#ifndef TIDEPOOL_PV_TEST_H
#define TIDEPOOL_PV_TEST_H

#include <linux/bits.h>
#include <linux/types.h>

/* Bits of the module parameter test_rules_off. */
enum tidepool_rule {
	TIDEPOOL_RULE_ADD,	/* 1: a page that enters has no entry */
	TIDEPOOL_RULE_SAMPLE,	/* 2: the generation is that of before the read */
	TIDEPOOL_RULE_SUBMIT,	/* 3: move and flush at submission */
	TIDEPOOL_RULE_COMPLETE, /* 3: move and flush at completion */
	TIDEPOOL_RULE_DIRTY,	/* 4 */
	TIDEPOOL_RULE_FROZEN,	/* 5: only what nobody refers to */
	TIDEPOOL_RULE_STALE,	/* 5: the generation is the entry's */
	TIDEPOOL_RULE_OWNER,	/* 5: the entry is of this page */
	TIDEPOOL_RULE_RECHECK,	/* 5: flush if the generation moved during the put */
	TIDEPOOL_RULE_CLAIM,	/* 6: no get beside a put */
	TIDEPOOL_RULE_MIGRATE,	/* 7: migration takes the entry along */
	TIDEPOOL_RULE_ZERO,	/* 7: zeroing a part kills the entries */
	TIDEPOOL_RULE_DEVICE,	/* accept: the file system sits on the bio's device */
	TIDEPOOL_RULE_ERROR,	/* 3: a page whose write failed has no entry */
	TIDEPOOL_RULES,
};

/* Module parameters test_pause_*, in milliseconds. */
enum tidepool_pause {
	TIDEPOOL_PAUSE_CLAIMED,	 /* between claiming a generation and the put */
	TIDEPOOL_PAUSE_PUT,	 /* between the put and the look at the generation */
	TIDEPOOL_PAUSE_GOT,	 /* between the get and the look at the generation */
	TIDEPOOL_PAUSE_READ,	 /* between the disk's answer to a read and its completion */
	TIDEPOOL_PAUSE_WRITE,	 /* between rule 3's flush at submission and the write */
	TIDEPOOL_PAUSE_WRITTEN,	 /* between the disk's answer to a write and its completion */
	TIDEPOOL_PAUSES,
};

#ifdef TIDEPOOL_TEST

extern unsigned int tidepool_test_rules_off;
extern unsigned int tidepool_test_pauses[TIDEPOOL_PAUSES];

static inline bool tidepool_rule(enum tidepool_rule rule)
{
	return !(READ_ONCE(tidepool_test_rules_off) & BIT(rule));
}

/* Busy: the places are those where nobody may sleep. Returns after the parameter's time. */
void tidepool_test_pause(enum tidepool_pause place);

/* The same where sleeping is allowed. */
void tidepool_test_sleep(enum tidepool_pause place);

/* Whether a put is to be refused without asking: every Nth, by test_refuse=N. */
bool tidepool_test_refuse(void);

/* Whether there is to be no memory to remember a read by: every Nth time, by test_forget=N. */
bool tidepool_test_forget(void);

/* Whether files' pages are not to reach the disk, their writes to fail: test_fail_writes=1. */
bool tidepool_test_fail_writes(void);

/* Ticks of the TSC; and what took longest since they were asked for, in test_longest. */
u64 tidepool_test_now(void);
void tidepool_test_note(u64 start, long pages);

/* How many pages one list was to put; the most of them in test_largest. */
void tidepool_test_note_list(unsigned int pages);

#else

static inline bool tidepool_rule(enum tidepool_rule rule)
{
	return true;
}

static inline void tidepool_test_pause(enum tidepool_pause place)
{
}

static inline void tidepool_test_sleep(enum tidepool_pause place)
{
}

static inline bool tidepool_test_refuse(void)
{
	return false;
}

static inline bool tidepool_test_forget(void)
{
	return false;
}

static inline bool tidepool_test_fail_writes(void)
{
	return false;
}

static inline u64 tidepool_test_now(void)
{
	return 0;
}

static inline void tidepool_test_note(u64 start, long pages)
{
}

static inline void tidepool_test_note_list(unsigned int pages)
{
}

#endif
#endif
