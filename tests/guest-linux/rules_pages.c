/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scenarios of rules.c about what happens to pages: they become dirty, are changed by who holds
 * them, are zeroed in part, go from frame to frame, and are transformed above the disk.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rules.h"

#define MOUNT_POINT "/mnt"

static void run(const char *command)
{
	if (system(command))
		die(command);
}

static void mount_files(const char *device)
{
	if (mount(device, MOUNT_POINT, "xfs", 0, NULL))
		die("mount");
}

static void unmount_files(void)
{
	if (umount2(MOUNT_POINT, 0))
		die("umount");
}

/* ---- zeroing a part of a folio ------------------------------------------------------------- */

#define PAGEMAP_FRAME	((1ull << 55) - 1)
#define KPAGEFLAGS_TAIL (1ull << 16) /* here: a page of a large folio, but not its first */

static off_t hole;

static uint64_t read_word(int fd, uint64_t index)
{
	uint64_t word;

	if (pread(fd, &word, sizeof(word), (off_t)(index * sizeof(word))) != sizeof(word))
		die("a word of /proc");
	return word;
}

/* Reads the file one page after the other; returns the offset of a large folio's last page. */
static off_t read_large_folios(int fd, size_t size)
{
	int pagemap = open_or_die("/proc/self/pagemap", O_RDONLY);
	int flags = open_or_die("/proc/kpageflags", O_RDONLY);
	uint8_t page[PAGE_SIZE];
	bool tail = false;
	off_t found = -1;
	uint8_t *map;

	for (size_t at = 0; at < size; at += PAGE_SIZE) {
		if (pread(fd, page, PAGE_SIZE, (off_t)at) != (ssize_t)PAGE_SIZE)
			die("read");
	}
	map = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		die("map");
	for (size_t at = 0; at < size && found < 0; at += PAGE_SIZE) {
		uint64_t entry = read_word(pagemap, ((uintptr_t)map + at) / PAGE_SIZE);
		bool was_tail = tail;

		tail = read_word(flags, entry & PAGEMAP_FRAME) & KPAGEFLAGS_TAIL;
		if (was_tail && !tail)
			found = (off_t)(at - PAGE_SIZE);
	}
	munmap(map, size);
	close(flags);
	close(pagemap);
	if (found < 0)
		die("no large folio");
	return found;
}

static void punch_hole(void)
{
	int fd = open_or_die(file_path, O_RDWR);

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, hole + 100, PAGE_SIZE))
		die("punch");
	close(fd);
}

/*
 * A hole from within the last page of a large folio to within the page that follows. XFS has both
 * pages zeroed and dropped as wholes, and then reads them again, for their blocks stay. The second
 * is being read, so that punching waits for it after it has zeroed the first, which is evicted
 * then.
 */
bool scenario_zero(void)
{
	int fd = open_or_die(file_path, O_RDONLY);
	uint8_t before[64], after[64];
	struct stat status;
	pid_t puncher;

	if (fstat(fd, &status))
		die("stat");
	set_parameter("keep_dropped", "0"); /* what is read is read from the disk */
	evict_file();
	hole = read_large_folios(fd, (size_t)status.st_size);
	if (pread(fd, before, sizeof(before), hole) != sizeof(before))
		die("read");
	posix_fadvise(fd, hole + PAGE_SIZE, 0, POSIX_FADV_DONTNEED);
	set_parameter("keep_dropped", "1");
	turn_rules_off();
	set_pause(READ, 2000);
	posix_fadvise(fd, hole + PAGE_SIZE, PAGE_SIZE, POSIX_FADV_WILLNEED);
	pause_ms(300); /* the disk has answered */
	set_pause(PAUSES, 0);
	puncher = beside(punch_hole);
	pause_ms(700);
	posix_fadvise(fd, hole, PAGE_SIZE, POSIX_FADV_DONTNEED);
	wait_for(puncher);
	if (pread(fd, after, sizeof(after), hole) != sizeof(after))
		die("read");
	close(fd);
	return !memcmp(before, after, sizeof(before));
}

/* ---- pages that become dirty, or are changed without --------------------------------------- */

#define XFS_IOC_GOINGDOWN _IOR('X', 125, uint32_t)
#define XFS_GOING_NOFLUSH 2u

