/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/grain.h"
#include "tmem/client.h"

#define CLASS_SIZE  (TMEM_PAGE_SIZE / TMEM_GRAIN_CLASSES)
#define SLOT_MASK   0xffu
#define SLOTS_MAX   (SLOT_MASK + 1)
#define CACHE_LINE  64u
#define FRAME_OF(x) ((x) & ~(uint64_t)(TMEM_PAGE_SIZE - 1))

/*
 * How a frame is chosen. A blob goes where it leaves little room behind or much; a middling rest
 * is left by nobody if it can be had otherwise, which is what keeps frames full: a piece of the
 * blob fills another frame to the last byte.
 */
#define REST_LITTLE 128u
#define REST_MUCH   1024u
#define ROOM_LEAST  64u /* that is worth a piece */
#define LOOKS	    8u	/* frames of a class that are compared */

/* The first bytes of a frame of blobs. */
struct grain_frame {
	struct tmem_link link; /* in grains->rooms[class], unless that is CLASS_NONE */
	struct tmem_lock lock; /* taken to move blobs inside of the frame, and to have one open */
	uint16_t end;	       /* where the data ends */
	uint16_t used;	       /* bytes of data that are some blob's */
	uint16_t slots;	       /* in the table, free ones included */
	uint8_t free_slots;
	uint8_t class;
};

#define CLASS_NONE   0xffu /* no room worth a piece */
#define CLASS_SEALED 0xfeu

/* A piece of a blob. */
struct slot {
	uint32_t owner;
	uint32_t start : 12;
	uint32_t size : 12; /* 0: the slot is free */
	uint32_t split : 1; /* the data starts with the name of the blob's second piece */
};

#define NEXT_SIZE sizeof(uint64_t) /* of such a name */

_Static_assert(sizeof(struct grain_frame) == 32, "three quarters of a per cent of a frame");
_Static_assert(sizeof(struct slot) == 8, "a fifth of a per cent");
_Static_assert(TMEM_GRAIN_MAX + NEXT_SIZE + sizeof(struct slot) + sizeof(struct grain_frame) <=
		       TMEM_PAGE_SIZE,
	       "any blob fits a frame");

/* Where the pieces of a blob go. */
struct plan {
	struct grain_frame *head, *tail; /* tail: NULL for a blob in one piece */
	uint32_t head_size;		 /* bytes of the blob in the first */
};

static struct slot *slot_at(const struct grain_frame *frame, unsigned int n)
{
	return (struct slot *)((uintptr_t)frame + TMEM_PAGE_SIZE) - (n + 1);
}

static struct grain_frame *frame_of(uint64_t name)
{
	return (struct grain_frame *)(uintptr_t)FRAME_OF(name);
}

static struct slot *slot_of(uint64_t name)
{
	return slot_at(frame_of(name), name >> TMEM_GRAIN_SLOT_SHIFT & SLOT_MASK);
}

static uint64_t name_of(const struct grain_frame *frame, unsigned int n)
{
	return (uintptr_t)frame | n << TMEM_GRAIN_SLOT_SHIFT;
}

static char *data_of(const struct grain_frame *frame, const struct slot *slot)
{
	return (char *)(uintptr_t)frame + slot->start;
}

static uint64_t next_of(const struct grain_frame *frame, const struct slot *slot)
{
	uint64_t next;

	__builtin_memcpy(&next, data_of(frame, slot), NEXT_SIZE);
	return next;
}

/* The largest piece that a frame can take; 0 for none. */
static uint32_t room_of(const struct grain_frame *frame)
{
	uint32_t taken = (uint32_t)sizeof(*frame) + frame->used +
			 frame->slots * (uint32_t)sizeof(struct slot);

	if (!frame->free_slots)
		taken += (uint32_t)sizeof(struct slot);
	if (taken >= TMEM_PAGE_SIZE || (!frame->free_slots && frame->slots == SLOTS_MAX))
		return 0;
	return TMEM_PAGE_SIZE - taken;
}

static void list_leave(struct tmem_grains *grains, struct grain_frame *frame)
{
	if (frame->class < TMEM_GRAIN_CLASSES) {
		tmem_list_remove(&frame->link);
		grains->room -= frame->class * CLASS_SIZE;
	}
	frame->class = CLASS_NONE;
}

