/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial console's input: polled, since a person types slowly and a timer is there anyway, and
 * looked at when its interrupt comes, since a text that is pasted fills the port's FIFO in 1.4 ms;
 * edited here for the monitor, passed on as it is for a guest.
 */
#include "core/monitor.h"
#include "arch/x86_64/cpu/serial.h"
#include "arch/x86_64/cpu/smp.h"
#include "core/console.h"
#include "core/dev/uart.h"
#include "core/errno.h"
#include "core/string.h"
#include "core/time.h"
#include "core/vm/vm.h"

#define POLL_IDLE_NS   (20 * NSEC_PER_MSEC)
#define POLL_ACTIVE_NS NSEC_PER_MSEC	     /* a 16-byte FIFO fills in 1.4 ms at 115200 baud, */
#define SHOW_NS	       (700 * NSEC_PER_USEC) /* and empties in that time */
#define ACTIVE_NS      (200 * NSEC_PER_MSEC) /* how long after the last byte it is active */
#define INPUT_BUDGET   16		     /* bytes a poll */
#define TYPED_MAX      1024u		     /* bytes that wait; a power of two */

#define EVICT_BUDGET 32 /* ephemeral pages dropped a poll, some 1 us each */

#define PROMPT "tidepool> "

#define KEY_CTRL_C    0x03
#define KEY_BACKSPACE 0x08
#define KEY_CTRL_T    0x14
#define KEY_CTRL_U    0x15
#define KEY_ESCAPE    0x1b
#define KEY_DELETE    0x7f

/* Where in the sequence that a cursor or function key sends the input is. */
enum escape { ESCAPE_NONE, ESCAPE_START, ESCAPE_SEQUENCE };

static struct {
	struct vm *focus; /* the guest that gets what is typed; NULL: the monitor */
	bool used;	  /* something was typed: there is a prompt */
	char line[MONITOR_LINE_MAX + 1];
	size_t len;
	enum escape escape;
	char typed[TYPED_MAX]; /* what arrived and waits for its turn */
	uint32_t typed_head, typed_tail;
	bool replaying;
	struct console_replay replay;
	struct vm *evicting; /* NULL: none's pages are being dropped */
	uint64_t evict_left, evicted;
	uint64_t next_poll, active_until; /* TSC */
	bool behind;			  /* the console was, when it was last shown */
} monitor;				  /* MONITOR_CPU only */

void monitor_show_log(void)
{
	console_replay_begin(&monitor.replay);
	monitor.replaying = true;
}

bool monitor_evict(struct vm *vm, uint64_t pages)
{
	if (monitor.evicting)
		return false;
	monitor.evicting = vm;
	monitor.evict_left = pages;
	monitor.evicted = 0;
	return true;
}

/* A guest that puts all the time is not dropped from for ever: evict_left counts down. */
static void evict_step(void)
{
	unsigned int count = EVICT_BUDGET;
	int evicted;

	if (monitor.evict_left < count)
		count = (unsigned int)monitor.evict_left;
	evicted = count > 0 ? vm_evict(monitor.evicting, count) : 0;
	if (evicted > 0) {
		monitor.evict_left -= (uint64_t)evicted;
		monitor.evicted += (uint64_t)evicted;
		return;
	}
	printk("tidepool: guest %s: %llu ephemeral pages dropped\n", monitor.evicting->name,
	       (unsigned long long)monitor.evicted);
	monitor.evicting = NULL;
}

static bool is_up(struct vm *vm)
{
	return vm_is_up(__atomic_load_n(&vm->status, __ATOMIC_ACQUIRE));
}

static void focus_on(struct vm *vm)
{
	monitor.focus = vm;
	if (vm)
		printk("tidepool: console: guest %s; Ctrl-T leads on\n", vm->name);
	else
		printk("tidepool: console: the monitor; Ctrl-T leads on\n");
}

static void focus_next(void)
{
	struct vm *vm = monitor.focus ? monitor.focus + 1 : vms;

	while (vm < vms + vm_count && !is_up(vm))
		vm++;
	focus_on(vm < vms + vm_count ? vm : NULL);
}

static void give_to_guest(struct vm *vm, uint8_t byte)
{
	bool stopped;

	spin_lock(&vm->lock);
	if (vm_is_up(vm->status))
		uart_receive(vm, byte);
	stopped = vm->status == VM_STOPPED;
	spin_unlock(&vm->lock);
	if (stopped)
		focus_on(NULL);
}

/* Returns whether the byte belongs to the sequence of a key that means nothing here. */
static bool skip_escape(uint8_t byte)
{
	if (byte == KEY_ESCAPE) {
		monitor.escape = ESCAPE_START;
		return true;
	}
	switch (monitor.escape) {
	case ESCAPE_START:
		monitor.escape = byte == '[' || byte == 'O' ? ESCAPE_SEQUENCE : ESCAPE_NONE;
		return true;
	case ESCAPE_SEQUENCE:
		if (byte >= '@' && byte <= '~')
			monitor.escape = ESCAPE_NONE;
		return true;
	default:
		return false;
	}
}