/*
 * The file system shuts down, as it does when its disk fails: dirty pages become clean, and nothing
 * is written. After the next mount the file is what the disk has.
 */
bool scenario_dirty(void)
{
	uint32_t how = XFS_GOING_NOFLUSH;
	uint8_t page[PAGE_SIZE];
	int fd;

	page_in_cache();
	turn_rules_off();
	fd = open_or_die(file_path, O_RDWR);
	memset(page, NEW, sizeof(page));
	if (pwrite(fd, page, sizeof(page), 0) != sizeof(page))
		die("write");
	if (ioctl(fd, XFS_IOC_GOINGDOWN, &how))
		die("shutdown");
	if (!fsync(fd)) {
		puts("rules: a write after the shutdown");
		exit(2);
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	unmount_files();
	mount_files("/dev/vda");
	return read_file() == OLD;
}

static uint8_t *target; /* the file's page, mapped */
static uint8_t *source; /* two pages that are there when we say so */

/* The kernel holds the target all the time, and waits for each page of the source. */
static void *pour(void *unused)
{
	struct iovec from = {source + PAGE_SIZE / 2, PAGE_SIZE};
	struct iovec to = {target, PAGE_SIZE};

	if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != (ssize_t)PAGE_SIZE)
		die("process_vm_writev");
	return unused;
}

static int source_create(void)
{
	int fault = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	struct uffdio_api api = {.api = UFFD_API};

	source = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	range.range.start = (uintptr_t)source;
	range.range.len = 2 * PAGE_SIZE;
	if (fault < 0 || source == MAP_FAILED || ioctl(fault, UFFDIO_API, &api) ||
	    ioctl(fault, UFFDIO_REGISTER, &range))
		die("userfaultfd");
	return fault;
}

static void source_fill(int fault, unsigned int page)
{
	uint8_t content[PAGE_SIZE];
	struct uffdio_copy copy = {
		.dst = (uintptr_t)source + page * PAGE_SIZE,
		.src = (uintptr_t)content,
		.len = PAGE_SIZE,
	};

	memset(content, NEW, sizeof(content));
	if (ioctl(fault, UFFDIO_COPY, &copy))
		die("UFFDIO_COPY");
}

/*
 * A page that the kernel holds to write into it is written back before it does, so it is clean, and
 * its block OLD; then it is changed, and truncated. The block stays, for another file has it too.
 */
bool scenario_frozen(void)
{
	int fd = open_or_die(file_path, O_RDWR);
	int fault = source_create();
	uint8_t page[PAGE_SIZE];
	pthread_t thread;
	bool fresh;

	page_in_cache();
	target = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (target == MAP_FAILED || pthread_create(&thread, NULL, pour, NULL))
		die("map");
	pause_ms(500); /* it is held */
	if (fsync(fd))
		die("fsync");
	make_clone();
	turn_rules_off();
	source_fill(fault, 0);
	pause_ms(500); /* it is changed in part */
	if (ftruncate(fd, 0))
		die("truncate");
	source_fill(fault, 1);
	pthread_join(thread, NULL);
	fresh = read_path(shared_path) == OLD;

	/* As it was, for the next. */
	memset(page, OLD, sizeof(page));
	if (pwrite(fd, page, sizeof(page), 0) != sizeof(page) || fsync(fd))
		die("write");
	close(fd);
	make_clone();
	return fresh;
}

/* ---- something between the file system and the disk ---------------------------------------- */

/*
 * A device above the disk on which the first byte of each read is NEW, as one that decrypts would
 * change all. The file system is mounted there; without the device the file is what it was.
 */
bool scenario_device(void)
{
	char command[256];
	/* 6.1's flakey changes what the bio's iterator still names; a disk's driver uses that up.
	 */
	const char *between =
		"dmctl create between $(blockdev --getsz /dev/vda) linear '/dev/vda 0'";
	const char *format = "dmctl %s flaky $(blockdev --getsz /dev/vda) flakey '/dev/dm-0 0 %s'";
	bool fresh;

	unmount_files();
	run(between);
	snprintf(command, sizeof(command), format, "create", "1 0");
	run(command);
	mount_files("/dev/dm-1");
	page_in_cache(); /* and metadata */
	evict_file();
	snprintf(command, sizeof(command), format, "reload", "0 1 5 corrupt_bio_byte 1 r 34 0");
	run(command);
	turn_rules_off();
	if (read_file() != NEW)
		die("nothing is changed above the disk");
	evict_file();
	snprintf(command, sizeof(command), format, "reload", "1 0");
	run(command);
	fresh = read_file() == OLD;
	unmount_files();
	run("dmctl remove flaky");
	run("dmctl remove between");
	mount_files("/dev/vda");
	return fresh;
}

