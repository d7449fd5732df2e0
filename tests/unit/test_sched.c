/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler, on CPUs whose time only passes when something runs on them: where vCPUs are
 * placed, what share each gets, and how soon one that wakes up runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The real one looks at the stack pointer. */
#define this_cpu hw_this_cpu
#include "arch/x86_64/cpu/percpu.h"
#undef this_cpu

static struct pcpu *this_cpu(void);

#include "core/sched.c"

#define SLICE	  5000000ull /* in ticks: one a nanosecond */
#define VCPUS	  4
#define SWITCH_NS 1000ull /* what it costs to choose and to load */

struct pcpu *pcpus[PCPU_MAX];
uint32_t pcpu_count;
uint32_t tsc_khz = 1000000;

static struct pcpu cpus[3];
static struct vm guests[VCPUS];
static struct guest_config configs[VCPUS];
static struct vcpu vcpus[VCPUS];
static uint64_t now, timer, end;
static jmp_buf over;
static void (*play)(struct vcpu *vcpu); /* what a vCPU does with its turn; NULL: computes */
static bool pending[VCPUS];		/* an interrupt waits for it */
static uint64_t wake_at[VCPUS];		/* TSC of its next timer interrupt */
static uint64_t turns[VCPUS];

static struct pcpu *this_cpu(void)
{
	return &cpus[0];
}

uint64_t time_ticks(void)
{
	return now;
}

void platform_set_timer(uint64_t tsc)
{
	timer = tsc;
}

/* Ends the loop of sched_run() when the time of the test is over. */
static void pass_until(uint64_t tsc)
{
	if (tsc > now)
		now = tsc;
	if (now >= end)
		longjmp(over, 1);
}

void platform_idle(void)
{
	assert_int_not_equal(timer, TIME_NEVER);
	pass_until(timer);
}

void platform_irq_window(void)
{
}

void smp_kick(uint32_t cpu)
{
	(void)cpu;
}

bool frames_scrub_step(void)
{
	return false;
}

bool store_idle_step(void)
{
	return false;
}

uint64_t monitor_poll(uint64_t tsc)
{
	(void)tsc;
	return TIME_NEVER;
}

uint64_t vm_work_due(const struct vm *vm)
{
	(void)vm;
	return 0;
}

bool vm_work(struct vm *vm)
{
	(void)vm;
	return true;
}

bool vm_retire_vcpu(struct vm *vm)
{
	(void)vm;
	return false;
}

void panic(const char *fmt, ...)
{
	fail_msg("%s", fmt);
	abort();
}

void vcpu_kick(struct vcpu *vcpu)
{
	(void)vcpu;
}

uint64_t vcpu_deadline(const struct vcpu *vcpu)
{
	return wake_at[vcpu - vcpus];
}

void lapic_poll_timer(struct vcpu *vcpu, uint64_t tsc)
{
	if (wake_at[vcpu - vcpus] > tsc)
		return;
	wake_at[vcpu - vcpus] = TIME_NEVER;
	pending[vcpu - vcpus] = true;
}

int lapic_pending(struct vcpu *vcpu)
{
	return pending[vcpu - vcpus] ? 32 : -1;
}

bool lapic_signalled(const struct vcpu *vcpu)
{
	(void)vcpu;
	return false;
}

static void load(struct vcpu *vcpu)
{
	(void)vcpu;
	now += SWITCH_NS;
}

static void drop(struct vcpu *vcpu)
{
	(void)vcpu;
}

static const struct virt_ops ops = {.vcpu_load = load, .vcpu_unload = drop};
const struct virt_ops *virt = &ops;

void vcpu_run(struct vcpu *vcpu)
{
	pending[vcpu - vcpus] = false;
	turns[vcpu - vcpus]++;
	if (play)
		play(vcpu);
	else
		pass_until(timer);
}

