/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The screen console: what is written appears where it should, in pixels of every size and in text
 * cells; it wraps, scrolls, and never draws outside of the framebuffer, which ends where its heap
 * buffer does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
/* Included, not linked: each test starts with a screen that was never used. */
#include "arch/x86_64/cpu/screen.c"

#define GLYPH(c) [(c)-FONT_FIRST] = {(c), [FONT_HEIGHT - 1] = 0xff}

/* A glyph for each character that no other has: its code in the first row, a full last row. */
const uint8_t font_glyphs[FONT_LAST - FONT_FIRST + 1][FONT_HEIGHT] = {
	GLYPH('!'), GLYPH('?'), GLYPH('a'), GLYPH('b'), GLYPH('c'), GLYPH('~'),
};

static struct boot_framebuffer fb;
static uint8_t *memory;

static void begin(enum boot_screen kind, uint32_t width, uint32_t height, uint8_t bpp,
		  uint32_t pitch)
{
	memset(&screen, 0, sizeof(screen));
	fb = (struct boot_framebuffer){.kind = kind,
				       .base = 1,
				       .width = width,
				       .height = height,
				       .bpp = bpp,
				       .pitch = pitch};
	memory = malloc((size_t)pitch * height);
	memset(memory, 0x55, (size_t)pitch * height);
	assert_true(screen_init(&fb, memory));
}

static void write_text(const char *text)
{
	assert_int_equal(screen_write(text, strlen(text), false), strlen(text));
}

/* The character in a text cell. */
static char cell(uint32_t row, uint32_t column)
{
	uint8_t *at = memory + row * fb.pitch + column * 2;

	assert_int_equal(at[1], 7);
	return (char)at[0];
}

/* The character in a cell of pixels, every pixel of which is looked at. */
static char cell_of_pixels(uint32_t row, uint32_t column)
{
	size_t bytes = ((size_t)fb.bpp + 7) / 8;
	uint8_t glyph[FONT_HEIGHT] = {0};

	for (uint32_t y = 0; y < FONT_HEIGHT; y++) {
		for (uint32_t x = 0; x < FONT_WIDTH; x++) {
			uint8_t *at = memory + (row * FONT_HEIGHT + y) * (size_t)fb.pitch +
				      (column * FONT_WIDTH + x) * bytes;

			for (size_t i = 1; i < bytes; i++)
				assert_int_equal(at[i], at[0]);
			assert_true(at[0] == 0 || at[0] == 0xff);
			if (at[0])
				glyph[y] |= (uint8_t)(0x80 >> x);
		}
	}
	for (char c = FONT_FIRST; c <= FONT_LAST; c++) {
		if ((c == ' ' || font_glyphs[c - FONT_FIRST][0]) &&
		    memcmp(glyph, font_glyphs[c - FONT_FIRST], FONT_HEIGHT) == 0)
			return c;
	}
	fail_msg("no glyph at row %u, column %u", row, column);
	return 0;
}

static void test_pixels(void **state)
{
	static const uint8_t depths[] = {15, 16, 24, 32};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
		uint32_t pitch = 37 * ((depths[i] + 7u) / 8) + 3; /* odd, and 5 pixels to spare */

		begin(BOOT_SCREEN_PIXELS, 37, 50, depths[i], pitch);
		write_text("ab\n~");
		assert_int_equal(cell_of_pixels(0, 0), 'a');
		assert_int_equal(cell_of_pixels(0, 1), 'b');
		assert_int_equal(cell_of_pixels(0, 2), ' ');
		assert_int_equal(cell_of_pixels(1, 0), '~');
		assert_int_equal(cell_of_pixels(2, 3), ' ');
		assert_int_equal(memory[(size_t)pitch * 50 - 1], 0x55);
		free(memory);
	}
}

static void test_text_cells(void **state)
{
	(void)state;
	begin(BOOT_SCREEN_TEXT, 10, 4, 16, 20);
	write_text("a\tb\r\n\a\x80"
		   "c");
	assert_int_equal(cell(0, 0), 'a');
	assert_int_equal(cell(0, 7), ' ');
	assert_int_equal(cell(0, 8), 'b');
	assert_int_equal(cell(0, 9), ' ');
	assert_int_equal(cell(1, 0), '?');
	assert_int_equal(cell(1, 1), '?');
	assert_int_equal(cell(1, 2), 'c');
	assert_int_equal(cell(3, 9), ' ');
	free(memory);
}

