/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest: its memory, vCPUs, devices, and its account in the store
 */
#ifndef CORE_VM_VM_H
#define CORE_VM_VM_H

#include "arch/x86_64/virt.h"
#include "core/config.h"
#include "core/dev/ioapic.h"
#include "core/dev/power.h"
#include "core/dev/uart.h"
#include "core/dev/virtio.h"
#include "core/nodes.h"
#include "core/spinlock.h"
#include "core/types.h"
#include "core/vm/balloon.h"
#include "tmem/tmem.h"

struct session;
struct vcpu;

/* Guest-physical layout: RAM from 0, a hole for devices below 4 GiB, the rest of the RAM above. */
#define VM_HOLE_BASE   0xc0000000ull
#define VM_HOLE_END    0x100000000ull
#define VM_VIRTIO_BASE 0xd0000000ull /* as core/vm/dsdt.asl says; VIRTIO_SLOTS pages */
#define VM_IOAPIC_BASE 0xfec00000ull
#define VM_LAPIC_BASE  0xfee00000ull
#define VM_ACPI_BASE   0xe0000ull /* RSDP and tables, inside the PC's reserved ROM area */
#define VM_ACPI_SIZE   0x10000ull
#define VM_LOW_RAM_END 0x9fc00ull /* what the memory map calls RAM below 1 MiB */
#define VM_HIGH_RAM    0x100000ull

/* In the order of a guest's life; from VM_STOPPED it can start again. */
enum vm_status {
	VM_EMPTY,    /* the slot is free */
	VM_STARTING, /* is being built, or waits for that */
	VM_RUNNING,
	VM_PAUSED,   /* as running, but no vCPU of it is chosen to run */
	VM_STOPPING, /* its vCPUs are leaving */
	VM_DYING,    /* nobody runs it; its memory is being returned */
	VM_STOPPED,  /* holds nothing but its name and figures */
};

/* Why a guest ends: decides, with on_reset= and on_crash=, whether it starts again. */
enum vm_end {
	VM_END_OFF,	/* it switched itself off, or the operator did */
	VM_END_RESET,	/* it asked for a reset */
	VM_END_CRASH,	/* it did something that it cannot go on from */
	VM_END_RESTART, /* the operator wants it to start anew, whatever its configuration says */
};

/* What a guest has done since its last start. */
struct vm_figures {
	struct tmem_stats tmem;
	uint64_t hypercalls; /* served on the fast path */
	uint64_t exits[EXIT_KIND_COUNT];
	uint64_t run_ticks; /* TSC ticks that its vCPUs ran */
};

struct vm {
	uint32_t id;
	enum vm_status status; /* written with the lock held; read without by the scheduler */
	char name[CONFIG_NAME_MAX];
	const struct guest_config *config;
	struct spinlock
		lock; /* status, device state below; the scheduler's lock may be taken under it */

	uint64_t memory;      /* bytes of RAM */
	uint64_t block_count; /* RAM in 2 MiB blocks */
	uint8_t **blocks;     /* atomic: direct-map address of each, in order of guest RAM */
	uint64_t block_mask;  /* entries that the table has room for, minus 1; the rest are NULL */
	uint64_t nested_root; /* the backend's: physical address of the nested page table */
	uint64_t boot_tsc;    /* host TSC that the guests' TSC 0 stands for */

	uint32_t vcpu_count;
	uint32_t vcpus_active; /* those that still may run; the last one out takes the VM down */
	struct vcpu *vcpus[CONFIG_MAX_VCPUS];

	struct ioapic ioapic;
	struct uart uart;
	struct power power;
	struct virtio virtio;

	struct tmem_client *tmem;
	struct session *session; /* core/vm/session.c; under the lock while the guest is up */
	uint64_t blocks_taken;	 /* by vm_create_step() so far */
	uint64_t blocks_freed;	 /* by vm_destroy_step() so far: entries of the table looked at */
	uint64_t blocks_held;	 /* atomic: those that the host has given it at the moment */
	uint64_t node_blocks[NODES_MAX]; /* atomic: of these, those of each node */
	uint32_t node;			 /* that its RAM is taken from, if there is enough */
	struct balloon balloon;

