/* SPDX-License-Identifier: BSD-2-Clause */
/* Copying whole pages, past the caches or through them, and comparing them. */
#ifndef ARCH_CPU_COPY_H
#define ARCH_CPU_COPY_H

#include <stdbool.h>
#include <stdint.h>

#define COPY_KEY_WORDS 8u

/* What copies a page and tells its fingerprint: see copy_page_hashed_aes(). */
typedef uint64_t (*copy_page_hashed_fn)(void *dst, const void *src, const void *next);

/*
 * copy_init - key the fingerprints, and choose what makes them
 * @key: random words, shown to nobody: equal pages have equal fingerprints, and without the key
 *	 nobody can prepare unequal pages that have them too
 *
 * Returns the fastest routine that this CPU has. Context: once, before the first fingerprint.
 * Source: SDM vol. 2, CPUID leaf 1, ECX bit 25 (AESNI).
 */
copy_page_hashed_fn copy_init(const uint64_t key[COPY_KEY_WORDS]);

/*
 * copy_page_hashed_aes - copy a page whose copy will not be read soon, and tell its fingerprint
 * @dst, @src: 4 KiB each, aligned likewise, not overlapping; @src may change meanwhile
 * @next: a page that will be copied after this one, and whose lines are brought near meanwhile, or
 *	  NULL
 *
 * Each byte of @src is read once, so that the fingerprint is that of the bytes stored. The stores
 * are non-temporal: the target's lines are not read first, and what the guest has in the caches
 * stays there. They are visible to every CPU before the function returns. The guest's vector
 * registers, live in the CPU while the hypervisor runs, come out as they went in.
 *
 * Returns 64 bits that are the same for equal pages. No cryptographic hash: unequal pages may share
 * them, so whoever relies on equality compares the pages.
 * Context: any, with CR0.TS and CR0.EM clear and CR4.OSFXSR set, as they are in the hypervisor; a
 * CPU with AES-NI.
 */
uint64_t copy_page_hashed_aes(void *dst, const void *src, const void *next);

/* copy_page_hashed_plain - the same with other fingerprints and no vector registers; any CPU */
uint64_t copy_page_hashed_plain(void *dst, const void *src, const void *next);

/* copy_page_cached - copy a page that is read next. Uses no vector register. */
void copy_page_cached(void *dst, const void *src);

/*
 * copy_page_equal - compare two pages
 * @a: may change meanwhile: each byte of it is read once
 * @b: does not change
 *
 * Returns whether what was read of both is the same. Context: as copy_page_hashed_aes(), any CPU.
 */
bool copy_page_equal(const void *a, const void *b);

/*
 * copy_page_repeats - see whether a page is one word again and again
 * @page: may change meanwhile: each byte of it is read once
 *
 * Returns whether what was read was. Context: as copy_page_hashed_aes(), any CPU.
 */
bool copy_page_repeats(const void *page, uint64_t word);

#endif
