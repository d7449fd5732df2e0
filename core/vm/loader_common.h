/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loaders share: where they put what a kernel is handed, and the steps that do not depend
 * on the format.
 */
#ifndef CORE_VM_LOADER_COMMON_H
#define CORE_VM_LOADER_COMMON_H

#include "core/types.h"
#include "core/vm/loader.h"

struct vm;

/*
 * All of it lies below 1 MiB, where neither kernel nor initrd is loaded, in RAM that the memory map
 * gives to the guest: it may take it back once it has read it.
 */
#define LOADER_GDT	   0x500ull
#define LOADER_START_INFO  0x6000ull /* start info of PVH and Multiboot, module list */
#define LOADER_BOOT_PARAMS 0x7000ull /* Linux's zero page; else the memory map */
#define LOADER_PAGE_TABLES 0x9000ull /* six pages */
#define LOADER_CMDLINE	   0x20000ull
#define LOADER_CMDLINE_MAX 0x10000ull /* with the terminating zero */

/* Selectors that Linux calls __BOOT_CS and __BOOT_DS. */
#define LOADER_SELECTOR_CODE 0x10u
#define LOADER_SELECTOR_DATA 0x18u

#define LOADER_CR0_PE	  BIT(0)
#define LOADER_CR0_ET	  BIT(4)
#define LOADER_CR0_NE	  BIT(5)
#define LOADER_CR0_PG	  BIT(31)
#define LOADER_CR4_PAE	  BIT(5)
#define LOADER_EFER_LME	  BIT(8)
#define LOADER_EFER_LMA	  BIT(10)
#define LOADER_RFLAGS_ONE BIT(1) /* the bit that always reads as one */

/*
 * loader_low_memory - host address of a guest-physical byte in the first 2 MiB
 *
 * One block, so that what starts there and ends below 2 MiB may be written as one piece. The guest
 * does not run yet: nothing changes under the writer's hands.
 */
void *loader_low_memory(struct vm *vm, gpa_t gpa);

/*
 * loader_write_cmdline - put the command line, terminated, at LOADER_CMDLINE
 * @max: the most characters that the kernel takes
 * Returns 0 or -EINVAL with *why.
 */
int loader_write_cmdline(struct vm *vm, const struct loader_image *image, uint64_t max,
			 const char **why);

/*
 * loader_place_initrd - copy the initrd as high as it goes, page-aligned
 * @floor: the first byte that the kernel leaves free, at least VM_HIGH_RAM
 * @limit: the first byte behind what the kernel can reach; RAM below the hole limits it as well
 * @base:  where it is; 0 when there is none
 * Returns 0 or -ENOSPC with *why.
 */
int loader_place_initrd(struct vm *vm, const struct loader_image *image, gpa_t floor, gpa_t limit,
			gpa_t *base, const char **why);

/*
 * loader_check_range - whether a part of the kernel may be loaded at a place
 * @size: bytes of memory, more than 0
 * Returns 0, or -EINVAL (below 1 MiB) or -ENOSPC (outside the RAM below the hole) with *why.
 */
int loader_check_range(const struct vm *vm, gpa_t gpa, uint64_t size, const char **why);

/*
 * loader_write_part - copy a part of the kernel and clear the memory behind it
 * @file_size: bytes to copy
 * @size:	 bytes of memory, at least as many; loader_check_range() has accepted them
 * Returns 0 or -EFAULT with *why.
 */
int loader_write_part(struct vm *vm, gpa_t gpa, const uint8_t *bytes, uint64_t file_size,
		      uint64_t size, const char **why);

/*
 * loader_init_state - flat segments, no interrupt table, interrupts off, general registers zero
 * @code_attr: SEGMENT_ATTR_CODE64 or SEGMENT_ATTR_CODE32
 * Paging and mode (cr0, cr3, cr4, efer), rip and the registers remain to be set.
 */
void loader_init_state(struct loader_entry *entry, uint32_t code_attr);

#endif
