/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ticket spinlocks: fair, so that no CPU waits longer than the others' critical sections.
 *
 * Interrupts are off wherever the hypervisor runs, but for the two places that open them on
 * purpose with no lock held (the idle loop and the interrupt window after a VM exit), so there is
 * no irqsave variant.
 */
#ifndef CORE_SPINLOCK_H
#define CORE_SPINLOCK_H

#include <stdint.h>

struct spinlock {
	uint32_t next;	  /* the ticket the next comer draws */
	uint32_t serving; /* the ticket that may enter */
};

static inline void spin_lock(struct spinlock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket)
		__builtin_ia32_pause();
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

#endif
