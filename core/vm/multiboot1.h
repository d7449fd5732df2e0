/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The header of a Multiboot 1 kernel and what it finds at EBX; used by the loader and by the test
 * guests. (boot/multiboot2.h is about how the hypervisor itself is started.)
 * Documents: Multiboot Specification 0.6.96, sections 3.1 and 3.3.
 */
#ifndef CORE_VM_MULTIBOOT1_H
#define CORE_VM_MULTIBOOT1_H

#define MULTIBOOT1_HEADER_MAGIC 0x1badb002
#define MULTIBOOT1_BOOT_MAGIC	0x2badb002 /* EAX at entry */
#define MULTIBOOT1_SEARCH	8192	   /* the header lies in so many first bytes of the file */
#define MULTIBOOT1_ALIGN	4

/* Header flags. Of bits 0 to 15 a loader must understand all that are set. */
#define MULTIBOOT1_PAGE_ALIGN	0x00000001 /* modules start a page */
#define MULTIBOOT1_MEMORY_INFO	0x00000002 /* the memory fields are wanted */
#define MULTIBOOT1_REQUIREMENTS 0x0000ffff
#define MULTIBOOT1_ADDRESSES	0x00010000 /* the address fields count, not the ELF header */

/* Flags of the information: which of its fields are valid. */
#define MULTIBOOT1_INFO_MEMORY	    0x001
#define MULTIBOOT1_INFO_CMDLINE	    0x004
#define MULTIBOOT1_INFO_MODULES	    0x008
#define MULTIBOOT1_INFO_MEMORY_MAP  0x040
#define MULTIBOOT1_INFO_LOADER_NAME 0x200

#ifndef __ASSEMBLER__
#include <stdint.h>

struct multiboot1_header {
	uint32_t magic, flags, checksum; /* which add up to 0 */
	/* Valid with MULTIBOOT1_ADDRESSES; all physical. */
	uint32_t header_addr;	/* where this header is to be: says where the file's bytes go */
	uint32_t load_addr;	/* first byte to load */
	uint32_t load_end_addr; /* behind the last; 0: the end of the file */
	uint32_t bss_end_addr;	/* memory is cleared up to here; 0: none is */
	uint32_t entry_addr;
};

struct multiboot1_info {
	uint32_t flags;
	uint32_t mem_lower, mem_upper; /* KiB of RAM at 0 and at 1 MiB */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count, mods_addr; /* of struct multiboot1_module */
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr; /* bytes of struct multiboot1_mmap_entry */
	uint32_t drives_length, drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
	uint32_t apm_table;
};

struct multiboot1_module {
	uint32_t start, end; /* end is the byte behind the module */
	uint32_t string;
	uint32_t reserved;
};

struct multiboot1_mmap_entry {
	uint32_t size; /* of what follows: the next entry is size + 4 bytes away */
	uint64_t base, length;
	uint32_t type; /* as in the e820 map */
} __attribute__((packed));

_Static_assert(sizeof(struct multiboot1_header) == 32, "without the video fields");
_Static_assert(sizeof(struct multiboot1_info) == 72, "up to the video fields");
_Static_assert(sizeof(struct multiboot1_module) == 16, "module structure");
_Static_assert(sizeof(struct multiboot1_mmap_entry) == 24, "memory map entry");
#endif

#endif
