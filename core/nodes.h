/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's NUMA nodes: memory that is equally far from a CPU. Most hosts have one, number 0. */
#ifndef CORE_NODES_H
#define CORE_NODES_H

#include "core/types.h"

#define NODES_MAX	 16u
#define NODES_MAX_RANGES 64u

struct node_range {
	hpa_t base, end; /* of bytes; @end is behind the last */
	uint32_t node;
};

struct node_map {
	uint32_t count; /* of nodes, at least 1; with 1 nobody looks at the ranges */
	uint32_t range_count;
	struct node_range ranges[NODES_MAX_RANGES]; /* in no order, none meets another node's */
};

/* node_map_find - the node of the byte at @pa; what is in no range counts as node 0's */
static inline uint32_t node_map_find(const struct node_map *map, hpa_t pa)
{
	for (uint32_t i = 0; i < map->range_count; i++)
		if (pa >= map->ranges[i].base && pa < map->ranges[i].end)
			return map->ranges[i].node;
	return 0;
}

#endif
