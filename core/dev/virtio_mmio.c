/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of virtio devices, their life from reset to trouble, and their share of time
 * Documents: VIRTIO 1.1 sections 2.1 (status), 3.1 (initialisation), 4.2.2 (MMIO registers).
 */
#include <tidepool/abi.h>

#include "core/dev/virtio_device.h"
#include "core/console.h"
#include "core/dev/ioapic.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/string.h"
#include "core/time.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

_Static_assert(VIRTIO_FIRST_PIN + VIRTIO_SLOTS <= IOAPIC_PINS, "each slot has a pin");
_Static_assert(VM_VIRTIO_BASE + VIRTIO_SLOTS * VIRTIO_SLOT_SIZE <= VM_IOAPIC_BASE,
	       "the slots lie in the hole below 4 GiB");

/* Section 4.2.2 */
#define REG_MAGIC		0x000u
#define REG_VERSION		0x004u
#define REG_DEVICE_ID		0x008u
#define REG_VENDOR_ID		0x00cu
#define REG_DEVICE_FEATURES	0x010u
#define REG_DEVICE_FEATURES_SEL 0x014u
#define REG_DRIVER_FEATURES	0x020u
#define REG_DRIVER_FEATURES_SEL 0x024u
#define REG_QUEUE_SEL		0x030u
#define REG_QUEUE_NUM_MAX	0x034u
#define REG_QUEUE_NUM		0x038u
#define REG_QUEUE_READY		0x044u
#define REG_QUEUE_NOTIFY	0x050u
#define REG_INTERRUPT_STATUS	0x060u
#define REG_INTERRUPT_ACK	0x064u
#define REG_STATUS		0x070u
#define REG_QUEUE_DESC_LOW	0x080u
#define REG_QUEUE_DESC_HIGH	0x084u
#define REG_QUEUE_DRIVER_LOW	0x090u
#define REG_QUEUE_DRIVER_HIGH	0x094u
#define REG_QUEUE_DEVICE_LOW	0x0a0u
#define REG_QUEUE_DEVICE_HIGH	0x0a4u
#define REG_SHM_LENGTH_LOW	0x0b0u
#define REG_SHM_BASE_HIGH	0x0bcu
#define REG_CONFIG_GENERATION	0x0fcu
#define REG_CONFIG		0x100u

#define MAGIC	0x74726976u /* "virt" */
#define VERSION 2u

#define STATUS_DRIVER_OK   BIT(2)
#define STATUS_FEATURES_OK BIT(3)
#define STATUS_NEEDS_RESET BIT(6)
#define STATUS_DRIVER	   0x8fu /* the bits that a driver sets, FAILED included */

#define INTERRUPT_QUEUE	 BIT(0)
#define INTERRUPT_CONFIG BIT(1)

#define FEATURE_VERSION_1 BIT(32)

/* ---- a device ------------------------------------------------------------------------------- */

/* The line follows the interrupt status: level-triggered. Context: virtio lock held. */
static void update_line(struct virtio_device *device)
{
	struct vm *vm = device->vm;

	spin_lock(&vm->lock);
	ioapic_set_line(vm, VIRTIO_FIRST_PIN + device->slot, device->interrupt_status != 0);
	spin_unlock(&vm->lock);
}

static void raise(struct virtio_device *device, uint64_t reason)
{
	device->interrupt_status |= (uint32_t)reason;
	update_line(device);
}

void virtio_notify_driver(struct virtio_device *device)
{
	if (virtio_queue_wants_interrupt(device->vm, &device->queue))
		raise(device, INTERRUPT_QUEUE);
}

static void forget_requests(struct virtio_device *device)
{
	device->queue.ready = false;
	device->due = TIME_NEVER;
	if (device->class->reset)
		device->class->reset(device);
}

static void reset(struct virtio_device *device)
{
	forget_requests(device);
	device->queue = (struct virtio_queue){0};
	device->driver_features = 0;
	device->device_features_sel = 0;
	device->driver_features_sel = 0;
	device->queue_sel = 0;
	device->status = 0;
	device->interrupt_status = 0;
	update_line(device);
}

/* The driver broke the rules of the queue: nothing more is done until it resets the device. */
static void stop(struct virtio_device *device)
{
	if (!device->complained) /* once: a guest must not fill the console */
		printk("tidepool: guest %s: virtio device %u stopped: malformed request queue\n",
		       device->vm->name, device->slot);
	device->complained = true;
	forget_requests(device);
	device->status |= (uint32_t)STATUS_NEEDS_RESET;
	if (device->status & STATUS_DRIVER_OK)
		raise(device, INTERRUPT_CONFIG);
}

/* ---- registers ------------------------------------------------------------------------------ */

static uint32_t half(uint64_t value, uint32_t select)
{
	if (select > 1)
		return 0;
	return (uint32_t)(select ? value >> 32 : value);
}

