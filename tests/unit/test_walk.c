/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walk of a guest's page tables over tables built by hand: every way of paging, page sizes,
 * rights, reserved bits, tables that are no RAM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/vcpu/walk.h"
#include "tests/unit/cpu_host.h"

#define P   BIT(0)
#define W   BIT(1)
#define U   BIT(2)
#define PS  BIT(7)
#define NX  BIT(63)
#define PWU (P | W | U)

/* Where the tables are, and what they map. */
#define TOP   0x10000ull
#define PDPT  0x11000ull
#define PD    0x12000ull
#define PT    0x13000ull
#define PAGE  0x123000ull
#define LARGE 0x200000ull
#define HUGE  0x40000000ull

#define GVA 0xffff8a5512345678ull

static struct vcpu_paging paging;

static void put64(gpa_t table, uint64_t index, uint64_t entry)
{
	memcpy(host_ram(table + index * 8), &entry, 8);
}

static void put32(gpa_t table, uint32_t index, uint32_t entry)
{
	memcpy(host_ram(table + index * 4), &entry, 4);
}

static unsigned int index_of(gva_t gva, unsigned int level)
{
	return gva >> (12 + 9 * (level - 1)) & 511;
}

/* Long mode, GVA mapped to PAGE by entries with all rights. */
static int set_up(void **state)
{
	(void)state;
	host_reset(1);
	paging = (struct vcpu_paging){
		.cr0 = CR0_PE | CR0_PG | CR0_WP,
		.cr3 = TOP,
		.cr4 = CR4_PAE,
		.efer = EFER_LME | EFER_LMA | EFER_NXE,
	};
	put64(TOP, index_of(GVA, 4), PDPT | PWU);
	put64(PDPT, index_of(GVA, 3), PD | PWU);
	put64(PD, index_of(GVA, 2), PT | PWU);
	put64(PT, index_of(GVA, 1), PAGE | PWU);
	return 0;
}

#define READ  ((struct walk_access){0})
#define WRITE ((struct walk_access){.write = true})
#define FETCH ((struct walk_access){.fetch = true})
#define USER  ((struct walk_access){.user = true})

static void expect(gva_t gva, struct walk_access access, gpa_t expected)
{
	uint32_t error_code;
	gpa_t gpa = 0;

	assert_int_equal(walk_tables(&host_vm, &paging, gva, access, &gpa, &error_code), 0);
	assert_int_equal(gpa, expected);
}

static void expect_fault(gva_t gva, struct walk_access access, uint64_t expected)
{
	uint32_t error_code = UINT32_MAX;
	gpa_t gpa;

	assert_int_equal(walk_tables(&host_vm, &paging, gva, access, &gpa, &error_code), -EFAULT);
	assert_int_equal(error_code, expected);
}

static void test_four_levels(void **state)
{
	(void)state;
	expect(GVA, READ, PAGE + 0x678);
	expect(GVA, WRITE, PAGE + 0x678);
	expect(GVA, FETCH, PAGE + 0x678);
	expect(GVA, USER, PAGE + 0x678);
	expect_fault(GVA & (BIT(63) - 1), READ, 0); /* not canonical */
	expect_fault(GVA & ~BIT(48), READ, 0);
	paging.cr3 |= 0x123; /* a PCID */
	expect(GVA, READ, PAGE + 0x678);
}

static void test_large_pages(void **state)
{
	(void)state;
	put64(PD, index_of(GVA, 2), LARGE | PS | PWU);
	expect(GVA, READ, LARGE + (GVA & (LARGE - 1)));
	put64(PD, index_of(GVA, 2), LARGE | PS | PWU | BIT(12)); /* the PAT bit */
	expect(GVA, READ, LARGE + (GVA & (LARGE - 1)));
	put64(PDPT, index_of(GVA, 3), HUGE | PS | PWU);
	expect(GVA, READ, HUGE + (GVA & (HUGE - 1)));
}

