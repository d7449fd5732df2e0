/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's messages: formatted, kept in a ring, written to the serial port or the screen.
 *
 * A serial port takes 87 us for a character. While guests run nobody waits for it: what it does not
 * take stays in the ring, and console_show() hands it on.
 */
#ifndef CORE_CONSOLE_H
#define CORE_CONSOLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * printk - print a message for the people at the console
 * @fmt: printf's %d %i %u %x %c %s %p %% with widths, the 0 and - flags, the lengths hh h l ll z,
 *	 and on %s a precision (a number or an asterisk); nothing else. Ends with a newline.
 *
 * Context: any, also from exception handlers; takes the console lock, so lines do not mix.
 */
void printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* vformat - printf's work into a buffer. Returns the length it would have; always terminates. */
int vformat(char *buf, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));
int format(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * console_write - put text out as it is
 * Returns the place where it ends, for console_has_shown(). Context: as printk().
 */
uint64_t console_write(const char *text, size_t len);

/*
 * console_set_output - name the device that text goes to from now on
 * @write: takes text, and returns how much of it: all, if it is to wait. Called with the console
 *	   lock held; NULL for none. What was printed before any output was known is kept in the
 *	   ring (16 KiB, oldest dropped) and written out on the first call.
 */
void console_set_output(size_t (*write)(const char *text, size_t len, bool wait));

/*
 * console_set_kick - from now on printing does not wait for the device
 * @kick: sees that somebody calls console_show() soon; called in any context, no console lock held.
 *	  NULL: wait again, at once for what was left.
 */
void console_set_kick(void (*kick)(void));

/* console_show - hand on what the device takes now. Returns whether there is more. Context: any. */
bool console_show(void);

/* console_has_shown - has the device taken all up to a place? Context: any. */
bool console_has_shown(uint64_t place);

/*
 * console_set_tail - text that stands at the end of the output, without a newline
 *
 * For what is being typed. It is no part of the ring; the next output takes its place, so it is to
 * be set again now and then. At most CONSOLE_TAIL_MAX characters of it are shown.
 */
#define CONSOLE_TAIL_MAX 256
void console_set_tail(const char *text, size_t len);

/*
 * console_replay_begin - have all of the ring shown again, as it is at this moment
 * console_replay_step  - show one more line of it. Returns whether there is more.
 */
struct console_replay {
	uint64_t next, end; /* counted as console.written */
};
void console_replay_begin(struct console_replay *replay);
bool console_replay_step(struct console_replay *replay);

/*
 * console_break_lock - let panic() print although a holder of the console lock will not return
 * From now on printing waits for the device.
 */
void console_break_lock(void);

/* trace_error - a negative error number on its way up: says once where it was born. */
#define trace_error(err)                                                                           \
	({                                                                                         \
		printk("%s:%d: error %d\n", __FILE__, __LINE__, -(err));                           \
		(err);                                                                             \
	})

#endif