	/* Its life cycle: core/vm/life.c. Under the lock, but for next_work. */
	bool wanted;		/* when it is down it is to start; while it starts: go on */
	uint64_t start_due;	/* TSC; not to be started before */
	uint64_t started;	/* TSC of its last start */
	uint32_t starts;	/* how often it has started */
	char stop_reason[80];	/* of its last end */
	struct vm_figures last; /* of the life that its last end closed */
	struct vm *next_work;	/* on the list of the CPU that builds it, or takes it apart */
};

/* One for each guest of the configuration; entries at and above vm_count are VM_EMPTY. */
extern struct vm vms[CONFIG_MAX_GUESTS];
extern uint32_t vm_count;

/*
 * core/vm/life.c: how guests come and go
 */

/*
 * vm_register - make a guest known, stopped, so that it can be started any number of times
 * @config: kept, not copied. Context: boot CPU, before sched_start().
 */
struct vm *vm_register(const struct guest_config *config);

/*
 * vm_start - have a stopped guest built and run
 *
 * Returns 0 or -EBUSY (it is not stopped). After 0 the caller gives it to sched_add_work(), or, at
 * boot, calls vm_work() itself until that is done. Context: any CPU.
 */
int vm_start(struct vm *vm);

/*
 * vm_work - one bounded step of building a guest, or of taking it apart
 *
 * Returns true when that is done: the guest runs, or is stopped. A sentence on the console says
 * why a guest could not be started. Context: the CPU that has the guest on its list, no vCPU
 * loaded on it; vm_work_due() has come.
 */
bool vm_work(struct vm *vm);

/* vm_work_due - TSC of the moment when vm_work() may be called; 0: at once. Context: as there. */
uint64_t vm_work_due(const struct vm *vm);

/*
 * vm_stop - end a running guest, from anywhere
 * @fmt: printf format of what happened; "power-off", "triple fault at ..."
 *
 * Only marks it and kicks its vCPUs; the first end counts. Context: any, vm->lock not held.
 */