static int setup(void **state)
{
	(void)state;
	memset(sched_cpus, 0, sizeof(sched_cpus));
	memset(guests, 0, sizeof(guests));
	memset(vcpus, 0, sizeof(vcpus));
	memset(turns, 0, sizeof(turns));
	memset(pending, 0, sizeof(pending));
	pcpu_count = ARRAY_SIZE(cpus);
	for (uint32_t i = 0; i < pcpu_count; i++) {
		cpus[i] = (struct pcpu){.index = i, .sched = &sched_cpus[i]};
		pcpus[i] = &cpus[i];
	}
	for (unsigned int i = 0; i < VCPUS; i++) {
		configs[i] = (struct guest_config){.weight = 1};
		guests[i].config = &configs[i];
		guests[i].status = VM_RUNNING;
		vcpus[i].vm = &guests[i];
		wake_at[i] = TIME_NEVER;
	}
	now = 1000;
	play = NULL;
	return 0;
}

/* Has @count vCPUs with these weights share the first CPU for some time. */
static void share(unsigned int count, const uint32_t weights[], uint64_t ticks)
{
	pcpu_count = 1;
	for (unsigned int i = 0; i < count; i++) {
		configs[i].weight = weights[i];
		sched_add(&vcpus[i]);
	}
	end = now + ticks;
	if (setjmp(over) == 0)
		sched_run();
}

static void assert_share(unsigned int index, uint64_t permille, uint64_t tolerance)
{
	uint64_t all = 0, got;

	for (unsigned int i = 0; i < VCPUS; i++)
		all += vcpus[i].run_ticks;
	got = vcpus[index].run_ticks * 1000 / all;
	assert_in_range(got, permille - tolerance, permille + tolerance);
}

static void test_placement(void **state)
{
	(void)state;
	configs[0].weight = 2;
	for (unsigned int i = 0; i < VCPUS; i++)
		sched_add(&vcpus[i]);
	assert_int_equal(vcpus[0].cpu, 0);
	assert_int_equal(vcpus[1].cpu, 1);
	assert_int_equal(vcpus[2].cpu, 2);
	assert_int_equal(vcpus[3].cpu, 1); /* the first with the least weight */
}

/* Pinned vCPUs keep to their CPUs however much is there; the others make room for them. */
static void test_pins(void **state)
{
	(void)state;
	configs[0].cpus = configs[1].cpus = 1 << 2;
	configs[2].cpus = 1 << 1 | 1 << 2;
	for (unsigned int i = 0; i < VCPUS; i++)
		sched_add(&vcpus[i]);
	assert_int_equal(vcpus[0].cpu, 2);
	assert_int_equal(vcpus[1].cpu, 2);
	assert_int_equal(vcpus[2].cpu, 1);
	assert_int_equal(vcpus[3].cpu, 0);
}

/* Where the choice is free a guest's vCPUs are near its RAM. */
static void test_nodes(void **state)
{
	(void)state;
	cpus[1].node = cpus[2].node = 3;
	assert_int_equal(sched_nodes(0), 1 << 0 | 1 << 3);
	assert_int_equal(sched_nodes(1 << 0), 1 << 0);
	assert_int_equal(sched_nodes(1 << 1 | 1 << 2), 1 << 3);
	guests[0].node = guests[1].node = guests[2].node = 3;
	for (unsigned int i = 0; i < VCPUS; i++)
		sched_add(&vcpus[i]);
	assert_int_equal(vcpus[0].cpu, 1);
	assert_int_equal(vcpus[1].cpu, 2);
	assert_int_equal(vcpus[2].cpu, 0); /* that one has nothing to do */
	assert_int_equal(vcpus[3].cpu, 0);
}

static void test_missing_cpus(void **state)
{
	(void)state;
	assert_true(sched_has_cpus(0));
	assert_true(sched_has_cpus(7));
	assert_false(sched_has_cpus(8));
	assert_false(sched_has_cpus(1ull << 63 | 1));
	pcpu_count = PCPU_MAX;
	assert_true(sched_has_cpus(UINT64_MAX));
}

