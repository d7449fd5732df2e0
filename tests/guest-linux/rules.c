/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rules - one race for each rule of guest/linux-pv/cache.h, made to happen: those of bios that pass
 * each other here, those of what happens to pages in rules_pages.c
 *
 *   rules SCENARIO MASK FILE DISK SHARED
 *
 * FILE is on DISK, which is attached; SHARED is a second file with the same first block, which the
 * scenario "clone" makes, or for some of rules_pages.c just another file. The driver is the one for
 * tests: its parameters hold up a bio or a put long enough for something else to happen meanwhile,
 * and turn off the rules of MASK. Each scenario brings old content of a block to where the next
 * read would find it, unless the rules are on. Prints one line:
 *
 *   rules: SCENARIO fresh     every read returned what it had to; exit status 0
 *   rules: SCENARIO stale     old content came back; exit status 0 too
 *   rules: ...                exit status 2: it could not run
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rules.h"

#define PARAMETERS "/sys/module/tidepool/parameters/"

const char *file_path, *shared_path;
static const char *mask, *disk_path;
static off_t disk_offset; /* of the file's first block */
static uint8_t *buffer;

_Noreturn void die(const char *what)
{
	printf("rules: %s: %s\n", what, strerror(errno));
	exit(2);
}

void pause_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

void set_parameter(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die(path);
	close(fd);
}

void set_pause(enum pause which, unsigned int ms)
{
	char list[64] = "";

	for (int i = 0; i < PAUSES; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%u", i ? "," : "",
			 i == (int)which ? ms : 0);
	set_parameter("test_pauses", list);
}

int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0)
		die(path);
	return fd;
}

int read_path(const char *path)
{
	int fd = open_or_die(path, O_RDONLY);

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* no readahead */
	if (pread(fd, buffer, PAGE_SIZE, 0) != (ssize_t)PAGE_SIZE)
		die("read");
	close(fd);
	return buffer[0];
}

int read_file(void)
{
	return read_path(file_path);
}

void evict_path(const char *path)
{
	int fd = open_or_die(path, O_RDONLY);

	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("fadvise");
	close(fd);
}

void evict_file(void)
{
	evict_path(file_path);
}

static void write_file(uint8_t value)
{
	int fd = open_or_die(file_path, O_WRONLY);

	memset(buffer, value, PAGE_SIZE);
	if (pwrite(fd, buffer, PAGE_SIZE, 0) != (ssize_t)PAGE_SIZE)
		die("write");
	fsync(fd); /* may fail: there is a scenario for it */
	close(fd);
}

static int disk_io(bool write, uint8_t value)
{
	int fd = open_or_die(disk_path, (write ? O_WRONLY : O_RDONLY) | O_DIRECT);
	ssize_t done;

	if (write)
		memset(buffer, value, PAGE_SIZE);
	done = write ? pwrite(fd, buffer, PAGE_SIZE, disk_offset)
		     : pread(fd, buffer, PAGE_SIZE, disk_offset);
	if (done != (ssize_t)PAGE_SIZE)
		die("disk");
	close(fd);
	return buffer[0];
}

static void write_disk(uint8_t value)
{
	disk_io(true, value);
}

static int read_disk(void)
{
	return disk_io(false, 0);
}

static void on_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("affinity");
}

pid_t beside(void (*run)(void))
{
	pid_t child;

	on_cpu(0);
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		on_cpu(1);
		run();
		_exit(0);
	}
	return child;
}

void wait_for(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) < 0 || status)
		die("child");
}

static void write_new(void)
{
	write_disk(NEW);
}

static void read_once(void)
{
	read_file();
}

void page_in_cache(void)
{
	write_disk(OLD); /* not by way of the file: its block would no longer be shared */
	evict_file();
	read_file();
}

/* The file's page in the store; its block holds OLD. */
static void page_in_store(void)
{
	page_in_cache();
	evict_file();
}

void turn_rules_off(void)
{
	set_parameter("test_rules_off", mask);
}

/* The block is written while its page is in the page cache: the page is old when it goes. */
static bool scenario_stale(void)
{
	page_in_cache();
	turn_rules_off();
	write_disk(NEW);
	evict_file();
	return read_file() == NEW;
}