static void test_not_present(void **state)
{
	const gpa_t tables[] = {PT, PD, PDPT, TOP};

	(void)state;
	for (unsigned int level = 1; level <= 4; level++) {
		set_up(NULL);
		put64(tables[level - 1], index_of(GVA, level), PAGE | W | U);
		expect_fault(GVA, READ, 0);
		expect_fault(GVA, WRITE, PF_WRITE);
		expect_fault(GVA, USER, PF_USER);
		expect_fault(GVA, FETCH, PF_FETCH);
	}
	expect_fault(0, READ, 0);
	paging.efer &= ~EFER_NXE; /* then fetches are not told apart */
	expect_fault(0, FETCH, 0);
}

/* A right that one level withholds is withheld. */
static void test_rights_of_each_level(void **state)
{
	const gpa_t tables[] = {PT, PD, PDPT, TOP};
	const gpa_t targets[] = {PAGE, PT, PD, PDPT};

	(void)state;
	for (unsigned int level = 1; level <= 4; level++) {
		gpa_t table = tables[level - 1], target = targets[level - 1];

		set_up(NULL);
		put64(table, index_of(GVA, level), target | P | U);
		expect_fault(GVA, WRITE, PF_PRESENT | PF_WRITE);
		expect(GVA, READ, PAGE + 0x678);
		put64(table, index_of(GVA, level), target | P | W);
		expect_fault(GVA, USER, PF_PRESENT | PF_USER);
		expect(GVA, READ, PAGE + 0x678);
		put64(table, index_of(GVA, level), target | PWU | NX);
		expect_fault(GVA, FETCH, PF_PRESENT | PF_FETCH);
		expect(GVA, WRITE, PAGE + 0x678);
	}
}

static void test_write_protect(void **state)
{
	const struct walk_access user_write = {.user = true, .write = true};

	(void)state;
	put64(PT, index_of(GVA, 1), PAGE | P | U);
	paging.cr0 &= ~CR0_WP;
	expect(GVA, WRITE, PAGE + 0x678);
	expect_fault(GVA, user_write, PF_PRESENT | PF_WRITE | PF_USER);
}

static void test_smep_smap(void **state)
{
	const struct walk_access user_fetch = {.user = true, .fetch = true};

	(void)state;
	paging.cr4 |= CR4_SMEP;
	expect_fault(GVA, FETCH, PF_PRESENT | PF_FETCH);
	expect(GVA, user_fetch, PAGE + 0x678);
	expect(GVA, READ, PAGE + 0x678);
	paging.cr4 |= CR4_SMAP;
	expect_fault(GVA, READ, PF_PRESENT);
	expect_fault(GVA, WRITE, PF_PRESENT | PF_WRITE);
	expect(GVA, USER, PAGE + 0x678);
	paging.rflags = RFLAGS_AC;
	expect(GVA, READ, PAGE + 0x678);
	put64(PT, index_of(GVA, 1),
	      PAGE | P | W); /* the supervisor's page is no matter of either */
	paging.rflags = 0;
	expect(GVA, FETCH, PAGE + 0x678);
	expect(GVA, WRITE, PAGE + 0x678);
}

static void test_reserved_bits(void **state)
{
	(void)state;
	put64(TOP, index_of(GVA, 4), PDPT | PWU | PS);
	expect_fault(GVA, READ, PF_PRESENT | PF_RESERVED);
	set_up(NULL);
	put64(PD, index_of(GVA, 2), LARGE | PS | PWU | BIT(13));
	expect_fault(GVA, READ, PF_PRESENT | PF_RESERVED);
	set_up(NULL);
	put64(PDPT, index_of(GVA, 3), HUGE | PS | PWU | BIT(29));
	expect_fault(GVA, READ, PF_PRESENT | PF_RESERVED);
	set_up(NULL);
	paging.efer &= ~EFER_NXE;
	put64(PT, index_of(GVA, 1), PAGE | PWU | NX);
	expect_fault(GVA, READ, PF_PRESENT | PF_RESERVED);
}

/* Tables in the hole, behind the end of RAM, at the end of the address space. */
static void test_tables_outside_ram(void **state)
{
	const gpa_t nowhere[] = {VM_HOLE_BASE, VM_LAPIC_BASE, HOST_RAM, 0xffffffffff000ull};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(nowhere); i++) {
		set_up(NULL);
		put64(PD, index_of(GVA, 2), nowhere[i] | PWU);
		expect_fault(GVA, READ, 0);
		paging.cr3 = nowhere[i];
		expect_fault(GVA, READ, 0);
	}
	set_up(NULL);
	put64(PT, index_of(GVA, 1), VM_LAPIC_BASE | PWU); /* a page may be a device's */
	expect(GVA, READ, VM_LAPIC_BASE + 0x678);
}

