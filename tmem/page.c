/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/page.h"
#include "tmem/content.h"
#include "tmem/frame.h"
#include "tmem/index.h"
#include "tmem/log.h"
#include "tmem/order.h"
#include "tmem/reserve.h"
#include "tmem/store.h"

static struct tmem_page *page_at(uint32_t number)
{
	return tmem_cell_at(number);
}

static struct tmem_object *object_at(uint32_t number)
{
	return tmem_cell_at(number);
}

static bool oid_equal(const uint64_t a[3], const uint64_t b[3])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

/* ---- objects --------------------------------------------------------------------------------- */

static void object_link(struct tmem_shard *shard, struct tmem_object *object, uint32_t number)
{
	object->prev = 0;
	object->next = shard->objects;
	if (shard->objects)
		object_at(shard->objects)->prev = number;
	shard->objects = number;
}

static void object_unlink(struct tmem_shard *shard, struct tmem_object *object, uint32_t number)
{
	if (object->prev)
		object_at(object->prev)->next = object->next;
	else
		shard->objects = object->next;
	if (object->next)
		object_at(object->next)->prev = object->prev;
	if (shard->recent == number)
		shard->recent = 0;
}

/* Find the key's object in the shard, or make it. Returns its number or 0. */
static uint32_t object_get(struct tmem_shard *shard, const uint64_t oid[3])
{
	struct tmem_object *object;
	uint64_t hash;
	uint32_t number;

	/* The one that was looked up last is most often the next one as well. */
	if (shard->recent && oid_equal(object_at(shard->recent)->oid, oid))
		return shard->recent;
	hash = tmem_index_hash_oid(oid);
	number = tmem_index_find_object(shard, hash, oid);
	if (!number) {
		number = tmem_cell_reserve(shard);
		if (!number)
			return 0;
		object = object_at(number);
		__builtin_memset(object, 0, sizeof(*object));
		__builtin_memcpy(object->oid, oid, sizeof(object->oid));
		object->home = shard->home;
		if (!tmem_index_add(shard, hash, number, NULL)) {
			tmem_cells_free(shard->pool->client, &number, 1);
			return 0;
		}
		object_link(shard, object, number);
	}
	shard->recent = number;
	return number;
}

static void remains_add(struct tmem_remains *remains, uint32_t number)
{
	if (number)
		remains->cells[remains->nr_cells++] = number;
}

/* Drop an object that has no page left. */
static void object_drop(struct tmem_shard *shard, uint32_t number, struct tmem_remains *remains)
{
	struct tmem_object *object = object_at(number);

	remains_add(remains,
		    tmem_index_remove(shard, tmem_index_hash_oid(object->oid), number, false));
	object_unlink(shard, object, number);
	remains_add(remains, number);
}

/* ---- pages ----------------------------------------------------------------------------------- */

static void sibling_link(struct tmem_page *page, uint32_t number)
{
	struct tmem_object *object = object_at(page->object);

	page->prev = 0;
	page->next = object->pages;
	if (object->pages)
		page_at(object->pages)->prev = number;
	object->pages = number;
}

/* Drops the object with its last page. */
static void sibling_unlink(struct tmem_shard *shard, struct tmem_page *page,
			   struct tmem_remains *remains)
{
	if (page->next)
		page_at(page->next)->prev = page->prev;
	if (page->prev) {
		page_at(page->prev)->next = page->next;
		return;
	}
	object_at(page->object)->pages = page->next;
	if (!page->next)
		object_drop(shard, page->object, remains);
}

void tmem_page_unlink(struct tmem_page *page, uint32_t number, uint64_t hash, bool returns,
		      struct tmem_remains *remains)
{
	struct tmem_shard *shard = tmem_page_shard(page);

	if (shard->lane->ahead == number)
		shard->lane->ahead = 0;
	tmem_log_page(page);
	tmem_content_release(page, remains);
	remains->nr_cells = 0;
	remains_add(remains, tmem_index_remove(shard, hash, number, returns));
	tmem_order_remove(shard->lane, page);
	sibling_unlink(shard, page, remains);
	if (!tmem_log_cell(shard->pool, page))
		remains_add(remains, number);
	tmem_lane_count(shard->lane, TMEM_HELD, UINT64_MAX); /* one less */
}

