/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/cpu/acpi.h"
#include "core/errno.h"
#include "core/string.h"

#define TABLE_MAX (16 * MIB) /* a longer table is not believed */

/* Offsets and sizes; all numbers are little-endian and need not be aligned. */
enum {
	RSDP_OEM = 9,
	RSDP_REVISION = 15,
	RSDP_RSDT = 16,
	RSDP_V1_SIZE = 20,
	RSDP_XSDT = 24,
	RSDP_V2_SIZE = 36,

	HEADER_LENGTH = 4,
	HEADER_SIZE = 36,

	MADT_ENTRIES = 44,
	MADT_TYPE_LAPIC = 0,
	MADT_LAPIC_ID = 3,
	MADT_LAPIC_FLAGS = 4,
	MADT_LAPIC_SIZE = 8,
	MADT_TYPE_X2APIC = 9,
	MADT_X2APIC_ID = 4,
	MADT_X2APIC_FLAGS = 8,
	MADT_X2APIC_SIZE = 16,
	MADT_CPU_ENABLED = 1,
	MADT_TYPE_IOAPIC = 1,
	MADT_IOAPIC_ADDRESS = 4,
	MADT_IOAPIC_GSI = 8,
	MADT_IOAPIC_SIZE = 12,
	MADT_TYPE_OVERRIDE = 2,
	MADT_OVERRIDE_IRQ = 3,
	MADT_OVERRIDE_GSI = 4,
	MADT_OVERRIDE_FLAGS = 8,
	MADT_OVERRIDE_SIZE = 10,

	FADT_DSDT = 40,
	FADT_SMI_COMMAND = 48,
	FADT_ACPI_ENABLE = 52,
	FADT_PM1A_CONTROL = 64,
	FADT_PM1B_CONTROL = 68,
	FADT_PM_TIMER = 76,
	FADT_FLAGS = 112,
	FADT_RESET_REGISTER = 116,
	FADT_RESET_VALUE = 128,
	FADT_X_DSDT = 140,
	FADT_X_PM1A_CONTROL = 172,
	FADT_X_PM1B_CONTROL = 184,
	FADT_X_PM_TIMER = 208,
	FADT_SLEEP_CONTROL = 244,
	FADT_FLAG_TIMER_32_BIT = 1 << 8,
	FADT_FLAG_RESET = 1 << 10,
	FADT_FLAG_HARDWARE_REDUCED = 1 << 20,

	GAS_SPACE = 0,
	GAS_ADDRESS = 4,
	GAS_SIZE = 12,

	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_PACKAGE = 0x12,
};

/* A mapped table, or any bytes with a length. */
struct bytes {
	const uint8_t *data;
	size_t size;
};

/* Reads @width bytes at @offset; 0 where the table ends before them, as for older revisions. */
static uint64_t get(const struct bytes *table, size_t offset, size_t width)
{
	uint64_t value = 0;

	if (offset > table->size || table->size - offset < width)
		return 0;
	for (size_t i = 0; i < width; i++)
		value |= (uint64_t)table->data[offset + i] << (8 * i);
	return value;
}

static bool checksum_ok(const uint8_t *data, size_t size)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + data[i]);
	return sum == 0;
}

static bool has_signature(hpa_t pa, const char *signature,
			  const void *(*map)(hpa_t pa, size_t size))
{
	const uint8_t *header = pa ? map(pa, HEADER_SIZE) : NULL;

	return header && memcmp(header, signature, 4) == 0;
}

/* Maps the table at @pa. Returns false when it is not a sound one of that signature. */
static bool open_table(hpa_t pa, const char *signature, const void *(*map)(hpa_t pa, size_t size),
		       struct bytes *table)
{
	*table = (struct bytes){.data = pa ? map(pa, HEADER_SIZE) : NULL, .size = HEADER_SIZE};
	if (!table->data || memcmp(table->data, signature, 4) != 0)
		return false;
	table->size = get(table, HEADER_LENGTH, 4);
	if (table->size < HEADER_SIZE || table->size > TABLE_MAX)
		return false;
	table->data = map(pa, table->size);
	return table->data && checksum_ok(table->data, table->size);
}

static void add_cpu(struct acpi_info *info, uint32_t apic_id)
{
	/* Firmware may list a CPU by an entry of either type. */
	for (uint32_t i = 0; i < info->cpu_count; i++)
		if (info->cpus[i] == apic_id)
			return;
	if (info->cpu_count < ACPI_MAX_CPUS)
		info->cpus[info->cpu_count++] = apic_id;
	else
		info->cpus_left_out++;
}