/* A table that is its own next one: as many steps as there are levels. */
static void test_loop(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 512; i++)
		put64(TOP, i, TOP | PWU);
	expect(GVA, READ, TOP + 0x678);
}

static void test_five_levels(void **state)
{
	(void)state;
	paging.cr4 |= CR4_LA57;
	expect_fault(GVA, READ, 0);
}

static void test_no_paging(void **state)
{
	(void)state;
	paging.efer = 0;
	paging.cr0 = CR0_PE;
	expect(0x12345678, WRITE, 0x12345678);
	expect(0x112345678, FETCH, 0x12345678);
}

static void test_pae(void **state)
{
	const gva_t gva = 0x92345678;

	(void)state;
	host_reset(1);
	paging.efer = EFER_NXE;
	paging.cr3 = TOP + 0x20; /* aligned to 32 bytes only */
	put64(TOP + 0x20, gva >> 30, PD | P);
	put64(PD, index_of(gva, 2), PT | PWU);
	put64(PT, index_of(gva, 1), PAGE | PWU);
	expect(gva, USER, PAGE + 0x678); /* the top level has no rights to withhold */
	expect(gva, WRITE, PAGE + 0x678);
	expect(gva | BIT(40), READ, PAGE + 0x678); /* linear addresses are 32 bits */
	put64(PT, index_of(gva, 1), PAGE | PWU | NX);
	expect_fault(gva, FETCH, PF_PRESENT | PF_FETCH);
	put64(PD, index_of(gva, 2), LARGE | PWU | PS);
	expect(gva, READ, LARGE + (gva & (LARGE - 1)));
	put64(TOP + 0x20, gva >> 30, PD | P | W);
	expect_fault(gva, READ, PF_PRESENT | PF_RESERVED);
	put64(TOP + 0x20, gva >> 30, PD);
	expect_fault(gva, READ, 0);
}

static void test_32_bit(void **state)
{
	const gva_t gva = 0xc2345678;

	(void)state;
	host_reset(1);
	paging.efer = 0;
	paging.cr4 = 0;
	put32(TOP, gva >> 22, PT | PWU);
	put32(PT, gva >> 12 & 1023, PAGE | P | U);
	expect(gva, USER, PAGE + 0x678);
	expect(gva, FETCH, PAGE + 0x678);
	expect_fault(gva, WRITE, PF_PRESENT | PF_WRITE);
	put32(TOP, gva >> 22, PT | PWU | PS); /* without CR4.PSE the bit means nothing */
	expect(gva, READ, PAGE + 0x678);

	paging.cr4 = CR4_PSE;
	put32(TOP, gva >> 22, 0x00c00000 | PS | PWU);
	expect(gva, READ, 0x00c00000 + (gva & 0x3fffff));
	put32(TOP, gva >> 22, 0x00c00000 | PS | PWU | 0xab << 13); /* bits 39:32 of the address */
	expect(gva, READ, 0xab00c00000 + (gva & 0x3fffff));
	put32(TOP, gva >> 22, 0x00c00000 | PS | PWU | BIT(21));
	expect_fault(gva, READ, PF_PRESENT | PF_RESERVED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_four_levels, set_up),
		cmocka_unit_test_setup(test_large_pages, set_up),
		cmocka_unit_test_setup(test_not_present, set_up),
		cmocka_unit_test_setup(test_rights_of_each_level, set_up),
		cmocka_unit_test_setup(test_write_protect, set_up),
		cmocka_unit_test_setup(test_smep_smap, set_up),
		cmocka_unit_test_setup(test_reserved_bits, set_up),
		cmocka_unit_test_setup(test_tables_outside_ram, set_up),
		cmocka_unit_test_setup(test_loop, set_up),
		cmocka_unit_test_setup(test_five_levels, set_up),
		cmocka_unit_test_setup(test_no_paging, set_up),
		cmocka_unit_test_setup(test_pae, set_up),
		cmocka_unit_test_setup(test_32_bit, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
