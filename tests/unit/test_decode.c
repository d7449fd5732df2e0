/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder against what an assembler makes of the instructions: operation, widths, register,
 * immediate, and above all the length; every encoding cut short at every byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/vcpu/decode.h"
#include "arch/x86_64/virt.h"
#include "core/errno.h"

/* String literals as bytes; sizeof counts a terminating zero. */
#define CODE(bytes) (const uint8_t *)(bytes), sizeof(bytes) - 1

struct encoding {
	const char *text;
	enum insn_mode mode;
	const uint8_t *bytes;
	size_t length;
	struct insn insn; /* but for the length */
};

#define M64 INSN_MODE_64
#define M32 INSN_MODE_32
#define M16 INSN_MODE_16

static const struct encoding encodings[] = {
	/* the plain moves, each width */
	{"mov %al,(%rdi)", M64, CODE("\x88\x07"), {INSN_STORE, .size = 1, .reg_size = 1}},
	{"mov %ax,(%rdi)", M64, CODE("\x66\x89\x07"), {INSN_STORE, .size = 2, .reg_size = 2}},
	{"mov %eax,(%rdi)", M64, CODE("\x89\x07"), {INSN_STORE, .size = 4, .reg_size = 4}},
	{"mov %rax,(%rdi)", M64, CODE("\x48\x89\x07"), {INSN_STORE, .size = 8, .reg_size = 8}},
	{"mov (%rdi),%al", M64, CODE("\x8a\x07"), {INSN_LOAD, .size = 1, .reg_size = 1}},
	{"mov (%rdi),%ax", M64, CODE("\x66\x8b\x07"), {INSN_LOAD, .size = 2, .reg_size = 2}},
	{"mov (%rdi),%eax", M64, CODE("\x8b\x07"), {INSN_LOAD, .size = 4, .reg_size = 4}},
	{"mov (%rdi),%rax", M64, CODE("\x48\x8b\x07"), {INSN_LOAD, .size = 8, .reg_size = 8}},

	/* registers: the high bytes, those that need REX, extended ones */
	{"mov %ah,(%rdi)",
	 M64,
	 CODE("\x88\x27"),
	 {INSN_STORE, .size = 1, .reg_size = 1, .reg = RAX, .high_byte = true}},
	{"mov (%rdi),%bh",
	 M64,
	 CODE("\x8a\x3f"),
	 {INSN_LOAD, .size = 1, .reg_size = 1, .reg = RBX, .high_byte = true}},
	{"mov %sil,(%rdi)",
	 M64,
	 CODE("\x40\x88\x37"),
	 {INSN_STORE, .size = 1, .reg_size = 1, .reg = RSI}},
	{"mov %r9b,(%rdi)",
	 M64,
	 CODE("\x44\x88\x0f"),
	 {INSN_STORE, .size = 1, .reg_size = 1, .reg = R9}},
	{"mov %r12d,(%r13)",
	 M64,
	 CODE("\x45\x89\x65\x00"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = R12}},
	{"mov (%r15),%r15",
	 M64,
	 CODE("\x4d\x8b\x3f"),
	 {INSN_LOAD, .size = 8, .reg_size = 8, .reg = R15}},

	/* addresses */
	{"mov %ebx,0x7f(%rax)",
	 M64,
	 CODE("\x89\x58\x7f"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RBX}},
	{"mov %ebx,0x12345678(%rax)",
	 M64,
	 CODE("\x89\x98\x78\x56\x34\x12"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RBX}},
	{"mov %ebx,0x12345678(%rip)",
	 M64,
	 CODE("\x89\x1d\x78\x56\x34\x12"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RBX}},
	{"mov %ebx,(%rsp)",
	 M64,
	 CODE("\x89\x1c\x24"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RBX}},
	{"mov %ebx,0x40(%rax,%rcx,4)",
	 M64,
	 CODE("\x89\x5c\x88\x40"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RBX}},
	{"mov %ebx,0x12345678(%rax,%rcx,4)",
	 M64,
	 CODE("\x89\x9c\x88\x78\x56\x34\x12"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RBX}},
	{"mov %ebx,0xffffffffff5fc0b0 (no base)",
	 M64,
	 CODE("\x89\x1c\x25\xb0\xc0\x5f\xff"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RBX}},
	{"mov %ebx,0x0(%rbp,%rcx,1)",
	 M64,
	 CODE("\x89\x5c\x0d\x00"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RBX}},
	{"mov %ebx,(%eax)",
	 M64,
	 CODE("\x67\x89\x18"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RBX}},
	{"mov %gs:0x10(%rax),%ecx",
	 M64,
	 CODE("\x65\x8b\x48\x10"),
	 {INSN_LOAD, .size = 4, .reg_size = 4, .reg = RCX}},

	/* absolute addresses */
	{"movabs 0x1122334455667788,%al",
	 M64,
	 CODE("\xa0\x88\x77\x66\x55\x44\x33\x22\x11"),
	 {INSN_LOAD, .size = 1, .reg_size = 1}},
	{"movabs 0x1122334455667788,%rax",
	 M64,
	 CODE("\x48\xa1\x88\x77\x66\x55\x44\x33\x22\x11"),
	 {INSN_LOAD, .size = 8, .reg_size = 8}},
	{"movabs %al,0x1122334455667788",
	 M64,
	 CODE("\xa2\x88\x77\x66\x55\x44\x33\x22\x11"),
	 {INSN_STORE, .size = 1, .reg_size = 1}},
	{"addr32 mov %eax,0x55667788",
	 M64,
	 CODE("\x67\xa3\x88\x77\x66\x55"),
	 {INSN_STORE, .size = 4, .reg_size = 4}},
	{"mov 0xfee00020,%eax",
	 M32,
	 CODE("\xa1\x20\x00\xe0\xfe"),
	 {INSN_LOAD, .size = 4, .reg_size = 4}},
	{"mov 0x1234,%ax", M16, CODE("\xa1\x34\x12"), {INSN_LOAD, .size = 2, .reg_size = 2}},

	/* immediates */
	{"movb $0x80,(%rdi)",
	 M64,
	 CODE("\xc6\x07\x80"),
	 {INSN_STORE, .size = 1, .reg_size = 1, .use_imm = true, .imm = 0xffffffffffffff80}},
	{"movw $0x1234,(%rdi)",
	 M64,
	 CODE("\x66\xc7\x07\x34\x12"),
	 {INSN_STORE, .size = 2, .reg_size = 2, .use_imm = true, .imm = 0x1234}},
	{"movl $0x0,0xb0(%rdi)",
	 M64,
	 CODE("\xc7\x87\xb0\x00\x00\x00\x00\x00\x00\x00"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .use_imm = true}},
	{"movl $0x12345678,0x10(%rip)",
	 M64,
	 CODE("\xc7\x05\x10\x00\x00\x00\x78\x56\x34\x12"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .use_imm = true, .imm = 0x12345678}},
	{"movq $-1,(%rdi)",
	 M64,
	 CODE("\x48\xc7\x07\xff\xff\xff\xff"),
	 {INSN_STORE, .size = 8, .reg_size = 8, .use_imm = true, .imm = UINT64_MAX}},

	/* extensions */
	{"movzbl (%rdi),%ecx",
	 M64,
	 CODE("\x0f\xb6\x0f"),
	 {INSN_LOAD, .size = 1, .reg_size = 4, .reg = RCX}},
	{"movzbl (%rdi),%esp is not AH",
	 M64,
	 CODE("\x0f\xb6\x27"),
	 {INSN_LOAD, .size = 1, .reg_size = 4, .reg = RSP}},
	{"movzwl (%rdi),%ecx",
	 M64,
	 CODE("\x0f\xb7\x0f"),
	 {INSN_LOAD, .size = 2, .reg_size = 4, .reg = RCX}},
	{"movzbw (%rdi),%cx",
	 M64,
	 CODE("\x66\x0f\xb6\x0f"),
	 {INSN_LOAD, .size = 1, .reg_size = 2, .reg = RCX}},
	{"movsbq (%rdi),%r8",
	 M64,
	 CODE("\x4c\x0f\xbe\x07"),
	 {INSN_LOAD, .size = 1, .reg_size = 8, .reg = R8, .sign_extend = true}},
	{"movswl (%rdi),%ecx",
	 M64,
	 CODE("\x0f\xbf\x0f"),
	 {INSN_LOAD, .size = 2, .reg_size = 4, .reg = RCX, .sign_extend = true}},
	{"movslq (%rdi),%rcx",
	 M64,
	 CODE("\x48\x63\x0f"),
	 {INSN_LOAD, .size = 4, .reg_size = 8, .reg = RCX, .sign_extend = true}},
	{"movnti %eax,(%rdi)", M64, CODE("\x0f\xc3\x07"), {INSN_STORE, .size = 4, .reg_size = 4}},

	/* read-modify-write */
	{"add %al,(%rdi)", M64, CODE("\x00\x07"), {INSN_ADD, .size = 1, .reg_size = 1}},
	{"or %eax,(%rdi)", M64, CODE("\x09\x07"), {INSN_OR, .size = 4, .reg_size = 4}},
	{"and (%rdi),%edx",
	 M64,
	 CODE("\x23\x17"),
	 {INSN_AND, .size = 4, .reg_size = 4, .reg = RDX, .to_register = true}},
	{"sub (%rdi),%dl",
	 M64,
	 CODE("\x2a\x17"),
	 {INSN_SUB, .size = 1, .reg_size = 1, .reg = RDX, .to_register = true}},
	{"xor %rdx,(%rdi)",
	 M64,
	 CODE("\x48\x31\x17"),
	 {INSN_XOR, .size = 8, .reg_size = 8, .reg = RDX}},
	{"cmp %edx,(%rdi)",
	 M64,
	 CODE("\x39\x17"),
	 {INSN_CMP, .size = 4, .reg_size = 4, .reg = RDX}},
	{"orb $0x80,(%rdi)",
	 M64,
	 CODE("\x80\x0f\x80"),
	 {INSN_OR, .size = 1, .reg_size = 1, .use_imm = true, .imm = 0xffffffffffffff80}},
	{"andl $0xfffffeff,0xf0(%rdi)",
	 M64,
	 CODE("\x81\xa7\xf0\x00\x00\x00\xff\xfe\xff\xff"),
	 {INSN_AND, .size = 4, .reg_size = 4, .use_imm = true, .imm = 0xfffffffffffffeff}},
	{"subw $0x1234,(%rdi)",
	 M64,
	 CODE("\x66\x81\x2f\x34\x12"),
	 {INSN_SUB, .size = 2, .reg_size = 2, .use_imm = true, .imm = 0x1234}},
	{"xorl $-1,(%rdi)",
	 M64,
	 CODE("\x83\x37\xff"),
	 {INSN_XOR, .size = 4, .reg_size = 4, .use_imm = true, .imm = UINT64_MAX}},
	{"cmpl $0x0,(%rdi)",
	 M64,
	 CODE("\x83\x3f\x00"),
	 {INSN_CMP, .size = 4, .reg_size = 4, .use_imm = true}},
	{"test %edx,(%rdi)",
	 M64,
	 CODE("\x85\x17"),
	 {INSN_TEST, .size = 4, .reg_size = 4, .reg = RDX}},
	{"testb $0x1,(%rdi)",
	 M64,
	 CODE("\xf6\x07\x01"),
	 {INSN_TEST, .size = 1, .reg_size = 1, .use_imm = true, .imm = 1}},
	{"testl $0x1000,0x300(%rdi)",
	 M64,
	 CODE("\xf7\x87\x00\x03\x00\x00\x00\x10\x00\x00"),
	 {INSN_TEST, .size = 4, .reg_size = 4, .use_imm = true, .imm = 0x1000}},
	{"xchg %edx,(%rdi)",
	 M64,
	 CODE("\x87\x17"),
	 {INSN_XCHG, .size = 4, .reg_size = 4, .reg = RDX}},

	/* 32-bit and 16-bit code */
	{"mov %esi,0xfee000b0",
	 M32,
	 CODE("\x89\x35\xb0\x00\xe0\xfe"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RSI}},
	{"mov %si,(%ebx)",
	 M32,
	 CODE("\x66\x89\x33"),
	 {INSN_STORE, .size = 2, .reg_size = 2, .reg = RSI}},
	{"mov %esi,0x10(%bx,%si)",
	 M32,
	 CODE("\x67\x89\x70\x10"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RSI}},
	{"mov %si,0x1234",
	 M16,
	 CODE("\x89\x36\x34\x12"),
	 {INSN_STORE, .size = 2, .reg_size = 2, .reg = RSI}},
	{"mov %si,0x1234(%bp)",
	 M16,
	 CODE("\x89\xb6\x34\x12"),
	 {INSN_STORE, .size = 2, .reg_size = 2, .reg = RSI}},
	{"mov %esi,(%eax,%ecx,4)",
	 M16,
	 CODE("\x66\x67\x89\x34\x88"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .reg = RSI}},
	{"movl $0x12345678,(%bx)",
	 M16,
	 CODE("\x66\xc7\x07\x78\x56\x34\x12"),
	 {INSN_STORE, .size = 4, .reg_size = 4, .use_imm = true, .imm = 0x12345678}},

	/* prefixes: REX counts right before the opcode only; the longest there is */
	{"REX.W, then 66: no REX",
	 M64,
	 CODE("\x48\x66\x89\x07"),
	 {INSN_STORE, .size = 2, .reg_size = 2}},
	{"66, then REX.W: 64 bits",
	 M64,
	 CODE("\x66\x48\x89\x07"),
	 {INSN_STORE, .size = 8, .reg_size = 8}},
	{"fifteen bytes",
	 M64,
	 CODE("\x3e\x3e\x3e\x48\xc7\x84\x88\x78\x56\x34\x12\x78\x56\x34\x12"),
	 {INSN_STORE, .size = 8, .reg_size = 8, .use_imm = true, .imm = 0x12345678}},
};

