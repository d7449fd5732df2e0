/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory map that a guest is shown; the layout itself is core/vm/vm.h's.
 * Documents: ACPI 6.4 section 15 (address range types).
 */
#include "core/vm/loader.h"
#include "core/vm/vm.h"

#define E820_RAM      1u
#define E820_RESERVED 2u

unsigned int vm_memory_map(const struct vm *vm, struct vm_e820_entry *map, unsigned int max)
{
	/* The ACPI tables lie in the reserved part, as on a PC: nobody takes it for free memory. */
	const struct vm_e820_entry all[] = {
		{.base = 0, .size = VM_LOW_RAM_END, .type = E820_RAM},
		{.base = VM_LOW_RAM_END,
		 .size = VM_HIGH_RAM - VM_LOW_RAM_END,
		 .type = E820_RESERVED},
		{.base = VM_HIGH_RAM,
		 .size = vm_ram_below_hole(vm) - VM_HIGH_RAM,
		 .type = E820_RAM},
		{.base = VM_HOLE_END, .size = vm_ram_above_hole(vm), .type = E820_RAM},
	};
	unsigned int count = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(all) && count < max; i++) {
		if (all[i].size > 0)
			map[count++] = all[i];
	}
	return count;
}
_Static_assert(CONFIG_MEMORY_MIN > VM_HIGH_RAM, "every guest has RAM above the first MiB");
