/* SPDX-License-Identifier: BSD-2-Clause */
/* What the fuzz targets share: libFuzzer's entry, and a check that ends the run with the input. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* One input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer keeps the input that led to an abort. */
static inline void check(_Bool good)
{
	if (!good)
		abort();
}

#endif
