/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's commands: one const table, from which `help` is printed too
 */
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/virt.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/monitor.h"
#include "core/sched.h"
#include "core/store.h"
#include "core/string.h"
#include "core/time.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"
#include "core/words.h"
#include "tmem/tmem.h"

#define TEXT_MAX  256
#define WORDS_MAX 4 /* one more than any command takes */

static const char *const status_names[] = {
	[VM_EMPTY] = "empty",	  [VM_STARTING] = "starting", [VM_RUNNING] = "running",
	[VM_PAUSED] = "paused",	  [VM_STOPPING] = "stopping", [VM_DYING] = "dying",
	[VM_STOPPED] = "stopped",
};

static const char *const exit_names[EXIT_KIND_COUNT] = {
	[EXIT_NONE] = "none",
	[EXIT_INTERRUPT] = "interrupt",
	[EXIT_IRQ_WINDOW] = "irq-window",
	[EXIT_HYPERCALL] = "hypercall",
	[EXIT_CPUID] = "cpuid",
	[EXIT_HLT] = "hlt",
	[EXIT_PAUSE] = "pause",
	[EXIT_IO] = "io",
	[EXIT_MSR_READ] = "msr-read",
	[EXIT_MSR_WRITE] = "msr-write",
	[EXIT_MMIO] = "mmio",
	[EXIT_CR8] = "cr8",
	[EXIT_EOI] = "eoi",
	[EXIT_XSETBV] = "xsetbv",
	[EXIT_CACHE] = "cache",
	[EXIT_UNDEFINED] = "undefined",
	[EXIT_TRIPLE_FAULT] = "triple-fault",
	[EXIT_ENTRY_FAILED] = "entry-failed",
	[EXIT_UNHANDLED] = "unhandled",
};

static const char *const argument_names[] = {
	[MONITOR_NO_ARGUMENT] = "",
	[MONITOR_GUEST] = "GUEST",
	[MONITOR_GUEST_SIZE] = "GUEST SIZE",
};

static void run_help(struct vm *vm)
{
	(void)vm;
	for (unsigned int i = 0; i < monitor_command_count; i++) {
		const struct monitor_command *command = &monitor_commands[i];

		printk("%-7s %-10s  %s\n", command->name, argument_names[command->argument],
		       command->help);
	}
	printk("Ctrl-T leads what is typed to the next running guest's console, and back here\n");
}

static void run_guests(struct vm *vm)
{
	(void)vm;
	printk("%-15s %-8s %8s %5s %6s %9s %6s  %s\n", "guest", "state", "MiB", "vcpus", "weight",
	       "cpu-ms", "starts", "last end");
	for (uint32_t i = 0; i < vm_count; i++) {
		struct vm_figures figures;
		char reason[sizeof(vms[i].stop_reason)];
		enum vm_status status;
		uint32_t starts;

		vm = &vms[i];
		vm_get_figures(vm, &figures);
		spin_lock(&vm->lock);
		memcpy(reason, vm->stop_reason, sizeof(reason));
		status = vm->status;
		starts = vm->starts;
		spin_unlock(&vm->lock);
		printk("%-15s %-8s %8llu %5u %6u %9llu %6u  %s\n", vm->name, status_names[status],
		       (unsigned long long)(vm->config->memory / MIB), vm->config->vcpus,
		       vm->config->weight,
		       (unsigned long long)(time_ticks_to_ns(figures.run_ticks) / NSEC_PER_MSEC),
		       starts, reason[0] ? reason : "-");
	}
}

/* Says what became of a command about a guest. */
static void answer(const struct vm *vm, int err, const char *done, const char *refused)
{
	if (err < 0)
		printk("guest %s %s\n", vm->name, refused);
	else
		printk("guest %s %s\n", vm->name, done);
}

static void run_start(struct vm *vm)
{
	int err = vm_start(vm);

	answer(vm, err, "is starting", "is not stopped");
	if (err == 0)
		sched_add_work(vm);
}

static void run_pause(struct vm *vm)
{
	answer(vm, vm_pause(vm), "is paused; its clocks go on", "is not running");
}

static void run_resume(struct vm *vm)
{
	answer(vm, vm_resume(vm), "runs again", "is not paused");
}

static void run_nmi(struct vm *vm)
{
	answer(vm, vm_nmi(vm), "gets an NMI", "is not running");
}

static void run_reset(struct vm *vm)
{
	answer(vm, vm_reset(vm), "is being reset", "is not running");
}

static void run_stop(struct vm *vm)
{
	answer(vm, vm_shut_down(vm), "is being stopped", "is not running");
}

