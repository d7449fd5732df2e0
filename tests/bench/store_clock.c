/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/bench/store_clock.h"

#define PROBE_ADDS   20000u /* dependent additions: some 6 us */
#define PROBE_TRIALS 3000u
#define PROBE_SLACK  1.1 /* a probe may take so much longer than the fastest */
#define MAX_PAIRS    4096u
#define MIN_PAIRS    50u    /* of a round; with fewer there is no figure */
#define PATIENCE     4e9    /* ns that a round may wait for the machine to become quiet */
#define NAP	     500000 /* ns between looks */
#define PRIORITY     (-15)

static double probe_best = 1e18;
static double ticks_per_ns;

static double probe(void)
{
	uint64_t start = clock_now(), x = start;
	unsigned int i;

	for (i = 0; i < PROBE_ADDS; i++)
		__asm__ volatile("add $1, %0" : "+r"(x));
	return (double)(clock_now() - start);
}

bool clock_quiet(void)
{
	return probe() < probe_best * PROBE_SLACK;
}

double clock_ns(double ticks)
{
	return ticks / ticks_per_ns;
}

void clock_pin(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		fprintf(stderr, "# cannot stay on CPU %u\n", cpu);
}

static double wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void clock_init(void)
{
	double wall = wall_ns();
	uint64_t ticks = clock_now();
	unsigned int i;

	if (setpriority(PRIO_PROCESS, 0, PRIORITY) < 0)
		fprintf(stderr, "# no priority: runs as everybody else does\n");
	for (i = 0; i < PROBE_TRIALS; i++) {
		double time = probe();

		if (time < probe_best)
			probe_best = time;
	}
	ticks_per_ns = (double)(clock_now() - ticks) / (wall_ns() - wall);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double clock_median(double *values, unsigned int count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static double chunk_time(void (*op)(uint64_t n), uint64_t n)
{
	uint64_t start = clock_now();
	unsigned int i;

	for (i = 0; i < CLOCK_CHUNK; i++) {
		op(n + i);
		clock_serialise();
	}
	return (double)(clock_now() - start);
}

/* Wait until the machine is quiet, or until @deadline. */
static void quiet_wait(double deadline)
{
	const struct timespec nap = {.tv_nsec = NAP};

	while (!clock_quiet() && wall_ns() < deadline)
		nanosleep(&nap, NULL);
}

/*
 * One round: the median of the paired ratios, and of the subject's times. The calls go on counting
 * in a pair that is thrown away, so that a round makes pairs * CLOCK_CHUNK of them whatever the
 * machine does. Returns whether enough pairs counted.
 */
static bool round_run(const struct clock_subject *subject, void (*base)(uint64_t n), uint64_t n,
		      double *ratio, double *ticks)
{
	static double ratios[MAX_PAIRS], times[MAX_PAIRS];
	double deadline = wall_ns() + PATIENCE;
	unsigned int i, count = 0;

	for (i = 0; i < subject->pairs; i++, n += CLOCK_CHUNK) {
		double base_time, time;

		quiet_wait(deadline);
		base_time = chunk_time(base, n);
		time = chunk_time(subject->op, n);
		if (!clock_quiet())
			continue;
		ratios[count] = time / base_time;
		times[count++] = time / CLOCK_CHUNK;
	}
	if (count < MIN_PAIRS)
		return false;
	*ratio = clock_median(ratios, count);
	*ticks = clock_median(times, count);
	return true;
}

bool clock_measure(const struct clock_subject *subject, void (*base)(uint64_t n),
		   struct clock_result *result)
{
	double ratios[CLOCK_ROUNDS], times[CLOCK_ROUNDS];
	unsigned int i, count = 0;

	for (i = 0; i < CLOCK_ROUNDS; i++) {
		uint64_t n = (uint64_t)i * subject->pairs * CLOCK_CHUNK;

		if (subject->prepare)
			subject->prepare();
		if (round_run(subject, base, n, &ratios[count], &times[count]))
			count++;
	}
	if (count <= CLOCK_ROUNDS / 2) {
		fprintf(stderr, "# store_%s: not measured, the machine is too busy\n",
			subject->name);
		return false;
	}
	result->ratio = clock_median(ratios, count);
	result->low = ratios[0];
	result->high = ratios[count - 1];
	result->ns = clock_ns(clock_median(times, count));
	return true;
}

void clock_print(const char *name, double value, const char *unit)
{
	printf("%s %.2f %s\n", name, value, unit);
	fflush(stdout);
}

void clock_report(const struct clock_subject *subject, void (*base)(uint64_t n))
{
	struct clock_result result;
	char name[64];

	if (!clock_measure(subject, base, &result))
		return;
	snprintf(name, sizeof(name), "store_%s", subject->name);
	clock_print(name, result.ratio, "M");
	fprintf(stderr, "# %s: rounds %.2f..%.2f M, %.0f ns\n", name, result.low, result.high,
		result.ns);
}
