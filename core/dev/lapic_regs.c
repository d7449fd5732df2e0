/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's registers, as xAPIC (memory) and x2APIC (MSRs) show them
 * Documents: SDM vol. 3A, "Local APIC", "Extended XAPIC (x2APIC)"; vol. 4 for the MSRs.
 */
#include "core/dev/lapic.h"
#include "core/dev/lapic_internal.h"
#include "core/errno.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define MSR_APIC_BASE	 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_FIRST 0x800u

/* Registers: MMIO offset / 16, and x2APIC MSR number - 0x800. Sets of 256 bits take 8 in a row. */
enum {
	REG_ID = 0x02,
	REG_VERSION = 0x03,
	REG_TPR = 0x08,
	REG_PPR = 0x0a,
	REG_EOI = 0x0b,
	REG_LDR = 0x0d,
	REG_DFR = 0x0e,
	REG_SVR = 0x0f,
	REG_ISR = 0x10,
	REG_TMR = 0x18,
	REG_IRR = 0x20,
	REG_ESR = 0x28,
	REG_ICR = 0x30,
	REG_ICR_HIGH = 0x31,
	REG_LVT_TIMER = 0x32,
	REG_LVT_THERMAL = 0x33,
	REG_LVT_PERFORMANCE = 0x34,
	REG_LVT_LINT0 = 0x35,
	REG_LVT_LINT1 = 0x36,
	REG_LVT_ERROR = 0x37,
	REG_TIMER_INITIAL = 0x38,
	REG_TIMER_CURRENT = 0x39,
	REG_TIMER_DIVIDE = 0x3e,
	REG_SELF_IPI = 0x3f,
	REG_COUNT
};

_Static_assert(REG_LVT_ERROR - REG_LVT_TIMER + 1 == LAPIC_LVT_COUNT, "one register each");

#define OFFSET_SHIFT 4

#define VERSION_INTEGRATED 0x14u
#define VERSION		   (VERSION_INTEGRATED | (uint32_t)(LAPIC_LVT_COUNT - 1) << 16)

#define XAPIC_ID_SHIFT	      24
#define DFR_RESERVED	      0x0fffffffu /* read as ones */
#define BYTE_MASK	      0xffu
#define LVT_STATUS	      0x1000u
#define LVT_POLARITY	      0x2000u
#define LVT_REMOTE_IRR	      0x4000u
#define LVT_TRIGGER	      0x8000u
#define LVT_READ_ONLY	      (LVT_STATUS | LVT_REMOTE_IRR)
#define LVT_COMMON	      (LAPIC_LVT_VECTOR | LVT_STATUS | LAPIC_LVT_MASKED)
#define LVT_LINT	      (LVT_COMMON | LAPIC_LVT_MODE | LVT_POLARITY | LVT_REMOTE_IRR | LVT_TRIGGER)
#define ICR_STATUS	      0x1000u
#define ICR_LOW_WRITABLE      0xcdfffu /* all but bits 13, 16, 17, 20 and up */
#define TIMER_DIVIDE_WRITABLE 0xbu

/* What a mode does with a register. */
#define XR  1u /* xAPIC: read */
#define XW  2u /* xAPIC: write */
#define X2R 4u /* x2APIC: read */
#define X2W 8u /* x2APIC: write */

#define READ_ONLY  (XR | X2R)
#define READ_WRITE (XR | XW | X2R | X2W)

/*
 * @writable: bits that may be set. Setting others is #GP in x2APIC mode, and ignored in xAPIC mode.
 */
struct lapic_register {
	uint32_t access;
	uint32_t writable;
};

static const struct lapic_register registers[REG_COUNT] = {
	[REG_ID] = {READ_ONLY, 0},
	[REG_VERSION] = {READ_ONLY, 0},
	[REG_TPR] = {READ_WRITE, BYTE_MASK},
	[REG_PPR] = {READ_ONLY, 0},
	[REG_EOI] = {XW | X2W, 0},
	[REG_LDR] = {XR | XW | X2R, BYTE_MASK << XAPIC_ID_SHIFT},
	[REG_DFR] = {XR | XW, ~DFR_RESERVED},
	[REG_SVR] = {READ_WRITE, BYTE_MASK | LAPIC_SVR_ENABLE},
	[REG_ISR... REG_ISR + 7] = {READ_ONLY, 0},
	[REG_TMR... REG_TMR + 7] = {READ_ONLY, 0},
	[REG_IRR... REG_IRR + 7] = {READ_ONLY, 0},
	[REG_ESR] = {READ_WRITE, 0},
	[REG_ICR] = {READ_WRITE, ICR_LOW_WRITABLE},
	[REG_ICR_HIGH] = {XR | XW, BYTE_MASK << XAPIC_ID_SHIFT},
	[REG_LVT_TIMER] = {READ_WRITE, LVT_COMMON | LAPIC_TIMER_MODE},
	[REG_LVT_THERMAL] = {READ_WRITE, LVT_COMMON | LAPIC_LVT_MODE},
	[REG_LVT_PERFORMANCE] = {READ_WRITE, LVT_COMMON | LAPIC_LVT_MODE},
	[REG_LVT_LINT0] = {READ_WRITE, LVT_LINT},
	[REG_LVT_LINT1] = {READ_WRITE, LVT_LINT},
	[REG_LVT_ERROR] = {READ_WRITE, LVT_COMMON},
	[REG_TIMER_INITIAL] = {READ_WRITE, UINT32_MAX},
	[REG_TIMER_CURRENT] = {READ_ONLY, 0},
	[REG_TIMER_DIVIDE] = {READ_WRITE, TIMER_DIVIDE_WRITABLE},
	[REG_SELF_IPI] = {X2W, BYTE_MASK},
};

