/* SPDX-License-Identifier: BSD-2-Clause */
/* What core/frames.c needs of the rest, for its tests. Each defines platform_node() as it likes. */
#ifndef TESTS_UNIT_FRAMES_HOST_H
#define TESTS_UNIT_FRAMES_HOST_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/platform.h"
#include "core/frames.h"
#include "core/panic.h"

uint64_t image_load_base;

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	abort();
}

#endif
