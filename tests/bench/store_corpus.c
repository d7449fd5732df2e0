/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/store_corpus.h"

#define PAGE	      4096u
#define PRESENT	      (1ull << 63) /* of an entry of pagemap: the page is in memory */
#define SOURCE_LINES  60000u
#define SETTLE_TENTHS 80u /* of a second: how long a program may take to get going */

static const char python_script[] =
	"import ast, glob, sys, time\n"
	"trees = []\n"
	"for name in sorted(glob.glob('/usr/lib/python3*/*.py'))[:120]:\n"
	"    try: trees.append(ast.parse(open(name, errors='ignore').read()))\n"
	"    except SyntaxError: pass\n"
	"print('ready', flush=True)\n"
	"time.sleep(600)\n";

static pid_t start(char *const argv[], int in, int out)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(in >= 0 ? in : null, 0);
		dup2(out >= 0 ? out : null, 1);
		dup2(null, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The anonymous pages of one mapping that are there. */
static uint64_t mapping_read(int mem, int map, uint64_t from, uint64_t to, char *pages,
			     uint64_t max)
{
	uint64_t n = 0, at, entry;

	for (at = from; at < to && n < max; at += PAGE) {
		if (pread(map, &entry, sizeof(entry), (off_t)(at / PAGE * sizeof(entry))) !=
			    sizeof(entry) ||
		    !(entry & PRESENT))
			continue;
		if (pread(mem, pages + n * PAGE, PAGE, (off_t)at) == PAGE)
			n++;
	}
	return n;
}

static uint64_t process_read(pid_t pid, char *pages, uint64_t max)
{
	char path[64], line[512];
	uint64_t n = 0;
	int mem, map;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	map = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	while (mem >= 0 && map >= 0 && maps && fgets(line, sizeof(line), maps)) {
		unsigned long from, to, inode;
		char rights[8];

		if (sscanf(line, "%lx-%lx %7s %*x %*s %lu", &from, &to, rights, &inode) == 4 &&
		    rights[1] == 'w' && inode == 0)
			n += mapping_read(mem, map, from, to, pages + n * PAGE, max - n);
	}
	if (maps)
		fclose(maps);
	close(mem);
	close(map);
	return n;
}

static uint64_t python_read(char *pages, uint64_t max)
{
	char *argv[] = {"python3", "-c", (char *)(uintptr_t)python_script, NULL};
	char ready[8];
	uint64_t n = 0;
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		return 0;
	pid = start(argv, -1, fds[1]);
	close(fds[1]);
	if (read(fds[0], ready, sizeof(ready)) > 0)
		n = process_read(pid, pages, max);
	close(fds[0]);
	end(pid);
	return n;
}

/* Functions enough that the compiler is still at work when it is looked at. */
static void source_write(FILE *file)
{
	unsigned int i;

	for (i = 0; i < SOURCE_LINES; i++)
		fprintf(file,
			"struct s%u { int a, b[%u]; const char *name; };\n"
			"int f%u(struct s%u *s, int x) { for (int i = 0; i < x %% %u; i++) s->b[i %% %u] += x ^ s->a; "
			"return s->a > %u ? f%u((void *)s, x - 1) : s->b[x %% %u]; }\n",
			i, i % 7 + 3, i, i, i % 5 + 2, i % 7 + 3, i, i ? i - 1 : 0, i % 7 + 3);
}

static uint64_t compiler_read(char *pages, uint64_t max)
{
	char *argv[] = {"/usr/bin/env", "sh", "-c",
			"exec $(gcc -print-prog-name=cc1) -quiet -O2 -w - -o /dev/null", NULL};
	FILE *source = tmpfile();
	uint64_t n = 0, before;
	unsigned int tenths;
	pid_t pid;

	if (!source)
		return 0;
	source_write(source);
	fflush(source);
	rewind(source);
	lseek(fileno(source), 0, SEEK_SET);
	pid = start(argv, fileno(source), -1);
	/* Until it has as much as there is room for, or grows no more. */
	for (tenths = 0; tenths < SETTLE_TENTHS && n < max; tenths++) {
		usleep(100000);
		kill(pid, SIGSTOP);
		before = n;
		n = process_read(pid, pages, max);
		if (n < before)
			break;
		kill(pid, SIGCONT);
	}
	end(pid);
	fclose(source);
	return n;
}

uint64_t corpus_processes(char *pages, uint64_t max)
{
	uint64_t n = python_read(pages, max / 2);

	return n + compiler_read(pages + n * PAGE, max - n);
}

static struct {
	char *pages;
	uint64_t count, max;
} files;

/* A file's last page is padded with zeroes; from any one not more than a sixteenth of all. */
static int file_read(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	uint64_t most = files.count + files.max / 16;
	ssize_t got;
	int fd;

	(void)walk;
	if (type != FTW_F || info->st_size < (off_t)PAGE)
		return 0;
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	while (files.count < files.max && files.count < most) {
		char *page = files.pages + files.count * PAGE;

		got = read(fd, page, PAGE);
		if (got <= 0)
			break;
		memset(page + got, 0, PAGE - (size_t)got);
		files.count++;
	}
	close(fd);
	return files.count == files.max;
}

uint64_t corpus_files(char *pages, uint64_t max)
{
	static const char *const folders[] = {"/usr/bin", "/usr/lib/x86_64-linux-gnu",
					      "/usr/include", "/usr/share"};
	unsigned int i;

	files.pages = pages;
	files.count = 0;
	for (i = 0; i < 4; i++) {
		files.max = max * (i + 1) / 4;
		nftw(folders[i], file_read, 16, FTW_PHYS);
	}
	return files.count;
}
