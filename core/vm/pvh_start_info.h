/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest that starts by the PVH entry finds at EBX; used by the loader and by the test
 * guests.
 * Documents: Xen docs/misc/pvh.pandoc and the layout it refers to, version 1.
 */
#ifndef CORE_VM_PVH_START_INFO_H
#define CORE_VM_PVH_START_INFO_H

#include <stdint.h>

#define PVH_NOTE_NAME	      "Xen"
#define PVH_NOTE_PHYS32_ENTRY 18u /* XEN_ELFNOTE_PHYS32_ENTRY */
#define PVH_START_MAGIC	      0x336ec578u

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr; /* of struct pvh_module */
	uint64_t cmdline_paddr; /* terminated */
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr; /* of struct pvh_memmap_entry */
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct pvh_module {
	uint64_t paddr, size, cmdline_paddr, reserved;
};

struct pvh_memmap_entry {
	uint64_t addr, size;
	uint32_t type; /* as in the e820 map */
	uint32_t reserved;
};

_Static_assert(sizeof(struct pvh_start_info) == 56, "hvm_start_info, version 1");
_Static_assert(sizeof(struct pvh_module) == 32, "hvm_modlist_entry");
_Static_assert(sizeof(struct pvh_memmap_entry) == 24, "hvm_memmap_table_entry");

#endif
