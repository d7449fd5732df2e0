/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own address space
 *
 *   0xffff800000000000  direct map: host-physical byte N at DIRECT_MAP_BASE + N, RAM only, NX
 *   0xffffc00000000000  MMIO, uncached, NX
 *   0xffffd00000000000  per-CPU regions of PCPU_REGION_SIZE each, 4 KiB pages with guard pages
 *   0xffffffff80000000  the image: text RX, read-only data R, data RW
 */
#ifndef ARCH_CPU_PAGING_H
#define ARCH_CPU_PAGING_H

#include "core/types.h"

#define DIRECT_MAP_BASE 0xffff800000000000ul
#define MMIO_BASE	0xffffc00000000000ul
#define PCPU_BASE	0xffffd00000000000ul
#define IMAGE_BASE	0xffffffff80000000ul

/* Where GRUB put the image's first byte (IMAGE_BASE); set by boot/entry.S. */
extern uint64_t image_load_base;

static inline void *phys_to_virt(hpa_t pa)
{
	return (void *)(DIRECT_MAP_BASE + pa);
}

/* virt_to_phys - of a direct-map or an image address. */
static inline hpa_t virt_to_phys(const void *va)
{
	uint64_t v = (uint64_t)va;

	return v >= IMAGE_BASE ? v - IMAGE_BASE + image_load_base : v - DIRECT_MAP_BASE;
}

/*
 * paging_map_mmio - uncached mapping of a device's registers
 * Returns the virtual address of byte @pa; NULL without memory. Never unmapped.
 */
void *paging_map_mmio(hpa_t pa, size_t size);

#endif
