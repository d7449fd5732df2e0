/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which RAM is free for the taking: the boot loader's memory map less what is in use
 */
#ifndef ARCH_CPU_MEMMAP_H
#define ARCH_CPU_MEMMAP_H

#include "boot/bootinfo.h"
#include "core/types.h"

/*
 * memmap_for_each_ram - call @take for every piece of RAM, in no special order
 *
 * No byte is given twice, even if lines of the memory map overlap. Ends at the first call that
 * returns a negative error, and returns that; else 0.
 */
int memmap_for_each_ram(const struct boot_info *boot, int (*take)(hpa_t base, uint64_t size));

/*
 * memmap_for_each_free - the same for RAM that nobody uses
 * @image_base, @image_size: where the hypervisor itself lies
 * @from, @to: only the part of the memory between these addresses
 *
 * Left out are the first MiB (firmware's data, and the page from which other CPUs start), the
 * image, the modules, the boot information, and whatever another line of the memory map calls
 * something else than RAM.
 */
int memmap_for_each_free(const struct boot_info *boot, hpa_t image_base, uint64_t image_size,
			 hpa_t from, hpa_t to, int (*take)(hpa_t base, uint64_t size));

/*
 * memmap_find_low_page - a page of RAM below 640 KiB for the code that other CPUs start with
 * Returns its address, the highest there is, or 0. What the image, a module or the boot information
 * covers is not taken.
 */
hpa_t memmap_find_low_page(const struct boot_info *boot);

#endif
