/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tmem - transcendent memory: the page store, as everything outside tmem/ sees it
 *
 * A client (a guest) has pools; a pool holds pages under keys of (192-bit object id, 64-bit
 * index). Persistent pools keep a page until it is flushed; ephemeral ones may lose it at any
 * time. The coherence rules are docs/abi.md's, "Coherence".
 *
 * This directory includes nothing of arch/ or core/: what it needs of the machine it is handed in
 * struct tmem_host, so that it builds, runs and is tested as an ordinary library on a host.
 *
 * Context of every function, unless it says otherwise: any CPU, any number of them at once; the
 * store takes its own locks, never sleeps and never calls back but through struct tmem_host.
 * Errors are the ABI's, negative (include/tidepool/abi.h).
 */
#ifndef TMEM_TMEM_H
#define TMEM_TMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tidepool/abi.h>

#define TMEM_PAGE_SIZE	4096u
#define TMEM_BLOCK_SIZE (2u << 20)
#define TMEM_MAX_CPUS	64u
#define TMEM_MAX_NODES	16u

/*
 * What the store needs of its surroundings. All members are required, but for those of nodes.
 * @block_alloc: TMEM_BLOCK_SIZE bytes, aligned likewise, zeroed; NULL when the host has no more.
 *		 May be called with store locks held.
 * @block_free:  takes one back; the host scrubs it before anybody else sees it.
 * @page_put:	 copies one page between 4 KiB-aligned, non-overlapping buffers, into the store: the
 *		 target will not be read soon. Reads each byte once. @next: a page that it will be
 *		 called for after this one, most probably, or NULL. Returns the fingerprint of what
 *		 it stored, 64 bits that are the same for equal pages and that guests cannot
 *		 predict.
 * @page_get:	 likewise, out of the store: the target will be read soon.
 * @page_equal:	 whether two pages are equal; the first may change meanwhile, and each byte of it is
 *		 read once.
 * @page_repeats: whether a page is @word again and again; likewise.
 * @compress:	 makes a page smaller, into @dst; returns how many bytes, or 0: more than @cap.
 * @decompress:	 makes the page of @size such bytes again; what others write to @dst meanwhile may
 *end up there, no more. Neither needs memory.
 * @relax:	 a pause inside a spin loop.
 * @cpu:	 the number of the calling CPU, below @cpus. Between two calls into the store on one
 *		 CPU the first has returned.
 * @cpus:	 at most TMEM_MAX_CPUS; the store keeps a frame for each.
 * @hash_seed:	 128 random bits, drawn at boot and shown to nobody: the index is keyed with them,
 *		 so that a guest cannot choose keys that collide.
 *
 * Where some memory is nearer to a CPU than other, pages are kept near the CPU that puts them:
 * @nodes:	 at most TMEM_MAX_NODES. 0 or 1: all memory is alike, and the rest is not asked for.
 * @node:	 the node of the calling CPU, below @nodes.
 * @node_of:	 that of a block.
 * @block_alloc_here: as @block_alloc, but of the calling CPU's node or none; @block_alloc gives one
 *		 of another node rather than none.
 */
struct tmem_host {
	void *(*block_alloc)(void);
	void (*block_free)(void *block);
	uint64_t (*page_put)(void *dst, const void *src, const void *next);
	void (*page_get)(void *dst, const void *src);
	bool (*page_equal)(const void *a, const void *b);
	bool (*page_repeats)(const void *page, uint64_t word);
	uint32_t (*compress)(void *dst, uint32_t cap, const void *src);
	void (*decompress)(void *dst, const void *src, uint32_t size);
	void (*relax)(void);
	unsigned int (*cpu)(void);
	unsigned int cpus;
	uint64_t hash_seed[2];
	unsigned int nodes;
	unsigned int (*node)(void);
	unsigned int (*node_of)(const void *block);
	void *(*block_alloc_here)(void);
};

/* A page's name inside a pool. */
struct tmem_key {
	uint64_t oid[3];
	uint64_t index;
};

/* Limits of one client, in pages of host memory, metadata included. */
struct tmem_limits {
	uint64_t cap;	  /* at most so many; UINT64_MAX for none */
	uint64_t reserve; /* so many are kept for it, whatever the others do */
	uint16_t weight;  /* its share of what is left, against the others'; 0 counts as 1 */
	bool compress;	  /* cold pages are compressed when memory is short */
	uint16_t refuse;  /* for tests of guests: of so many puts of pages of order 0 one is
			     refused as for want of memory; 0: none */
	uint32_t dedup;	  /* whose equal pages share memory: as follows */
};

