/* SPDX-License-Identifier: BSD-2-Clause */
/* Page contents that a test can check: a stamp, one number, stands for all of a page's bytes. */
#ifndef TESTS_UNIT_STAMP_H
#define TESTS_UNIT_STAMP_H

#include <stdbool.h>
#include <stdint.h>

/* Whether a stamp stands for a page that needs no frame: one in four. */
bool stamp_is_filled(uint64_t stamp);

/* Fill a page with what a stamp stands for. */
void stamp_fill(uint64_t *page, uint64_t stamp);

/* Fail the test unless the page is what the stamp stands for. */
void stamp_pages_equal(const void *page, const void *wanted);

void stamp_expect(const uint64_t *page, uint64_t stamp);

#endif
