/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: SDM vol. 2A chapter 2 "Instruction Format", vol. 2D appendix A "Opcode Map".
 */
#include "arch/x86_64/vcpu/decode.h"
#include "arch/x86_64/virt.h"
#include "core/errno.h"

#define REX_R BIT(2)
#define REX_W BIT(3)

#define MODRM_MOD(b) ((b) >> 6)
#define MODRM_REG(b) ((b) >> 3 & 7)
#define MODRM_RM(b)  ((b)&7)
#define SIB_BASE(b)  ((b)&7)

#define RM_SIB	     4 /* 32- and 64-bit addressing: a SIB byte follows */
#define RM_DISP32    5 /* with mod 0: no base register, four bytes of displacement */
#define RM_DISP16    6 /* 16-bit addressing, with mod 0: likewise two bytes */
#define MOD_REGISTER 3 /* the operand is no memory */

/* What follows an opcode, and how wide its operands are. */
#define BYTE   BIT(0) /* the memory operand is one byte */
#define WORD   BIT(1) /* ... two bytes, whatever the operand size */
#define DWORD  BIT(2) /* ... at most four bytes */
#define EXTEND BIT(3) /* the register has the operand size all the same */
#define SIGN   BIT(4) /* ... and is sign-extended */
#define TO_REG BIT(5) /* arithmetic: the register is the destination */
#define IMM    BIT(6) /* an immediate as wide as the operand, at most four bytes */
#define IMM8   BIT(7) /* a sign-extended byte */
#define MOFFS  BIT(8) /* no ModRM byte: an address, and rAX */
#define ONLY64 BIT(9) /* another instruction outside 64-bit mode */

struct opcode {
	uint8_t op;	      /* enum insn_op */
	const uint8_t *group; /* or: enum insn_op by the reg field of ModRM */
	uint16_t flags;
};

static const uint8_t group_arithmetic[8] = {
	INSN_ADD, INSN_OR, INSN_NONE, INSN_NONE, INSN_AND, INSN_SUB, INSN_XOR, INSN_CMP,
};
static const uint8_t group_test[8] = {INSN_TEST, INSN_TEST};
static const uint8_t group_mov[8] = {INSN_STORE};

#define ARITHMETIC(base, operation)                                                                \
	[(base)] = {.op = (operation), .flags = BYTE}, [(base) + 1] = {.op = (operation)},         \
	[(base) + 2] = {.op = (operation), .flags = BYTE | TO_REG},                                \
	[(base) + 3] = {.op = (operation), .flags = TO_REG}

static const struct opcode one_byte[256] = {
	ARITHMETIC(0x00, INSN_ADD),
	ARITHMETIC(0x08, INSN_OR),
	ARITHMETIC(0x20, INSN_AND),
	ARITHMETIC(0x28, INSN_SUB),
	ARITHMETIC(0x30, INSN_XOR),
	ARITHMETIC(0x38, INSN_CMP),
	[0x63] = {.op = INSN_LOAD, .flags = DWORD | EXTEND | SIGN | ONLY64},
	[0x80] = {.group = group_arithmetic, .flags = BYTE | IMM},
	[0x81] = {.group = group_arithmetic, .flags = IMM},
	[0x83] = {.group = group_arithmetic, .flags = IMM8},
	[0x84] = {.op = INSN_TEST, .flags = BYTE},
	[0x85] = {.op = INSN_TEST},
	[0x86] = {.op = INSN_XCHG, .flags = BYTE},
	[0x87] = {.op = INSN_XCHG},
	[0x88] = {.op = INSN_STORE, .flags = BYTE},
	[0x89] = {.op = INSN_STORE},
	[0x8a] = {.op = INSN_LOAD, .flags = BYTE},
	[0x8b] = {.op = INSN_LOAD},
	[0xa0] = {.op = INSN_LOAD, .flags = BYTE | MOFFS},
	[0xa1] = {.op = INSN_LOAD, .flags = MOFFS},
	[0xa2] = {.op = INSN_STORE, .flags = BYTE | MOFFS},
	[0xa3] = {.op = INSN_STORE, .flags = MOFFS},
	[0xc6] = {.group = group_mov, .flags = BYTE | IMM},
	[0xc7] = {.group = group_mov, .flags = IMM},
	[0xf6] = {.group = group_test, .flags = BYTE | IMM},
	[0xf7] = {.group = group_test, .flags = IMM},
};

/* Behind 0F. */
static const struct opcode two_byte[256] = {
	[0xb6] = {.op = INSN_LOAD, .flags = BYTE | EXTEND},
	[0xb7] = {.op = INSN_LOAD, .flags = WORD | EXTEND},
	[0xbe] = {.op = INSN_LOAD, .flags = BYTE | EXTEND | SIGN},
	[0xbf] = {.op = INSN_LOAD, .flags = WORD | EXTEND | SIGN},
	[0xc3] = {.op = INSN_STORE}, /* MOVNTI */
};

/* The instruction's bytes and how far they are read. */
struct cursor {
	const uint8_t *bytes;
	size_t count, at;
};

static int next_byte(struct cursor *cursor, uint8_t *byte)
{
	if (cursor->at >= INSN_MAX)
		return -EINVAL;
	if (cursor->at >= cursor->count)
		return -EAGAIN;
	*byte = cursor->bytes[cursor->at++];
	return 0;
}

/* A little-endian number of @size bytes, sign-extended. */
static int next_signed(struct cursor *cursor, unsigned int size, uint64_t *value)
{
	uint64_t sum = 0;
	uint8_t byte = 0;
	int err;

	for (unsigned int i = 0; i < size; i++) {
		err = next_byte(cursor, &byte);
		if (err < 0)
			return err;
		sum |= (uint64_t)byte << (8 * i);
	}
	if (size < sizeof(sum) && byte & 0x80)
		sum |= ~0ull << (8 * size);
	*value = sum;
	return 0;
}

