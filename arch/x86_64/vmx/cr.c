/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CR0 and CR4 of a guest
 *
 * The guest owns most bits: it changes them without an exit, and the processor does all that hangs
 * on them (paging modes, long mode, PAE entries). The hypervisor keeps the few whose real value is
 * not the guest's business, and a write that would change one of those exits:
 *
 *   CR0.NE		VMX wants it set
 *   CR0.CD, CR0.NW	exits do not switch them: a guest's CD would slow the whole CPU, host
 * included CR4.VMXE		VMX wants it set; the guest sees it clear
 *   CR4.MCE		as the host has it: cleared, a machine check would shut the guest's CPU down
 *   CR4, all bits that the guest's CPUID does not offer
 *
 * A write that exits is carried out here as a whole.
 *
 * Documents: SDM vol. 3C, "Guest/Host Masks and Read Shadows for CR0 and CR4"; vol. 2, "MOV-Move
 * to/from Control Registers" (checks, order); vol. 3A, "PAE Paging", section "PDPTE Registers";
 * vol. 3A, "Operations that Invalidate TLBs and Paging-Structure Caches".
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/vmx/insn.h"
#include "arch/x86_64/vmx/vmx.h"
#include "core/errno.h"
#include "core/vm/vm.h"

#define CR0_HOST_OWNED (CR0_NE | CR0_CD | CR0_NW)
#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)

#define TYPE_BUSY_TSS 11u

#define PDPTE_COUNT    4
#define PDPTE_PRESENT  BIT(0)
#define PDPTE_RESERVED (BIT(1) | BIT(2) | 0x1e0ull)
#define PAE_CR3_MASK   0xffffffe0ull

#define CPUID_ADDRESS_SIZES 0x80000008

void cr_init(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->cr4_offered = cr4_offered() & vmx_config.cr4_fixed1;
	vmwrite(VMCS_CR0_MASK, CR0_HOST_OWNED);
	vmwrite(VMCS_CR4_MASK, ~vmx->cr4_offered | CR4_VMXE | CR4_MCE);
}

static uint64_t read_masked(uint32_t field, uint32_t mask_field, uint32_t shadow_field)
{
	uint64_t mask = vmread(mask_field);

	return (vmread(field) & ~mask) | (vmread(shadow_field) & mask);
}

uint64_t cr_read0(void)
{
	return read_masked(VMCS_GUEST_CR0, VMCS_CR0_MASK, VMCS_CR0_SHADOW);
}

uint64_t cr_read4(void)
{
	return read_masked(VMCS_GUEST_CR4, VMCS_CR4_MASK, VMCS_CR4_SHADOW);
}

void cr_set0(uint64_t value)
{
	vmwrite(VMCS_CR0_SHADOW, value);
	vmwrite(VMCS_GUEST_CR0, (value & ~(CR0_CD | CR0_NW)) | CR0_NE);
}

void cr_set4(struct vcpu *vcpu, uint64_t value)
{
	uint64_t owned = vmx_of(vcpu)->cr4_offered & ~CR4_MCE;

	vmwrite(VMCS_CR4_SHADOW, value);
	vmwrite(VMCS_GUEST_CR4, (value & owned) | CR4_VMXE | (read_cr4() & CR4_MCE));
}

void cr_set_long_mode(uint64_t efer, bool paging)
{
	uint32_t entry = vmread32(VMCS_ENTRY_CONTROLS) & ~(uint32_t)BIT(ENTRY_CTL_IA32E_GUEST);

	efer &= ~EFER_LMA;
	if (efer & EFER_LME && paging) {
		efer |= EFER_LMA;
		entry |= BIT(ENTRY_CTL_IA32E_GUEST);
	}
	vmwrite(VMCS_GUEST_EFER, efer);
	vmwrite(VMCS_ENTRY_CONTROLS, entry);
}

