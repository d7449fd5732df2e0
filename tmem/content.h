/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a page holds, and the only way to it: every reader and writer of a page's data goes through
 * here, so that how it is kept is nobody else's business.
 *
 * struct tmem_page.content is one word, of one of these kinds: a frame's address, of the page's
 * data, in a frame of its own; the 32-bit word that the page repeats, and there is no frame; the
 * name of a blob, which is the page compressed (tmem/compress.h); the number of a frame that is
 * listed (tmem/dedup.h) and perhaps shared with other pages, and the mark that it is listed by.
 *
 * Context of every function, unless it says otherwise: the page's lane locked, its client not.
 */
#ifndef TMEM_CONTENT_H
#define TMEM_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

struct tmem_client;
struct tmem_page;
struct tmem_remains;
struct tmem_shard;

/*
 * A page on its way in, which nobody else can reach: its content, as a page's, and a frame that
 * goes to the CPU's next put (tmem/scratch.h) when this one is done. At first that is the frame the
 * content is in, and after it was admitted one that it has been exchanged for.
 */
struct tmem_staged {
	uint64_t content;
	void *frame;	 /* NULL: the content needs none */
	const void *src; /* the guest's page */
	uint32_t mark;	 /* of its fingerprint: tmem/dedup.h */
};

/*
 * tmem_content_stage - copy a page in, before its place is known
 * @src: TMEM_PAGE_SIZE bytes, page-aligned; may change meanwhile: each word stored is one that was
 *	 there during the call
 * @next: a page that is put next, perhaps, or NULL
 *
 * Context: no lock held; tmem_content_unstage() follows on the same CPU.
 */
void tmem_content_stage(struct tmem_staged *staged, const void *src, const void *next);

/* Bring near what is needed to find an equal page; @client: whose it will be, most probably. */
void tmem_content_seek(const struct tmem_client *client, const struct tmem_staged *staged);

/* Stage a page of zeroes. It needs no tmem_content_unstage(). */
void tmem_content_stage_zero(struct tmem_staged *staged);

/* The end of what was staged, whatever became of it. Context: no lock held. */
void tmem_content_unstage(struct tmem_staged *staged);

/*
 * tmem_content_admit - find room for staged data under a key that has no page
 *
 * Returns whether there is: then staged->content is what the new page holds, or what
 * tmem_content_dismiss() gives back. Ephemeral pages of the shard may be gone.
 */
bool tmem_content_admit(struct tmem_shard *shard, struct tmem_staged *staged);
void tmem_content_dismiss(struct tmem_shard *shard, struct tmem_staged *staged);

/*
 * tmem_content_scan - see whether a page needs a frame
 * @src: TMEM_PAGE_SIZE bytes; may change meanwhile: what was read of it last was what is returned
 *
 * Returns the content that stands for @src, or 0: it needs a frame.
 * Context: any.
 */
uint64_t tmem_content_scan(const void *src);

/*
 * tmem_content_write - exchange the whole of a page's data for what is staged
 *
 * Returns whether it was stored. If not, there was no memory: the page holds what it held, which
 * rule 2 forbids to be seen again, so the caller drops it. Other ephemeral pages of the shard may
 * be gone. Context: as above, and the page is not in the order: it must not be evicted for itself.
 */
bool tmem_content_write(struct tmem_page *page, struct tmem_staged *staged);

/* tmem_content_read - copy a page's data out: TMEM_PAGE_SIZE bytes to @dst, page-aligned */
void tmem_content_read(const struct tmem_page *page, void *dst);

/* tmem_content_read_part - copy @size bytes from @offset on; they end inside of the page */
void tmem_content_read_part(const struct tmem_page *page, uint64_t offset, uint64_t size,
			    void *dst);

/*
 * tmem_content_modify - have a page's data as memory that may be written
 *
 * Returns TMEM_PAGE_SIZE bytes with the page's data, valid while the shard stays locked, or NULL
 * without memory: nothing has changed. As to the order and other pages: see tmem_content_write().
 */
void *tmem_content_modify(struct tmem_page *page);

/* tmem_content_release - take the data away from a page: what it was in is in @remains then */
void tmem_content_release(struct tmem_page *page, struct tmem_remains *remains);

/* Whether any of a page's data is in a block that is to be emptied: tmem/compact.h. */
bool tmem_content_is_sealed(const struct tmem_page *page);

/* Where a page's data is: an address in the first frame that has some of it. */
const void *tmem_content_at(const struct tmem_page *page);

/*
 * tmem_content_move - move a page's data out of its frame, and away from those that share it
 * @page:  not one that is a blob or filled
 * @frame: of any content, charged: the page's then, or given back, where an equal page has a frame
 *	   already that may be shared
 */
void tmem_content_move(struct tmem_page *page, void *frame);

/* Bring near what tmem_content_read() will need first. */
void tmem_content_expect(const struct tmem_page *page);

/*
 * tmem_content_word - the word that a filled page repeats; 0 if it is no filled page
 * tmem_content_fill - make it a filled page of that word, which never needs memory
 */
uint32_t tmem_content_word(const struct tmem_page *page);
void tmem_content_fill(struct tmem_page *page, uint32_t word);

/*
 * Between compressing and the kinds of content. tmem_content_raw: the frame of a page that is in
 * one which no other page shares, or NULL; tmem_content_claim: the same, to be written to or
 * taken; tmem_content_blob: the blob of a page that is one, or 0; tmem_content_pack: make @blob
 * the page's data, the frame or blob that it was in being the caller's now.
 */
const void *tmem_content_raw(const struct tmem_page *page);
void *tmem_content_claim(struct tmem_page *page);
uint64_t tmem_content_blob(const struct tmem_page *page);
void tmem_content_pack(struct tmem_page *page, uint64_t blob);

#endif
