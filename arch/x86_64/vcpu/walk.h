/* SPDX-License-Identifier: BSD-2-Clause */
/* The walk of a guest's page tables, as a function of the guest's registers and RAM only. */
#ifndef ARCH_VCPU_WALK_H
#define ARCH_VCPU_WALK_H

#include "core/types.h"

struct vm;
struct vcpu_paging;

struct walk_access {
	bool write, fetch;
	bool user; /* at privilege level 3 */
	bool mark; /* set accessed and dirty bits, as the processor does */
};

/*
 * walk_tables - translate a linear address as the processor would
 *
 * 4-level, PAE and 32-bit paging with large pages, and none; 5-level paging is not offered to
 * guests. A non-canonical address counts as not present. Accessed and dirty bits are set for an
 * access that the processor has not begun itself (@access.mark). Returns 0 and *gpa, which may be
 * no RAM; -EFAULT and *error_code as a #PF would push; or -EAGAIN when marking met an entry that is
 * being changed: the access is to be tried again. Tables outside of RAM read as not present. At
 * most four reads, each entry once. Context: any; the guest may change its tables at the same time.
 * Source: SDM vol. 3A, "Paging".
 */
int walk_tables(const struct vm *vm, const struct vcpu_paging *paging, gva_t gva,
		struct walk_access access, gpa_t *gpa, uint32_t *error_code);

#endif
