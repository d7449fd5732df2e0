/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages as real programs have them, taken on the spot: nothing is kept, nothing shipped. */
#ifndef TESTS_BENCH_STORE_CORPUS_H
#define TESTS_BENCH_STORE_CORPUS_H

#include <stdint.h>

/*
 * corpus_processes - what programs write into their memory
 * @pages: room for @max pages
 *
 * Starts Python with much of its library parsed, and the C compiler on a long source; takes the
 * anonymous pages that they have touched. Returns how many.
 */
uint64_t corpus_processes(char *pages, uint64_t max);

/* corpus_files - programs, libraries and texts of /usr, as a page cache holds them. Likewise. */
uint64_t corpus_files(char *pages, uint64_t max);

#endif
