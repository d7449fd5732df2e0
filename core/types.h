/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The integer kinds that must not mix, and the few macros everybody needs. Compiles on the host
 * too.
 */
#ifndef CORE_TYPES_H
#define CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t gpa_t; /* guest-physical address, bytes */
typedef uint64_t hpa_t; /* host-physical address, bytes */
typedef uint64_t gva_t; /* guest-virtual (linear) address, bytes */
typedef uint64_t gfn_t; /* guest frame number: gpa >> PAGE_SHIFT */
typedef uint64_t pfn_t; /* host frame number: hpa >> PAGE_SHIFT */

#define PAGE_SHIFT  12
#define PAGE_SIZE   4096ul
#define BLOCK_SHIFT 21
#define BLOCK_SIZE  (1ul << BLOCK_SHIFT) /* 2 MiB: the unit that memory changes owner in */
#define KIB	    (1ul << 10)
#define MIB	    (1ul << 20)
#define GIB	    (1ul << 30)

#define ARRAY_SIZE(a)		      (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)		      (((x) + ((a)-1)) & ~((a)-1)) /* a: a power of two */
#define ALIGN_DOWN(x, a)	      ((x) & ~((a)-1))
#define IS_ALIGNED(x, a)	      (((x) & ((a)-1)) == 0)
#define BIT(n)			      (1ull << (n))
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#endif
