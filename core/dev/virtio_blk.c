/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk: sectors in the host's RAM
 *
 * A request is carried out in pieces of a bounded size; when it is done it waits among the finished
 * ones until its delay is over. Documents: VIRTIO 1.1 section 5.2.
 */
#include "core/console.h"
#include "core/dev/virtio_device.h"
#include "core/errno.h"
#include "core/string.h"
#include "core/time.h"
#include "core/vm/vm.h"

#define SECTOR_SIZE 512u

/*
 * What one step may do: bytes copied or cleared. Each request counts for some as well: its 32
 * descriptors, which may miss every cache, take about as long.
 */
#define STEP_BYTES    (32 * KIB)
#define REQUEST_BYTES (2 * KIB)

/* What a driver should put in a request; fits VIRTIO_CHAIN_MAX with header and status. */
#define SEGMENTS_MAX	   (VIRTIO_CHAIN_MAX - 2)
#define SEGMENT_BYTES_MAX  MIB
#define CLEAR_SECTORS_MAX  (16 * MIB / SECTOR_SIZE)
#define PHYSICAL_BLOCK_EXP 3 /* 4 KiB, the guest's page */
#define SECTORS_PER_BLOCK  (1u << PHYSICAL_BLOCK_EXP)

#define FEATURE_SIZE_MAX     BIT(1)
#define FEATURE_SEG_MAX	     BIT(2)
#define FEATURE_RO	     BIT(5)
#define FEATURE_BLK_SIZE     BIT(6)
#define FEATURE_FLUSH	     BIT(9)
#define FEATURE_TOPOLOGY     BIT(10)
#define FEATURE_DISCARD	     BIT(13)
#define FEATURE_WRITE_ZEROES BIT(14)

enum {
	REQUEST_IN = 0,
	REQUEST_OUT = 1,
	REQUEST_FLUSH = 4,
	REQUEST_GET_ID = 8,
	REQUEST_DISCARD = 11,
	REQUEST_WRITE_ZEROES = 13,
};

enum { STATUS_OK = 0, STATUS_IOERR = 1, STATUS_UNSUPP = 2 };

struct request_header {
	uint32_t type, reserved;
	uint64_t sector;
};
_Static_assert(sizeof(struct request_header) == 16, "VIRTIO 5.2.6");

/* The range of a discard or write-zeroes request */
struct request_range {
	uint64_t sector;
	uint32_t count;
	uint32_t flags;
};
_Static_assert(sizeof(struct request_range) == 16, "VIRTIO 5.2.6");

#define RANGE_UNMAP BIT(0) /* write-zeroes: the sectors may be given up as well */

/* Whether @bytes from @sector on lie on the disk; then they are what is to be done. */
static bool set_range(struct virtio_blk *blk, uint64_t sector, uint64_t bytes)
{
	if (sector > blk->size / SECTOR_SIZE || bytes > blk->size - sector * SECTOR_SIZE ||
	    bytes % SECTOR_SIZE != 0)
		return false;
	blk->position = sector * SECTOR_SIZE;
	blk->left = bytes;
	return true;
}

static uint8_t start_transfer(struct virtio_blk *blk, const struct request_header *header)
{
	bool in = header->type == REQUEST_IN;
	uint64_t bytes = in ? blk->chain.writable_bytes - 1
			    : blk->chain.readable_bytes - sizeof(*header);

	if (!in && blk->read_only)
		return STATUS_IOERR;
	blk->cursor = virtio_chain_seek(&blk->chain, in, in ? 0 : sizeof(*header));
	return set_range(blk, header->sector, bytes) ? STATUS_OK : STATUS_IOERR;
}

