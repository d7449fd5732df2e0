/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What two threads of one guest do together, beside what two threads copy. A thread's chunk counts
 * only when the other one was seen at work all the while, so the machine's other users cost
 * chunks, not truth.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/store_clock.h"
#include "tests/bench/store_host.h"
#include "tests/bench/store_parts.h"

#define THREADS	   2u
#define CHUNKS	   4000u
#define HELD	   100000u /* of each thread */
#define MIN_CHUNKS 50u
/* The other thread did at least so many calls in a chunk of CLOCK_CHUNK. */
#define OTHER_BUSY (CLOCK_CHUNK / 2)

static struct tmem_client *client;
static uint64_t pool;

struct thread {
	pthread_t id;
	unsigned int number;
	uint64_t calls; /* read by the other */
	double ticks;	/* of a call, median; 0: too few chunks counted */
};

static struct thread threads[THREADS];
static unsigned int refusals;
static bool together; /* both work; else the first alone */
static unsigned int finished;
static void (*work)(unsigned int thread, uint64_t n);

static struct tmem_key thread_key(unsigned int thread, uint64_t n)
{
	struct tmem_key key = key_of(n);

	key.oid[2] = thread;
	return key;
}

/* The threads use halves of the arenas. */
static uint64_t page_of(unsigned int thread, uint64_t n)
{
	return thread * (HOST_PAGES / THREADS) + n % (HOST_PAGES / THREADS);
}

static void copy(unsigned int thread, uint64_t n)
{
	host_copy(page_of(thread, n));
}

static void put_full(unsigned int thread, uint64_t n)
{
	struct tmem_key key = thread_key(thread, HELD + n);

	/* The ABI allows a refusal while the other CPU uses the pages that could be dropped. */
	if (tmem_put(client, pool, &key, host_source(page_of(thread, n))) != 0)
		__atomic_add_fetch(&refusals, 1, __ATOMIC_RELAXED);
}

static void get_held(unsigned int thread, uint64_t n)
{
	struct tmem_key key = thread_key(thread, n * 71993 % HELD);

	must(tmem_get(client, pool, &key, host_target(page_of(thread, n))), 0, "get");
}

static void *thread_run(void *argument)
{
	struct thread *thread = argument;
	const uint64_t *other = &threads[1 - thread->number].calls;
	static double times[THREADS][CHUNKS];
	unsigned int i, k, count = 0;
	uint64_t n = 0;

	clock_pin(thread->number);
	for (i = 0; i < CHUNKS; i++) {
		bool quiet = together || clock_quiet();
		uint64_t seen = __atomic_load_n(other, __ATOMIC_RELAXED);
		uint64_t start = clock_now();
		double time;

		for (k = 0; k < CLOCK_CHUNK; k++) {
			work(thread->number, n++);
			clock_serialise();
			__atomic_store_n(&thread->calls, n, __ATOMIC_RELAXED);
		}
		time = (double)(clock_now() - start);
		if (together)
			quiet = __atomic_load_n(other, __ATOMIC_RELAXED) - seen >= OTHER_BUSY;
		if (quiet)
			times[thread->number][count++] = time / CLOCK_CHUNK;
	}
	__atomic_add_fetch(&finished, 1, __ATOMIC_RELAXED);
	/* Keep the other company until it is done as well. */
	while (together && __atomic_load_n(&finished, __ATOMIC_RELAXED) < THREADS) {
		work(thread->number, n++);
		__atomic_store_n(&thread->calls, n, __ATOMIC_RELAXED);
	}
	thread->ticks = count < MIN_CHUNKS ? 0 : clock_median(times[thread->number], count);
	return NULL;
}

/* The ticks of a call, averaged over the threads; 0: the machine is too busy to tell. */
static double run(void (*call)(unsigned int thread, uint64_t n), bool both)
{
	unsigned int i, count = both ? THREADS : 1;
	double sum = 0;

	work = call;
	together = both;
	finished = 0;
	memset(threads, 0, sizeof(threads));
	/* The measuring CPU is the last: alone it is the one with the least company. */
	for (i = 0; i < count; i++) {
		threads[i].number = both ? i : THREADS - 1;
		must(pthread_create(&threads[i].id, NULL, thread_run, &threads[i]), 0, "thread");
	}
	for (i = 0; i < count; i++)
		pthread_join(threads[i].id, NULL);
	for (i = 0; i < count; i++) {
		if (threads[i].ticks == 0) {
			return 0;
		}
		sum += threads[i].ticks;
	}
	return sum / count;
}

/* How many times one thread's work two threads do: the median of some rounds. 0: as above. */
static double scaling(void (*call)(unsigned int thread, uint64_t n))
{
	double values[CLOCK_ROUNDS];
	unsigned int i, count = 0;

	for (i = 0; i < CLOCK_ROUNDS; i++) {
		double alone = run(call, false), both = run(call, true);

		if (alone > 0 && both > 0)
			values[count++] = THREADS * alone / both;
	}
	return count > CLOCK_ROUNDS / 2 ? clock_median(values, count) : 0;
}

static void fill(uint64_t cap, uint64_t flags)
{
	unsigned int thread;
	uint64_t n;

	client = client_create(cap);
	pool = pool_create(client, flags);
	for (n = 0; n < HELD; n++) {
		for (thread = 0; thread < THREADS; thread++)
			put_page(client, pool, thread_key(thread, n), host_source(n));
	}
}

static void report(const char *name, void (*call)(unsigned int thread, uint64_t n), double copies)
{
	double times = scaling(call);

	if (times > 0 && copies > 0)
		clock_print(name, times / copies, "of_copies");
	else
		fprintf(stderr, "# %s: not measured, the machine is too busy\n", name);
}

void store_threads(void)
{
	double copies = scaling(copy);

	if (copies > 0)
		clock_print("store_threads_copy", copies, "x");
	fill(THREADS * HELD, EPHEMERAL);
	report("store_threads_put_full", put_full, copies);
	fprintf(stderr, "# store_threads_put_full: %u puts refused\n", refusals);
	client_destroy(client);
	fill(UINT64_MAX, PERSISTENT);
	report("store_threads_get", get_held, copies);
	client_destroy(client);
}
