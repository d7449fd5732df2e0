/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: SDM vol. 3A chapter "Paging"; APM vol. 2 chapter 5 agrees for what is used here.
 */
#include "arch/x86_64/vcpu/walk.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/msr.h"
#include "arch/x86_64/virt.h"
#include "core/errno.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define ENTRY_PRESENT  BIT(0)
#define ENTRY_WRITE    BIT(1)
#define ENTRY_USER     BIT(2)
#define ENTRY_ACCESSED BIT(5)
#define ENTRY_DIRTY    BIT(6)
#define ENTRY_LARGE    BIT(7)
#define ENTRY_NX       BIT(63)
#define ENTRY_ADDRESS  0x000ffffffffff000ull
#define PDPTE_RESERVED 0x1e6ull /* PAE: bits 8:5 and 2:1, and no rights in it */
#define CR3_PAE	       0xffffffe0ull
#define CR3_32	       0xfffff000ull

/* PSE-36: bits 20:13 of a 4 MiB entry are bits 39:32 of the address; bit 21 is reserved. */
#define PSE36_HIGH(entry) (((entry) >> 13 & 0xff) << 32)
#define PSE36_RESERVED	  BIT(21)

/* One way of paging: how many levels, and how the address is cut. */
struct walk_mode {
	unsigned int levels;
	unsigned int index_bits;   /* of every level but a PAE top level's two */
	unsigned int entry_size;   /* bytes */
	unsigned int large_levels; /* bit n: level n (1: page table) may hold a large page */
	bool nx;		   /* bit 63 is XD; else reserved */
	bool pae_top;		   /* level 3 holds four entries without rights */
};

struct walk {
	const struct vm *vm;
	const struct vcpu_paging *paging;
	struct walk_access access;
	bool writable, user, nx; /* rights so far: the least of all levels */
};

static int fault(const struct walk *walk, uint64_t bits, uint32_t *error_code)
{
	bool nx_matters = walk->paging->cr4 & CR4_SMEP ||
			  (walk->paging->cr4 & CR4_PAE && walk->paging->efer & EFER_NXE);

	if (walk->access.write)
		bits |= PF_WRITE;
	if (walk->access.user)
		bits |= PF_USER;
	if (walk->access.fetch && nx_matters)
		bits |= PF_FETCH;
	*error_code = (uint32_t)bits;
	return -EFAULT;
}

/* One entry, read once: the guest may be writing it. Not present where there is no RAM. */
static uint64_t read_entry(const struct vm *vm, gpa_t gpa, unsigned int size)
{
	const void *host = vm_gpa_to_host(vm, gpa);

	if (!host)
		return 0;
	if (size == 4)
		return __atomic_load_n((const uint32_t *)host, __ATOMIC_RELAXED);
	return __atomic_load_n((const uint64_t *)host, __ATOMIC_RELAXED);
}

