/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a page holds, and the only way to it: every reader and writer of a page's data goes through
 * here, so that how it is kept is nobody else's business.
 *
 * struct tmem_page.content is one word. A frame's address: the page's data. An odd number: each
 * 32-bit word of the page equals the number's upper half, and the page has no frame.
 *
 * Context of every function, unless it says otherwise: the page's shard locked, its client not.
 */
#ifndef TMEM_CONTENT_H
#define TMEM_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

struct tmem_page;

/*
 * tmem_content_scan - see whether a page needs a frame
 * @src: TMEM_PAGE_SIZE bytes; read once at most, and only as far as they repeat
 *
 * Returns the content that stands for @src, or 0: it needs a frame.
 * Context: any.
 */
uint64_t tmem_content_scan(const void *src);

/*
 * tmem_content_write - exchange the whole of a page's data
 * @src: TMEM_PAGE_SIZE bytes, page-aligned; may change meanwhile: each word stored is one that was
 *	 there during the call
 *
 * Returns whether it was stored. If not, there was no memory: the page holds what it held, which
 * rule 2 forbids to be seen again, so the caller drops it. Other ephemeral pages of the shard may
 * be gone; an ephemeral @page becomes the most recent one where memory was taken for it.
 */
bool tmem_content_write(struct tmem_page *page, const void *src);

/* tmem_content_read - copy a page's data out: TMEM_PAGE_SIZE bytes to @dst, page-aligned */
void tmem_content_read(const struct tmem_page *page, void *dst);

/* tmem_content_read_part - copy @size bytes from @offset on; they end inside of the page */
void tmem_content_read_part(const struct tmem_page *page, uint64_t offset, uint64_t size,
			    void *dst);

/*
 * tmem_content_modify - have a page's data as memory that may be written
 *
 * Returns TMEM_PAGE_SIZE bytes with the page's data, valid while the shard stays locked, or NULL
 * without memory: nothing has changed. As to other pages: see tmem_content_write().
 */
void *tmem_content_modify(struct tmem_page *page);

/*
 * tmem_content_word - the word that a filled page repeats; 0 if it is no filled page
 * tmem_content_fill - make it a filled page of that word, which never needs memory
 */
uint32_t tmem_content_word(const struct tmem_page *page);
void tmem_content_fill(struct tmem_page *page, uint32_t word);

/*
 * tmem_content_release - take the data away from a page
 *
 * Returns the frame that this makes free, still charged to the client, or NULL: none.
 * Context: shard and client lock held.
 */
void *tmem_content_release(struct tmem_page *page);

#endif