int cr_load_pdptes(struct vcpu *vcpu)
{
	unsigned int address_bits = cpuid_eax(CPUID_ADDRESS_SIZES, 0) & 0xff;
	uint64_t reserved = PDPTE_RESERVED | ~(BIT(address_bits) - 1);
	uint64_t pdpte[PDPTE_COUNT];

	if (vm_read_guest(vcpu->vm, vmread(VMCS_GUEST_CR3) & PAE_CR3_MASK, pdpte, sizeof(pdpte)) <
	    0)
		return -EINVAL;
	for (unsigned int i = 0; i < PDPTE_COUNT; i++)
		if (pdpte[i] & PDPTE_PRESENT && pdpte[i] & reserved)
			return -EINVAL;
	for (unsigned int i = 0; i < PDPTE_COUNT; i++)
		vmwrite(VMCS_GUEST_PDPTE + 2 * i, pdpte[i]);
	return 0;
}

/* What this CPU has cached of the guest's own tables. Without a VPID every entry drops it. */
static void flush_guest_tlb(struct vcpu *vcpu)
{
	uint64_t vpid = vmx_of(vcpu)->vpid;

	if (vpid)
		invvpid(VMX_INVALIDATE_SINGLE, (uint16_t)vpid);
}

/* Turning paging on or off also enters and leaves long mode. */
static int check_paging_change(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	bool code64 = vmread32(VMCS_GUEST_CS_ATTR) & ATTR_LONG;
	bool paging = cr0 & CR0_PG;

	if (!paging && (cr4 & CR4_PCIDE || (efer & EFER_LMA && code64)))
		return -EINVAL;
	if (paging && efer & EFER_LME &&
	    (!(cr4 & CR4_PAE) || code64 ||
	     (vmread32(VMCS_GUEST_TR_ATTR) & ATTR_TYPE) != TYPE_BUSY_TSS))
		return -EINVAL;
	return 0;
}

static int write_cr0_checked(struct vcpu *vcpu, uint64_t value)
{
	uint64_t cr4 = cr_read4(), efer = vmread(VMCS_GUEST_EFER);
	uint64_t changed;
	int err;

	if (value > UINT32_MAX)
		return -EINVAL;
	value = (value & CR0_DEFINED) | CR0_ET; /* other low bits: writes are ignored */
	if ((value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)))
		return -EINVAL;
	changed = value ^ cr_read0();
	if (changed & CR0_PG) {
		err = check_paging_change(value, cr4, efer);
		if (err < 0)
			return err;
	}
	if (value & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LME) &&
	    changed & (CR0_PG | CR0_CD | CR0_NW)) {
		err = cr_load_pdptes(vcpu);
		if (err < 0)
			return err;
	}

	cr_set0(value);
	if (changed & CR0_PG)
		cr_set_long_mode(efer, value & CR0_PG);
	if (changed & (CR0_PG | CR0_WP))
		flush_guest_tlb(vcpu);
	return 0;
}

static int write_cr4_checked(struct vcpu *vcpu, uint64_t value)
{
	uint64_t changed = value ^ cr_read4();
	bool long_mode = vmread(VMCS_GUEST_EFER) & EFER_LMA;
	int err;

	if (value & ~vmx_of(vcpu)->cr4_offered)
		return -EINVAL;
	if (long_mode && !(value & CR4_PAE))
		return -EINVAL;
	if (changed & value & CR4_PCIDE && (!long_mode || vmread(VMCS_GUEST_CR3) & CR3_PCID_MASK))
		return -EINVAL;
	if (cr_read0() & CR0_PG && value & CR4_PAE && !long_mode &&
	    changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP)) {
		err = cr_load_pdptes(vcpu);
		if (err < 0)
			return err;
	}

	cr_set4(vcpu, value);
	if (changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP))
		flush_guest_tlb(vcpu);
	return 0;
}

int cr_write(struct vcpu *vcpu, unsigned int cr, uint64_t value)
{
	return cr == 0 ? write_cr0_checked(vcpu, value) : write_cr4_checked(vcpu, value);
}
