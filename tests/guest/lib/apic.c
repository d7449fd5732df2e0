/* SPDX-License-Identifier: BSD-2-Clause */
/* Both modes of the local APIC; an exception on the way is an Error of the test. */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define X2APIC_MSR(offset) (0x800u + (offset) / 16)
#define IOAPIC_SELECT	   (IOAPIC_BASE + 0x00)
#define IOAPIC_WINDOW	   (IOAPIC_BASE + 0x10)
#define IOAPIC_DEST_SHIFT  24
#define XAPIC_ID_SHIFT	   24

static uint64_t read_msr(uint32_t msr)
{
	uint64_t value;

	if (rdmsr_safe(msr, &value) != NO_VECTOR) {
		test_error("RDMSR 0x%x: exception", msr);
		test_finish();
	}
	return value;
}

static void write_msr(uint32_t msr, uint64_t value)
{
	if (wrmsr_safe(msr, value) != NO_VECTOR) {
		test_error("WRMSR 0x%x of 0x%lx: exception", msr, value);
		test_finish();
	}
}

bool apic_is_x2apic(void)
{
	return read_msr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
}

void apic_use_x2apic(void)
{
	write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
}

uint32_t apic_read(uint32_t offset)
{
	return apic_is_x2apic() ? (uint32_t)read_msr(X2APIC_MSR(offset))
				: mmio_read32(APIC_BASE_DEFAULT + offset);
}

void apic_write(uint32_t offset, uint32_t value)
{
	if (apic_is_x2apic())
		write_msr(X2APIC_MSR(offset), value);
	else
		mmio_write32(APIC_BASE_DEFAULT + offset, value);
}

void apic_send_self(uint8_t vector)
{
	apic_write(APIC_ICR, APIC_ICR_SELF | vector);
}

void apic_send(uint32_t id, uint32_t command)
{
	write_msr(X2APIC_MSR(APIC_ICR), (uint64_t)id << 32 | command);
}

static void ioapic_write(uint32_t index, uint32_t value)
{
	mmio_write32(IOAPIC_SELECT, index);
	mmio_write32(IOAPIC_WINDOW, value);
}

void ioapic_route(unsigned int pin, uint8_t vector, uint32_t trigger)
{
	uint32_t id = apic_read(APIC_ID);

	if (!apic_is_x2apic())
		id >>= XAPIC_ID_SHIFT;
	ioapic_write(IOAPIC_REDIRECTION(pin) + 1, id << IOAPIC_DEST_SHIFT);
	ioapic_write(IOAPIC_REDIRECTION(pin), trigger | vector);
}

void ioapic_mask(unsigned int pin)
{
	ioapic_write(IOAPIC_REDIRECTION(pin), IOAPIC_MASKED);
}
