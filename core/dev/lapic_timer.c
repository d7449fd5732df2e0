/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's timer
 *
 * Nothing counts: the host TSC at which the timer will have expired is computed when it is started,
 * the scheduler sets the host's timer to it, and the current count is computed when it is read.
 * Documents: SDM vol. 3A, "APIC Timer".
 */
#include "core/dev/lapic_internal.h"
#include "core/vm/vcpu.h"

/*
 * The shortest period. A halted guest with a faster timer would cost the guests beside it their
 * CPU; no kernel asks for more than 1 kHz.
 */
#define PERIOD_MIN_NS (100 * NSEC_PER_USEC)

static uint32_t mode(const struct lapic *lapic)
{
	return lapic->lvt[LAPIC_LVT_TIMER] & LAPIC_TIMER_MODE;
}

/* The clock's divisor: bits 3, 1 and 0 of the divide configuration. */
static uint32_t divisor(const struct lapic *lapic)
{
	static const uint8_t divisors[] = {2, 4, 8, 16, 32, 64, 128, 1};
	uint32_t value = lapic->timer_divide;

	return divisors[(value >> 1 & 4) | (value & 3)];
}

/* TSC ticks in one count. */
static uint64_t count_length(const struct lapic *lapic)
{
	return (uint64_t)lapic_clock_ratio() * divisor(lapic);
}

static void stop(struct lapic *lapic)
{
	lapic->timer_initial = 0;
	lapic->tsc_deadline = 0;
	lapic->timer_deadline = TIME_NEVER;
}

void lapic_timer_reset(struct lapic *lapic)
{
	stop(lapic);
	lapic->timer_divide = 0;
}

/* Starts a count-down from @count; 0 stops. */
static void start(struct lapic *lapic, uint32_t count)
{
	lapic->timer_deadline = count ? time_ticks() + count * count_length(lapic) : TIME_NEVER;
}

void lapic_timer_set_lvt(struct lapic *lapic, uint32_t lvt)
{
	uint32_t changed = lapic->lvt[LAPIC_LVT_TIMER] ^ lvt;

	/* Between one-shot and periodic the count goes on; to and from the deadline it stops. */
	if (changed & LAPIC_TIMER_TSC_DEADLINE)
		stop(lapic);
	__atomic_store_n(&lapic->lvt[LAPIC_LVT_TIMER], lvt, __ATOMIC_RELAXED);
}

void lapic_timer_set_initial(struct lapic *lapic, uint32_t count)
{
	if (mode(lapic) & LAPIC_TIMER_TSC_DEADLINE)
		return;
	lapic->timer_initial = count;
	start(lapic, count);
}

uint32_t lapic_timer_current(const struct lapic *lapic)
{
	uint64_t now = time_ticks(), left;

	if ((mode(lapic) & LAPIC_TIMER_TSC_DEADLINE) || lapic->timer_deadline == TIME_NEVER ||
	    now >= lapic->timer_deadline)
		return 0;
	left = (lapic->timer_deadline - now) / count_length(lapic);
	return left < lapic->timer_initial ? (uint32_t)left : lapic->timer_initial;
}

void lapic_timer_set_divide(struct lapic *lapic, uint32_t value)
{
	uint32_t left = lapic_timer_current(lapic);

	lapic->timer_divide = value;
	if (left)
		start(lapic, left);
}

void lapic_timer_set_deadline(struct vcpu *vcpu, uint64_t deadline)
{
	struct lapic *lapic = &vcpu->lapic;
	uint64_t now = time_ticks();
	uint64_t guest_now = now + vcpu->arch.tsc_offset; /* may wrap around, as the TSC does */
	uint64_t wait = deadline > guest_now ? deadline - guest_now : 0;

	if (mode(lapic) != LAPIC_TIMER_TSC_DEADLINE)
		return;
	lapic->tsc_deadline = deadline;
	if (!deadline || wait >= TIME_NEVER - now) /* disarmed, or after the end of time */
		lapic->timer_deadline = TIME_NEVER;
	else
		lapic->timer_deadline = now + wait;
}

void lapic_tsc_changed(struct vcpu *vcpu)
{
	if (vcpu->lapic.tsc_deadline)
		lapic_timer_set_deadline(vcpu, vcpu->lapic.tsc_deadline);
}

void lapic_poll_timer(struct vcpu *vcpu, uint64_t now)
{
	struct lapic *lapic = &vcpu->lapic;

	if (now < lapic->timer_deadline)
		return;
	if (mode(lapic) == LAPIC_TIMER_PERIODIC && lapic->timer_initial) {
		uint64_t period = lapic->timer_initial * count_length(lapic);
		uint64_t shortest = time_ns_to_ticks(PERIOD_MIN_NS);

		if (period < shortest)
			period = shortest;
		/* Periods that were missed are one interrupt; the beat is kept. */
		lapic->timer_deadline = now + period - (now - lapic->timer_deadline) % period;
	} else {
		lapic->tsc_deadline = 0;
		lapic->timer_deadline = TIME_NEVER;
	}
	lapic_raise_local(vcpu, LAPIC_LVT_TIMER);
}
