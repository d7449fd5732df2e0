/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages: a formatter without surprises, and a ring that keeps what was printed
 */
#include "core/console.h"
#include "core/spinlock.h"
#include "core/string.h"
#include <stdbool.h>
#include <stdint.h>

#define RING_SIZE   16384u /* a power of two */
#define MESSAGE_MAX 512u   /* longest printk(); the rest is cut off */
#define DIGITS_MAX  20u	   /* of 64 bits in decimal */
#define WIDTH_MAX   256	   /* what a wider field is taken for */

static struct {
	struct spinlock lock; /* all below; taken in any context, no other lock is taken under it */
	bool lock_broken;     /* a CPU that holds it has been stopped: go on without */
	char ring[RING_SIZE];
	uint64_t written; /* bytes ever put into the ring */
	uint64_t shown;	  /* atomic: of them, taken by an output or dropped */
	size_t (*output)(const char *text, size_t len, bool wait);
	void (*kick)(void);	     /* NULL: printing waits for the output */
	bool kicked;		     /* atomic: kick() was called, console_show() not since */
	char tail[CONSOLE_TAIL_MAX]; /* stands behind what was shown */
	size_t tail_len;
	size_t erase_left; /* atomic: bytes of what takes a tail back that are still to be sent */
} console;

#define PRECISION_ARGUMENT (-2) /* ".*" */

/* One conversion: %[flags][width][.precision][length]type */
struct directive {
	bool left, zero;
	int width;
	int precision;	   /* -1: none; PRECISION_ARGUMENT: the next argument */
	unsigned int size; /* of the argument, bytes */
	char type;
};

struct writer {
	char *buf;
	size_t size; /* of buf, terminator included */
	size_t len;  /* what all of the text would take */
};

static void put_char(struct writer *out, char c)
{
	if (out->len + 1 < out->size)
		out->buf[out->len] = c;
	out->len++;
}

static void put_text(struct writer *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put_char(out, text[i]);
}

static void put_repeated(struct writer *out, char c, int count)
{
	while (count-- > 0)
		put_char(out, c);
}

static void put_padded(struct writer *out, const struct directive *d, const char *text, size_t len)
{
	int padding = d->width - (int)len;

	if (!d->left)
		put_repeated(out, ' ', padding);
	put_text(out, text, len);
	if (d->left)
		put_repeated(out, ' ', padding);
}

