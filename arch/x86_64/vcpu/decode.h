/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decodes the instructions that reach for device memory: the moves that drivers are compiled to,
 * and the read-modify-write forms that compilers make of volatile accesses. A pure function.
 */
#ifndef ARCH_VCPU_DECODE_H
#define ARCH_VCPU_DECODE_H

#include "core/types.h"

#define INSN_MAX 15u /* bytes of the longest instruction the processor accepts */

/* How the code segment tells to read instructions. */
enum insn_mode { INSN_MODE_16, INSN_MODE_32, INSN_MODE_64 };

enum insn_op {
	INSN_NONE,  /* nothing that is emulated; never returned */
	INSN_LOAD,  /* register = memory, zero- or sign-extended */
	INSN_STORE, /* memory = register or immediate */
	INSN_XCHG,  /* both at once */
	INSN_ADD,
	INSN_OR,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,  /* as INSN_SUB, but only the flags */
	INSN_TEST, /* as INSN_AND, but only the flags */
};

struct insn {
	enum insn_op op;
	uint8_t length;
	uint8_t size;	  /* of the memory operand: 1, 2, 4 or 8 bytes */
	uint8_t reg_size; /* of the register operand; INSN_LOAD extends to it */
	uint8_t reg;	  /* enum gpr */
	bool high_byte;	  /* the register operand is bits 15:8 of @reg: AH, CH, DH, BH */
	bool sign_extend; /* INSN_LOAD: else zero-extend */
	bool to_register; /* arithmetic: register = register op memory, else the other way */
	bool use_imm;	  /* @imm instead of the register */
	uint64_t imm;	  /* sign-extended; the low @size bytes count */
};

/*
 * insn_decode - read one instruction that has a memory operand
 * @bytes, @count: as much of it as is known
 *
 * Returns 0 and *insn; -EAGAIN when it goes on behind @count; -EINVAL when it is none of the above,
 * has no memory operand, has a LOCK prefix, or is longer than INSN_MAX. Where the memory is, is not
 * worked out: the exit has told.
 * Source: SDM vol. 2A, "Instruction Format"; appendix A, "Opcode Map".
 */
int insn_decode(const uint8_t *bytes, size_t count, enum insn_mode mode, struct insn *insn);

#endif
