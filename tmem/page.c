/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/content.h"
#include "tmem/frame.h"
#include "tmem/index.h"
#include "tmem/page.h"
#include "tmem/share.h"
#include "tmem/store.h"

/*
 * Pages that are evicted at most for one frame or record. One is enough but where pages without a
 * frame are the oldest, and give no more than the cells of their records, or where another CPU
 * snatches what became free.
 */
#define RESERVE_TRIES 64

/* Pages that eviction looks at, from the oldest, for one whose shard no other CPU is using. */
#define EVICT_TRIES 8

/*
 * Take a page out of everything and free its records. Returns the frame that this makes free,
 * still charged, or NULL: the page had none.
 * Context: its shard's and its client's lock held.
 */
static void *page_unlink(struct tmem_page *page)
{
	struct tmem_object *object = page->object;
	struct tmem_shard *shard = object->shard;
	struct tmem_client *client = shard->pool->client;
	const struct tmem_key key = {
		.oid = {object->oid[0], object->oid[1], object->oid[2]},
		.index = page->index,
	};
	void *frame = tmem_content_release(page);

	tmem_index_remove_page(shard, tmem_index_hash_key(&key), page);
	tmem_list_remove(&page->siblings);
	if (!shard->pool->persistent)
		tmem_queue_remove(&client->order, &page->order);
	tmem_cell_free(client, page);
	if (!object->pages.first) {
		tmem_index_remove_object(shard, tmem_index_hash_oid(object->oid), object);
		tmem_list_remove(&object->siblings);
		tmem_cell_free(client, object);
	}
	tmem_client_count(&client->counters.held, UINT64_MAX); /* one less */
	return frame;
}

/*
 * Drop the ephemeral page that was put least recently. Returns whether there was one.
 * @frame: set to its frame, still charged, so that no other client can snatch it from the one who
 *	   paid for it with a page; NULL when it had none
 *
 * The order of locks is shard, then client; here the client's is held first, so another shard's
 * may only be tried. A page whose shard is in use is passed over.
 *
 * Context: client lock held, and @held's if it is not NULL.
 */
static bool page_evict(struct tmem_client *client, struct tmem_shard *held, void **frame)
{
	struct tmem_link *link = client->order.list.first;
	unsigned int tries;

	for (tries = 0; link && tries < EVICT_TRIES; tries++, link = link->next) {
		struct tmem_page *page = tmem_list_entry(link, struct tmem_page, order);
		struct tmem_shard *shard = tmem_page_shard(page);

		if (shard != held && !tmem_lock_try(&shard->lock))
			continue;
		*frame = page_unlink(page);
		if (shard != held)
			tmem_lock_release(&shard->lock);
		tmem_client_count(&client->counters.evicted, 1);
		return true;
	}
	return false;
}

/*
 * Drop a page of another client. Its frame becomes free, and is not handed over: what the other
 * has been promised is settled by that, and whoever else takes the frame is as entitled to it.
 * Context: as tmem_frame_reserve().
 */
static bool other_evict(struct tmem_client *client, bool insists, void **frame)
{
	struct tmem_client *victim = tmem_share_victim(client, insists);
	bool evicted;

	if (!victim)
		return false;
	evicted = page_evict(victim, NULL, frame);
	if (evicted && *frame)
		tmem_client_frame_free(victim, *frame);
	tmem_lock_release(&victim->lock);
	*frame = NULL;
	return evicted;
}

/*
 * Make room for @client: at its cap, by a page of its own; when the host has no more memory, by
 * the page of whoever is furthest above its share. Returns whether a page went, and @frame as
 * page_evict() does. Context: as tmem_frame_reserve().
 */
static bool page_reclaim(struct tmem_client *client, struct tmem_shard *held, void **frame)
{
	bool insists = !held || held->pool->persistent;

	if (client->charged >= client->cap)
		return page_evict(client, held, frame);
	return other_evict(client, false, frame) || page_evict(client, held, frame) ||
	       (insists && other_evict(client, true, frame));
}

void *tmem_frame_reserve(struct tmem_client *client, enum tmem_frame_use use,
			 struct tmem_shard *held)
{
	unsigned int tries;

	for (tries = 0; tries < RESERVE_TRIES; tries++) {
		void *frame = tmem_client_frame_alloc(client, use);

		if (frame || !page_reclaim(client, held, &frame) || frame)
			return frame;
	}
	return NULL;
}

