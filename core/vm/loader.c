/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tries the known kernel formats in turn.
 */
#include "core/vm/loader.h"
#include "core/errno.h"
#include "core/types.h"

static int (*const formats[])(struct vm *vm, const struct loader_image *image,
			      struct loader_entry *entry, const char **why) = {
	bzimage_load,
	pvh_load, /* before the next: it tells a kernel more */
	multiboot1_load,
};

int loader_load(struct vm *vm, const struct loader_image *image, struct loader_entry *entry,
		const char **why)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(formats); i++) {
		int err = formats[i](vm, image, entry, why);

		if (err != -ENOENT)
			return err;
	}
	*why = "is neither a bzImage nor an ELF file with a PVH note nor has a Multiboot 1 header";
	return -EINVAL;
}