/* @prefix: "", "-" or "0x"; zeros of the 0 flag go behind it. */
static void put_number(struct writer *out, const struct directive *d, const char *prefix,
		       uint64_t value, unsigned int base)
{
	char digits[DIGITS_MAX];
	size_t at = sizeof(digits);
	int padding;

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	padding = d->width - (int)(strlen(prefix) + sizeof(digits) - at);

	if (!d->left && !d->zero)
		put_repeated(out, ' ', padding);
	put_text(out, prefix, strlen(prefix));
	if (!d->left && d->zero)
		put_repeated(out, '0', padding);
	put_text(out, digits + at, sizeof(digits) - at);
	if (d->left)
		put_repeated(out, ' ', padding);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the decimal digits at *fmt; none are 0. */
static int parse_count(const char **fmt)
{
	int count = 0;

	for (; is_digit(**fmt); (*fmt)++)
		if (count <= WIDTH_MAX)
			count = count * 10 + (**fmt - '0');
	return count < WIDTH_MAX ? count : WIDTH_MAX;
}

/* @fmt: behind the percent sign. Returns what follows the directive. */
static const char *parse_directive(const char *fmt, struct directive *d)
{
	*d = (struct directive){.precision = -1, .size = sizeof(int)};
	for (;; fmt++) {
		if (*fmt == '-')
			d->left = true;
		else if (*fmt == '0')
			d->zero = true;
		else
			break;
	}
	d->width = parse_count(&fmt);
	if (*fmt == '.') {
		fmt++;
		if (*fmt == '*') {
			d->precision = PRECISION_ARGUMENT;
			fmt++;
		} else {
			d->precision = parse_count(&fmt);
		}
	}
	switch (*fmt) {
	case 'h':
		d->size = sizeof(short);
		if (*++fmt == 'h') {
			d->size = sizeof(char);
			fmt++;
		}
		break;
	case 'l':
		d->size = sizeof(long);
		if (*++fmt == 'l')
			fmt++;
		break;
	case 'z':
		d->size = sizeof(size_t);
		fmt++;
		break;
	}
	d->type = *fmt;
	return *fmt ? fmt + 1 : fmt;
}

_Static_assert(sizeof(long) == sizeof(long long) && sizeof(long) == sizeof(size_t),
	       "l, ll and z are the same size, so one way of fetching serves them");

static uint64_t fetch_unsigned(const struct directive *d, va_list *args)
{
	switch (d->size) {
	case sizeof(long):
		return va_arg(*args, uint64_t);
	case sizeof(short):
		return (unsigned short)va_arg(*args, unsigned int);
	case sizeof(char):
		return (unsigned char)va_arg(*args, unsigned int);
	default:
		return va_arg(*args, unsigned int);
	}
}

static int64_t fetch_signed(const struct directive *d, va_list *args)
{
	switch (d->size) {
	case sizeof(long):
		return va_arg(*args, int64_t);
	case sizeof(short):
		return (short)va_arg(*args, int);
	case sizeof(char):
		return (signed char)va_arg(*args, int);
	default:
		return va_arg(*args, int);
	}
}

/* Returns false for a type that is not offered. */
static bool put_directive(struct writer *out, struct directive *d, va_list *args)
{
	const char *text;
	int64_t number;
	char c;

	switch (d->type) {
	case '%':
		put_char(out, '%');
		return true;
	case 'c':
		c = (char)va_arg(*args, int);
		put_padded(out, d, &c, 1);
		return true;
	case 's':
		text = va_arg(*args, const char *);
		if (!text)
			text = "(null)";
		put_padded(out, d, text,
			   strnlen(text, d->precision < 0 ? SIZE_MAX : (size_t)d->precision));
		return true;
	case 'd':
	case 'i':
		number = fetch_signed(d, args);
		put_number(out, d, number < 0 ? "-" : "",
			   number < 0 ? -(uint64_t)number : (uint64_t)number, 10);
		return true;
	case 'u':
		put_number(out, d, "", fetch_unsigned(d, args), 10);
		return true;
	case 'x':
		put_number(out, d, "", fetch_unsigned(d, args), 16);
		return true;
	case 'p':
		put_number(out, d, "0x", (uintptr_t)va_arg(*args, void *), 16);
		return true;
	default:
		return false;
	}
}

int vformat(char *buf, size_t size, const char *fmt, va_list args)
{
	struct writer out = {.buf = buf, .size = size};
	struct directive d;
	va_list ap;

	va_copy(ap, args); /* its address can be passed on, which a parameter's cannot portably */
	while (*fmt) {
		const char *start = fmt;

		if (*fmt++ != '%') {
			put_char(&out, *start);
			continue;
		}
		fmt = parse_directive(fmt, &d);
		if (d.precision == PRECISION_ARGUMENT)
			d.precision = va_arg(ap, int);
		if (!put_directive(&out, &d, &ap)) {
			/* What the arguments behind it are cannot be known: show the rest raw. */
			put_text(&out, start, strlen(start));
			break;
		}
	}
	va_end(ap);
	if (size)
		buf[out.len < size ? out.len : size - 1] = '\0';
	return (int)out.len;
}

int format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vformat(buf, size, fmt, args);
	va_end(args);
	return len;
}

/* Context: console lock held; there is an output. */
static size_t give(const char *text, size_t len)
{
	return console.output(text, len, !console.kick);
}

/* Returns whether no tail is left, as without an output. Context: console lock held. */
static bool erase_tail(void)
{
	static const char erase[] = "\r\033[K"; /* ECMA-48: erase to the end of the line */
	const char *end = erase + sizeof(erase) - 1;

	if (console.tail_len && console.output)
		console.erase_left = sizeof(erase) - 1;
	console.tail_len = 0;
	if (console.erase_left)
		console.erase_left -= give(end - console.erase_left, console.erase_left);
	return console.erase_left == 0;
}

/* Whether the output has yet to take something. Context: any. */
static bool is_behind(void)
{
	return console.output && (__atomic_load_n(&console.shown, __ATOMIC_RELAXED) !=
					  __atomic_load_n(&console.written, __ATOMIC_RELAXED) ||
				  __atomic_load_n(&console.erase_left, __ATOMIC_RELAXED));
}

