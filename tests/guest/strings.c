/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * String I/O: INS and OUTS with the UART, single and repeated, forwards and backwards, over page
 * borders, and into pages that are not there.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define UART_DATA    0x3f8
#define UART_MSR     0x3fe
#define UART_SCRATCH 0x3ff /* keeps a byte */

#define PAGE_LARGE 0x200000ull
#define HOLE	   (6 * PAGE_LARGE) /* RAM that nothing uses; its page is taken away */
#define ENTRY_BITS 0xfff
#define PRESENT	   0x01ull
#define ACCESSED   0x20ull
#define DIRTY	   0x40ull
#define MANY	   5000u

const char test_name[] = "strings";

extern uint64_t page_root[];

static uint8_t buffer[MANY];

/* What an instruction left behind. */
struct end {
	uint64_t index, count;
	int vector;
};

#define STRING(insn, reg)                                                                          \
	static struct end insn##_(uint16_t port, const void *address, uint64_t count) {            \
		uint64_t index = (uint64_t)address;                                                \
                                                                                                   \
		trap_vector = NO_VECTOR;                                                           \
		__asm__ volatile(FIXUP("rep " #insn)                                               \
				 : "+" reg(index), "+c"(count)                                     \
				 : "d"(port)                                                       \
				 : "memory");                                                      \
		return (struct end){index, count, trap_vector};                                    \
	}

STRING(outsb, "S")
STRING(outsw, "S")
STRING(insb, "D")
STRING(insw, "D")
STRING(insl, "D")

static uint64_t read_cr2(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr2, %0" : "=r"(value));
	return value;
}

/* The entry of the large page around an address below 1 GiB. */
static volatile uint64_t *entry_of(uint64_t address)
{
	uint64_t *pointers = (uint64_t *)(page_root[0] & ~(uint64_t)ENTRY_BITS);
	uint64_t *directory = (uint64_t *)(pointers[0] & ~(uint64_t)ENTRY_BITS);

	return &directory[address / PAGE_LARGE];
}

static void set_entry(uint64_t address, uint64_t value)
{
	*entry_of(address) = value;
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static void check_end(const char *what, struct end end, const void *index, uint64_t count,
		      int vector)
{
	CHECK(end.index == (uint64_t)index && end.count == count && end.vector == vector,
	      "%s: index 0x%lx count %lu vector %d, expected 0x%lx, %lu, %d", what, end.index,
	      end.count, end.vector, (uint64_t)index, count, vector);
}

static void test_output(void)
{
	static const char line[] = "printed by REP OUTSB\r\n";

	check_end("a line", outsb_(UART_DATA, line, sizeof(line) - 1), line + sizeof(line) - 1, 0,
		  NO_VECTOR);
	check_end("bytes", outsb_(UART_SCRATCH, "abc", 3), "abc" + 3, 0, NO_VECTOR);
	CHECK_EQ(in8(UART_SCRATCH), 'c', "what REP OUTSB left in the register");
	outsw_(UART_MSR, "\1z", 1); /* the upper byte goes to the next port */
	CHECK_EQ(in8(UART_SCRATCH), 'z', "what OUTSW left in the register");
	check_end("nothing", outsb_(UART_SCRATCH, buffer, 0), buffer, 0, NO_VECTOR);

	__asm__ volatile("std");
	check_end("backwards", outsb_(UART_SCRATCH, line + 3, 3), line, 0, NO_VECTOR);
	__asm__ volatile("cld");
	CHECK_EQ(in8(UART_SCRATCH), 'r', "what went out last, backwards");
}

static void test_input(void)
{
	out8(UART_SCRATCH, 0x5a);
	check_end("many", insb_(UART_SCRATCH, buffer, MANY), buffer + MANY, 0, NO_VECTOR);
	for (unsigned int i = 0; i < MANY; i++)
		CHECK(buffer[i] == 0x5a, "byte %u of REP INSB is 0x%x", i, buffer[i]);
	insw_(UART_MSR, buffer, 2);
	CHECK_EQ(buffer[3], 0x5a, "upper byte of the second word");
	CHECK_EQ(buffer[4], 0x5a, "byte behind the words");
	insl_(UART_SCRATCH, buffer, 1); /* three of the four ports have nothing */
	CHECK(buffer[0] == 0x5a && buffer[3] == 0xff, "INSD: 0x%x 0x%x", buffer[0], buffer[3]);
}

static void test_faults(void)
{
	uint8_t *hole = (uint8_t *)HOLE;
	uint64_t entry = *entry_of(HOLE);

	for (int i = 1; i <= 3; i++)
		hole[-i] = (uint8_t)i;
	set_entry(HOLE, entry & ~PRESENT);
	check_end("into the hole", outsb_(UART_SCRATCH, hole - 3, 5), hole, 2, VECTOR_PF);
	CHECK_EQ(read_cr2(), HOLE, "address of the page fault");
	CHECK_EQ(in8(UART_SCRATCH), 1, "what went out before the page fault");

	out8(UART_SCRATCH, 0x77);
	check_end("half in the hole", insw_(UART_MSR, hole - 1, 1), hole - 1, 1, VECTOR_PF);
	CHECK_EQ(read_cr2(), HOLE, "address of the page fault in the middle");
	CHECK_EQ(hole[-1], 1, "the half that was there");

	set_entry(HOLE, entry & ~(ACCESSED | DIRTY));
	check_end("in again", insw_(UART_MSR, hole - 1, 1), hole + 1, 0, NO_VECTOR);
	CHECK_EQ(hole[0], 0x77, "upper byte, on the page that is back");
	CHECK(*entry_of(HOLE) & DIRTY, "the page that was written is not dirty");

	check_end("no address", outsb_(UART_SCRATCH, (void *)(1ull << 63), 1), (void *)(1ull << 63),
		  1, VECTOR_GP);
}

void test_main(void)
{
	test_output();
	test_input();
	test_faults();
}