void vm_stop(struct vm *vm, enum vm_end end, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * vm_shut_down - the operator's stop: as if the power went off; also ends a restart under way
 * vm_reset     - the operator's reset: stop and start anew
 * vm_pause     - keep its vCPUs from running; its clocks go on
 * vm_resume    - the reverse
 * vm_freeze    - let its pages in the store only become fewer, as tmem_client_freeze() does
 * vm_thaw      - the reverse
 * vm_evict     - drop some of its ephemeral pages in the store, @count at most; returns how many
 * vm_nmi       - an NMI to its first vCPU, as by a button on the machine
 *
 * Each returns 0 or what is said above, or -EINVAL when the guest is not in a state for it.
 * Context: any CPU.
 */
int vm_shut_down(struct vm *vm);
int vm_reset(struct vm *vm);
int vm_pause(struct vm *vm);
int vm_resume(struct vm *vm);
int vm_freeze(struct vm *vm);
int vm_thaw(struct vm *vm);
int vm_evict(struct vm *vm, unsigned int count);
int vm_nmi(struct vm *vm);

/*
 * vm_retire_vcpu - a vCPU of a stopping VM has left its CPU for good
 * Returns true for the last one: the caller then calls vm_work() until that is done.
 */
bool vm_retire_vcpu(struct vm *vm);

/* vm_get_figures - of the guest's present life, or of its last one. Context: any CPU. */
void vm_get_figures(struct vm *vm, struct vm_figures *figures);

/* vm_is_up - whether a guest in this state has vCPUs that may run, now or once it is resumed */
static inline bool vm_is_up(enum vm_status status)
{
	return status == VM_RUNNING || status == VM_PAUSED;
}

/*
 * vms_set_when_idle - what to do when the last guest has ended
 * vms_alive	     - guests that are not stopped
 * vms_awaited_blocks - 2 MiB blocks that guests on their way to a new life will need: not to be
 *		       given to anybody else meanwhile
 * vms_boot_done     - all guests of the configuration have been tried; prints and does what is to
 *		       be done if none runs
 * Context: boot CPU; vms_alive() and vms_awaited_blocks() any.
 */
void vms_set_when_idle(enum config_when_idle action);
uint32_t vms_alive(void);
uint64_t vms_awaited_blocks(void);
void vms_boot_done(void);

/*
 * core/vm/vm.c: building and taking apart
 */

/*
 * vm_create_step - one bounded step of building a guest: memory, platform tables, kernel, vCPUs
 *
 * Returns 0 when it is complete, -EAGAIN when the call is to be repeated, or another negative error
 * after a sentence on the console; then vm_destroy_step() takes back what there is. The last step
 * copies kernel and initrd. Context: as vm_work().
 */
int vm_create_step(struct vm *vm);

/*
 * vm_destroy_step - one bounded step of giving back all that a guest held
 * Returns true when nothing is left. Context: one CPU, no vCPU of the VM loaded anywhere.
 */
bool vm_destroy_step(struct vm *vm);

/*
 * vm_gpa_to_host - host address of a guest-physical byte
 *
 * Returns the direct-map address of @gpa, or NULL when it is no RAM of this guest, or in a block
 * that it has given to the host. Valid up to the end of the 2 MiB block around @gpa, and as long as
 * core/vm/balloon.h says. An array look-up: no page-table walk.
 * Context: a vCPU of the guest inside vcpu_run(); vm->lock held; or no vCPU runs.
 */
static inline uint8_t *vm_gpa_to_host(const struct vm *vm, gpa_t gpa)
{
	uint64_t offset = gpa;
	uint8_t *block;

	if (gpa >= VM_HOLE_BASE) {
		if (gpa < VM_HOLE_END)
			return NULL;
		offset = gpa - (VM_HOLE_END - VM_HOLE_BASE);
	}
	if (offset >= vm->memory)
		return NULL;
	/* Masked: behind a mispredicted comparison the index must not leave the table either. */
	block = __atomic_load_n(&vm->blocks[offset >> BLOCK_SHIFT & vm->block_mask],
				__ATOMIC_RELAXED);
	return block ? block + (offset & (BLOCK_SIZE - 1)) : NULL;
}

/*
 * vm_read_guest, vm_write_guest - copy between the hypervisor and guest RAM, any alignment
 * Returns 0 or -EFAULT (part is no RAM; then an unspecified part was copied).
 */
int vm_read_guest(const struct vm *vm, gpa_t gpa, void *buf, size_t size);
int vm_write_guest(struct vm *vm, gpa_t gpa, const void *buf, size_t size);

/*
 * vm_memory_init - make room for the addresses of a guest's blocks. Returns 0 or -ENOMEM.
 * vm_memory_alloc_step - take one block of its RAM from the host
 * vm_memory_free_step - give one back; returns true when none is left
 * vm_count_block - note that the guest has got a block (@change 1) or lost it (-1)
 * vm_block_gpa - where in the guest a block of the table is
 *
 * vm_memory_alloc_step() returns 0 when all are there, 1 when one was taken, -ENOMEM.
 */
int vm_memory_init(struct vm *vm, uint64_t bytes);
int vm_memory_alloc_step(struct vm *vm);
bool vm_memory_free_step(struct vm *vm);
void vm_count_block(struct vm *vm, const void *block, int64_t change);
gpa_t vm_block_gpa(uint64_t index);

/* vm_ram_below_hole, vm_ram_above_hole - bytes of RAM at 0 and at VM_HOLE_END. */
uint64_t vm_ram_below_hole(const struct vm *vm);
uint64_t vm_ram_above_hole(const struct vm *vm);

#endif
