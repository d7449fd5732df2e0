/* SPDX-License-Identifier: BSD-2-Clause */
/* The store as a library under the engine of random calls (engine.h). */
#ifndef TESTS_UNIT_ENGINE_STORE_H
#define TESTS_UNIT_ENGINE_STORE_H

#include "tests/unit/model.h"
#include "tmem/tmem.h"

extern struct tmem_client *engine_clients[MODEL_CLIENTS];
/* Set before engine_store_start(). */
extern uint64_t engine_caps[MODEL_CLIENTS];
/* Modulo 4: which equal pages share memory, none, the client's own, those of a group, of another.
 */
extern uint8_t engine_dedup[MODEL_CLIENTS];

/* Make the clients and the pool that they share, and start the engine. @fail: as the engine's */
void engine_store_start(unsigned int clients, void (*fail)(const char *what, int64_t value));

/* Destroy all of it. */
void engine_store_stop(void);

#endif
