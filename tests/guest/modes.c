/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile: goes through all of the processor's modes again and again, and loads control registers
 * with every single bit changed. What the processor accepts has to work, what it refuses to raise
 * #GP.
 */
#include "tests/guest/lib/modes.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define TOURS	 200u
#define MSR_EFER 0xc0000080
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)
#define CR0_PE	 (1ull << 0)
#define CR0_PG	 (1ull << 31)
#define CR0_NW	 (1ull << 29)

const char test_name[] = "modes";

#define TRY(what, value)                                                                           \
	({                                                                                         \
		trap_vector = NO_VECTOR;                                                           \
		__asm__ volatile(FIXUP("movq %0, %%" what) : : "r"((uint64_t)(value)) : "memory"); \
		trap_vector;                                                                       \
	})
#define READ(what)                                                                                 \
	({                                                                                         \
		uint64_t value_;                                                                   \
                                                                                                   \
		__asm__ volatile("movq %%" what ", %0" : "=r"(value_));                            \
		value_;                                                                            \
	})

static void check_vector(const char *what, unsigned int bit, int vector)
{
	if (vector != NO_VECTOR && vector != VECTOR_GP)
		test_failure("%s with bit %u changed: exception %d", what, bit, vector);
}

/* Pages are open to ring 3, so that SMEP and SMAP would end this guest by page faults. */
static void test_cr4(void)
{
	uint64_t cr4 = READ("cr4");

	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t value = cr4 ^ 1ull << bit;
		int vector;

		if (value & (CR4_SMEP | CR4_SMAP))
			continue;
		vector = TRY("cr4", value);
		check_vector("CR4", bit, vector);
		if (vector == NO_VECTOR)
			CHECK_EQ(READ("cr4"), value, "CR4 that was accepted");
		CHECK_EQ(TRY("cr4", cr4), NO_VECTOR, "CR4 as before");
		if (bit == 5)
			CHECK_EQ(vector, VECTOR_GP, "CR4 without PAE");
	}
}

/* The emulations of SVM accept what processors refuse: there it ends the guest, see "unhandled". */
static void test_cr0(void)
{
	uint64_t cr0 = READ("cr0");

	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t value = cr0 ^ 1ull << bit;
		int vector;

		if (cpu_is_amd() && (value >> 32 || (value ^ cr0) & (CR0_PE | CR0_PG | CR0_NW)))
			continue;
		vector = TRY("cr0", value);
		check_vector("CR0", bit, vector);
		CHECK_EQ(TRY("cr0", cr0), NO_VECTOR, "CR0 as before");
		CHECK_EQ(READ("cr0"), cr0, "CR0 as before");
	}
}

static void test_cr3_cr8_efer(void)
{
	uint64_t cr3 = READ("cr3"), efer = 0;

	for (unsigned int bit = 52; bit < 63 && !cpu_is_amd(); bit++)
		CHECK_EQ(TRY("cr3", cr3 | 1ull << bit), VECTOR_GP, "CR3 with a reserved bit");
	CHECK_EQ(READ("cr3"), cr3, "CR3");
	for (unsigned int bit = 4; bit < 64; bit++)
		CHECK_EQ(TRY("cr8", 1ull << bit), VECTOR_GP, "CR8 with a reserved bit");
	CHECK_EQ(rdmsr_safe(MSR_EFER, &efer), NO_VECTOR, "EFER");
	for (unsigned int bit = 0; bit < 64; bit++) {
		check_vector("EFER", bit, wrmsr_safe(MSR_EFER, efer ^ 1ull << bit));
		CHECK_EQ(wrmsr_safe(MSR_EFER, efer), NO_VECTOR, "EFER as before");
	}
}

/* A task register and task gates are nothing in 64-bit mode. */
static void test_small_ones(void)
{
	uint64_t cr0 = READ("cr0");
	uint16_t word = 0xfffe; /* cannot clear PE */

	__asm__ volatile("lmsw %0; clts" : : "r"(word) : "memory");
	CHECK(READ("cr0") & CR0_PE, "LMSW has cleared CR0.PE");
	CHECK(!(READ("cr0") & 8), "CLTS has left CR0.TS");
	CHECK_EQ(TRY("cr0", cr0), NO_VECTOR, "CR0 as before");
}

void test_main(void)
{
	for (unsigned int i = 0; i < TOURS; i++)
		CHECK_EQ(modes_tour(), MODES_ALL, "modes reached");
	test_cr4();
	test_cr0();
	test_cr3_cr8_efer();
	test_small_ones();
	CHECK_EQ(modes_tour(), MODES_ALL, "modes reached at the end");
}
