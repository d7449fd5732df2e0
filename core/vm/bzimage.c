/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads a Linux bzImage by its 64-bit entry: the kernel at its preferred address, the initrd at
 * the top, zero page, command line, page tables and GDT below 1 MiB.
 *
 * Every field of the image is the guest owner's word only: what comes out of it is a place in the
 * guest's own RAM or a refusal.
 *
 * Documents: Linux Documentation/arch/x86/boot.rst, "64-bit Boot Protocol".
 */
#include "core/errno.h"
#include "core/string.h"
#include "core/vm/linux_boot.h"
#include "core/vm/loader.h"
#include "core/vm/loader_common.h"
#include "core/vm/vm.h"

#define TABLE_ENTRIES 512u
#define IDENTITY_GIB  4u /* the entry code may reach all below 4 GiB */
#define PTE_PRESENT   BIT(0)
#define PTE_WRITE     BIT(1)
#define PTE_LARGE     BIT(7)
#define GDT_NULL      0x0000000000000000ull
#define GDT_CODE64    0x00af9b000000ffffull
#define GDT_DATA32    0x00cf93000000ffffull

/* What the checks of the image found out; nothing is loaded before it is complete. */
struct bzimage {
	struct linux_setup_header hdr;
	uint64_t hdr_size;    /* bytes of setup header that the zero page takes over */
	uint64_t code_offset; /* of the protected-mode part in the file */
	uint64_t code_size;
	gpa_t base; /* where it goes */
};

static int refuse(const char **why, int err, const char *reason)
{
	*why = reason;
	return err;
}

static bool is_bzimage(const struct loader_image *image, struct linux_setup_header *hdr)
{
	if (image->kernel_size < LINUX_SETUP_HEADER + sizeof(*hdr))
		return false;
	memcpy(hdr, image->kernel + LINUX_SETUP_HEADER, sizeof(*hdr));
	return hdr->boot_flag == LINUX_BOOT_FLAG && hdr->header == LINUX_HEADER_MAGIC;
}

/* Fills @bz from the header, every field checked against file and RAM. */
static int check(const struct vm *vm, const struct loader_image *image, struct bzimage *bz,
		 const char **why)
{
	const struct linux_setup_header *hdr = &bz->hdr;
	uint64_t ram = vm_ram_below_hole(vm);
	uint64_t sects;

	if (!is_bzimage(image, &bz->hdr))
		return -ENOENT;
	if (hdr->version < LINUX_PROTOCOL_MIN)
		return refuse(why, -EINVAL, "bzImage: older than boot protocol 2.12");
	if (!(hdr->xloadflags & LINUX_XLF_KERNEL_64) || !(hdr->loadflags & LINUX_LOADED_HIGH))
		return refuse(why, -EINVAL, "bzImage: no 64-bit entry");

	/* The header ends where its jump leads; the zero page has room for so much. */
	bz->hdr_size = offsetof(struct linux_setup_header, header) + hdr->jump_distance;
	if (bz->hdr_size < sizeof(*hdr) ||
	    bz->hdr_size > offsetof(struct linux_boot_params, hdr_end) - LINUX_SETUP_HEADER)
		return refuse(why, -EINVAL, "bzImage: impossible length of the setup header");

	sects = hdr->setup_sects ? hdr->setup_sects : LINUX_SETUP_SECTS_IF_0;
	bz->code_offset = (sects + 1) * LINUX_SECTOR;
	bz->code_size = (uint64_t)hdr->syssize * LINUX_PARAGRAPH;
	if (bz->code_offset >= image->kernel_size ||
	    bz->code_size > image->kernel_size - bz->code_offset)
		return refuse(why, -EINVAL, "bzImage: the file is shorter than its header says");
	if (bz->code_size <= LINUX_ENTRY_64)
		return refuse(why, -EINVAL, "bzImage: ends before its entry point");
	if (hdr->init_size < bz->code_size)
		return refuse(why, -EINVAL, "bzImage: init_size is less than the kernel's size");

	bz->base = hdr->pref_address;
	if (bz->base < VM_HIGH_RAM || !IS_ALIGNED(bz->base, PAGE_SIZE))
		return refuse(why, -EINVAL, "bzImage: impossible preferred address");
	if (bz->base > ram || hdr->init_size > ram - bz->base)
		return refuse(why, -ENOSPC, "the kernel does not fit the guest's memory");
	return 0;
}

