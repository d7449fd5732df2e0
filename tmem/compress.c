/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/compress.h"
#include "tmem/cost.h"
#include "tmem/cell.h"
#include "tmem/client.h"
#include "tmem/compact.h"
#include "tmem/content.h"
#include "tmem/frame.h"
#include "tmem/grain.h"
#include "tmem/page.h"
#include "tmem/store.h"

#define ORDERS	    3u	/* of a lane: struct tmem_cold */
#define LOOKS	    64u /* at pages that need no compressing, for one that does */
#define IDLE_SHARE  4u	/* compressing ahead begins when this part of the cap is left */
#define LOOSE_SHARE 64u /* squeezing when more than this part of the frames of blobs is room, */
#define LOOSE_LEAST (4 * TMEM_PAGE_SIZE) /* but not for this little */

/* ---- one page ---------------------------------------------------------------------------------
 */

static struct tmem_cold *cold_of(struct tmem_client *client, const struct tmem_lane *lane)
{
	return &client->cold[lane - client->lanes];
}

/* Whether a lane may have a page that waits. Context: any; a hint without the lane's lock. */
static bool lane_waits(struct tmem_client *client, const struct tmem_lane *lane)
{
	const struct tmem_cold *cold = cold_of(client, lane);
	unsigned int i;

	for (i = 0; i < ORDERS; i++)
		if (__atomic_load_n(&cold->waiting[i], __ATOMIC_RELAXED))
			return true;
	return false;
}

/*
 * Take the next page of a lane that waits, persistent ones first. Returns its number, or 0: none,
 * as far as was looked. Context: lane lock held.
 */
static uint32_t lane_take(struct tmem_client *client, const struct tmem_lane *lane)
{
	struct tmem_cold *cold = cold_of(client, lane);
	unsigned int i, looks = LOOKS;

	for (i = 0; i < ORDERS; i++) {
		uint32_t number = cold->waiting[i];

		for (; number && looks > 0; looks--) {
			const struct tmem_page *page = tmem_cell_at(number);

			__atomic_store_n(&cold->waiting[i], page->newer, __ATOMIC_RELAXED);
			if (tmem_content_raw(page))
				return number;
			number = page->newer;
		}
	}
	return 0;
}

/* Returns a frame that became free, still charged, or NULL. Context: its lane's lock held. */
static void *page_compress(struct tmem_client *client, uint32_t number)
{
	struct tmem_page *page = tmem_cell_at(number);
	unsigned char blob[TMEM_GRAIN_MAX];
	const void *raw = tmem_content_raw(page);
	uint32_t size = raw ? tmem_compress(blob, sizeof(blob), raw) : 0;
	/* The page's own frame serves for the blob where none else does. */
	void *frame = size ? tmem_content_claim(page) : NULL;

	if (!frame) /* it is hardly smaller, or an equal page has come */
		return NULL;
	tmem_lock_acquire(&client->lock);
	tmem_content_pack(page, tmem_grain_add(client, number, blob, size, &frame));
	tmem_lock_release(&client->lock);
	return frame;
}

bool tmem_compress_one(struct tmem_client *client, struct tmem_lane *held, void **frame)
{
	unsigned int first = held ? (unsigned int)(held - client->lanes) : 0, i;

	for (i = 0; i < TMEM_LANES && client->compress; i++) {
		struct tmem_lane *lane = &client->lanes[(first + i) % TMEM_LANES];
		uint32_t number;

		if (!lane_waits(client, lane) || (lane != held && !tmem_lock_try(&lane->lock)))
			continue;
		number = lane_take(client, lane);
		if (number)
			*frame = page_compress(client, number);
		if (lane != held)
			tmem_lock_release(&lane->lock);
		if (number)
			return true;
	}
	return false;
}

/* ---- frames of blobs --------------------------------------------------------------------------
 */

bool tmem_compress_move(struct tmem_client *client, struct tmem_page *page, uint32_t number,
			void **spare, void **freed)
{
	unsigned char buffer[TMEM_GRAIN_MAX];
	uint64_t name = tmem_content_blob(page), moved;
	const void *blob;
	uint32_t size;

	blob = tmem_grain_open(name, buffer, &size);
	if (blob != buffer)
		__builtin_memcpy(buffer, blob, size);
	tmem_grain_close(name, blob);
	moved = tmem_grain_add(client, number, buffer, size, spare);
	if (!moved)
		return false;
	tmem_content_pack(page, moved);
	*freed = tmem_grain_remove(client, name);
	return true;
}

/*
 * Move the blob of a page out of a sealed frame. Returns whether it went. @freed: the frame that
 * this made free, or NULL. Context: client lock held, and @held's.
 */
