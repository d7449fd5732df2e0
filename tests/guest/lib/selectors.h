/* SPDX-License-Identifier: BSD-2-Clause */
/* The test guests' segment selectors; the table is in start.S. For C and assembly. */
#ifndef TESTS_GUEST_LIB_SELECTORS_H
#define TESTS_GUEST_LIB_SELECTORS_H

#define SELECTOR_CODE32	   0x08
#define SELECTOR_CODE	   0x10
#define SELECTOR_DATA	   0x18
#define SELECTOR_USER_DATA 0x23
#define SELECTOR_USER_CODE 0x2b
#define SELECTOR_TSS	   0x30

#define VECTOR_LEAVE_USER 0x80 /* INT from ring 3 that ends user_run() */

#endif
