/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measuring on a machine that others use too: an operation is timed in chunks, each beside a chunk
 * of bare page copies; a pair counts only when a clock probe on both sides found the processor
 * undisturbed. What is reported is a ratio to the copy, M: see tests/bench/README.md.
 */
#ifndef TESTS_BENCH_STORE_CLOCK_H
#define TESTS_BENCH_STORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <x86intrin.h>

#define CLOCK_ROUNDS 5u
#define CLOCK_CHUNK  16u /* operations in a chunk */

/* The time stamp counter, when all before it is done. */
static inline uint64_t clock_now(void)
{
	_mm_lfence();
	return __rdtsc();
}

/* Drain the pipe and the store buffers, as a VM entry would. */
static inline void clock_serialise(void)
{
	_mm_mfence();
	_mm_lfence();
}

/* Stay on a CPU, ask for priority, find out how fast an undisturbed probe is. */
void clock_init(void);

/* Put the calling thread on a CPU. */
void clock_pin(unsigned int cpu);

/* Whether the processor runs undisturbed at its full clock now; takes 6 us. */
bool clock_quiet(void);

double clock_ns(double ticks);

/* The median; sorts them. @count at least 1. */
double clock_median(double *values, unsigned int count);

/* What is measured. @op is given the number of the call, counted over all rounds. */
struct clock_subject {
	const char *name;
	void (*op)(uint64_t n);
	void (*prepare)(void); /* before each round, untimed; or NULL */
	unsigned int pairs;    /* chunks of a round */
};

/* Median of the rounds' medians, their range, and the median of the absolute times. */
struct clock_result {
	double ratio, low, high, ns;
};

/* Measure beside @base. Returns whether the machine was quiet enough; else it is said on stderr. */
bool clock_measure(const struct clock_subject *subject, void (*base)(uint64_t n),
		   struct clock_result *result);

/* Print "name value unit" to stdout. */
void clock_print(const char *name, double value, const char *unit);

/* Measure and print "store_NAME ratio M"; the rest of the result goes to stderr as a comment. */
void clock_report(const struct clock_subject *subject, void (*base)(uint64_t n));

#endif
