/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blobs: compressed pages, of any number of bytes below a page, packed into a client's frames.
 *
 * A frame of blobs starts with a header; data grows up from it and a table of slots down from the
 * frame's end. A blob is named by frame and slot, so that its bytes can move inside of the frame,
 * to close the holes that others left, without anybody's being told. One that fits nowhere is
 * split in two, so that holes of any size are of use.
 *
 * Each client has frames of its own: they are charged to it, and no byte of it is ever near one of
 * another's.
 */
#ifndef TMEM_GRAIN_H
#define TMEM_GRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "tmem/list.h"
#include "tmem/tmem.h"

struct tmem_client;

/* The largest blob. What a page gains beyond this is not worth decompressing it for. */
#define TMEM_GRAIN_MAX 3584u

#define TMEM_GRAIN_CLASSES 32u

/* A client's frames of blobs. All zeroes: none. Protected by the client's lock. */
struct tmem_grains {
	struct tmem_list rooms[TMEM_GRAIN_CLASSES]; /* frames by the room they have left */
	uint64_t room; /* in the frames of the lists, or a little less */
	uint64_t frames;
	uint64_t blobs;
	uint64_t bytes; /* of all blobs */
};

/*
 * A blob's name: a frame's address, and in the twelve low bits twice two bits that are the user's
 * and zero here, with the slot's number between.
 */
#define TMEM_GRAIN_SLOT_SHIFT 2u

/*
 * tmem_grain_add - store a blob
 * @owner: whose it is; handed out again by tmem_grain_owner()
 * @size:  1 .. TMEM_GRAIN_MAX
 * @spare: points to a frame of any content, charged to @client, that may be used; set to NULL if it
 *	   was. Pointing to NULL: one is taken as tmem_client_frame_alloc() has it. NULL itself: the
 *	   frames of blobs that there are must do
 *
 * Returns its name, or 0 when there is no frame for it, with nothing changed.
 * Context: client lock held.
 */
uint64_t tmem_grain_add(struct tmem_client *client, uint32_t owner, const void *blob, uint32_t size,
			void **spare);

/*
 * tmem_grain_remove - remove a blob
 *
 * Returns a frame that became free by it, still charged, or NULL; of two the sealed one, if either
 * is, and the other is given back.
 * Context: client lock held, nobody has the blob open, nor can.
 */
void *tmem_grain_remove(struct tmem_client *client, uint64_t name);

/* Start loading a blob's first bytes into the cache. Context: as tmem_grain_open(). */
void tmem_grain_prefetch(uint64_t name);

/*
 * tmem_grain_open - have a blob's bytes in one piece
 * @buffer: TMEM_GRAIN_MAX bytes, used for a blob that is in two pieces
 * @size:   set to its size
 *
 * Returns them, in place or in @buffer, until tmem_grain_close(), which must follow before another
 * is opened. Context: the blob cannot be removed meanwhile; no lock of a frame held.
 */
const void *tmem_grain_open(uint64_t name, void *buffer, uint32_t *size);
void tmem_grain_close(uint64_t name, const void *blob);

/* Whether a piece of a blob is in a block that is to be emptied. Context: as tmem_grain_open(). */
bool tmem_grain_is_sealed(uint64_t name);

/*
 * tmem_grain_seal - see to it that a frame gets no more blobs, so that it can be emptied
 *
 * It becomes free when its last blob is removed, or stays what it was: tmem_grain_unseal().
 * Context: client lock held.
 */
void tmem_grain_seal(struct tmem_client *client, void *frame);
void tmem_grain_unseal(struct tmem_client *client, void *frame);

/*
 * tmem_grain_emptiest - the frame whose blobs are least work to move elsewhere
 *
 * Returns it, or NULL when that is not worth it: the others have not the room for all of them.
 * Context: client lock held.
 */
void *tmem_grain_emptiest(struct tmem_client *client);

/*
 * tmem_grain_owner - whose blobs have a piece in a frame
 * @slot: a number, from 0 on
 *
 * Returns false behind the last slot. @owner: set, to 0 if the slot is free.
 * Context: client lock held.
 */
bool tmem_grain_owner(const void *frame, unsigned int slot, uint32_t *owner);

#endif
