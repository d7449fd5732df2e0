/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor: what is typed, what is understood of it, and what is said about the rest. Guests,
 * store and processors are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/serial.h"
#include "core/console.h"
#include "core/frames.h"
#include "core/monitor.h"
#include "core/sched.h"
#include "core/time.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define CTRL_T "\024"
#define MSEC   (1000 * 1000ull) /* in ticks: one a nanosecond */

struct vm vms[CONFIG_MAX_GUESTS];
uint32_t vm_count;
struct pcpu *pcpus[PCPU_MAX];
uint32_t pcpu_count;
uint32_t tsc_khz = 1000000;

static struct guest_config configs[2];
static struct pcpu cpu;
static struct vcpu vcpu;
static const char *input; /* what the serial port still has to give */
static char shown[65536];
static size_t shown_len;
static char received[64]; /* by the guest that the last byte was for */
static size_t received_len;
static struct vm *receiver;
static const struct vm *called; /* by the last command about a guest */
static const char *call;
static unsigned int work_added;
static uint64_t now;

static size_t room = SIZE_MAX; /* what the console's device takes before it is full */

static size_t record(const char *text, size_t len, bool wait)
{
	if (!wait && len > room)
		len = room;
	assert_true(shown_len + len < sizeof(shown));
	memcpy(shown + shown_len, text, len);
	shown_len += len;
	shown[shown_len] = '\0';
	if (!wait)
		room -= len;
	return len;
}

static unsigned int kicks;

void smp_kick(uint32_t cpu_index)
{
	assert_int_equal(cpu_index, MONITOR_CPU);
	kicks++;
}

static unsigned int gone_on;

void uart_go_on(struct vm *vm)
{
	vm->uart.waiting = false;
	gone_on++;
}

int serial_read(void)
{
	return *input ? (unsigned char)*input++ : -1;
}

uint64_t time_ticks(void)
{
	return now;
}

void uart_receive(struct vm *vm, uint8_t byte)
{
	assert_int_not_equal(vm->lock.next, vm->lock.serving); /* held */
	receiver = vm;
	received[received_len++] = (char)byte;
}

static int note(const char *name, const struct vm *vm, int err)
{
	call = name;
	called = vm;
	return err;
}

int vm_start(struct vm *vm)
{
	return note("start", vm, vm->status == VM_STOPPED ? 0 : -1);
}

int vm_shut_down(struct vm *vm)
{
	return note("stop", vm, vm_is_up(vm->status) ? 0 : -1);
}

int vm_reset(struct vm *vm)
{
	return note("reset", vm, vm_is_up(vm->status) ? 0 : -1);
}

int vm_pause(struct vm *vm)
{
	return note("pause", vm, vm->status == VM_RUNNING ? 0 : -1);
}

int vm_nmi(struct vm *vm)
{
	return note("nmi", vm, vm->status == VM_RUNNING ? 0 : -1);
}

int vm_resume(struct vm *vm)
{
	return note("resume", vm, vm->status == VM_PAUSED ? 0 : -1);
}

int vm_freeze(struct vm *vm)
{
	return note("freeze", vm, vm_is_up(vm->status) ? 0 : -1);
}

int vm_thaw(struct vm *vm)
{
	return note("thaw", vm, vm_is_up(vm->status) ? 0 : -1);
}

/* Of the running guest, so many. */
static int evictable;

int vm_evict(struct vm *vm, unsigned int count)
{
	int evicted = evictable < (int)count ? evictable : (int)count;

	if (!vm_is_up(vm->status))
		return -1;
	evictable -= evicted;
	return evicted;
}

/* One pool, the second of two that were configured. */
struct tmem_client *store_pool(uint32_t n, const char **name)
{
	static char account;

	if (n != 1)
		return NULL;
	*name = "base";
	return (void *)&account;
}

void tmem_client_stats(struct tmem_client *pool, struct tmem_stats *stats)
{
	assert_non_null(pool);
	*stats = (struct tmem_stats){.held = 77, .shared = 6, .charged = 5};
}

void vm_get_figures(struct vm *vm, struct vm_figures *figures)
{
	*figures = vm->last;
}

void sched_add_work(struct vm *vm)
{
	assert_ptr_equal(vm, called);
	work_added++;
}

void sched_get_figures(uint32_t index, struct sched_figures *figures)
{
	assert_int_equal(index, 0);
	*figures = (struct sched_figures){.weight = 3, .run_ticks = now / 4};
}

void balloon_set_target(struct vm *vm, uint64_t blocks)
{
	note("balloon", vm, 0);
	vm->balloon.target = blocks;
}

