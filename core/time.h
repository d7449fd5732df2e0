/* SPDX-License-Identifier: BSD-2-Clause */
/* Time as the machine-independent part sees it: the TSC, in ticks and nanoseconds since boot. */
#ifndef CORE_TIME_H
#define CORE_TIME_H

#include <stdint.h>

#define NSEC_PER_USEC 1000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC  1000000000ull
#define TIME_NEVER    UINT64_MAX

/* The TSC's frequency, measured or told at boot, in kHz. */
extern uint32_t tsc_khz;

/* time_ticks - the TSC now. Never goes back on one CPU; the same on all within the skew at boot. */
uint64_t time_ticks(void);

/*
 * time_ns_to_ticks, time_ticks_to_ns - conversions, rounded down
 * Exact as long as the result fits 64 bits. Whole milliseconds and the rest are converted apart:
 * that keeps the products small without 128-bit division, for which there is no instruction.
 */
static inline uint64_t time_ns_to_ticks(uint64_t ns)
{
	return ns / NSEC_PER_MSEC * tsc_khz + ns % NSEC_PER_MSEC * tsc_khz / NSEC_PER_MSEC;
}

static inline uint64_t time_ticks_to_ns(uint64_t ticks)
{
	return ticks / tsc_khz * NSEC_PER_MSEC + ticks % tsc_khz * NSEC_PER_MSEC / tsc_khz;
}

#endif
