/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/content.h"
#include "tmem/cost.h"
#include "tmem/dedup.h"
#include "tmem/grain.h"
#include "tmem/page.h"
#include "tmem/reserve.h"
#include "tmem/scratch.h"
#include "tmem/store.h"

/* What the two low bits of a content say that the others are. */
#define KIND   3ull
#define FRAME  0ull /* a frame's address */
#define FILLED 1ull /* in the upper half: the 32-bit word that the page repeats */
#define PACKED 2ull /* a blob's name */
#define LISTED 3ull /* the number of a frame that is listed, and the mark that it is listed by */

#define FILL_SHIFT  32u
#define MARK_SHIFT  2u
#define FRAME_SHIFT 32u
#define WORDS	    (TMEM_PAGE_SIZE / sizeof(uint64_t))
#define CACHE_LINE  64u

_Static_assert(MARK_SHIFT + TMEM_MARK_BITS <= FRAME_SHIFT, "a listed content fits a word");

/* The frame that a content is, or NULL for another kind. */
static void *frame_of(uint64_t content)
{
	if ((content & KIND) == LISTED)
		return tmem_frame_at((uint32_t)(content >> FRAME_SHIFT));
	return (content & KIND) == FRAME ? (void *)(uintptr_t)content : NULL;
}

/* The blob that a content is, or 0. */
static uint64_t blob_of(uint64_t content)
{
	return (content & KIND) == PACKED ? content & ~KIND : 0;
}

static uint64_t listed(const void *frame, uint32_t mark)
{
	return (uint64_t)tmem_frame_number(frame) << FRAME_SHIFT | mark << MARK_SHIFT | LISTED;
}

static bool is_listed(uint64_t content)
{
	return (content & KIND) == LISTED;
}

static uint32_t mark_of(uint64_t content)
{
	return (uint32_t)content >> MARK_SHIFT;
}

/* The 64-bit word that a filled page repeats. */
static uint64_t fill_of(uint64_t content)
{
	return content >> FILL_SHIFT << FILL_SHIFT | content >> FILL_SHIFT;
}

/* volatile: the guest may write the page meanwhile, and the compiler must not read it again. */
uint64_t tmem_content_scan(const void *src)
{
	const volatile uint64_t *word = src;
	uint64_t first = word[0];

	/* Most pages end here: few that are not filled have both ends alike. */
	if (first >> FILL_SHIFT != (uint32_t)first || word[WORDS - 1] != first ||
	    !tmem_store.host.page_repeats(src, first))
		return 0;
	return first << FILL_SHIFT | FILLED;
}

static void fill(void *dst, uint64_t value, uint64_t size)
{
	uint64_t *word = dst, i;

	if (!value) {
		__builtin_memset(dst, 0, size);
		return;
	}
	for (i = 0; i < size / sizeof(*word); i++)
		word[i] = value;
}

void tmem_content_stage(struct tmem_staged *staged, const void *src, const void *next)
{
	/* Before the page is looked at: an atomic operation would wait for what comes of it. */
	staged->frame = tmem_scratch_take();
	staged->content = tmem_content_scan(src);
	if (staged->content) {
		tmem_content_unstage(staged);
		staged->frame = NULL;
		return;
	}
	staged->content = (uintptr_t)staged->frame;
	staged->src = src;
	staged->mark = tmem_dedup_mark(tmem_store.host.page_put(staged->frame, src, next));
}

void tmem_content_seek(const struct tmem_client *client, const struct tmem_staged *staged)
{
	if (staged->frame)
		tmem_dedup_expect(client, staged->mark);
}

void tmem_content_stage_zero(struct tmem_staged *staged)
{
	staged->content = FILLED;
	staged->frame = NULL;
}

void tmem_content_unstage(struct tmem_staged *staged)
{
	if (staged->frame)
		tmem_scratch_give(staged->frame);
}

static void frame_free(struct tmem_client *client, void *frame)
{
	tmem_lock_acquire(&client->lock);
	tmem_client_frame_free(client, frame);
	tmem_lock_release(&client->lock);
}

/* End what a content takes. Returns as tmem_content_release(). */
static void *content_end(struct tmem_client *client, uint64_t content, bool *held)
{
	void *frame = frame_of(content);
	enum tmem_dedup_left left;

	*held = false;
	if (!is_listed(content))
		return frame;
	left = tmem_dedup_drop(client, mark_of(content), frame);
	*held = left == TMEM_DEDUP_HELD;
	return left == TMEM_DEDUP_FREE ? frame : NULL;
}

