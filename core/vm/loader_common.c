/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps that do not depend on a kernel's format.
 */
#include "core/vm/loader_common.h"
#include "core/errno.h"
#include "core/panic.h"
#include "core/string.h"
#include "core/vm/vm.h"

#define TSS_LIMIT 0x67u /* of a TSS without an I/O bitmap, the smallest that a CPU takes */

void *loader_low_memory(struct vm *vm, gpa_t gpa)
{
	BUG_ON(gpa >= BLOCK_SIZE);
	return vm_gpa_to_host(vm, gpa);
}

int loader_write_cmdline(struct vm *vm, const struct loader_image *image, uint64_t max,
			 const char **why)
{
	size_t len = strlen(image->cmdline);

	if (len > max || len >= LOADER_CMDLINE_MAX) {
		*why = "the command line behind \"--\" is longer than this kernel takes";
		return -EINVAL;
	}
	memcpy(loader_low_memory(vm, LOADER_CMDLINE), image->cmdline, len + 1);
	return 0;
}

int loader_place_initrd(struct vm *vm, const struct loader_image *image, gpa_t floor, gpa_t limit,
			gpa_t *base, const char **why)
{
	uint64_t top = vm_ram_below_hole(vm);

	*base = 0;
	if (!image->initrd || image->initrd_size == 0)
		return 0;
	if (limit < top)
		top = limit;
	if (top < floor || top - floor < image->initrd_size ||
	    ALIGN_DOWN(top - image->initrd_size, PAGE_SIZE) < floor) {
		*why = "kernel and initrd together do not fit the guest's memory";
		return -ENOSPC;
	}
	*base = ALIGN_DOWN(top - image->initrd_size, PAGE_SIZE);
	return vm_write_guest(vm, *base, image->initrd, image->initrd_size);
}

int loader_check_range(const struct vm *vm, gpa_t gpa, uint64_t size, const char **why)
{
	uint64_t ram = vm_ram_below_hole(vm);

	if (gpa < VM_HIGH_RAM) {
		*why = "a part of the kernel belongs below 1 MiB";
		return -EINVAL;
	}
	if (gpa > ram || size > ram - gpa) {
		*why = "a part of the kernel does not fit the guest's memory";
		return -ENOSPC;
	}
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

int loader_write_part(struct vm *vm, gpa_t gpa, const uint8_t *bytes, uint64_t file_size,
		      uint64_t size, const char **why)
{
	int err = vm_write_guest(vm, gpa, bytes, file_size);

	if (err == 0)
		err = clear_guest(vm, gpa + file_size, size - file_size);
	if (err < 0)
		*why = "a part of the kernel does not fit the guest's memory";
	return err;
}

void loader_init_state(struct loader_entry *entry, uint32_t code_attr)
{
	static const enum segment data[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};
	struct vcpu_state *state = &entry->state;

	memset(entry, 0, sizeof(*entry));
	state->rflags = LOADER_RFLAGS_ONE;
	state->seg[SEG_CS] = (struct vcpu_segment){
		.selector = LOADER_SELECTOR_CODE, .attr = code_attr, .limit = UINT32_MAX};
	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++)
		state->seg[data[i]] = (struct vcpu_segment){.selector = LOADER_SELECTOR_DATA,
							    .attr = SEGMENT_ATTR_DATA32,
							    .limit = UINT32_MAX};
	state->seg[SEG_LDTR] = (struct vcpu_segment){.attr = SEGMENT_ATTR_UNUSABLE};
	state->seg[SEG_TR] = (struct vcpu_segment){.attr = SEGMENT_ATTR_TSS64, .limit = TSS_LIMIT};
}