#define TMEM_DEDUP_OFF	  0u  /* nobody's: each page has its own */
#define TMEM_DEDUP_ALONE  1u  /* the client's */
#define TMEM_DEDUP_GROUP  2u  /* those of all clients with this number; one more: another group */
#define TMEM_DEDUP_GROUPS 16u /* so many; a client with a reserve is in none, but alone */

/* Counters of one client; a snapshot, each value exact at some instant of the call. */
struct tmem_stats {
	uint64_t puts;	  /* puts that stored a page */
	uint64_t refused; /* puts refused for want of memory */
	uint64_t gets;	  /* gets that found their page */
	uint64_t misses;  /* gets that did not */
	uint64_t flushed; /* pages dropped by flush and destroy calls */
	uint64_t evicted; /* ephemeral pages dropped by the store */
	uint64_t held;	  /* pages held now */
	uint64_t pools;	  /* pools open now */
	uint64_t shared; /* pages held now in memory that an equal page of the client has as well */
	uint64_t charged; /* host pages charged now, metadata included: what the cap limits */
};

/* The whole store. */
struct tmem_store_stats {
	uint64_t blocks;      /* 2 MiB blocks taken from the host */
	uint64_t pages_held;  /* pages of all clients */
	uint64_t pages_free;  /* page frames in those blocks that hold nothing; of a full store the
				 frames that are kept for the CPUs */
	uint64_t pages_saved; /* page frames more that it would take if equal pages shared none */
};

struct tmem_client;

/*
 * tmem_init - set the store up, empty
 * @host: callbacks, copied; see struct tmem_host
 *
 * Returns 0, or -TIDEPOOL_ENOMEM when the host has not even the first block.
 * Context: once, before every other call.
 */
int tmem_init(const struct tmem_host *host);

/* tmem_exit - hand every block back; for host tests. Context: no client exists, no call runs. */
void tmem_exit(void);

/*
 * tmem_client_create - make room for one more guest
 *
 * Returns the client, owned by the caller until tmem_client_destroy() has returned 0; NULL
 * without memory.
 */
struct tmem_client *tmem_client_create(const struct tmem_limits *limits);

/* Why a client is frozen: each reason stands for itself. */
enum tmem_freeze {
	TMEM_FREEZE_OPERATOR = 1,
	TMEM_FREEZE_SAVE = 2,
	TMEM_FREEZE_RESTORE = 4,
};

/*
 * tmem_client_freeze - let a client's pages only become fewer; tmem_client_thaw - the reverse
 *
 * Of a frozen client a put to a key that holds nothing is refused with -TIDEPOOL_EFROZEN, and one
 * to a key that holds a page drops that page and is refused with -TIDEPOOL_ENOSPC (rule 2). No
 * pool can be made, and exchanges are refused. Gets, flushes, destroys and eviction go on. Calls
 * that were under way may still store their page until they return.
 */
void tmem_client_freeze(struct tmem_client *client, enum tmem_freeze reason);
void tmem_client_thaw(struct tmem_client *client, enum tmem_freeze reason);

/*
 * tmem_client_evict - drop a client's ephemeral pages, in the order in which they would be evicted
 * @count: so many at most; each takes about as long as a flush
 *
 * Returns how many were dropped; 0: there are none, or other CPUs hold the lanes that have them.
 * Context: any; calls of the client's may run.
 */
unsigned int tmem_client_evict(struct tmem_client *client, unsigned int count);

/*
 * tmem_shared_create - make a pool that several clients may use
 * @name:   what they ask for it by
 * @limits: of the pool's memory: it is charged to itself, and to none of them
 *
 * Returns the account that it is charged to, a client without a guest, for tmem_client_prepare()
 * and tmem_client_stats(); NULL without memory. It may be destroyed as a client when no client that
 * was granted it is left.
 */
struct tmem_client *tmem_shared_create(const uint64_t name[2], bool persistent,
				       const struct tmem_limits *limits);

/*
 * tmem_shared_grant - let a client open a shared pool
 * @shared: from tmem_shared_create()
 * @write:  it may put and flush, and is believed in what it puts by all others
 *
 * Returns 0, or -TIDEPOOL_ENOMEM: it has been granted eight. Context: the client is not used yet.
 */
