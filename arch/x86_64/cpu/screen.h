/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text on the screen that the boot loader left: for machines without a serial port.
 */
#ifndef ARCH_CPU_SCREEN_H
#define ARCH_CPU_SCREEN_H

#include "boot/bootinfo.h"
#include "core/types.h"

#define FONT_FIRST  ' '
#define FONT_LAST   '~'
#define FONT_WIDTH  8
#define FONT_HEIGHT 16

/* Rows of each character from the top, the highest bit leftmost; made by tools/gen_font.py. */
extern const uint8_t font_glyphs[FONT_LAST - FONT_FIRST + 1][FONT_HEIGHT];

/*
 * screen_init - start with an empty screen
 * @fb:   what the boot loader says of it; not needed afterwards
 * @base: where it is mapped, all of pitch * height
 *
 * Returns false, and draws nothing, when there is none that we can draw on. When it was called
 * before, it only takes the new address and goes on behind the text that is there.
 */
bool screen_init(const struct boot_framebuffer *fb, void *base);

/*
 * screen_write - append text; what does not fit scrolls
 * @wait: is not looked at. Returns @len: all is taken. Context: one at a time.
 */
size_t screen_write(const char *text, size_t len, bool wait);

#endif
