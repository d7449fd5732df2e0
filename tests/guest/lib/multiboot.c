/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/vm/multiboot1.h"
#include "core/vm/pvh_start_info.h"
#include "tests/guest/lib/multiboot.h"

#define MAP_MAX 8

uint32_t multiboot_magic, multiboot_info;

const struct pvh_start_info *multiboot_start_info(void)
{
	static struct pvh_memmap_entry map[MAP_MAX];
	static struct pvh_start_info start;
	const struct multiboot1_info *info = (const void *)(uintptr_t)multiboot_info;
	const struct multiboot1_mmap_entry *entry;
	uint32_t at = 0;

	start.cmdline_paddr = info->cmdline;
	start.memmap_paddr = (uintptr_t)map;
	while (at < info->mmap_length && start.memmap_entries < MAP_MAX) {
		entry = (const void *)(uintptr_t)(info->mmap_addr + at);
		map[start.memmap_entries++] = (struct pvh_memmap_entry){
			.addr = entry->base, .size = entry->length, .type = entry->type};
		at += entry->size + (uint32_t)sizeof(entry->size);
	}
	return &start;
}
