/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI table SRAT: which memory and which CPUs are near each other
 */
#ifndef ARCH_CPU_SRAT_H
#define ARCH_CPU_SRAT_H

#include "core/nodes.h"
#include "core/types.h"

#define SRAT_MAX_CPUS 256u

struct srat {
	struct node_map map; /* nodes are numbered in the order that the table first names them */
	uint32_t domains[NODES_MAX]; /* the table's number of each node: any 32 bits */
	uint32_t cpu_count;
	struct {
		uint32_t apic_id, node;
	} cpus[SRAT_MAX_CPUS];
	const char *fault; /* what is wrong with the table, for a sentence; NULL: nothing */
};

/* srat_none - what a host without the table is like: one node. @fault: why, or NULL */
void srat_none(struct srat *srat, const char *fault);

/*
 * srat_parse - read the table
 * @table, @size: all of it, header included; its checksum is right
 *
 * Believes nothing in it. A table with a fault is not used at all: then there is one node, and
 * @srat->fault tells why.
 * Source: ACPI Specification 6.5, section 5.2.16.
 */
void srat_parse(const uint8_t *table, size_t size, struct srat *srat);

/* srat_node_of_cpu - the node of a CPU; one that the table does not name counts as node 0's */
uint32_t srat_node_of_cpu(const struct srat *srat, uint32_t apic_id);

#endif
