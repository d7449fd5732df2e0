/* SPDX-License-Identifier: BSD-2-Clause */
/* Documents: ACPI Specification 6.5, 5.2.16 "System Resource Affinity Table (SRAT)" */
#include "arch/x86_64/cpu/srat.h"
#include "core/string.h"

/* Offsets and sizes. */
enum {
	SRAT_REVISION = 8,
	SRAT_ENTRIES = 48,
	REVISION_DOMAIN_BITS_32 = 2, /* older ones have 8, and anything in the other bytes */

	TYPE_LAPIC = 0,
	LAPIC_DOMAIN_LOW = 2,
	LAPIC_ID = 3,
	LAPIC_FLAGS = 4,
	LAPIC_DOMAIN_HIGH = 9,
	LAPIC_SIZE = 16,

	TYPE_MEMORY = 1,
	MEMORY_DOMAIN = 2,
	MEMORY_BASE = 8,
	MEMORY_LENGTH = 16,
	MEMORY_FLAGS = 28,
	MEMORY_SIZE = 40,

	TYPE_X2APIC = 2,
	X2APIC_DOMAIN = 4,
	X2APIC_ID = 8,
	X2APIC_FLAGS = 12,
	X2APIC_SIZE = 24,

	ENABLED = 1, /* of all three kinds' flags */
};

static const char *const too_many_nodes = "it has too many proximity domains";

/* Little-endian, and aligned to nothing. */
static uint64_t get(const uint8_t *at, unsigned int width)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < width; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

/* The number of the node that a proximity domain is, new or not; NODES_MAX: one too many. */
static uint32_t node_of(struct srat *srat, uint32_t domain)
{
	uint32_t node = 0;

	while (node < srat->map.count && srat->domains[node] != domain)
		node++;
	if (node == srat->map.count && node < NODES_MAX)
		srat->domains[srat->map.count++] = domain;
	return node;
}

static const char *add_cpu(struct srat *srat, uint32_t domain, uint32_t apic_id)
{
	uint32_t node = node_of(srat, domain);

	if (node == NODES_MAX)
		return too_many_nodes;
	/* Firmware may list a CPU by an entry of either type. */
	for (uint32_t i = 0; i < srat->cpu_count; i++)
		if (srat->cpus[i].apic_id == apic_id)
			return srat->cpus[i].node == node ? NULL : "a CPU is in two domains";
	if (srat->cpu_count == SRAT_MAX_CPUS)
		return NULL; /* more than are started */
	srat->cpus[srat->cpu_count].apic_id = apic_id;
	srat->cpus[srat->cpu_count++].node = node;
	return NULL;
}

static const char *add_memory(struct srat *srat, uint32_t domain, hpa_t base, uint64_t length)
{
	struct node_map *map = &srat->map;
	hpa_t end = base + length;
	uint32_t node;

	if (length == 0)
		return NULL;
	if (end < base)
		return "a memory range goes beyond the last address";
	node = node_of(srat, domain);
	if (node == NODES_MAX)
		return too_many_nodes;
	for (uint32_t i = 0; i < map->range_count; i++)
		if (base < map->ranges[i].end && end > map->ranges[i].base &&
		    map->ranges[i].node != node)
			return "memory is in two domains";
	if (map->range_count == NODES_MAX_RANGES)
		return "it has too many memory ranges";
	map->ranges[map->range_count++] = (struct node_range){base, end, node};
	return NULL;
}

/* @entry: of @size bytes. Returns what is wrong with it, or NULL. */
static const char *add_entry(struct srat *srat, uint8_t revision, const uint8_t *entry, size_t size)
{
	static const uint8_t sizes[] = {
		[TYPE_LAPIC] = LAPIC_SIZE,
		[TYPE_MEMORY] = MEMORY_SIZE,
		[TYPE_X2APIC] = X2APIC_SIZE,
	};
	uint32_t mask = revision < REVISION_DOMAIN_BITS_32 ? UINT8_MAX : UINT32_MAX;
	uint8_t type = entry[0];

	if (type >= sizeof(sizes))
		return NULL; /* of other architectures, and devices */
	if (size < sizes[type])
		return "an entry is too short";
	if (type == TYPE_LAPIC && entry[LAPIC_FLAGS] & ENABLED)
		return add_cpu(srat,
			       (uint32_t)(get(entry + LAPIC_DOMAIN_LOW, 1) |
					  get(entry + LAPIC_DOMAIN_HIGH, 3) << 8) &
				       mask,
			       entry[LAPIC_ID]);
	if (type == TYPE_X2APIC && entry[X2APIC_FLAGS] & ENABLED)
		return add_cpu(srat, (uint32_t)get(entry + X2APIC_DOMAIN, 4),
			       (uint32_t)get(entry + X2APIC_ID, 4));
	if (type == TYPE_MEMORY && entry[MEMORY_FLAGS] & ENABLED)
		return add_memory(srat, (uint32_t)get(entry + MEMORY_DOMAIN, 4) & mask,
				  get(entry + MEMORY_BASE, 8), get(entry + MEMORY_LENGTH, 8));
	return NULL;
}

/* Returns what is wrong with the table, or NULL. */
static const char *parse(const uint8_t *table, size_t size, struct srat *srat)
{
	size_t at = SRAT_ENTRIES;

	if (size < SRAT_ENTRIES)
		return "it is too short";
	while (at < size) {
		size_t length = size - at < 2 ? 0 : table[at + 1];
		const char *fault;

		if (length < 2 || length > size - at)
			return "an entry's length is wrong";
		fault = add_entry(srat, table[SRAT_REVISION], table + at, length);
		if (fault)
			return fault;
		at += length;
	}
	return NULL;
}

void srat_none(struct srat *srat, const char *fault)
{
	memset(srat, 0, sizeof(*srat));
	srat->map.count = 1;
	srat->fault = fault;
}

void srat_parse(const uint8_t *table, size_t size, struct srat *srat)
{
	const char *fault;

	memset(srat, 0, sizeof(*srat));
	fault = parse(table, size, srat);
	/* Where all memory is one node's it does not matter which CPU is where. */
	if (fault || srat->map.range_count == 0)
		srat_none(srat, fault);
}

uint32_t srat_node_of_cpu(const struct srat *srat, uint32_t apic_id)
{
	for (uint32_t i = 0; i < srat->cpu_count; i++)
		if (srat->cpus[i].apic_id == apic_id)
			return srat->cpus[i].node;
	return 0;
}
