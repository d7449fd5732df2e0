/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's virtio devices: disks, and a source of entropy
 *
 * Each sits in a slot: a page of registers and a pin of the I/O APIC, announced by ACPI
 * (core/vm/dsdt.asl). A notification from the driver only notes that there is work. The work is
 * done in bounded steps, in the time of the guest's first vCPU, which the scheduler runs for it
 * even while it is halted: a disk costs the guest whose disk it is, and no CPU is held for long.
 *
 * Documents: Virtual I/O Device (VIRTIO) 1.1, sections 2.6 (split queues), 4.2 (MMIO), 5.2, 5.4.
 */
#ifndef CORE_DEV_VIRTIO_H
#define CORE_DEV_VIRTIO_H

#include "core/config.h"
#include "core/spinlock.h"
#include "core/types.h"

struct virtio_device;
struct vm;

#define VIRTIO_SLOTS	 (CONFIG_MAX_DISKS + 1) /* the entropy source takes one */
#define VIRTIO_SLOT_SIZE PAGE_SIZE
#define VIRTIO_FIRST_PIN 16u /* of the I/O APIC; slot N has pin 16 + N */

struct virtio {
	struct spinlock lock; /* all devices; taken before vm->lock, interrupts off */
	uint64_t due;  /* atomic: TSC at which virtio_poll() has work, TIME_NEVER: it has none */
	uint32_t turn; /* the slot that is looked at first */
	struct virtio_device *slots[VIRTIO_SLOTS]; /* NULL: empty */
};

/* virtio_init - no devices. virtio_destroy - free them all. Context: no vCPU runs. */
void virtio_init(struct vm *vm);
void virtio_destroy(struct vm *vm);

/*
 * virtio_add_disk - a disk in the next free slot
 * @data: its contents, in the direct map; they are written unless config->read_only
 * @size: bytes; those behind the last whole sector cannot be reached
 *
 * virtio_add_rng - a source of entropy in the next free slot
 *
 * Both return 0, -ENOSPC (no slot is free) or -ENOMEM. Context: no vCPU runs yet.
 */
int virtio_add_disk(struct vm *vm, const struct disk_config *config, uint8_t *data, uint64_t size);
int virtio_add_rng(struct vm *vm);

/*
 * virtio_mmio_read, virtio_mmio_write - an access of 1, 2, 4 or 8 bytes to the slots
 * @offset: from VM_VIRTIO_BASE, below VIRTIO_SLOTS * VIRTIO_SLOT_SIZE
 *
 * Registers are 32 bits wide; device configuration is read in any natural size. Everything else
 * reads as zero and ignores writes. Context: a vCPU of the VM, no locks held.
 */
uint64_t virtio_mmio_read(struct vm *vm, uint64_t offset, unsigned int size);
void virtio_mmio_write(struct vm *vm, uint64_t offset, unsigned int size, uint64_t value);

/* virtio_due - TSC at which virtio_poll() will have work: in the past, the future, or TIME_NEVER.
 */
static inline uint64_t virtio_due(const struct virtio *virtio)
{
	return __atomic_load_n(&virtio->due, __ATOMIC_ACQUIRE);
}

/*
 * virtio_poll - one bounded step of one device's work, if any is due
 * @now: host TSC. Context: the CPU of the VM's first vCPU, no locks held.
 */
void virtio_poll(struct vm *vm, uint64_t now);

/* virtio_report - print what each disk did. Context: no vCPU runs any more. */
void virtio_report(struct vm *vm);

#endif
