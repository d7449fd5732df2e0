/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a tiny test guest is made of
 *
 * A test is one file: its name and test_main(). It reports what it finds; the worst report counts
 * and is the last line before power-off: "TEST name: Success".
 *
 *   Success	everything was as expected
 *   Skip	what was to be tested is not there
 *   Error	the test itself could not be carried out
 *   Failure	the hypervisor did something wrong
 */
#ifndef TESTS_GUEST_LIB_TEST_H
#define TESTS_GUEST_LIB_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Given by the test. */
extern const char test_name[];
void test_main(void);

/* print - text on the serial port; %d %u %x %s %c %%, with l and a width, 0 in front of it. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Reports; each prints its sentence, and the test goes on. */
void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void test_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void test_failure(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* test_finish - print the verdict and switch off, now. */
void test_finish(void) __attribute__((noreturn));

/* CHECK - a condition that must hold; the rest says what it means that it does not. */
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			test_failure(__VA_ARGS__);                                                 \
	} while (0)

/* CHECK_EQ - a call's result. @what: printf format of a phrase that names the call. */
#define CHECK_EQ(actual, expected, what)                                                           \
	do {                                                                                       \
		int64_t actual_ = (int64_t)(actual), expected_ = (int64_t)(expected);              \
                                                                                                   \
		if (actual_ != expected_)                                                          \
			test_failure("%s: %ld, expected %ld", what, actual_, expected_);           \
	} while (0)

/* cmdline_has - is @word among the words of the command line? */
bool cmdline_has(const char *word);
/* cmdline_number - the decimal number behind @prefix, @otherwise when it is not there */
uint64_t cmdline_number(const char *prefix, uint64_t otherwise);

/* ram_bytes - RAM below the device hole, by the memory map: also the address where it ends */
uint64_t ram_bytes(void);

/* test_random - pseudo-random numbers, the same in every run */
uint64_t test_random(void);

/* Freestanding C needs these. */
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
