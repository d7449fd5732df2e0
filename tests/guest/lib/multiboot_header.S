/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a test guest one with a Multiboot 1 entry, linked in place of pvh_note.S.
 * Documents: Multiboot Specification 0.6.96, section 3.1.
 */
#include "core/vm/multiboot1.h"

#define FLAGS (MULTIBOOT1_PAGE_ALIGN | MULTIBOOT1_MEMORY_INFO)

	.section .multiboot, "a"
	.balign MULTIBOOT1_ALIGN
	.long MULTIBOOT1_HEADER_MAGIC
	.long FLAGS
	.long -(MULTIBOOT1_HEADER_MAGIC + FLAGS)

	.section .note.GNU-stack, "", @progbits
