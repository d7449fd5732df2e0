/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ticket spinlocks. First come, first served: with N CPUs a CPU waits for at most N - 1 critical
 * sections, whatever a guest does on the others.
 *
 * The store's locks, outermost first; whoever holds one may only take those below it:
 *   1. a lane's (tmem/client.h): 1/32 of a client's pages, their contents and order included. More
 *	than one are locked by tmem_get_all() alone, in the order of their addresses, and by
 *	eviction, which only tries the second;
 *   2. a client's: its charge, its metadata cells, its pools; another client's is only tried, when
 *	a page of it is evicted for the first, and with it held its lanes' are only tried;
 *   3. the list of clients' (tmem/store.h): clients' locks are only tried below it;
 *   4. a group's (tmem/group.c), then that of a table's shard (tmem/dedup.c);
 *   5. the frame allocator's (tmem/frame.c).
 */
#ifndef TMEM_LOCK_H
#define TMEM_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct tmem_lock {
	uint32_t next;	/* the ticket that the next comer draws */
	uint32_t owner; /* the ticket that is served now */
};

/* The host's pause; set by tmem_init(). */
extern void (*tmem_lock_relax)(void);

static inline void tmem_lock_acquire(struct tmem_lock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket)
		tmem_lock_relax();
}

/* Take the lock if nobody has it and nobody waits. Returns whether it was taken. */
static inline bool tmem_lock_try(struct tmem_lock *lock)
{
	uint32_t ticket = __atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE);

	return __atomic_compare_exchange_n(&lock->next, &ticket, ticket + 1, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void tmem_lock_release(struct tmem_lock *lock)
{
	__atomic_store_n(&lock->owner, lock->owner + 1, __ATOMIC_RELEASE);
}

#endif