/* Discarding may leave the old contents, and does. */
static int start_range(struct virtio_device *device, uint32_t type, uint8_t *status)
{
	struct virtio_blk *blk = &device->blk;
	struct virtio_cursor cursor = virtio_chain_seek(&blk->chain, false,
							sizeof(struct request_header));
	struct request_range range;
	int err;

	*status = STATUS_UNSUPP;
	if (blk->read_only)
		return 0;
	*status = STATUS_IOERR;
	if (blk->chain.readable_bytes != sizeof(struct request_header) + sizeof(range))
		return 0; /* one range, as the configuration says */
	err = virtio_chain_read(device->vm, &blk->chain, &cursor, &range, sizeof(range));
	if (err < 0)
		return err;
	if (range.flags & ~(type == REQUEST_WRITE_ZEROES ? RANGE_UNMAP : 0)) {
		*status = STATUS_UNSUPP;
		return 0;
	}
	if (range.count > CLEAR_SECTORS_MAX ||
	    !set_range(blk, range.sector, (uint64_t)range.count * SECTOR_SIZE))
		return 0;
	if (type == REQUEST_DISCARD)
		blk->left = 0;
	*status = STATUS_OK;
	return 0;
}

static int read_id(struct virtio_device *device)
{
	struct virtio_blk *blk = &device->blk;
	struct virtio_cursor cursor = virtio_chain_seek(&blk->chain, true, 0);
	uint64_t room = blk->chain.writable_bytes - 1;

	blk->written = room < sizeof(blk->id) ? (uint32_t)room : sizeof(blk->id);
	return virtio_chain_write(device->vm, &blk->chain, &cursor, blk->id, blk->written);
}

/*
 * Takes the next request. Returns 1 with blk->active set, 0 when there is none, or a negative error
 * when the queue is malformed.
 */
static int start_request(struct virtio_device *device)
{
	struct virtio_blk *blk = &device->blk;
	struct virtio_cursor cursor = {0};
	struct request_header header;
	int err = virtio_queue_pop(device->vm, &device->queue, &blk->chain);

	if (err <= 0)
		return err;
	if (blk->chain.readable_bytes < sizeof(header) || blk->chain.writable_bytes < 1 ||
	    blk->finished_count >= device->queue.size) /* more requests than there are entries */
		return -EINVAL;
	err = virtio_chain_read(device->vm, &blk->chain, &cursor, &header, sizeof(header));
	if (err < 0)
		return err;

	blk->active = true;
	blk->type = header.type;
	blk->left = 0;
	blk->written = 0;
	blk->requests++;
	switch (header.type) {
	case REQUEST_IN:
	case REQUEST_OUT:
		blk->status = start_transfer(blk, &header);
		break;
	case REQUEST_DISCARD:
	case REQUEST_WRITE_ZEROES:
		err = start_range(device, header.type, &blk->status);
		break;
	case REQUEST_GET_ID:
		blk->status = STATUS_OK;
		err = read_id(device);
		break;
	case REQUEST_FLUSH: /* what was written is as safe as it gets */
		blk->status = STATUS_OK;
		break;
	default:
		blk->status = STATUS_UNSUPP;
	}
	return err < 0 ? err : 1;
}

/* Does up to @size bytes, whole sectors, of the request at work. */
static int do_piece(struct virtio_device *device, uint64_t size)
{
	struct virtio_blk *blk = &device->blk;
	uint8_t *data = blk->data + blk->position;
	int err = 0;

	switch (blk->type) {
	case REQUEST_IN:
		err = virtio_chain_write(device->vm, &blk->chain, &blk->cursor, data, size);
		blk->written += (uint32_t)size;
		blk->sectors_read += size / SECTOR_SIZE;
		break;
	case REQUEST_OUT:
		err = virtio_chain_read(device->vm, &blk->chain, &blk->cursor, data, size);
		blk->sectors_written += size / SECTOR_SIZE;
		break;
	case REQUEST_WRITE_ZEROES:
		memset(data, 0, size);
		blk->sectors_written += size / SECTOR_SIZE;
		break;
	}
	blk->position += size;
	blk->left -= size;
	return err;
}

/* Writes the status, the last byte of the request, and lets it wait for its time. */
static int finish_request(struct virtio_device *device, uint64_t now)
{
	struct virtio_blk *blk = &device->blk;
	struct virtio_cursor cursor = virtio_chain_seek(&blk->chain, true,
							blk->chain.writable_bytes - 1);
	uint32_t last = (blk->finished_first + blk->finished_count) % VIRTIO_QUEUE_MAX;

	blk->active = false;
	blk->finished[last] = (struct virtio_blk_finished){
		.due = now + blk->delay,
		.written = blk->written + 1,
		.head = blk->chain.head,
	};
	blk->finished_count++;
	return virtio_chain_write(device->vm, &blk->chain, &cursor, &blk->status, 1);
}

