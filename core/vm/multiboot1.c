/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads a kernel that has a Multiboot 1 header: an ELF file of either class, or whatever file with
 * the header's own address fields. Entry in 32-bit protected mode without paging, the information
 * below 1 MiB, the initrd as the only module.
 *
 * The file is hostile: see elf.c.
 *
 * Documents: Multiboot Specification 0.6.96.
 */
#include "core/vm/multiboot1.h"
#include "core/errno.h"
#include "core/string.h"
#include "core/vm/elf.h"
#include "core/vm/loader.h"
#include "core/vm/loader_common.h"
#include "core/vm/vm.h"

#define MODULE_LIST (LOADER_START_INFO + sizeof(struct multiboot1_info))
#define LOADER_NAME (MODULE_LIST + sizeof(struct multiboot1_module))
#define MEMORY_MAP  LOADER_BOOT_PARAMS
#define MEMORY_MAX  8u

#define UNDERSTOOD (MULTIBOOT1_PAGE_ALIGN | MULTIBOOT1_MEMORY_INFO)

/* What the checks found out; nothing is loaded before it is complete. */
struct kernel {
	struct multiboot1_header header;
	uint64_t header_offset; /* in the file */
	gpa_t entry;
	gpa_t end; /* first byte behind all that is loaded */

	/* With MULTIBOOT1_ADDRESSES, one part: */
	uint64_t offset, file_size;
	gpa_t base;
	uint64_t size;

	struct elf elf; /* else */
};

static int refuse(const char **why, int err, const char *reason)
{
	*why = reason;
	return err;
}

/* Reads as much of the header as the file holds; what is missing is 0. */
static bool find_header(const struct loader_image *image, struct kernel *kernel)
{
	const size_t required = offsetof(struct multiboot1_header, header_addr);
	struct multiboot1_header *header = &kernel->header;
	uint64_t span = image->kernel_size;

	if (span > MULTIBOOT1_SEARCH)
		span = MULTIBOOT1_SEARCH;
	for (uint64_t at = 0; at + required <= span; at += MULTIBOOT1_ALIGN) {
		uint64_t left = image->kernel_size - at;

		memset(header, 0, sizeof(*header));
		memcpy(header, image->kernel + at, left < sizeof(*header) ? left : sizeof(*header));
		if (header->magic == MULTIBOOT1_HEADER_MAGIC &&
		    header->magic + header->flags + header->checksum == 0) {
			kernel->header_offset = at;
			return true;
		}
	}
	return false;
}

/* The address fields: one part of the file, and cleared memory behind it. */
static int check_addresses(const struct vm *vm, const struct loader_image *image,
			   struct kernel *kernel, const char **why)
{
	const struct multiboot1_header *header = &kernel->header;
	uint64_t before = (uint64_t)header->header_addr - header->load_addr;
	uint64_t left;
	int err;

	if (header->header_addr < header->load_addr || before > kernel->header_offset)
		return refuse(why, -EINVAL, "Multiboot header: load_addr lies outside the file");
	kernel->base = header->load_addr;
	kernel->offset = kernel->header_offset - before;
	left = image->kernel_size - kernel->offset;

	kernel->file_size = header->load_end_addr ? (uint64_t)header->load_end_addr - kernel->base
						  : left;
	if (kernel->file_size > left)
		return refuse(why, -EINVAL,
			      "Multiboot header: load_end_addr lies outside the file");
	kernel->size = header->bss_end_addr ? (uint64_t)header->bss_end_addr - kernel->base
					    : kernel->file_size;
	if (header->bss_end_addr && header->bss_end_addr < kernel->base + kernel->file_size)
		return refuse(why, -EINVAL, "Multiboot header: impossible bss_end_addr");
	err = loader_check_range(vm, kernel->base, kernel->size, why);
	if (err < 0)
		return err;
	kernel->end = kernel->base + kernel->size;
	kernel->entry = header->entry_addr;
	if (kernel->entry < kernel->base || kernel->entry >= kernel->end)
		return refuse(why, -EINVAL,
			      "Multiboot header: entry_addr lies outside what is loaded");
	return 0;
}