static void add_ioapic(struct acpi_info *info, const struct bytes *entry)
{
	if (info->ioapic_count < ACPI_MAX_IOAPICS)
		info->ioapics[info->ioapic_count++] = (struct acpi_ioapic){
			.base = get(entry, MADT_IOAPIC_ADDRESS, 4),
			.gsi = (uint32_t)get(entry, MADT_IOAPIC_GSI, 4),
		};
}

static void parse_madt(const struct bytes *madt, struct acpi_info *info)
{
	size_t at = MADT_ENTRIES;

	while (at + 2 <= madt->size) {
		uint8_t type = madt->data[at], size = madt->data[at + 1];
		const struct bytes entry = {madt->data + at, size};

		if (size < 2 || size > madt->size - at)
			return;
		if (type == MADT_TYPE_LAPIC && size >= MADT_LAPIC_SIZE &&
		    get(&entry, MADT_LAPIC_FLAGS, 4) & MADT_CPU_ENABLED)
			add_cpu(info, (uint32_t)get(&entry, MADT_LAPIC_ID, 1));
		if (type == MADT_TYPE_X2APIC && size >= MADT_X2APIC_SIZE &&
		    get(&entry, MADT_X2APIC_FLAGS, 4) & MADT_CPU_ENABLED)
			add_cpu(info, (uint32_t)get(&entry, MADT_X2APIC_ID, 4));
		if (type == MADT_TYPE_IOAPIC && size >= MADT_IOAPIC_SIZE)
			add_ioapic(info, &entry);
		if (type == MADT_TYPE_OVERRIDE && size >= MADT_OVERRIDE_SIZE &&
		    get(&entry, MADT_OVERRIDE_IRQ, 1) == ACPI_SERIAL_IRQ)
			info->serial = (struct acpi_interrupt){
				.gsi = (uint32_t)get(&entry, MADT_OVERRIDE_GSI, 4),
				.flags = (uint16_t)get(&entry, MADT_OVERRIDE_FLAGS, 2),
			};
		at += size;
	}
}

static struct acpi_register get_register(const struct bytes *table, size_t offset)
{
	return (struct acpi_register){
		.space = (uint8_t)get(table, offset + GAS_SPACE, 1),
		.address = get(table, offset + GAS_ADDRESS, 8),
	};
}