static void run_freeze(struct vm *vm)
{
	answer(vm, vm_freeze(vm), "is frozen: its pages in the store only become fewer",
	       "is not running");
}

static void run_thaw(struct vm *vm)
{
	answer(vm, vm_thaw(vm), "is not frozen any more", "is not running");
}

static void run_evict(struct vm *vm)
{
	struct vm_figures figures;

	vm_get_figures(vm, &figures);
	if (!monitor_evict(vm, figures.tmem.held))
		printk("evict: still at work for another guest\n");
	else
		printk("guest %s loses its ephemeral pages\n", vm->name);
}

static void print_tmem(const char *name, const struct tmem_stats *stats)
{
	printk("%-15s %9llu %9llu %9llu %9llu %9llu %9llu %9llu %9llu %12llu\n", name,
	       (unsigned long long)stats->puts, (unsigned long long)stats->gets,
	       (unsigned long long)stats->misses, (unsigned long long)stats->flushed,
	       (unsigned long long)stats->refused, (unsigned long long)stats->evicted,
	       (unsigned long long)stats->held, (unsigned long long)stats->shared,
	       (unsigned long long)(stats->charged * TMEM_PAGE_SIZE / KIB));
}

/* A pool's puts and gets are its members'. */
static void run_tmem(struct vm *vm)
{
	struct tmem_store_stats store;
	const char *name;

	(void)vm;
	printk("%-15s %9s %9s %9s %9s %9s %9s %9s %9s %12s\n", "guest", "put", "got", "missed",
	       "flushed", "refused", "evicted", "held", "shared", "charged-KiB");
	for (uint32_t i = 0; i < vm_count; i++) {
		struct vm_figures figures;

		vm_get_figures(&vms[i], &figures);
		print_tmem(vms[i].name, &figures.tmem);
	}
	for (uint32_t i = 0; i < CONFIG_MAX_POOLS; i++) {
		struct tmem_client *pool = store_pool(i, &name);
		struct tmem_stats stats;

		if (!pool)
			continue;
		tmem_client_stats(pool, &stats);
		print_tmem(name, &stats);
	}
	tmem_store_stats(&store);
	printk("store: %llu MiB taken, %llu pages held, %llu frames saved, %llu frames free in it\n",
	       (unsigned long long)(store.blocks * TMEM_BLOCK_SIZE / MIB),
	       (unsigned long long)store.pages_held, (unsigned long long)store.pages_saved,
	       (unsigned long long)store.pages_free);
}

static uint64_t guests_bytes(void)
{
	uint64_t blocks = 0;

	for (uint32_t i = 0; i < vm_count; i++)
		blocks += __atomic_load_n(&vms[i].blocks_held, __ATOMIC_RELAXED);
	return blocks * BLOCK_SIZE;
}

static void print_memory(const char *what, uint64_t bytes)
{
	printk("%-11s %10llu KiB\n", what, (unsigned long long)(bytes / KIB));
}

static unsigned long long pages_to_mib(uint64_t pages)
{
	return pages / (MIB / PAGE_SIZE);
}

/* What the guest itself says of its memory: whatever it likes. */
static void print_report(struct vm *vm)
{
	struct tidepool_report report;

	if (!balloon_read_report(vm, &report))
		return;
	printk("%-15s at %llu s: MiB free=%llu available=%llu committed=%llu collected=%llu; pages "
	       "in=%llu out=%llu refaults=%llu\n",
	       vm->name, report.seconds, pages_to_mib(report.free), pages_to_mib(report.available),
	       pages_to_mib(report.committed), pages_to_mib(report.collected), report.swap_in,
	       report.swap_out, report.refaults);
}

/* Each guest's RAM, and what its balloon is asked to make of it. */
static void print_balloons(void)
{
	printk("%-15s %8s %8s %8s MiB\n", "guest", "now", "target", "memory=");
	for (uint32_t i = 0; i < vm_count; i++) {
		struct vm *vm = &vms[i];
		uint64_t held = __atomic_load_n(&vm->blocks_held, __ATOMIC_RELAXED);
		uint64_t target = __atomic_load_n(&vm->balloon.target, __ATOMIC_RELAXED);

		printk("%-15s %8llu %8llu %8llu\n", vm->name,
		       (unsigned long long)(held * BLOCK_SIZE / MIB),
		       (unsigned long long)(target * BLOCK_SIZE / MIB),
		       (unsigned long long)(vm->config->memory / MIB));
		print_report(vm);
	}
}

