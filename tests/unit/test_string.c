/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/string.c against the C library's functions. The hypervisor's have the same names, so they
 * are renamed and compiled into this file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define memcpy	hv_memcpy
#define memmove hv_memmove
#define memset	hv_memset
#define memcmp	hv_memcmp
#define strlen	hv_strlen
#define strnlen hv_strnlen
#define strcmp	hv_strcmp
#define strncmp hv_strncmp
#include "core/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp

#define SIZE 80u

static unsigned char ours[SIZE], theirs[SIZE];

static void fill(void)
{
	for (size_t i = 0; i < SIZE; i++)
		ours[i] = theirs[i] = (unsigned char)(i * 7 + 1);
}

static void test_move_every_overlap(void **state)
{
	(void)state;
	for (size_t from = 0; from < 24; from++)
		for (size_t to = 0; to < 24; to++)
			for (size_t n = 0; n <= 40; n++) {
				fill();
				assert_ptr_equal(hv_memmove(ours + to, ours + from, n), ours + to);
				memmove(theirs + to, theirs + from, n);
				assert_memory_equal(ours, theirs, SIZE);
			}
}

static void test_copy(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 40; n++) {
		fill();
		assert_ptr_equal(hv_memcpy(ours + 40, ours, n), ours + 40);
		memcpy(theirs + 40, theirs, n);
		assert_memory_equal(ours, theirs, SIZE);
	}
}

static void test_set(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 40; n++) {
		fill();
		assert_ptr_equal(hv_memset(ours + 3, 0x1a5, n), ours + 3);
		memset(theirs + 3, 0x1a5, n);
		assert_memory_equal(ours, theirs, SIZE);
	}
}

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

static void test_compare(void **state)
{
	static const char *const texts[] = {"", "a", "ab", "abc", "abd", "b", "\xff", "a\xff"};

	(void)state;
	for (size_t i = 0; i < 8; i++)
		for (size_t j = 0; j < 8; j++) {
			const char *a = texts[i], *b = texts[j];

			assert_int_equal(sign(hv_strcmp(a, b)), sign(strcmp(a, b)));
			for (size_t n = 0; n < 5; n++)
				assert_int_equal(sign(hv_strncmp(a, b, n)), sign(strncmp(a, b, n)));
			for (size_t n = 0; n <= strlen(a) && n <= strlen(b); n++)
				assert_int_equal(sign(hv_memcmp(a, b, n)), sign(memcmp(a, b, n)));
		}
}

static void test_lengths(void **state)
{
	static const char unterminated[3] = {'a', 'b', 'c'};

	(void)state;
	assert_int_equal(hv_strlen(""), 0);
	assert_int_equal(hv_strlen("abcd"), 4);
	assert_int_equal(hv_strnlen("abcd", 9), 4);
	assert_int_equal(hv_strnlen("abcd", 2), 2);
	assert_int_equal(hv_strnlen(unterminated, 3), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move_every_overlap),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
