/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's ACPI tables, read the way an operating system does: by the offsets in the
 * specification, not by the structures that wrote them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/dev/power.h"
#include "core/errno.h"
#include "core/vm/loader.h"
#include "core/vm/vm.h"

/* In place of the compiled core/vm/dsdt.asl; acpi.c does not look inside. */
const uint8_t dsdt_aml[] = {'D', 'S', 'D', 'T', 0x28, 0, 0, 0, 2, [39] = 0x55};
uint32_t dsdt_aml_size = sizeof(dsdt_aml);

static struct vm vm;
#define ROM_END 0x100000

static uint8_t rom[ROM_END - VM_ACPI_BASE];
static uint64_t ram_end; /* what lies behind is no RAM */

int vm_write_guest(struct vm *to, gpa_t gpa, const void *buf, size_t size)
{
	assert_ptr_equal(to, &vm);
	assert_in_range(gpa, VM_ACPI_BASE, ROM_END - 1);
	assert_true(size <= ROM_END - gpa);
	if (gpa + size > ram_end)
		return -EFAULT;
	memcpy(rom + (gpa - VM_ACPI_BASE), buf, size);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	memset(rom, 0, sizeof(rom));
	vm.vcpu_count = 1;
	ram_end = ROM_END;
	dsdt_aml_size = sizeof(dsdt_aml);
	return 0;
}

static uint64_t get(const uint8_t *at, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, at, size);
	return value;
}

static void check_sum(const uint8_t *table, size_t size)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + table[i]);
	assert_int_equal(sum, 0);
}

/* A table with this signature at this address, inside the area, with a right checksum. */
static const uint8_t *table_at(gpa_t gpa, const char *signature)
{
	const uint8_t *table;
	uint64_t length;

	assert_in_range(gpa, VM_ACPI_BASE, VM_ACPI_BASE + VM_ACPI_SIZE - 36);
	table = rom + (gpa - VM_ACPI_BASE);
	assert_memory_equal(table, signature, 4);
	length = get(table + 4, 4);
	assert_true(length <= VM_ACPI_BASE + VM_ACPI_SIZE - gpa);
	if (strcmp(signature, "DSDT") != 0) {
		check_sum(table, length);
		assert_memory_equal(table + 10, "TIDEPLTIDEPOOL", 14);
	}
	return table;
}

static const uint8_t *find_table(unsigned int index, const char *signature)
{
	gpa_t rsdp = vm_acpi_build(&vm);
	const uint8_t *xsdt;

	assert_int_equal(rsdp, VM_ACPI_BASE);
	xsdt = table_at(get(rom + 24, 8), "XSDT");
	assert_true(36 + 8 * (index + 1) <= get(xsdt + 4, 4));
	return table_at(get(xsdt + 36 + 8 * index, 8), signature);
}

static void test_rsdp(void **state)
{
	gpa_t rsdp = vm_acpi_build(&vm);

	(void)state;
	assert_int_equal(rsdp, VM_ACPI_BASE);
	assert_memory_equal(rom, "RSD PTR ", 8);
	assert_int_equal(rom[15], 2);
	assert_int_equal(get(rom + 16, 4), 0); /* no RSDT */
	assert_int_equal(get(rom + 20, 4), 36);
	check_sum(rom, 20);
	check_sum(rom, 36);
}

static void check_port(const uint8_t *address, uint16_t port)
{
	assert_int_equal(address[0], 1); /* I/O space */
	assert_int_equal(address[1], 8);
	assert_int_equal(address[2], 0);
	assert_int_equal(address[3], 1);
	assert_int_equal(get(address + 4, 8), port);
}

