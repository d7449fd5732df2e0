/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the virtio devices: what the registers (virtio_mmio.c), the queue (virtio_queue.c) and the
 * classes of devices (virtio_blk.c, virtio_rng.c) share
 *
 * The queue lies in guest memory, and the guest may change it at any moment: each field is read
 * once, checked, and only the copy is used.
 */
#ifndef CORE_DEV_VIRTIO_DEVICE_H
#define CORE_DEV_VIRTIO_DEVICE_H

#include "core/dev/virtio.h"
#include "core/types.h"

#define VIRTIO_QUEUE_MAX 128u /* entries */
#define VIRTIO_CHAIN_MAX 32u  /* descriptors of one request */

/* ---- the queue ------------------------------------------------------------------------------ */

struct virtio_queue {
	uint32_t size; /* entries: a power of two; as the driver wrote it while not ready */
	bool ready;
	gpa_t descriptors, avail, used;
	uint16_t next_avail, next_used; /* free-running, as the indices in the rings */
};

struct virtio_segment {
	gpa_t gpa;
	uint32_t size;
};

/* A request: what the device may read, then what it may write. */
struct virtio_chain {
	uint16_t head;
	uint32_t count;
	uint32_t readable; /* segments for the device to read; the others are to be written */
	uint64_t readable_bytes, writable_bytes;
	struct virtio_segment segments[VIRTIO_CHAIN_MAX];
};

/* A position inside a chain. */
struct virtio_cursor {
	uint32_t segment, offset;
};

/*
 * virtio_queue_start - check size and addresses and begin at the rings' start
 * Returns 0 or -EINVAL.
 */
int virtio_queue_start(const struct vm *vm, struct virtio_queue *queue);

/*
 * virtio_queue_pop - take the next request off the available ring
 * Returns 1 with *chain filled, 0 (there is none), -EINVAL or -EFAULT (a malformed ring or chain).
 * That its segments are RAM is found out when they are copied.
 */
int virtio_queue_pop(const struct vm *vm, struct virtio_queue *queue, struct virtio_chain *chain);

/*
 * virtio_queue_push - give a request back
 * @written: bytes of it that were written. Returns 0 or -EFAULT.
 */
int virtio_queue_push(const struct vm *vm, struct virtio_queue *queue, uint16_t head,
		      uint32_t written);

/* virtio_queue_wants_interrupt - whether the driver wants to hear of what was pushed. */
bool virtio_queue_wants_interrupt(const struct vm *vm, const struct virtio_queue *queue);

/* virtio_chain_seek - the position @offset bytes into the readable or writable part. */
struct virtio_cursor virtio_chain_seek(const struct virtio_chain *chain, bool writable,
				       uint64_t offset);

/*
 * virtio_chain_read, virtio_chain_write - copy from the guest, to the guest, and move the cursor
 * Return 0, -EINVAL (the chain is too short) or -EFAULT (a byte that is no RAM); then an
 * unspecified part was copied.
 */
int virtio_chain_read(const struct vm *vm, const struct virtio_chain *chain,
		      struct virtio_cursor *cursor, void *buf, size_t size);
int virtio_chain_write(const struct vm *vm, const struct virtio_chain *chain,
		       struct virtio_cursor *cursor, const void *buf, size_t size);

/* ---- classes -------------------------------------------------------------------------------- */

#define VIRTIO_ID_BLK 2u
#define VIRTIO_ID_RNG 4u

struct virtio_class {
	uint32_t id;
	/*
	 * step - bounded work on the queue
	 * *due: when to be called again; TIME_NEVER: when the driver notifies.
	 * Returns 0 or, for a malformed queue, a negative error: then the device stops.
	 */
	int (*step)(struct virtio_device *device, uint64_t now, uint64_t *due);
	void (*reset)(struct virtio_device *device);  /* forget requests; NULL: nothing to do */
	void (*report)(struct virtio_device *device); /* NULL: nothing to say */
};

/* Section 5.2.4, little-endian as the processor */
struct virtio_blk_config {
	uint64_t capacity; /* sectors */
	uint32_t size_max, seg_max;
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint32_t blk_size;
	uint8_t physical_block_exp, alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback, unused;
	uint16_t num_queues;
	uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
	uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
};
_Static_assert(offsetof(struct virtio_blk_config, blk_size) == 20, "VIRTIO 5.2.4");
_Static_assert(offsetof(struct virtio_blk_config, max_discard_sectors) == 36, "VIRTIO 5.2.4");
_Static_assert(sizeof(struct virtio_blk_config) == 60 + 4, "VIRTIO 5.2.4, rounded up to 8");

#define VIRTIO_BLK_ID_SIZE 20u

/* A request that is done, but that the driver is not told of before its time. */
struct virtio_blk_finished {
	uint64_t due; /* TSC */
	uint32_t written;
	uint16_t head;
};

struct virtio_blk {
	uint8_t *data;
	uint64_t size; /* bytes, whole sectors */
	bool read_only;
	uint64_t delay; /* TSC ticks */
	char id[VIRTIO_BLK_ID_SIZE];
	struct virtio_blk_config config;

	/* The request at work */
	bool active;
	uint32_t type;
	uint8_t status;
	uint64_t position, left; /* bytes: where in data, and how many are still to be done */
	uint32_t written;	 /* bytes of the guest's */
	struct virtio_cursor cursor;
	struct virtio_chain chain;

	/* A ring: the delay is the same for all, so they fall due in order */
	struct virtio_blk_finished finished[VIRTIO_QUEUE_MAX];
	uint32_t finished_first, finished_count;

	uint64_t requests, sectors_read, sectors_written;
};

/* One frame. Everything is protected by vm->virtio.lock. */
struct virtio_device {
	const struct virtio_class *class;
	struct vm *vm;
	uint32_t slot;
	uint64_t features; /* offered */
	const void *config;
	uint32_t config_size;
	uint64_t image; /* of a disk: TIDEPOOL_DISK_IMAGE */

	uint64_t driver_features; /* accepted */
	uint32_t device_features_sel, driver_features_sel;
	uint32_t status, interrupt_status;
	uint32_t queue_sel;
	struct virtio_queue queue; /* the only one, number 0 */
	uint64_t due;		   /* TSC at which step() is to be called */
	bool complained;	   /* that it was stopped was said once */

	struct virtio_blk blk; /* VIRTIO_ID_BLK */
};
_Static_assert(sizeof(struct virtio_device) <= PAGE_SIZE, "one frame");

/* virtio_add_device - a device in the next free slot, in *device. 0, -ENOSPC or -ENOMEM. */
int virtio_add_device(struct vm *vm, const struct virtio_class *class, uint64_t features,
		      struct virtio_device **device);

/* virtio_notify_driver - interrupt: requests have come back, if the driver wants to hear of it. */
void virtio_notify_driver(struct virtio_device *device);

#endif
