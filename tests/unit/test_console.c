/* SPDX-License-Identifier: BSD-2-Clause */
/* core/console.c: the formatter against the C library's, and the ring of messages. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/console.h"

#define RING_SIZE 16384

static char shown[4 * RING_SIZE];
static size_t shown_len;

static size_t room; /* what the device takes without being waited for */
static unsigned int kicks;

static size_t record(const char *text, size_t len, bool wait)
{
	if (!wait && len > room)
		len = room;
	assert_true(shown_len + len <= sizeof(shown));
	memcpy(shown + shown_len, text, len);
	shown_len += len;
	if (!wait)
		room -= len;
	return len;
}

static void kick(void)
{
	kicks++;
}

/* Formats by both and compares text and length. The buffer's end is watched by the sanitizer. */
#define SAME(...)                                                                                  \
	do {                                                                                       \
		char expected[1024];                                                               \
		int want = snprintf(expected, sizeof(expected), __VA_ARGS__);                      \
		char *got = malloc((size_t)want + 1);                                              \
                                                                                                   \
		assert_int_equal(format(got, (size_t)want + 1, __VA_ARGS__), want);                \
		assert_string_equal(got, expected);                                                \
		free(got);                                                                         \
	} while (0)

/* What the compiler would rightly warn about. */
static int format_unchecked(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vformat(buf, size, fmt, args);
	va_end(args);
	return len;
}

static void test_integers(void **state)
{
	(void)state;
	SAME("%d %i %u %x", 0, 0, 0u, 0u);
	SAME("%d %d %u %x", INT_MIN, INT_MAX, UINT_MAX, UINT_MAX);
	SAME("%ld %ld %lu %lx", LONG_MIN, LONG_MAX, ULONG_MAX, ULONG_MAX);
	SAME("%lld %llu %llx", LLONG_MIN, ULLONG_MAX, 0x123456789abcdefull);
	SAME("%zu %zx", SIZE_MAX, SIZE_MAX);
	SAME("%hd %hu %hx", (short)-5, (unsigned short)65535, (unsigned short)0xabcd);
	SAME("%hhd %hhu %hhx", (signed char)-5, (unsigned char)255, (unsigned char)0xab);
	SAME("%u%%", 100u);
}

static void test_flags_and_widths(void **state)
{
	static const int values[] = {0, 1, -1, 42, -42, 123456, INT_MIN, INT_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		int v = values[i];

		SAME("[%1d|%5d|%-5d|%05d|%12d|%-12d|%012d]", v, v, v, v, v, v, v);
		SAME("[%1x|%5x|%-5x|%05x|%16x|%-16x|%016x]", (unsigned int)v, (unsigned int)v,
		     (unsigned int)v, (unsigned int)v, (unsigned int)v, (unsigned int)v,
		     (unsigned int)v);
		SAME("[%08lx|%-8lu|%8ld]", (long)v, (unsigned long)v, (long)v);
	}
}

static void test_text(void **state)
{
	static const char unterminated[3] = {'a', 'b', 'c'};
	char text[16];

	(void)state;
	SAME("%s|%5s|%-5s|%2s|%s", "abc", "abc", "abc", "abc", "");
	SAME("%.*s|%.*s", 2, "abc", 0, "abc");
	SAME("%.2s|%.0s|%5.2s|%-5.2s|%.9s", "abc", "abc", "abc", "abc", "abc");
	SAME("%c%c|%3c|%-3c|", 'x', 'y', 'z', 'w');
	format(text, sizeof(text), "%.3s", unterminated); /* must not look for the end */
	assert_string_equal(text, "abc");
	format_unchecked(text, sizeof(text), "%s", NULL);
	assert_string_equal(text, "(null)");
}

static void test_pointers(void **state)
{
	char text[32];

	(void)state;
	format(text, sizeof(text), "%p", (void *)0xffffffff80001234);
	assert_string_equal(text, "0xffffffff80001234");
	format(text, sizeof(text), "%p", NULL);
	assert_string_equal(text, "0x0");
	format(text, sizeof(text), "[%8p|%-8p]", (void *)0x12, (void *)0x12);
	assert_string_equal(text, "[    0x12|0x12    ]");
}

