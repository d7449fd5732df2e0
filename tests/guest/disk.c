/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first virtio disk, driven by hand: it is this very file's ELF image. Reads and writes, the
 * interrupt that ends HLT, and what a malformed queue does to the device, and does not to the host.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/disk.h"
#include "tests/guest/lib/test.h"

#define VECTOR_DISK	0x40
#define INTERRUPT_QUEUE 1
#define EMPTY_SLOT	7
#define TICKS_TO_WAIT	20000000000ull

const char test_name[] = "disk";

static uint8_t buffer[DISK_SECTOR_SIZE], copy[DISK_SECTOR_SIZE];
static volatile unsigned int interrupts;

static void on_disk(void)
{
	CHECK_EQ(disk_read_reg(DISK_REG_INTERRUPT), INTERRUPT_QUEUE, "interrupt status");
	disk_write_reg(DISK_REG_INTERRUPT_ACK, INTERRUPT_QUEUE);
	interrupts++;
	apic_write(APIC_EOI, 0);
}

/* One sector to or from the disk; sleeps until it is done. Returns the request's status. */
static int request(uint32_t type, uint64_t sector)
{
	unsigned int before = interrupts;

	disk_begin(type, sector, buffer, sizeof(buffer));
	while (interrupts == before)
		irq_wait();
	CHECK(disk_is_done(), "the request has not come back");
	return disk_status();
}

static void test_requests(void)
{
	CHECK_EQ(request(DISK_READ, 0), 0, "reading the first sector");
	CHECK(memcmp(buffer, "\177ELF", 4) == 0, "the first sector is not the file's");
	for (unsigned int i = 0; i < sizeof(buffer); i++)
		buffer[i] = copy[i] = (uint8_t)test_random();
	CHECK_EQ(request(DISK_WRITE, 3), 0, "writing a sector");
	CHECK_EQ(request(DISK_READ, 0), 0, "reading another sector");
	CHECK_EQ(request(DISK_READ, 3), 0, "reading it again");
	CHECK(memcmp(buffer, copy, sizeof(buffer)) == 0, "what was written is not read again");
	CHECK_EQ(request(DISK_READ, UINT64_MAX), 1, "reading behind the end");
}

/* The device says that it needs a reset, and works again after one. */
static void test_malformed(void)
{
	uint64_t start = rdtsc();

	irq_disable();
	ioapic_mask(DISK_PIN);
	disk_notify(DISK_QUEUE_SIZE); /* there is no such descriptor */
	while (!(disk_read_reg(DISK_REG_STATUS) & DISK_STATUS_NEEDS_RESET) &&
	       rdtsc() - start < TICKS_TO_WAIT)
		continue;
	CHECK_EQ(disk_read_reg(DISK_REG_STATUS), DISK_STATUS_DRIVER_OK | DISK_STATUS_NEEDS_RESET,
		 "status");
	disk_start();
	ioapic_route(DISK_PIN, VECTOR_DISK, IOAPIC_EDGE);
	CHECK_EQ(request(DISK_READ, 0), 0, "reading after a reset");
}

void test_main(void)
{
	if (!disk_is_there()) {
		test_skip("no disk");
		return;
	}
	CHECK_EQ(mmio_read32(DISK_SLOT_BASE + EMPTY_SLOT * DISK_SLOT_SIZE + DISK_REG_DEVICE_ID), 0,
		 "id of an empty slot");
	apic_use_x2apic();
	trap_set_handler(VECTOR_DISK, on_disk);
	apic_write(APIC_SVR, APIC_SVR_ENABLE | 0xff);
	ioapic_route(DISK_PIN, VECTOR_DISK, IOAPIC_EDGE);
	disk_start();
	test_requests();
	test_malformed();
}
