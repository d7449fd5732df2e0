/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads a kernel into a guest's RAM and says how its first vCPU starts. One file a format:
 * bzimage.c (Linux, 64-bit entry), pvh.c (ELF with a PVH note), multiboot1.c (Multiboot 1 header):
 * the last two for test guests and unikernels.
 */
#ifndef CORE_VM_LOADER_H
#define CORE_VM_LOADER_H

#include "arch/x86_64/virt.h"
#include "core/types.h"

struct vm;

struct loader_image {
	const uint8_t *kernel; /* the module, in host memory; hostile as any guest input */
	uint64_t kernel_size;
	const uint8_t *initrd; /* NULL: none */
	uint64_t initrd_size;
	const char *cmdline;
	gpa_t rsdp; /* where vm_acpi_build() put the RSDP */
};

struct loader_entry {
	struct vcpu_state state;
	uint64_t gpr[GPR_COUNT];
};

/*
 * loader_load - recognise the format and load
 * @why: on error a phrase that says what is wrong: "is neither a bzImage nor ..."
 *
 * Returns 0, -EINVAL (not a kernel we know, or a malformed one), -ENOSPC (does not fit the RAM).
 * Context: before the VM's first entry.
 */
int loader_load(struct vm *vm, const struct loader_image *image, struct loader_entry *entry,
		const char **why);

/* The formats, each: -ENOENT when the image is not of its kind, else as loader_load(). */
int bzimage_load(struct vm *vm, const struct loader_image *image, struct loader_entry *entry,
		 const char **why);
int pvh_load(struct vm *vm, const struct loader_image *image, struct loader_entry *entry,
	     const char **why);
int multiboot1_load(struct vm *vm, const struct loader_image *image, struct loader_entry *entry,
		    const char **why);

/*
 * vm_acpi_build - write RSDP, XSDT, FADT, MADT and DSDT at VM_ACPI_BASE
 * Returns the RSDP's address, 0 if the tables do not fit in VM_ACPI_SIZE.
 */
gpa_t vm_acpi_build(struct vm *vm);

/*
 * vm_memory_map - the guest's memory map, in the format of Linux's boot_e820_entry
 * Returns the number of entries written, at most @max.
 */
struct vm_e820_entry {
	uint64_t base, size;
	uint32_t type; /* 1 RAM, 2 reserved */
} __attribute__((packed));
unsigned int vm_memory_map(const struct vm *vm, struct vm_e820_entry *map, unsigned int max);

#endif