struct prefixes {
	bool operand_size, address_size, lock;
	uint8_t rex;
};

/* Reads prefixes; *opcode is the first byte that is none. */
static int read_prefixes(struct cursor *cursor, enum insn_mode mode, struct prefixes *prefixes,
			 uint8_t *opcode)
{
	uint8_t byte;
	int err;

	*prefixes = (struct prefixes){0};
	for (;;) {
		err = next_byte(cursor, &byte);
		if (err < 0)
			return err;
		if (mode == INSN_MODE_64 && (byte & 0xf0) == 0x40) {
			prefixes->rex = byte;
			continue;
		}
		switch (byte) {
		case 0x66:
			prefixes->operand_size = true;
			break;
		case 0x67:
			prefixes->address_size = true;
			break;
		case 0xf0:
			prefixes->lock = true;
			break;
		case 0x26: /* segments: the exit has told the address */
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
		case 0xf2: /* hints, on the instructions that we know */
		case 0xf3:
			break;
		default:
			*opcode = byte;
			return 0;
		}
		prefixes->rex = 0; /* counts only right before the opcode */
	}
}

static unsigned int operand_size(enum insn_mode mode, const struct prefixes *prefixes)
{
	if (prefixes->rex & REX_W)
		return 8;
	return (mode == INSN_MODE_16) == prefixes->operand_size ? 4 : 2;
}

static unsigned int address_size(enum insn_mode mode, const struct prefixes *prefixes)
{
	if (mode == INSN_MODE_64)
		return prefixes->address_size ? 4 : 8;
	return (mode == INSN_MODE_16) == prefixes->address_size ? 4 : 2;
}

/* Reads over what names the memory operand: SIB byte and displacement. */
static int skip_address(struct cursor *cursor, uint8_t modrm, unsigned int address)
{
	unsigned int mod = MODRM_MOD(modrm), rm = MODRM_RM(modrm), size = 0;
	uint64_t ignored;
	uint8_t sib;
	int err;

	if (mod == MOD_REGISTER)
		return -EINVAL;
	if (address == 2) {
		if (mod == 2 || (mod == 0 && rm == RM_DISP16))
			size = 2;
	} else {
		if (rm == RM_SIB) {
			err = next_byte(cursor, &sib);
			if (err < 0)
				return err;
			rm = SIB_BASE(sib);
		}
		if (mod == 2 || (mod == 0 && rm == RM_DISP32))
			size = 4;
	}
	if (mod == 1)
		size = 1;
	return next_signed(cursor, size, &ignored);
}

static unsigned int memory_size(unsigned int flags, unsigned int operand)
{
	if (flags & BYTE)
		return 1;
	if (flags & WORD)
		return 2;
	return flags & DWORD && operand > 4 ? 4 : operand;
}

static void set_register(struct insn *insn, unsigned int number, uint8_t rex)
{
	insn->high_byte = insn->reg_size == 1 && !rex && number >= 4;
	insn->reg = (uint8_t)(insn->high_byte ? number - 4 : number + (rex & REX_R ? 8 : 0));
}

/* All behind the opcode. */
static int decode_operands(struct cursor *cursor, enum insn_mode mode,
			   const struct prefixes *prefixes, const struct opcode *opcode,
			   struct insn *insn)
{
	unsigned int operand = operand_size(mode, prefixes);
	unsigned int address = address_size(mode, prefixes);
	unsigned int flags = opcode->flags;
	uint64_t ignored;
	uint8_t modrm;
	int err;

	insn->op = opcode->op;
	insn->size = (uint8_t)memory_size(flags, operand);
	insn->reg_size = (uint8_t)(flags & EXTEND ? operand : insn->size);
	insn->sign_extend = flags & SIGN;
	insn->to_register = flags & TO_REG;
	insn->use_imm = flags & (IMM | IMM8);
	if (flags & MOFFS) {
		insn->reg = RAX;
		return next_signed(cursor, address, &ignored);
	}

	err = next_byte(cursor, &modrm);
	if (err < 0)
		return err;
	if (opcode->group)
		insn->op = opcode->group[MODRM_REG(modrm)];
	if (insn->op == INSN_NONE)
		return -EINVAL;
	if (!insn->use_imm)
		set_register(insn, MODRM_REG(modrm), prefixes->rex);
	err = skip_address(cursor, modrm, address);
	if (err < 0 || !insn->use_imm)
		return err;
	if (flags & IMM8)
		return next_signed(cursor, 1, &insn->imm);
	return next_signed(cursor, insn->size < 4 ? insn->size : 4, &insn->imm);
}

int insn_decode(const uint8_t *bytes, size_t count, enum insn_mode mode, struct insn *insn)
{
	struct cursor cursor = {.bytes = bytes, .count = count};
	const struct opcode *table = one_byte;
	struct prefixes prefixes;
	uint8_t opcode;
	int err;

	err = read_prefixes(&cursor, mode, &prefixes, &opcode);
	if (err < 0)
		return err;
	if (opcode == 0x0f) {
		table = two_byte;
		err = next_byte(&cursor, &opcode);
		if (err < 0)
			return err;
	}
	if (!table[opcode].op && !table[opcode].group)
		return -EINVAL;
	if (prefixes.lock || (table[opcode].flags & ONLY64 && mode != INSN_MODE_64))
		return -EINVAL;

	*insn = (struct insn){0};
	err = decode_operands(&cursor, mode, &prefixes, &table[opcode], insn);
	insn->length = (uint8_t)cursor.at;
	return err;
}