bool balloon_read_report(struct vm *vm, struct tidepool_report *report)
{
	*report = (struct tidepool_report){.seconds = 9, .available = 1024, .refaults = 3};
	return vm->status == VM_RUNNING;
}

void tmem_store_stats(struct tmem_store_stats *stats)
{
	*stats = (struct tmem_store_stats){
		.blocks = 3, .pages_held = 40, .pages_saved = 7, .pages_free = 1493};
}

uint64_t frames_total_bytes(void)
{
	return 64 * MIB;
}

uint64_t frames_free_bytes(void)
{
	return 32 * MIB + 4 * KIB;
}

static uint32_t nodes = 1;

uint32_t frames_nodes(void)
{
	return nodes;
}

void frames_node_bytes(uint32_t node, uint64_t *total, uint64_t *free)
{
	*total = 32 * MIB;
	*free = 16 * MIB + node * 4 * KIB;
}

uint64_t tmem_node_blocks(unsigned int node)
{
	return node == 1 ? 3 : 0;
}

/* Guests "web", running, and "db", stopped; one CPU. */
static int setup(void **state)
{
	(void)state;
	memset(vms, 0, sizeof(vms));
	vm_count = 2;
	for (uint32_t i = 0; i < vm_count; i++) {
		vms[i].config = &configs[i];
		configs[i] = (struct guest_config){.memory = 16 * MIB, .vcpus = 1, .weight = 2};
	}
	strcpy(vms[0].name, "web");
	strcpy(vms[1].name, "db");
	vms[0].status = VM_RUNNING;
	vms[1].status = VM_STOPPED;
	strcpy(vms[1].stop_reason, "power-off");
	pcpus[0] = &cpu;
	pcpu_count = 1;
	input = "";
	call = "";
	called = NULL;
	receiver = NULL;
	received_len = work_added = 0;
	console_set_output(record);
	printk("the line before\n"); /* no prompt of the last test stands there any more */
	shown_len = 0;
	shown[0] = '\0';
	return 0;
}

bool serial_take_interrupt(void)
{
	return false;
}

/* Lets the monitor read all of @text, in as many polls as it takes. */
static void type(const char *text)
{
	input = text;
	for (size_t i = 0; i <= strlen(text); i++) {
		now += 20 * MSEC;
		monitor_poll(now);
	}
	assert_string_equal(input, "");
}

/* A slow port: what is printed comes as it takes it, and a guest that waits for it is told. */
static void test_slow_port(void **state)
{
	uint64_t next, next_input;

	(void)state;
	now += 20 * MSEC;
	next_input = monitor_poll(now);
	printk("no prompt any more\n");
	shown_len = 0;
	monitor_start();
	kicks = gone_on = 0;
	room = 4;
	printk("0123456789\n");
	assert_string_equal(shown, "0123");
	assert_int_equal(kicks, 1);
	printk("more\n");
	assert_int_equal(kicks, 1); /* it is under way */
	next = monitor_poll(now);
	assert_int_equal(next, now + 700000);
	assert_string_equal(shown, "0123");
	vms[0].uart.waiting = vms[1].uart.waiting = true;
	room = 100;
	now = next;
	next = monitor_poll(now);
	assert_string_equal(shown, "0123456789\nmore\n");
	assert_int_equal(next, next_input);
	assert_int_equal(gone_on, 1); /* the other one does not run */
	room = SIZE_MAX;
	printk("fast\n");
	assert_string_equal(shown, "0123456789\nmore\nfast\n");
	assert_int_equal(kicks, 1);
	console_set_kick(NULL);
}

static void assert_shown(const char *text)
{
	if (!strstr(shown, text))
		fail_msg("\"%s\" is not in \"%s\"", text, shown);
}

static void assert_says(const char *line, int err, const char *answer)
{
	shown_len = 0;
	shown[0] = '\0';
	assert_int_equal(monitor_execute(line) < 0, err < 0);
	assert_shown(answer);
}

static void test_table(void **state)
{
	(void)state;
	assert_says("help", 0, "help");
	for (unsigned int i = 0; i < monitor_command_count; i++) {
		const struct monitor_command *command = &monitor_commands[i];

		assert_non_null(command->run); /* or run_size */
		assert_shown(command->name);
		assert_shown(command->help);
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(command->name, monitor_commands[j].name);
	}
}

