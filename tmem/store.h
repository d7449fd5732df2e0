/* SPDX-License-Identifier: BSD-2-Clause */
/* The store's global state: what the host handed in, and the list of clients. */
#ifndef TMEM_STORE_H
#define TMEM_STORE_H

#include "tmem/list.h"
#include "tmem/lock.h"
#include "tmem/tmem.h"

struct tmem_store {
	struct tmem_host host;	  /* constant after tmem_init() */
	struct tmem_lock lock;	  /* protects clients; see tmem/lock.h */
	struct tmem_list clients; /* struct tmem_client.link */
};

extern struct tmem_store tmem_store;

#endif