/* Put a frame where its room says. */
static void list_update(struct tmem_grains *grains, struct grain_frame *frame)
{
	uint32_t room = room_of(frame);
	uint8_t class = room < ROOM_LEAST ? CLASS_NONE : (uint8_t)(room / CLASS_SIZE);

	if (frame->class == class || frame->class == CLASS_SEALED)
		return;
	list_leave(grains, frame);
	frame->class = class;
	if (class == CLASS_NONE)
		return;
	tmem_list_push(&grains->rooms[class], &frame->link);
	grains->room += class * CLASS_SIZE;
}

static struct grain_frame *frame_start(struct tmem_grains *grains, void *memory)
{
	struct grain_frame *frame = memory;

	__builtin_memset(frame, 0, sizeof(*frame));
	frame->end = sizeof(*frame);
	frame->class = CLASS_NONE;
	grains->frames++;
	list_update(grains, frame);
	return frame;
}

/* ---- where a blob goes ------------------------------------------------------------------------
 */

/* Find the frame with the least room that is not less than @size, about. */
static struct grain_frame *find_fit(const struct tmem_grains *grains, uint32_t size,
				    const struct grain_frame *but)
{
	uint32_t class, best_room = UINT32_MAX;
	struct grain_frame *best = NULL;

	for (class = size / CLASS_SIZE; class < TMEM_GRAIN_CLASSES && !best; class ++) {
		struct tmem_link *link = grains->rooms[class].first;
		unsigned int looks;

		for (looks = 0; link && looks < LOOKS; looks++, link = link->next) {
			struct grain_frame *frame = tmem_list_entry(link, struct grain_frame, link);
			uint32_t room = room_of(frame);

			if (frame == but || room < size || room >= best_room ||
			    tmem_frame_is_sealed(frame))
				continue;
			best = frame;
			best_room = room;
		}
	}
	return best;
}

/* Find the frame with the most room that is less than @size, about. */
static struct grain_frame *find_below(const struct tmem_grains *grains, uint32_t size)
{
	struct grain_frame *best = NULL;
	uint32_t class = size / CLASS_SIZE + 1, best_room = 0;

	while (class -- > 0 && !best) {
		struct tmem_link *link = grains->rooms[class].first;
		unsigned int looks;

		for (looks = 0; link && looks < LOOKS; looks++, link = link->next) {
			struct grain_frame *frame = tmem_list_entry(link, struct grain_frame, link);
			uint32_t room = room_of(frame);

			if (room >= size || room <= best_room || tmem_frame_is_sealed(frame))
				continue;
			best = frame;
			best_room = room;
		}
	}
	return best;
}

/* Take a frame for blobs. Returns it or NULL. */
static struct grain_frame *frame_take(struct tmem_client *client, void **spare)
{
	void *memory;

	if (!spare)
		return NULL;
	memory = *spare ? *spare : tmem_client_frame_alloc(client, TMEM_FRAME_PAGE);
	*spare = NULL;
	return memory ? frame_start(&client->grains, memory) : NULL;
}

/* Decide where a blob of @size bytes goes. Returns false without a frame. */
static bool plan_make(struct tmem_client *client, uint32_t size, void **spare, struct plan *plan)
{
	struct tmem_grains *grains = &client->grains;
	struct grain_frame *fit = find_fit(grains, size, NULL), *below;
	uint32_t rest = fit ? room_of(fit) - size : 0;

	plan->head_size = size;
	plan->tail = NULL;
	plan->head = fit;
	if (fit && (rest < REST_LITTLE || rest >= REST_MUCH))
		return true;
	below = find_below(grains, size);
	if (below) {
		plan->head = below;
		plan->head_size = room_of(below) - (uint32_t)NEXT_SIZE;
		plan->tail = find_fit(grains, size - plan->head_size, below);
		if (!plan->tail)
			plan->tail = frame_take(client, spare);
		return plan->tail;
	}
	if (!fit)
		plan->head = frame_take(client, spare);
	return plan->head;
}

/* ---- putting it there -------------------------------------------------------------------------
 */

/* The slot whose data is the next one at or behind @from; NULL for none. */
static struct slot *slot_behind(const struct grain_frame *frame, uint32_t from)
{
	struct slot *next = NULL;
	unsigned int n;

