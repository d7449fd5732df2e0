/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The split virtqueue: descriptors, the ring of available and the ring of used requests
 * Documents: VIRTIO 1.1 section 2.6.
 */
#include "core/dev/virtio_device.h"
#include "core/errno.h"
#include "core/string.h"
#include "core/vm/vm.h"

#define DESCRIPTOR_SIZE	    16u
#define DESCRIPTOR_NEXT	    BIT(0)
#define DESCRIPTOR_WRITE    BIT(1)
#define DESCRIPTOR_INDIRECT BIT(2) /* VIRTIO_F_INDIRECT_DESC is not offered */

/* Both rings: flags, index, then the entries. */
#define RING_FLAGS	0u
#define RING_INDEX	2u
#define RING_ENTRIES	4u
#define AVAIL_ENTRY	2u /* bytes */
#define USED_ENTRY	8u
#define USED_ENTRY_SIZE 4u /* where the number of bytes written is in an entry */

#define AVAIL_NO_INTERRUPT BIT(0)

/* The rings' alignments, section 2.6 */
#define DESCRIPTORS_ALIGN 16u
#define AVAIL_ALIGN	  2u
#define USED_ALIGN	  4u

struct descriptor {
	uint64_t gpa;
	uint32_t size;
	uint16_t flags, next;
};
_Static_assert(sizeof(struct descriptor) == DESCRIPTOR_SIZE, "VIRTIO 2.6.5");

/*
 * One aligned access each: nothing is torn, and nothing aligned crosses a block. A guest's index is
 * read before what it makes valid, and ours is written after it.
 */
static int load16(const struct vm *vm, gpa_t gpa, uint16_t *value)
{
	const void *at = vm_gpa_to_host(vm, gpa);

	if (!at)
		return -EFAULT;
	*value = __atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE);
	return 0;
}

static int store16(const struct vm *vm, gpa_t gpa, uint16_t value)
{
	void *at = vm_gpa_to_host(vm, gpa);

	if (!at)
		return -EFAULT;
	__atomic_store_n((uint16_t *)at, value, __ATOMIC_RELEASE);
	return 0;
}

static int store32(const struct vm *vm, gpa_t gpa, uint32_t value)
{
	void *at = vm_gpa_to_host(vm, gpa);

	if (!at)
		return -EFAULT;
	__atomic_store_n((uint32_t *)at, value, __ATOMIC_RELAXED);
	return 0;
}

static int load_descriptor(const struct vm *vm, gpa_t gpa, struct descriptor *descriptor)
{
	const void *at = vm_gpa_to_host(vm, gpa);
	uint64_t words[2];

	if (!at)
		return -EFAULT;
	words[0] = __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
	words[1] = __atomic_load_n((const uint64_t *)at + 1, __ATOMIC_RELAXED);
	memcpy(descriptor, words, sizeof(words));
	return 0;
}

/* Whether a ring starts aligned and its first and last byte are RAM; it is shorter than a block. */
static bool ring_is_ram(const struct vm *vm, gpa_t gpa, uint64_t align, uint64_t size)
{
	return IS_ALIGNED(gpa, align) && vm_gpa_to_host(vm, gpa) &&
	       vm_gpa_to_host(vm, gpa + size - 1);
}

int virtio_queue_start(const struct vm *vm, struct virtio_queue *queue)
{
	uint64_t size = queue->size;

	if (size == 0 || size > VIRTIO_QUEUE_MAX || (size & (size - 1)) != 0)
		return -EINVAL;
	if (!ring_is_ram(vm, queue->descriptors, DESCRIPTORS_ALIGN, size * DESCRIPTOR_SIZE) ||
	    !ring_is_ram(vm, queue->avail, AVAIL_ALIGN, RING_ENTRIES + size * AVAIL_ENTRY) ||
	    !ring_is_ram(vm, queue->used, USED_ALIGN, RING_ENTRIES + size * USED_ENTRY))
		return -EINVAL;
	queue->next_avail = 0;
	queue->next_used = 0;
	return 0;
}

static int add_segment(struct virtio_chain *chain, const struct descriptor *descriptor)
{
	bool writable = descriptor->flags & DESCRIPTOR_WRITE;

	if (chain->count == VIRTIO_CHAIN_MAX || descriptor->flags & DESCRIPTOR_INDIRECT)
		return -EINVAL;
	if (!writable && chain->count > chain->readable) /* all readable ones come first */
		return -EINVAL;
	chain->segments[chain->count++] = (struct virtio_segment){.gpa = descriptor->gpa,
								  .size = descriptor->size};
	if (writable) {
		chain->writable_bytes += descriptor->size;
	} else {
		chain->readable_bytes += descriptor->size;
		chain->readable++;
	}
	return 0;
}

/* A chain that bites its tail ends where no more segments fit. */
static int read_chain(const struct vm *vm, const struct virtio_queue *queue, uint16_t head,
		      struct virtio_chain *chain)
{
	struct descriptor descriptor = {.next = head};
	int err;