/* A port that an old field names and a newer one may name instead. */
static uint16_t get_port(const struct bytes *fadt, size_t old_field, size_t new_field)
{
	uint64_t port = get(fadt, old_field, 4);
	struct acpi_register extended = get_register(fadt, new_field);

	if (!port && extended.space == ACPI_SPACE_IO)
		port = extended.address;
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* Reads an AML constant that fits a byte. Returns its length, or 0. */
static size_t get_aml_byte(const struct bytes *aml, size_t at, uint8_t *value)
{
	if (at >= aml->size)
		return 0;
	if (aml->data[at] == AML_ZERO || aml->data[at] == AML_ONE) {
		*value = aml->data[at];
		return 1;
	}
	if (aml->data[at] != AML_BYTE || at + 1 >= aml->size)
		return 0;
	*value = aml->data[at + 1];
	return 2;
}

/* @at: behind the name _S5_. Returns whether a package of at least two bytes stands there. */
static bool parse_s5_package(const struct bytes *aml, size_t at, struct acpi_info *info)
{
	size_t length;

	if (get(aml, at, 1) != AML_PACKAGE)
		return false;
	at++;
	if (at >= aml->size)
		return false;
	at += 1 + (aml->data[at] >> 6); /* the package's length: 1 to 4 bytes, not needed */
	if (at >= aml->size || aml->data[at] < 2)
		return false;
	at++;
	length = get_aml_byte(aml, at, &info->s5_type_a);
	return length && get_aml_byte(aml, at + length, &info->s5_type_b);
}

static void parse_dsdt(const struct bytes *dsdt, struct acpi_info *info)
{
	for (size_t at = HEADER_SIZE; at + 4 <= dsdt->size; at++) {
		bool is_name;

		if (memcmp(dsdt->data + at, "_S5_", 4) != 0)
			continue;
		is_name = dsdt->data[at - 1] == AML_NAME ||
			  (dsdt->data[at - 1] == '\\' && dsdt->data[at - 2] == AML_NAME);
		if (is_name && parse_s5_package(dsdt, at + 4, info)) {
			info->has_s5 = true;
			return;
		}
	}
}

static void parse_fadt(const struct bytes *fadt, const void *(*map)(hpa_t pa, size_t size),
		       struct acpi_info *info)
{
	uint64_t flags = get(fadt, FADT_FLAGS, 4);
	hpa_t dsdt_pa = get(fadt, FADT_X_DSDT, 8);
	struct bytes dsdt;

	info->pm_timer = get_port(fadt, FADT_PM_TIMER, FADT_X_PM_TIMER);
	info->pm_timer_is_32_bit = flags & FADT_FLAG_TIMER_32_BIT;
	info->pm1a_control = get_port(fadt, FADT_PM1A_CONTROL, FADT_X_PM1A_CONTROL);
	info->pm1b_control = get_port(fadt, FADT_PM1B_CONTROL, FADT_X_PM1B_CONTROL);
	info->smi_command = (uint16_t)get(fadt, FADT_SMI_COMMAND, 2);
	info->acpi_enable = (uint8_t)get(fadt, FADT_ACPI_ENABLE, 1);
	if (flags & FADT_FLAG_RESET) {
		info->reset = get_register(fadt, FADT_RESET_REGISTER);
		info->reset_value = (uint8_t)get(fadt, FADT_RESET_VALUE, 1);
	}
	info->hardware_reduced = flags & FADT_FLAG_HARDWARE_REDUCED;
	if (info->hardware_reduced)
		info->sleep_control = get_register(fadt, FADT_SLEEP_CONTROL);

	if (!dsdt_pa)
		dsdt_pa = get(fadt, FADT_DSDT, 4);
	if (open_table(dsdt_pa, "DSDT", map, &dsdt))
		parse_dsdt(&dsdt, info);
}

/* Finds the table that lists the others. Returns false when neither is usable. */
static bool open_root(const uint8_t *rsdp, size_t size, const void *(*map)(hpa_t pa, size_t size),
		      struct bytes *root, size_t *entry_size)
{
	const struct bytes pointer = {rsdp, size};
	hpa_t root_pa = 0;

	if (size < RSDP_V1_SIZE || memcmp(rsdp, "RSD PTR ", 8) != 0 ||
	    !checksum_ok(rsdp, RSDP_V1_SIZE))
		return false;
	if (rsdp[RSDP_REVISION] >= 2 && size >= RSDP_V2_SIZE && checksum_ok(rsdp, RSDP_V2_SIZE))
		root_pa = get(&pointer, RSDP_XSDT, 8);
	*entry_size = 8;
	if (open_table(root_pa, "XSDT", map, root))
		return true;
	*entry_size = 4;
	return open_table(get(&pointer, RSDP_RSDT, 4), "RSDT", map, root);
}

int acpi_parse(const uint8_t *rsdp, size_t size, const void *(*map)(hpa_t pa, size_t size),
	       struct acpi_info *info)
{
	struct bytes root, table;
	size_t entry_size;

	memset(info, 0, sizeof(*info));
	info->serial.gsi = ACPI_SERIAL_IRQ; /* unless something else is said */
	if (!open_root(rsdp, size, map, &root, &entry_size))
		return -EINVAL;
	info->bochs = memcmp(rsdp + RSDP_OEM, "BOCHS ", 6) == 0;

	for (size_t at = HEADER_SIZE; at + entry_size <= root.size; at += entry_size) {
		hpa_t pa = get(&root, at, entry_size);

		if (open_table(pa, "APIC", map, &table))
			parse_madt(&table, info);
		else if (open_table(pa, "FACP", map, &table))
			parse_fadt(&table, map, info);
	}
	return 0;
}

void acpi_parse_nodes(const uint8_t *rsdp, size_t size, const void *(*map)(hpa_t pa, size_t size),
		      struct srat *srat)
{
	struct bytes root, table;
	size_t entry_size;

	srat_none(srat, NULL);
	if (!open_root(rsdp, size, map, &root, &entry_size))
		return;
	for (size_t at = HEADER_SIZE; at + entry_size <= root.size; at += entry_size) {
		hpa_t pa = get(&root, at, entry_size);

		if (!has_signature(pa, "SRAT", map))
			continue;
		if (open_table(pa, "SRAT", map, &table))
			srat_parse(table.data, table.size, srat);
		else
			srat_none(srat, "its length or checksum is wrong");
		return;
	}
}
