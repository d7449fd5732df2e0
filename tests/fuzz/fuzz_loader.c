/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loader_load(): a kernel file that somebody else made. AddressSanitizer sees to it that nothing
 * outside the file and the guest's RAM is touched; here is checked that a guest starts inside of
 * its RAM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "core/errno.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/loader_host.h"

#define RAM	    (32 * MIB)
#define INITRD_SIZE 5000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	int ret;

	if (!ready)
		vm_begin(RAM);
	ready = true;
	image_len = size < HOST_IMAGE_MAX ? size : HOST_IMAGE_MAX;
	memcpy(image_bytes, data, image_len);
	ret = load("console=ttyS0", size % 2 ? INITRD_SIZE : 0);
	check(ret == 0 || ret == -EINVAL || ret == -ENOSPC);
	if (ret == 0)
		check(entry.state.rip < RAM);
	return 0;
}
