/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads ELF executables of both classes and loads their segments: see elf.h
 *
 * The file is hostile: every offset is checked against its size and every address against the
 * guest's RAM before a byte is copied.
 *
 * Documents: System V ABI, "Object Files" and "Program Loading".
 */
#include "core/vm/elf.h"
#include "core/errno.h"
#include "core/string.h"
#include "core/vm/loader.h"
#include "core/vm/loader_common.h"
#include "core/vm/vm.h"

#define MAX_PHDRS 64u

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

bool elf_in_file(const struct elf *elf, const struct elf64_phdr *segment)
{
	return in_file(elf, segment->offset, segment->filesz);
}

int elf_open(const struct loader_image *image, struct elf *elf, const char **why)
{
	struct elf_ident ident;
	struct elf64_header h64;
	struct elf32_header h32;

	*elf = (struct elf){.image = image};
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
		h64.entry = h32.entry;
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
	elf->entry = h64.entry;
	elf->phoff = h64.phoff;
	elf->phnum = h64.phnum;
	return 0;
}

struct elf64_phdr elf_segment(const struct elf *elf, uint32_t i)
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
				   .vaddr = p32.vaddr,
				   .paddr = p32.paddr,
				   .filesz = p32.filesz,
				   .memsz = p32.memsz,
				   .align = p32.align};
}

int elf_check(const struct vm *vm, const struct elf *elf, gpa_t *end, const char **why)
{
	*end = VM_HIGH_RAM;
	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf64_phdr segment = elf_segment(elf, i);
		int err;

		if (segment.type != ELF_PT_LOAD)
			continue;
		if (!elf_in_file(elf, &segment))
			return refuse(why, -EINVAL, "ELF: a segment lies outside the file");
		if (segment.filesz > segment.memsz)
			return refuse(why, -EINVAL, "ELF: a segment is longer than its memory");
		if (segment.memsz == 0)
			continue;
		err = loader_check_range(vm, segment.paddr, segment.memsz, why);
		if (err < 0)
			return err;
		if (segment.paddr + segment.memsz > *end)
			*end = segment.paddr + segment.memsz;
	}
	return 0;
}

bool elf_is_loaded(const struct elf *elf, gpa_t gpa)
{
	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf64_phdr segment = elf_segment(elf, i);

		if (segment.type == ELF_PT_LOAD && gpa >= segment.paddr &&
		    gpa - segment.paddr < segment.memsz)
			return true;
	}
	return false;
}

gpa_t elf_entry(const struct elf *elf)
{
	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf64_phdr segment = elf_segment(elf, i);

		if (segment.type == ELF_PT_LOAD && elf->entry >= segment.vaddr &&
		    elf->entry - segment.vaddr < segment.memsz)
			return segment.paddr + (elf->entry - segment.vaddr);
	}
	return elf->entry;
}

int elf_load(struct vm *vm, const struct elf *elf, const char **why)
{
	for (uint32_t i = 0; i < elf->phnum; i++) {
		struct elf64_phdr segment = elf_segment(elf, i);
		int err;

		if (segment.type != ELF_PT_LOAD)
			continue;
		err = loader_write_part(vm, segment.paddr, elf->image->kernel + segment.offset,
					segment.filesz, segment.memsz, why);
		if (err < 0)
			return err;
	}
	return 0;
}
