/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INS and OUTS: what goes between port and memory, in steps, in every mode and address size; the
 * faults that are due, and that nothing has happened when one is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/cpu_host.h"

#define CODE   0x5000ull /* linear; mapped to itself */
#define DATA   0x20000ull
#define DEVICE 0xfee00000ull
#define TOP    0x10000ull
#define PDPT   0x11000ull
#define PD     0x12000ull
#define PT     0x13000ull

#define ACCESSED 0x20
#define DIRTY	 0x40

static uint64_t *gpr;

static void put64(gpa_t gpa, uint64_t value)
{
	memcpy(host_ram(gpa), &value, 8);
}

static uint64_t get64(gpa_t gpa)
{
	uint64_t value;

	memcpy(&value, host_ram(gpa), 8);
	return value;
}

static gpa_t entry_of(gva_t gva)
{
	return PT + (gva >> 12) * 8;
}

/* 64-bit code with 2 MiB mapped one to one. */
static int set_up(void **state)
{
	(void)state;
	host_reset(1);
	gpr = host_vcpu.arch.gpr;
	host.state.cr0 = CR0_PE | CR0_PG | CR0_WP;
	host.state.cr3 = TOP;
	host.state.cr4 = CR4_PAE;
	host.state.efer = EFER_LME | EFER_LMA;
	host.state.rip = CODE;
	host.state.rflags = RFLAGS_RESERVED;
	host.state.seg[SEG_CS].attr = SEGMENT_ATTR_CODE64;
	put64(TOP, PDPT | 3);
	put64(PDPT, PD | 3);
	put64(PD, PT | 3);
	for (uint64_t i = 0; i < 512; i++)
		put64(PT + 8 * i, i << 12 | 3);
	gpr[RSI] = gpr[RDI] = DATA;
	memcpy(host_ram(DATA), "Tidepool", 8);
	return 0;
}

/* 32-bit protected mode without paging, flat segments. */
static void use_32bit(void)
{
	host.state.cr0 = CR0_PE;
	host.state.efer = 0;
	host.state.seg[SEG_CS].attr = SEGMENT_ATTR_CODE32;
	for (enum segment seg = SEG_ES; seg <= SEG_GS; seg++) {
		host.state.seg[seg].limit = UINT32_MAX;
		if (seg != SEG_CS)
			host.state.seg[seg].attr = SEGMENT_ATTR_DATA32;
	}
}

/* Real mode; the data segments at @base. */
static void use_real_mode(uint64_t base)
{
	use_32bit();
	host.state.cr0 = 0;
	host.state.seg[SEG_CS].attr = SEGMENT_ATTR_CODE16;
	for (enum segment seg = SEG_ES; seg <= SEG_GS; seg++) {
		host.state.seg[seg].limit = UINT16_MAX;
		if (seg != SEG_CS)
			host.state.seg[seg].base = base;
	}
}

static int execute(const char *bytes, size_t length)
{
	bool rep = false;
	uint8_t opcode = (uint8_t)bytes[length - 1];
	bool wide = opcode & 1, short_operand = host.state.seg[SEG_CS].attr == SEGMENT_ATTR_CODE16;

	for (size_t i = 0; i + 1 < length; i++) {
		rep |= bytes[i] == '\xf3' || bytes[i] == '\xf2';
		if (bytes[i] == '\x66')
			short_operand = !short_operand;
	}
	memcpy(host_ram(CODE), bytes, length);
	host_vcpu.exit.kind = EXIT_IO;
	host_vcpu.exit.io.port = HOST_PORT;
	host_vcpu.exit.io.in = !(opcode & 2);
	host_vcpu.exit.io.string = true;
	host_vcpu.exit.io.rep = rep;
	host_vcpu.exit.io.size = wide ? (short_operand ? 2 : 4) : 1;
	host.ports_count = 0;
	host.fault = -1;
	return string_io_emulate(&host_vcpu);
}
#define EXECUTE(bytes) execute(bytes, sizeof(bytes) - 1)
/* It has to be carried out to its end. */
#define RUN(bytes) assert_int_equal(EXECUTE(bytes), sizeof(bytes) - 1)

static void expect_fault(int result, int vector, int64_t code)
{
	assert_int_equal(result, 0);
	assert_int_equal(host.fault, vector);
	assert_int_equal(host.fault_code, code);
	assert_int_equal(host.ports_count, 0); /* the port was not touched */
}