int tmem_shared_grant(struct tmem_client *client, struct tmem_client *shared, bool write);

/*
 * tmem_client_prepare - set memory aside for a client's reserve
 *
 * Takes one block from the host at most, so that it is bounded. Returns 0 when the reserve stands,
 * -TIDEPOOL_EAGAIN: repeat, or -TIDEPOOL_ENOMEM: the host has too little for it; what was set aside
 * stays so until the client is destroyed.
 */
int tmem_client_prepare(struct tmem_client *client);

/*
 * tmem_client_destroy - drop a client with all its pools and pages
 *
 * Returns 0 when the client is gone, -TIDEPOOL_EAGAIN when a bounded step was done and the call
 * must be repeated. No other call for this client may run or follow.
 */
int tmem_client_destroy(struct tmem_client *client);

/*
 * tmem_pool_create - TIDEPOOL_OP_NEW_POOL
 * @flags, @uuid: as the guest passed them; checked here
 *
 * Returns the pool id (0 .. TIDEPOOL_MAX_POOLS - 1), -TIDEPOOL_EINVAL (version, page order or
 * reserved bits), -TIDEPOOL_EPERM (shared: nobody granted it, or not as this kind of pool),
 * -TIDEPOOL_EFROZEN, -TIDEPOOL_ENOMEM (no free id or no memory). A shared pool that the client has
 * open already is the same pool: the same id.
 */
int64_t tmem_pool_create(struct tmem_client *client, uint64_t flags, const uint64_t uuid[2]);

/*
 * tmem_pool_destroy - TIDEPOOL_OP_DESTROY_POOL
 *
 * Returns 0, -TIDEPOOL_ENODEV, or -TIDEPOOL_EAGAIN: repeat. Once the first call has returned the
 * pool answers -TIDEPOOL_ENODEV to everything but the repeated destroy.
 */
int64_t tmem_pool_destroy(struct tmem_client *client, uint64_t pool);

/*
 * tmem_put - TIDEPOOL_OP_PUT_PAGE: copy a page in
 * @page: TMEM_PAGE_SIZE bytes, page-aligned; may change meanwhile (the guest's other CPUs write
 *	  it): a mixture of what was there during the call is stored. One whose 32-bit words are all
 *	  alike costs no frame.
 *
 * At the cap the client's own ephemeral pages make room, in the order of tmem/order.h. When the
 * host has no more, it is those of whoever is furthest above its reserve, for its weight; a
 * persistent page, once its owner has no ephemeral ones, takes from anybody above its reserve.
 * Where there is nothing to take the put is refused.
 *
 * Returns 0, -TIDEPOOL_ENODEV, -TIDEPOOL_EPERM (as all that change a shared pool: only a grant to
 * read), -TIDEPOOL_ENOMEM (refused; the key held nothing), -TIDEPOOL_EFROZEN (likewise), or
 * -TIDEPOOL_ENOSPC (refused, and the page the key held was dropped: rule 2. Only where the old page
 * had no frame that the new one could take, or the client is frozen).
 */
int64_t tmem_put(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		 const void *page);

/*
 * tmem_put_then - tmem_put() of one page of several
 * @next: the page that is put after it, most probably, to be brought near meanwhile; or NULL
 */
int64_t tmem_put_then(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		      const void *page, const void *next);

/*
 * tmem_get - TIDEPOOL_OP_GET_PAGE: copy a page out
 * @page: written only on success
 *
 * A get from an ephemeral pool removes the page, one from a persistent pool keeps it. One from a
 * shared ephemeral pool keeps it too, as the most recent one.
 * Returns 0, -TIDEPOOL_ENODEV or -TIDEPOOL_ENOENT.
 */
int64_t tmem_get(struct tmem_client *client, uint64_t pool, const struct tmem_key *key, void *page);

/* One page of tmem_get_all(). @page: as tmem_get()'s. */
struct tmem_get {
	uint64_t pool;
	struct tmem_key key;
	void *page;
};

/* Pages, copied with all their shards locked; each may have to be decompressed. */
#define TMEM_GET_ALL_MAX 16u

