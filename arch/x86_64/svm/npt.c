/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables: ordinary 4-level long-mode tables, walked with the host's CR4 and EFER, with
 * 2 MiB leaves. The processor makes nested accesses as a user, so U/S is set on every level.
 *
 * Documents: APM vol. 2, 15.25 "Nested Paging", 5.3 "Long-Mode Page Translation".
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu/paging.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/panic.h"
#include "core/vm/vm.h"

#define PTE_USER BIT(2)

/* Of a pointer to the next table: all rights, the leaf decides. */
#define PTE_TABLE (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

#define LEVEL_PML4    3
#define LEVEL_PD      1 /* its entries are the 2 MiB leaves */
#define LEVEL_BITS    9
#define LEVEL_ENTRIES (1u << LEVEL_BITS)
#define GPA_LIMIT     BIT(48)

static unsigned int entry_index(gpa_t gpa, int level)
{
	return (gpa >> (PAGE_SHIFT + LEVEL_BITS * level)) & (LEVEL_ENTRIES - 1);
}

static uint64_t *entry_table(uint64_t entry)
{
	return phys_to_virt(entry & PTE_ADDRESS);
}

int svm_vm_init(struct vm *vm)
{
	void *root = frame_alloc();

	if (!root)
		return -ENOMEM;
	vm->nested_root = virt_to_phys(root);
	return 0;
}

/* At most LEVEL_PML4 deep. The leaves' memory is not the tables' to free. */
static void free_table(uint64_t *table, int level)
{
	if (level > LEVEL_PD)
		for (unsigned int i = 0; i < LEVEL_ENTRIES; i++)
			if (table[i] & PTE_PRESENT)
				free_table(entry_table(table[i]), level - 1);
	frame_free(table);
}

void svm_vm_free(struct vm *vm)
{
	if (vm->nested_root)
		free_table(phys_to_virt(vm->nested_root), LEVEL_PML4);
	vm->nested_root = 0;
}

int svm_vm_map_block(struct vm *vm, gpa_t gpa, hpa_t hpa, unsigned int prot)
{
	uint64_t *table = phys_to_virt(vm->nested_root);
	uint64_t leaf = hpa | PTE_PRESENT | PTE_USER | PTE_LARGE | PTE_ACCESSED | PTE_DIRTY;

	BUG_ON(!IS_ALIGNED(gpa | hpa, BLOCK_SIZE) || gpa >= GPA_LIMIT || !(prot & NPT_READ));
	for (int level = LEVEL_PML4; level > LEVEL_PD; level--) {
		uint64_t *entry = &table[entry_index(gpa, level)];

		if (!(*entry & PTE_PRESENT)) {
			void *next = frame_alloc();

			if (!next)
				return -ENOMEM;
			*entry = virt_to_phys(next) | PTE_TABLE;
		}
		table = entry_table(*entry);
	}
	if (prot & NPT_WRITE)
		leaf |= PTE_WRITE;
	if (!(prot & NPT_EXEC))
		leaf |= PTE_NO_EXECUTE;
	/* The guest may be running. */
	__atomic_store_n(&table[entry_index(gpa, LEVEL_PD)], leaf, __ATOMIC_RELAXED);
	return 0;
}
