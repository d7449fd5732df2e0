/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations on a part of a page. Each is one critical section of the key's lane, as those on
 * whole pages are: towards all others it is atomic.
 */
#include <tidepool/abi.h>

#include "tmem/client.h"
#include "tmem/content.h"
#include "tmem/frame.h"
#include "tmem/index.h"
#include "tmem/ops.h"
#include "tmem/page.h"
#include "tmem/pool.h"

/* Bytes exchanged at a time, through a buffer on the stack. */
#define CHUNK 64u

/* What a page is before anything has been written to it. */
static const char zeroes[TMEM_PAGE_SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));

/* Data of a page that may be written, the page being the newest one afterwards. NULL: no memory. */
static char *page_modify(struct tmem_page *page)
{
	char *content;

	tmem_page_hold(page);
	content = tmem_content_modify(page);
	tmem_page_unhold(page);
	return content;
}

bool tmem_span_parse(uint64_t word, bool huge, struct tmem_span *span)
{
	span->length = (uint32_t)(word >> TIDEPOOL_SPAN_LENGTH_SHIFT & TIDEPOOL_SPAN_MASK);
	span->offset = (uint32_t)(word >> TIDEPOOL_SPAN_OFFSET_SHIFT & TIDEPOOL_SPAN_MASK);
	span->at = (uint32_t)(word >> TIDEPOOL_SPAN_FRAME_SHIFT & TIDEPOOL_SPAN_MASK);
	span->part = (uint32_t)(word >> TIDEPOOL_SPAN_PART_SHIFT & TIDEPOOL_SPAN_MASK);
	/* No sum of two 16-bit numbers overflows. */
	return span->part < (huge ? TIDEPOOL_HUGE_PARTS : 1) && span->length > 0 &&
	       span->offset + span->length <= TMEM_PAGE_SIZE &&
	       span->at + span->length <= TMEM_PAGE_SIZE;
}

int64_t tmem_new_page(struct tmem_client *client, uint64_t pool, const struct tmem_key *key)
{
	return tmem_put(client, pool, key, zeroes);
}

int64_t tmem_read_in(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		     const struct tmem_span *span, void *page, unsigned int access)
{
	uint64_t hash = tmem_index_hash_key(key);
	struct tmem_page *found;
	int64_t ret;
	struct tmem_shard *shard = tmem_shard_lock(client, pool, hash, access, &ret);

	if (!shard)
		return ret;
	found = tmem_index_find_page(shard, hash, key);
	if (found)
		tmem_content_read_part(found, span->offset, span->length, (char *)page + span->at);
	if (!(access & TMEM_HUGE))
		tmem_call_count(client, shard, found ? TMEM_GETS : TMEM_MISSES, 1);
	tmem_shard_unlock(shard);
	return found ? 0 : -TIDEPOOL_ENOENT;
}

int64_t tmem_read(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		  const struct tmem_span *span, void *page)
{
	return tmem_read_in(client, pool, key, span, page, TMEM_LOOK);
}

/* Write to a page, which becomes the most recent one. Returns false without memory. */
static bool page_write(struct tmem_page *page, const struct tmem_span *span, const char *data)
{
	char *content = page_modify(page);

	if (content)
		__builtin_memcpy(content + span->offset, data + span->at, span->length);
	return content;
}

int64_t tmem_write(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		   const struct tmem_span *span, const void *data)
{
	uint64_t hash = tmem_index_hash_key(key);
	struct tmem_staged staged;
	struct tmem_page *page;
	int64_t ret;
	bool held, frozen;
	struct tmem_shard *shard = tmem_shard_lock(client, pool, hash, TMEM_CHANGE, &ret);

	if (!shard)
		return ret;
	page = tmem_index_find_page(shard, hash, key);
	held = page;
	frozen = tmem_client_frozen(client);
	if (!held && !frozen) {
		tmem_content_stage_zero(&staged);
		page = tmem_page_create(shard, hash, key, &staged);
		if (page)
			tmem_index_grow(shard);
	}
	if (frozen || !page || !page_write(page, span, data)) {
		ret = held ? -TIDEPOOL_ENOSPC : frozen ? -TIDEPOOL_EFROZEN : -TIDEPOOL_ENOMEM;
		if (page)
			tmem_page_drop(page);
	}
	tmem_call_count(client, shard, ret ? TMEM_REFUSED : TMEM_PUTS, 1);
	tmem_shard_unlock(shard);
	tmem_frame_trim();
	return ret;
}

/*
 * Change @length bytes of a page to what a guest has, whose other CPUs may write there meanwhile:
 * what is read once is what is kept. @back: where the guest gets what was there, or NULL.
 */
static void bytes_change(char *content, const char *data, char *back, uint32_t length)
{
	char chunk[CHUNK];
	uint32_t at, n;

	for (at = 0; at < length; at += n) {
		n = length - at < CHUNK ? length - at : CHUNK;
		__builtin_memcpy(chunk, data + at, n);
		if (back)
			__builtin_memcpy(back + at, content + at, n);
		__builtin_memcpy(content + at, chunk, n);
	}
}

int64_t tmem_change_in(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		       const struct tmem_span *span, const void *data, void *back,
		       unsigned int access)
{
	uint64_t hash = tmem_index_hash_key(key);
	struct tmem_page *page;
	char *content = NULL;
	bool frozen;
	int64_t ret;
	struct tmem_shard *shard = tmem_shard_lock(client, pool, hash, access, &ret);

	if (!shard)
		return ret;
	page = tmem_index_find_page(shard, hash, key);
	frozen = tmem_client_frozen(client);
	if (page && !frozen)
		content = page_modify(page);
	if (content)
		bytes_change(content + span->offset, (const char *)data + span->at,
			     back ? (char *)back + span->at : NULL, span->length);
	if (!(access & TMEM_HUGE)) {
		tmem_call_count(client, shard, TMEM_MISSES, !page);
		tmem_call_count(client, shard, TMEM_GETS, content != NULL);
		tmem_call_count(client, shard, TMEM_PUTS, content != NULL);
		tmem_call_count(client, shard, TMEM_REFUSED, page && !content);
	}
	tmem_shard_unlock(shard);
	if (content)
		return 0;
	if (!page)
		return -TIDEPOOL_ENOENT;
	return frozen ? -TIDEPOOL_EFROZEN : -TIDEPOOL_ENOMEM;
}

int64_t tmem_exchange(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		      const struct tmem_span *span, void *data)
{
	int64_t ret = tmem_change_in(client, pool, key, span, data, data, TMEM_CHANGE);

	tmem_frame_trim();
	return ret;
}