/*
 * tmem_get_all - TIDEPOOL_OP_VECTOR with TIDEPOOL_VECTOR_ALL: get several pages, or none
 * @gets:  all valid; a key of an ephemeral pool that is named twice is missing the second time
 * @count: 1 .. TMEM_GET_ALL_MAX
 *
 * The pages are those of one instant. Returns 0 with all pages copied, and those of ephemeral
 * pools removed; -TIDEPOOL_ENODEV or -TIDEPOOL_ENOENT with no page written and none removed.
 */
int64_t tmem_get_all(struct tmem_client *client, const struct tmem_get *gets, unsigned int count);

/* tmem_flush_page - drop one page. Returns pages dropped (0 or 1) or -TIDEPOOL_ENODEV. */
int64_t tmem_flush_page(struct tmem_client *client, uint64_t pool, const struct tmem_key *key);

/*
 * tmem_flush_object - drop all pages of an object, whatever their index
 *
 * Returns 0 when none is left, -TIDEPOOL_ENODEV, or -TIDEPOOL_EAGAIN: repeat.
 */
int64_t tmem_flush_object(struct tmem_client *client, uint64_t pool, const uint64_t oid[3]);

/*
 * tmem_flush_range - TIDEPOOL_OP_FLUSH_RANGE: drop the pages of @count indices from @first on
 *
 * Returns how many indices were dealt with, from @first on, at least one; -TIDEPOOL_ENODEV;
 * -TIDEPOOL_EINVAL (@count is 0 or above INT64_MAX, or the range goes beyond the last index).
 */
int64_t tmem_flush_range(struct tmem_client *client, uint64_t pool, const uint64_t oid[3],
			 uint64_t first, uint64_t count);

/* A part of a stored page, and where it is in a page of the guest. Bytes; neither ends outside. */
struct tmem_span {
	uint32_t length;
	uint32_t offset; /* in the stored page */
	uint32_t at;	 /* in the guest's */
	uint32_t part;	 /* of a page of 2 MiB: which 4 KiB, that the others are about; else 0 */
};

/*
 * tmem_span_parse - decode the ABI's span
 * @huge: it is of a page of 2 MiB
 *
 * Returns whether it is valid. Context: any.
 */
bool tmem_span_parse(uint64_t word, bool huge, struct tmem_span *span);

/* tmem_new_page - TIDEPOOL_OP_NEW_PAGE: tmem_put() of a page of zeroes */
int64_t tmem_new_page(struct tmem_client *client, uint64_t pool, const struct tmem_key *key);

/*
 * tmem_read - TIDEPOOL_OP_READ: copy a part of a page out; the page stays, even an ephemeral one
 * @span: from tmem_span_parse()
 * @page: TMEM_PAGE_SIZE bytes, of which only the span is written, and that only on success
 *
 * Returns 0, -TIDEPOOL_ENODEV or -TIDEPOOL_ENOENT.
 */
int64_t tmem_read(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		  const struct tmem_span *span, void *page);

/*
 * tmem_write - TIDEPOOL_OP_WRITE: change a part of a page; one that is not there is zeroes
 * @data: TMEM_PAGE_SIZE bytes, of which only the span is read, once
 *
 * Returns as tmem_put().
 */
int64_t tmem_write(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		   const struct tmem_span *span, const void *data);

/*
 * tmem_exchange - TIDEPOOL_OP_XCHG: exchange a part of a page with a part of @data
 *
 * Returns 0; -TIDEPOOL_ENODEV, -TIDEPOOL_EPERM, -TIDEPOOL_ENOENT, -TIDEPOOL_EFROZEN or
 * -TIDEPOOL_ENOMEM with nothing changed.
 */
int64_t tmem_exchange(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		      const struct tmem_span *span, void *data);

/* Whether a pool's pages are of 2 MiB. False when there is no such pool. */
bool tmem_pool_is_huge(struct tmem_client *client, uint64_t pool);

/*
 * tmem_huge_put - one step of TIDEPOOL_OP_PUT_PAGE in a pool of order 9
 * @data:   2 MiB, page-aligned; NULL for zeroes
 * @cookie: 0 to begin, then what the last step returned
 *
 * From the first step on, until the last one, the key holds no page.
 * Returns 0 when the page is there; a positive cookie: go on with it; -TIDEPOOL_EAGAIN: repeat; or
 * what tmem_put() returns, besides -TIDEPOOL_EINVAL: index, cookie, or pool of order 0.
 */
int64_t tmem_huge_put(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		      const void *data, uint64_t cookie);

