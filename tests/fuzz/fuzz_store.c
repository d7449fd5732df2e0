/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page store against the reference model: the input chooses limits, then the engine's calls
 * (tests/unit/engine.h), four bytes each.
 */
#include <string.h>

#include <tidepool/abi.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/store_host.h"
#include "tests/unit/engine.h"
#include "tests/unit/engine_store.h"

#define CLIENTS	       2u
#define HEADER	       4u /* bytes of the input that set limits */
#define ACCOUNTS_EVERY (16u * ENGINE_CALL)

static void fail(const char *what, int64_t value)
{
	(void)what;
	(void)value;
	abort();
}

/* Accounts: the cap holds, persistent pages are all counted, none is counted that was not put. */
static void accounts_check(unsigned int client)
{
	struct tmem_stats stats;

	tmem_client_stats(engine_clients[client], &stats);
	check(stats.charged <= engine_caps[client] || stats.charged <= 3);
	check(stats.held >= engine_count(client, true));
	check(engine_has_huge(client) || stats.held <= engine_count(client, false));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int c;
	size_t i;

	if (size < HEADER)
		return 0;
	fuzz_host_start(1 + data[2] % FUZZ_HOST_BLOCKS);
	for (c = 0; c < CLIENTS; c++) {
		engine_caps[c] = data[c] < 64 ? UINT64_MAX : data[c] - 64u;
		engine_dedup[c] = data[c];
	}
	engine_store_start(CLIENTS, fail);
	fuzz_host_refuse(data[3]);
	for (i = HEADER; i + ENGINE_CALL <= size; i += ENGINE_CALL) {
		engine_call(data + i);
		/* Counting the model's pages takes longer than the calls. */
		if (i % ACCOUNTS_EVERY == 0)
			accounts_check(data[i] % CLIENTS);
	}
	for (c = 0; c < CLIENTS; c++)
		accounts_check(c);
	engine_store_stop();
	fuzz_host_stop();
	return 0;
}
