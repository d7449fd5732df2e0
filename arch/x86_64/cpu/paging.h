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

/* Page-table entries of all levels (SDM vol. 3A, "4-Level Paging"). */
#define PTE_PRESENT	  0x001ull
#define PTE_WRITE	  0x002ull
#define PTE_WRITE_THROUGH 0x008ull
#define PTE_CACHE_DISABLE 0x010ull
#define PTE_ACCESSED	  0x020ull
#define PTE_DIRTY	  0x040ull
#define PTE_LARGE	  0x080ull /* the entry is a 2 MiB or 1 GiB page, not a table */
#define PTE_NO_EXECUTE	  (1ull << 63)
#define PTE_ADDRESS	  0x000ffffffffff000ull

struct boot_info;

/*
 * paging_init - build the final page tables and switch to them
 *
 * Frames must be available (frames_add) below 4 GiB, all that the early tables reach. Afterwards
 * every RAM range of @boot is at the direct map. Returns 0, or -ENOMEM: nothing was switched.
 * Context: boot CPU, once.
 */
int paging_init(const struct boot_info *boot);

/*
 * paging_map_frame - map one 4 KiB frame, writable, never executable, cached
 * @va: page-aligned; nothing is mapped there
 * Returns 0 or -ENOMEM. Context: boot CPU; others see the mapping too.
 */
int paging_map_frame(uint64_t va, hpa_t pa);

/* paging_root - physical address of the final top-level table: CR3. */
hpa_t paging_root(void);

/*
 * paging_startup_root - the tables with which another CPU starts
 *
 * Returns the physical address, below 4 GiB, of a top-level table that maps the first 4 GiB one to
 * one and everything else as the final tables do. The final tables never map that.
 */
hpa_t paging_startup_root(void);

/* paging_end_startup - no CPU starts any more: removes the one-to-one mapping. */
void paging_end_startup(void);

/*
 * paging_map_mmio - uncached mapping of a device's registers
 * Returns the virtual address of byte @pa; NULL without memory. Never unmapped.
 */
void *paging_map_mmio(hpa_t pa, size_t size);

#endif