static void test_shares(void **state)
{
	(void)state;
	share(2, (const uint32_t[]){1, 3}, 1000 * SLICE);
	assert_share(0, 250, 3);
	assert_share(1, 750, 3);
	assert_true(turns[0] + turns[1] <= 1001); /* a slice each, not less */
}

static void test_shares_of_three(void **state)
{
	(void)state;
	share(3, (const uint32_t[]){1, 2, 7}, 1000 * SLICE);
	assert_share(0, 100, 5);
	assert_share(1, 200, 5);
	assert_share(2, 700, 5);
}

static uint64_t slept_until, longest_wait;

/* The first vCPU sleeps a millisecond again and again, the others compute. */
static void play_sleeper(struct vcpu *vcpu)
{
	if (vcpu != &vcpus[0]) {
		pass_until(timer);
		return;
	}
	if (slept_until && now - slept_until > longest_wait)
		longest_wait = now - slept_until;
	now += 10 * SWITCH_NS;
	slept_until = wake_at[0] = now + NSEC_PER_MSEC;
	vcpu->status = VCPU_HALTED;
}

static void test_wake_up(void **state)
{
	(void)state;
	slept_until = longest_wait = 0;
	play = play_sleeper;
	share(3, (const uint32_t[]){1, 1, 1}, 200 * SLICE);
	assert_true(turns[0] > 900); /* of a millisecond each */
	assert_true(longest_wait <= 2 * SWITCH_NS);
}

/* What one did not use while it slept is not to be had later but for a slice. */
static void play_late(struct vcpu *vcpu)
{
	if (vcpu == &vcpus[0] && now < end / 2) {
		wake_at[0] = end / 2;
		vcpu->status = VCPU_HALTED;
		return;
	}
	pass_until(timer);
}

static void test_no_credit_for_sleep(void **state)
{
	(void)state;
	play = play_late;
	share(2, (const uint32_t[]){1, 1}, 1000 * SLICE);
	assert_share(0, 250, 3);
}

/* And the other way round: who computed alone has to wait for nobody to catch up. */
static void play_early(struct vcpu *vcpu)
{
	bool late = now >= end / 2;

	if (vcpu == &vcpus[late ? 0 : 1] && now < end / 2 + SLICE) {
		wake_at[vcpu - vcpus] = end / 2 + (late ? 2 * SLICE : 0);
		vcpu->status = VCPU_HALTED;
		return;
	}
	pass_until(timer);
}

static void test_no_debt_for_work(void **state)
{
	(void)state;
	play = play_early;
	share(2, (const uint32_t[]){1, 1}, 1000 * SLICE);
	assert_share(0, 750, 5);
}

/* Each gives its turn away at once: they alternate. */
static void play_yield(struct vcpu *vcpu)
{
	static const struct vcpu *last;

	assert_ptr_not_equal(vcpu, last);
	last = vcpu;
	sched_yield();
	pass_until(now + SWITCH_NS);
}

static void test_yield(void **state)
{
	(void)state;
	play = play_yield;
	share(2, (const uint32_t[]){1, 1}, SLICE);
	assert_in_range(turns[0], turns[1] - 1, turns[1] + 1);
	assert_true(turns[0] > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_placement, setup),
		cmocka_unit_test_setup(test_pins, setup),
		cmocka_unit_test_setup(test_nodes, setup),
		cmocka_unit_test_setup(test_missing_cpus, setup),
		cmocka_unit_test_setup(test_shares, setup),
		cmocka_unit_test_setup(test_shares_of_three, setup),
		cmocka_unit_test_setup(test_wake_up, setup),
		cmocka_unit_test_setup(test_no_credit_for_sleep, setup),
		cmocka_unit_test_setup(test_no_debt_for_work, setup),
		cmocka_unit_test_setup(test_yield, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
