/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A source of entropy. Documents: VIRTIO 1.1 section 5.4.
 */
#include "arch/x86_64/cpu/platform.h"
#include "core/dev/virtio_device.h"
#include "core/errno.h"
#include "core/time.h"

#define STEP_WORDS 32u /* RDRAND takes up to a microsecond each */

static int rng_step(struct virtio_device *device, uint64_t now, uint64_t *due)
{
	uint64_t words[STEP_WORDS];
	struct virtio_cursor cursor;
	struct virtio_chain chain;
	uint64_t size;
	int err = virtio_queue_pop(device->vm, &device->queue, &chain);

	*due = TIME_NEVER;
	if (err <= 0)
		return err;
	if (chain.writable_bytes == 0)
		return -EINVAL;
	for (unsigned int i = 0; i < STEP_WORDS; i++)
		words[i] = platform_random();
	/* The driver asks again for the rest of what it wants. */
	size = chain.writable_bytes < sizeof(words) ? chain.writable_bytes : sizeof(words);
	cursor = virtio_chain_seek(&chain, true, 0);
	err = virtio_chain_write(device->vm, &chain, &cursor, words, size);
	if (err < 0)
		return err;
	err = virtio_queue_push(device->vm, &device->queue, chain.head, (uint32_t)size);
	if (err < 0)
		return err;
	virtio_notify_driver(device);
	*due = now; /* there may be more requests */
	return 0;
}

static const struct virtio_class rng_class = {
	.id = VIRTIO_ID_RNG,
	.step = rng_step,
};

int virtio_add_rng(struct vm *vm)
{
	struct virtio_device *device;

	return virtio_add_device(vm, &rng_class, 0, &device);
}
