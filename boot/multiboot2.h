/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiboot2 boot information, as it lies in memory. All fields little-endian.
 * Documents: Multiboot2 Specification 2.0, section 3.6 "Boot information format".
 */
#ifndef BOOT_MULTIBOOT2_H
#define BOOT_MULTIBOOT2_H

#include "core/types.h"

#define MULTIBOOT2_BOOTLOADER_MAGIC 0x36d76289u /* EAX at entry */
#define MULTIBOOT2_TAG_ALIGN	    8u

enum multiboot2_tag_type {
	MULTIBOOT2_TAG_END = 0,
	MULTIBOOT2_TAG_CMDLINE = 1,
	MULTIBOOT2_TAG_MODULE = 3,
	MULTIBOOT2_TAG_MMAP = 6,
	MULTIBOOT2_TAG_FRAMEBUFFER = 8,
	MULTIBOOT2_TAG_ACPI_OLD = 14,
	MULTIBOOT2_TAG_ACPI_NEW = 15,
};

struct multiboot2_info {
	uint32_t total_size; /* of everything, this header and the end tag included */
	uint32_t reserved;
};

struct multiboot2_tag {
	uint32_t type;
	uint32_t size; /* this header included; the next tag follows at the next multiple of 8 */
};

/* Followed by a terminated string. */
struct multiboot2_tag_module {
	struct multiboot2_tag tag;
	uint32_t start, end; /* physical; end is the byte behind the module */
};

/* Followed by entries of entry_size bytes each. */
struct multiboot2_tag_mmap {
	struct multiboot2_tag tag;
	uint32_t entry_size; /* a multiple of 8, at least sizeof(struct multiboot2_mmap_entry) */
	uint32_t entry_version;
};

#define MULTIBOOT2_MMAP_RAM 1u /* every other type is not to be used */

struct multiboot2_mmap_entry {
	uint64_t base, size;
	uint32_t type;
	uint32_t reserved;
};

/* Kinds of framebuffers; others have a palette. */
#define MULTIBOOT2_FRAMEBUFFER_RGB 1u
#define MULTIBOOT2_FRAMEBUFFER_EGA 2u /* text: cells of character and attribute */
#define MULTIBOOT2_EGA_CELL_BITS   16u

struct multiboot2_tag_framebuffer {
	struct multiboot2_tag tag;
	uint64_t base;
	uint32_t pitch, width, height;
	uint8_t bpp, type;
	uint16_t reserved;
};

_Static_assert(sizeof(struct multiboot2_info) == 8, "fixed part of the boot information");
_Static_assert(sizeof(struct multiboot2_tag) == 8, "tag header");
_Static_assert(sizeof(struct multiboot2_tag_module) == 16, "module tag");
_Static_assert(sizeof(struct multiboot2_tag_mmap) == 16, "memory map tag");
_Static_assert(sizeof(struct multiboot2_mmap_entry) == 24, "memory map entry");
_Static_assert(sizeof(struct multiboot2_tag_framebuffer) == 32, "framebuffer tag");

#endif
