/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables: from guest-physical to host-physical addresses
 *
 * Four levels with leaves of 2 MiB, which is the unit that memory changes owner in. All memory is
 * write-back whatever the guest's page attributes say: a guest owns no device, and the hypervisor
 * maps the same frames write-back, so another type could only make both see different bytes. Guest
 * PAT and MTRRs are values to be read back, nothing more, and need no switching at exits.
 *
 * Accessed and dirty flags stay off: nobody reads them, and with them on every walk of a guest's
 * own page table counts as a write.
 *
 * Documents: SDM vol. 3C, "The Extended Page Table Mechanism (EPT)", "EPT and Memory Typing",
 * "Invalidating Cached Translation Information".
 */
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/vmx/vmx.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/panic.h"
#include "core/vm/vm.h"

#define EPT_LEVELS     4
#define EPT_LEAF_LEVEL 2 /* a page directory, whose entries map 2 MiB */
#define EPT_ENTRIES    512
#define EPT_INDEX_BITS 9

#define EPT_RIGHTS     0x7ull /* the same bits as NPT_READ, NPT_WRITE, NPT_EXEC */
#define EPT_WRITE_BACK (6ull << 3)
#define EPT_IGNORE_PAT BIT(6)
#define EPT_LARGE      BIT(7)
#define EPT_ADDRESS    0x000ffffffffff000ull

#define EPTP_WRITE_BACK 6ull
#define EPTP_WALK_4	((EPT_LEVELS - 1ull) << 3)

_Static_assert(NPT_READ == BIT(0) && NPT_WRITE == BIT(1) && NPT_EXEC == BIT(2),
	       "rights are used as EPT entries have them");

static uint64_t *table_of(uint64_t entry)
{
	return phys_to_virt(entry & EPT_ADDRESS);
}

static unsigned int index_at(gpa_t gpa, unsigned int level)
{
	return (unsigned int)(gpa >> (PAGE_SHIFT + (level - 1) * EPT_INDEX_BITS)) % EPT_ENTRIES;
}

int ept_vm_init(struct vm *vm)
{
	void *root = frame_alloc();

	if (!root)
		return -ENOMEM;
	vm->nested_root = virt_to_phys(root);
	return 0;
}

static void free_table(uint64_t *table, unsigned int level)
{
	for (unsigned int i = 0; level > EPT_LEAF_LEVEL && i < EPT_ENTRIES; i++)
		if (table[i] & EPT_RIGHTS)
			free_table(table_of(table[i]), level - 1);
	frame_free(table);
}

/* Nothing is invalidated: whoever gets these frames next invalidates at its first vcpu_load(). */
void ept_vm_free(struct vm *vm)
{
	if (vm->nested_root)
		free_table(phys_to_virt(vm->nested_root), EPT_LEVELS);
	vm->nested_root = 0;
}

int ept_vm_map_block(struct vm *vm, gpa_t gpa, hpa_t hpa, unsigned int prot)
{
	uint64_t *table = phys_to_virt(vm->nested_root);
	uint64_t *entry;

	BUG_ON(!IS_ALIGNED(gpa, BLOCK_SIZE) || !IS_ALIGNED(hpa, BLOCK_SIZE));
	for (unsigned int level = EPT_LEVELS; level > EPT_LEAF_LEVEL; level--) {
		entry = &table[index_at(gpa, level)];
		if (!*entry) {
			void *next = frame_alloc();

			if (!next)
				return -ENOMEM;
			*entry = virt_to_phys(next) | EPT_RIGHTS;
		}
		table = table_of(*entry);
	}
	entry = &table[index_at(gpa, EPT_LEAF_LEVEL)];
	hpa |= (prot & EPT_RIGHTS) | EPT_WRITE_BACK | EPT_IGNORE_PAT | EPT_LARGE;
	__atomic_store_n(entry, hpa, __ATOMIC_RELAXED); /* the guest may be running */
	return 0;
}

uint64_t ept_pointer(const struct vm *vm)
{
	return vm->nested_root | EPTP_WRITE_BACK | EPTP_WALK_4;
}