static void test_short_buffers(void **state)
{
	char *exact;

	(void)state;
	for (size_t size = 0; size <= 12; size++) {
		exact = malloc(size ? size : 1);
		assert_int_equal(format(exact, size, "%s-%d", "hello", 1234), 10);
		if (size) {
			assert_int_equal(strlen(exact), size - 1 < 10 ? size - 1 : 10);
			assert_memory_equal(exact, "hello-1234", strlen(exact));
		}
		free(exact);
	}
}

static void test_unknown_directives(void **state)
{
	static const char *const formats[] = {"a %q b %d", "%", "x%", "%-08", "%.", "%l", "%n"};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		format_unchecked(text, sizeof(text), formats[i]);
		assert_string_equal(text, formats[i]);
	}
}

static void test_huge_width(void **state)
{
	char text[16];

	(void)state;
	assert_int_equal(format_unchecked(text, sizeof(text), "%99999999999999999999d", 7), 256);
	assert_string_equal(text, "               ");
}

/* Runs first: what is printed before an output is known comes out as soon as there is one. */
static void test_early_messages(void **state)
{
	(void)state;
	printk("early %d\n", 1);
	printk("early %d\n", 2);
	assert_int_equal(shown_len, 0);
	console_set_output(record);
	assert_int_equal(shown_len, 16);
	assert_memory_equal(shown, "early 1\nearly 2\n", 16);
	printk("late\n");
	assert_memory_equal(shown + 16, "late\n", 5);
	assert_int_equal(shown_len, 21);
}

/* The oldest bytes are dropped, and no more than must be. */
static void test_ring_overflow(void **state)
{
	(void)state;
	console_set_output(NULL);
	shown_len = 0;
	for (int i = 0; i < 3 * RING_SIZE / 8; i++)
		printk("%07d\n", i);
	console_set_output(record);
	assert_int_equal(shown_len, RING_SIZE);
	for (int i = 0; i < RING_SIZE / 8; i++) {
		char line[16];

		snprintf(line, sizeof(line), "%07d\n", 2 * RING_SIZE / 8 + i);
		assert_memory_equal(shown + i * 8, line, 8);
	}
}

static void test_long_writes(void **state)
{
	static char text[3 * RING_SIZE + 77];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	shown_len = 0;
	console_write(text, sizeof(text));
	assert_int_equal(shown_len, sizeof(text));
	assert_memory_equal(shown, text, sizeof(text));
}

static void test_long_message_is_marked(void **state)
{
	char text[700];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	shown_len = 0;
	printk("%s\n", text);
	assert_int_equal(shown_len, 511);
	assert_memory_equal(shown + shown_len - 6, "xx...\n", 6);
}

static void test_tail(void **state)
{
	(void)state;
	printk("before\n");
	shown_len = 0;
	console_set_tail("ab", 2);
	console_set_tail("abc", 3); /* only what is new */
	console_set_tail("abc", 3);
	assert_int_equal(shown_len, 3);
	assert_memory_equal(shown, "abc", 3);
	console_set_tail("ax", 2);
	assert_int_equal(shown_len, 3 + 4 + 2);
	assert_memory_equal(shown + 3, "\r\033[Kax", 6);
	shown_len = 0;
	printk("line\n"); /* takes its place */
	assert_memory_equal(shown, "\r\033[Kline\n", 9);
	shown_len = 0;
	printk("half"); /* a tail waits for the line's end */
	console_set_tail("ab", 2);
	printk(" line\n");
	assert_int_equal(shown_len, 10);
	assert_memory_equal(shown, "half line\n", 10);
	console_set_tail("", 0);
	assert_int_equal(shown_len, 10);
}

static void test_replay(void **state)
{
	struct console_replay replay;
	unsigned int lines = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) /* more than the ring holds */
		printk("line %04d of many\n", i);
	console_replay_begin(&replay);
	printk("not any more\n");
	shown_len = 0;
	while (console_replay_step(&replay))
		lines++;
	assert_in_range(shown_len, RING_SIZE - 100, RING_SIZE);
	assert_in_range(lines, shown_len / 18 - 1, shown_len / 18 + 1);
	assert_memory_equal(shown + shown_len - 18, "line 0999 of many\n", 18);

	/* Lines that are overwritten meanwhile are left out. */
	console_replay_begin(&replay);
	for (int i = 0; i < 2000; i++)
		printk("line %04d of more\n", i);
	shown_len = 0;
	assert_false(console_replay_step(&replay));
	assert_int_equal(shown_len, 0);
}

