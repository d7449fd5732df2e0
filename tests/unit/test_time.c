/* SPDX-License-Identifier: BSD-2-Clause */
/* core/time.h: the conversions, against 128-bit arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/time.h"

uint32_t tsc_khz;

static const uint32_t frequencies[] = {50000, 200001, 999999, 1000000, 2596148, 5700000, 20000000};

static const uint64_t spans[] = {
	0,
	1,
	999999,
	1000000,
	1000001,
	123456789,
	NSEC_PER_SEC,
	86400 * NSEC_PER_SEC,
	31557600ull * NSEC_PER_SEC,
	100ull * 31557600 * NSEC_PER_SEC,
};

static uint64_t exact_ticks(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * tsc_khz / 1000000);
}

static uint64_t exact_ns(uint64_t ticks)
{
	return (uint64_t)((unsigned __int128)ticks * 1000000 / tsc_khz);
}

static void test_conversions(void **state)
{
	(void)state;
	for (size_t f = 0; f < sizeof(frequencies) / sizeof(frequencies[0]); f++) {
		tsc_khz = frequencies[f];
		for (size_t s = 0; s < sizeof(spans) / sizeof(spans[0]); s++) {
			unsigned __int128 ticks = (unsigned __int128)spans[s] * tsc_khz / 1000000;

			if (ticks > UINT64_MAX)
				continue;
			assert_int_equal(time_ns_to_ticks(spans[s]), exact_ticks(spans[s]));
			assert_int_equal(time_ticks_to_ns((uint64_t)ticks),
					 exact_ns((uint64_t)ticks));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_conversions)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
