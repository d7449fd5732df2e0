/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest: its memory, vCPUs, devices, and its account in the store
 */
#ifndef CORE_VM_VM_H
#define CORE_VM_VM_H

#include "core/config.h"
#include "core/dev/ioapic.h"
#include "core/dev/power.h"
#include "core/dev/uart.h"
#include "core/spinlock.h"
#include "core/types.h"

struct vcpu;
struct tmem_client;

/* Guest-physical layout: RAM from 0, a hole for devices below 4 GiB, the rest of the RAM above. */
#define VM_HOLE_BASE   0xc0000000ull
#define VM_HOLE_END    0x100000000ull
#define VM_IOAPIC_BASE 0xfec00000ull
#define VM_LAPIC_BASE  0xfee00000ull
#define VM_ACPI_BASE   0xe0000ull /* RSDP and tables, inside the PC's reserved ROM area */
#define VM_ACPI_SIZE   0x10000ull
#define VM_LOW_RAM_END 0x9fc00ull /* what the memory map calls RAM below 1 MiB */
#define VM_HIGH_RAM    0x100000ull

enum vm_status {
	VM_EMPTY, /* the slot is free */
	VM_RUNNING,
	VM_STOPPING, /* its vCPUs are leaving */
	VM_DYING,    /* nobody runs it; its memory is being scrubbed and returned */
	VM_STOPPED,  /* gone, but for its name and counters */
};

struct vm {
	uint32_t id;
	enum vm_status status; /* lock */
	char name[CONFIG_NAME_MAX];
	const struct guest_config *config;
	struct spinlock lock; /* status, device state below; innermost, taken with interrupts off */

	uint64_t memory;      /* bytes of RAM */
	uint64_t block_count; /* RAM in 2 MiB blocks */
	uint8_t **blocks;     /* direct-map address of each, in order of guest RAM */
	uint64_t block_mask;  /* entries that the table has room for, minus 1; the rest are NULL */
	uint64_t nested_root; /* the backend's: physical address of the nested page table */
	uint64_t boot_tsc;    /* host TSC that the guests' TSC 0 stands for */

	uint32_t vcpu_count;
	uint32_t vcpus_active; /* those that still may run; the last one out takes the VM down */
	struct vcpu *vcpus[CONFIG_MAX_VCPUS];

	struct ioapic ioapic;
	struct uart uart;
	struct power power;

	struct tmem_client *tmem;
	struct vm *next_dying; /* on the list of the CPU that returns its memory */
	uint64_t blocks_freed; /* by vm_destroy_step() so far */
	char stop_reason[80];  /* first reason given to vm_stop() */
};

extern struct vm vms[CONFIG_MAX_GUESTS];
extern uint32_t vm_count;

/*
 * vm_create - build a guest: memory, platform tables, kernel, vCPUs; ready to be scheduled
 *
 * Prints a sentence and returns a negative error when the guest cannot start; then nothing of it
 * is left. Context: boot CPU.
 */
int vm_create(const struct guest_config *config);

/*
 * vm_stop - end a guest, from anywhere
 * @reason: printf format of what happened; "power-off", "triple fault at ..."
 *
 * Only marks it and kicks its vCPUs; the first reason counts. Context: any, vm->lock not held.
 */
void vm_stop(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * vm_retire_vcpu - a vCPU of a stopping VM has left its CPU for good
 * Returns true for the last one: the caller then calls vm_destroy_step() until that is done.
 */
bool vm_retire_vcpu(struct vm *vm);

/*
 * vm_destroy_step - one bounded step of giving back all that a guest held
 * Returns true when nothing is left. Context: one CPU, no vCPU of the VM loaded anywhere.
 */
bool vm_destroy_step(struct vm *vm);

/*
 * vm_gpa_to_host - host address of a guest-physical byte
 *
 * Returns the direct-map address of @gpa, or NULL when it is no RAM of this guest. Valid up to the
 * end of the 2 MiB block around @gpa. An array look-up: no page-table walk.
 * Context: any; a running guest's blocks do not move.
 */
static inline uint8_t *vm_gpa_to_host(const struct vm *vm, gpa_t gpa)
{
	uint64_t offset = gpa;

	if (gpa >= VM_HOLE_BASE) {
		if (gpa < VM_HOLE_END)
			return NULL;
		offset = gpa - (VM_HOLE_END - VM_HOLE_BASE);
	}
	if (offset >= vm->memory)
		return NULL;
	/* Masked: behind a mispredicted comparison the index must not leave the table either. */
	return vm->blocks[offset >> BLOCK_SHIFT & vm->block_mask] + (offset & (BLOCK_SIZE - 1));
}

/*
 * vm_read_guest, vm_write_guest - copy between the hypervisor and guest RAM, any alignment
 * Returns 0 or -EFAULT (part is no RAM; then an unspecified part was copied).
 */
int vm_read_guest(const struct vm *vm, gpa_t gpa, void *buf, size_t size);
int vm_write_guest(struct vm *vm, gpa_t gpa, const void *buf, size_t size);

/*
 * vm_memory_alloc - take @bytes of RAM for a guest from the host; -ENOMEM leaves nothing taken
 * vm_memory_free_step - give one block back; returns true when none is left
 */
int vm_memory_alloc(struct vm *vm, uint64_t bytes);
bool vm_memory_free_step(struct vm *vm);

/* vm_ram_below_hole, vm_ram_above_hole - bytes of RAM at 0 and at VM_HOLE_END. */
uint64_t vm_ram_below_hole(const struct vm *vm);
uint64_t vm_ram_above_hole(const struct vm *vm);

#endif