static void test_out(void **state)
{
	(void)state;
	RUN("\x6e");
	assert_int_equal(host.ports_count, 1);
	assert_memory_equal(host.ports_written, "T", 1);
	assert_int_equal(gpr[RSI], DATA + 1);
	RUN("\x66\x6f");
	assert_int_equal(host.ports_count, 2);
	assert_memory_equal(host.ports_written, "id", 2);
	RUN("\x48\x6f"); /* REX.W means nothing */
	assert_int_equal(host.ports_count, 4);
	assert_memory_equal(host.ports_written, "epoo", 4);
	assert_int_equal(gpr[RSI], DATA + 7);
	host.state.rflags |= RFLAGS_DF;
	gpr[RSI] = DATA + 3;
	gpr[RCX] = 4;
	RUN("\xf3\x6e");
	assert_memory_equal(host.ports_written, "ediT", 4);
	assert_int_equal(gpr[RSI], DATA - 1);
	assert_int_equal(gpr[RCX], 0);
	RUN("\xf3\x6e"); /* no element at all */
	assert_int_equal(host.ports_count, 0);
	assert_int_equal(host.fault, -1);
}

static void test_in(void **state)
{
	(void)state;
	memcpy(host.ports_written, "abcdefgh", 8);
	RUN("\x6c");
	RUN("\x66\x6d");
	RUN("\x6d");
	assert_memory_equal(host_ram(DATA), "aababcdl", 8);
	assert_int_equal(gpr[RDI], DATA + 7);
	gpr[RDI] = DATA;
	gpr[RCX] = 2;
	RUN("\xf2\x6d");
	assert_memory_equal(host_ram(DATA), "abcdefgh", 8);
	assert_int_equal(gpr[RDI], DATA + 8);
	assert_int_equal(gpr[RCX], 0);
}

/* More than one exit's worth: it executes again where it stands. */
static void test_steps(void **state)
{
	(void)state;
	gpr[RCX] = 100;
	memset(host_ram(DATA), 'x', 100);
	assert_int_equal(EXECUTE("\xf3\x6e"), 0);
	assert_int_equal(host.ports_count, 64);
	assert_int_equal(gpr[RCX], 36);
	assert_int_equal(gpr[RSI], DATA + 64);
	assert_int_equal(host.steps_ended, 1);
	RUN("\xf3\x6e");
	assert_int_equal(host.ports_count, 36);
	assert_int_equal(gpr[RCX], 0);
	assert_int_equal(host.steps_ended, 1);
	assert_int_equal(host.fault, -1);

	host.state.rflags |= RFLAGS_TF; /* a trap after each element */
	gpr[RCX] = 2;
	assert_int_equal(EXECUTE("\xf3\x6e"), 0);
	assert_int_equal(gpr[RCX], 1);
	assert_int_equal(host.steps_ended, 2);
	RUN("\xf3\x6e");
}

static void test_address_sizes(void **state)
{
	(void)state;
	gpr[RSI] = 0xffffffff00000000 | DATA;
	RUN("\x67\x6e"); /* 32 bits clear the rest */
	assert_int_equal(gpr[RSI], DATA + 1);
	gpr[RCX] = 0x500000001;
	RUN("\x67\xf3\x6e");
	assert_int_equal(gpr[RCX], 0);

	use_32bit();
	gpr[RSI] = 0xaaaa0000 | (DATA & 0xffff) | 0xffff;
	host.state.seg[SEG_DS].base = DATA - 0xffff;
	RUN("\x67\x6e"); /* 16 bits keep the rest and wrap around */
	assert_memory_equal(host.ports_written, "T", 1);
	assert_int_equal(gpr[RSI], 0xaaaa0000);

	use_real_mode(DATA);
	gpr[RSI] = 4;
	gpr[RCX] = 0x70002;
	RUN("\xf3\x6f"); /* words */
	assert_memory_equal(host.ports_written, "pool", 4);
	assert_int_equal(gpr[RCX], 0x70000);
	RUN("\x66\x67\x6f");
	assert_int_equal(host.ports_count, 4);
}