/* Take a page's blob away, which leaves zeroes. Returns a frame that became free by it, or NULL. */
static void *blob_drop(struct tmem_page *page)
{
	struct tmem_client *client = tmem_page_shard(page)->pool->client;
	void *frame;

	tmem_lock_acquire(&client->lock);
	frame = tmem_grain_remove(client, blob_of(page->content));
	tmem_lock_release(&client->lock);
	page->content = FILLED;
	return frame;
}

static void blob_read(uint64_t name, void *dst)
{
	unsigned char buffer[TMEM_GRAIN_MAX];
	const void *blob;
	uint32_t size, at;

	blob = tmem_grain_open(name, buffer, &size);
	/* The target's lines come behind the blob's; LZ4 asks for them one by one. */
	for (at = 0; at < TMEM_PAGE_SIZE; at += CACHE_LINE)
		__builtin_prefetch((char *)dst + at, 1);
	tmem_decompress(dst, blob, size);
	tmem_grain_close(name, blob);
}

static void content_drop(struct tmem_client *client, uint64_t content)
{
	bool held;
	void *frame = content_end(client, content, &held);
	uint64_t blob = blob_of(content);

	if (!frame && !held && !blob)
		return;
	tmem_lock_acquire(&client->lock);
	if (blob)
		frame = tmem_grain_remove(client, blob);
	if (frame)
		tmem_client_frame_free(client, frame);
	else if (held)
		tmem_client_uncharge(client);
	tmem_lock_release(&client->lock);
}

/*
 * The frame of a content that is nobody else's, or NULL. It is not listed then: it may be written
 * to or serve for something else, and the content is none any more.
 */
static void *content_claim(struct tmem_client *client, uint64_t content)
{
	void *frame = frame_of(content);

	if (!is_listed(content) || tmem_dedup_claim(client, mark_of(content), frame))
		return frame;
	return NULL;
}

/* Keep staged data in its frame, for which the CPU gets @frame, charged to the client. */
static void staged_keep(struct tmem_client *client, struct tmem_staged *staged, void *frame)
{
	if (tmem_dedup_list(client, staged->mark, staged->frame))
		staged->content = listed(staged->frame, staged->mark);
	staged->frame = frame;
}

/*
 * Find room for staged data, or an equal page to share its.
 * @frame: one that it may take, charged to the client, or NULL
 *
 * Returns false without room.
 */
static bool staged_admit(struct tmem_shard *shard, struct tmem_staged *staged, void *frame)
{
	struct tmem_client *client = shard->pool->client;
	void *shared;
	enum tmem_dedup_found found = tmem_dedup_find(client, staged->mark, staged->src, &shared);

	if (found != TMEM_DEDUP_OWN && !frame) {
		frame = tmem_frame_reserve(client, TMEM_FRAME_PAGE, shard);
		if (!frame) {
			if (found == TMEM_DEDUP_OTHERS)
				tmem_dedup_forget(shared);
			return false;
		}
	}
	if (found == TMEM_DEDUP_OTHERS)
		found = tmem_dedup_enter(client, staged->mark, shared);
	if (found == TMEM_DEDUP_NONE) {
		staged_keep(client, staged, frame);
		return true;
	}
	staged->content = listed(shared, staged->mark);
	if (found == TMEM_DEDUP_OTHERS)
		tmem_frame_free(frame, false); /* its charge is for the shared one from now on */
	else if (frame)
		frame_free(client, frame);
	return true;
}

bool tmem_content_admit(struct tmem_shard *shard, struct tmem_staged *staged)
{
	return !staged->frame || staged_admit(shard, staged, NULL);
}

void tmem_content_dismiss(struct tmem_shard *shard, struct tmem_staged *staged)
{
	content_drop(shard->pool->client, staged->content);
}

uint32_t tmem_content_word(const struct tmem_page *page)
{
	return (page->content & KIND) == FILLED ? (uint32_t)(page->content >> FILL_SHIFT) : 0;
}

void tmem_content_fill(struct tmem_page *page, uint32_t word)
{
	content_drop(tmem_page_shard(page)->pool->client, page->content);
	page->content = (uint64_t)word << FILL_SHIFT | FILLED;
}

bool tmem_content_write(struct tmem_page *page, struct tmem_staged *staged)
{
	struct tmem_shard *shard = tmem_page_shard(page);
	struct tmem_client *client = shard->pool->client;
	void *frame = NULL;

	if (blob_of(page->content))
		frame = blob_drop(page);
	else if (staged->frame)
		frame = content_claim(client, page->content);
	if (staged->frame && !staged_admit(shard, staged, frame))
		return false;
	if (!frame)
		content_drop(client, page->content);
	else if (!staged->frame)
		frame_free(client, frame);
	page->content = staged->content;
	return true;
}

