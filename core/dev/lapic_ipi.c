/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages to local APICs: from the I/O APIC, and between vCPUs by the interrupt command register
 * Documents: SDM vol. 3A, "Issuing Interprocessor Interrupts", "Extended XAPIC (x2APIC)".
 */
#include "core/dev/lapic_internal.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

/* Interrupt command register */
#define ICR_VECTOR	      0xffu
#define ICR_MODE_SHIFT	      8
#define ICR_MODE_MASK	      0x7u
#define ICR_LOGICAL	      BIT(11)
#define ICR_ASSERT	      BIT(14)
#define ICR_LEVEL	      BIT(15)
#define ICR_SHORTHAND_SHIFT   18
#define ICR_SHORTHAND_MASK    0x3u
#define ICR_DEST_SHIFT	      56
#define ICR_X2APIC_DEST_SHIFT 32

enum shorthand { DEST_FIELD, DEST_SELF, DEST_ALL, DEST_OTHERS };

/* An APIC in xAPIC mode compares 8-bit logical ids, by its own model. */
#define DFR_MODEL_SHIFT	      28
#define DFR_MODEL_FLAT	      0xfu
#define LDR_XAPIC_SHIFT	      24
#define NARROW_CLUSTER_SHIFT  4
#define NARROW_CLUSTER_MEMBER 0xfu
#define NARROW_BROADCAST      0xffu

#define X2APIC_CLUSTER_SHIFT  16
#define X2APIC_CLUSTER_MEMBER 0xffffu
#define X2APIC_BROADCAST      UINT32_MAX

static bool matches_logical(const struct lapic *target, uint32_t dest)
{
	uint32_t ldr = lapic_logical_id(target);
	uint32_t dfr = __atomic_load_n(&target->dfr, __ATOMIC_RELAXED);

	if (lapic_in_x2apic(target))
		return ldr >> X2APIC_CLUSTER_SHIFT == dest >> X2APIC_CLUSTER_SHIFT &&
		       (ldr & dest & X2APIC_CLUSTER_MEMBER);
	if (dest > NARROW_BROADCAST) /* names nobody who has an 8-bit logical id */
		return false;
	ldr >>= LDR_XAPIC_SHIFT;
	if (dfr >> DFR_MODEL_SHIFT == DFR_MODEL_FLAT)
		return ldr & dest;
	return ldr >> NARROW_CLUSTER_SHIFT == dest >> NARROW_CLUSTER_SHIFT &&
	       (ldr & dest & NARROW_CLUSTER_MEMBER);
}

static bool matches(const struct lapic *target, const struct lapic_message *message)
{
	if (message->dest == (message->narrow ? NARROW_BROADCAST : X2APIC_BROADCAST))
		return true;
	if (message->logical)
		return matches_logical(target, message->dest);
	return target->id == message->dest;
}

/*
 * INIT, start-up and NMI are latched here; the vCPU's own CPU acts on them. INIT undoes what came
 * before it. A start-up before the one before it was taken is dropped, as it is by a processor
 * that does not wait for one.
 */
static void latch_init(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->lapic.signals, (uint32_t)LAPIC_SIGNAL_INIT, __ATOMIC_RELEASE);
	vcpu_kick(vcpu);
}

static void latch_startup(struct vcpu *vcpu, uint8_t vector)
{
	uint32_t *signals = &vcpu->lapic.signals;
	uint32_t before = __atomic_load_n(signals, __ATOMIC_RELAXED);

	while (!(before & LAPIC_SIGNAL_STARTUP) &&
	       !__atomic_compare_exchange_n(signals, &before,
					    before | (uint32_t)LAPIC_SIGNAL_STARTUP | vector, false,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		continue;
	vcpu_kick(vcpu);
}

void lapic_latch_nmi(struct vcpu *vcpu)
{
	__atomic_fetch_or(&vcpu->lapic.signals, (uint32_t)LAPIC_SIGNAL_NMI, __ATOMIC_RELEASE);
	vcpu_kick(vcpu);
}

bool lapic_signalled(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->lapic.signals, __ATOMIC_RELAXED);
}

uint32_t lapic_take_signals(struct vcpu *vcpu)
{
	return __atomic_exchange_n(&vcpu->lapic.signals, 0, __ATOMIC_ACQUIRE);
}

/* Returns whether the target accepted. */
static bool receive(struct vcpu *vcpu, const struct lapic_message *message)
{
	switch (message->mode) {
	case LAPIC_MODE_FIXED:
	case LAPIC_MODE_LOWEST_PRIORITY:
		return lapic_raise(vcpu, message->vector, message->level);
	case LAPIC_MODE_INIT:
		latch_init(vcpu);
		return true;
	case LAPIC_MODE_STARTUP:
		latch_startup(vcpu, message->vector);
		return true;
	case LAPIC_MODE_NMI:
		lapic_latch_nmi(vcpu);
		return true;
	default: /* SMI and ExtINT have no meaning in this machine */
		return false;
	}
}

/* @sender: NULL for the I/O APIC, which has no shorthands. */
static bool route(struct vm *vm, const struct vcpu *sender, enum shorthand shorthand,
		  const struct lapic_message *message)
{
	bool accepted = false;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *target = vm->vcpus[i];

		if (shorthand == DEST_FIELD && !matches(&target->lapic, message))
			continue;
		if (shorthand == DEST_SELF && target != sender)
			continue;
		if (shorthand == DEST_OTHERS && target == sender)
			continue;
		accepted |= receive(target, message);
		if (accepted && message->mode == LAPIC_MODE_LOWEST_PRIORITY)
			break;
	}
	return accepted;
}

bool lapic_deliver(struct vm *vm, const struct lapic_message *message)
{
	return route(vm, NULL, DEST_FIELD, message);
}

void lapic_send_icr(struct vcpu *vcpu, uint64_t icr)
{
	enum shorthand shorthand = icr >> ICR_SHORTHAND_SHIFT & ICR_SHORTHAND_MASK;
	bool x2apic = lapic_in_x2apic(&vcpu->lapic);
	struct lapic_message message = {
		.dest = (uint32_t)(icr >> (x2apic ? ICR_X2APIC_DEST_SHIFT : ICR_DEST_SHIFT)),
		.logical = icr & ICR_LOGICAL,
		.narrow = !x2apic,
		.mode = icr >> ICR_MODE_SHIFT & ICR_MODE_MASK,
		.vector = icr & ICR_VECTOR,
	};
	bool has_vector = message.mode == LAPIC_MODE_FIXED ||
			  message.mode == LAPIC_MODE_LOWEST_PRIORITY;

	if (has_vector && message.vector < LAPIC_VECTOR_MIN) {
		lapic_error(vcpu, LAPIC_ESR_SEND_ILLEGAL);
		return;
	}
	/* "INIT level de-assert" only told the oldest processors to arbitrate. */
	if (message.mode == LAPIC_MODE_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
		return;
	/* The sender itself can be meant by a shorthand only with a fixed interrupt. */
	if ((shorthand == DEST_SELF || shorthand == DEST_ALL) && message.mode != LAPIC_MODE_FIXED)
		return;
	route(vcpu->vm, vcpu, shorthand, &message);
}
