/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/vcpu/fetch.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/walk.h"
#include "arch/x86_64/virt.h"
#include "core/vm/vm.h"

#define CS_ATTR_LONG	BIT(13)
#define CS_ATTR_DEFAULT BIT(14)

enum insn_mode insn_mode(const struct vcpu_paging *paging)
{
	if (paging->efer & EFER_LMA && paging->cs_attr & CS_ATTR_LONG)
		return INSN_MODE_64;
	return paging->cs_attr & CS_ATTR_DEFAULT ? INSN_MODE_32 : INSN_MODE_16;
}

/* Copies up to @size instruction bytes, at most to the end of the page. Returns how many. */
static size_t fetch_in_page(const struct vm *vm, const struct vcpu_paging *paging, gva_t gva,
			    uint8_t *bytes, size_t size)
{
	const struct walk_access access = {.fetch = true, .user = paging->cpl == 3};
	size_t left = PAGE_SIZE - (gva & (PAGE_SIZE - 1));
	uint32_t error_code;
	gpa_t gpa;

	if (size > left)
		size = left;
	if (walk_tables(vm, paging, gva, access, &gpa, &error_code) < 0 ||
	    vm_read_guest(vm, gpa, bytes, size) < 0)
		return 0;
	return size;
}

size_t insn_fetch(const struct vm *vm, const struct vcpu_paging *paging, uint8_t bytes[INSN_MAX])
{
	gva_t gva = paging->rip;
	size_t count;

	if (insn_mode(paging) != INSN_MODE_64)
		gva = (uint32_t)(paging->cs_base + paging->rip);
	count = fetch_in_page(vm, paging, gva, bytes, INSN_MAX);
	if (count > 0 && count < INSN_MAX)
		count += fetch_in_page(vm, paging, gva + count, bytes + count, INSN_MAX - count);
	return count;
}
