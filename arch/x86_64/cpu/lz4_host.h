/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lz4.c needs of the CPU that it runs on; a file of its own, because the unit test and the
 * benchmark, which are ordinary programs, have their own.
 */
#ifndef ARCH_CPU_LZ4_HOST_H
#define ARCH_CPU_LZ4_HOST_H

#include <stdint.h>

/*
 * lz4_host_enter - point FS at where the library finds its stack guard
 * Returns FS's base as it was, for lz4_host_leave(). Context: interrupts off.
 */
uint64_t lz4_host_enter(void);
void lz4_host_leave(uint64_t fs_base);

/* lz4_host_state - the CPU's LZ4_STATE_SIZE bytes; zeroed before the first use. */
void *lz4_host_state(void);

/* lz4_host_damaged - a compressed page is not what it was: the store's memory is not its own. */
void lz4_host_damaged(void) __attribute__((noreturn));

#endif
