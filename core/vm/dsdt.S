/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiled core/vm/dsdt.asl; the build puts dsdt.aml on the include path (-I build). */
	.section .rodata
	.globl	dsdt_aml, dsdt_aml_size
	.balign	4
dsdt_aml_size:
	.long	dsdt_aml_end - dsdt_aml
dsdt_aml:
	.incbin	"dsdt.aml"
dsdt_aml_end:

	.section .note.GNU-stack, "", @progbits
