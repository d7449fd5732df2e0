/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arch/x86_64/cpu/acpi.c on tables made here. Each mapping is a fresh copy of just the bytes asked
 * for, so that the address sanitizer sees any read beyond them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/acpi.h"
#include "core/errno.h"

#define MEMORY_SIZE 0x10000u
#define XSDT	    0x1000u
#define RSDT	    0x1800u
#define MADT	    0x2000u
#define FADT	    0x3000u
#define DSDT	    0x4000u
#define SRAT	    0x5000u
#define FADT_SIZE   276u
#define SRAT_SIZE   (64u + 2 * 40u)
#define MAPPINGS    64u

static uint8_t memory[MEMORY_SIZE];
static uint8_t rsdp[36];
static void *mappings[MAPPINGS];
static unsigned int mapping_count;
static struct acpi_info info;

static const void *map(hpa_t pa, size_t size)
{
	void *copy;

	if (pa >= MEMORY_SIZE || size > MEMORY_SIZE - pa || mapping_count == MAPPINGS)
		return NULL;
	copy = malloc(size);
	memcpy(copy, memory + pa, size);
	mappings[mapping_count++] = copy;
	return copy;
}

static int parse(size_t rsdp_size)
{
	uint8_t *copy = malloc(rsdp_size ? rsdp_size : 1);
	int err;

	memcpy(copy, rsdp, rsdp_size);
	err = acpi_parse(copy, rsdp_size, map, &info);
	free(copy);
	while (mapping_count)
		free(mappings[--mapping_count]);
	return err;
}