static void check(const struct encoding *encoding)
{
	struct insn insn, expected = encoding->insn;

	expected.length = (uint8_t)encoding->length;
	if (insn_decode(encoding->bytes, encoding->length, encoding->mode, &insn) != 0)
		fail_msg("%s: not decoded", encoding->text);
	if (insn.op != expected.op || insn.length != expected.length ||
	    insn.size != expected.size || insn.reg_size != expected.reg_size ||
	    insn.reg != expected.reg || insn.high_byte != expected.high_byte ||
	    insn.sign_extend != expected.sign_extend || insn.to_register != expected.to_register ||
	    insn.use_imm != expected.use_imm || insn.imm != expected.imm)
		fail_msg("%s: op %u length %u size %u/%u reg %u imm %llx", encoding->text, insn.op,
			 insn.length, insn.size, insn.reg_size, insn.reg,
			 (unsigned long long)insn.imm);
}

static void test_encodings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++)
		check(&encodings[i]);
}

/* With fewer bytes the decoder asks for more; the bytes behind the instruction do not matter. */
static void test_cut_short(void **state)
{
	uint8_t copy[2 * INSN_MAX];
	struct insn insn;

	(void)state;
	for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
		const struct encoding *encoding = &encodings[i];

		for (size_t count = 0; count < encoding->length; count++)
			assert_int_equal(insn_decode(encoding->bytes, count, encoding->mode, &insn),
					 -EAGAIN);
		for (unsigned int fill = 0; fill < 256; fill++) {
			memset(copy, (int)fill, sizeof(copy));
			memcpy(copy, encoding->bytes, encoding->length);
			assert_int_equal(insn_decode(copy, INSN_MAX, encoding->mode, &insn), 0);
			assert_int_equal(insn.length, encoding->length);
		}
	}
}

