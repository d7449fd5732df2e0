/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Draws text, light on dark, on a framebuffer of pixels or in the PC's text mode
 *
 * What is on the screen is also kept in memory: reading a framebuffer takes microseconds a word on
 * real machines. Writing is slow as well, so scrolling draws only cells that change, and scrolls
 * by a quarter of the screen at once.
 */
#include "arch/x86_64/cpu/screen.h"
#include "core/string.h"

#define COLUMNS_MAX  160u
#define ROWS_MAX     75u
#define SCROLL_PART  4u /* of the screen is scrolled at once */
#define TAB_COLUMNS  8u
#define BYTES_MAX    4u	    /* of a pixel */
#define EGA_GREY     0x0700 /* attribute: light grey on black */
#define UNKNOWN_CHAR '?'
#define ASCII_ESC    '\033'

static struct {
	uint8_t *base;
	uint32_t pitch;
	uint32_t pixel_bytes; /* 0: text mode */
	uint32_t columns, rows;
	uint32_t column, row; /* where the next character goes; the row may be below the last */
	enum { ESCAPE_NONE, ESCAPE_START, ESCAPE_CSI } escape; /* in an escape sequence */
	char text[ROWS_MAX][COLUMNS_MAX];
} screen;

/* White has all bits set and black none, whatever the order of the colours: no masks are needed. */
static void draw_pixels(uint8_t *at, const uint8_t *glyph)
{
	uint8_t pixels[FONT_WIDTH * BYTES_MAX];

	for (uint32_t y = 0; y < FONT_HEIGHT; y++, at += screen.pitch) {
		for (uint32_t x = 0; x < FONT_WIDTH; x++)
			memset(pixels + x * screen.pixel_bytes, glyph[y] & 0x80 >> x ? 0xff : 0,
			       screen.pixel_bytes);
		/* Eight pixels are 2, 3 or 4 words of 64 bits: as few writes as possible. */
		for (uint32_t word = 0; word < screen.pixel_bytes; word++)
			__builtin_memcpy(at + word * sizeof(uint64_t),
					 pixels + word * sizeof(uint64_t), sizeof(uint64_t));
	}
}

static void draw(uint32_t row, uint32_t column, char c)
{
	uint16_t cell = (uint16_t)(EGA_GREY | c);

	screen.text[row][column] = c;
	if (screen.pixel_bytes)
		draw_pixels(screen.base + (size_t)row * FONT_HEIGHT * screen.pitch +
				    (size_t)column * FONT_WIDTH * screen.pixel_bytes,
			    font_glyphs[c - FONT_FIRST]);
	else
		memcpy(screen.base + row * screen.pitch + column * sizeof(cell), &cell,
		       sizeof(cell));
}

static void scroll(void)
{
	uint32_t by = screen.rows / SCROLL_PART;

	if (by == 0)
		by = 1;
	for (uint32_t row = 0; row < screen.rows; row++) {
		for (uint32_t column = 0; column < screen.columns; column++) {
			char c = row + by < screen.rows ? screen.text[row + by][column] : ' ';

			if (screen.text[row][column] != c)
				draw(row, column, c);
		}
	}
	screen.row -= by;
}

static void put(char c)
{
	if (screen.column == screen.columns) {
		screen.column = 0;
		screen.row++;
	}
	if (screen.row == screen.rows)
		scroll();
	draw(screen.row, screen.column++, c);
}

static void erase_line(void)
{
	if (screen.row == screen.rows) /* nothing is below the last row yet */
		return;
	for (uint32_t column = screen.column; column < screen.columns; column++)
		draw(screen.row, column, ' ');
}

/*
 * Whether @c belongs to an escape sequence. The hypervisor's own prompt uses one, to erase to the
 * end of the line; others are skipped.
 */
static bool take_escape(char c)
{
	switch (screen.escape) {
	case ESCAPE_START:
		screen.escape = c == '[' ? ESCAPE_CSI : ESCAPE_NONE;
		return true;
	case ESCAPE_CSI:
		if (c < '@' || c > '~')
			return true;
		if (c == 'K')
			erase_line();
		screen.escape = ESCAPE_NONE;
		return true;
	default:
		if (c == ASCII_ESC)
			screen.escape = ESCAPE_START;
		return c == ASCII_ESC;
	}
}

bool screen_init(const struct boot_framebuffer *fb, void *base)
{
	bool text = fb->kind == BOOT_SCREEN_TEXT;
	uint32_t columns = text ? fb->width : fb->width / FONT_WIDTH;
	uint32_t rows = text ? fb->height : fb->height / FONT_HEIGHT;
	uint32_t pixel_bytes = ((uint32_t)fb->bpp + 7) / 8;

	if (fb->kind == BOOT_SCREEN_NONE || columns == 0 || rows == 0 || pixel_bytes < 2 ||
	    pixel_bytes > BYTES_MAX)
		return false;
	screen.base = base;
	if (screen.columns)
		return true;
	screen.pitch = fb->pitch;
	screen.pixel_bytes = text ? 0 : pixel_bytes;
	screen.columns = columns < COLUMNS_MAX ? columns : COLUMNS_MAX;
	screen.rows = rows < ROWS_MAX ? rows : ROWS_MAX;
	for (uint32_t row = 0; row < screen.rows; row++) {
		for (uint32_t column = 0; column < screen.columns; column++)
			draw(row, column, ' ');
	}
	return true;
}

size_t screen_write(const char *text, size_t len, bool wait)
{
	(void)wait;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (take_escape(c))
			continue;
		if (c == '\n') {
			if (screen.row == screen.rows)
				scroll();
			screen.column = 0;
			screen.row++;
		} else if (c == '\t') {
			do {
				put(' ');
			} while (screen.column % TAB_COLUMNS);
		} else if (c == '\r') {
			screen.column = 0;
		} else {
			put(c >= FONT_FIRST && c <= FONT_LAST ? c : UNKNOWN_CHAR);
		}
	}
	return len;
}
