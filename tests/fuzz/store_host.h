/* SPDX-License-Identifier: BSD-2-Clause */
/* The page store's surroundings under the fuzzer: a few blocks, which AddressSanitizer guards while
 * the store does not have them. */
#ifndef TESTS_FUZZ_STORE_HOST_H
#define TESTS_FUZZ_STORE_HOST_H

#include "tmem/tmem.h"

#define FUZZ_HOST_BLOCKS 6u

/* Start the store on a host that has @blocks blocks, at most FUZZ_HOST_BLOCKS. */
void fuzz_host_start(unsigned int blocks);

/* From now on refuse the n-th request for a block where bit n % 8 of @pattern is set. */
void fuzz_host_refuse(uint8_t pattern);

/* Take the store down; abort unless every block is back. */
void fuzz_host_stop(void);

#endif