/*
 * tmem_huge_get - one step of TIDEPOOL_OP_GET_PAGE in a pool of order 9
 * @data: 2 MiB; on an error part of it may have been written
 *
 * A persistent page that is replaced or flushed between two steps is never mixed with another: the
 * get begins anew by itself, or finds nothing. An ephemeral page is the caller's from the first
 * step on. Returns 0, a cookie or -TIDEPOOL_EAGAIN as tmem_huge_put(), or what tmem_get() does.
 */
int64_t tmem_huge_get(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		      void *data, uint64_t cookie);

/*
 * tmem_huge_flush - one step of TIDEPOOL_OP_FLUSH_PAGE in a pool of order 9
 *
 * When the first one returns the page is gone. Returns 0 or 1, pages dropped; -TIDEPOOL_EAGAIN:
 * repeat, to give back its memory; or the error.
 */
int64_t tmem_huge_flush(struct tmem_client *client, uint64_t pool, const struct tmem_key *key);

/*
 * tmem_huge_flush_range - one step of TIDEPOOL_OP_FLUSH_RANGE in a pool of order 9
 *
 * Returns as tmem_flush_range(), besides -TIDEPOOL_EAGAIN: the first page is gone, and the call is
 * to be repeated to give back its memory. -TIDEPOOL_EINVAL: also where an index is too large.
 */
int64_t tmem_huge_flush_range(struct tmem_client *client, uint64_t pool, const uint64_t oid[3],
			      uint64_t first, uint64_t count);

/*
 * tmem_huge_read, tmem_huge_write, tmem_huge_exchange - TIDEPOOL_OP_READ, _WRITE and _XCHG in a
 * pool of order 9
 * @span, @page, @data: as of tmem_read(), tmem_write() and tmem_exchange()
 *
 * In one call, as they are about one part. A write makes no page. Return as tmem_read() and
 * tmem_exchange(): 0 or an error with nothing changed; -TIDEPOOL_EINVAL: index, or pool of order 0.
 */
int64_t tmem_huge_read(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		       const struct tmem_span *span, void *page);
int64_t tmem_huge_write(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
			const struct tmem_span *span, const void *data);
int64_t tmem_huge_exchange(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
			   const struct tmem_span *span, void *data);

/*
 * tmem_idle_step - a bit of work that is better done now than when a guest waits for it
 * @scarce: the host's memory is short, so that compressing is worth while for all guests
 *
 * Compresses cold pages of guests that are near their caps, or of all, and packs what was
 * compressed; and blocks that tmem_relinquish() had begun to empty are used again when it is not
 * called any more. Returns whether there was something to do. Takes about as long as one page
 * compressed.
 */
bool tmem_idle_step(bool scarce);

/*
 * tmem_relinquish - a step of handing blocks of memory back to the host, whatever is in them
 * @want: so many blocks are still wanted; 0: none, what is under way is given up
 *
 * Persistent pages move, ephemeral ones move or are dropped. The host had better refuse to give
 * blocks meanwhile, or it may get the same one again. Returns 1: a block was handed back;
 * -TIDEPOOL_EAGAIN: repeat; -TIDEPOOL_ENOMEM: no more can be had, or none that is easily found.
 * Context: no lock held; takes as long as some pages copied.
 */
int64_t tmem_relinquish(uint64_t want);

/* ---- save and restore: the stream's format is tmem/stream.h's -----------------------------------
 */

#define TMEM_POOL_WORDS (TIDEPOOL_MAX_POOLS / 64) /* a set of pool numbers */

enum tmem_save_phase {
	TMEM_SAVE_BEGIN,
	TMEM_SAVE_POOLS,
	TMEM_SAVE_PAGES,
	TMEM_SAVE_LIVE, /* all pages are out; the guest goes on, and what goes is logged */
	TMEM_SAVE_GONE,
	TMEM_SAVE_CLOSED,
	TMEM_SAVE_LAST,
	TMEM_SAVE_DONE, /* the stream is complete */
};

/* A save under way; the caller's, for one CPU at a time. */
struct tmem_save {
	struct tmem_client *client;
	void *page; /* the caller's, TMEM_PAGE_SIZE bytes, page-aligned */
	enum tmem_save_phase phase;
	uint64_t pools[TMEM_POOL_WORDS]; /* that there were at the start */
	uint64_t nr_pools;
	uint64_t pool, shard;		       /* where it goes on */
	bool inside;			       /* of that shard: at the log's cursor */
	uint64_t pages, gone, closed, records; /* written so far */
	uint64_t last;			       /* checksum */
};