	chain->head = head;
	chain->count = 0;
	chain->readable = 0;
	chain->readable_bytes = 0;
	chain->writable_bytes = 0;
	do {
		if (descriptor.next >= queue->size)
			return -EINVAL;
		err = load_descriptor(
			vm, queue->descriptors + descriptor.next * (uint64_t)DESCRIPTOR_SIZE,
			&descriptor);
		if (err < 0)
			return err;
		err = add_segment(chain, &descriptor);
		if (err < 0)
			return err;
	} while (descriptor.flags & DESCRIPTOR_NEXT);
	return 1;
}

int virtio_queue_pop(const struct vm *vm, struct virtio_queue *queue, struct virtio_chain *chain)
{
	uint32_t entry = queue->next_avail & (queue->size - 1);
	uint16_t index, head;

	if (load16(vm, queue->avail + RING_INDEX, &index) < 0)
		return -EFAULT;
	if (index == queue->next_avail)
		return 0;
	if ((uint16_t)(index - queue->next_avail) > queue->size)
		return -EINVAL;
	if (load16(vm, queue->avail + RING_ENTRIES + entry * AVAIL_ENTRY, &head) < 0)
		return -EFAULT;
	queue->next_avail++;
	return read_chain(vm, queue, head, chain);
}

int virtio_queue_push(const struct vm *vm, struct virtio_queue *queue, uint16_t head,
		      uint32_t written)
{
	uint32_t entry = queue->next_used & (queue->size - 1);
	gpa_t at = queue->used + RING_ENTRIES + entry * USED_ENTRY;

	if (store32(vm, at, head) < 0 || store32(vm, at + USED_ENTRY_SIZE, written) < 0)
		return -EFAULT;
	return store16(vm, queue->used + RING_INDEX, ++queue->next_used);
}

bool virtio_queue_wants_interrupt(const struct vm *vm, const struct virtio_queue *queue)
{
	uint16_t flags;

	/*
	 * The used index must be out before the flags are read: a driver that sets interrupts on
	 * looks at the index afterwards.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return load16(vm, queue->avail + RING_FLAGS, &flags) == 0 && !(flags & AVAIL_NO_INTERRUPT);
}

struct virtio_cursor virtio_chain_seek(const struct virtio_chain *chain, bool writable,
				       uint64_t offset)
{
	uint32_t segment = writable ? chain->readable : 0;

	while (segment < chain->count && offset >= chain->segments[segment].size)
		offset -= chain->segments[segment++].size;
	return (struct virtio_cursor){.segment = segment, .offset = (uint32_t)offset};
}

/*
 * The next piece of at most @size bytes that lies in one segment and one block. Returns its host
 * address and length and moves the cursor behind it; NULL when the chain ends or it is no RAM.
 */
static uint8_t *next_piece(const struct vm *vm, const struct virtio_chain *chain,
			   struct virtio_cursor *cursor, uint64_t size, size_t *length, int *err)
{
	const struct virtio_segment *segment;
	uint64_t left;
	uint8_t *at;
	gpa_t gpa;

	while (cursor->segment < chain->count &&
	       cursor->offset >= chain->segments[cursor->segment].size)
		*cursor = (struct virtio_cursor){.segment = cursor->segment + 1};
	if (cursor->segment >= chain->count) {
		*err = -EINVAL;
		return NULL;
	}
	segment = &chain->segments[cursor->segment];
	gpa = segment->gpa + cursor->offset;
	at = vm_gpa_to_host(vm, gpa);
	if (!at) {
		*err = -EFAULT;
		return NULL;
	}
	left = segment->size - cursor->offset;
	if (left > size)
		left = size;
	if (left > BLOCK_SIZE - (gpa & (BLOCK_SIZE - 1)))
		left = BLOCK_SIZE - (gpa & (BLOCK_SIZE - 1));
	cursor->offset += (uint32_t)left;
	*length = left;
	return at;
}

int virtio_chain_read(const struct vm *vm, const struct virtio_chain *chain,
		      struct virtio_cursor *cursor, void *buf, size_t size)
{
	uint8_t *to = buf;
	int err = 0;

	while (size) {
		size_t length;
		const uint8_t *from = next_piece(vm, chain, cursor, size, &length, &err);

		if (!from)
			return err;
		memcpy(to, from, length);
		to += length;
		size -= length;
	}
	return 0;
}

int virtio_chain_write(const struct vm *vm, const struct virtio_chain *chain,
		       struct virtio_cursor *cursor, const void *buf, size_t size)
{
	const uint8_t *from = buf;
	int err = 0;

	while (size) {
		size_t length;
		uint8_t *to = next_piece(vm, chain, cursor, size, &length, &err);

		if (!to)
			return err;
		memcpy(to, from, length);
		from += length;
		size -= length;
	}
	return 0;
}