static const struct {
	const char *text;
	enum insn_mode mode;
	const uint8_t *bytes;
	size_t length;
} refused[] = {
	{"mov %eax,%ebx", M64, CODE("\x89\xc3")},
	{"movzbl %al,%eax", M64, CODE("\x0f\xb6\xc0")},
	{"lock or %eax,(%rdi)", M64, CODE("\xf0\x09\x07")},
	{"adc %eax,(%rdi)", M64, CODE("\x11\x07")},
	{"adcl $1,(%rdi)", M64, CODE("\x83\x17\x01")},
	{"sbbl $1,(%rdi)", M64, CODE("\x83\x1f\x01")},
	{"notl (%rdi)", M64, CODE("\xf7\x17")},
	{"C7 /1", M64, CODE("\xc7\x0f\x00\x00\x00\x00")},
	{"incl (%rdi)", M64, CODE("\xff\x07")},
	{"rep stos", M64, CODE("\xf3\xab")},
	{"movs", M64, CODE("\xa4")},
	{"push (%rdi)", M64, CODE("\xff\x37")},
	{"cmpxchg %ecx,(%rdi)", M64, CODE("\x0f\xb1\x0f")},
	{"movdqu %xmm0,(%rdi)", M64, CODE("\xf3\x0f\x7f\x07")},
	{"vmovdqu %ymm0,(%rdi)", M64, CODE("\xc5\xfe\x7f\x07")},
	{"ud2", M64, CODE("\x0f\x0b")},
	{"arpl %ax,(%edi)", M32, CODE("\x63\x07")},
	{"inc %eax, no REX", M32, CODE("\x40\x88\x37")},
};