#define TMEM_SAVE_BUFFER_MIN (64u + TMEM_PAGE_SIZE) /* the longest record */

/*
 * tmem_save_begin - begin to save a client's own pools, and freeze it until tmem_save_end()
 * @save: set up here
 *
 * The guest may go on: its pages only become fewer, and those that do are told at the end of the
 * stream. Returns 0, or -TIDEPOOL_EBUSY: one is under way.
 */
int tmem_save_begin(struct tmem_save *save, struct tmem_client *client, void *page);

/*
 * tmem_save_read - get more of the stream: whole records
 * @size: of the buffer, TMEM_SAVE_BUFFER_MIN at least
 *
 * Returns bytes written; 0: there is no more before tmem_save_finish(), or (in the phase
 * TMEM_SAVE_DONE) at all; -TIDEPOOL_EAGAIN: repeat; -TIDEPOOL_EINVAL.
 */
int64_t tmem_save_read(struct tmem_save *save, void *buffer, uint64_t size);

/*
 * tmem_save_finish - what goes from here on is not told any more: the guest should stand still
 * Returns 0, or -TIDEPOOL_EAGAIN: tmem_save_read() has not returned 0 yet.
 */
int tmem_save_finish(struct tmem_save *save);

/* tmem_save_end - end a save, complete or not. Returns 0, or -TIDEPOOL_EAGAIN: repeat. */
int tmem_save_end(struct tmem_save *save);

/* What is wrong with a stream. */
enum tmem_restore_fault {
	TMEM_RESTORE_GOOD,
	TMEM_RESTORE_MAGIC,
	TMEM_RESTORE_VERSION,
	TMEM_RESTORE_KIND,
	TMEM_RESTORE_LENGTH,
	TMEM_RESTORE_NUMBER,
	TMEM_RESTORE_CHECKSUM,
	TMEM_RESTORE_POOL,
	TMEM_RESTORE_PAGE,
	TMEM_RESTORE_COUNT,
	TMEM_RESTORE_TRUNCATED,
	TMEM_RESTORE_BEYOND,
	TMEM_RESTORE_MEMORY,
};

/* A restore under way; as struct tmem_save. */
struct tmem_restore {
	struct tmem_client *client;
	void *page;
	enum tmem_restore_fault fault;
	uint32_t kind;			  /* of the last record */
	bool complete;			  /* its end has come */
	uint64_t nr_pools;		  /* that are still to come */
	uint64_t pools[TMEM_POOL_WORDS];  /* made, and to stay */
	uint64_t closed[TMEM_POOL_WORDS]; /* made, and to go */
	uint64_t pages, gone, nr_closed, records;
	uint64_t last;
};

/*
 * tmem_restore_begin - begin to build a client's pools from a stream; it is frozen until the end
 * Returns 0, or -TIDEPOOL_EBUSY: it has pools, or is being saved.
 */
int tmem_restore_begin(struct tmem_restore *restore, struct tmem_client *client, void *page);

/*
 * tmem_restore_write - take more of the stream
 * @buffer: from where the last call came to on; may change meanwhile
 *
 * Returns bytes taken, whole records only: 0 if @size is less than the next one.
 * -TIDEPOOL_EBADMSG: the stream is refused; tmem_restore_reason() says why.
 */
int64_t tmem_restore_write(struct tmem_restore *restore, const void *buffer, uint64_t size);

/*
 * tmem_restore_end - end a restore
 *
 * Returns 0: all pools are there. -TIDEPOOL_EBADMSG: the stream was refused, or ended too early,
 * and nothing of it is left. -TIDEPOOL_EAGAIN: repeat.
 */
int tmem_restore_end(struct tmem_restore *restore);

/* tmem_restore_reason - what is wrong with the stream, for a sentence. Never NULL. */
const char *tmem_restore_reason(const struct tmem_restore *restore);

void tmem_client_stats(struct tmem_client *client, struct tmem_stats *stats);
void tmem_store_stats(struct tmem_store_stats *stats);

/*
 * tmem_costs - what compressing and decompressing has cost the calling CPU so far, in pages copied
 * Context: any.
 */
uint64_t tmem_costs(void);

/* tmem_node_blocks - of the blocks taken from the host, those of a node. Context: any. */
uint64_t tmem_node_blocks(unsigned int node);

#endif