	for (n = 0; n < frame->slots; n++) {
		struct slot *slot = slot_at(frame, n);

		if (slot->size && slot->start >= from && (!next || slot->start < next->start))
			next = slot;
	}
	return next;
}

/* Move all data together, so that the room is in one piece. */
static void frame_tidy(struct grain_frame *frame)
{
	uint32_t from = sizeof(*frame), to = sizeof(*frame);
	struct slot *slot;

	tmem_lock_acquire(&frame->lock);
	while ((slot = slot_behind(frame, from))) {
		from = slot->start + slot->size;
		if (slot->start != to)
			__builtin_memmove((char *)frame + to, data_of(frame, slot), slot->size);
		slot->start = to & 0xfffu;
		to += slot->size;
	}
	frame->end = (uint16_t)to;
	tmem_lock_release(&frame->lock);
}

/*
 * Make a piece of @size bytes, of any content, in a frame with room for it. Returns the number of
 * its slot.
 */
static unsigned int piece_make(struct tmem_grains *grains, struct grain_frame *frame,
			       uint32_t owner, uint32_t size, bool split)
{
	unsigned int n = frame->slots;
	struct slot *slot;

	if (frame->free_slots) {
		for (n = 0; slot_at(frame, n)->size; n++)
			;
		frame->free_slots--;
	} else {
		/* The new slot must not lie on data: that is moved out of the way first. */
		if (frame->end > TMEM_PAGE_SIZE - (n + 1) * sizeof(*slot))
			frame_tidy(frame);
		slot_at(frame, n)->size = 0;
		frame->slots++;
	}
	if (frame->end + size > TMEM_PAGE_SIZE - frame->slots * sizeof(*slot))
		frame_tidy(frame);
	slot = slot_at(frame, n);
	slot->owner = owner;
	slot->start = frame->end & 0xfffu;
	slot->size = size & 0xfffu;
	slot->split = split;
	frame->end = (uint16_t)(frame->end + size);
	frame->used = (uint16_t)(frame->used + size);
	list_update(grains, frame);
	return n;
}

uint64_t tmem_grain_add(struct tmem_client *client, uint32_t owner, const void *blob, uint32_t size,
			void **spare)
{
	struct tmem_grains *grains = &client->grains;
	const char *bytes = blob;
	struct plan plan;
	unsigned int n;
	char *data;

	if (!plan_make(client, size, spare, &plan))
		return 0;
	grains->blobs++;
	grains->bytes += size;
	if (!plan.tail) {
		n = piece_make(grains, plan.head, owner, size, false);
		__builtin_memcpy(data_of(plan.head, slot_at(plan.head, n)), bytes, size);
	} else {
		uint64_t next;

		n = piece_make(grains, plan.tail, owner, size - plan.head_size, false);
		next = name_of(plan.tail, n);
		__builtin_memcpy(data_of(plan.tail, slot_at(plan.tail, n)), bytes + plan.head_size,
				 size - plan.head_size);
		n = piece_make(grains, plan.head, owner, plan.head_size + (uint32_t)NEXT_SIZE,
			       true);
		data = data_of(plan.head, slot_at(plan.head, n));
		__builtin_memcpy(data, &next, NEXT_SIZE);
		__builtin_memcpy(data + NEXT_SIZE, bytes, plan.head_size);
	}
	return name_of(plan.head, n);
}

/* Remove a piece. Returns its frame if that was the last one in it, else NULL. */
static void *piece_remove(struct tmem_grains *grains, struct grain_frame *frame, struct slot *slot)
{
	frame->used = (uint16_t)(frame->used - slot->size);
	if (slot->start + slot->size == frame->end)
		frame->end = slot->start;
	slot->size = 0;
	frame->free_slots++;
	while (frame->slots && !slot_at(frame, frame->slots - 1u)->size) {
		frame->slots--;
		frame->free_slots--;
	}
	if (frame->slots) {
		list_update(grains, frame);
		return NULL;
	}
	list_leave(grains, frame);
	grains->frames--;
	return frame;
}

