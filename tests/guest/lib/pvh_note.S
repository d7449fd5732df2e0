/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a test guest one with a PVH entry.
 * Documents: Xen docs/misc/pvh.pandoc.
 */
#define PVH_NOTE_PHYS32_ENTRY 18

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, PVH_NOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long start32

	.section .note.GNU-stack, "", @progbits