static void test_mistakes(void **state)
{
	(void)state;
	assert_says("frobnicate web", -1, "\"frobnicate\": no such command; help lists them\n");
	assert_says("hel", -1, "\"hel\": no such command");
	assert_says("helpp", -1, "\"helpp\": no such command");
	assert_says("stop", -1, "stop: expected a guest's name; guests lists them\n");
	assert_says("stop we", -1, "stop: \"we\": no such guest");
	assert_says("stop webb", -1, "stop: \"webb\": no such guest");
	assert_says("stop web now", -1, "stop: \"now\": expected nothing more\n");
	assert_says("balloon", -1, "balloon: expected a guest's name; guests lists them\n");
	assert_says("balloon web", -1, "balloon: expected a size, as in 300M\n");
	assert_says("balloon nobody 4M", -1, "balloon: \"nobody\": no such guest");
	assert_says("balloon web much", -1, "balloon: \"much\": expected a size, as in 300M\n");
	assert_says("balloon web 4M 5M", -1, "balloon: \"5M\": expected nothing more\n");
	assert_says("balloon web 18M", 0, "balloon: expected 2M to 16M\n");
	assert_says("balloon web 1M", 0, "balloon: expected 2M to 16M\n");
	assert_says("help me out", -1, "help: \"me\": expected nothing more\n");
	assert_string_equal(call, "");
	assert_int_equal(monitor_execute(""), 0);
	assert_int_equal(monitor_execute("   "), 0);
}

static void test_life_cycle_commands(void **state)
{
	static const char *const commands[] = {"start",	 "stop",   "reset", "pause",
					       "resume", "freeze", "thaw",  "nmi"};
	char line[MONITOR_LINE_MAX];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		for (uint32_t guest = 0; guest < vm_count; guest++) {
			snprintf(line, sizeof(line), "  %s  %s ", commands[i], vms[guest].name);
			assert_int_equal(monitor_execute(line), 0);
			assert_string_equal(call, commands[i]);
			assert_ptr_equal(called, &vms[guest]);
		}
	}
	assert_int_equal(work_added, 1); /* "start db" alone had an effect */
	assert_says("start web", 0, "guest web is not stopped\n");
	assert_says("pause web", 0, "guest web is paused");
	assert_says("resume web", 0, "guest web is not paused\n");
	assert_says("stop db", 0, "guest db is not running\n");
	assert_says("freeze web", 0, "guest web is frozen");
	assert_says("thaw web", 0, "guest web is not frozen any more\n");
	assert_says("freeze db", 0, "guest db is not running\n");
}

static void polls(unsigned int count)
{
	while (count-- > 0) {
		now += MSEC;
		monitor_poll(now);
	}
}

/* In small steps, and not for ever when the guest puts more. */
static void test_evict(void **state)
{
	(void)state;
	evictable = 100;
	vms[0].last.tmem.held = 90;
	assert_says("evict web", 0, "guest web loses its ephemeral pages\n");
	assert_says("evict db", 0, "evict: still at work for another guest\n");
	polls(1);
	assert_in_range(evictable, 50, 99);
	polls(20);
	assert_int_equal(evictable, 10);
	assert_shown("tidepool: guest web: 90 ephemeral pages dropped\n");
	assert_says("evict web", 0, "guest web loses its ephemeral pages\n");
	polls(20);
	assert_shown("tidepool: guest web: 10 ephemeral pages dropped\n");
	assert_says("evict db", 0, "guest db loses its ephemeral pages\n");
	polls(20);
	assert_shown("tidepool: guest db: 0 ephemeral pages dropped\n");
}

static void test_nodes(void **state)
{
	(void)state;
	nodes = 2;
	vms[0].node_blocks[1] = 8;
	vms[1].node_blocks[0] = 1;
	assert_says("memory", 0, "node             total       free     guests      store KiB\n");
	assert_shown("0                32768      16384       2048          0\n");
	assert_shown("1                32768      16388      16384       6144\n");
	nodes = 1;
}

static void test_figures(void **state)
{
	(void)state;
	vms[0].blocks_held = 8;
	vms[0].last.exits[EXIT_HLT] = 77;
	vms[0].last.tmem.charged = 3;
	assert_says("guests", 0, "db              stopped ");
	assert_shown("power-off\n");
	assert_says("memory", 0, "total            65536 KiB\n");
	assert_shown("free             32772 KiB\n");
	assert_shown("guests           16384 KiB\n");
	assert_shown("store             6144 KiB\n");
	assert_shown("hypervisor       10236 KiB\n");
	assert_shown("web                   16        0       16\n");
	assert_null(strstr(shown, "node"));
	assert_shown("web             at 9 s: MiB free=0 available=4 ");
	assert_null(strstr(shown, "db              at "));
	assert_says("balloon web 7M", 0, "guest web is asked to do with 6 MiB\n");
	assert_string_equal(call, "balloon");
	assert_says("memory", 0, "web                   16        6       16\n");
	assert_says("exits web", 0, "hlt                    77\n");
	assert_null(strstr(shown, "cpuid"));
	assert_says("tmem", 0, " 12\n");
	assert_shown("base                    0         0         0         0         0         0"
		     "        77         6           20\n");
	assert_shown("store: 6 MiB taken, 40 pages held, 7 frames saved, 1493 frames free in it\n");
	now = 400 * MSEC;
	monitor_execute("cpus");
	now += 400 * MSEC;
	assert_says("cpus", 0, "  0   25%");
	vcpu.vm = &vms[0];
	vms[0].vcpu_count = 1;
	vms[0].vcpus[0] = &vcpu;
	assert_says("cpus", 0, "web/0 66%\n");
	configs[0].cpus = 1;
	assert_says("cpus", 0, "web/0 66% pinned\n");
}

