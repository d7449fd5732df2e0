/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first virtio disk, driven by hand.
 * Documents: VIRTIO 1.1 sections 2.6, 4.2.2, 5.2.
 */
#ifndef TESTS_GUEST_LIB_DISK_H
#define TESTS_GUEST_LIB_DISK_H

#include <stdbool.h>
#include <stdint.h>

#define DISK_SLOT_BASE 0xd0000000ull /* registers of the first virtio device, */
#define DISK_SLOT_SIZE 0x1000	     /* of each */
#define DISK_PIN       16	     /* of the I/O APIC */

#define DISK_REG_DEVICE_ID	0x08
#define DISK_REG_INTERRUPT	0x60
#define DISK_REG_INTERRUPT_ACK	0x64
#define DISK_REG_STATUS		0x70
#define DISK_STATUS_DRIVER_OK	0x0f
#define DISK_STATUS_NEEDS_RESET 0x40

#define DISK_QUEUE_SIZE	 8
#define DISK_SECTOR_SIZE 512
#define DISK_READ	 0
#define DISK_WRITE	 1

/* disk_is_there - is the first virtio device one? Checks its magic number. */
bool disk_is_there(void);

uint32_t disk_read_reg(uint32_t reg);
void disk_write_reg(uint32_t reg, uint32_t value);

/* disk_start - reset the device and make it ready, with an empty queue */
void disk_start(void);

/*
 * disk_begin - put a request for @size bytes at @buffer into the queue, and tell the device
 * Only one at a time. disk_is_done() tells when it is finished, disk_status() how (0: well).
 */
void disk_begin(uint32_t type, uint64_t sector, void *buffer, uint32_t size);
bool disk_is_done(void);
int disk_status(void);

/* disk_notify - tell the device of a descriptor that need not be one */
void disk_notify(uint16_t head);

#endif