static void set_half(uint64_t *value, uint32_t select, uint32_t bits)
{
	if (select == 0)
		*value = (*value & ~(uint64_t)UINT32_MAX) | bits;
	else if (select == 1)
		*value = (*value & UINT32_MAX) | (uint64_t)bits << 32;
}

static uint32_t read_register(const struct virtio_device *device, uint32_t reg)
{
	switch (reg) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return VERSION;
	case REG_DEVICE_ID:
		return device->class->id;
	case REG_VENDOR_ID:
		return TIDEPOOL_VIRTIO_VENDOR;
	case REG_DEVICE_FEATURES:
		return half(device->features, device->device_features_sel);
	case REG_QUEUE_NUM_MAX:
		return device->queue_sel == 0 ? VIRTIO_QUEUE_MAX : 0;
	case REG_QUEUE_READY:
		return device->queue_sel == 0 && device->queue.ready;
	case REG_INTERRUPT_STATUS:
		return device->interrupt_status;
	case REG_STATUS:
		return device->status;
	case REG_SHM_LENGTH_LOW ... REG_SHM_BASE_HIGH:
		return UINT32_MAX;  /* there is no shared memory */
	case REG_CONFIG_GENERATION: /* the configuration never changes */
	default:
		return 0;
	}
}

/* A driver that accepts what was not offered, or that is older than 1.0, finds FEATURES_OK clear.
 */
static bool features_agree(const struct virtio_device *device)
{
	return !(device->driver_features & ~device->features) &&
	       (device->driver_features & FEATURE_VERSION_1);
}

static void write_status(struct virtio_device *device, uint32_t value)
{
	uint32_t set = value & STATUS_DRIVER & ~device->status;

	if (value == 0) {
		reset(device);
		return;
	}
	if ((set & STATUS_FEATURES_OK) && !features_agree(device))
		set &= ~(uint32_t)STATUS_FEATURES_OK;
	device->status |= set; /* a driver only ever sets bits */
}

static void write_queue_ready(struct virtio_device *device, uint32_t value)
{
	if (!(value & 1)) {
		forget_requests(device);
		return;
	}
	if (device->queue.ready || device->status & STATUS_NEEDS_RESET)
		return;
	if (virtio_queue_start(device->vm, &device->queue) < 0) {
		stop(device);
		return;
	}
	device->queue.ready = true;
}

/* Context: virtio lock held. */
static void work_is_due(struct virtio_device *device, uint64_t due)
{
	struct virtio *virtio = &device->vm->virtio;

	device->due = due;
	if (due < virtio->due)
		__atomic_store_n(&virtio->due, due, __ATOMIC_RELEASE);
}

static void write_notify(struct virtio_device *device, uint32_t queue)
{
	if (queue != 0 || !device->queue.ready || !(device->status & STATUS_DRIVER_OK))
		return;
	work_is_due(device, 0);
	vcpu_kick(device->vm->vcpus[0]); /* its CPU does the work */
}

static void write_queue_register(struct virtio_device *device, uint32_t reg, uint32_t value)
{
	struct virtio_queue *queue = &device->queue;

	if (device->queue_sel != 0)
		return;
	if (reg == REG_QUEUE_READY) {
		write_queue_ready(device, value);
		return;
	}
	if (queue->ready) /* a queue in use stays where it is */
		return;
	switch (reg) {
	case REG_QUEUE_NUM:
		queue->size = value;
		break;
	case REG_QUEUE_DESC_LOW:
	case REG_QUEUE_DESC_HIGH:
		set_half(&queue->descriptors, reg == REG_QUEUE_DESC_HIGH, value);
		break;
	case REG_QUEUE_DRIVER_LOW:
	case REG_QUEUE_DRIVER_HIGH:
		set_half(&queue->avail, reg == REG_QUEUE_DRIVER_HIGH, value);
		break;
	case REG_QUEUE_DEVICE_LOW:
	case REG_QUEUE_DEVICE_HIGH:
		set_half(&queue->used, reg == REG_QUEUE_DEVICE_HIGH, value);
		break;
	}
}

static void write_register(struct virtio_device *device, uint32_t reg, uint32_t value)
{
	switch (reg) {
	case REG_DEVICE_FEATURES_SEL:
		device->device_features_sel = value;
		break;
	case REG_DRIVER_FEATURES:
		if (!(device->status & STATUS_FEATURES_OK))
			set_half(&device->driver_features, device->driver_features_sel, value);
		break;
	case REG_DRIVER_FEATURES_SEL:
		device->driver_features_sel = value;
		break;
	case REG_QUEUE_SEL:
		device->queue_sel = value;
		break;
	case REG_QUEUE_NOTIFY:
		write_notify(device, value);
		break;
	case REG_INTERRUPT_ACK:
		device->interrupt_status &= ~value;
		update_line(device);
		break;
	case REG_STATUS:
		write_status(device, value);
		break;
	default:
		write_queue_register(device, reg, value);
	}
}

static uint64_t read_field(const void *from, uint32_t length, uint32_t offset, unsigned int size)
{
	uint64_t value = 0;

	if (offset >= length || size > length - offset)
		return 0;
	memcpy(&value, (const uint8_t *)from + offset, size);
	return value;
}