/* Identity-maps the first 4 GiB in 2 MiB pages. */
static void write_page_tables(struct vm *vm)
{
	uint64_t *root = loader_low_memory(vm, LOADER_PAGE_TABLES);
	uint64_t *directories = root + TABLE_ENTRIES;
	uint64_t *pages = directories + TABLE_ENTRIES;
	gpa_t next = LOADER_PAGE_TABLES + PAGE_SIZE;

	memset(root, 0, 2 * PAGE_SIZE);
	root[0] = next | PTE_PRESENT | PTE_WRITE;
	for (unsigned int i = 0; i < IDENTITY_GIB; i++)
		directories[i] = (next + (i + 1) * PAGE_SIZE) | PTE_PRESENT | PTE_WRITE;
	for (uint64_t i = 0; i < IDENTITY_GIB * TABLE_ENTRIES; i++)
		pages[i] = (i << BLOCK_SHIFT) | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
}

static uint16_t write_gdt(struct vm *vm)
{
	static const uint64_t gdt[] = {
		[LOADER_SELECTOR_CODE / 8] = GDT_CODE64,
		[LOADER_SELECTOR_DATA / 8] = GDT_DATA32,
	};

	memcpy(loader_low_memory(vm, LOADER_GDT), gdt, sizeof(gdt));
	return sizeof(gdt) - 1;
}

static void write_boot_params(struct vm *vm, const struct loader_image *image,
			      const struct bzimage *bz, gpa_t initrd)
{
	struct linux_boot_params *params = loader_low_memory(vm, LOADER_BOOT_PARAMS);

	memset(params, 0, sizeof(*params));
	memcpy(&params->hdr, image->kernel + LINUX_SETUP_HEADER, bz->hdr_size);
	params->hdr.type_of_loader = LINUX_LOADER_UNDEFINED;
	params->hdr.code32_start = (uint32_t)bz->base;
	params->hdr.cmd_line_ptr = (uint32_t)LOADER_CMDLINE;
	params->hdr.ramdisk_image = (uint32_t)initrd;
	params->hdr.ramdisk_size = initrd ? (uint32_t)image->initrd_size : 0;
	params->hdr.setup_data = 0;
	params->acpi_rsdp_addr = image->rsdp;
	params->e820_entries = (uint8_t)vm_memory_map(vm, params->e820_table,
						      ARRAY_SIZE(params->e820_table));
}

int bzimage_load(struct vm *vm, const struct loader_image *image, struct loader_entry *entry,
		 const char **why)
{
	struct bzimage bz;
	gpa_t initrd;
	int err;

	err = check(vm, image, &bz, why);
	if (err < 0)
		return err;
	err = loader_write_cmdline(vm, image, bz.hdr.cmdline_size, why);
	if (err < 0)
		return err;
	err = loader_place_initrd(vm, image, bz.base + bz.hdr.init_size,
				  (uint64_t)bz.hdr.initrd_addr_max + 1, &initrd, why);
	if (err < 0)
		return err;
	err = vm_write_guest(vm, bz.base, image->kernel + bz.code_offset, bz.code_size);
	if (err < 0)
		return refuse(why, err, "the kernel does not fit the guest's memory");
	write_page_tables(vm);
	write_boot_params(vm, image, &bz, initrd);

	loader_init_state(entry, SEGMENT_ATTR_CODE64);
	entry->state.cr0 = LOADER_CR0_PG | LOADER_CR0_NE | LOADER_CR0_ET | LOADER_CR0_PE;
	entry->state.cr3 = LOADER_PAGE_TABLES;
	entry->state.cr4 = LOADER_CR4_PAE;
	entry->state.efer = LOADER_EFER_LME | LOADER_EFER_LMA;
	entry->state.gdtr.base = LOADER_GDT;
	entry->state.gdtr.limit = write_gdt(vm);
	entry->state.rip = bz.base + LINUX_ENTRY_64;
	entry->gpr[RSI] = LOADER_BOOT_PARAMS;
	return 0;
}
