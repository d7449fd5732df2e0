/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What compressing costs: a page that has to be compressed or decompressed takes as long as several
 * that are copied, so whoever does many operations in a step ends it sooner.
 */
#ifndef TMEM_COST_H
#define TMEM_COST_H

#include <stdint.h>

/* The host's, counted: see struct tmem_host. */
uint32_t tmem_compress(void *dst, uint32_t cap, const void *src);
void tmem_decompress(void *dst, const void *src, uint32_t size);

#endif
