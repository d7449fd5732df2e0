/* SPDX-License-Identifier: BSD-2-Clause */
/* What the scenarios of rules.c and of rules_pages.c have in common. */
#ifndef TESTS_GUEST_LINUX_RULES_H
#define TESTS_GUEST_LINUX_RULES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE_SIZE 4096u

/* As in guest/linux-pv/test.h, the module parameter test_pauses. */
enum pause { CLAIMED, PUT, GOT, READ, WRITE, WRITTEN, PAUSES };

enum { OLD = 0x11, NEW = 0x22, NEWER = 0x33 };

extern const char *file_path, *shared_path;

/* Says what failed and why, and ends the program with status 2. */
_Noreturn void die(const char *what);

void pause_ms(unsigned int ms);

/* Of the driver. */
void set_parameter(const char *name, const char *value);
void set_pause(enum pause which, unsigned int ms);

/* Turns the rules of MASK off from here on; what comes before is to be as it should. */
void turn_rules_off(void);

int open_or_die(const char *path, int flags);

/* The first byte of a file, through the page cache. */
int read_path(const char *path);
int read_file(void);

/* Has the page cache drop a file's pages, in the way reclaim does. */
void evict_path(const char *path);
void evict_file(void);

/* The file's first page is in the page cache, known to the driver; its block holds OLD. */
void page_in_cache(void);

/* Makes the second file, with the same blocks. */
bool make_clone(void);

/* Runs something on the second CPU beside what follows; interrupts of the disk go to the first. */
pid_t beside(void (*run)(void));
void wait_for(pid_t child);

/* rules_pages.c; each returns whether what was read is what had to be. */
bool scenario_zero(void);
bool scenario_dirty(void);
bool scenario_frozen(void);
bool scenario_device(void);
bool scenario_moved(void);
bool scenario_reused(void);

#endif