static void end_line(void)
{
	char line[MONITOR_LINE_MAX + 1];

	monitor.line[monitor.len] = '\0';
	memcpy(line, monitor.line, monitor.len + 1);
	monitor.len = 0;
	printk(PROMPT "%s\n", line);
	monitor_execute(line);
}

static void edit(uint8_t byte)
{
	if (skip_escape(byte))
		return;
	switch (byte) {
	case '\r':
	case '\n':
		end_line();
		break;
	case KEY_BACKSPACE:
	case KEY_DELETE:
		if (monitor.len > 0)
			monitor.len--;
		break;
	case KEY_CTRL_C:
	case KEY_CTRL_U:
		monitor.len = 0;
		break;
	default:
		if (byte >= ' ' && byte <= '~' && monitor.len < MONITOR_LINE_MAX)
			monitor.line[monitor.len++] = (char)byte;
	}
}

void monitor_input(uint8_t byte)
{
	monitor.used = true;
	if (byte == KEY_CTRL_T)
		focus_next();
	else if (monitor.focus)
		give_to_guest(monitor.focus, byte);
	else
		edit(byte);
}

/* The guest's unfinished line: a shell's prompt, say, and the echo of what is typed. */
static void show_guest_line(struct vm *vm)
{
	char text[CONSOLE_TAIL_MAX];
	size_t len = 0;

	spin_lock(&vm->lock);
	if (vm->uart.line_len)
		len = (size_t)format(text, sizeof(text), "%s| %.*s", vm->name,
				     (int)vm->uart.line_len, vm->uart.line);
	spin_unlock(&vm->lock);
	console_set_tail(text, len);
}

_Static_assert(CONFIG_NAME_MAX + sizeof("| ") + UART_LINE_MAX <= CONSOLE_TAIL_MAX,
	       "the longest line of a guest is shown whole");

static void show_tail(void)
{
	char text[sizeof(PROMPT) + MONITOR_LINE_MAX];

	if (!monitor.used)
		return;
	if (monitor.focus) {
		show_guest_line(monitor.focus);
		return;
	}
	memcpy(text, PROMPT, sizeof(PROMPT) - 1);
	memcpy(text + sizeof(PROMPT) - 1, monitor.line, monitor.len);
	console_set_tail(text, sizeof(PROMPT) - 1 + monitor.len);
}

static void kick(void)
{
	smp_kick(MONITOR_CPU);
}

void monitor_start(void)
{
	console_set_kick(kick);
}

/* Let guests print on that wait until their lines are shown. */
static void release_printers(void)
{
	for (struct vm *vm = vms; vm < vms + vm_count; vm++) {
		if (!__atomic_load_n(&vm->uart.waiting, __ATOMIC_RELAXED))
			continue;
		spin_lock(&vm->lock);
		if (vm_is_up(vm->status))
			uart_go_on(vm);
		spin_unlock(&vm->lock);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool is_typed(void)
{
	return monitor.typed_head != monitor.typed_tail;
}

/* Out of the port's small FIFO at once, whatever else is done at the moment. */
static void collect_input(uint64_t now)
{
	for (unsigned int i = 0; i < INPUT_BUDGET; i++) {
		int byte = serial_read();

		if (byte < 0)
			return;
		monitor.active_until = now + time_ns_to_ticks(ACTIVE_NS);
		if (monitor.typed_head - monitor.typed_tail < TYPED_MAX)
			monitor.typed[monitor.typed_head++ % TYPED_MAX] = (char)byte;
	}
}

static void process_input(void)
{
	for (unsigned int i = 0; i < INPUT_BUDGET && is_typed() && !monitor.replaying; i++) {
		uint8_t byte = (uint8_t)monitor.typed[monitor.typed_tail++ % TYPED_MAX];

		monitor_input(byte);
		if (byte == '\r' || byte == '\n') /* one command a poll */
			return;
	}
}

uint64_t monitor_poll(uint64_t now)
{
	bool due = serial_take_interrupt() || now >= monitor.next_poll;
	bool was_behind = monitor.behind;
	uint64_t interval = POLL_IDLE_NS, show_at;

	monitor.behind = console_show();
	show_at = monitor.behind ? now + time_ns_to_ticks(SHOW_NS) : TIME_NEVER;
	if (due || was_behind || monitor.behind)
		release_printers();
	if (!due)
		return earlier(monitor.next_poll, show_at);
	collect_input(now);
	process_input();
	if (monitor.replaying)
		monitor.replaying = console_replay_step(&monitor.replay);
	else
		show_tail();
	if (monitor.evicting)
		evict_step();
	if (monitor.replaying || monitor.evicting || is_typed() || now < monitor.active_until)
		interval = POLL_ACTIVE_NS;
	monitor.next_poll = now + time_ns_to_ticks(interval);
	return earlier(monitor.next_poll, show_at);
}