/* Sets bits in an entry that still holds @old. Returns false when it does not. */
static bool set_bits(const struct vm *vm, gpa_t gpa, unsigned int size, uint64_t old, uint64_t bits)
{
	void *host = vm_gpa_to_host(vm, gpa);
	uint32_t old32 = (uint32_t)old;

	if ((old | bits) == old)
		return true;
	if (size == 4)
		return __atomic_compare_exchange_n((uint32_t *)host, &old32, (uint32_t)(old | bits),
						   false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n((uint64_t *)host, &old, old | bits, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static bool page_allows(const struct walk *walk)
{
	const struct vcpu_paging *paging = walk->paging;
	const struct walk_access *access = &walk->access;

	if (access->user && !walk->user)
		return false;
	if (access->fetch)
		return !walk->nx && !(!access->user && walk->user && paging->cr4 & CR4_SMEP);
	if (!access->user && walk->user && paging->cr4 & CR4_SMAP && !(paging->rflags & RFLAGS_AC))
		return false;
	return !access->write || walk->writable || (!access->user && !(paging->cr0 & CR0_WP));
}

/* Bits that must be clear in an entry that maps a page of 2^@shift bytes or a next table. */
static uint64_t reserved_bits(const struct walk_mode *mode, unsigned int level, bool large,
			      unsigned int shift)
{
	uint64_t reserved = 0;

	if (mode->entry_size == 4)
		return large ? PSE36_RESERVED : 0;
	if (mode->pae_top && level == mode->levels)
		return PDPTE_RESERVED | ENTRY_NX;
	if (!mode->nx)
		reserved |= ENTRY_NX;
	if (large) /* between the PAT bit 12 and the page's address */
		reserved |= (BIT(shift) - 1) & ~(BIT(13) - 1);
	else if (level > 1)
		reserved |= mode->large_levels & BIT(level) ? 0 : ENTRY_LARGE;
	return reserved;
}

static gpa_t page_address(const struct walk_mode *mode, uint64_t entry, unsigned int shift,
			  gva_t gva)
{
	uint64_t offset = BIT(shift) - 1;
	gpa_t base = entry & ENTRY_ADDRESS & ~offset;

	if (mode->entry_size == 4 && shift > PAGE_SHIFT)
		base |= PSE36_HIGH(entry);
	return base | (gva & offset);
}

static int walk_levels(struct walk *walk, const struct walk_mode *mode, gpa_t table, gva_t gva,
		       gpa_t *gpa, uint32_t *error_code)
{
	for (unsigned int level = mode->levels; level > 0; level--) {
		unsigned int shift = PAGE_SHIFT + (level - 1) * mode->index_bits;
		bool top = mode->pae_top && level == mode->levels;
		uint64_t index = gva >> shift & (top ? 3 : BIT(mode->index_bits) - 1);
		gpa_t place = table + index * mode->entry_size;
		uint64_t entry = read_entry(walk->vm, place, mode->entry_size);
		bool large = entry & ENTRY_LARGE && mode->large_levels & BIT(level);
		bool last = large || level == 1;
		uint64_t marks = ENTRY_ACCESSED;

		if (!(entry & ENTRY_PRESENT))
			return fault(walk, 0, error_code);
		if (entry & reserved_bits(mode, level, large, shift))
			return fault(walk, PF_PRESENT | PF_RESERVED, error_code);
		if (!top) {
			walk->writable &= !!(entry & ENTRY_WRITE);
			walk->user &= !!(entry & ENTRY_USER);
			walk->nx |= mode->nx && entry & ENTRY_NX;
		}
		if (last && !page_allows(walk))
			return fault(walk, PF_PRESENT, error_code);
		if (last && walk->access.write)
			marks |= ENTRY_DIRTY;
		if (walk->access.mark && !top &&
		    !set_bits(walk->vm, place, mode->entry_size, entry, marks))
			return -EAGAIN;
		if (last) {
			*gpa = page_address(mode, entry, shift, gva);
			return 0;
		}
		table = entry & ENTRY_ADDRESS;
	}
	return fault(walk, 0, error_code);
}

static gva_t sign_extend_48(gva_t gva)
{
	return (gva_t)((int64_t)(gva << 16) >> 16);
}

int walk_tables(const struct vm *vm, const struct vcpu_paging *paging, gva_t gva,
		struct walk_access access, gpa_t *gpa, uint32_t *error_code)
{
	struct walk walk = {
		.vm = vm,
		.paging = paging,
		.access = access,
		.writable = true,
		.user = true,
	};
	bool nx = paging->efer & EFER_NXE;

	if (paging->efer & EFER_LMA) {
		const struct walk_mode four_level = {.levels = 4,
						     .index_bits = 9,
						     .entry_size = 8,
						     .large_levels = BIT(3) | BIT(2),
						     .nx = nx};

		if (paging->cr4 & CR4_LA57 || gva != sign_extend_48(gva))
			return fault(&walk, 0, error_code);
		return walk_levels(&walk, &four_level, paging->cr3 & ENTRY_ADDRESS, gva, gpa,
				   error_code);
	}

	gva = (uint32_t)gva;
	if (!(paging->cr0 & CR0_PG)) {
		*gpa = gva;
		return 0;
	}
	if (paging->cr4 & CR4_PAE) {
		const struct walk_mode pae = {.levels = 3,
					      .index_bits = 9,
					      .entry_size = 8,
					      .large_levels = BIT(2),
					      .nx = nx,
					      .pae_top = true};

		return walk_levels(&walk, &pae, paging->cr3 & CR3_PAE, gva, gpa, error_code);
	} else {
		const struct walk_mode legacy = {.levels = 2,
						 .index_bits = 10,
						 .entry_size = 4,
						 .large_levels = paging->cr4 & CR4_PSE ? BIT(2)
										       : 0};

		return walk_levels(&walk, &legacy, paging->cr3 & CR3_32, gva, gpa, error_code);
	}
}