/* Make the record of a page, in its object and in the index. Returns its number or 0. */
static uint32_t record_make(struct tmem_shard *shard, uint64_t hash, const struct tmem_key *key,
			    bool *proved)
{
	struct tmem_remains remains = {.nr_cells = 0};
	uint32_t number = tmem_cell_reserve(shard);
	struct tmem_page *page;

	if (!number)
		return 0;
	page = page_at(number);
	/* From here on what is reserved may evict pages, but not the object's last one: this. */
	page->object = object_get(shard, key->oid);
	if (page->object) {
		__builtin_memcpy(page->oid, key->oid, sizeof(page->oid));
		page->index = key->index;
		page->home = shard->home;
		sibling_link(page, number);
		if (tmem_index_add(shard, hash, number, proved))
			return number;
		sibling_unlink(shard, page, &remains);
	}
	remains_add(&remains, number);
	tmem_cells_free(shard->pool->client, remains.cells, remains.nr_cells);
	return 0;
}

struct tmem_page *tmem_page_create(struct tmem_shard *shard, uint64_t hash,
				   const struct tmem_key *key, struct tmem_staged *staged)
{
	struct tmem_page *page;
	bool proved = false;
	uint32_t number;

	if (!tmem_content_admit(shard, staged))
		return NULL;
	number = record_make(shard, hash, key, &proved);
	if (!number) {
		tmem_content_dismiss(shard, staged);
		return NULL;
	}
	page = page_at(number);
	page->content = staged->content;
	tmem_order_add(shard->lane, page, number, proved);
	tmem_lane_count(shard->lane, TMEM_HELD, 1);
	return page;
}

void tmem_page_hold(struct tmem_page *page)
{
	struct tmem_shard *shard = tmem_page_shard(page);

	tmem_order_remove(shard->lane, page);
}

void tmem_page_unhold(struct tmem_page *page)
{
	struct tmem_shard *shard = tmem_page_shard(page);

	tmem_order_add(shard->lane, page, tmem_cell_number(page), true);
}

void tmem_page_renew(struct tmem_page *page)
{
	tmem_page_hold(page);
	tmem_page_unhold(page);
}

static void page_remove(struct tmem_page *page, uint64_t hash, bool returns)
{
	struct tmem_client *client = tmem_page_shard(page)->pool->client;
	struct tmem_remains remains;

	tmem_page_unlink(page, tmem_cell_number(page), hash, returns, &remains);
	tmem_remains_free(client, &remains);
}

void tmem_page_drop(struct tmem_page *page)
{
	page_remove(page, tmem_index_hash_page(page), false);
}

void tmem_page_got(struct tmem_page *page, const struct tmem_pool *pool, uint64_t hash)
{
	if (!tmem_pool_keeps(pool))
		page_remove(page, hash, true);
	else if (!pool->persistent)
		tmem_page_renew(page);
}

void tmem_page_expect(const struct tmem_page *page, const struct tmem_pool *pool)
{
	if (pool->persistent)
		return;
	tmem_content_expect(page);
	tmem_cell_expect(page->next);
	tmem_cell_expect(page->prev);
	tmem_cell_expect(page->object);
	tmem_cell_expect(page->newer);
	tmem_cell_expect(page->older);
	__builtin_prefetch((const void *)((uintptr_t)page & ~(uintptr_t)(TMEM_PAGE_SIZE - 1)), 1);
}

bool tmem_object_drop(struct tmem_object *object, unsigned int *budget)
{
	struct tmem_lane *lane = tmem_home_shard(object->home)->lane;
	bool last = false;

	while (!last && *budget > 0) {
		struct tmem_page *page = page_at(object->pages);

		last = !page->next; /* then the object goes with the page */
		tmem_cell_expect(page->next);
		tmem_page_drop(page);
		tmem_lane_count(lane, TMEM_FLUSHED, 1);
		*budget = tmem_frame_backlog() ? 0 : *budget - 1;
	}
	return last;
}
