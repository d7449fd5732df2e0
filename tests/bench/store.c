/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page store's figures, one "name value unit" a line; comments go to stderr. What each means,
 * what it should be and what it was: tests/bench/README.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/store_clock.h"
#include "tests/bench/store_host.h"
#include "tests/bench/store_parts.h"

#define MEASURING_CPU 1u

void must(int64_t ret, int64_t wanted, const char *what)
{
	if (ret == wanted)
		return;
	fflush(stdout);
	fprintf(stderr, "# %s: %lld instead of %lld\n", what, (long long)ret, (long long)wanted);
	exit(1);
}

struct tmem_client *client_create(uint64_t cap)
{
	return client_create_dedup(cap, TMEM_DEDUP_OFF);
}

struct tmem_client *client_create_dedup(uint64_t cap, uint32_t dedup)
{
	const struct tmem_limits limits = {.cap = cap, .dedup = dedup};
	struct tmem_client *client = tmem_client_create(&limits);

	must(client != NULL, 1, "client");
	return client;
}

void client_destroy(struct tmem_client *client)
{
	while (tmem_client_destroy(client) == -TIDEPOOL_EAGAIN)
		;
}

uint64_t pool_create(struct tmem_client *client, uint64_t flags)
{
	static const uint64_t uuid[2];
	int64_t pool = tmem_pool_create(client, flags, uuid);

	must(pool >= 0, 1, "pool");
	return (uint64_t)pool;
}

static const struct {
	const char *name;
	void (*run)(void);
	bool hollow; /* sets up a store of its own */
	bool asked;  /* runs only when it is named */
} parts[] = {
	{"operations", store_operations, false, false}, {"bounds", store_bounds, false, false},
	{"dedup", store_dedup, false, false},		{"threads", store_threads, false, false},
	{"compress", store_compress, false, false},	{"lookups", store_lookups, true, false},
	{"lookups16m", store_lookups_16m, true, true},
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

/* Run the parts, or the one that is named. */
int main(int argc, char **argv)
{
	bool started = false, found = false;
	unsigned int i;

	clock_pin(MEASURING_CPU);
	clock_init();
	for (i = 0; i < PARTS; i++) {
		if (argc > 1 ? strcmp(argv[1], parts[i].name) != 0 : parts[i].asked)
			continue;
		found = true;
		if (started == parts[i].hollow) {
			if (started)
				host_stop();
			else
				host_start();
			started = !started;
		}
		parts[i].run();
	}
	if (!found)
		fprintf(stderr,
			"usage: %s [operations|bounds|dedup|threads|compress|lookups|lookups16m]\n",
			argv[0]);
	return !found;
}
