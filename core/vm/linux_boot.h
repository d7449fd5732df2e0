/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Linux/x86 wants from its boot loader, as it lies in memory.
 * Documents: Linux Documentation/arch/x86/boot.rst (protocol 2.15) and zero-page.rst.
 */
#ifndef CORE_VM_LINUX_BOOT_H
#define CORE_VM_LINUX_BOOT_H

#include "core/types.h"
#include "core/vm/loader.h"

#define LINUX_SETUP_HEADER     0x1f1u /* offset in the file and in the zero page */
#define LINUX_BOOT_FLAG	       0xaa55u
#define LINUX_HEADER_MAGIC     0x53726448u /* "HdrS" */
#define LINUX_PROTOCOL_MIN     0x020cu	   /* 2.12: the first with the 64-bit entry's flag */
#define LINUX_SECTOR	       512u
#define LINUX_SETUP_SECTS_IF_0 4u
#define LINUX_PARAGRAPH	       16u /* unit of the header's syssize */
#define LINUX_LOADED_HIGH      0x01u
#define LINUX_XLF_KERNEL_64    0x0001u
#define LINUX_ENTRY_64	       0x200u /* from where the protected-mode part is loaded */
#define LINUX_LOADER_UNDEFINED 0xffu
#define LINUX_E820_MAX	       128u

struct linux_setup_header {
	uint8_t setup_sects;
	uint16_t root_flags;
	uint32_t syssize;
	uint16_t ram_size;
	uint16_t vid_mode;
	uint16_t root_dev;
	uint16_t boot_flag;
	uint8_t jump;
	uint8_t jump_distance; /* from header on: ends the setup header */
	uint32_t header;
	uint16_t version;
	uint32_t realmode_swtch;
	uint16_t start_sys_seg;
	uint16_t kernel_version;
	uint8_t type_of_loader;
	uint8_t loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start;
	uint32_t ramdisk_image;
	uint32_t ramdisk_size;
	uint32_t bootsect_kludge;
	uint16_t heap_end_ptr;
	uint8_t ext_loader_ver;
	uint8_t ext_loader_type;
	uint32_t cmd_line_ptr;
	uint32_t initrd_addr_max; /* the last byte that an initrd may take */
	uint32_t kernel_alignment;
	uint8_t relocatable_kernel;
	uint8_t min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size; /* without the terminating zero */
	uint32_t hardware_subarch;
	uint64_t hardware_subarch_data;
	uint32_t payload_offset;
	uint32_t payload_length;
	uint64_t setup_data;
	uint64_t pref_address;
	uint32_t init_size; /* bytes that the kernel uses from where it is loaded */
} __attribute__((packed));

struct linux_boot_params {
	uint8_t screen_info[0x70];
	uint64_t acpi_rsdp_addr;
	uint8_t unused_1[0x1e8 - 0x78];
	uint8_t e820_entries;
	uint8_t unused_2[LINUX_SETUP_HEADER - 0x1e9];
	struct linux_setup_header hdr; /* and more, of later protocols, up to hdr_end */
	uint8_t unused_3[0x290 - 0x264];
	uint8_t hdr_end[0x2d0 - 0x290];
	struct vm_e820_entry e820_table[LINUX_E820_MAX];
	uint8_t unused_4[0x1000 - 0xcd0];
} __attribute__((packed));

_Static_assert(offsetof(struct linux_setup_header, header) + LINUX_SETUP_HEADER == 0x202, "HdrS");
_Static_assert(offsetof(struct linux_setup_header, code32_start) + LINUX_SETUP_HEADER == 0x214,
	       "code32_start");
_Static_assert(offsetof(struct linux_setup_header, cmdline_size) + LINUX_SETUP_HEADER == 0x238,
	       "cmdline_size");
_Static_assert(offsetof(struct linux_setup_header, init_size) + LINUX_SETUP_HEADER == 0x260,
	       "init_size");
_Static_assert(offsetof(struct linux_boot_params, acpi_rsdp_addr) == 0x70, "acpi_rsdp_addr");
_Static_assert(offsetof(struct linux_boot_params, e820_entries) == 0x1e8, "e820_entries");
_Static_assert(offsetof(struct linux_boot_params, hdr) == LINUX_SETUP_HEADER, "setup header");
_Static_assert(offsetof(struct linux_boot_params, hdr_end) == 0x290, "end of the setup header");
_Static_assert(offsetof(struct linux_boot_params, e820_table) == 0x2d0, "e820_table");
_Static_assert(sizeof(struct vm_e820_entry) == 20, "boot_e820_entry");
_Static_assert(sizeof(struct linux_boot_params) == 4096, "zero page");

#endif
