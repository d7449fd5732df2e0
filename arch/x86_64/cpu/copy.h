/* SPDX-License-Identifier: BSD-2-Clause */
/* Copying whole pages, past the caches or through them. */
#ifndef ARCH_CPU_COPY_H
#define ARCH_CPU_COPY_H

/*
 * copy_page_past_cache - copy a page whose copy will not be read soon
 * @dst, @src: 4 KiB each, aligned likewise, not overlapping
 *
 * The stores are non-temporal: the target's lines are not read first, and what the guest has in
 * the caches stays there. They are visible to every CPU before the function returns. The guest's
 * vector registers, live in the CPU while the hypervisor runs, come out as they went in.
 *
 * Context: any, with CR0.TS and CR0.EM clear and CR4.OSFXSR set, as they are in the hypervisor.
 */
void copy_page_past_cache(void *dst, const void *src);

/* copy_page_cached - copy a page that is read next; otherwise as above. Uses no vector register. */
void copy_page_cached(void *dst, const void *src);

#endif