static int check_elf(const struct vm *vm, const struct loader_image *image, struct kernel *kernel,
		     const char **why)
{
	int err = elf_open(image, &kernel->elf, why);

	if (err == -ENOENT)
		return refuse(why, -EINVAL,
			      "Multiboot header: no ELF file, and no address fields either");
	if (err == 0)
		err = elf_check(vm, &kernel->elf, &kernel->end, why);
	if (err < 0)
		return err;
	kernel->entry = elf_entry(&kernel->elf);
	if (!elf_is_loaded(&kernel->elf, kernel->entry))
		return refuse(why, -EINVAL, "ELF: the entry lies in no segment");
	return 0;
}

static int check(const struct vm *vm, const struct loader_image *image, struct kernel *kernel,
		 const char **why)
{
	if (!find_header(image, kernel))
		return -ENOENT;
	if (kernel->header.flags & MULTIBOOT1_REQUIREMENTS & (uint32_t)~UNDERSTOOD)
		return refuse(why, -EINVAL,
			      "Multiboot header: requires what is not offered, as a video mode");
	if (kernel->header.flags & MULTIBOOT1_ADDRESSES)
		return check_addresses(vm, image, kernel, why);
	return check_elf(vm, image, kernel, why);
}

static int load(struct vm *vm, const struct loader_image *image, const struct kernel *kernel,
		const char **why)
{
	if (kernel->header.flags & MULTIBOOT1_ADDRESSES)
		return loader_write_part(vm, kernel->base, image->kernel + kernel->offset,
					 kernel->file_size, kernel->size, why);
	return elf_load(vm, &kernel->elf, why);
}

static void write_info(struct vm *vm, const struct loader_image *image, gpa_t initrd)
{
	static const char name[] = "Tidepool";
	struct multiboot1_info *info = loader_low_memory(vm, LOADER_START_INFO);
	struct multiboot1_module *module = loader_low_memory(vm, MODULE_LIST);
	struct multiboot1_mmap_entry *map = loader_low_memory(vm, MEMORY_MAP);
	struct vm_e820_entry e820[MEMORY_MAX];
	unsigned int count = vm_memory_map(vm, e820, MEMORY_MAX);

	for (unsigned int i = 0; i < count; i++)
		map[i] = (struct multiboot1_mmap_entry){
			.size = sizeof(map[i]) - sizeof(map[i].size),
			.base = e820[i].base,
			.length = e820[i].size,
			.type = e820[i].type,
		};
	memcpy(loader_low_memory(vm, LOADER_NAME), name, sizeof(name));
	*info = (struct multiboot1_info){
		.flags = MULTIBOOT1_INFO_MEMORY | MULTIBOOT1_INFO_CMDLINE |
			 MULTIBOOT1_INFO_MODULES | MULTIBOOT1_INFO_MEMORY_MAP |
			 MULTIBOOT1_INFO_LOADER_NAME,
		.mem_lower = VM_LOW_RAM_END / KIB,
		.mem_upper = (uint32_t)((vm_ram_below_hole(vm) - VM_HIGH_RAM) / KIB),
		.cmdline = LOADER_CMDLINE,
		.mods_addr = MODULE_LIST,
		.mmap_length = (uint32_t)(count * sizeof(*map)),
		.mmap_addr = MEMORY_MAP,
		.boot_loader_name = LOADER_NAME,
	};
	*module = (struct multiboot1_module){0};
	if (initrd) {
		module->start = (uint32_t)initrd;
		module->end = (uint32_t)(initrd + image->initrd_size);
		/* No words come with an initrd: the command line's terminator serves. */
		module->string = (uint32_t)(LOADER_CMDLINE + strlen(image->cmdline));
		info->mods_count = 1;
	}
}

int multiboot1_load(struct vm *vm, const struct loader_image *image, struct loader_entry *entry,
		    const char **why)
{
	struct kernel kernel = {0};
	gpa_t initrd;
	int err;

	err = check(vm, image, &kernel, why);
	if (err < 0)
		return err;
	err = loader_write_cmdline(vm, image, LOADER_CMDLINE_MAX - 1, why);
	if (err < 0)
		return err;
	err = loader_place_initrd(vm, image, kernel.end, VM_HOLE_BASE, &initrd, why);
	if (err < 0)
		return err;
	err = load(vm, image, &kernel, why);
	if (err < 0)
		return err;
	write_info(vm, image, initrd);

	loader_init_state(entry, SEGMENT_ATTR_CODE32);
	entry->state.cr0 = LOADER_CR0_ET | LOADER_CR0_PE;
	entry->state.rip = kernel.entry;
	entry->gpr[RAX] = MULTIBOOT1_BOOT_MAGIC;
	entry->gpr[RBX] = LOADER_START_INFO;
	return 0;
}