static void test_editing(void **state)
{
	(void)state;
	type("stoo\bp wxx\177\177eb\r");
	assert_string_equal(call, "stop");
	assert_ptr_equal(called, &vms[0]);
	assert_shown("tidepool> stop web\n");
	call = "";
	type("stop web\003\r"); /* Ctrl-C takes the line back */
	assert_string_equal(call, "");
	type("stop web\025reset web\n"); /* and so does Ctrl-U */
	assert_string_equal(call, "reset");
	type("\033[A\033OPpa\033[1~use web\r"); /* cursor and function keys mean nothing */
	assert_string_equal(call, "pause");
	type("\b\b\001\377\tresume web\r");
	assert_string_equal(call, "resume");
}

static void test_long_line(void **state)
{
	char text[3 * MONITOR_LINE_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 2] = '\r';
	text[sizeof(text) - 1] = '\0';
	type(text);
	assert_shown("no such command");
	type("stop web\r");
	assert_string_equal(call, "stop");
}

static void test_focus(void **state)
{
	(void)state;
	type(CTRL_T);
	assert_shown("tidepool: console: guest web; Ctrl-T leads on\n");
	type("ls\r");
	assert_ptr_equal(receiver, &vms[0]);
	assert_memory_equal(received, "ls\r", 3);
	vms[1].status = VM_PAUSED; /* has a console as well */
	type(CTRL_T "x");
	assert_ptr_equal(receiver, &vms[1]);
	type(CTRL_T "stop web\r");
	assert_shown("tidepool: console: the monitor; Ctrl-T leads on\n");
	assert_string_equal(call, "stop");
	assert_int_equal(received_len, 4);

	/* The guest goes away: what is typed does not get lost in it for ever. */
	type(CTRL_T);
	vms[0].status = VM_STARTING; /* comes back */
	type("a");
	vms[0].status = VM_STOPPED;
	type("b");
	assert_int_equal(received_len, 4);
	call = "";
	type("reset web\r");
	assert_string_equal(call, "reset");
}

static void test_unfinished_lines_are_shown(void **state)
{
	(void)state;
	type("gue");
	assert_string_equal(shown, "tidepool> gue");
	printk("web| hello\n");
	assert_string_equal(shown, "tidepool> gue\r\033[Kweb| hello\n");
	now += 20 * MSEC;
	monitor_poll(now);
	assert_shown("hello\ntidepool> gue");
	type("\003" CTRL_T);
	memcpy(vms[0].uart.line, "login: ", 7);
	vms[0].uart.line_len = 7;
	now += 20 * MSEC;
	monitor_poll(now);
	assert_shown("leads on\nweb| login: ");
	type(CTRL_T);
}

static void test_log(void **state)
{
	unsigned int polls = 0;

	(void)state;
	printk("a line to find again\n");
	shown_len = 0;
	input = "log\rstop web\r";
	while (!*call && polls < 10000) {
		now = monitor_poll(now);
		polls++;
	}
	assert_shown("tidepool> log\n");
	assert_shown("a line to find again\n");
	assert_true(polls > 10); /* a line each, not all at once */
	assert_string_equal(call, "stop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_table, setup),
		cmocka_unit_test_setup(test_mistakes, setup),
		cmocka_unit_test_setup(test_life_cycle_commands, setup),
		cmocka_unit_test_setup(test_evict, setup),
		cmocka_unit_test_setup(test_figures, setup),
		cmocka_unit_test_setup(test_nodes, setup),
		cmocka_unit_test_setup(test_editing, setup),
		cmocka_unit_test_setup(test_long_line, setup),
		cmocka_unit_test_setup(test_focus, setup),
		cmocka_unit_test_setup(test_unfinished_lines_are_shown, setup),
		cmocka_unit_test_setup(test_log, setup),
		cmocka_unit_test_setup(test_slow_port, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
