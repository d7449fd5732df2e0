/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of virtio devices in a guest with a little RAM. Include after <cmocka.h>.
 *
 * Each 2 MiB block of the RAM is an allocation of its own, so that the address sanitizer sees
 * whoever leaves one.
 */
#ifndef TESTS_UNIT_VIRTIO_HOST_H
#define TESTS_UNIT_VIRTIO_HOST_H

#include <stdlib.h>
#include <string.h>

#include "core/dev/virtio_device.h"
#include "tests/unit/dev_host.h"

#define RAM_BLOCKS 4u
#define RAM_END	   (RAM_BLOCKS * BLOCK_SIZE)

/* Where the driver keeps its queue: the table ends with a block, the used ring crosses into one. */
#define QUEUE_SIZE  64u
#define DESCRIPTORS (BLOCK_SIZE - QUEUE_SIZE * 16)
#define AVAIL	    0x3000ul
#define USED	    (2 * BLOCK_SIZE - 8) /* its first entry lies in two blocks */

#define NEXT	 1u
#define WRITE	 2u
#define INDIRECT 4u

/* Registers */
#define MAGIC	      0x00u
#define VERSION_REG   0x04u
#define DEVICE_ID     0x08u
#define VENDOR	      0x0cu
#define FEATURES      0x10u
#define FEATURES_SEL  0x14u
#define ACCEPTED      0x20u
#define ACCEPTED_SEL  0x24u
#define QUEUE_SEL     0x30u
#define QUEUE_NUM_MAX 0x34u
#define QUEUE_NUM     0x38u
#define QUEUE_READY   0x44u
#define NOTIFY	      0x50u
#define INTERRUPT     0x60u
#define ACK	      0x64u
#define STATUS	      0x70u
#define DESC_LOW      0x80u
#define AVAIL_LOW     0x90u
#define USED_LOW      0xa0u
#define CONFIG	      0x100u

#define DRIVER_READY 0x0fu /* acknowledge, driver, features ok, driver ok */
#define NEEDS_RESET  0x40u

static uint8_t *ram_blocks[RAM_BLOCKS];
static uint16_t driver_avail, driver_used;

static inline void ram_create(struct vm *vm)
{
	for (unsigned int i = 0; i < RAM_BLOCKS; i++) {
		ram_blocks[i] = aligned_alloc(BLOCK_SIZE, BLOCK_SIZE);
		assert_non_null(ram_blocks[i]);
		memset(ram_blocks[i], 0, BLOCK_SIZE);
	}
	vm->blocks = ram_blocks;
	vm->block_count = RAM_BLOCKS;
	vm->block_mask = RAM_BLOCKS - 1;
	vm->memory = RAM_END;
}

static inline void ram_free(void)
{
	for (unsigned int i = 0; i < RAM_BLOCKS; i++)
		free(ram_blocks[i]);
}

static inline void *ram(gpa_t gpa)
{
	assert_true(gpa < RAM_END);
	return ram_blocks[gpa >> BLOCK_SHIFT] + (gpa & (BLOCK_SIZE - 1));
}

static inline void put16(gpa_t gpa, unsigned int value)
{
	uint16_t word = (uint16_t)value;

	memcpy(ram(gpa), &word, sizeof(word));
}

static inline uint16_t get16(gpa_t gpa)
{
	uint16_t word;

	memcpy(&word, ram(gpa), sizeof(word));
	return word;
}

static inline uint32_t get32(gpa_t gpa)
{
	uint32_t word;

	memcpy(&word, ram(gpa), sizeof(word));
	return word;
}

static inline void put_descriptor(unsigned int index, uint64_t gpa, uint32_t size,
				  unsigned int flags, unsigned int next)
{
	gpa_t at = DESCRIPTORS + index * 16;

	memcpy(ram(at), &gpa, sizeof(gpa));
	memcpy(ram(at + 8), &size, sizeof(size));
	put16(at + 12, flags);
	put16(at + 14, next);
}

/* Makes the chain that starts at @head available. */
static inline void put_avail(unsigned int head)
{
	put16(AVAIL + 4 + 2 * (driver_avail % QUEUE_SIZE), head);
	put16(AVAIL + 2, ++driver_avail);
}

static inline uint32_t reg_read(unsigned int slot, uint32_t reg)
{
	return (uint32_t)virtio_mmio_read(&host_vm, slot * VIRTIO_SLOT_SIZE + reg, 4);
}

static inline void reg_write(unsigned int slot, uint32_t reg, uint64_t value)
{
	virtio_mmio_write(&host_vm, slot * VIRTIO_SLOT_SIZE + reg, 4, value);
}

static inline void reg_write_address(unsigned int slot, uint32_t low, uint64_t value)
{
	reg_write(slot, low, (uint32_t)value);
	reg_write(slot, low + 4, value >> 32);
}

/* What a driver does first: all features, a queue, ready. */
static inline void start_driver(unsigned int slot)
{
	reg_write(slot, STATUS, 0);
	reg_write(slot, STATUS, 1);
	reg_write(slot, STATUS, 3);
	for (uint32_t i = 0; i < 2; i++) {
		reg_write(slot, FEATURES_SEL, i);
		reg_write(slot, ACCEPTED_SEL, i);
		reg_write(slot, ACCEPTED, reg_read(slot, FEATURES));
	}
	reg_write(slot, STATUS, 0xb);
	assert_int_equal(reg_read(slot, STATUS), 0xb);
	reg_write(slot, QUEUE_SEL, 0);
	reg_write(slot, QUEUE_NUM, QUEUE_SIZE);
	reg_write_address(slot, DESC_LOW, DESCRIPTORS);
	reg_write_address(slot, AVAIL_LOW, AVAIL);
	reg_write_address(slot, USED_LOW, USED);
	put16(AVAIL, 0);
	put16(AVAIL + 2, 0);
	put16(USED + 2, 0);
	driver_avail = driver_used = 0;
	reg_write(slot, QUEUE_READY, 1);
	reg_write(slot, STATUS, DRIVER_READY);
	assert_int_equal(reg_read(slot, STATUS), DRIVER_READY);
}

/* Takes a request off the used ring. Returns whether there was one. */
static inline bool get_used(uint32_t *head, uint32_t *written)
{
	gpa_t entry = USED + 4 + 8 * (gpa_t)(driver_used % QUEUE_SIZE);

	if (get16(USED + 2) == driver_used)
		return false;
	*head = get32(entry);
	*written = get32(entry + 4);
	driver_used++;
	return true;
}

#endif