void *tmem_grain_remove(struct tmem_client *client, uint64_t name)
{
	struct tmem_grains *grains = &client->grains;
	struct slot *slot = slot_of(name);
	uint64_t next = slot->split ? next_of(frame_of(name), slot) : 0;
	uint32_t size = slot->size;
	void *first, *second = NULL;
	bool sealed = false;

	if (next) {
		size += slot_of(next)->size - (uint32_t)NEXT_SIZE;
		sealed = frame_of(next)->class == CLASS_SEALED;
		second = piece_remove(grains, frame_of(next), slot_of(next));
	}
	first = piece_remove(grains, frame_of(name), slot);
	grains->blobs--;
	grains->bytes -= size;
	if (!first || !second)
		return first ? first : second;
	tmem_client_frame_free(client, sealed ? first : second);
	return sealed ? second : first;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

void tmem_grain_prefetch(uint64_t name)
{
	const struct grain_frame *frame = frame_of(name);

	__builtin_prefetch(frame);
	__builtin_prefetch(slot_of(name));
}

/* Bring a piece's bytes near all at once: one after the other each would be waited for. */
static void piece_expect(const struct grain_frame *frame, const struct slot *slot)
{
	const char *byte = data_of(frame, slot), *end = byte + slot->size;

	for (; byte < end; byte += CACHE_LINE)
		__builtin_prefetch(byte);
}

/* Copy a piece of a split blob. Returns how many bytes of the blob it had. */
static uint32_t piece_read(uint64_t name, void *dst, uint64_t *next)
{
	struct grain_frame *frame = frame_of(name);
	const struct slot *slot = slot_of(name);
	uint32_t skip = 0, size;

	tmem_lock_acquire(&frame->lock);
	if (slot->split) {
		*next = next_of(frame, slot);
		skip = NEXT_SIZE;
	} else {
		piece_expect(frame, slot);
	}
	size = slot->size - skip;
	__builtin_memcpy(dst, data_of(frame, slot) + skip, size);
	tmem_lock_release(&frame->lock);
	return size;
}

const void *tmem_grain_open(uint64_t name, void *buffer, uint32_t *size)
{
	struct grain_frame *frame = frame_of(name);
	const struct slot *slot = slot_of(name);
	uint64_t next;

	tmem_lock_acquire(&frame->lock);
	piece_expect(frame, slot);
	if (!slot->split) {
		*size = slot->size;
		return data_of(frame, slot);
	}
	tmem_grain_prefetch(next_of(frame, slot));
	tmem_lock_release(&frame->lock);
	*size = piece_read(name, buffer, &next);
	*size += piece_read(next, (char *)buffer + *size, &next);
	return buffer;
}

void tmem_grain_close(uint64_t name, const void *blob)
{
	struct grain_frame *frame = frame_of(name);

	if (FRAME_OF((uintptr_t)blob) == (uintptr_t)frame)
		tmem_lock_release(&frame->lock);
}

bool tmem_grain_is_sealed(uint64_t name)
{
	struct grain_frame *frame = frame_of(name);
	uint64_t next = 0;

	if (tmem_frame_is_sealed(frame))
		return true;
	tmem_lock_acquire(&frame->lock);
	if (slot_of(name)->split)
		next = next_of(frame, slot_of(name));
	tmem_lock_release(&frame->lock);
	return next && tmem_frame_is_sealed(frame_of(next));
}

/* ---- emptying frames --------------------------------------------------------------------------
 */

void tmem_grain_seal(struct tmem_client *client, void *memory)
{
	struct grain_frame *frame = memory;

	list_leave(&client->grains, frame);
	frame->class = CLASS_SEALED;
}

void tmem_grain_unseal(struct tmem_client *client, void *memory)
{
	struct grain_frame *frame = memory;

	frame->class = CLASS_NONE;
	list_update(&client->grains, frame);
}

void *tmem_grain_emptiest(struct tmem_client *client)
{
	const struct tmem_grains *grains = &client->grains;
	uint32_t class = TMEM_GRAIN_CLASSES;

	while (class -- > 0) {
		struct tmem_link *link = grains->rooms[class].first;
		struct grain_frame *frame;

		if (!link)
			continue;
		frame = tmem_list_entry(link, struct grain_frame, link);
		return grains->room - class * CLASS_SIZE > frame->used ? frame : NULL;
	}
	return NULL;
}

bool tmem_grain_owner(const void *memory, unsigned int n, uint32_t *owner)
{
	const struct grain_frame *frame = memory;

	if (n >= frame->slots)
		return false;
	*owner = slot_at(frame, n)->size ? slot_at(frame, n)->owner : 0;
	return true;
}