/* New content was read from the disk while its write is not complete: nobody reads OLD after it. */
static bool scenario_submit(void)
{
	pid_t writer;
	bool fresh;

	page_in_store();
	turn_rules_off();
	set_pause(WRITTEN, 2000);
	writer = beside(write_new);
	pause_ms(700);
	fresh = read_disk() != NEW || read_file() == NEW;
	wait_for(writer);
	return fresh;
}

/* OLD is read and put between the submission of a write and its reaching the disk. */
static bool scenario_complete(void)
{
	pid_t writer;

	page_in_store();
	turn_rules_off();
	set_pause(WRITE, 2000);
	writer = beside(write_new);
	pause_ms(700);
	read_file();
	evict_file();
	wait_for(writer);
	return read_file() == NEW;
}

/* A write passes a read that has its data already. */
static bool scenario_sample(void)
{
	pid_t reader;

	page_in_store();
	turn_rules_off();
	write_disk(OLD); /* out of the store: the read goes to the disk */
	set_pause(READ, 2000);
	reader = beside(read_once);
	pause_ms(700);
	write_disk(NEW);
	wait_for(reader);
	set_pause(PAUSES, 0);
	evict_file();
	return read_file() == NEW;
}

/* A write passes a put that has looked at the generation already. */
static bool scenario_recheck(void)
{
	pid_t evictor;

	page_in_cache();
	turn_rules_off();
	set_pause(CLAIMED, 2000);
	evictor = beside(evict_file);
	pause_ms(700);
	write_disk(NEW);
	wait_for(evictor);
	return read_file() == NEW;
}

/* The same; and before the put has looked again, the block is read by way of another file. */
static bool scenario_claim(void)
{
	pid_t evictor;
	bool fresh;

	page_in_cache();
	evict_path(shared_path); /* what an earlier round left */
	turn_rules_off();
	set_parameter("test_pauses", "2000,3000,0,0,0,0");
	evictor = beside(evict_file);
	pause_ms(700);
	write_disk(NEW);
	pause_ms(2300);
	fresh = read_path(shared_path) == NEW;
	wait_for(evictor);
	return fresh;
}

/* A write fails: the page holds what the disk does not. */
static bool scenario_error(void)
{
	page_in_cache();
	turn_rules_off();
	set_parameter("test_fail_writes", "1");
	write_file(NEWER);
	set_parameter("test_fail_writes", "0");
	evict_file();
	return read_file() == OLD;
}

bool make_clone(void)
{
	int from = open_or_die(file_path, O_RDONLY);
	int to = open(shared_path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (to < 0 || ioctl(to, FICLONE, from))
		die("clone");
	close(from);
	close(to);
	return true;
}

static const struct scenario {
	const char *name;
	bool (*run)(void);
} scenarios[] = {
	{"stale", scenario_stale},   {"submit", scenario_submit},   {"complete", scenario_complete},
	{"sample", scenario_sample}, {"recheck", scenario_recheck}, {"claim", scenario_claim},
	{"error", scenario_error},   {"clone", make_clone},	    {"zero", scenario_zero},
	{"dirty", scenario_dirty},   {"frozen", scenario_frozen},   {"device", scenario_device},
	{"moved", scenario_moved},   {"reused", scenario_reused},
};

static void find_block(void)
{
	static union {
		struct fiemap map;
		uint8_t bytes[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
	} u;
	int fd = open_or_die(file_path, O_RDONLY);

	u.map.fm_length = PAGE_SIZE;
	u.map.fm_flags = FIEMAP_FLAG_SYNC;
	u.map.fm_extent_count = 1;
	if (ioctl(fd, FS_IOC_FIEMAP, &u.map) || !u.map.fm_mapped_extents)
		die("fiemap");
	disk_offset = (off_t)u.map.fm_extents[0].fe_physical;
	close(fd);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 6) {
		puts("rules: usage: rules SCENARIO MASK FILE DISK SHARED");
		return 2;
	}
	mask = argv[2];
	file_path = argv[3];
	disk_path = argv[4];
	shared_path = argv[5];
	buffer = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED)
		die("memory");
	find_block();
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++) {
		bool fresh;

		if (strcmp(scenarios[i].name, argv[1]))
			continue;
		fresh = scenarios[i].run();
		set_pause(PAUSES, 0);
		set_parameter("test_rules_off", "0");
		printf("rules: %s %s\n", argv[1], fresh ? "fresh" : "stale");
		return 0;
	}
	puts("rules: no such scenario");
	return 2;
}
