/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cost - what pages cost that reclaim takes away and that come back, in ticks of the TSC
 *
 *   cost swap MIB        anonymous memory: out to swap, and back by touching it
 *   cost file FILE       a file's pages: out of the page cache, and back in random order, one by
 * one cost now  all of a command
 *
 * Under QEMU's -icount a tick is an instruction, of the hypervisor's and of the kernel's as well.
 * Prints one line; figures are of one page:
 *
 *   cost: swap out=TICKS back=TICKS pages=N
 *   cost: file out=TICKS back=TICKS pages=N
 *   N                                        now
 *
 * Exit status 0, or 2 with a line that says what failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE_SIZE 4096ul

static uint64_t random_state = 88172645463325252ull;

static _Noreturn void die(const char *what)
{
	printf("cost: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint8_t *map(size_t bytes, int protection, int flags, int fd)
{
	uint8_t *base = mmap(NULL, bytes, protection, flags, fd, 0);

	if (base == MAP_FAILED)
		die("mmap");
	return base;
}

/* Of each page one half noise and one half zeroes: zram compresses it to about 50 %. */
static void fill(uint8_t *base, size_t bytes)
{
	for (size_t page = 0; page < bytes; page += PAGE_SIZE) {
		for (size_t word = 0; word < PAGE_SIZE / 2; word += sizeof(uint64_t)) {
			uint64_t value = next_random();

			memcpy(base + page + word, &value, sizeof(value));
		}
	}
}

static size_t count_resident(uint8_t *base, size_t pages)
{
	unsigned char *present = malloc(pages);
	size_t count = 0;

	if (!present || mincore(base, pages * PAGE_SIZE, present))
		die("mincore");
	for (size_t i = 0; i < pages; i++)
		count += present[i] & 1;
	free(present);
	return count;
}

/* Has reclaim take all of the range. Returns the ticks. */
static uint64_t page_out(uint8_t *base, size_t pages)
{
	uint64_t start = __rdtsc();
	uint64_t ticks;

	if (madvise(base, pages * PAGE_SIZE, MADV_PAGEOUT))
		die("pageout");
	ticks = __rdtsc() - start;
	if (count_resident(base, pages) > pages / 50) {
		puts("cost: reclaim left the pages where they are");
		exit(2);
	}
	return ticks;
}

static size_t *shuffled(size_t count)
{
	size_t *order = malloc(count * sizeof(*order));

	if (!order)
		die("memory");
	for (size_t i = 0; i < count; i++)
		order[i] = i;
	for (size_t i = count - 1; i > 0; i--) {
		size_t other = next_random() % (i + 1);
		size_t kept = order[i];

		order[i] = order[other];
		order[other] = kept;
	}
	return order;
}

static void report(const char *what, uint64_t out, uint64_t back, size_t pages)
{
	printf("cost: %s out=%lu back=%lu pages=%zu\n", what, out / pages, back / pages, pages);
}

static int cost_swap(size_t bytes)
{
	size_t pages = bytes / PAGE_SIZE;
	uint8_t *base = map(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	size_t *order = shuffled(pages);
	uint64_t out, start;

	madvise(base, bytes, MADV_NOHUGEPAGE);
	fill(base, bytes);
	out = page_out(base, pages);
	start = __rdtsc();
	for (size_t i = 0; i < pages; i++)
		(void)*(volatile uint8_t *)(base + order[i] * PAGE_SIZE);
	report("swap", out, __rdtsc() - start, pages);
	return 0;
}

static int cost_file(const char *path)
{
	static uint8_t buffer[PAGE_SIZE];
	int fd = open(path, O_RDONLY);
	struct stat info;
	uint64_t out, start;
	size_t *order;
	size_t pages;
	uint8_t *base;

	if (fd < 0 || fstat(fd, &info))
		die(path);
	pages = (size_t)info.st_size / PAGE_SIZE;
	order = shuffled(pages);
	base = map(pages * PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_POPULATE, fd);
	out = page_out(base, pages);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* no readahead */
	start = __rdtsc();
	for (size_t i = 0; i < pages; i++) {
		if (pread(fd, buffer, PAGE_SIZE, (off_t)(order[i] * PAGE_SIZE)) !=
		    (ssize_t)PAGE_SIZE)
			die("read");
	}
	report("file", out, __rdtsc() - start, pages);
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "swap"))
		return cost_swap(strtoul(argv[2], NULL, 10) << 20);
	if (argc == 3 && !strcmp(argv[1], "file"))
		return cost_file(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "now"))
		return printf("%lu\n", (uint64_t)__rdtsc()) < 0;
	puts("cost: usage: cost swap MIB | file FILE | now");
	return 2;
}
