/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC: accepting interrupts, and which one comes next
 * Documents: SDM vol. 3A, "Handling Interrupts", "Local APIC State".
 */
#include "core/dev/lapic.h"
#include "core/dev/lapic_internal.h"
#include "core/errno.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define SVR_RESET      0xffu
#define PRIORITY_MASK  0xf0u
#define CR8_SHIFT      4
#define CR8_MAX	       15u
#define X2APIC_CLUSTER 16u /* local APICs in one */

/* The highest vector in a set, or -1. */
static int highest(const uint32_t set[8])
{
	for (int i = 7; i >= 0; i--) {
		uint32_t bits = __atomic_load_n(&set[i], __ATOMIC_ACQUIRE);

		if (bits)
			return i * 32 + 31 - __builtin_clz(bits);
	}
	return -1;
}

static void set_bit(uint32_t set[8], uint8_t vector)
{
	__atomic_fetch_or(&set[vector / 32], 1u << vector % 32, __ATOMIC_ACQ_REL);
}

static void clear_bit(uint32_t set[8], uint8_t vector)
{
	__atomic_fetch_and(&set[vector / 32], ~(1u << vector % 32), __ATOMIC_ACQ_REL);
}

static bool test_bit(const uint32_t set[8], uint8_t vector)
{
	return __atomic_load_n(&set[vector / 32], __ATOMIC_ACQUIRE) & 1u << vector % 32;
}

void lapic_reset_registers(struct lapic *lapic)
{
	lapic->tpr = 0;
	__atomic_store_n(&lapic->svr, SVR_RESET, __ATOMIC_RELAXED);
	__atomic_store_n(&lapic->ldr, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&lapic->dfr, UINT32_MAX, __ATOMIC_RELAXED);
	lapic->esr = 0;
	__atomic_store_n(&lapic->esr_shadow, 0, __ATOMIC_RELAXED);
	for (int i = 0; i < LAPIC_LVT_COUNT; i++)
		__atomic_store_n(&lapic->lvt[i], LAPIC_LVT_MASKED, __ATOMIC_RELAXED);
	lapic->icr = 0;
	lapic_timer_reset(lapic);
	for (int i = 0; i < 8; i++) {
		lapic->isr[i] = 0;
		__atomic_store_n(&lapic->tmr[i], 0, __ATOMIC_RELAXED);
		__atomic_store_n(&lapic->irr[i], 0, __ATOMIC_RELAXED);
	}
}

void lapic_reset(struct lapic *lapic, uint32_t id)
{
	*lapic = (struct lapic){
		.base_msr = VM_LAPIC_BASE | LAPIC_BASE_ENABLE | (id == 0 ? LAPIC_BASE_BSP : 0),
		.id = id,
	};
	lapic_reset_registers(lapic);
}

void lapic_obey_init(struct lapic *lapic)
{
	lapic_reset_registers(lapic);
}

void lapic_error(struct vcpu *vcpu, uint32_t error)
{
	struct lapic *lapic = &vcpu->lapic;
	uint32_t lvt = __atomic_load_n(&lapic->lvt[LAPIC_LVT_ERROR], __ATOMIC_RELAXED);

	__atomic_fetch_or(&lapic->esr_shadow, error, __ATOMIC_RELAXED);
	/* An entry with an illegal vector would be the next error, and so on. */
	if ((lvt & LAPIC_LVT_VECTOR) >= LAPIC_VECTOR_MIN)
		lapic_raise_local(vcpu, LAPIC_LVT_ERROR);
}

void lapic_raise_local(struct vcpu *vcpu, enum lapic_lvt entry)
{
	uint32_t lvt = __atomic_load_n(&vcpu->lapic.lvt[entry], __ATOMIC_RELAXED);

	if (lvt & LAPIC_LVT_MASKED)
		return;
	if ((lvt & LAPIC_LVT_MODE) == LAPIC_LVT_NMI)
		lapic_latch_nmi(vcpu);
	else if (!(lvt & LAPIC_LVT_MODE))
		lapic_raise(vcpu, lvt & LAPIC_LVT_VECTOR, false);
}

void lapic_press_nmi(struct vcpu *vcpu)
{
	if (lapic_hardware_enabled(&vcpu->lapic))
		lapic_raise_local(vcpu, LAPIC_LVT_LINT1);
}

bool lapic_raise(struct vcpu *vcpu, uint8_t vector, bool level)
{
	struct lapic *lapic = &vcpu->lapic;

	if (!lapic_hardware_enabled(lapic) || !lapic_software_enabled(lapic))
		return false;
	if (vector < LAPIC_VECTOR_MIN) {
		lapic_error(vcpu, LAPIC_ESR_RECEIVE_ILLEGAL);
		return false;
	}
	if (level)
		set_bit(lapic->tmr, vector);
	else
		clear_bit(lapic->tmr, vector);
	set_bit(lapic->irr, vector);
	vcpu_kick(vcpu);
	return true;
}

uint32_t lapic_processor_priority(const struct lapic *lapic)
{
	int served = highest(lapic->isr);
	uint32_t class = served < 0 ? 0 : (uint32_t)served & PRIORITY_MASK;

	return (lapic->tpr & PRIORITY_MASK) >= class ? lapic->tpr : class;
}

int lapic_pending(struct vcpu *vcpu)
{
	const struct lapic *lapic = &vcpu->lapic;
	int vector;

	if (!lapic_hardware_enabled(lapic))
		return -1;
	vector = highest(lapic->irr);
	if (vector < 0 ||
	    ((uint32_t)vector & PRIORITY_MASK) <= (lapic_processor_priority(lapic) & PRIORITY_MASK))
		return -1;
	return vector;
}

void lapic_accept(struct vcpu *vcpu, uint8_t vector)
{
	clear_bit(vcpu->lapic.irr, vector);
	set_bit(vcpu->lapic.isr, vector);
}

void lapic_end_of_interrupt(struct vcpu *vcpu)
{
	struct lapic *lapic = &vcpu->lapic;
	int vector = highest(lapic->isr);

	if (vector < 0)
		return;
	clear_bit(lapic->isr, (uint8_t)vector);
	if (!test_bit(lapic->tmr, (uint8_t)vector))
		return;
	spin_lock(&vcpu->vm->lock);
	ioapic_eoi(vcpu->vm, (uint8_t)vector);
	spin_unlock(&vcpu->vm->lock);
}

/* In x2APIC mode it follows from the id: 16 local APICs are a cluster. */
uint32_t lapic_logical_id(const struct lapic *lapic)
{
	if (lapic_in_x2apic(lapic))
		return lapic->id / X2APIC_CLUSTER << 16 | 1u << lapic->id % X2APIC_CLUSTER;
	return __atomic_load_n(&lapic->ldr, __ATOMIC_RELAXED);
}

uint64_t lapic_get_cr8(const struct lapic *lapic)
{
	return lapic->tpr >> CR8_SHIFT;
}

int lapic_set_cr8(struct vcpu *vcpu, uint64_t value)
{
	if (value > CR8_MAX)
		return -EINVAL;
	vcpu->lapic.tpr = (uint32_t)value << CR8_SHIFT;
	return 0;
}