static void test_fadt(void **state)
{
	const uint8_t *fadt = find_table(0, "FACP"), *dsdt;
	uint64_t flags = get(fadt + 112, 4), boot = get(fadt + 109, 2);

	(void)state;
	assert_int_equal(get(fadt + 4, 4), 276);
	assert_int_equal(fadt[8], 6);
	assert_int_equal(flags, 0x101435);
	assert_true(flags & 1u << 20);	     /* hardware-reduced */
	assert_true(flags & 1u << 10);	     /* reset register */
	assert_int_equal(flags >> 4 & 3, 3); /* no fixed buttons */
	assert_int_equal(boot & 0x3, 0);     /* no legacy devices, no 8042 */
	assert_int_equal(boot & 0x24, 0x24); /* no VGA, no CMOS RTC */
	check_port(fadt + 116, POWER_PORT_RESET);
	assert_int_equal(fadt[128], POWER_RESET_VALUE);
	check_port(fadt + 244, POWER_PORT_SLEEP_CONTROL);
	check_port(fadt + 256, POWER_PORT_SLEEP_STATUS);
	assert_memory_equal(fadt + 268, "TIDEPOOL", 8);
	for (unsigned int i = 44; i < 109; i++) /* nothing of the full hardware model */
		assert_int_equal(fadt[i], 0);

	dsdt = table_at(get(fadt + 140, 8), "DSDT");
	assert_int_equal(get(fadt + 40, 4), get(fadt + 140, 8));
	assert_memory_equal(dsdt, dsdt_aml, sizeof(dsdt_aml));
}

static void test_madt(void **state)
{
	const uint8_t *madt = find_table(1, "APIC");
	size_t length = get(madt + 4, 4);
	unsigned int lapics = 0, ioapics = 0, nmis = 0;

	(void)state;
	assert_int_equal(get(madt + 36, 4), 0xfee00000);
	assert_int_equal(get(madt + 40, 4), 0); /* no 8259s */
	for (size_t at = 44; at < length; at += madt[at + 1]) {
		const uint8_t *entry = madt + at;

		assert_true(length - at >= 2 && entry[1] >= 2 && entry[1] <= length - at);
		switch (entry[0]) {
		case 0:
			assert_int_equal(entry[1], 8);
			assert_int_equal(entry[3], lapics); /* the APIC id that CPUID tells, too */
			assert_int_equal(get(entry + 4, 4), 1);
			lapics++;
			break;
		case 1:
			assert_int_equal(entry[1], 12);
			assert_int_equal(get(entry + 4, 4), 0xfec00000);
			assert_int_equal(get(entry + 8, 4), 0);
			ioapics++;
			break;
		case 4:
			assert_int_equal(entry[1], 6);
			assert_int_equal(entry[2], 0xff);
			assert_int_equal(entry[5], 1);
			nmis++;
			break;
		default:
			fail_msg("entry of type %u", entry[0]);
		}
	}
	assert_int_equal(lapics, vm.vcpu_count);
	assert_int_equal(ioapics, 1);
	assert_int_equal(nmis, 1);
}

static void test_does_not_fit(void **state)
{
	(void)state;
	for (ram_end = VM_ACPI_BASE; ram_end < VM_ACPI_BASE + 36 + 276; ram_end++)
		assert_int_equal(vm_acpi_build(&vm), 0);
	ram_end = 0xffff0; /* room for all but the code at the reset vector */
	assert_int_equal(vm_acpi_build(&vm), 0);
	setup(state);
	dsdt_aml_size = VM_ACPI_SIZE;
	assert_int_equal(vm_acpi_build(&vm), 0);
}

/* What Linux jumps to, in real mode, when it restarts a machine like this one. */
static void test_reset_vector(void **state)
{
	static const uint8_t code[] = {0xba, 0x02, 0x06, 0xb0, 0x01, 0xee};

	(void)state;
	assert_int_equal(POWER_PORT_RESET, 0x602);
	assert_int_equal(POWER_RESET_VALUE, 1);
	assert_int_not_equal(vm_acpi_build(&vm), 0);
	assert_memory_equal(rom + 0xffff0 - VM_ACPI_BASE, code, sizeof(code));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_rsdp, setup),
		cmocka_unit_test_setup(test_fadt, setup),
		cmocka_unit_test_setup(test_madt, setup),
		cmocka_unit_test_setup(test_does_not_fit, setup),
		cmocka_unit_test_setup(test_reset_vector, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
