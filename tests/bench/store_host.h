/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The surroundings of the page store in its benchmark: memory that was touched before the clock
 * runs, in 2 MiB pages, and the copy that the hypervisor uses.
 */
#ifndef TESTS_BENCH_STORE_HOST_H
#define TESTS_BENCH_STORE_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "tmem/tmem.h"

#define HOST_PAGES	  (1u << 18) /* of each arena: 1 GiB */
#define HOST_ZERO_PAGES	  (1u << 16)
#define HOST_CPUS	  4u	/* more than there are threads at once */
#define HOST_STORE_BLOCKS 2240u /* of 2 MiB: a million pages and what they take beside */

/* @size bytes, aligned to 2 MiB, zero; touched, in 2 MiB pages, if @now. Ends the program without.
 */
void *host_map(uint64_t size, bool now);
void host_unmap(void *area, uint64_t size);

/* Make the guest's arenas and the blocks that the store gets, then the store. */
void host_start(void);

/* Take the store down and all memory back. */
void host_stop(void);

/* Whether the store gets no more blocks. */
void host_refuse(bool refuse);

/*
 * The guest's pages, in an order that visits each of them once before any comes twice: to read
 * from, each with contents of its own; to write to; to read zeroes from.
 */
void *host_source(uint64_t n);
void *host_target(uint64_t n);
void *host_zero(uint64_t n);

/* M: copy a page that is in no cache to one that is in none either. */
void host_copy(uint64_t n);

/*
 * Set up a store whose blocks come out of @size bytes of address space, where memory appears when
 * it is touched, and whose copy does nothing: a store without contents, to be measured at sizes
 * that this machine has no memory for.
 */
void host_start_hollow(uint64_t size);

/* Give the hollow store's metadata 2 MiB pages, which is what the hypervisor maps it with. */
void host_collapse(void);

#endif