static uint64_t read_config(const struct virtio_device *device, uint32_t offset, unsigned int size)
{
	if (offset >= TIDEPOOL_DISK_IMAGE)
		return read_field(&device->image, sizeof(device->image),
				  offset - TIDEPOOL_DISK_IMAGE, size);
	return read_field(device->config, device->config_size, offset, size);
}

/* What an empty slot answers: the specification's placeholder, a device without an id. */
static uint32_t read_placeholder(uint32_t reg)
{
	return reg == REG_MAGIC ? MAGIC : reg == REG_VERSION ? VERSION : 0;
}

/* Masked: behind a mispredicted comparison the index must not leave the table either. */
static struct virtio_device *device_at(const struct virtio *virtio, uint64_t offset)
{
	return virtio->slots[offset / VIRTIO_SLOT_SIZE % VIRTIO_SLOTS];
}
_Static_assert((VIRTIO_SLOTS & (VIRTIO_SLOTS - 1)) == 0, "the remainder is a mask");

uint64_t virtio_mmio_read(struct vm *vm, uint64_t offset, unsigned int size)
{
	struct virtio *virtio = &vm->virtio;
	struct virtio_device *device = device_at(virtio, offset);
	uint32_t reg = (uint32_t)(offset % VIRTIO_SLOT_SIZE);
	uint64_t value = 0;

	if (!IS_ALIGNED(reg, size) || (reg < REG_CONFIG && size != sizeof(uint32_t)))
		return 0;
	if (!device)
		return read_placeholder(reg);
	spin_lock(&virtio->lock);
	value = reg < REG_CONFIG ? read_register(device, reg)
				 : read_config(device, reg - REG_CONFIG, size);
	spin_unlock(&virtio->lock);
	return value;
}

void virtio_mmio_write(struct vm *vm, uint64_t offset, unsigned int size, uint64_t value)
{
	struct virtio *virtio = &vm->virtio;
	struct virtio_device *device = device_at(virtio, offset);
	uint32_t reg = (uint32_t)(offset % VIRTIO_SLOT_SIZE);

	/* No device has configuration that a driver may write. */
	if (!device || reg >= REG_CONFIG || size != sizeof(uint32_t) || !IS_ALIGNED(reg, size))
		return;
	spin_lock(&virtio->lock);
	write_register(device, reg, (uint32_t)value);
	spin_unlock(&virtio->lock);
}

/* ---- all devices of a guest ----------------------------------------------------------------- */

/* Lets one device work that has something to do; the slots take turns. */
static void serve_one(struct virtio *virtio, uint64_t now)
{
	for (uint32_t i = 0; i < VIRTIO_SLOTS; i++) {
		uint32_t slot = (virtio->turn + i) % VIRTIO_SLOTS;
		struct virtio_device *device = virtio->slots[slot];

		if (!device || device->due > now)
			continue;
		virtio->turn = slot + 1;
		if (device->class->step(device, now, &device->due) < 0)
			stop(device);
		return;
	}
}

void virtio_poll(struct vm *vm, uint64_t now)
{
	struct virtio *virtio = &vm->virtio;
	uint64_t due = TIME_NEVER;

	if (virtio_due(virtio) > now)
		return;
	spin_lock(&virtio->lock);
	serve_one(virtio, now);
	for (uint32_t i = 0; i < VIRTIO_SLOTS; i++)
		if (virtio->slots[i] && virtio->slots[i]->due < due)
			due = virtio->slots[i]->due;
	__atomic_store_n(&virtio->due, due, __ATOMIC_RELEASE);
	spin_unlock(&virtio->lock);
}

int virtio_add_device(struct vm *vm, const struct virtio_class *class, uint64_t features,
		      struct virtio_device **device)
{
	unsigned int slot = 0;

	while (slot < VIRTIO_SLOTS && vm->virtio.slots[slot])
		slot++;
	if (slot == VIRTIO_SLOTS)
		return -ENOSPC;
	*device = frame_alloc();
	if (!*device)
		return -ENOMEM;
	(*device)->class = class;
	(*device)->vm = vm;
	(*device)->slot = slot;
	(*device)->features = features | FEATURE_VERSION_1;
	(*device)->due = TIME_NEVER;
	vm->virtio.slots[slot] = *device;
	return 0;
}

void virtio_init(struct vm *vm)
{
	vm->virtio = (struct virtio){.due = TIME_NEVER};
}

void virtio_destroy(struct vm *vm)
{
	for (unsigned int i = 0; i < VIRTIO_SLOTS; i++)
		if (vm->virtio.slots[i])
			frame_free(vm->virtio.slots[i]);
	virtio_init(vm);
}

void virtio_report(struct vm *vm)
{
	for (unsigned int i = 0; i < VIRTIO_SLOTS; i++) {
		struct virtio_device *device = vm->virtio.slots[i];

		if (device && device->class->report)
			device->class->report(device);
	}
}
