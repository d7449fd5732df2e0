/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's RAM: whole 2 MiB blocks, and copies in and out of it. What a running guest gives away
 * of it is core/vm/balloon.c's.
 */
#include "core/errno.h"
#include "core/frames.h"
#include "core/string.h"
#include "core/vm/vm.h"

_Static_assert(CONFIG_MEMORY_MAX / BLOCK_SIZE * sizeof(uint8_t *) <= BLOCK_SIZE,
	       "the largest guest's block table fits a block");

uint64_t vm_ram_below_hole(const struct vm *vm)
{
	return vm->memory < VM_HOLE_BASE ? vm->memory : VM_HOLE_BASE;
}

uint64_t vm_ram_above_hole(const struct vm *vm)
{
	return vm->memory - vm_ram_below_hole(vm);
}

gpa_t vm_block_gpa(uint64_t index)
{
	gpa_t gpa = index << BLOCK_SHIFT;

	return gpa < VM_HOLE_BASE ? gpa : gpa + (VM_HOLE_END - VM_HOLE_BASE);
}

/* The table of block addresses: one frame for guests up to 1 GiB, else a block. */
static bool table_fits_frame(const struct vm *vm)
{
	return vm->block_count * sizeof(*vm->blocks) <= PAGE_SIZE;
}

int vm_memory_init(struct vm *vm, uint64_t bytes)
{
	vm->memory = bytes;
	vm->block_count = bytes >> BLOCK_SHIFT;
	vm->blocks_taken = 0;
	vm->blocks_freed = 0;
	__atomic_store_n(&vm->blocks_held, 0, __ATOMIC_RELAXED);
	for (uint32_t node = 0; node < NODES_MAX; node++)
		__atomic_store_n(&vm->node_blocks[node], 0, __ATOMIC_RELAXED);
	vm->blocks = table_fits_frame(vm) ? frame_alloc() : block_alloc();
	vm->block_mask = (table_fits_frame(vm) ? PAGE_SIZE : BLOCK_SIZE) / sizeof(*vm->blocks) - 1;
	return vm->blocks ? 0 : -ENOMEM;
}

void vm_count_block(struct vm *vm, const void *block, int64_t change)
{
	uint64_t *of_node = &vm->node_blocks[frames_node_of(block)];

	__atomic_fetch_add(&vm->blocks_held, (uint64_t)change, __ATOMIC_RELAXED);
	__atomic_fetch_add(of_node, (uint64_t)change, __ATOMIC_RELAXED);
}

int vm_memory_alloc_step(struct vm *vm)
{
	if (vm->blocks_taken == vm->block_count)
		return 0;
	vm->blocks[vm->blocks_taken] = block_alloc_near(vm->node);
	if (!vm->blocks[vm->blocks_taken])
		return -ENOMEM;
	vm_count_block(vm, vm->blocks[vm->blocks_taken], 1);
	vm->blocks_taken++;
	return 1;
}

bool vm_memory_free_step(struct vm *vm)
{
	if (!vm->blocks)
		return true;
	if (vm->blocks_freed < vm->blocks_taken) {
		uint8_t **block = &vm->blocks[vm->blocks_freed++];

		if (*block) { /* else the guest had given it away */
			vm_count_block(vm, *block, -1);
			block_free(*block);
			*block = NULL;
		}
		return false;
	}
	if (table_fits_frame(vm))
		frame_free(vm->blocks);
	else
		block_free(vm->blocks);
	vm->blocks = NULL;
	vm->memory = 0;
	return true;
}

/* How many bytes from @gpa on lie in one block, at most @size. */
static size_t span_in_block(gpa_t gpa, size_t size)
{
	size_t left = BLOCK_SIZE - (gpa & (BLOCK_SIZE - 1));

	return size < left ? size : left;
}

int vm_read_guest(const struct vm *vm, gpa_t gpa, void *buf, size_t size)
{
	char *to = buf;

	while (size) {
		const uint8_t *from = vm_gpa_to_host(vm, gpa);
		size_t n = span_in_block(gpa, size);

		if (!from)
			return -EFAULT;
		memcpy(to, from, n);
		to += n;
		gpa += n;
		size -= n;
	}
	return 0;
}

int vm_write_guest(struct vm *vm, gpa_t gpa, const void *buf, size_t size)
{
	const char *from = buf;

	while (size) {
		uint8_t *to = vm_gpa_to_host(vm, gpa);
		size_t n = span_in_block(gpa, size);

		if (!to)
			return -EFAULT;
		memcpy(to, from, n);
		from += n;
		gpa += n;
		size -= n;
	}
	return 0;
}
