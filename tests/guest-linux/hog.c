/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hog - use more anonymous memory than there is, and verify every byte of it
 *
 *   hog MIB PASSES [huge | out]
 *
 * Fills MIB MiB with a pattern, each page its own, then visits all pages PASSES times in a random
 * order: each visit verifies the page and writes every second one anew. A last walk verifies all.
 * "huge" asks for transparent huge pages; "out" has all of it swapped out before each walk, so that
 * it need not be more than there is. Runs on the guest; prints one line:
 *
 *   hog: OK pages=N passes=N          exit status 0
 *   hog: BAD page=N word=N pass=N     exit status 1: memory changed its content
 *   hog: ...                          exit status 2: it could not run
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_SIZE      4096u
#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(uint64_t))
#define PAGES_PER_MIB  256u
#define MIB_MAX	       (1ul << 20)

struct hog {
	uint64_t (*memory)[WORDS_PER_PAGE];
	uint64_t pages;
	uint32_t *generation; /* of each page: how often it has been written */
	bool out;	      /* is swapped out before each walk */
};

/* Bijective and quick: no two pages, and no two generations of one, look alike. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint64_t pattern_seed(const struct hog *hog, uint64_t page)
{
	return mix(page << 32 | hog->generation[page]);
}

static void page_write(struct hog *hog, uint64_t page)
{
	uint64_t seed;

	hog->generation[page]++;
	seed = pattern_seed(hog, page);
	for (size_t word = 0; word < WORDS_PER_PAGE; word++)
		hog->memory[page][word] = seed + word;
}

static bool page_verify(const struct hog *hog, uint64_t page, unsigned long pass)
{
	uint64_t seed = pattern_seed(hog, page);

	for (size_t word = 0; word < WORDS_PER_PAGE; word++) {
		if (hog->memory[page][word] != seed + word) {
			printf("hog: BAD page=%lu word=%zu pass=%lu\n", page, word, pass);
			return false;
		}
	}
	return true;
}

/*
 * Visits every page once, in an order that looks random: a linear congruential generator of full
 * period over the next power of two (odd increment, factor 1 modulo 4), numbers beyond left out.
 */
static bool visit_all(struct hog *hog, unsigned long pass)
{
	uint64_t span = 1;
	uint64_t page = 0;
	uint64_t increment = mix(pass) | 1;

	if (hog->out && madvise(hog->memory, hog->pages * PAGE_SIZE, MADV_PAGEOUT)) {
		printf("hog: pageout: %s\n", strerror(errno));
		return false;
	}
	while (span < hog->pages)
		span <<= 1;
	for (uint64_t step = 0; step < span; step++) {
		page = (page * 0x5851f42d4c957f2dull + increment) & (span - 1);
		if (page >= hog->pages)
			continue;
		if (!page_verify(hog, page, pass))
			return false;
		if ((page ^ pass) & 1)
			page_write(hog, page);
	}
	return true;
}

static bool run(struct hog *hog, unsigned long passes)
{
	for (uint64_t page = 0; page < hog->pages; page++)
		page_write(hog, page);
	for (unsigned long pass = 1; pass <= passes; pass++) {
		if (!visit_all(hog, pass))
			return false;
	}
	for (uint64_t page = 0; page < hog->pages; page++) {
		if (!page_verify(hog, page, passes + 1))
			return false;
	}
	printf("hog: OK pages=%lu passes=%lu\n", hog->pages, passes);
	return true;
}

static bool parse(const char *text, unsigned long min, unsigned long max, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	return end != text && !*end && !errno && *value >= min && *value <= max;
}

int main(int argc, char **argv)
{
	unsigned long mib;
	unsigned long passes;
	struct hog hog;
	bool huge;

	if (argc < 3 || argc > 4 || !parse(argv[1], 1, MIB_MAX, &mib) ||
	    !parse(argv[2], 0, 1000, &passes) ||
	    (argc == 4 && strcmp(argv[3], "huge") != 0 && strcmp(argv[3], "out") != 0)) {
		printf("hog: usage: hog MIB PASSES [huge | out]\n");
		return 2;
	}
	huge = argc == 4 && !strcmp(argv[3], "huge");
	hog.out = argc == 4 && !huge;

	hog.pages = mib * PAGES_PER_MIB;
	hog.generation = calloc(hog.pages, sizeof(*hog.generation));
	hog.memory = mmap(NULL, hog.pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!hog.generation || hog.memory == MAP_FAILED) {
		printf("hog: no address space for %lu MiB: %s\n", mib, strerror(errno));
		return 2;
	}
	if (madvise(hog.memory, hog.pages * PAGE_SIZE, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE)) {
		printf("hog: madvise: %s\n", strerror(errno));
		return 2;
	}
	return run(&hog, passes) ? 0 : 1;
}
