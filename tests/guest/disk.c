/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first virtio disk, driven by hand: it is this very file's ELF image. Reads and writes, the
 * interrupt that ends HLT, and what a malformed queue does to the device, and does not to the host.
 * Documents: VIRTIO 1.1 sections 2.6, 4.2.2, 5.2.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define SLOT_BASE   0xd0000000ull
#define SLOT_SIZE   0x1000
#define SLOT_PIN    16
#define VECTOR_DISK 0x40

/* Registers */
#define REG_MAGIC	  0x00
#define REG_DEVICE_ID	  0x08
#define REG_ACCEPTED	  0x20
#define REG_ACCEPTED_SEL  0x24
#define REG_QUEUE_NUM	  0x38
#define REG_QUEUE_READY	  0x44
#define REG_NOTIFY	  0x50
#define REG_INTERRUPT	  0x60
#define REG_INTERRUPT_ACK 0x64
#define REG_STATUS	  0x70
#define REG_DESCRIPTORS	  0x80
#define REG_AVAIL	  0x90
#define REG_USED	  0xa0

#define MAGIC		    0x74726976
#define ID_DISK		    2
#define STATUS_FEATURES_OK  0x0b
#define STATUS_DRIVER_OK    0x0f
#define STATUS_NEEDS_RESET  0x40
#define INTERRUPT_QUEUE	    1
#define FEATURE_HIGH_MODERN 1 /* VIRTIO_F_VERSION_1 */

#define QUEUE_SIZE 8
#define NEXT	   1
#define WRITE	   2

#define SECTOR_SIZE   512
#define REQUEST_IN    0
#define REQUEST_OUT   1
#define TICKS_TO_WAIT 20000000000ull

const char test_name[] = "disk";

static struct {
	uint64_t address;
	uint32_t size;
	uint16_t flags, next;
} descriptors[QUEUE_SIZE] __attribute__((aligned(16)));

static volatile struct {
	uint16_t flags, index;
	uint16_t heads[QUEUE_SIZE];
} avail __attribute__((aligned(4)));

static volatile struct {
	uint16_t flags, index;
	struct {
		uint32_t head, written;
	} entries[QUEUE_SIZE];
} used __attribute__((aligned(4)));

static struct {
	uint32_t type, reserved;
	uint64_t sector;
} header;

static uint8_t buffer[SECTOR_SIZE], copy[SECTOR_SIZE];
static volatile uint8_t status;
static volatile unsigned int interrupts;

static uint32_t read_reg(uint32_t reg)
{
	return mmio_read32(SLOT_BASE + reg);
}

static void write_reg(uint32_t reg, uint32_t value)
{
	mmio_write32(SLOT_BASE + reg, value);
}

static void write_address(uint32_t reg, const volatile void *address)
{
	write_reg(reg, (uint32_t)(uint64_t)address);
	write_reg(reg + 4, (uint32_t)((uint64_t)address >> 32));
}

static void on_disk(void)
{
	CHECK_EQ(read_reg(REG_INTERRUPT), INTERRUPT_QUEUE, "interrupt status");
	write_reg(REG_INTERRUPT_ACK, INTERRUPT_QUEUE);
	interrupts++;
	apic_write(APIC_EOI, 0);
}

static void start_device(void)
{
	write_reg(REG_STATUS, 0);
	write_reg(REG_ACCEPTED_SEL, 1);
	write_reg(REG_ACCEPTED, FEATURE_HIGH_MODERN);
	write_reg(REG_STATUS, STATUS_FEATURES_OK);
	CHECK_EQ(read_reg(REG_STATUS), STATUS_FEATURES_OK, "status with the features agreed");
	avail.index = 0;
	used.index = 0;
	write_reg(REG_QUEUE_NUM, QUEUE_SIZE);
	write_address(REG_DESCRIPTORS, descriptors);
	write_address(REG_AVAIL, &avail);
	write_address(REG_USED, &used);
	write_reg(REG_QUEUE_READY, 1);
	write_reg(REG_STATUS, STATUS_DRIVER_OK);
	CHECK_EQ(read_reg(REG_STATUS), STATUS_DRIVER_OK, "status of the driver ready");
}

static void notify(uint16_t head)
{
	avail.heads[avail.index % QUEUE_SIZE] = head;
	__asm__ volatile("" : : : "memory");
	avail.index++;
	write_reg(REG_NOTIFY, 0);
}

/* One sector to or from the disk; sleeps until it is done. Returns the request's status. */
static int request(uint32_t type, uint64_t sector)
{
	unsigned int before = interrupts;

	header.type = type;
	header.sector = sector;
	status = 0xff;
	descriptors[0].address = (uint64_t)&header;
	descriptors[0].size = sizeof(header);
	descriptors[0].flags = NEXT;
	descriptors[0].next = 1;
	descriptors[1].address = (uint64_t)buffer;
	descriptors[1].size = SECTOR_SIZE;
	descriptors[1].flags = type == REQUEST_IN ? NEXT | WRITE : NEXT;
	descriptors[1].next = 2;
	descriptors[2].address = (uint64_t)&status;
	descriptors[2].size = 1;
	descriptors[2].flags = WRITE;
	notify(0);
	while (interrupts == before)
		irq_wait();
	CHECK_EQ(used.index, avail.index, "requests that came back");
	return status;
}

static void test_requests(void)
{
	CHECK_EQ(request(REQUEST_IN, 0), 0, "reading the first sector");
	CHECK(memcmp(buffer, "\177ELF", 4) == 0, "the first sector is not the file's");
	for (unsigned int i = 0; i < SECTOR_SIZE; i++)
		buffer[i] = copy[i] = (uint8_t)test_random();
	CHECK_EQ(request(REQUEST_OUT, 3), 0, "writing a sector");
	CHECK_EQ(request(REQUEST_IN, 0), 0, "reading another sector");
	CHECK_EQ(request(REQUEST_IN, 3), 0, "reading it again");
	CHECK(memcmp(buffer, copy, SECTOR_SIZE) == 0, "what was written is not read again");
	CHECK_EQ(request(REQUEST_IN, UINT64_MAX), 1, "reading behind the end");
}

/* The device says that it needs a reset, and works again after one. */
static void test_malformed(void)
{
	uint64_t start = rdtsc();

	irq_disable();
	ioapic_mask(SLOT_PIN);
	notify(QUEUE_SIZE); /* there is no such descriptor */
	while (!(read_reg(REG_STATUS) & STATUS_NEEDS_RESET) && rdtsc() - start < TICKS_TO_WAIT)
		continue;
	CHECK_EQ(read_reg(REG_STATUS), STATUS_DRIVER_OK | STATUS_NEEDS_RESET, "status");
	start_device();
	ioapic_route(SLOT_PIN, VECTOR_DISK);
	CHECK_EQ(request(REQUEST_IN, 0), 0, "reading after a reset");
}

void test_main(void)
{
	CHECK_EQ(read_reg(REG_MAGIC), MAGIC, "magic value");
	if (read_reg(REG_DEVICE_ID) != ID_DISK) {
		test_skip("no disk");
		return;
	}
	CHECK_EQ(mmio_read32(SLOT_BASE + 7 * SLOT_SIZE + REG_DEVICE_ID), 0, "id of an empty slot");
	apic_use_x2apic();
	trap_set_handler(VECTOR_DISK, on_disk);
	apic_write(APIC_SVR, APIC_SVR_ENABLE | 0xff);
	ioapic_route(SLOT_PIN, VECTOR_DISK);
	start_device();
	test_requests();
	test_malformed();
}
