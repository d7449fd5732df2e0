/* SPDX-License-Identifier: BSD-2-Clause */
/* What modes.c and modes_entry.S agree on. For C and assembly. */
#ifndef TESTS_GUEST_LIB_MODES_SELECTORS_H
#define TESTS_GUEST_LIB_MODES_SELECTORS_H

#define MODES_LOW 0x8000 /* where the 16-bit code is copied to */

/* Behind the selectors of selectors.h, which are the same. */
#define MODES_CODE16	  0x40
#define MODES_DATA16	  0x48
#define MODES_TSS	  0x50
#define MODES_USER_CODE32 0x5b
#define MODES_OTHER_TSS	  0x60
#define MODES_GDT_ENTRIES 13

#define MODES_TASK_VECTOR 20
#define MODES_IDT_ENTRIES 21

#endif