void tmem_content_expect(const struct tmem_page *page)
{
	uint64_t blob = blob_of(page->content);

	if (blob)
		tmem_grain_prefetch(blob);
	else if (is_listed(page->content))
		tmem_dedup_expect(tmem_page_shard(page)->pool->client, mark_of(page->content));
}

void tmem_content_read(const struct tmem_page *page, void *dst)
{
	uint64_t blob = blob_of(page->content);
	void *frame = frame_of(page->content);

	if (frame)
		tmem_store.host.page_get(dst, frame);
	else if (blob)
		blob_read(blob, dst);
	else
		fill(dst, fill_of(page->content), TMEM_PAGE_SIZE);
}

/* By way of the CPU's frame: a page is much for the stack. */
static void blob_read_part(uint64_t blob, uint64_t offset, uint64_t size, void *dst)
{
	char *page = tmem_scratch_take();

	blob_read(blob, page);
	__builtin_memcpy(dst, page + offset, size);
	tmem_scratch_give(page);
}

void tmem_content_read_part(const struct tmem_page *page, uint64_t offset, uint64_t size, void *dst)
{
	uint64_t blob = blob_of(page->content);
	uint64_t value = fill_of(page->content), i;
	const char *data = frame_of(page->content);

	if (data) {
		__builtin_memcpy(dst, data + offset, size);
		return;
	}
	if (blob) {
		blob_read_part(blob, offset, size, dst);
		return;
	}
	for (i = 0; i < size; i++)
		((char *)dst)[i] = ((char *)&value)[(offset + i) % sizeof(value)];
}

void *tmem_content_modify(struct tmem_page *page)
{
	struct tmem_shard *shard = tmem_page_shard(page);
	struct tmem_client *client = shard->pool->client;
	void *frame = content_claim(client, page->content);

	if (!frame) {
		frame = tmem_frame_reserve(client, TMEM_FRAME_PAGE, shard);
		if (!frame)
			return NULL;
		/* Only now: to find a frame, what the page is kept in may have been changed. */
		tmem_content_read(page, frame);
		content_drop(client, page->content);
	}
	page->content = (uintptr_t)frame;
	return frame;
}

void tmem_content_release(struct tmem_page *page, struct tmem_remains *remains)
{
	remains->blob = blob_of(page->content);
	remains->frame = content_end(tmem_page_shard(page)->pool->client, page->content,
				     &remains->held);
}

const void *tmem_content_raw(const struct tmem_page *page)
{
	void *frame = frame_of(page->content);
	struct tmem_client *client = tmem_page_shard(page)->pool->client;

	if (is_listed(page->content) && !tmem_dedup_is_alone(client, mark_of(page->content), frame))
		return NULL;
	return frame;
}

void *tmem_content_claim(struct tmem_page *page)
{
	void *frame = content_claim(tmem_page_shard(page)->pool->client, page->content);

	if (frame)
		page->content = (uintptr_t)frame;
	return frame;
}

uint64_t tmem_content_blob(const struct tmem_page *page)
{
	return blob_of(page->content);
}

void tmem_content_pack(struct tmem_page *page, uint64_t blob)
{
	page->content = blob | PACKED;
}

bool tmem_content_is_sealed(const struct tmem_page *page)
{
	const void *frame = frame_of(page->content);
	uint64_t blob = blob_of(page->content);

	return frame ? tmem_frame_is_sealed(frame) : blob && tmem_grain_is_sealed(blob);
}

const void *tmem_content_at(const struct tmem_page *page)
{
	const void *frame = frame_of(page->content);

	return frame ? frame : (const void *)(uintptr_t)blob_of(page->content);
}

/* To where an equal page's is already, or where the next one will find it. */
static void listed_move(struct tmem_shard *shard, struct tmem_page *page, void *frame)
{
	struct tmem_staged staged = {.frame = tmem_scratch_take(), .mark = mark_of(page->content)};

	tmem_store.host.page_get(staged.frame, frame_of(page->content));
	staged.src = staged.frame;
	staged.content = (uintptr_t)staged.frame;
	(void)staged_admit(shard, &staged, frame); /* there is room */
	content_drop(shard->pool->client, page->content);
	page->content = staged.content;
	tmem_content_unstage(&staged);
}

void tmem_content_move(struct tmem_page *page, void *frame)
{
	struct tmem_shard *shard = tmem_page_shard(page);
	void *from = frame_of(page->content);

	if (is_listed(page->content)) {
		listed_move(shard, page, frame);
		return;
	}
	tmem_store.host.page_get(frame, from);
	page->content = (uintptr_t)frame;
	frame_free(shard->pool->client, from);
}