/* Context: console lock held. */
static void show_pending(void)
{
	uint64_t shown = console.shown;
	size_t len = 0, taken = 0;

	if (console.written - shown > RING_SIZE)
		shown = console.written - RING_SIZE;
	while (is_behind() && erase_tail() && taken == len) {
		size_t at = shown % RING_SIZE;

		len = console.written - shown;
		if (len > RING_SIZE - at)
			len = RING_SIZE - at;
		taken = len ? give(console.ring + at, len) : 0;
		shown += taken;
		__atomic_store_n(&console.shown, shown, __ATOMIC_RELEASE);
	}
}

static bool lock(void)
{
	if (__atomic_load_n(&console.lock_broken, __ATOMIC_RELAXED))
		return false;
	spin_lock(&console.lock);
	return true;
}

/* Also has console_show() called, unless that is under way. @locked: what lock() returned. */
static void unlock(bool locked)
{
	void (*kick)(void) = console.kick;
	bool wanted = kick && is_behind() && !console.kicked;

	if (wanted)
		__atomic_store_n(&console.kicked, true, __ATOMIC_RELAXED);
	if (locked)
		spin_unlock(&console.lock);
	if (wanted)
		kick();
}

uint64_t console_write(const char *text, size_t len)
{
	bool locked = lock();
	uint64_t end = console.written + len;

	while (len) {
		size_t at = console.written % RING_SIZE;
		size_t part = len < RING_SIZE - at ? len : RING_SIZE - at;

		memcpy(console.ring + at, text, part);
		__atomic_store_n(&console.written, console.written + part, __ATOMIC_RELAXED);
		text += part;
		len -= part;
		show_pending();
	}
	unlock(locked);
	return end;
}

bool console_show(void)
{
	bool locked, more;

	if (!__atomic_load_n(&console.kicked, __ATOMIC_RELAXED) && !is_behind())
		return false;
	locked = lock();
	show_pending();
	more = is_behind();
	__atomic_store_n(&console.kicked, more, __ATOMIC_RELAXED); /* the caller knows */
	unlock(locked);
	return more;
}

bool console_has_shown(uint64_t place)
{
	return !console.output ||
	       (int64_t)(__atomic_load_n(&console.shown, __ATOMIC_ACQUIRE) - place) >= 0;
}

void printk(const char *fmt, ...)
{
	static const char cut[] = "...\n";
	char message[MESSAGE_MAX];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vformat(message, sizeof(message), fmt, args);
	va_end(args);
	if ((size_t)len >= sizeof(message)) {
		len = sizeof(message) - 1;
		memcpy(message + len - (sizeof(cut) - 1), cut, sizeof(cut) - 1);
	}
	console_write(message, (size_t)len);
}

void console_set_output(size_t (*write)(const char *text, size_t len, bool wait))
{
	bool locked = lock();

	console.output = write;
	console.tail_len = console.erase_left = 0;
	show_pending();
	unlock(locked);
}

void console_set_kick(void (*kick)(void))
{
	bool locked = lock();

	console.kick = kick;
	show_pending();
	unlock(locked);
}

/* Whether the last line that was shown is complete. Context: console lock held. */
static bool at_line_start(void)
{
	return console.written == 0 || console.ring[(console.written - 1) % RING_SIZE] == '\n';
}

void console_set_tail(const char *text, size_t len)
{
	bool locked = lock();

	if (len > sizeof(console.tail))
		len = sizeof(console.tail);
	if (console.output && at_line_start() && !is_behind()) {
		if (len < console.tail_len || memcmp(text, console.tail, console.tail_len) != 0)
			erase_tail();
		if (!console.erase_left && len > console.tail_len)
			console.tail_len += give(text + console.tail_len, len - console.tail_len);
		memcpy(console.tail, text, console.tail_len);
	}
	unlock(locked);
}

void console_replay_begin(struct console_replay *replay)
{
	bool locked = lock();

	replay->next = 0;
	replay->end = console.written;
	unlock(locked);
}

bool console_replay_step(struct console_replay *replay)
{
	bool locked = lock(), more;
	uint64_t oldest = console.written > RING_SIZE ? console.written - RING_SIZE : 0;
	bool ready = !is_behind() && erase_tail();

	if (replay->next < oldest)
		replay->next = oldest;
	while (ready && replay->next < replay->end) {
		const char *c = &console.ring[replay->next % RING_SIZE];

		if (console.output && give(c, 1) == 0)
			break;
		replay->next++;
		if (*c == '\n')
			break;
	}
	more = replay->next < replay->end;
	unlock(locked);
	return more;
}

void console_break_lock(void)
{
	console.kick = NULL;
	__atomic_store_n(&console.lock_broken, true, __ATOMIC_RELAXED);
}
