/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads an ELF file that has a PVH note: segments to their physical addresses, the start info
 * below 1 MiB, entry in 32-bit protected mode without paging.
 *
 * The file is hostile: every offset is checked against its size and every address against the
 * guest's RAM before a byte is copied.
 *
 * Documents: System V ABI "Object Files"; Xen docs/misc/pvh.pandoc.
 */
#include "core/errno.h"
#include "core/string.h"
#include "core/vm/elf.h"
#include "core/vm/loader.h"
#include "core/vm/loader_common.h"
#include "core/vm/pvh_start_info.h"
#include "core/vm/vm.h"

#define MAX_PHDRS   64u
#define MODULE_LIST (LOADER_START_INFO + sizeof(struct pvh_start_info))
#define MEMORY_MAP  LOADER_BOOT_PARAMS
#define MEMORY_MAX  8u
#define NO_ENTRY    UINT64_MAX

/* What is read of the file's header, whichever its class. */
struct elf {
	const struct loader_image *image;
	bool is64;
	uint64_t phoff;
	uint32_t phnum;
};

static int refuse(const char **why, int err, const char *reason)
{
	*why = reason;
	return err;
}

/* Whether @size bytes from @offset on lie in the file. */
static bool in_file(const struct elf *elf, uint64_t offset, uint64_t size)
{
	return offset <= elf->image->kernel_size && size <= elf->image->kernel_size - offset;
}

static int read_header(struct elf *elf, const char **why)
{
	const struct loader_image *image = elf->image;
	struct elf_ident ident;
	struct elf64_header h64;
	struct elf32_header h32;

	if (image->kernel_size < sizeof(ident))
		return -ENOENT;
	memcpy(&ident, image->kernel, sizeof(ident));
	if (ident.magic != ELF_MAGIC)
		return -ENOENT;
	elf->is64 = ident.class == ELF_CLASS_64;
	if ((!elf->is64 && ident.class != ELF_CLASS_32) || ident.data != ELF_DATA_LSB)
		return refuse(why, -EINVAL, "ELF: neither 32-bit nor 64-bit little-endian");
	if (!in_file(elf, 0, elf->is64 ? sizeof(h64) : sizeof(h32)))
		return refuse(why, -EINVAL, "ELF: the file ends inside its header");

	memset(&h64, 0, sizeof(h64));
	if (elf->is64) {
		memcpy(&h64, image->kernel, sizeof(h64));
	} else {
		memcpy(&h32, image->kernel, sizeof(h32));
		h64.type = h32.type;
		h64.machine = h32.machine;
		h64.phoff = h32.phoff;
		h64.phentsize = h32.phentsize;
		h64.phnum = h32.phnum;
	}
	if (h64.type != ELF_TYPE_EXEC ||
	    (h64.machine != ELF_MACH_AMD64 && h64.machine != ELF_MACH_386))
		return refuse(why, -EINVAL, "ELF: no executable for x86");
	if (h64.phentsize != (elf->is64 ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)) ||
	    h64.phnum > MAX_PHDRS || !in_file(elf, h64.phoff, (uint64_t)h64.phnum * h64.phentsize))
		return refuse(why, -EINVAL, "ELF: malformed table of segments");
	elf->phoff = h64.phoff;
	elf->phnum = h64.phnum;
	return 0;
}

/* Segment @i, in the wider form. read_header() has made sure that it is in the file. */
static struct elf64_phdr read_phdr(const struct elf *elf, uint32_t i)
{
	const uint8_t *table = elf->image->kernel + elf->phoff;
	struct elf64_phdr p64;
	struct elf32_phdr p32;

	if (elf->is64) {
		memcpy(&p64, table + i * sizeof(p64), sizeof(p64));
		return p64;
	}
	memcpy(&p32, table + i * sizeof(p32), sizeof(p32));
	return (struct elf64_phdr){.type = p32.type,
				   .offset = p32.offset,
				   .paddr = p32.paddr,
				   .filesz = p32.filesz,
				   .memsz = p32.memsz,
				   .align = p32.align};
}

