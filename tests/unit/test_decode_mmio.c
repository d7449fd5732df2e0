/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions carried out on devices: what reaches the bus, what ends up in registers and flags,
 * where the instruction's bytes come from. The flags are compared with the processor's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/cpu_host.h"

#define CODE   0x5000ull /* linear; mapped to itself */
#define DEVICE 0xfee000b0ull
#define TOP    0x10000ull
#define PDPT   0x11000ull
#define PD     0x12000ull
#define PT     0x13000ull

#define FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static uint64_t *gpr;

static void put64(gpa_t gpa, uint64_t value)
{
	memcpy(host_ram(gpa), &value, 8);
}

/* 64-bit code with 2 MiB mapped one to one. */
static int set_up(void **state)
{
	(void)state;
	host_reset(1);
	gpr = host_vcpu.arch.gpr;
	host.state.cr0 = CR0_PE | CR0_PG;
	host.state.cr3 = TOP;
	host.state.cr4 = CR4_PAE;
	host.state.efer = EFER_LME | EFER_LMA;
	host.state.rip = CODE;
	host.state.rflags = RFLAGS_RESERVED;
	host.state.seg[SEG_CS].attr = SEGMENT_ATTR_CODE64;
	host.bus_value = 0x8899aabbccddeeff;
	put64(TOP, PDPT | 3);
	put64(PDPT, PD | 3);
	put64(PD, PT | 3);
	for (uint64_t i = 0; i < 512; i++)
		put64(PT + 8 * i, i << 12 | 3);
	host_vcpu.exit.kind = EXIT_MMIO;
	host_vcpu.exit.mmio.gpa = DEVICE;
	return 0;
}

/* Runs the instruction; it has to be carried out. */
static void run(const char *bytes, size_t length)
{
	memcpy(host_ram(CODE), bytes, length);
	host.accesses = 0;
	assert_int_equal(mmio_emulate(&host_vcpu), length);
}
#define RUN(bytes) run(bytes, sizeof(bytes) - 1)

static void expect_access(unsigned int i, unsigned int size, bool write, uint64_t value)
{
	assert_true(i < host.accesses);
	assert_int_equal(host.log[i].gpa, DEVICE);
	assert_int_equal(host.log[i].size, size);
	assert_int_equal(host.log[i].write, write);
	assert_int_equal(host.log[i].value, value);
}

static void expect_write(unsigned int size, uint64_t value)
{
	assert_int_equal(host.accesses, 1);
	expect_access(0, size, true, value);
}

static void expect_read(unsigned int size)
{
	assert_int_equal(host.accesses, 1);
	expect_access(0, size, false, 0);
}

static void test_stores(void **state)
{
	(void)state;
	gpr[RAX] = 0x1122334455667788;
	RUN("\x88\x07");
	expect_write(1, 0x88);
	RUN("\x88\x27"); /* AH */
	expect_write(1, 0x77);
	RUN("\x66\x89\x07");
	expect_write(2, 0x7788);
	RUN("\x89\x07");
	expect_write(4, 0x55667788);
	RUN("\x48\x89\x07");
	expect_write(8, 0x1122334455667788);
	RUN("\xc6\x07\x80");
	expect_write(1, 0x80);
	RUN("\xc7\x07\xff\xff\xff\xff");
	expect_write(4, 0xffffffff);
	RUN("\x48\xc7\x07\xff\xff\xff\xff");
	expect_write(8, UINT64_MAX);
	assert_int_equal(gpr[RAX], 0x1122334455667788);
}

static void test_loads(void **state)
{
	(void)state;
	gpr[RCX] = 0x1122334455667788;
	RUN("\x8a\x0f");
	expect_read(1);
	assert_int_equal(gpr[RCX], 0x11223344556677ff);
	RUN("\x8a\x2f"); /* CH */
	assert_int_equal(gpr[RCX], 0x112233445566ffff);
	RUN("\x66\x8b\x0f");
	expect_read(2);
	assert_int_equal(gpr[RCX], 0x112233445566eeff);
	RUN("\x8b\x0f"); /* clears the upper half */
	expect_read(4);
	assert_int_equal(gpr[RCX], 0xccddeeff);
	RUN("\x48\x8b\x0f");
	expect_read(8);
	assert_int_equal(gpr[RCX], 0x8899aabbccddeeff);
	RUN("\x8b\x27"); /* the stack pointer is a register like others */
	assert_int_equal(gpr[RSP], 0xccddeeff);
}

static void test_extending_loads(void **state)
{
	(void)state;
	gpr[RCX] = UINT64_MAX;
	RUN("\x0f\xb6\x0f");
	expect_read(1);
	assert_int_equal(gpr[RCX], 0xff);
	RUN("\x0f\xb7\x0f");
	expect_read(2);
	assert_int_equal(gpr[RCX], 0xeeff);
	RUN("\x0f\xbe\x0f");
	assert_int_equal(gpr[RCX], 0xffffffff);
	RUN("\x48\x0f\xbf\x0f");
	assert_int_equal(gpr[RCX], 0xffffffffffffeeff);
	RUN("\x48\x63\x0f");
	expect_read(4);
	assert_int_equal(gpr[RCX], 0xffffffffccddeeff);
	gpr[RCX] = 0x1122334455667788;
	RUN("\x66\x0f\xbe\x0f");
	assert_int_equal(gpr[RCX], 0x112233445566ffff);
	host.bus_value = 0x7f;
	RUN("\x48\x0f\xbe\x0f");
	assert_int_equal(gpr[RCX], 0x7f);
}