/* ---- from frame to frame ------------------------------------------------------------------- */

#define SCATTER_SIZE  (4u << 20) /* of the file; one in some 10 of the frames that are free */
#define SCATTER_STEP  16384u
#define SCATTER_LEAVE (10ul << 20) /* free memory that is left to the kernel */

static size_t free_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file) && sscanf(line, "MemFree: %lu", &kib) != 1)
		;
	if (!kib)
		die("/proc/meminfo");
	fclose(file);
	return kib * 1024;
}

static void write_text(const char *path, const char *text)
{
	int fd = open_or_die(path, O_WRONLY);

	if (write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* Brings a file's first pages, in no large folio, into frames with free ones in between. */
static void scatter(const char *path)
{
	int fd = open_or_die(path, O_RDONLY);
	const size_t steps = SCATTER_SIZE / SCATTER_STEP;
	size_t between = (free_memory() - SCATTER_LEAVE) / steps;
	static uint8_t content[SCATTER_STEP];
	uint8_t *holes = mmap(NULL, steps * between, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (holes == MAP_FAILED)
		die("memory");
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (size_t i = 0; i < steps; i++) {
		if (pread(fd, content, SCATTER_STEP, (off_t)(i * SCATTER_STEP)) != SCATTER_STEP)
			die("read");
		memset(holes + i * between, 1, between);
	}
	munmap(holes, steps * between);
	close(fd);
}

/*
 * The file's pages move to the upper end of memory; with the rules off their entries stay behind.
 * What an earlier round left behind goes with the disk.
 */
static void move_file(void)
{
	write_text("/sys/kernel/tidepool/detach", "vda");
	write_text("/sys/kernel/tidepool/attach", "/dev/vda");
	set_parameter("keep_dropped", "0");
	write_text("/proc/sys/vm/drop_caches", "3");
	set_parameter("keep_dropped", "1");
	scatter(file_path);
	turn_rules_off();
	write_text("/proc/sys/vm/compact_memory", "1");
}

/* In steps, each one bio at most: of several pages all have to be in the store, or none is got. */
static void read_in_steps(int flags, uint8_t *content, size_t step)
{
	int fd = open_or_die(file_path, O_RDONLY | flags);

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (size_t at = 0; at < SCATTER_SIZE; at += step) {
		if (read(fd, content + at, step) != (ssize_t)step)
			die("read");
	}
	close(fd);
}

/* Whether the file is, after its pages have been evicted, what the disk says. */
static bool file_is_fresh(void)
{
	uint8_t *content = mmap(NULL, 2 * SCATTER_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool fresh;

	if (content == MAP_FAILED)
		die("memory");
	evict_file();
	read_in_steps(0, content, PAGE_SIZE);
	read_in_steps(O_DIRECT, content + SCATTER_SIZE, SCATTER_SIZE);
	fresh = !memcmp(content, content + SCATTER_SIZE, SCATTER_SIZE);
	munmap(content, 2 * SCATTER_SIZE);
	return fresh;
}

/* Other pages come into the frames by migration, which does not add them to the page cache. */
bool scenario_moved(void)
{
	move_file();
	scatter(shared_path);
	write_text("/proc/sys/vm/compact_memory", "1");
	evict_path(shared_path);
	return file_is_fresh();
}

/* Other pages come into the frames as they are read, pages that get no entry of their own: the
 * disk's. */
bool scenario_reused(void)
{
	static uint8_t content[SCATTER_STEP];
	size_t room;
	int fd;

	move_file();
	fd = open_or_die("/dev/vda", O_RDONLY);
	room = free_memory() - SCATTER_LEAVE / 2;
	for (size_t i = 0; i < room / SCATTER_STEP; i++) {
		if (read(fd, content, SCATTER_STEP) != SCATTER_STEP)
			break;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return file_is_fresh();
}