static void test_segments(void **state)
{
	(void)state;
	host.state.seg[SEG_FS].base = DATA;
	host.state.seg[SEG_ES].base = 0x1000; /* no meaning in 64-bit mode */
	gpr[RSI] = 4;
	RUN("\x64\x6e");
	assert_memory_equal(host.ports_written, "p", 1);
	gpr[RSI] = DATA;
	RUN("\x26\x6e");
	assert_memory_equal(host.ports_written, "T", 1);

	use_32bit();
	host.state.seg[SEG_ES].base = DATA;
	gpr[RSI] = gpr[RDI] = 1;
	RUN("\x26\x6e");
	assert_memory_equal(host.ports_written, "i", 1);
	host.ports_written[0] = 'I';
	RUN("\x65\x6c"); /* its segment cannot be overridden */
	assert_memory_equal(host_ram(DATA), "TIde", 4);
}

static void test_segment_faults(void **state)
{
	(void)state;
	use_32bit();
	host.state.seg[SEG_DS].limit = DATA + 2;
	gpr[RSI] = DATA;
	expect_fault(EXECUTE("\x6f"), VECTOR_GP, 0); /* one byte beyond */
	RUN("\x66\x6f");
	host.state.seg[SEG_SS].limit = 0;
	expect_fault(EXECUTE("\x36\x6f"), VECTOR_SS, 0);
	host.state.seg[SEG_GS].attr = SEGMENT_ATTR_UNUSABLE;
	expect_fault(EXECUTE("\x65\x6e"), VECTOR_GP, 0);
	host.state.seg[SEG_ES].attr = 0xc091; /* read only */
	expect_fault(EXECUTE("\x6c"), VECTOR_GP, 0);
	gpr[RSI] = DATA;
	RUN("\x26\x6e");
	host.state.seg[SEG_ES].attr = 0xc099; /* code that cannot be read */
	expect_fault(EXECUTE("\x26\x6e"), VECTOR_GP, 0);
	host.state.seg[SEG_ES].attr = 0xc09b; /* code that can, but not written */
	RUN("\x26\x6e");
	expect_fault(EXECUTE("\x6c"), VECTOR_GP, 0);

	host.state.seg[SEG_ES] = (struct vcpu_segment){.attr = 0xc097, .limit = DATA - 1};
	gpr[RDI] = DATA - 1; /* expand-down: what is up to the limit is not in it */
	expect_fault(EXECUTE("\x6c"), VECTOR_GP, 0);
	gpr[RDI] = DATA;
	RUN("\x6c");
	host.state.seg[SEG_ES].attr = 0x8097; /* 16 bits: ends at 64 KiB, which is below */
	expect_fault(EXECUTE("\x6c"), VECTOR_GP, 0);

	use_real_mode(0);
	gpr[RSI] = 0xffff;
	expect_fault(EXECUTE("\x6f"), VECTOR_GP, 0); /* a word at the segment's end */
	RUN("\x6e");
}

static void test_addresses_that_are_none(void **state)
{
	(void)state;
	gpr[RSI] = 0x0000800000000000;
	expect_fault(EXECUTE("\x6e"), VECTOR_GP, 0);
	gpr[RSI] = 0x00007ffffffffffe; /* its end is not canonical */
	expect_fault(EXECUTE("\x6f"), VECTOR_GP, 0);

	host.state.cr0 |= CR0_AM;
	host.state.rflags |= RFLAGS_AC;
	gpr[RSI] = DATA + 2;
	RUN("\x6f"); /* ring 0 is not asked */
	for (unsigned int i = 0; i < 512; i++)
		put64(PT + 8 * i, i << 12 | 7);
	put64(PD, PT | 7);
	put64(PDPT, PD | 7);
	put64(TOP, PDPT | 7);
	host.cpl = 3;
	gpr[RSI] = DATA + 2;
	expect_fault(EXECUTE("\x6f"), VECTOR_AC, 0);
	RUN("\x66\x6f");
}