static void test_xchg(void **state)
{
	(void)state;
	gpr[RDX] = 0x1122334455667788;
	RUN("\x87\x17");
	assert_int_equal(host.accesses, 2);
	expect_access(0, 4, false, 0);
	expect_access(1, 4, true, 0x55667788);
	assert_int_equal(gpr[RDX], 0xccddeeff);
}

static void test_read_modify_write(void **state)
{
	(void)state;
	host.state.rflags |= RFLAGS_IF;
	RUN("\x80\x0f\x01"); /* orb $1 */
	assert_int_equal(host.accesses, 2);
	expect_access(0, 1, false, 0);
	expect_access(1, 1, true, 0xff);
	RUN("\x83\x27\xf0"); /* andl $-16 */
	expect_access(1, 4, true, 0xccddeef0);
	RUN("\x83\x3f\x00"); /* cmpl $0: writes nothing */
	expect_read(4);
	gpr[RDX] = 0x0f;
	RUN("\x23\x17"); /* and (%rdi),%edx */
	expect_read(4);
	assert_int_equal(gpr[RDX], 0x0f);
	RUN("\xf7\x07\x00\x01\x00\x00"); /* testl $0x100 */
	expect_read(4);
	assert_int_equal(host.state.rflags & RFLAGS_ZF, RFLAGS_ZF); /* 0xee has bit 0 clear */
	assert_int_equal(host.state.rflags & RFLAGS_IF, RFLAGS_IF);
	assert_int_equal(host.state.rip, CODE); /* the caller moves it */
}

#define PROCESSOR_FLAGS(name, insn)                                                                \
	static uint64_t name(uint64_t a, uint64_t b)                                               \
	{                                                                                          \
		uint64_t flags;                                                                    \
                                                                                                   \
		__asm__ volatile(insn "\n\tpushfq\n\tpopq %0"                                      \
				 : "=r"(flags), "+r"(a)                                            \
				 : "r"(b)                                                          \
				 : "cc");                                                          \
		return flags;                                                                      \
	}

PROCESSOR_FLAGS(add8, "addb %b2, %b1")
PROCESSOR_FLAGS(or8, "orb %b2, %b1")
PROCESSOR_FLAGS(and8, "andb %b2, %b1")
PROCESSOR_FLAGS(sub8, "subb %b2, %b1")
PROCESSOR_FLAGS(xor8, "xorb %b2, %b1")
PROCESSOR_FLAGS(cmp8, "cmpb %b2, %b1")
PROCESSOR_FLAGS(add64, "addq %2, %1")
PROCESSOR_FLAGS(sub64, "subq %2, %1")

/* Every pair of bytes, and 64-bit numbers around the signs, memory being the destination. */
static void test_flags(void **state)
{
	static const struct {
		const char *bytes; /* op %dl,(%rdi) */
		uint64_t (*flags)(uint64_t a, uint64_t b);
		uint64_t defined; /* AF is not, after logical operations */
	} ops[] = {
		{"\x00\x17", add8, FLAGS},
		{"\x08\x17", or8, FLAGS & ~RFLAGS_AF},
		{"\x20\x17", and8, FLAGS & ~RFLAGS_AF},
		{"\x28\x17", sub8, FLAGS},
		{"\x30\x17", xor8, FLAGS & ~RFLAGS_AF},
		{"\x38\x17", cmp8, FLAGS},
	};
	static const uint64_t wide[] = {0, 1, 0x7fffffffffffffff, BIT(63), UINT64_MAX, 0x80000000};

	(void)state;
	for (unsigned int op = 0; op < ARRAY_SIZE(ops); op++) {
		for (unsigned int a = 0; a < 256; a++) {
			for (unsigned int b = 0; b < 256; b++) {
				host.bus_value = a;
				gpr[RDX] = b;
				host.state.rflags = RFLAGS_RESERVED | FLAGS;
				run(ops[op].bytes, 2);
				assert_int_equal(host.state.rflags & ops[op].defined,
						 ops[op].flags(a, b) & ops[op].defined);
			}
		}
	}
	for (unsigned int a = 0; a < ARRAY_SIZE(wide); a++) {
		for (unsigned int b = 0; b < ARRAY_SIZE(wide); b++) {
			host.bus_value = wide[a];
			gpr[RDX] = wide[b];
			RUN("\x48\x01\x17");
			assert_int_equal(host.state.rflags & FLAGS,
					 add64(wide[a], wide[b]) & FLAGS);
			RUN("\x48\x29\x17");
			assert_int_equal(host.state.rflags & FLAGS,
					 sub64(wide[a], wide[b]) & FLAGS);
		}
	}
}