static void run_balloon(struct vm *vm, uint64_t bytes)
{
	uint64_t blocks = bytes / BLOCK_SIZE;

	if (blocks == 0 || blocks > vm->config->memory / BLOCK_SIZE) {
		printk("balloon: expected 2M to %lluM\n",
		       (unsigned long long)(vm->config->memory / MIB));
		return;
	}
	balloon_set_target(vm, blocks);
	printk("guest %s is asked to do with %llu MiB\n", vm->name,
	       (unsigned long long)(blocks * BLOCK_SIZE / MIB));
}

static uint64_t guests_blocks_of(uint32_t node)
{
	uint64_t blocks = 0;

	for (uint32_t i = 0; i < vm_count; i++)
		blocks += __atomic_load_n(&vms[i].node_blocks[node], __ATOMIC_RELAXED);
	return blocks;
}

/* The same of each node, where there are several. */
static void print_nodes(void)
{
	if (frames_nodes() == 1)
		return;
	printk("%-11s %10s %10s %10s %10s KiB\n", "node", "total", "free", "guests", "store");
	for (uint32_t node = 0; node < frames_nodes(); node++) {
		uint64_t total, available;

		frames_node_bytes(node, &total, &available);
		printk("%-11u %10llu %10llu %10llu %10llu\n", node,
		       (unsigned long long)(total / KIB), (unsigned long long)(available / KIB),
		       (unsigned long long)(guests_blocks_of(node) * BLOCK_SIZE / KIB),
		       (unsigned long long)(tmem_node_blocks(node) * TMEM_BLOCK_SIZE / KIB));
	}
}

/* The hypervisor's share is what the others leave: tables, vCPUs, stacks. */
static void run_memory(struct vm *vm)
{
	uint64_t total = frames_total_bytes(), available = frames_free_bytes();
	uint64_t guests = guests_bytes();
	struct tmem_store_stats store;

	(void)vm;
	tmem_store_stats(&store);
	print_memory("total", total);
	print_memory("free", available);
	print_memory("guests", guests);
	print_memory("store", store.blocks * TMEM_BLOCK_SIZE);
	print_memory("hypervisor", total - available - guests - store.blocks * TMEM_BLOCK_SIZE);
	print_nodes();
	print_balloons();
}

/*
 * Lists the vCPUs on a CPU, each with the percentage it gets when all of them want it, and whether
 * cpus= says where it is.
 */
static void list_vcpus(char *text, size_t size, uint32_t cpu, uint64_t weight)
{
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < vm_count; i++) {
		struct vm *vm = &vms[i];

		spin_lock(&vm->lock);
		for (uint32_t n = 0; vm_is_up(vm->status) && n < vm->vcpu_count; n++) {
			if (vm->vcpus[n]->cpu != cpu || len >= size || !weight)
				continue;
			len += (size_t)format(text + len, size - len, "  %s/%u %llu%%%s", vm->name,
					      n, vm->config->weight * 100ull / weight,
					      vm->config->cpus ? " pinned" : "");
		}
		spin_unlock(&vm->lock);
	}
}

/* Busy: of the time since the command was last given, or since boot. */
static void run_cpus(struct vm *vm)
{
	static uint64_t last_ticks[PCPU_MAX], last_time;
	uint64_t now = time_ticks(), elapsed = now - last_time;

	(void)vm;
	printk("%3s %5s %10s  %s\n", "cpu", "busy", "interrupts", "vCPUs with their shares");
	for (uint32_t i = 0; i < pcpu_count; i++) {
		struct sched_figures figures;
		char vcpus[TEXT_MAX];
		uint64_t ran;

		sched_get_figures(i, &figures);
		ran = figures.run_ticks - last_ticks[i];
		last_ticks[i] = figures.run_ticks;
		list_vcpus(vcpus, sizeof(vcpus), i, figures.weight);
		printk("%3u %4llu%% %10llu%s\n", i,
		       (unsigned long long)(elapsed / 100 ? ran / (elapsed / 100) : 0),
		       (unsigned long long)pcpus[i]->interrupts, vcpus);
	}
	last_time = now;
}

static void run_exits(struct vm *vm)
{
	struct vm_figures figures;

	vm_get_figures(vm, &figures);
	printk("%-12s %12llu  on the fast path\n", "hypercall",
	       (unsigned long long)figures.hypercalls);
	for (unsigned int kind = 0; kind < EXIT_KIND_COUNT; kind++)
		if (figures.exits[kind])
			printk("%-12s %12llu\n", exit_names[kind],
			       (unsigned long long)figures.exits[kind]);
}

