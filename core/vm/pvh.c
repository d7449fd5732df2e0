/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads an ELF file that has a PVH note: segments to their physical addresses, the start info
 * below 1 MiB, entry in 32-bit protected mode without paging.
 *
 * Documents: Xen docs/misc/pvh.pandoc.
 */
#include "core/errno.h"
#include "core/string.h"
#include "core/vm/elf.h"
#include "core/vm/loader.h"
#include "core/vm/loader_common.h"
#include "core/vm/pvh_start_info.h"
#include "core/vm/vm.h"

#define MODULE_LIST (LOADER_START_INFO + sizeof(struct pvh_start_info))
#define MEMORY_MAP  LOADER_BOOT_PARAMS
#define MEMORY_MAX  8u
#define NO_ENTRY    UINT64_MAX

/* Looks for the entry's note in a segment that lies in the file; NO_ENTRY when it is not there. */
static uint64_t find_in_segment(const struct elf *elf, const struct elf64_phdr *segment)
{
	uint64_t align = segment->align == 8 ? 8 : 4;
	uint64_t at = segment->offset, end = segment->offset + segment->filesz;
	const uint8_t *file = elf->image->kernel;
	struct elf_note note;

	while (end - at >= sizeof(note)) {
		uint64_t name, desc, value = 0;

		memcpy(&note, file + at, sizeof(note));
		name = at + sizeof(note);
		desc = ALIGN_UP(name + note.namesz - segment->offset, align) + segment->offset;
		if (desc > end || note.descsz > end - desc)
			break;
		if (note.type == PVH_NOTE_PHYS32_ENTRY && note.namesz == sizeof(PVH_NOTE_NAME) &&
		    memcmp(file + name, PVH_NOTE_NAME, sizeof(PVH_NOTE_NAME)) == 0 &&
		    (note.descsz == 4 || note.descsz == 8)) {
			memcpy(&value, file + desc, note.descsz);
			return value;
		}
		at = ALIGN_UP(desc + note.descsz - segment->offset, align) + segment->offset;
		if (at > end)
			break;
	}
	return NO_ENTRY;
}

static uint64_t find_entry(const struct elf *elf)
{
	uint64_t entry = NO_ENTRY;

	for (uint32_t i = 0; i < elf->phnum && entry == NO_ENTRY; i++) {
		struct elf64_phdr segment = elf_segment(elf, i);

		if (segment.type == ELF_PT_NOTE && elf_in_file(elf, &segment))
			entry = find_in_segment(elf, &segment);
	}
	return entry;
}

static void write_start_info(struct vm *vm, const struct loader_image *image, gpa_t initrd)
{
	struct pvh_start_info *info = loader_low_memory(vm, LOADER_START_INFO);
	struct pvh_module *module = loader_low_memory(vm, MODULE_LIST);
	struct pvh_memmap_entry *map = loader_low_memory(vm, MEMORY_MAP);
	struct vm_e820_entry e820[MEMORY_MAX];
	unsigned int count = vm_memory_map(vm, e820, MEMORY_MAX);

	for (unsigned int i = 0; i < count; i++)
		map[i] = (struct pvh_memmap_entry){
			.addr = e820[i].base, .size = e820[i].size, .type = e820[i].type};
	*info = (struct pvh_start_info){
		.magic = PVH_START_MAGIC,
		.version = 1,
		.cmdline_paddr = LOADER_CMDLINE,
		.rsdp_paddr = image->rsdp,
		.memmap_paddr = MEMORY_MAP,
		.memmap_entries = count,
	};
	if (initrd) {
		*module = (struct pvh_module){.paddr = initrd, .size = image->initrd_size};
		info->nr_modules = 1;
		info->modlist_paddr = MODULE_LIST;
	}
}

int pvh_load(struct vm *vm, const struct loader_image *image, struct loader_entry *entry,
	     const char **why)
{
	struct elf elf;
	uint64_t start;
	gpa_t end, initrd;
	int err;

	err = elf_open(image, &elf, why);
	if (err < 0)
		return err;
	start = find_entry(&elf);
	if (start == NO_ENTRY)
		return -ENOENT;
	err = elf_check(vm, &elf, &end, why);
	if (err < 0)
		return err;
	if (!elf_is_loaded(&elf, start)) {
		*why = "ELF: the PVH entry lies in no segment";
		return -EINVAL;
	}
	err = loader_write_cmdline(vm, image, LOADER_CMDLINE_MAX - 1, why);
	if (err < 0)
		return err;
	err = loader_place_initrd(vm, image, end, VM_HOLE_BASE, &initrd, why);
	if (err < 0)
		return err;
	err = elf_load(vm, &elf, why);
	if (err < 0)
		return err;
	write_start_info(vm, image, initrd);

	loader_init_state(entry, SEGMENT_ATTR_CODE32);
	entry->state.cr0 = LOADER_CR0_ET | LOADER_CR0_PE;
	entry->state.rip = start;
	entry->gpr[RBX] = LOADER_START_INFO;
	return 0;
}