static uint32_t read_register(const struct lapic *lapic, uint32_t reg)
{
	switch (reg) {
	case REG_ID:
		return lapic_in_x2apic(lapic) ? lapic->id : lapic->id << XAPIC_ID_SHIFT;
	case REG_VERSION:
		return VERSION;
	case REG_TPR:
		return lapic_tpr(lapic);
	case REG_PPR:
		return lapic_processor_priority(lapic);
	case REG_LDR:
		return lapic_logical_id(lapic);
	case REG_DFR:
		return lapic->dfr;
	case REG_SVR:
		return lapic->svr;
	case REG_ISR ... REG_ISR + 7:
		return lapic_isr_word(lapic, reg - REG_ISR);
	case REG_TMR ... REG_TMR + 7:
		return __atomic_load_n(&lapic->tmr[reg - REG_TMR], __ATOMIC_RELAXED);
	case REG_IRR ... REG_IRR + 7:
		return lapic_irr_word(lapic, reg - REG_IRR);
	case REG_ESR:
		return lapic->esr;
	case REG_ICR:
		return (uint32_t)lapic->icr;
	case REG_ICR_HIGH:
		return (uint32_t)(lapic->icr >> 32);
	case REG_LVT_TIMER ... REG_LVT_ERROR:
		return lapic->lvt[reg - REG_LVT_TIMER];
	case REG_TIMER_INITIAL:
		return lapic->timer_initial;
	case REG_TIMER_CURRENT:
		return lapic_timer_current(lapic);
	case REG_TIMER_DIVIDE:
		return lapic->timer_divide;
	default:
		return 0;
	}
}

static void write_lvt(struct lapic *lapic, uint32_t entry, uint32_t value)
{
	value &= ~LVT_READ_ONLY;
	if (!lapic_software_enabled(lapic)) /* then the mask bits cannot be cleared */
		value |= LAPIC_LVT_MASKED;
	if (entry == LAPIC_LVT_TIMER)
		lapic_timer_set_lvt(lapic, value);
	else
		__atomic_store_n(&lapic->lvt[entry], value, __ATOMIC_RELAXED);
}

static void write_svr(struct lapic *lapic, uint32_t value)
{
	__atomic_store_n(&lapic->svr, value, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < LAPIC_LVT_COUNT; i++)
		write_lvt(lapic, i, lapic->lvt[i]);
}

/* @value holds writable bits only. In x2APIC mode @high is the register's upper half. */
static void write_register(struct vcpu *vcpu, uint32_t reg, uint32_t value, uint32_t high)
{
	struct lapic *lapic = &vcpu->lapic;

	switch (reg) {
	case REG_TPR:
		lapic_set_tpr(lapic, value);
		break;
	case REG_EOI:
		lapic_end_of_interrupt(vcpu);
		break;
	case REG_LDR:
		__atomic_store_n(&lapic->ldr, value, __ATOMIC_RELAXED);
		break;
	case REG_DFR:
		__atomic_store_n(&lapic->dfr, value | DFR_RESERVED, __ATOMIC_RELAXED);
		break;
	case REG_SVR:
		write_svr(lapic, value);
		break;
	case REG_ESR: /* a write of anything shows what has come together since the last one */
		lapic->esr = __atomic_exchange_n(&lapic->esr_shadow, 0, __ATOMIC_RELAXED);
		break;
	case REG_ICR:
		lapic->icr = (uint64_t)high << 32 | (value & ~ICR_STATUS);
		lapic_send_icr(vcpu, lapic->icr);
		break;
	case REG_ICR_HIGH:
		lapic->icr = (uint64_t)value << 32 | (uint32_t)lapic->icr;
		break;
	case REG_LVT_TIMER ... REG_LVT_ERROR:
		write_lvt(lapic, reg - REG_LVT_TIMER, value);
		break;
	case REG_TIMER_INITIAL:
		lapic_timer_set_initial(lapic, value);
		break;
	case REG_TIMER_DIVIDE:
		lapic_timer_set_divide(lapic, value);
		break;
	case REG_SELF_IPI:
		lapic_raise(vcpu, (uint8_t)value, false);
		break;
	}
}