/* Gives the device room for @bytes more, and says whether something is left then. */
static bool show(size_t bytes)
{
	room = bytes;
	return console_show();
}

static void test_a_slow_device_is_not_waited_for(void **state)
{
	uint64_t first, second;

	(void)state;
	console_set_kick(kick);
	shown_len = room = 0;
	kicks = 0;
	first = console_write("abc\n", 4);
	second = console_write("def\n", 4);
	assert_int_equal(shown_len, 0);
	assert_int_equal(kicks, 1);
	assert_false(console_has_shown(first));
	assert_true(show(3));
	assert_false(console_has_shown(first));
	assert_true(show(2));
	assert_true(console_has_shown(first));
	assert_false(console_has_shown(second));
	assert_false(show(100));
	assert_true(console_has_shown(second));
	assert_memory_equal(shown, "abc\ndef\n", 8);
	assert_false(console_show());
	assert_int_equal(kicks, 1);
	console_write("ghi\n", 4); /* it has room */
	assert_int_equal(kicks, 1);
	room = 0;
	console_write("jkl\n", 4);
	assert_int_equal(kicks, 2);
	console_set_kick(NULL); /* and now it waits */
	assert_memory_equal(shown, "abc\ndef\nghi\njkl\n", 16);
}

/* What is too much for the ring is lost, from the oldest on, and nobody waits for it. */
static void test_a_slow_device_loses_what_the_ring_does_not_hold(void **state)
{
	uint64_t first;

	(void)state;
	console_set_kick(kick);
	shown_len = room = 0;
	first = console_write("lost\n", 5);
	for (int i = 0; i < RING_SIZE / 8; i++)
		printk("%07d\n", i);
	assert_true(show(8));
	assert_true(console_has_shown(first));
	assert_memory_equal(shown, "0000000\n", 8);
	console_set_kick(NULL);
	assert_int_equal(shown_len, RING_SIZE);
}

static void test_tail_and_replay_on_a_slow_device(void **state)
{
	struct console_replay replay;

	(void)state;
	console_set_kick(kick);
	shown_len = 0;
	room = 2;
	console_set_tail("prompt", 6);
	room = 100;
	console_set_tail("prompt", 6); /* the rest of it */
	assert_int_equal(shown_len, 6);
	shown_len = 0;
	room = 3;
	printk("line\n"); /* comes behind all of what takes the tail back */
	console_set_tail("prompt", 6);
	assert_int_equal(shown_len, 3);
	assert_true(show(2));
	console_set_tail("prompt", 6);
	assert_false(show(100));
	assert_int_equal(shown_len, 9);
	assert_memory_equal(shown, "\r\033[Kline\n", 9);

	console_replay_begin(&replay);
	replay.next = replay.end - 5;
	shown_len = 0;
	room = 2;
	assert_true(console_replay_step(&replay));
	printk("x\n"); /* goes first */
	room = 0;
	assert_true(console_replay_step(&replay));
	assert_false(show(2));
	room = 3;
	assert_false(console_replay_step(&replay));
	assert_int_equal(shown_len, 7);
	assert_memory_equal(shown, "lix\nne\n", 7);
	console_set_kick(NULL);
}

static void test_broken_lock(void **state)
{
	(void)state;
	console_set_kick(kick);
	shown_len = room = 0;
	printk("what went before\n");
	console_break_lock();
	printk("last words\n"); /* nobody will call console_show() */
	assert_memory_equal(shown, "what went before\nlast words\n", 28);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_early_messages), /* first: needs an untouched console */
		cmocka_unit_test(test_ring_overflow),
		cmocka_unit_test(test_long_writes),
		cmocka_unit_test(test_long_message_is_marked),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_flags_and_widths),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_short_buffers),
		cmocka_unit_test(test_unknown_directives),
		cmocka_unit_test(test_huge_width),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_a_slow_device_is_not_waited_for),
		cmocka_unit_test(test_a_slow_device_loses_what_the_ring_does_not_hold),
		cmocka_unit_test(test_tail_and_replay_on_a_slow_device),
		cmocka_unit_test(test_broken_lock), /* last: the lock stays broken */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
