/* SPDX-License-Identifier: BSD-2-Clause */
/* What compression costs and saves, with pages as real programs have them. */
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/store_clock.h"
#include "tests/bench/store_corpus.h"
#include "tests/bench/store_host.h"
#include "tests/bench/store_parts.h"
#include "tmem/client.h"
#include "tmem/content.h"
#include "tmem/grain.h"

#define PAGE	  TMEM_PAGE_SIZE
#define PAGES_MAX 65536u
#define PAIRS	  200u
#define GET_ALLS  1000u
#define ROUNDS	  5u
#define CHURN	  4u /* how often each page is replaced on average */

static struct tmem_client *client;
static uint64_t pool, count;
static char *pages; /* the corpus */

/* The same pages as LZ4 alone has them: blobs one behind the other. */
static char *blobs;
static uint64_t *blob_at;

static void begin(void)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX, .compress = true};

	client = tmem_client_create(&limits);
	must(client != NULL, 1, "client");
	pool = pool_create(client, PERSISTENT);
}

static void put(uint64_t key, uint64_t n)
{
	put_page(client, pool, key_of(key), pages + n * PAGE);
}

static void compress_all(void)
{
	while (tmem_idle_step(true))
		continue;
}

/* Each page of the corpus, in an order that no prefetcher knows. */
static uint64_t scattered(uint64_t n)
{
	return n * 71993 % count;
}

static void get_compressed(uint64_t n)
{
	struct tmem_key name = key_of(scattered(n));

	must(tmem_get(client, pool, &name, host_target(n)), 0, "get");
}

/* The longest call of all: all-or-nothing, of compressed pages. */
static void get_all(uint64_t n)
{
	struct tmem_get gets[TMEM_GET_ALL_MAX];
	uint64_t i;

	for (i = 0; i < TMEM_GET_ALL_MAX; i++)
		gets[i] = (struct tmem_get){
			.pool = pool,
			.key = key_of(scattered(n * TMEM_GET_ALL_MAX + i)),
			.page = host_target(n * TMEM_GET_ALL_MAX + i),
		};
	must(tmem_get_all(client, gets, TMEM_GET_ALL_MAX), 0, "get of all");
}

/* As the steps of store_bounds.c: of each call the fastest of some rounds, of all the slowest. */
static void get_all_longest(void)
{
	static double times[GET_ALLS];
	unsigned int round, i;
	double worst = 0;

	for (round = 0; round < ROUNDS; round++)
		for (i = 0; i < GET_ALLS; i++) {
			uint64_t start = clock_now();
			double time;

			get_all(i);
			time = (double)(clock_now() - start);
			times[i] = round == 0 || time < times[i] ? time : times[i];
		}
	for (i = 0; i < GET_ALLS; i++)
		worst = times[i] > worst ? times[i] : worst;
	clock_print("store_step_get_all_compressed", clock_ns(worst) / 1000, "us");
}

static void decompress_alone(uint64_t n)
{
	uint64_t at = scattered(n + count / 2);
	uint64_t size = blob_at[at + 1] - blob_at[at];

	if (size < PAGE)
		LZ4_decompress_safe(blobs + blob_at[at], host_target(n + HOST_PAGES / 2), (int)size,
				    PAGE);
}

/* Keep the pages that compress, so that each get is one of a compressed page. */
static void blobs_make(void)
{
	uint64_t n, kept = 0, at = 0;

	blobs = host_map((uint64_t)PAGES_MAX * PAGE, true);
	blob_at = calloc(PAGES_MAX + 1, sizeof(*blob_at));
	must(blob_at != NULL, 1, "memory");
	for (n = 0; n < count; n++) {
		char *page = pages + n * PAGE;
		int size;

		if (tmem_content_scan(page))
			continue;
		size = LZ4_compress_default(page, blobs + at, PAGE, TMEM_GRAIN_MAX);
		if (size <= 0)
			continue;
		if (kept != n)
			__builtin_memcpy(pages + kept * PAGE, page, PAGE);
		blob_at[kept++] = at;
		at += (uint64_t)size;
	}
	blob_at[kept] = at;
	count = kept;
}

static void density(const char *name)
{
	struct tmem_stats stats;
	uint64_t n;

	begin();
	for (n = 0; n < count; n++)
		put(n, n);
	compress_all();
	tmem_client_stats(client, &stats);
	clock_print(name, (double)stats.held / (double)stats.charged, "pages a page");
	client_destroy(client);
}

static void churned(const char *name)
{
	uint64_t n, state = 1;

	for (n = 0; n < CHURN * count; n++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		put((state >> 33) % count, (state >> 20) % count);
		if (n % 4 == 0)
			tmem_idle_step(true);
	}
	compress_all();
	clock_print(name, (double)(client->grains.frames * PAGE) / (double)client->grains.bytes,
		    "x the LZ4 sizes");
}

void store_compress(void)
{
	const struct clock_subject subject = {"get_compressed", get_compressed, NULL, PAIRS};
	struct clock_result result;
	uint64_t n;

	pages = host_map((uint64_t)PAGES_MAX * PAGE, true);
	count = corpus_files(pages, PAGES_MAX);
	fprintf(stderr, "# %llu pages of files\n", (unsigned long long)count);
	density("store_density_files");
	count = corpus_processes(pages, PAGES_MAX);
	fprintf(stderr, "# %llu pages of processes\n", (unsigned long long)count);
	density("store_density_processes");

	blobs_make();
	fprintf(stderr, "# %llu of them compress\n", (unsigned long long)count);
	begin();
	for (n = 0; n < count; n++)
		put(n, n);
	compress_all();
	clock_print("store_compressed_bytes",
		    (double)(client->grains.frames * PAGE) / (double)client->grains.bytes,
		    "x the LZ4 sizes");
	if (clock_measure(&subject, decompress_alone, &result))
		clock_print("store_get_compressed", result.ratio, "x LZ4's decompression");
	fprintf(stderr, "# get_compressed %.2f..%.2f, %.0f ns\n", result.low, result.high,
		result.ns);
	get_all_longest();
	churned("store_compressed_bytes_churned");
	client_destroy(client);
	store_huge(pages, count);
	free(blob_at);
	host_unmap(blobs, (uint64_t)PAGES_MAX * PAGE);
	host_unmap(pages, (uint64_t)PAGES_MAX * PAGE);
}