static bool blob_move(struct tmem_client *client, struct tmem_lane *held, uint32_t number,
		      void **spare, void **freed)
{
	struct tmem_page *page = tmem_cell_at(number);
	/* The page cannot end while the client is locked: it has a blob. */
	uint32_t home = __atomic_load_n(&page->home, __ATOMIC_RELAXED);
	struct tmem_lane *lane = tmem_home_shard(home)->lane;
	bool moved;

	if (lane != held && !tmem_lock_try(&lane->lock))
		return false;
	moved = tmem_compress_move(client, page, number, spare, freed);
	if (lane != held)
		tmem_lock_release(&lane->lock);
	return moved;
}

/* Returns whether the frame is free now, still charged. Context: client lock held. */
static bool frame_empty(struct tmem_client *client, struct tmem_lane *held, void *frame,
			void **spare)
{
	uint32_t number;
	unsigned int slot;

	tmem_grain_seal(client, frame);
	for (slot = 0; tmem_grain_owner(frame, slot, &number); slot++) {
		void *freed = NULL;

		if (!number)
			continue;
		if (!blob_move(client, held, number, spare, &freed))
			break;
		if (freed == frame)
			return true;
		if (freed)
			tmem_client_frame_free(client, freed);
	}
	tmem_grain_unseal(client, frame);
	return false;
}

/* Context: client lock held. */
static bool squeeze(struct tmem_client *client, struct tmem_lane *held, void **frame)
{
	*frame = tmem_grain_emptiest(client);
	if (*frame && frame_empty(client, held, *frame, NULL))
		return true;
	*frame = NULL;
	return false;
}

bool tmem_compress_squeeze(struct tmem_client *client, struct tmem_lane *held, void **frame)
{
	bool done;

	tmem_lock_acquire(&client->lock);
	done = squeeze(client, held, frame);
	tmem_lock_release(&client->lock);
	return done;
}

/* ---- an idle CPU's step -----------------------------------------------------------------------
 */

static bool is_short(const struct tmem_client *client)
{
	return client->charged > client->cap - client->cap / IDLE_SHARE;
}

/* Whether a client's frames of blobs have room that is better given back. */
static bool is_loose(const struct tmem_client *client)
{
	const struct tmem_grains *grains = &client->grains;

	return grains->room > LOOSE_LEAST &&
	       grains->room > grains->frames * TMEM_PAGE_SIZE / LOOSE_SHARE;
}

/* Lock the lane of a client in which a page waits. Context: client lock held. */
static struct tmem_lane *waiting_lock(struct tmem_client *client)
{
	unsigned int i;

	for (i = 0; i < TMEM_LANES; i++) {
		struct tmem_lane *lane = &client->lanes[i];

		if (lane_waits(client, lane) && tmem_lock_try(&lane->lock))
			return lane;
	}
	return NULL;
}

/*
 * Find a client with work for an idle CPU. Returns it locked, or NULL. @lane: set to the lane with
 * the page to compress, locked, or to NULL: there is a frame to squeeze.
 */
static struct tmem_client *work_find(bool scarce, struct tmem_lane **lane)
{
	struct tmem_client *client = NULL;
	struct tmem_link *link;

	tmem_lock_acquire(&tmem_store.lock);
	for (link = tmem_store.clients.first; link; link = link->next) {
		client = tmem_list_entry(link, struct tmem_client, link);
		if (!tmem_lock_try(&client->lock))
			continue;
		*lane = NULL;
		if (client->compress && (scarce || is_short(client)))
			*lane = waiting_lock(client);
		if (*lane || is_loose(client))
			break;
		tmem_lock_release(&client->lock);
	}
	tmem_lock_release(&tmem_store.lock);
	return link ? client : NULL;
}

/*
 * Compress a page. The client stays while its lane is locked, with a page in it.
 * Context: client and lane locked; neither is afterwards.
 */
static void work_compress(struct tmem_client *client, struct tmem_lane *lane)
{
	uint32_t number = lane_take(client, lane);
	void *frame;

	tmem_lock_release(&client->lock);
	frame = number ? page_compress(client, number) : NULL;
	if (frame) {
		tmem_lock_acquire(&client->lock);
		tmem_client_frame_free(client, frame);
		tmem_lock_release(&client->lock);
	}
	tmem_lock_release(&lane->lock);
}

bool tmem_idle_step(bool scarce)
{
	struct tmem_client *client;
	struct tmem_lane *lane;
	bool done = true;
	void *frame;

	tmem_compact_idle();
	client = work_find(scarce, &lane);
	if (!client)
		return false;
	if (lane) {
		work_compress(client, lane);
	} else {
		done = squeeze(client, NULL, &frame);
		if (done)
			tmem_client_frame_free(client, frame);
		tmem_lock_release(&client->lock);
	}
	tmem_frame_trim();
	return done;
}