static void put(uint8_t *at, uint64_t value, size_t width)
{
	for (size_t i = 0; i < width; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static void fix_checksum(uint8_t *data, size_t size, size_t at)
{
	uint8_t sum = 0;

	data[at] = 0;
	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + data[i]);
	data[at] = (uint8_t)-sum;
}

static void finish_table(uint32_t pa, const char *signature, uint32_t size)
{
	memcpy(memory + pa, signature, 4);
	put(memory + pa + 4, size, 4);
	fix_checksum(memory + pa, size, 9);
}

static void finish_rsdp(void)
{
	fix_checksum(rsdp, 20, 8);
	fix_checksum(rsdp, 36, 32);
}

static uint32_t madt_size;

static void add_madt_entry(const uint8_t *bytes, size_t size)
{
	memcpy(memory + MADT + madt_size, bytes, size);
	madt_size += (uint32_t)size;
	finish_table(MADT, "APIC", madt_size);
}

static void add_lapic(uint8_t id, uint32_t flags)
{
	add_madt_entry((const uint8_t[]){0, 8, 77, id, (uint8_t)flags, 0, 0, 0}, 8);
}

static void add_x2apic(uint32_t id, uint32_t flags)
{
	uint8_t entry[16] = {9, 16};

	put(entry + 4, id, 4);
	put(entry + 8, flags, 4);
	add_madt_entry(entry, sizeof(entry));
}

static void put_dsdt(const uint8_t *aml, size_t size)
{
	memset(memory + DSDT, 0, 256);
	memcpy(memory + DSDT + 36, aml, size);
	finish_table(DSDT, "DSDT", (uint32_t)(36 + size));
}

/* As most firmware has it: Name (\_S5, Package () {5, 4, 0, 0}). */
static const uint8_t usual_s5[] = {0x5b, 0x80, 0x08, '_',  'S',	 '5',  '_',  0x12,
				   0x08, 0x04, 0x0a, 0x05, 0x0a, 0x04, 0x00, 0x00};

/* A machine with two CPUs and everything in place. */
static int setup(void **state)
{
	(void)state;
	memset(memory, 0, sizeof(memory));
	memset(rsdp, 0, sizeof(rsdp));
	memcpy(rsdp, "RSD PTR ", 8);
	rsdp[15] = 2;
	put(rsdp + 16, RSDT, 4);
	put(rsdp + 20, 36, 4);
	put(rsdp + 24, XSDT, 8);
	finish_rsdp();

	put(memory + XSDT + 36, MADT, 8);
	put(memory + XSDT + 44, FADT, 8);
	finish_table(XSDT, "XSDT", 52);
	put(memory + RSDT + 36, MADT, 4);
	put(memory + RSDT + 40, FADT, 4);
	finish_table(RSDT, "RSDT", 44);

	madt_size = 44;
	add_lapic(0, 1);
	add_lapic(1, 1);

	put(memory + FADT + 40, DSDT, 4);
	put(memory + FADT + 48, 0xb2, 4);
	memory[FADT + 52] = 0xf1;
	put(memory + FADT + 64, 0x604, 4);
	put(memory + FADT + 76, 0x608, 4);
	put(memory + FADT + 112, 1 << 8 | 1 << 10, 4);
	memory[FADT + 116] = ACPI_SPACE_IO;
	put(memory + FADT + 120, 0xcf9, 8);
	memory[FADT + 128] = 6;
	finish_table(FADT, "FACP", FADT_SIZE);
	put_dsdt(usual_s5, sizeof(usual_s5));
	return 0;
}

static void check_usual(void)
{
	assert_false(info.bochs);
	assert_int_equal(info.cpu_count, 2);
	assert_int_equal(info.cpus[0], 0);
	assert_int_equal(info.cpus[1], 1);
	assert_int_equal(info.pm_timer, 0x608);
	assert_true(info.pm_timer_is_32_bit);
	assert_int_equal(info.pm1a_control, 0x604);
	assert_int_equal(info.pm1b_control, 0);
	assert_int_equal(info.smi_command, 0xb2);
	assert_int_equal(info.acpi_enable, 0xf1);
	assert_int_equal(info.reset.space, ACPI_SPACE_IO);
	assert_int_equal(info.reset.address, 0xcf9);
	assert_int_equal(info.reset_value, 6);
	assert_true(info.has_s5);
	assert_int_equal(info.s5_type_a, 5);
	assert_int_equal(info.s5_type_b, 4);
}

static void test_xsdt(void **state)
{
	(void)state;
	memory[RSDT] = 'x';
	assert_int_equal(parse(36), 0);
	check_usual();
}

static void test_bochs(void **state)
{
	(void)state;
	memcpy(rsdp + 9, "BOCHS ", 6);
	finish_rsdp();
	assert_int_equal(parse(sizeof(rsdp)), 0);
	assert_true(info.bochs);
}

static void test_rsdt_of_revision_0(void **state)
{
	(void)state;
	rsdp[15] = 0;
	finish_rsdp();
	memory[XSDT] = 'x';
	assert_int_equal(parse(20), 0);
	check_usual();
}

static void test_rsdt_when_the_xsdt_is_bad(void **state)
{
	(void)state;
	memory[XSDT + 40]++; /* its checksum is wrong now */
	assert_int_equal(parse(36), 0);
	check_usual();
}

static void test_bad_rsdp(void **state)
{
	(void)state;
	for (size_t size = 0; size < 20; size++)
		assert_int_equal(parse(size), -EINVAL);
	rsdp[3]++;
	assert_int_equal(parse(36), -EINVAL);
	rsdp[3]--;
	rsdp[10]++;
	assert_int_equal(parse(36), -EINVAL);
}

static void test_no_root_table(void **state)
{
	(void)state;
	memory[XSDT] = memory[RSDT] = 'x';
	assert_int_equal(parse(36), -EINVAL);
	put(rsdp + 16, MEMORY_SIZE - 10, 4); /* cannot be mapped */
	put(rsdp + 24, UINT64_MAX - 8, 8);
	finish_rsdp();
	assert_int_equal(parse(36), -EINVAL);
}

static void test_cpus(void **state)
{
	(void)state;
	add_lapic(2, 0);  /* disabled */
	add_lapic(3, 2);  /* could be plugged in */
	add_x2apic(1, 1); /* known already */
	add_x2apic(300, 1);
	add_madt_entry((const uint8_t[]){1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}, 12);
	add_lapic(7, 1);
	assert_int_equal(parse(36), 0);
	assert_int_equal(info.cpu_count, 4);
	assert_int_equal(info.cpus[2], 300);
	assert_int_equal(info.cpus[3], 7);
}

static void test_interrupts(void **state)
{
	(void)state;
	assert_int_equal(parse(36), 0);
	assert_int_equal(info.ioapic_count, 0);
	assert_int_equal(info.serial.gsi, 4); /* as nobody says anything else */
	assert_int_equal(info.serial.flags, 0);

	add_madt_entry((const uint8_t[]){1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 24, 1, 0, 0}, 12);
	add_madt_entry((const uint8_t[]){2, 10, 0, 0, 2, 0, 0, 0, 0, 0}, 10); /* the timer's */
	add_madt_entry((const uint8_t[]){2, 10, 0, 4, 20, 1, 0, 0, 0x0f, 0}, 10);
	add_madt_entry((const uint8_t[]){1, 11, 2, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0}, 11); /* short */
	add_madt_entry((const uint8_t[]){2, 9, 0, 4, 5, 0, 0, 0, 0}, 9); /* likewise */
	assert_int_equal(parse(36), 0);
	assert_int_equal(info.ioapic_count, 1);
	assert_int_equal(info.ioapics[0].base, 0xfec00000);
	assert_int_equal(info.ioapics[0].gsi, 280);
	assert_int_equal(info.serial.gsi, 276);
	assert_int_equal(info.serial.flags, 0x0f);

	for (size_t i = 0; i < ACPI_MAX_IOAPICS; i++)
		add_madt_entry((const uint8_t[]){1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}, 12);
	assert_int_equal(parse(36), 0);
	assert_int_equal(info.ioapic_count, ACPI_MAX_IOAPICS);
}

static void test_too_many_cpus(void **state)
{
	(void)state;
	for (uint32_t id = 2; id < ACPI_MAX_CPUS + 3; id++)
		add_x2apic(id, 1);
	assert_int_equal(parse(36), 0);
	assert_int_equal(info.cpu_count, ACPI_MAX_CPUS);
	assert_int_equal(info.cpus_left_out, 3);
}

static void test_bad_madt_entries(void **state)
{
	static const uint8_t bad[][8] = {
		{0, 0, 5, 5, 1},   /* no length: must not loop */
		{0, 1, 5, 5, 1},   /* shorter than its own header */
		{0, 7, 5, 5, 1},   /* too short for its type */
		{0, 200, 5, 5, 1}, /* beyond the table */
		{9, 8, 5, 5, 1},   /* too short for its type */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setup(NULL);
		add_madt_entry(bad[i], 8);
		assert_int_equal(parse(36), 0);
		check_usual();
	}
}

static void test_bad_table_lengths(void **state)
{
	static const uint32_t lengths[] = {0, 8, 35, MEMORY_SIZE, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		setup(NULL);
		put(memory + MADT + 4, lengths[i], 4);
		assert_int_equal(parse(36), 0);
		assert_int_equal(info.cpu_count, 0);
		assert_int_equal(info.pm_timer, 0x608);
	}
}

static void test_every_truncation(void **state)
{
	(void)state;
	/* Shorter and shorter, with a right checksum: nothing may be read behind the end. */
	for (uint32_t size = FADT_SIZE; size >= 36; size--) {
		setup(NULL);
		finish_table(FADT, "FACP", size);
		assert_int_equal(parse(36), 0);
		assert_int_equal(info.pm_timer, size >= 80 ? 0x608 : 0);
	}
	for (uint32_t size = madt_size; size >= 36; size--) {
		setup(NULL);
		finish_table(MADT, "APIC", size);
		assert_int_equal(parse(36), 0);
		assert_int_equal(info.cpu_count, size >= 60 ? 2 : size >= 52 ? 1 : 0);
	}
	for (uint32_t size = 36 + sizeof(usual_s5); size >= 36; size--) {
		setup(NULL);
		finish_table(DSDT, "DSDT", size);
		assert_int_equal(parse(36), 0);
		assert_int_equal(info.has_s5, size >= 36 + 14);
	}
	for (uint32_t size = 52; size >= 36; size--) {
		setup(NULL);
		finish_table(XSDT, "XSDT", size);
		assert_int_equal(parse(36), 0);
		assert_int_equal(info.cpu_count, size >= 44 ? 2 : 0);
	}
}

static void test_s5_forms(void **state)
{
	static const struct {
		uint8_t aml[16];
		size_t size;
		bool found;
		uint8_t a, b;
	} forms[] = {
		/* Name (\_S5, Package (2) {Zero, One}) */
		{{8, '\\', '_', 'S', '5', '_', 0x12, 4, 2, 0, 1}, 11, true, 0, 1},
		/* a package length of two bytes */
		{{8, '_', 'S', '5', '_', 0x12, 0x40, 1, 4, 0x0a, 7, 0x0a, 7, 0, 0}, 15, true, 7, 7},
		/* the name is used, not defined */
		{{0x70, '_', 'S', '5', '_', 0x12, 8, 4, 0x0a, 5, 0x0a, 5}, 12, false, 0, 0},
		/* not a package */
		{{8, '_', 'S', '5', '_', 0x0a, 5, 0, 0}, 9, false, 0, 0},
		/* one element */
		{{8, '_', 'S', '5', '_', 0x12, 4, 1, 0x0a, 5}, 10, false, 0, 0},
		/* a word, which is no sleep type */
		{{8, '_', 'S', '5', '_', 0x12, 8, 4, 0x0b, 5, 0, 0x0a, 5}, 13, false, 0, 0},
		/* the first is no definition, the second is */
		{{'_', 'S', '5', '_', 8, '_', 'S', '5', '_', 0x12, 4, 2, 0x0a, 3, 1},
		 15,
		 true,
		 3,
		 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		put_dsdt(forms[i].aml, forms[i].size);
		assert_int_equal(parse(36), 0);
		assert_int_equal(info.has_s5, forms[i].found);
		if (forms[i].found) {
			assert_int_equal(info.s5_type_a, forms[i].a);
			assert_int_equal(info.s5_type_b, forms[i].b);
		}
	}
}

static void test_extended_addresses(void **state)
{
	(void)state;
	put(memory + FADT + 40, 0, 4);
	put(memory + FADT + 140, DSDT, 8);
	put(memory + FADT + 64, 0, 4);
	memory[FADT + 172] = ACPI_SPACE_IO;
	put(memory + FADT + 176, 0x1804, 8);
	put(memory + FADT + 76, 0, 4);
	memory[FADT + 208] = ACPI_SPACE_MEMORY; /* nothing that a port instruction reaches */
	put(memory + FADT + 212, 0x1808, 8);
	finish_table(FADT, "FACP", FADT_SIZE);
	assert_int_equal(parse(36), 0);
	assert_int_equal(info.pm1a_control, 0x1804);
	assert_int_equal(info.pm_timer, 0);
	assert_true(info.has_s5);
}

/* A SRAT in the place of the MADT: CPU 7 in domain 5, a GiB of domain 5 and one of domain 9. */
static void put_srat(void)
{
	uint8_t *srat = memory + SRAT;

	put(memory + XSDT + 36, SRAT, 8);
	finish_table(XSDT, "XSDT", 52);
	memset(srat, 0, SRAT_SIZE);
	srat[8] = 3;
	memcpy(srat + 48, (const uint8_t[]){0, 16, 5, 7, 1}, 5);
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t *entry = srat + 64 + 40 * i;

		entry[0] = 1;
		entry[1] = 40;
		put(entry + 2, i ? 9 : 5, 4);
		put(entry + 8, i * GIB, 8);
		put(entry + 16, GIB, 8);
		put(entry + 28, 1, 4);
	}
	finish_table(SRAT, "SRAT", SRAT_SIZE);
}

static void parse_nodes(struct srat *srat)
{
	acpi_parse_nodes(rsdp, sizeof(rsdp), map, srat);
	while (mapping_count)
		free(mappings[--mapping_count]);
}

static void test_nodes(void **state)
{
	struct srat srat;

	(void)state;
	parse_nodes(&srat);
	assert_int_equal(srat.map.count, 1);
	assert_null(srat.fault);

	put_srat();
	parse_nodes(&srat);
	assert_null(srat.fault);
	assert_int_equal(srat.map.count, 2);
	assert_int_equal(node_map_find(&srat.map, GIB), 1);
	assert_int_equal(srat_node_of_cpu(&srat, 7), 0);

	memory[SRAT + 100]++; /* another checksum */
	parse_nodes(&srat);
	assert_int_equal(srat.map.count, 1);
	assert_string_equal(srat.fault, "its length or checksum is wrong");

	put_srat();
	put(memory + SRAT + 4, 0xffffffff, 4);
	parse_nodes(&srat);
	assert_int_equal(srat.map.count, 1);
	assert_non_null(srat.fault);

	rsdp[0] = 'x';
	parse_nodes(&srat);
	assert_int_equal(srat.map.count, 1);
	assert_null(srat.fault);
}

static void test_hardware_reduced(void **state)
{
	(void)state;
	put(memory + FADT + 112, 1 << 20, 4);
	memory[FADT + 244] = ACPI_SPACE_MEMORY;
	put(memory + FADT + 248, 0xfed00010, 8);
	finish_table(FADT, "FACP", FADT_SIZE);
	assert_int_equal(parse(36), 0);
	assert_true(info.hardware_reduced);
	assert_int_equal(info.sleep_control.space, ACPI_SPACE_MEMORY);
	assert_int_equal(info.sleep_control.address, 0xfed00010);
	assert_int_equal(info.reset.address, 0); /* not said to be supported */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_xsdt, setup),
		cmocka_unit_test_setup(test_bochs, setup),
		cmocka_unit_test_setup(test_rsdt_of_revision_0, setup),
		cmocka_unit_test_setup(test_rsdt_when_the_xsdt_is_bad, setup),
		cmocka_unit_test_setup(test_bad_rsdp, setup),
		cmocka_unit_test_setup(test_no_root_table, setup),
		cmocka_unit_test_setup(test_cpus, setup),
		cmocka_unit_test_setup(test_interrupts, setup),
		cmocka_unit_test_setup(test_too_many_cpus, setup),
		cmocka_unit_test_setup(test_bad_madt_entries, setup),
		cmocka_unit_test_setup(test_bad_table_lengths, setup),
		cmocka_unit_test_setup(test_every_truncation, setup),
		cmocka_unit_test_setup(test_s5_forms, setup),
		cmocka_unit_test_setup(test_extended_addresses, setup),
		cmocka_unit_test_setup(test_hardware_reduced, setup),
		cmocka_unit_test_setup(test_nodes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
