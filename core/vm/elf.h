/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF executables: the parts of the format that a loader reads, and what the loaders share.
 * Documents: System V ABI, "Object Files" and "Program Loading".
 */
#ifndef CORE_VM_ELF_H
#define CORE_VM_ELF_H

#include "core/types.h"

#define ELF_MAGIC      0x464c457fu /* "\x7f" "ELF" */
#define ELF_CLASS_32   1u
#define ELF_CLASS_64   2u
#define ELF_DATA_LSB   1u
#define ELF_TYPE_EXEC  2u
#define ELF_MACH_386   3u
#define ELF_MACH_AMD64 62u
#define ELF_PT_LOAD    1u
#define ELF_PT_NOTE    4u

struct elf_ident {
	uint32_t magic;
	uint8_t class, data, version;
	uint8_t unused[9];
};

struct elf32_header {
	struct elf_ident ident;
	uint16_t type, machine;
	uint32_t version;
	uint32_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64_header {
	struct elf_ident ident;
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf32_phdr {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf64_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_note {
	uint32_t namesz, descsz, type; /* then name and descriptor, each padded */
};

_Static_assert(sizeof(struct elf32_header) == 52, "Elf32_Ehdr");
_Static_assert(sizeof(struct elf64_header) == 64, "Elf64_Ehdr");
_Static_assert(sizeof(struct elf32_phdr) == 32, "Elf32_Phdr");
_Static_assert(sizeof(struct elf64_phdr) == 56, "Elf64_Phdr");

struct loader_image;
struct vm;

/* What is read of the file's header, whichever its class. */
struct elf {
	const struct loader_image *image;
	bool is64;
	uint64_t entry; /* virtual */
	uint64_t phoff;
	uint32_t phnum;
};

/*
 * elf_open - read the file's header
 * Returns 0, -ENOENT (no ELF file) or -EINVAL with *why; the table of segments lies in the file.
 */
int elf_open(const struct loader_image *image, struct elf *elf, const char **why);

/* elf_segment - segment @i, below phnum, in the wider form; unchecked. */
struct elf64_phdr elf_segment(const struct elf *elf, uint32_t i);

/* elf_in_file - whether a segment's bytes all lie in the file. */
bool elf_in_file(const struct elf *elf, const struct elf64_phdr *segment);

/*
 * elf_check - whether all segments that are to be loaded lie in the file and in the guest's RAM
 * @end: the first byte behind the highest of them, at least VM_HIGH_RAM
 * Returns 0, -EINVAL or -ENOSPC with *why.
 */
int elf_check(const struct vm *vm, const struct elf *elf, gpa_t *end, const char **why);

/* elf_is_loaded - whether a guest-physical byte lies in one of the segments. */
bool elf_is_loaded(const struct elf *elf, gpa_t gpa);

/* elf_entry - the header's entry as a physical address; as it is when it lies in no segment. */
gpa_t elf_entry(const struct elf *elf);

/* elf_load - copy the segments, elf_check() has accepted them. Returns 0 or -EFAULT with *why. */
int elf_load(struct vm *vm, const struct elf *elf, const char **why);

#endif