static const struct lapic_register *find_register(uint32_t reg, uint32_t access)
{
	return reg < REG_COUNT && (registers[reg].access & access) ? &registers[reg] : NULL;
}

int lapic_mmio_read(struct vcpu *vcpu, uint32_t offset, uint32_t *value)
{
	const struct lapic *lapic = &vcpu->lapic;
	uint32_t reg = offset >> OFFSET_SHIFT;

	if (!lapic_hardware_enabled(lapic) || lapic_in_x2apic(lapic))
		return -ENODEV;
	*value = 0;
	if (!find_register(reg, XR | XW))
		lapic_error(vcpu, LAPIC_ESR_BAD_REGISTER);
	else if (IS_ALIGNED(offset, 1u << OFFSET_SHIFT)) /* between registers there is nothing */
		*value = read_register(lapic, reg);
	return 0;
}

int lapic_mmio_write(struct vcpu *vcpu, uint32_t offset, uint32_t value)
{
	const struct lapic *lapic = &vcpu->lapic;
	uint32_t reg = offset >> OFFSET_SHIFT;
	const struct lapic_register *info = find_register(reg, XR | XW);

	if (!lapic_hardware_enabled(lapic) || lapic_in_x2apic(lapic))
		return -ENODEV;
	if (!info)
		lapic_error(vcpu, LAPIC_ESR_BAD_REGISTER);
	else if ((info->access & XW) && IS_ALIGNED(offset, 1u << OFFSET_SHIFT))
		write_register(vcpu, reg, value & info->writable,
			       (uint32_t)(vcpu->lapic.icr >> 32));
	return 0;
}

/*
 * A switch of mode, from the outer index to the inner: x2APIC mode is entered from xAPIC mode, and
 * left only by switching the local APIC off.
 */
enum mode { MODE_OFF, MODE_INVALID, MODE_XAPIC, MODE_X2APIC, MODE_COUNT };

static const bool may_switch[MODE_COUNT][MODE_COUNT] = {
	[MODE_OFF] = {[MODE_OFF] = true, [MODE_XAPIC] = true},
	[MODE_XAPIC] = {[MODE_OFF] = true, [MODE_XAPIC] = true, [MODE_X2APIC] = true},
	[MODE_X2APIC] = {[MODE_OFF] = true, [MODE_X2APIC] = true},
};

/* The two mode bits are neighbours. */
static enum mode base_mode(uint64_t base)
{
	return (base & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC)) / LAPIC_BASE_X2APIC;
}

/* The page cannot be moved, and which vCPU is the first one does not change. */
static int write_base(struct vcpu *vcpu, uint64_t value)
{
	struct lapic *lapic = &vcpu->lapic;
	uint64_t flags = LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC;

	if ((value & ~(flags | LAPIC_BASE_BSP)) != VM_LAPIC_BASE ||
	    !may_switch[base_mode(lapic->base_msr)][base_mode(value)])
		return -EINVAL;
	__atomic_store_n(&lapic->base_msr, (lapic->base_msr & ~flags) | (value & flags),
			 __ATOMIC_RELAXED);
	lapic_switch_direct(vcpu, value & LAPIC_BASE_X2APIC);
	if (!(value & LAPIC_BASE_ENABLE))
		lapic_reset_registers(lapic);
	return 0;
}

/* The x2APIC register of an MSR, or NULL: #GP. */
static const struct lapic_register *find_msr(const struct lapic *lapic, uint32_t msr,
					     uint32_t access)
{
	if (!lapic_in_x2apic(lapic) || msr < MSR_X2APIC_FIRST)
		return NULL;
	return find_register(msr - MSR_X2APIC_FIRST, access);
}

int lapic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const struct lapic *lapic = &vcpu->lapic;

	switch (msr) {
	case MSR_APIC_BASE:
		*value = lapic->base_msr;
		return 0;
	case MSR_TSC_DEADLINE:
		*value = lapic->tsc_deadline;
		return 0;
	}
	if (!find_msr(lapic, msr, X2R))
		return -EINVAL;
	*value = read_register(lapic, msr - MSR_X2APIC_FIRST);
	if (msr == MSR_X2APIC_FIRST + REG_ICR)
		*value = lapic->icr;
	return 0;
}

int lapic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const struct lapic_register *info;
	uint64_t writable;

	switch (msr) {
	case MSR_APIC_BASE:
		return write_base(vcpu, value);
	case MSR_TSC_DEADLINE:
		lapic_timer_set_deadline(vcpu, value);
		return 0;
	}
	info = find_msr(&vcpu->lapic, msr, X2W);
	if (!info)
		return -EINVAL;
	writable = info->writable;
	if (msr == MSR_X2APIC_FIRST + REG_ICR) /* the only register of 64 bits */
		writable |= (uint64_t)UINT32_MAX << 32;
	if (value & ~writable)
		return -EINVAL;
	write_register(vcpu, msr - MSR_X2APIC_FIRST, (uint32_t)value, (uint32_t)(value >> 32));
	return 0;
}
