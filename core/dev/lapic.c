/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC: accepting interrupts, and which one comes next; handing that to the processor
 * Documents: SDM vol. 3A, "Handling Interrupts", "Local APIC State".
 */
#include "core/dev/lapic.h"
#include "arch/x86_64/virt.h"
#include "core/dev/lapic_internal.h"
#include "core/errno.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define SVR_RESET      0xffu
#define PRIORITY_MASK  0xf0u
#define CR8_SHIFT      4
#define CR8_MAX	       15u
#define X2APIC_CLUSTER 16u /* local APICs in one */

/* The highest vector in a set whose words are @stride words apart, or -1. */
static inline int highest_of(const uint32_t *set, int stride)
{
	for (int i = 7; i >= 0; i--) {
		uint32_t bits = __atomic_load_n(&set[i * stride], __ATOMIC_ACQUIRE);

		if (bits)
			return i * 32 + 31 - __builtin_clz(bits);
	}
	return -1;
}

static int highest(const uint32_t set[8])
{
	return highest_of(set, 1);
}

static int highest_in_page(const struct lapic *lapic, uint32_t offset)
{
	return highest_of(lapic_page_word(lapic, offset, 0), LAPIC_PAGE_STRIDE / sizeof(uint32_t));
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
	lapic_set_tpr(lapic, 0);
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
		if (lapic->page) {
			*lapic_page_word(lapic, LAPIC_PAGE_ISR, (uint32_t)i) = 0;
			*lapic_page_word(lapic, LAPIC_PAGE_IRR, (uint32_t)i) = 0;
		}
	}
	lapic->changed = true;
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
	__atomic_store_n(&lapic->posted, true, __ATOMIC_RELEASE);
	vcpu_kick(vcpu);
	return true;
}

uint32_t lapic_processor_priority(const struct lapic *lapic)
{
	int served = lapic->page ? highest_in_page(lapic, LAPIC_PAGE_ISR) : highest(lapic->isr);
	uint32_t class = served < 0 ? 0 : (uint32_t)served & PRIORITY_MASK;
	uint32_t tpr = lapic_tpr(lapic);

	return (tpr & PRIORITY_MASK) >= class ? tpr : class;
}

/* Moves what was raised into the page. */
static void take_posted(struct lapic *lapic)
{
	if (!__atomic_load_n(&lapic->posted, __ATOMIC_RELAXED))
		return;
	/* First: what is raised from here on is new. */
	(void)__atomic_exchange_n(&lapic->posted, false, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < 8; i++)
		*lapic_page_word(lapic, LAPIC_PAGE_IRR, i) |= __atomic_exchange_n(&lapic->irr[i], 0,
										  __ATOMIC_ACQUIRE);
	lapic->changed = true;
}

bool lapic_update_page(struct lapic *lapic, uint16_t *status)
{
	int waits, served;

	take_posted(lapic);
	if (!lapic->changed)
		return false;
	lapic->changed = false;
	waits = highest_in_page(lapic, LAPIC_PAGE_IRR);
	served = highest_in_page(lapic, LAPIC_PAGE_ISR);
	*status = (uint16_t)((waits < 0 ? 0 : waits) | (served < 0 ? 0 : served) << 8);
	return true;
}

void lapic_switch_direct(struct vcpu *vcpu, bool on)
{
	struct lapic *lapic = &vcpu->lapic;
	uint32_t tpr = lapic_tpr(lapic);

	if (!virt->apic_direct || on == !!lapic->page)
		return;
	if (!on) { /* the registers are about to be reset */
		lapic->page = NULL;
		virt->apic_indirect(vcpu);
		return;
	}
	lapic->page = virt->apic_direct(vcpu);
	if (!lapic->page)
		return;
	lapic_set_tpr(lapic, tpr);
	for (uint32_t i = 0; i < 8; i++) {
		*lapic_page_word(lapic, LAPIC_PAGE_ISR, i) = lapic->isr[i];
		*lapic_page_word(lapic, LAPIC_PAGE_IRR, i) = 0;
	}
	__atomic_store_n(&lapic->posted, true, __ATOMIC_RELEASE); /* what waits in irr */
}

int lapic_pending(struct vcpu *vcpu)
{
	struct lapic *lapic = &vcpu->lapic;
	int vector;

	if (!lapic_hardware_enabled(lapic))
		return -1;
	if (lapic->page) {
		take_posted(lapic);
		vector = highest_in_page(lapic, LAPIC_PAGE_IRR);
	} else {
		if (!__atomic_load_n(&lapic->posted, __ATOMIC_ACQUIRE))
			return -1; /* irr is as empty as when it was last looked at */
		(void)__atomic_exchange_n(&lapic->posted, false, __ATOMIC_ACQUIRE);
		vector = highest(lapic->irr);
		if (vector >= 0)
			__atomic_store_n(&lapic->posted, true, __ATOMIC_RELAXED);
	}
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
	if (test_bit(lapic->tmr, (uint8_t)vector))
		lapic_end_level(vcpu, (uint8_t)vector);
}

void lapic_end_level(struct vcpu *vcpu, uint8_t vector)
{
	spin_lock(&vcpu->vm->lock);
	ioapic_eoi(vcpu->vm, vector);
	spin_unlock(&vcpu->vm->lock);
}

uint32_t lapic_tpr(const struct lapic *lapic)
{
	return lapic->page ? *lapic_page_word(lapic, LAPIC_PAGE_TPR, 0) : lapic->tpr;
}

void lapic_set_tpr(struct lapic *lapic, uint32_t tpr)
{
	*(lapic->page ? lapic_page_word(lapic, LAPIC_PAGE_TPR, 0) : &lapic->tpr) = tpr;
}

uint32_t lapic_isr_word(const struct lapic *lapic, uint32_t i)
{
	return lapic->page ? *lapic_page_word(lapic, LAPIC_PAGE_ISR, i) : lapic->isr[i];
}

uint32_t lapic_irr_word(const struct lapic *lapic, uint32_t i)
{
	uint32_t posted = __atomic_load_n(&lapic->irr[i], __ATOMIC_RELAXED);

	return posted | (lapic->page ? *lapic_page_word(lapic, LAPIC_PAGE_IRR, i) : 0);
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
	return lapic_tpr(lapic) >> CR8_SHIFT;
}

int lapic_set_cr8(struct vcpu *vcpu, uint64_t value)
{
	if (value > CR8_MAX)
		return -EINVAL;
	lapic_set_tpr(&vcpu->lapic, (uint32_t)value << CR8_SHIFT);
	return 0;
}