static void test_page_faults(void **state)
{
	(void)state;
	put64(entry_of(DATA + PAGE_SIZE), 0);
	gpr[RSI] = gpr[RDI] = DATA + PAGE_SIZE - 2;
	gpr[RCX] = 5;
	memcpy(host_ram(DATA + PAGE_SIZE - 2), "ok", 2);
	assert_int_equal(EXECUTE("\xf3\x6e"), 0); /* what is before the fault is done */
	assert_int_equal(host.ports_count, 2);
	assert_int_equal(host.fault, VECTOR_PF);
	assert_int_equal(host.fault_code, 0);
	assert_int_equal(host_vcpu.arch.cr2, DATA + PAGE_SIZE);
	assert_int_equal(gpr[RSI], DATA + PAGE_SIZE);
	assert_int_equal(gpr[RCX], 3);

	/* The second half of an element: the first is not written, the port not read. */
	host_vcpu.arch.cr2 = 0;
	expect_fault(EXECUTE("\x6d"), VECTOR_PF, PF_WRITE);
	assert_int_equal(host_vcpu.arch.cr2, DATA + PAGE_SIZE);
	assert_memory_equal(host_ram(DATA + PAGE_SIZE - 2), "ok", 2);

	put64(entry_of(DATA), DATA | 1); /* read only */
	gpr[RDI] = DATA;
	expect_fault(EXECUTE("\x6c"), VECTOR_PF, PF_PRESENT | PF_WRITE);
	gpr[RSI] = DATA;
	RUN("\x6e");
}

/* An element in two pages that are not neighbours in memory. */
static void test_page_crossing(void **state)
{
	(void)state;
	put64(entry_of(DATA + PAGE_SIZE), (DATA + 4 * PAGE_SIZE) | 3);
	gpr[RDI] = gpr[RSI] = DATA + PAGE_SIZE - 1;
	memcpy(host.ports_written, "wxyz", 4);
	RUN("\x6d");
	assert_int_equal(*host_ram(DATA + PAGE_SIZE - 1), 'w');
	assert_memory_equal(host_ram(DATA + 4 * PAGE_SIZE), "xyz", 3);
	memset(host.ports_written, 0, 4);
	RUN("\x6f");
	assert_memory_equal(host.ports_written, "wxyz", 4);
}

static void test_accessed_and_dirty(void **state)
{
	(void)state;
	RUN("\x6e");
	assert_int_equal(get64(entry_of(DATA)), DATA | 3 | ACCESSED);
	assert_int_equal(get64(PD), PT | 3 | ACCESSED);
	assert_int_equal(get64(TOP), PDPT | 3 | ACCESSED);
	RUN("\x6c");
	assert_int_equal(get64(entry_of(DATA)), DATA | 3 | ACCESSED | DIRTY);
	assert_int_equal(get64(PD), PT | 3 | ACCESSED);
	assert_int_equal(get64(entry_of(CODE)), CODE | 3); /* reading the instruction again: not */
}

static void test_device_memory(void **state)
{
	(void)state;
	host.bus_value = 0x11223344;
	put64(entry_of(DATA), DEVICE | 3);
	RUN("\x6f");
	assert_memory_equal(host.ports_written, "\x44\x33\x22\x11", 4);
	assert_int_equal(host.accesses, 1);
	RUN("\x6d");
	assert_int_equal(host.accesses, 2);
	assert_true(host.log[1].write);
	assert_int_equal(host.log[1].gpa, DEVICE);
	assert_int_equal(host.log[1].value, 0x11223344);

	gpr[RSI] = DATA + PAGE_SIZE - 2; /* half of it in RAM */
	memcpy(host_ram(DATA + PAGE_SIZE), "ab", 2);
	RUN("\x6f");
	assert_memory_equal(host.ports_written,
			    "\xff\xff"
			    "ab",
			    4);
	assert_int_equal(host.accesses, 2);
}

/* Whoever changes the instruction meanwhile gets nothing done. */
static void test_other_instruction(void **state)
{
	(void)state;
	assert_int_equal(EXECUTE("\x90"), 0);
	assert_int_equal(host.fault, -1);
	assert_int_equal(host.ports_count, 0);
	put64(entry_of(CODE), 0);
	assert_int_equal(EXECUTE("\x6e"), 0);
	assert_int_equal(host.ports_count, 0);
	put64(entry_of(CODE), CODE | 3);
	assert_int_equal(
		execute("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x6e", 16), 0);
	assert_int_equal(host.ports_count, 0);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(out),
		TEST(in),
		TEST(steps),
		TEST(address_sizes),
		TEST(segments),
		TEST(segment_faults),
		TEST(addresses_that_are_none),
		TEST(page_faults),
		TEST(page_crossing),
		TEST(accessed_and_dirty),
		TEST(device_memory),
		TEST(other_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
