/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/sched.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/platform.h"
#include "arch/x86_64/cpu/smp.h"
#include "arch/x86_64/virt.h"
#include "core/console.h"
#include "core/frames.h"
#include "core/monitor.h"
#include "core/panic.h"
#include "core/spinlock.h"
#include "core/store.h"
#include "core/time.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

/* How long a vCPU runs before another runnable one gets its turn. */
#define SLICE_NS (5 * NSEC_PER_MSEC)
/* How long a vCPU runs before the CPU does another step of the work beside it. */
#define BACKGROUND_NS NSEC_PER_MSEC

struct sched_cpu {
	struct spinlock lock;  /* vcpus, weight: vCPUs are added from other CPUs */
	struct vcpu *vcpus;    /* all that are placed here, in no order */
	uint64_t weight;       /* of all of them */
	uint64_t min_vruntime; /* how far the last of those that want the CPU is; never falls */
	uint64_t slice_end;    /* TSC; of the vCPU picked last */
	uint64_t timer;	       /* TSC that the timer is set to */
	uint64_t run_ticks;    /* of all vCPUs that ran here */
	bool yield;	       /* the vCPU picked last wants others to go first */
	bool alone;	       /* nobody else could run when it was picked */
	struct vm *work;       /* guests that this CPU builds or takes apart, a step a round */
};

static struct sched_cpu sched_cpus[PCPU_MAX];
static bool started;

void sched_init_cpu(void)
{
	struct pcpu *cpu = this_cpu();

	cpu->sched = &sched_cpus[cpu->index];
	cpu->sched->timer = TIME_NEVER;
}