/* Take a cell, at the price of an ephemeral page if need be. Context: as tmem_frame_reserve(). */
static void *cell_reserve(struct tmem_client *client, struct tmem_shard *held)
{
	unsigned int tries;

	for (tries = 0; tries < RESERVE_TRIES; tries++) {
		void *frame, *cell = tmem_cell_alloc(client);

		if (cell)
			return cell;
		if (!page_reclaim(client, held, &frame))
			return NULL;
		if (frame)
			tmem_client_frame_free(client, frame);
	}
	return NULL;
}

/* Find the key's object in the shard, or make it. Context: shard and client lock held. */
static struct tmem_object *object_get(struct tmem_shard *shard, const uint64_t oid[3])
{
	uint64_t hash = tmem_index_hash_oid(oid);
	struct tmem_object *object = tmem_index_find_object(shard, hash, oid);

	if (object)
		return object;
	object = cell_reserve(shard->pool->client, shard);
	if (!object)
		return NULL;
	object->shard = shard;
	object->pages.first = NULL;
	__builtin_memcpy(object->oid, oid, sizeof(object->oid));
	tmem_list_push(&shard->objects, &object->siblings);
	tmem_index_add_object(shard, hash, object);
	return object;
}

/*
 * Make a page with its records; @content, or a frame of any content if that is 0.
 * Context: shard and client lock held.
 */
static struct tmem_page *page_make(struct tmem_shard *shard, uint64_t hash,
				   const struct tmem_key *key, uint64_t content)
{
	struct tmem_client *client = shard->pool->client;
	struct tmem_page *page;
	void *frame = NULL;

	/* The object last: what is reserved before may evict its last page, and so itself. */
	if (!content) {
		frame = tmem_frame_reserve(client, TMEM_FRAME_PAGE, shard);
		if (!frame)
			return NULL;
		content = (uintptr_t)frame;
	}
	page = cell_reserve(client, shard);
	if (!page)
		goto free_frame;
	page->object = object_get(shard, key->oid);
	if (!page->object)
		goto free_cell;

	page->content = content;
	page->index = key->index;
	tmem_list_push(&page->object->pages, &page->siblings);
	if (!shard->pool->persistent)
		tmem_queue_append(&client->order, &page->order);
	tmem_index_add_page(shard, hash, page);
	tmem_client_count(&client->counters.held, 1);
	return page;

free_cell:
	tmem_cell_free(client, page);
free_frame:
	if (frame)
		tmem_client_frame_free(client, frame);
	return NULL;
}

struct tmem_page *tmem_page_create(struct tmem_shard *shard, uint64_t hash,
				   const struct tmem_key *key, const void *src)
{
	struct tmem_client *client = shard->pool->client;
	uint64_t content = tmem_content_scan(src);
	struct tmem_page *page;

	tmem_lock_acquire(&client->lock);
	page = page_make(shard, hash, key, content);
	tmem_lock_release(&client->lock);
	/* In no other CPU's reach yet: the shard is locked, and eviction passes it over. */
	if (page && !content)
		(void)tmem_store.host.page_put((void *)(uintptr_t)page->content, src);
	return page;
}

void tmem_page_renew(struct tmem_page *page)
{
	struct tmem_client *client = tmem_page_shard(page)->pool->client;

	tmem_lock_acquire(&client->lock);
	tmem_queue_remove(&client->order, &page->order);
	tmem_queue_append(&client->order, &page->order);
	tmem_lock_release(&client->lock);
}

void tmem_page_drop(struct tmem_page *page)
{
	struct tmem_client *client = tmem_page_shard(page)->pool->client;

	void *frame;

	tmem_lock_acquire(&client->lock);
	frame = page_unlink(page);
	if (frame)
		tmem_client_frame_free(client, frame);
	tmem_lock_release(&client->lock);
}

void tmem_page_got(struct tmem_page *page, const struct tmem_pool *pool)
{
	if (!tmem_pool_keeps(pool))
		tmem_page_drop(page);
	else if (!pool->persistent)
		tmem_page_renew(page);
}

bool tmem_object_drop(struct tmem_object *object, unsigned int *budget)
{
	struct tmem_client *client = object->shard->pool->client;
	bool last = false;

	while (!last && *budget > 0) {
		struct tmem_link *link = object->pages.first;

		last = !link->next; /* then the object goes with the page */
		tmem_page_drop(tmem_list_entry(link, struct tmem_page, siblings));
		tmem_client_count(&client->counters.flushed, 1);
		*budget = tmem_frame_backlog() ? 0 : *budget - 1;
	}
	return last;
}