static void test_refused(void **state)
{
	struct insn insn;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (insn_decode(refused[i].bytes, refused[i].length, refused[i].mode, &insn) !=
		    -EINVAL)
			fail_msg("%s: not refused", refused[i].text);
}

/* Sixteen bytes raise #GP in a processor, however many of them are prefixes. */
static void test_too_long(void **state)
{
	uint8_t bytes[2 * INSN_MAX];
	struct insn insn;

	(void)state;
	memset(bytes, 0x3e, sizeof(bytes));
	assert_int_equal(insn_decode(bytes, INSN_MAX - 1, M64, &insn), -EAGAIN);
	assert_int_equal(insn_decode(bytes, sizeof(bytes), M64, &insn), -EINVAL);
	memcpy(bytes + INSN_MAX - 2, "\x89\x07", 2);
	assert_int_equal(insn_decode(bytes, sizeof(bytes), M64, &insn), 0);
	memcpy(bytes + INSN_MAX - 2, "\x3e\x89\x07", 3);
	assert_int_equal(insn_decode(bytes, sizeof(bytes), M64, &insn), -EINVAL);
}

/* Whatever the bytes: no access outside of them (the sanitizer looks), no result out of range. */
static void test_all_openings(void **state)
{
	struct insn insn;

	(void)state;
	for (uint32_t opening = 0; opening < 1u << 24; opening++) {
		uint8_t bytes[INSN_MAX] = {(uint8_t)opening, (uint8_t)(opening >> 8),
					   (uint8_t)(opening >> 16)};

		for (unsigned int mode = M16; mode <= M64; mode++) {
			if (insn_decode(bytes, sizeof(bytes), mode, &insn) < 0)
				continue;
			if (insn.op == INSN_NONE || insn.length < 2 || insn.length > INSN_MAX ||
			    insn.reg >= GPR_COUNT || (insn.high_byte && insn.reg > RBX) ||
			    insn.size > 8 || insn.size & (insn.size - 1) ||
			    insn.reg_size < insn.size || insn.reg_size > 8)
				fail_msg("%06x: out of range", opening);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encodings),    cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_refused),	     cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_all_openings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