void sched_wait_start(void)
{
	while (!__atomic_load_n(&started, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
}

bool sched_has_cpus(uint64_t cpus)
{
	return pcpu_count == PCPU_MAX || cpus >> pcpu_count == 0;
}
_Static_assert(PCPU_MAX == 64, "a word has a bit for each CPU");

uint32_t sched_nodes(uint64_t cpus)
{
	uint32_t nodes = 0;

	for (uint32_t i = 0; i < pcpu_count; i++)
		if (!cpus || cpus & BIT(i))
			nodes |= 1u << pcpus[i]->node;
	return nodes;
}

/* Whether CPU @i is a better place for a guest's vCPU than @best: less to do, or near its RAM. */
static bool is_better(const struct vm *vm, uint32_t i, uint32_t best)
{
	uint64_t weight = sched_cpus[i].weight, least = sched_cpus[best].weight;

	if (weight != least)
		return weight < least;
	return pcpus[i]->node == vm->node && pcpus[best]->node != vm->node;
}

/* Other CPUs may be placing vCPUs meanwhile: then the choice is not the best, but a good one. */
static uint32_t choose_cpu(const struct vm *vm)
{
	uint64_t cpus = vm->config->cpus;
	uint32_t best = pcpu_count;

	for (uint32_t i = 0; i < pcpu_count; i++) {
		if (cpus && !(cpus & BIT(i)))
			continue;
		if (best == pcpu_count || is_better(vm, i, best))
			best = i;
	}
	BUG_ON(best == pcpu_count);
	return best;
}

void sched_add(struct vcpu *vcpu)
{
	uint32_t best = choose_cpu(vcpu->vm);
	struct sched_cpu *sched = &sched_cpus[best];

	spin_lock(&sched->lock);
	vcpu->cpu = best;
	vcpu->vruntime = sched->min_vruntime;
	vcpu->next = sched->vcpus;
	sched->vcpus = vcpu;
	sched->weight += vcpu->vm->config->weight;
	vcpu_kick(vcpu); /* while it cannot leave again */
	spin_unlock(&sched->lock);
}

void sched_yield(void)
{
	this_cpu()->sched->yield = true;
}

void sched_want_timer(uint64_t tsc)
{
	struct sched_cpu *sched = this_cpu()->sched;

	if (tsc < sched->timer) {
		sched->timer = tsc;
		platform_set_timer(tsc);
	}
}

static void unload(struct pcpu *cpu)
{
	if (cpu->loaded) {
		virt->vcpu_unload(cpu->loaded);
		cpu->loaded = NULL;
	}
}

/*
 * Takes the vCPUs of stopping guests off this CPU. vm_retire_vcpu() takes vm->lock inside ours;
 * launching a guest takes them the other way round, which a guest that stops is not doing.
 */
static void retire_stopping(struct pcpu *cpu)
{
	struct sched_cpu *sched = cpu->sched;

	spin_lock(&sched->lock);
	for (struct vcpu **link = &sched->vcpus; *link;) {
		struct vcpu *vcpu = *link;
		struct vm *vm = vcpu->vm;

		if (vm_is_up(__atomic_load_n(&vm->status, __ATOMIC_ACQUIRE))) {
			link = &vcpu->next;
			continue;
		}
		*link = vcpu->next;
		sched->weight -= vm->config->weight;
		if (cpu->loaded == vcpu)
			unload(cpu);
		vcpu->status = VCPU_STOPPED;
		if (vm_retire_vcpu(vm))
			sched_add_work(vm);
	}
	spin_unlock(&sched->lock);
}

void sched_start(void)
{
	__atomic_store_n(&started, true, __ATOMIC_RELEASE);
}

void sched_add_work(struct vm *vm)
{
	struct vm **link = &this_cpu()->sched->work;

	while (*link)
		link = &(*link)->next_work;
	vm->next_work = NULL;
	*link = vm;
}

/*
 * One bounded step of what is not a guest's own work, for the guests on the list in turn.
 * Returns the TSC of the next step: @now when it can be done at once, TIME_NEVER without work.
 */
static uint64_t background_step(struct pcpu *cpu, uint64_t now)
{
	struct sched_cpu *sched = cpu->sched;
	uint64_t next = TIME_NEVER;

	for (struct vm **link = &sched->work, *vm; (vm = *link); link = &vm->next_work) {
		uint64_t due = vm_work_due(vm);

		if (due > now) {
			if (due < next)
				next = due;
			continue;
		}
		unload(cpu); /* a vCPU that is being built needs to be loaded */
		*link = vm->next_work;
		if (!vm_work(vm))
			sched_add_work(vm);
		return now;
	}
	return next;
}

/* Context: @vcpu has had the least time of those that want the CPU. */
static void advance(struct sched_cpu *sched, const struct vcpu *vcpu)
{
	if (vcpu->vruntime > sched->min_vruntime)
		sched->min_vruntime = vcpu->vruntime;
}

/*
 * A vCPU that slept for long starts up to a slice before the others, so that it runs at once; what
 * it has used meanwhile is not forgotten.
 */
static void limit_credit(struct sched_cpu *sched, struct vcpu *vcpu, uint64_t slice)
{
	uint64_t credit = slice / vcpu->vm->config->weight;
	uint64_t earliest = sched->min_vruntime > credit ? sched->min_vruntime - credit : 0;

	if (vcpu->vruntime < earliest)
		vcpu->vruntime = earliest;
}

/*
 * Whether there is something for a vCPU to do on its CPU. A halted one wakes up for an interrupt;
 * INIT, start-up, and the devices' work are done by vcpu_run() in any status.
 */
static bool can_run(struct sched_cpu *sched, struct vcpu *vcpu, uint64_t now, uint64_t slice)
{
	bool work = vcpu_deadline(vcpu) <= now; /* the timer was polled: it is the devices' */

	if (vcpu->status != VCPU_RUNNABLE && (work || lapic_signalled(vcpu)))
		limit_credit(sched, vcpu, slice);
	if (vcpu->status == VCPU_HALTED && lapic_pending(vcpu) >= 0) {
		limit_credit(sched, vcpu, slice);
		vcpu->status = VCPU_RUNNABLE;
	}
	return vcpu->status == VCPU_RUNNABLE || work || lapic_signalled(vcpu);
}

/*
 * Chooses the vCPU with the least weighted time. The one that runs keeps its CPU until its slice
 * ends, unless one that just woke is behind it by a slice, or it yields. @wake_at: TSC of the next
 * moment to choose anew.
 */
static struct vcpu *pick(struct pcpu *cpu, uint64_t now, uint64_t *wake_at)
{
	struct sched_cpu *sched = cpu->sched;
	uint64_t slice = time_ns_to_ticks(SLICE_NS);
	struct vcpu *best = NULL, *yielding = NULL;
	uint64_t best_key = 0;
	unsigned int runnable = 0;
	bool resched = cpu->need_resched;

	*wake_at = TIME_NEVER;
	spin_lock(&sched->lock);
	for (struct vcpu *vcpu = sched->vcpus; vcpu; vcpu = vcpu->next) {
		uint64_t key;

		if (vcpu->vm->status == VM_PAUSED) { /* earns no right to catch up */
			if (vcpu->vruntime < sched->min_vruntime)
				vcpu->vruntime = sched->min_vruntime;
			continue;
		}
		lapic_poll_timer(vcpu, now);
		if (!can_run(sched, vcpu, now, slice)) {
			if (vcpu_deadline(vcpu) < *wake_at)
				*wake_at = vcpu_deadline(vcpu);
			continue;
		}
		runnable++;
		if (vcpu == cpu->loaded && sched->yield) {
			yielding = vcpu;
			continue;
		}
		key = vcpu->vruntime + slice;
		if (vcpu == cpu->loaded && now < sched->slice_end)
			key -= slice / vcpu->vm->config->weight;
		if (!best || key < best_key) {
			best = vcpu;
			best_key = key;
		}
	}
	spin_unlock(&sched->lock);

	cpu->need_resched = resched; /* who was kicked by a timer that was polled was looked at */
	sched->yield = false;
	if (!best)
		best = yielding;
	if (!best)
		return NULL;
	if (best != cpu->loaded || now >= sched->slice_end)
		sched->slice_end = now + slice;
	if (runnable > 1 && sched->slice_end < *wake_at)
		*wake_at = sched->slice_end;
	if (vcpu_deadline(best) < *wake_at)
		*wake_at = vcpu_deadline(best);
	sched->alone = runnable == 1;
	advance(sched, best);
	return best;
}

static void run(struct pcpu *cpu, struct vcpu *vcpu)
{
	uint64_t start = time_ticks(), ran;

	if (cpu->loaded != vcpu) {
		unload(cpu);
		virt->vcpu_load(vcpu);
		cpu->loaded = vcpu;
	}
	vcpu_run(vcpu);
	ran = time_ticks() - start;
	vcpu->run_ticks += ran;
	cpu->sched->run_ticks += ran;
	vcpu->vruntime += ran / vcpu->vm->config->weight;
	/* It may have run for long: who sleeps meanwhile has no right to as much. */
	if (cpu->sched->alone)
		advance(cpu->sched, vcpu);
}

void sched_get_figures(uint32_t cpu, struct sched_figures *figures)
{
	struct sched_cpu *sched = &sched_cpus[cpu];

	spin_lock(&sched->lock);
	figures->weight = sched->weight;
	spin_unlock(&sched->lock);
	figures->run_ticks = __atomic_load_n(&sched->run_ticks, __ATOMIC_RELAXED);
}

/* Nothing runs here: clean memory, compress cold pages, then halt, until an interrupt brings
 * something to look at. */
static void idle(struct pcpu *cpu)
{
	while (!cpu->need_resched && (frames_scrub_step() || store_idle_step()))
		platform_irq_window();
	if (!cpu->need_resched)
		platform_idle();
}

void sched_run(void)
{
	struct pcpu *cpu = this_cpu();
	struct sched_cpu *sched = cpu->sched;

	for (;;) {
		uint64_t now = time_ticks();
		uint64_t work, wake_at;
		struct vcpu *vcpu;
		bool busy;

		cpu->need_resched = false;
		retire_stopping(cpu);
		work = background_step(cpu, now);
		busy = work <= now;
		vcpu = pick(cpu, time_ticks(), &wake_at);
		if (busy)
			work += time_ns_to_ticks(BACKGROUND_NS);
		wake_at = wake_at < work ? wake_at : work;
		if (cpu->index == MONITOR_CPU) {
			work = monitor_poll(now);
			wake_at = wake_at < work ? wake_at : work;
		}
		sched->timer = wake_at;
		platform_set_timer(wake_at);
		if (vcpu)
			run(cpu, vcpu);
		else if (!busy)
			idle(cpu);
		platform_irq_window();
	}
}
