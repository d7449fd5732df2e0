/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emptying blocks of memory, so that the host gets them back while the store is full.
 *
 * Some blocks are sealed: no frame is taken from them any more. Then all pages are walked, and what
 * is in a sealed block moves to a free frame elsewhere, or to where an equal page has moved before.
 * A client is lent that frame, at its cap as well, until what it leaves is free. Without a free
 * frame an ephemeral page is dropped, and for a persistent one room is made as for a put. Frames on
 * their way in or out during the walk are met by the next one. There is no way from a frame to the
 * pages that it is for: a put would pay for it, with a cache line more to be written.
 *
 * What does not move, and keeps its block: metadata, which has blocks of its own for that.
 */
#ifndef TMEM_COMPACT_H
#define TMEM_COMPACT_H

/*
 * A step of an idle CPU: so many of them and none of tmem_relinquish() between, and whoever wanted
 * blocks has given up half-way; the blocks that were sealed for him are used again. Context: no
 * lock held.
 */
void tmem_compact_idle(void);

/* Forget what is under way. Context: tmem_init(). */
void tmem_compact_init(void);

#endif
