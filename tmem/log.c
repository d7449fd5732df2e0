/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/log.h"
#include "tmem/client.h"

/* The first page of an object, by its number; NULL if that is 0. */
static struct tmem_page *first_of(uint32_t object)
{
	const struct tmem_object *found = object ? tmem_cell_at(object) : NULL;

	return found ? tmem_cell_at(found->pages) : NULL;
}

struct tmem_page *tmem_log_first(const struct tmem_shard *shard)
{
	return first_of(shard->objects);
}

struct tmem_page *tmem_log_next(const struct tmem_page *page)
{
	const struct tmem_object *object = tmem_cell_at(page->object);

	return page->next ? tmem_cell_at(page->next) : first_of(object->next);
}

void tmem_log_page(struct tmem_page *page)
{
	struct tmem_log *log = &tmem_page_shard(page)->pool->client->log;

	/* Of another shard's cursor this is never the page. */
	if (__atomic_load_n(&log->cursor, __ATOMIC_RELAXED) == page)
		__atomic_store_n(&log->cursor, tmem_log_next(page), __ATOMIC_RELAXED);
}

bool tmem_log_cell(struct tmem_pool *pool, struct tmem_page *page)
{
	struct tmem_log *log = &pool->client->log;
	struct tmem_gone *gone = (void *)page;

	if (!pool->persistent || !__atomic_load_n(&log->open, __ATOMIC_ACQUIRE))
		return false;
	gone->pool = pool->id;
	gone->next = __atomic_load_n(&log->gone, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&log->gone, &gone->next, gone, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	return true;
}

/* Others only push meanwhile: the entry that is seen first stays in front of its next. */
struct tmem_gone *tmem_log_take(struct tmem_client *client)
{
	struct tmem_log *log = &client->log;
	struct tmem_gone *gone = __atomic_load_n(&log->gone, __ATOMIC_ACQUIRE);

	while (gone && !__atomic_compare_exchange_n(&log->gone, &gone, gone->next, false,
						    __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
		;
	return gone;
}

bool tmem_log_drop(struct tmem_client *client)
{
	struct tmem_gone *gone = NULL;
	unsigned int i;

	tmem_lock_acquire(&client->lock);
	for (i = 0; i < TMEM_STEP && (gone = tmem_log_take(client)); i++)
		tmem_cell_free(client, tmem_cell_number(gone));
	tmem_lock_release(&client->lock);
	return !gone;
}
