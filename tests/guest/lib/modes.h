/* SPDX-License-Identifier: BSD-2-Clause */
/* Out of 64-bit mode, through the others, and back. */
#ifndef TESTS_GUEST_LIB_MODES_H
#define TESTS_GUEST_LIB_MODES_H

#include <stdint.h>

#define MODES_COMPAT	0x01u /* compatibility mode, */
#define MODES_PROTECTED 0x02u /* protected mode without paging, */
#define MODES_PAE	0x04u /* with PAE paging, */
#define MODES_V86	0x08u /* virtual-8086 mode, left by an exception, */
#define MODES_REAL	0x10u /* real mode by way of 16-bit protected mode, with an interrupt in it */
#define MODES_ALL	0x1fu

/* modes_tour - go through all of them. Returns those that were reached. Interrupts are off. */
uint32_t modes_tour(void);

/* These never come back; each goes to 32-bit protected mode first. */
void modes_task_jump(void);	  /* a far jump to another task */
void modes_task_gate(void);	  /* an interrupt through a task gate */
void modes_alignment_storm(void); /* #AC whose delivery raises #AC, in ring 3 (CVE-2015-5307) */

#endif
