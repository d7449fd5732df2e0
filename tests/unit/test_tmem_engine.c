/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random calls to all of the store, compared with the reference model: pools of both page sizes and
 * kinds, a shared one, clients that are frozen, saved and restored, caps and refused blocks, equal
 * pages that share memory, of one client and of several, and blocks that are emptied at any time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <tidepool/abi.h>

#include "tests/unit/engine.h"
#include "tests/unit/engine_store.h"
#include "tests/unit/model.h"
#include "tests/unit/model_host.h"

#define ROUNDS 16u
#define CALLS  4000u /* a round */

#define EMPTY_EACH  32u /* calls on average blocks are emptied */
#define EMPTY_STEPS 400u

static void differ(const char *what, int64_t value)
{
	print_error("%s: %lld\n", what, (long long)value);
	fail_msg("the store and the model differ");
}

static void accounts_check(unsigned int c)
{
	struct tmem_stats stats;

	tmem_client_stats(engine_clients[c], &stats);
	assert_true(stats.charged <= engine_caps[c] || stats.charged <= 3);
	assert_true(stats.held >= engine_count(c, true));
	if (!engine_has_huge(c))
		assert_true(stats.held <= engine_count(c, false));
}

/* A host that wants blocks back, or gives up at some step. */
static void blocks_empty(uint64_t want)
{
	unsigned int steps = (unsigned int)(model_random() % EMPTY_STEPS);

	while (steps-- > 0 && tmem_relinquish(want) == -TIDEPOOL_EAGAIN)
		;
}

static uint64_t cap_choose(void)
{
	switch (model_random() % 3) {
	case 0:
		return UINT64_MAX;
	case 1:
		return 10 + model_random() % 100;
	default:
		return 10 + model_random() % 2000;
	}
}

static void round_run(uint64_t seed)
{
	unsigned int c, i;

	model_random_seed(seed);
	assert_int_equal(model_host_start(UINT64_MAX), 0);
	for (c = 0; c < MODEL_CLIENTS; c++) {
		engine_caps[c] = cap_choose();
		engine_dedup[c] = (uint8_t)model_random();
	}
	engine_store_start(MODEL_CLIENTS, differ);
	model_host_narrow(seed);
	for (i = 0; i < CALLS; i++) {
		uint64_t random = model_random();

		engine_call((const uint8_t *)&random);
		if ((random >> 48) % EMPTY_EACH == 0)
			blocks_empty(random >> 40 & 3);
		if (i % 64 == 0)
			accounts_check((unsigned int)(i / 64 % MODEL_CLIENTS));
	}
	engine_store_stop();
	model_host_stop();
}

int main(void)
{
	return model_rounds(ROUNDS, round_run);
}
