/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/model_check.h"
#include "tests/unit/model_host.h"
#include "tests/unit/stamp.h"
#include "tmem/frame.h"

/* What a put may need at most: the page, and a frame of cells for the records. */
#define PUT_FRAMES 2u
/* Pages that may go for one of these, when those without a frame are the oldest. */
#define EVICT_MOST 64u
/* Calls of these that a put makes: for the page, its record, its object's, the index. */
#define RESERVES 4u

struct model model;
struct tmem_client *clients[MODEL_CLIENTS];
uint64_t caps[MODEL_CLIENTS], reserves[MODEL_CLIENTS];
bool compresses[MODEL_CLIENTS];
struct tmem_stats expected[MODEL_CLIENTS];

/* Ephemeral pages that the model has and the store has not: which, is the store's business. */
static uint64_t gone[MODEL_CLIENTS];

void check_start(void)
{
	unsigned int c;

	memset(&model, 0, sizeof(model));
	memset(expected, 0, sizeof(expected));
	memset(gone, 0, sizeof(gone));
	for (c = 0; c < MODEL_CLIENTS; c++)
		expected[c].charged = CLIENT_FRAMES;
}

uint64_t check_unknown(unsigned int c)
{
	return gone[c];
}

/*
 * The accounts after any call: the counters, the cap, each frame of each block either free or
 * charged to someone, and enough of them free for what is left of the reserves.
 */
void check_accounts(void)
{
	struct tmem_store_stats store;
	uint64_t charged = 0, held = 0, promised = 0;
	unsigned int c;

	for (c = 0; c < MODEL_CLIENTS; c++) {
		struct tmem_stats stats;

		tmem_client_stats(clients[c], &stats);
		assert_true(stats.charged <= caps[c] || stats.charged == CLIENT_FRAMES);
		charged += stats.charged;
		held += stats.held;
		if (stats.charged < reserves[c])
			promised += reserves[c] - stats.charged;
		expected[c].charged = stats.charged;
		assert_memory_equal(&stats, &expected[c], sizeof(stats));
	}
	tmem_store_stats(&store);
	assert_int_equal(store.blocks, model_host.live);
	assert_int_equal(store.pages_held, held);
	assert_true(store.pages_free >= promised);
	assert_int_equal(store.pages_free + charged, store.blocks * TMEM_FRAMES_PER_BLOCK);
}

/* The pages that a client lost by the last call. Returns how many. */
static uint64_t evictions_of(unsigned int c)
{
	struct tmem_stats stats;
	uint64_t n;

	tmem_client_stats(clients[c], &stats);
	n = stats.evicted - expected[c].evicted;
	expected[c].evicted += n;
	expected[c].held -= n;
	gone[c] += n;
	return n;
}

/* Ephemeral pages that the store holds for a client. */
static uint64_t ephemeral_of(unsigned int c)
{
	return model_count(&model, c, true) - gone[c];
}

/*
 * The store says that a page is not there, and the model has it: it was evicted, then, and is from
 * now on missing for good.
 */
void check_evicted(struct model_place at)
{
	assert_false(model.pools[at.client][at.pool].persistent);
	assert_true(gone[at.client] > 0);
	gone[at.client]--;
	model_flush_page(&model, at);
}

bool check_lacks_frame(struct model_place at)
{
	return compresses[at.client] || stamp_is_filled(model_page(&model, at)->stamp);
}

/*
 * The evictions of a call that wanted at most @frames. The store may only evict, and may only have
 * refused, at the cap, or for want of the host's memory above the reserve.
 * @insists: the call takes from others, too, before it is refused
 */
void check_evictions(unsigned int c, bool refused, bool insists, uint64_t frames,
		     uint64_t failures_before)
{
	uint64_t charged = expected[c].charged, n = 0;
	bool host_full = model_host.failures > failures_before && charged + frames > reserves[c];
	unsigned int o;

	for (o = 0; o < MODEL_CLIENTS; o++) {
		uint64_t lost = evictions_of(o);

		n += lost;
		if (o != c && lost)
			assert_true(host_full && expected[o].charged > reserves[o]);
	}
	if (n || refused)
		assert_true(charged + frames > caps[c] || host_full);
	assert_true(n <= RESERVES * EVICT_MOST);
	if (!refused || n >= EVICT_MOST)
		return;
	assert_int_equal(ephemeral_of(c), 0);
	for (o = 0; o < MODEL_CLIENTS && insists && charged + frames <= caps[c]; o++)
		if (ephemeral_of(o)) {
			struct tmem_stats stats;

			tmem_client_stats(clients[o], &stats);
			assert_true(stats.charged <= reserves[o]);
		}
}

/*
 * The pages held by a client since the last account, evictions apart: 1 says that the page which
 * was put has none taken the place of. If the model had one all the same, that was evicted.
 */
bool check_replaced(struct model_place at)
{
	struct tmem_stats stats;
	bool replaced, known = model_page(&model, at)->stamp != 0;

	tmem_client_stats(clients[at.client], &stats);
	replaced = stats.held + (stats.evicted - expected[at.client].evicted) ==
		   expected[at.client].held;
	assert_true(known || !replaced);
	return replaced;
}

/* What a put, or a write, has come to. @framed: it needed a frame where the old page had none. */
void check_put(struct model_place at, int64_t ret, bool framed, uint64_t failures)
{
	struct model_page *page = model_page(&model, at);
	bool persistent = model.pools[at.client][at.pool].persistent;
	bool held = ret ? ret == -TIDEPOOL_ENOSPC : check_replaced(at);

	assert_true(ret == 0 || ret == -TIDEPOOL_ENOSPC || ret == -TIDEPOOL_ENOMEM);
	/* A page that is replaced is in nobody's way, and gone when there is no room for the new.
	 */
	assert_true(page->stamp || !held);
	assert_true(ret == 0 || !held || framed);
	if (page->stamp && !held) {
		(void)evictions_of(at.client);
		check_evicted(at);
	}
	page->stamp = 0;
	check_evictions(at.client, ret != 0, persistent, PUT_FRAMES, failures);
	expected[at.client].refused += ret != 0;
	expected[at.client].puts += ret == 0;
	expected[at.client].held += (uint64_t)(ret == 0) - held;
}

/* The memory that an exchange took or did not get. */
void check_exchange(struct model_place at, bool refused, uint64_t failures)
{
	struct model_page *page = model_page(&model, at);
	uint64_t stamp = page->stamp;

	if (!check_lacks_frame(at)) {
		assert_false(refused);
		return;
	}
	page->stamp = 0; /* in nobody's way meanwhile */
	check_evictions(at.client, refused, model.pools[at.client][at.pool].persistent, PUT_FRAMES,
			failures);
	page->stamp = stamp;
}

/* Whether a call rightly did not find its page. */
bool check_missing(struct model_place at, int64_t ret)
{
	if (ret == -TIDEPOOL_ENOENT && model_page(&model, at)->stamp)
		check_evicted(at);
	assert_true(model_page(&model, at)->stamp || ret == -TIDEPOOL_ENOENT);
	return ret == -TIDEPOOL_ENOENT;
}

/* Of @known pages that the model had, @dropped were there to be flushed; the others were evicted.
 */
void check_flush(struct model_place at, uint64_t known, uint64_t dropped)
{
	assert_true(dropped <= known);
	assert_true(dropped == known || !model.pools[at.client][at.pool].persistent);
	assert_true(known - dropped <= gone[at.client]);
	gone[at.client] -= known - dropped;
}