/* The flags of a subtraction depend on which side the register is. */
static void test_operand_order(void **state)
{
	(void)state;
	host.bus_value = 1;
	gpr[RDX] = 2;
	RUN("\x39\x17"); /* memory - register */
	assert_int_equal(host.state.rflags & RFLAGS_CF, RFLAGS_CF);
	RUN("\x3b\x17"); /* register - memory */
	assert_int_equal(host.state.rflags & RFLAGS_CF, 0);
	RUN("\x2b\x17");
	assert_int_equal(gpr[RDX], 1);
}

static void test_modes(void **state)
{
	(void)state;
	gpr[RSI] = 0x12345678;
	/* 32-bit code of a 64-bit kernel; the segment's base counts there */
	host.state.seg[SEG_CS].attr = SEGMENT_ATTR_CODE32;
	host.state.seg[SEG_CS].base = 0x1000;
	host.state.rip = CODE - 0x1000;
	RUN("\x89\x35\xb0\x00\xe0\xfe");
	expect_write(4, 0x12345678);
	/* real mode: no paging */
	host.state.cr0 = 0;
	host.state.efer = 0;
	host.state.seg[SEG_CS].attr = SEGMENT_ATTR_CODE16;
	RUN("\x89\x36\x34\x12");
	expect_write(2, 0x5678);
}

/* The bytes that the processor gives with the exit come first; where they end, memory goes on. */
static void test_given_bytes(void **state)
{
	(void)state;
	gpr[RAX] = 0x55;
	memcpy(host_ram(CODE), "\x0f\x0b", 2); /* by now something else is there */
	memcpy(host_vcpu.exit.mmio.insn, "\x89\x07\x90", 3);
	host_vcpu.exit.mmio.insn_count = 3;
	assert_int_equal(mmio_emulate(&host_vcpu), 2);
	expect_write(4, 0x55);
	host_vcpu.exit.mmio.insn_count = 1;
	RUN("\x66\x89\x07");
	expect_write(2, 0x55);
}

static void test_page_crossing(void **state)
{
	const char insn[] = "\x89\x87\xb0\x00\x00\x00";

	(void)state;
	gpr[RAX] = 0x77;
	for (unsigned int before = 1; before < 6; before++) {
		/* the two halves are not neighbours in guest-physical memory */
		put64(PT + 8 * 6, 0x30000 | 3);
		host.state.rip = 0x6000 - before;
		memcpy(host_ram(0x6000 - before), insn, before);
		memcpy(host_ram(0x30000), insn + before, 6 - before);
		host.accesses = 0;
		assert_int_equal(mmio_emulate(&host_vcpu), 6);
		expect_write(4, 0x77);

		put64(PT + 8 * 6, 0); /* the second half has gone: again, and the CPU faults */
		host.accesses = 0;
		assert_int_equal(mmio_emulate(&host_vcpu), 0);
		assert_int_equal(host.accesses, 0);
	}
	/* an instruction that ends with the page needs nothing of the next one */
	host.state.rip = 0x6000 - 2;
	memcpy(host_ram(0x6000 - 2), "\x89\x07", 2);
	assert_int_equal(mmio_emulate(&host_vcpu), 2);
}

static void test_nothing_to_fetch(void **state)
{
	(void)state;
	put64(PT + 8 * 5, 0);
	assert_int_equal(mmio_emulate(&host_vcpu), 0);
	put64(PT + 8 * 5, VM_LAPIC_BASE | 3); /* the instruction itself is on a device */
	assert_int_equal(mmio_emulate(&host_vcpu), 0);
	assert_int_equal(host.accesses, 0);
}

static void test_refused(void **state)
{
	(void)state;
	memcpy(host_ram(CODE), "\xf0\x09\x07", 3); /* LOCK */
	assert_int_equal(mmio_emulate(&host_vcpu), -EINVAL);
	memcpy(host_ram(CODE), "\xf3\xab", 2);
	assert_int_equal(mmio_emulate(&host_vcpu), -EINVAL);
	memcpy(host_ram(CODE), "\x89\x07", 2);
	host_vcpu.exit.mmio.fetch = true; /* executing device memory */
	assert_int_equal(mmio_emulate(&host_vcpu), -EINVAL);
	assert_int_equal(host.accesses, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_stores, set_up),
		cmocka_unit_test_setup(test_loads, set_up),
		cmocka_unit_test_setup(test_extending_loads, set_up),
		cmocka_unit_test_setup(test_xchg, set_up),
		cmocka_unit_test_setup(test_read_modify_write, set_up),
		cmocka_unit_test_setup(test_flags, set_up),
		cmocka_unit_test_setup(test_operand_order, set_up),
		cmocka_unit_test_setup(test_modes, set_up),
		cmocka_unit_test_setup(test_given_bytes, set_up),
		cmocka_unit_test_setup(test_page_crossing, set_up),
		cmocka_unit_test_setup(test_nothing_to_fetch, set_up),
		cmocka_unit_test_setup(test_refused, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
