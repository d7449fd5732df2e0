/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the boot loader told us, in one struct. boot/multiboot2.c fills it from GRUB's tags; it is
 * host-testable and trusts no length in them.
 */
#ifndef BOOT_BOOTINFO_H
#define BOOT_BOOTINFO_H

#include "core/types.h"

#define BOOT_MAX_RANGES	 128
#define BOOT_MAX_MODULES 64
#define BOOT_STRING_MAX	 1024

enum boot_memory_kind { BOOT_MEMORY_RAM = 1, BOOT_MEMORY_OTHER };

struct boot_range {
	hpa_t base;
	uint64_t size;
	enum boot_memory_kind kind;
};

struct boot_module {
	hpa_t base;
	uint64_t size;
	char words[BOOT_STRING_MAX]; /* its command line, terminated */
	bool cut;		     /* the line was longer and does not end where words do */
};

enum boot_screen {
	BOOT_SCREEN_NONE,
	BOOT_SCREEN_PIXELS, /* of direct colour */
	BOOT_SCREEN_TEXT,   /* the PC's text mode: width and height count cells of 16 bits */
};

struct boot_framebuffer {
	enum boot_screen kind;
	hpa_t base;
	uint32_t pitch; /* bytes from one line to the next, at least what the width takes */
	uint32_t width, height;
	uint8_t bpp;
};

struct boot_info {
	char cmdline[BOOT_STRING_MAX];
	bool cmdline_cut; /* as in struct boot_module */
	uint32_t range_count;
	struct boot_range ranges[BOOT_MAX_RANGES];
	uint32_t module_count;
	struct boot_module modules[BOOT_MAX_MODULES];
	uint8_t rsdp[36];   /* copy of the ACPI RSDP from the tag */
	uint32_t rsdp_size; /* 20 or 36; 0: none given */
	struct boot_framebuffer framebuffer;
	hpa_t info_base; /* the boot information itself: not free until parsed */
	uint64_t info_size;
};

/*
 * boot_info_parse - read a multiboot2 information structure
 * @magic: what EAX held at entry
 * @mbi:   the structure, 8-byte aligned
 * @limit: bytes that may be read at @mbi
 * @info:  filled; large, so give it static storage
 *
 * Returns 0, or -EINVAL with *why naming the tag and what was wrong with it.
 */
int boot_info_parse(uint32_t magic, const void *mbi, size_t limit, struct boot_info *info,
		    const char **why);

#endif