static void run_log(struct vm *vm)
{
	(void)vm;
	monitor_show_log();
}

const struct monitor_command monitor_commands[] = {
	{"help", MONITOR_NO_ARGUMENT, "this list", {run_help}},
	{"guests", MONITOR_NO_ARGUMENT, "all guests, with their states", {run_guests}},
	{"start", MONITOR_GUEST, "start a stopped guest from its modules", {run_start}},
	{"pause", MONITOR_GUEST, "keep a guest from running", {run_pause}},
	{"resume", MONITOR_GUEST, "let a paused guest go on", {run_resume}},
	{"nmi", MONITOR_GUEST, "send an NMI to a guest's first vCPU", {run_nmi}},
	{"reset", MONITOR_GUEST, "stop a guest and start it anew", {run_reset}},
	{"stop", MONITOR_GUEST, "end a guest at once, as if its power failed", {run_stop}},
	{"freeze", MONITOR_GUEST, "refuse what a guest puts into the store", {run_freeze}},
	{"thaw", MONITOR_GUEST, "let a frozen guest put again", {run_thaw}},
	{"evict", MONITOR_GUEST, "drop a guest's ephemeral pages from the store", {run_evict}},
	{"balloon",
	 MONITOR_GUEST_SIZE,
	 "ask a guest to do with so much RAM, as in 300M",
	 {.run_size = run_balloon}},
	{"tmem",
	 MONITOR_NO_ARGUMENT,
	 "the store: pages of each guest, of each shared pool, of all",
	 {run_tmem}},
	{"memory", MONITOR_NO_ARGUMENT, "who has the host's memory", {run_memory}},
	{"cpus", MONITOR_NO_ARGUMENT, "what each CPU does", {run_cpus}},
	{"exits", MONITOR_GUEST, "a guest's VM exits by kind", {run_exits}},
	{"log", MONITOR_NO_ARGUMENT, "the last 16 KiB of the console once more", {run_log}},
};
const unsigned int monitor_command_count = ARRAY_SIZE(monitor_commands);

static unsigned int split(const char *line, struct word words[WORDS_MAX])
{
	unsigned int count = 0;

	while (count < WORDS_MAX) {
		words[count] = word_next(&line);
		if (!words[count].len)
			break;
		count++;
	}
	return count;
}

static const struct monitor_command *find_command(const struct word *word)
{
	for (unsigned int i = 0; i < monitor_command_count; i++)
		if (word_is(*word, monitor_commands[i].name))
			return &monitor_commands[i];
	return NULL;
}

static struct vm *find_guest(const struct word *word)
{
	for (uint32_t i = 0; i < vm_count; i++)
		if (word_is(*word, vms[i].name))
			return &vms[i];
	return NULL;
}

static const unsigned int words_expected[] = {
	[MONITOR_NO_ARGUMENT] = 1,
	[MONITOR_GUEST] = 2,
	[MONITOR_GUEST_SIZE] = 3,
};

int monitor_execute(const char *line)
{
	const struct monitor_command *command;
	struct word words[WORDS_MAX];
	unsigned int count = split(line, words);
	unsigned int expected;
	struct vm *vm = NULL;
	uint64_t size = 0;

	if (count == 0)
		return 0;
	command = find_command(&words[0]);
	if (!command) {
		printk("\"%.*s\": no such command; help lists them\n", (int)words[0].len,
		       words[0].start);
		return -EINVAL;
	}
	expected = words_expected[command->argument];
	if (count < expected) {
		printk("%s: expected %s\n", command->name,
		       count == 1 ? "a guest's name; guests lists them" : "a size, as in 300M");
		return -EINVAL;
	}
	if (count > expected) {
		printk("%s: \"%.*s\": expected nothing more\n", command->name,
		       (int)words[expected].len, words[expected].start);
		return -EINVAL;
	}
	if (command->argument != MONITOR_NO_ARGUMENT) {
		vm = find_guest(&words[1]);
		if (!vm) {
			printk("%s: \"%.*s\": no such guest; guests lists them\n", command->name,
			       (int)words[1].len, words[1].start);
			return -EINVAL;
		}
	}
	if (command->argument != MONITOR_GUEST_SIZE) {
		command->run(vm);
		return 0;
	}
	if (!word_parse_number(words[2], true, &size)) {
		printk("%s: \"%.*s\": expected a size, as in 300M\n", command->name,
		       (int)words[2].len, words[2].start);
		return -EINVAL;
	}
	command->run_size(vm, size);
	return 0;
}
