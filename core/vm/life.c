/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How guests come and go
 *
 *	      vm_start()		vm_stop(), each vCPU leaves its CPU
 *   STOPPED ------------> STARTING -> RUNNING <-> PAUSED -> STOPPING -> DYING -> STOPPED
 *				^				     |
 *				'--- wanted: reset, on_crash=restart --'
 *
 * Building and taking apart go in steps, called by one CPU between its vCPUs. Each life begins from
 * the modules, which are only ever read: a guest finds its kernel as the first one did.
 */
#include "arch/x86_64/cpu/platform.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/sched.h"
#include "core/string.h"
#include "core/time.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

/* A guest that ends by itself again and again starts at most once in such a time. */
#define RESTART_INTERVAL_NS NSEC_PER_SEC

struct vm vms[CONFIG_MAX_GUESTS];
uint32_t vm_count;

static enum config_when_idle when_idle;
/* Guests that are not stopped; and one for the boot, until it has tried to start them all. */
static uint32_t alive = 1;

/* Context: vm->lock held. */
static void set_status(struct vm *vm, enum vm_status status)
{
	__atomic_store_n(&vm->status, status, __ATOMIC_RELEASE);
}

static void last_guest_ended(void)
{
	printk("tidepool: all guests have stopped; %llu MiB free\n",
	       (unsigned long long)(frames_free_bytes() / MIB));
	if (when_idle == CONFIG_IDLE_POWEROFF)
		platform_power_off();
}

static void drop_alive(void)
{
	if (__atomic_sub_fetch(&alive, 1, __ATOMIC_ACQ_REL) == 0)
		last_guest_ended();
}

void vms_set_when_idle(enum config_when_idle action)
{
	when_idle = action;
}

uint32_t vms_alive(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < vm_count; i++)
		if (__atomic_load_n(&vms[i].status, __ATOMIC_RELAXED) != VM_STOPPED)
			count++;
	return count;
}

uint64_t vms_awaited_blocks(void)
{
	uint64_t blocks = 0;

	for (uint32_t i = 0; i < vm_count; i++) {
		const struct vm *vm = &vms[i];
		enum vm_status status = __atomic_load_n(&vm->status, __ATOMIC_RELAXED);

		if (vm->wanted && (status == VM_DYING || status == VM_STARTING))
			blocks += vm->config->memory / BLOCK_SIZE -
				  __atomic_load_n(&vm->blocks_held, __ATOMIC_RELAXED);
	}
	return blocks;
}

void vms_boot_done(void)
{
	drop_alive();
}

struct vm *vm_register(const struct guest_config *config)
{
	struct vm *vm = &vms[vm_count];

	vm->id = vm_count;
	vm->config = config;
	memcpy(vm->name, config->name, sizeof(vm->name));
	vm->status = VM_STOPPED;
	vm->balloon.target = config->memory / BLOCK_SIZE;
	vm_count++;
	return vm;
}

int vm_start(struct vm *vm)
{
	int err = -EBUSY;

	spin_lock(&vm->lock);
	if (vm->status == VM_STOPPED) {
		__atomic_add_fetch(&alive, 1, __ATOMIC_RELAXED);
		vm->wanted = true;
		vm->start_due = 0;
		set_status(vm, VM_STARTING);
		err = 0;
	}
	spin_unlock(&vm->lock);
	return err;
}

/* Context: vm->lock held. */
static void give_up_start(struct vm *vm)
{
	vm->wanted = false;
	format(vm->stop_reason, sizeof(vm->stop_reason), "not started");
	set_status(vm, VM_DYING);
}

/* All of it is there: let it run. Its CPUs may do so before this returns. */
static void launch(struct vm *vm)
{
	uint32_t count = vm->vcpu_count;

	vm->vcpus_active = count;
	vm->started = time_ticks();
	vm->starts++;
	vm->stop_reason[0] = '\0';
	printk("tidepool: guest %s: %llu MiB, %u vCPU%s\n", vm->name,
	       (unsigned long long)(vm->memory / MIB), count, count == 1 ? "" : "s");
	set_status(vm, VM_RUNNING);
	for (uint32_t i = 0; i < count; i++)
		sched_add(vm->vcpus[i]);
}

static bool build(struct vm *vm)
{
	bool launched = false;
	int err = vm_create_step(vm);

	if (err == -EAGAIN && __atomic_load_n(&vm->wanted, __ATOMIC_RELAXED))
		return false;
	spin_lock(&vm->lock);
	if (err < 0 || !vm->wanted) {
		give_up_start(vm);
	} else {
		launch(vm);
		launched = true;
	}
	spin_unlock(&vm->lock);
	return launched;
}

static bool take_apart(struct vm *vm)
{
	bool again;

	if (!vm_destroy_step(vm))
		return false;
	spin_lock(&vm->lock);
	again = vm->wanted;
	set_status(vm, again ? VM_STARTING : VM_STOPPED);
	spin_unlock(&vm->lock);
	if (!again)
		drop_alive();
	return !again;
}

bool vm_work(struct vm *vm)
{
	return vm->status == VM_STARTING ? build(vm) : take_apart(vm);
}

uint64_t vm_work_due(const struct vm *vm)
{
	return vm->status == VM_STARTING && vm->wanted ? vm->start_due : 0;
}

static bool starts_again(const struct vm *vm, enum vm_end end)
{
	switch (end) {
	case VM_END_RESET:
		return vm->config->on_reset == CONFIG_RESTART;
	case VM_END_CRASH:
		return vm->config->on_crash == CONFIG_RESTART;
	case VM_END_RESTART:
		return true;
	default:
		return false;
	}
}

static void kick_all(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vcpu_kick(vm->vcpus[i]);
}

