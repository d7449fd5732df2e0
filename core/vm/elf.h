/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of an ELF file that a loader reads.
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

#endif
