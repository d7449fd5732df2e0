/* SPDX-License-Identifier: BSD-2-Clause */
/* Page contents by seeds, and pools that guests share to tell each other how far they are. */
#ifndef TESTS_GUEST_LIB_PAGES_H
#define TESTS_GUEST_LIB_PAGES_H

#include <stdbool.h>
#include <stdint.h>

/* pages_fill - words that depend on @seed; pages_hold - whether they do. @bytes: of whole words */
void pages_fill(uint64_t *page, uint64_t bytes, uint64_t seed);
bool pages_hold(const uint64_t *page, uint64_t bytes, uint64_t seed);

/* shared_open - open a shared pool by its name. Returns its number or the error. */
int64_t shared_open(const char *name, uint64_t flags);

/* shared_wait - wait until there is page @index of the object {4, 5, 6}; ends the test if it does
 * not come */
void shared_wait(uint64_t pool, uint64_t index, uint64_t *page);

#endif
