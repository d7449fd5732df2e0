/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compressing the pages that are coldest, when memory is short: ahead on an idle CPU, and where
 * the alternative is to evict a page or to refuse one.
 *
 * A page is compressed in the order in which its lane would lose it, persistent ones first, once
 * each: one that does not become small enough stays as it is until it is put again. What it takes
 * is the page's own frame at most, so it never fails for want of memory.
 */
#ifndef TMEM_COMPRESS_H
#define TMEM_COMPRESS_H

#include <stdbool.h>
#include <stdint.h>

struct tmem_client;
struct tmem_lane;
struct tmem_page;

/*
 * tmem_compress_one - compress a page of a client, of the lane that is held if one waits there
 * @held:  the lane whose lock the caller holds, or NULL
 * @frame: set to the frame that this made free, still charged, or to NULL: none
 *
 * Returns whether a page was tried, which takes as long as LZ4 does for one.
 * Context: the client's lock not held.
 */
bool tmem_compress_one(struct tmem_client *client, struct tmem_lane *held, void **frame);

/*
 * tmem_compress_squeeze - move the blobs of a client's emptiest frame into others
 *
 * Returns whether that made a frame free: @frame, still charged. It takes as long as a page copied.
 * Blobs of lanes that others have locked stay.
 * Context: the client's lock not held.
 */
bool tmem_compress_squeeze(struct tmem_client *client, struct tmem_lane *held, void **frame);

/*
 * tmem_compress_move - store a page's blob anew, elsewhere if it is in a frame that gets none
 * @spare: as tmem_grain_add()'s
 * @freed: set, when it was, to the frame that this made free, still charged, or to NULL
 *
 * Returns whether there was room. Context: the page's lane and its client locked.
 */
bool tmem_compress_move(struct tmem_client *client, struct tmem_page *page, uint32_t number,
			void **spare, void **freed);

#endif