/*
 * The lock is held until all vCPUs are kicked: vm_retire_vcpu() waits for it, so they stay.
 * Context: vm->lock held.
 */
static int end_life(struct vm *vm, enum vm_end end)
{
	if (!vm_is_up(vm->status))
		return -EINVAL;
	vm->wanted = starts_again(vm, end);
	vm->start_due = 0;
	if (end != VM_END_RESTART)
		vm->start_due = vm->started + time_ns_to_ticks(RESTART_INTERVAL_NS);
	set_status(vm, VM_STOPPING);
	kick_all(vm);
	return 0;
}

void vm_stop(struct vm *vm, enum vm_end end, const char *fmt, ...)
{
	va_list args;

	spin_lock(&vm->lock);
	if (end_life(vm, end) == 0) {
		va_start(args, fmt);
		vformat(vm->stop_reason, sizeof(vm->stop_reason), fmt, args);
		va_end(args);
	}
	spin_unlock(&vm->lock);
}

int vm_shut_down(struct vm *vm)
{
	int err = 0;

	spin_lock(&vm->lock);
	if (end_life(vm, VM_END_OFF) == 0)
		format(vm->stop_reason, sizeof(vm->stop_reason), "stopped by the operator");
	else if (vm->wanted) /* on its way to a new life */
		vm->wanted = false;
	else
		err = -EINVAL;
	spin_unlock(&vm->lock);
	return err;
}

int vm_reset(struct vm *vm)
{
	int err;

	spin_lock(&vm->lock);
	err = end_life(vm, VM_END_RESTART);
	if (err == 0)
		format(vm->stop_reason, sizeof(vm->stop_reason), "reset by the operator");
	spin_unlock(&vm->lock);
	return err;
}

static int change_status(struct vm *vm, enum vm_status from, enum vm_status to)
{
	int err = -EINVAL;

	spin_lock(&vm->lock);
	if (vm->status == from) {
		set_status(vm, to);
		kick_all(vm);
		err = 0;
	}
	spin_unlock(&vm->lock);
	return err;
}

int vm_pause(struct vm *vm)
{
	return change_status(vm, VM_RUNNING, VM_PAUSED);
}

int vm_resume(struct vm *vm)
{
	return change_status(vm, VM_PAUSED, VM_RUNNING);
}

static int change_store(struct vm *vm, void (*change)(struct tmem_client *, enum tmem_freeze))
{
	int err = -EINVAL;

	spin_lock(&vm->lock);
	if (vm_is_up(vm->status)) {
		change(vm->tmem, TMEM_FREEZE_OPERATOR);
		err = 0;
	}
	spin_unlock(&vm->lock);
	return err;
}

int vm_freeze(struct vm *vm)
{
	return change_store(vm, tmem_client_freeze);
}

int vm_thaw(struct vm *vm)
{
	return change_store(vm, tmem_client_thaw);
}

int vm_evict(struct vm *vm, unsigned int count)
{
	int evicted = -EINVAL;

	spin_lock(&vm->lock);
	if (vm_is_up(vm->status))
		evicted = (int)tmem_client_evict(vm->tmem, count);
	spin_unlock(&vm->lock);
	return evicted;
}

int vm_nmi(struct vm *vm)
{
	int err = -EINVAL;

	spin_lock(&vm->lock);
	if (vm_is_up(vm->status)) {
		lapic_press_nmi(vm->vcpus[0]);
		err = 0;
	}
	spin_unlock(&vm->lock);
	return err;
}

/* Context: vm->lock held; vCPUs and store account exist. */
static void collect_figures(const struct vm *vm, struct vm_figures *figures)
{
	*figures = (struct vm_figures){0};
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *vcpu = vm->vcpus[i];

		figures->hypercalls += vcpu->arch.fast_calls;
		figures->run_ticks += vcpu->run_ticks;
		for (unsigned int kind = 0; kind < EXIT_KIND_COUNT; kind++)
			figures->exits[kind] += vcpu->exits[kind];
	}
	tmem_client_stats(vm->tmem, &figures->tmem);
}

void vm_get_figures(struct vm *vm, struct vm_figures *figures)
{
	spin_lock(&vm->lock);
	if (vm_is_up(vm->status) || vm->status == VM_STOPPING)
		collect_figures(vm, figures);
	else
		*figures = vm->last;
	spin_unlock(&vm->lock);
}

/* What a person wants to know of a guest that has ended; docs/manual.md explains each figure. */
static void report(struct vm *vm)
{
	const struct tmem_stats *stats = &vm->last.tmem;
	unsigned long long exits = 0;

	for (unsigned int kind = 0; kind < EXIT_KIND_COUNT; kind++)
		exits += vm->last.exits[kind];
	printk("tidepool: guest %s: stopped: %s\n", vm->name, vm->stop_reason);
	printk("tidepool: guest %s: tmem put=%llu got=%llu missed=%llu flushed=%llu refused=%llu "
	       "evicted=%llu held=%llu\n",
	       vm->name, (unsigned long long)stats->puts, (unsigned long long)stats->gets,
	       (unsigned long long)stats->misses, (unsigned long long)stats->flushed,
	       (unsigned long long)stats->refused, (unsigned long long)stats->evicted,
	       (unsigned long long)stats->held);
	printk("tidepool: guest %s: hypercalls=%llu exits=%llu\n", vm->name,
	       (unsigned long long)vm->last.hypercalls, exits);
	virtio_report(vm);
}

bool vm_retire_vcpu(struct vm *vm)
{
	if (__atomic_sub_fetch(&vm->vcpus_active, 1, __ATOMIC_ACQ_REL))
		return false;
	spin_lock(&vm->lock);
	uart_flush(vm);
	collect_figures(vm, &vm->last);
	report(vm);
	set_status(vm, VM_DYING);
	spin_unlock(&vm->lock);
	return true;
}
