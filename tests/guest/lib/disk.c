/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guest/lib/disk.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

/* Registers that nobody else needs. */
#define REG_MAGIC	 0x00
#define REG_ACCEPTED	 0x20
#define REG_ACCEPTED_SEL 0x24
#define REG_QUEUE_NUM	 0x38
#define REG_QUEUE_READY	 0x44
#define REG_NOTIFY	 0x50
#define REG_DESCRIPTORS	 0x80
#define REG_AVAIL	 0x90
#define REG_USED	 0xa0

#define MAGIC		    0x74726976
#define ID_DISK		    2
#define STATUS_FEATURES_OK  0x0b
#define FEATURE_HIGH_MODERN 1 /* VIRTIO_F_VERSION_1 */

#define NEXT  1
#define WRITE 2

static struct {
	uint64_t address;
	uint32_t size;
	uint16_t flags, next;
} descriptors[DISK_QUEUE_SIZE] __attribute__((aligned(16)));

static volatile struct {
	uint16_t flags, index;
	uint16_t heads[DISK_QUEUE_SIZE];
} avail __attribute__((aligned(4)));

static volatile struct {
	uint16_t flags, index;
	struct {
		uint32_t head, written;
	} entries[DISK_QUEUE_SIZE];
} used __attribute__((aligned(4)));

static struct {
	uint32_t type, reserved;
	uint64_t sector;
} header;

static volatile uint8_t status;

uint32_t disk_read_reg(uint32_t reg)
{
	return mmio_read32(DISK_SLOT_BASE + reg);
}

void disk_write_reg(uint32_t reg, uint32_t value)
{
	mmio_write32(DISK_SLOT_BASE + reg, value);
}

static void write_address(uint32_t reg, const volatile void *address)
{
	disk_write_reg(reg, (uint32_t)(uint64_t)address);
	disk_write_reg(reg + 4, (uint32_t)((uint64_t)address >> 32));
}

bool disk_is_there(void)
{
	CHECK_EQ(disk_read_reg(REG_MAGIC), MAGIC, "magic value");
	return disk_read_reg(DISK_REG_DEVICE_ID) == ID_DISK;
}

void disk_start(void)
{
	disk_write_reg(DISK_REG_STATUS, 0);
	disk_write_reg(REG_ACCEPTED_SEL, 1);
	disk_write_reg(REG_ACCEPTED, FEATURE_HIGH_MODERN);
	disk_write_reg(DISK_REG_STATUS, STATUS_FEATURES_OK);
	CHECK_EQ(disk_read_reg(DISK_REG_STATUS), STATUS_FEATURES_OK,
		 "status with the features agreed");
	avail.index = 0;
	used.index = 0;
	disk_write_reg(REG_QUEUE_NUM, DISK_QUEUE_SIZE);
	write_address(REG_DESCRIPTORS, descriptors);
	write_address(REG_AVAIL, &avail);
	write_address(REG_USED, &used);
	disk_write_reg(REG_QUEUE_READY, 1);
	disk_write_reg(DISK_REG_STATUS, DISK_STATUS_DRIVER_OK);
	CHECK_EQ(disk_read_reg(DISK_REG_STATUS), DISK_STATUS_DRIVER_OK,
		 "status of the driver ready");
}

void disk_notify(uint16_t head)
{
	avail.heads[avail.index % DISK_QUEUE_SIZE] = head;
	__asm__ volatile("" : : : "memory");
	avail.index++;
	disk_write_reg(REG_NOTIFY, 0);
}

void disk_begin(uint32_t type, uint64_t sector, void *buffer, uint32_t size)
{
	header.type = type;
	header.sector = sector;
	status = 0xff;
	descriptors[0].address = (uint64_t)&header;
	descriptors[0].size = sizeof(header);
	descriptors[0].flags = NEXT;
	descriptors[0].next = 1;
	descriptors[1].address = (uint64_t)buffer;
	descriptors[1].size = size;
	descriptors[1].flags = type == DISK_READ ? NEXT | WRITE : NEXT;
	descriptors[1].next = 2;
	descriptors[2].address = (uint64_t)&status;
	descriptors[2].size = 1;
	descriptors[2].flags = WRITE;
	disk_notify(0);
}

bool disk_is_done(void)
{
	return used.index == avail.index;
}

int disk_status(void)
{
	return status;
}