/* What the hypervisor's prompt needs: back to the start of the line, and erase it. */
static void test_prompt(void **state)
{
	(void)state;
	begin(BOOT_SCREEN_TEXT, 4, 2, 16, 8);
	write_text("abca\r\033[Kb");
	assert_int_equal(cell(0, 0), 'b');
	assert_int_equal(cell(0, 1), ' ');
	assert_int_equal(cell(0, 3), ' ');
	write_text("\033[1;31mc\033Ma\r!");
	assert_int_equal(cell(0, 0), '!');
	assert_int_equal(cell(0, 1), 'c');
	assert_int_equal(cell(0, 2), 'a');
	write_text("\n\n\033[K\033");
	write_text("[Ka"); /* below the last row, in two parts */
	assert_int_equal(cell(1, 0), 'a');
	free(memory);
}

static void test_wrap_and_scroll(void **state)
{
	(void)state;
	begin(BOOT_SCREEN_TEXT, 3, 4, 16, 6);
	write_text("aaa");
	assert_int_equal(cell(1, 0), ' '); /* wraps with the next character, not before */
	write_text("\nbbbc\n");
	assert_int_equal(cell(1, 2), 'b');
	assert_int_equal(cell(2, 0), 'c');
	write_text("~\n"); /* the last row is full: it scrolls when something follows */
	assert_int_equal(cell(0, 0), 'a');
	assert_int_equal(cell(3, 0), '~');
	write_text("!");
	assert_int_equal(cell(0, 0), 'b');
	assert_int_equal(cell(1, 0), 'c');
	assert_int_equal(cell(1, 1), ' ');
	assert_int_equal(cell(2, 0), '~');
	assert_int_equal(cell(3, 0), '!');
	write_text("\n\n\n\n\n\n\n\n\na");
	for (uint32_t row = 0; row < 3; row++)
		assert_int_equal(cell(row, 0), ' ');
	assert_int_equal(cell(3, 0), 'a');
	free(memory);

	/* A quarter of twelve rows at once. */
	begin(BOOT_SCREEN_TEXT, 1, 12, 16, 2);
	write_text("a\nb\nc\na\nb\nc\na\nb\nc\na\nb\nc\n~");
	assert_int_equal(cell(0, 0), 'a');
	assert_int_equal(cell(8, 0), 'c');
	assert_int_equal(cell(9, 0), '~');
	assert_int_equal(cell(10, 0), ' ');
	free(memory);
}

/* The address changes in the middle of a line; the text goes on behind it. */
static void test_moves(void **state)
{
	uint8_t *old;

	(void)state;
	begin(BOOT_SCREEN_TEXT, 10, 2, 16, 20);
	write_text("ab");
	old = memory;
	memory = malloc(40);
	memcpy(memory, old, 40);
	free(old);
	assert_true(screen_init(&fb, memory));
	write_text("c");
	assert_int_equal(cell(0, 1), 'b');
	assert_int_equal(cell(0, 2), 'c');
	free(memory);
}

static void test_sizes(void **state)
{
	static const struct boot_framebuffer bad[] = {
		{.kind = BOOT_SCREEN_NONE, .width = 800, .height = 600, .bpp = 32, .pitch = 3200},
		{.kind = BOOT_SCREEN_PIXELS, .width = 7, .height = 600, .bpp = 32, .pitch = 28},
		{.kind = BOOT_SCREEN_PIXELS, .width = 800, .height = 15, .bpp = 32, .pitch = 3200},
		{.kind = BOOT_SCREEN_PIXELS, .width = 800, .height = 600, .bpp = 8, .pitch = 800},
		{.kind = BOOT_SCREEN_PIXELS, .width = 800, .height = 600, .bpp = 48, .pitch = 4800},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t byte = 0;

		memset(&screen, 0, sizeof(screen));
		assert_false(screen_init(&bad[i], &byte));
	}
	/* Larger than what is kept of the text: the rest of the screen stays unused. */
	begin(BOOT_SCREEN_PIXELS, 8 * (COLUMNS_MAX + 9), 16 * (ROWS_MAX + 3), 16,
	      16 * (COLUMNS_MAX + 9));
	for (unsigned int i = 0; i < COLUMNS_MAX * ROWS_MAX; i++)
		write_text("b");
	write_text("a");
	assert_int_equal(cell_of_pixels(0, COLUMNS_MAX - 1), 'b');
	assert_int_equal(cell_of_pixels(ROWS_MAX - ROWS_MAX / SCROLL_PART, 0), 'a');
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pixels),		cmocka_unit_test(test_text_cells),
		cmocka_unit_test(test_wrap_and_scroll), cmocka_unit_test(test_moves),
		cmocka_unit_test(test_sizes),		cmocka_unit_test(test_prompt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