/* Gives back what has waited long enough. */
static int deliver(struct virtio_device *device, uint64_t now)
{
	struct virtio_blk *blk = &device->blk;
	uint32_t count = 0;

	while (blk->finished_count && blk->finished[blk->finished_first].due <= now) {
		const struct virtio_blk_finished *finished = &blk->finished[blk->finished_first];

		if (virtio_queue_push(device->vm, &device->queue, finished->head,
				      finished->written) < 0)
			return -EFAULT;
		blk->finished_first = (blk->finished_first + 1) % VIRTIO_QUEUE_MAX;
		blk->finished_count--;
		count++;
	}
	if (count)
		virtio_notify_driver(device);
	return 0;
}

static int blk_step(struct virtio_device *device, uint64_t now, uint64_t *due)
{
	struct virtio_blk *blk = &device->blk;
	uint64_t budget = STEP_BYTES;
	int err = 1;

	while (budget >= REQUEST_BYTES) {
		uint64_t size;

		if (!blk->active) {
			err = start_request(device);
			if (err <= 0)
				break;
			budget -= REQUEST_BYTES;
		}
		size = blk->left < budget ? blk->left : ALIGN_DOWN(budget, SECTOR_SIZE);
		err = do_piece(device, size);
		if (err < 0)
			break;
		budget -= size;
		if (blk->left == 0) {
			err = finish_request(device, now);
			if (err < 0)
				break;
		}
		err = 1;
	}
	if (err < 0)
		return err;
	if (deliver(device, now) < 0)
		return -EFAULT;
	if (err > 0)
		*due = now; /* the budget ended before the work */
	else
		*due = blk->finished_count ? blk->finished[blk->finished_first].due : TIME_NEVER;
	return 0;
}

static void blk_reset(struct virtio_device *device)
{
	struct virtio_blk *blk = &device->blk;

	blk->active = false;
	blk->finished_first = 0;
	blk->finished_count = 0;
}

static void blk_report(struct virtio_device *device)
{
	const struct virtio_blk *blk = &device->blk;

	printk("tidepool: guest %s: disk %s requests=%llu sectors read=%llu written=%llu\n",
	       device->vm->name, blk->id, (unsigned long long)blk->requests,
	       (unsigned long long)blk->sectors_read, (unsigned long long)blk->sectors_written);
}

static const struct virtio_class blk_class = {
	.id = VIRTIO_ID_BLK,
	.step = blk_step,
	.reset = blk_reset,
	.report = blk_report,
};

int virtio_add_disk(struct vm *vm, const struct disk_config *config, uint8_t *data, uint64_t size)
{
	uint64_t features = FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_BLK_SIZE |
			    FEATURE_TOPOLOGY | FEATURE_FLUSH;
	struct virtio_device *device;
	int err;

	features |= config->read_only ? FEATURE_RO : FEATURE_DISCARD | FEATURE_WRITE_ZEROES;
	err = virtio_add_device(vm, &blk_class, features, &device);
	if (err < 0)
		return err;
	device->blk.data = data;
	device->blk.size = ALIGN_DOWN(size, SECTOR_SIZE);
	device->blk.read_only = config->read_only;
	device->blk.delay = time_ns_to_ticks(config->delay_ns);
	format(device->blk.id, sizeof(device->blk.id), "%s-%u", vm->name, device->slot);
	device->blk.config = (struct virtio_blk_config){
		.capacity = size / SECTOR_SIZE,
		.size_max = SEGMENT_BYTES_MAX,
		.seg_max = SEGMENTS_MAX,
		.blk_size = SECTOR_SIZE,
		.physical_block_exp = PHYSICAL_BLOCK_EXP,
		.max_discard_sectors = CLEAR_SECTORS_MAX,
		.max_discard_seg = 1,
		.discard_sector_alignment = SECTORS_PER_BLOCK,
		.max_write_zeroes_sectors = CLEAR_SECTORS_MAX,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};
	device->image = config->image;
	device->config = &device->blk.config;
	device->config_size = offsetof(struct virtio_blk_config, unused1);
	return 0;
}