/* Looks for the entry's note in a segment that lies in the file; NO_ENTRY when it is not there. */
static uint64_t find_entry_note(const struct elf *elf, const struct elf64_phdr *segment)
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

/*
 * Checks every segment and finds the entry. @end is the first byte behind the highest of them.
 */
static int check(const struct vm *vm, const struct elf *elf, uint64_t *entry, gpa_t *end,
		 const char **why)
{
	uint64_t ram = vm_ram_below_hole(vm);
	bool entry_loaded = false;

	*entry = NO_ENTRY;
	*end = VM_HIGH_RAM;
	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf64_phdr segment = read_phdr(elf, i);

		if (segment.type != ELF_PT_LOAD && segment.type != ELF_PT_NOTE)
			continue;
		if (!in_file(elf, segment.offset, segment.filesz))
			return refuse(why, -EINVAL, "ELF: a segment lies outside the file");
		if (segment.type == ELF_PT_NOTE) {
			if (*entry == NO_ENTRY)
				*entry = find_entry_note(elf, &segment);
			continue;
		}
		if (segment.filesz > segment.memsz)
			return refuse(why, -EINVAL, "ELF: a segment is longer than its memory");
		if (segment.memsz == 0)
			continue;
		if (segment.paddr < VM_HIGH_RAM)
			return refuse(why, -EINVAL, "ELF: a segment lies below 1 MiB");
		if (segment.paddr > ram || segment.memsz > ram - segment.paddr)
			return refuse(why, -ENOSPC,
				      "ELF: a segment does not fit the guest's memory");
		if (segment.paddr + segment.memsz > *end)
			*end = segment.paddr + segment.memsz;
	}
	if (*entry == NO_ENTRY)
		return refuse(why, -EINVAL, "ELF: no PVH note with a 32-bit entry");

	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf64_phdr segment = read_phdr(elf, i);

		if (segment.type == ELF_PT_LOAD && *entry >= segment.paddr &&
		    *entry - segment.paddr < segment.memsz)
			entry_loaded = true;
	}
	if (!entry_loaded)
		return refuse(why, -EINVAL, "ELF: the PVH entry lies in no segment");
	return 0;
}

static int clear_guest(struct vm *vm, gpa_t gpa, uint64_t size)
{
	static const uint8_t zeros[PAGE_SIZE];

	while (size > 0) {
		uint64_t n = size < sizeof(zeros) ? size : sizeof(zeros);
		int err = vm_write_guest(vm, gpa, zeros, n);

		if (err < 0)
			return err;
		gpa += n;
		size -= n;
	}
	return 0;
}

static int load_segments(struct vm *vm, const struct elf *elf)
{
	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf64_phdr segment = read_phdr(elf, i);
		int err;

		if (segment.type != ELF_PT_LOAD)
			continue;
		err = vm_write_guest(vm, segment.paddr, elf->image->kernel + segment.offset,
				     segment.filesz);
		if (err < 0)
			return err;
		err = clear_guest(vm, segment.paddr + segment.filesz,
				  segment.memsz - segment.filesz);
		if (err < 0)
			return err;
	}
	return 0;
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
	struct elf elf = {.image = image};
	uint64_t start;
	gpa_t end, initrd;
	int err;

	err = read_header(&elf, why);
	if (err < 0)
		return err;
	err = check(vm, &elf, &start, &end, why);
	if (err < 0)
		return err;
	err = loader_write_cmdline(vm, image, LOADER_CMDLINE_MAX - 1, why);
	if (err < 0)
		return err;
	err = loader_place_initrd(vm, image, end, VM_HOLE_BASE, &initrd, why);
	if (err < 0)
		return err;
	err = load_segments(vm, &elf);
	if (err < 0)
		return refuse(why, err, "ELF: a segment does not fit the guest's memory");
	write_start_info(vm, image, initrd);

	loader_init_state(entry, SEGMENT_ATTR_CODE32);
	entry->state.cr0 = LOADER_CR0_ET | LOADER_CR0_PE;
	entry->state.rip = start;
	entry->gpr[RBX] = LOADER_START_INFO;
	return 0;
}
