/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * churn - change and read files in every way there is, and compare every byte with a copy in memory
 *
 *   churn FOLDER PROCESSES SECONDS [SEED]
 *
 * Each process has a file of its own in FOLDER: it reads and writes it through the page cache, past
 * it (O_DIRECT), and mapped; truncates it, punches holes, syncs it, asks for its pages to be
 * dropped, removes it and makes it anew. Runs on the guest; prints one line:
 *
 *   churn: OK                                                  exit status 0
 *   churn: BAD process=N operation=N after=NAME offset=N ...   exit status 1: wrong content
 *   churn: ...                                                 exit status 2: it could not run
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE_SIZE 4096u
#define FILE_MAX  (2u << 20)
#define STEP_MAX  (64u << 10)

struct churn {
	char path[256];
	int file;
	int direct;
	uint8_t *shadow;
	uint8_t *buffer; /* STEP_MAX bytes, aligned to a page */
	uint64_t random;
	size_t size; /* of the file; the shadow is zero behind it */
	unsigned int process;
	unsigned long operations;
};

static _Noreturn void die(const char *what)
{
	printf("churn: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t next(struct churn *c)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return c->random;
}

static size_t below(struct churn *c, size_t limit)
{
	return next(c) % limit;
}

static void fill(struct churn *c, uint8_t *bytes, size_t length)
{
	uint64_t word = next(c);

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)((word >> i % 8 * 8) + i / 8);
}

static void compare(struct churn *c, const uint8_t *bytes, size_t offset, size_t length,
		    const char *how)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == c->shadow[offset + i])
			continue;
		printf("churn: BAD process=%u operation=%lu after=%s offset=%zu size=%zu got=%02x "
		       "want=%02x\n",
		       c->process, c->operations, how, offset + i, c->size, bytes[i],
		       c->shadow[offset + i]);
		exit(1);
	}
}

static void open_files(struct churn *c)
{
	c->file = open(c->path, O_RDWR | O_CREAT, 0600);
	c->direct = open(c->path, O_RDWR | O_DIRECT);
	if (c->file < 0 || c->direct < 0)
		die("open");
}

static void grow(struct churn *c, size_t size)
{
	if (size > c->size)
		c->size = size;
}

/* A random range: any bytes, or whole pages. */
static void pick(struct churn *c, bool pages, size_t *offset, size_t *length)
{
	size_t unit = pages ? PAGE_SIZE : 1;

	*length = (1 + below(c, STEP_MAX / unit)) * unit;
	*offset = below(c, (FILE_MAX - *length) / unit + 1) * unit;
}

static void write_range(struct churn *c, int file, bool pages)
{
	size_t offset, length;

	pick(c, pages, &offset, &length);
	fill(c, c->buffer, length);
	if (pwrite(file, c->buffer, length, (off_t)offset) != (ssize_t)length)
		die("write");
	memcpy(c->shadow + offset, c->buffer, length);
	grow(c, offset + length);
}

static void read_range(struct churn *c, int file, bool pages, const char *how)
{
	size_t offset, length;
	ssize_t got;

	pick(c, pages, &offset, &length);
	got = pread(file, c->buffer, length, (off_t)offset);
	if (got < 0)
		die("read");
	compare(c, c->buffer, offset, (size_t)got, how);
}

static void do_write(struct churn *c)
{
	write_range(c, c->file, false);
}

static void do_read(struct churn *c)
{
	read_range(c, c->file, false, "read");
}

static void do_direct_write(struct churn *c)
{
	write_range(c, c->direct, true);
}

static void do_direct_read(struct churn *c)
{
	read_range(c, c->direct, true, "direct");
}

static void do_map(struct churn *c)
{
	size_t offset, length;
	uint8_t *map;

	pick(c, true, &offset, &length);
	if (offset + length > c->size)
		return;
	map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, c->file, (off_t)offset);
	if (map == MAP_FAILED)
		die("mmap");
	compare(c, map, offset, length, "map");
	if (next(c) & 1) {
		fill(c, map, length);
		memcpy(c->shadow + offset, map, length);
	}
	if (munmap(map, length))
		die("munmap");
}

static void do_truncate(struct churn *c)
{
	size_t size = below(c, FILE_MAX);

	if (ftruncate(c->file, (off_t)size))
		die("truncate");
	if (size < c->size)
		memset(c->shadow + size, 0, c->size - size);
	c->size = size;
}

static void do_punch(struct churn *c)
{
	size_t offset, length;

	pick(c, false, &offset, &length);
	if (fallocate(c->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		      (off_t)length))
		die("punch");
	memset(c->shadow + offset, 0, length);
}

static void do_sync(struct churn *c)
{
	if (fdatasync(c->file))
		die("sync");
}

static void do_drop(struct churn *c)
{
	if (posix_fadvise(c->file, 0, 0, POSIX_FADV_DONTNEED))
		die("drop");
}

static void do_remove(struct churn *c)
{
	close(c->file);
	close(c->direct);
	if (unlink(c->path))
		die("unlink");
	open_files(c);
	memset(c->shadow, 0, c->size);
	c->size = 0;
}

/* How often each is done, of 100. */
static const struct operation {
	void (*run)(struct churn *c);
	unsigned int weight;
} operations[] = {
	{do_write, 22},	  {do_read, 26}, {do_direct_write, 6}, {do_direct_read, 6}, {do_map, 14},
	{do_truncate, 3}, {do_punch, 6}, {do_sync, 6},	       {do_drop, 10},	    {do_remove, 1},
};

static void step(struct churn *c)
{
	size_t dice = below(c, 100);

	for (const struct operation *op = operations;; op++) {
		if (dice < op->weight) {
			op->run(c);
			break;
		}
		dice -= op->weight;
	}
	c->operations++;
}

static unsigned long run(struct churn *c, time_t seconds)
{
	time_t end = time(NULL) + seconds;

	c->shadow = mmap(NULL, FILE_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
	c->buffer = mmap(NULL, STEP_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
	if (c->shadow == MAP_FAILED || c->buffer == MAP_FAILED)
		die("memory");
	open_files(c);
	while (time(NULL) < end)
		step(c);
	for (size_t offset = 0; offset < c->size; offset += STEP_MAX) {
		ssize_t got = pread(c->file, c->buffer, STEP_MAX, (off_t)offset);

		if (got < 0)
			die("read");
		compare(c, c->buffer, offset, (size_t)got, "end");
	}
	return c->operations;
}

int main(int argc, char **argv)
{
	unsigned int processes = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 10) : 0;
	uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
	int worst = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 4 || !processes) {
		puts("churn: usage: churn FOLDER PROCESSES SECONDS [SEED]");
		return 2;
	}
	for (unsigned int i = 0; i < processes; i++) {
		struct churn c = {.random = seed * 0x9e3779b97f4a7c15ull + i + 1, .process = i};
		pid_t child = fork();

		if (child < 0)
			die("fork");
		if (child)
			continue;
		snprintf(c.path, sizeof(c.path), "%s/churn%u", argv[1], i);
		printf("churn: process=%u operations=%lu\n", i,
		       run(&c, (time_t)strtoul(argv[3], NULL, 10)));
		exit(0);
	}
	for (unsigned int i = 0; i < processes; i++) {
		int status;

		if (wait(&status) < 0)
			die("wait");
		if (!WIFEXITED(status) || WEXITSTATUS(status) > worst)
			worst = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
	}
	if (!worst)
		puts("churn: OK");
	return worst;
}
