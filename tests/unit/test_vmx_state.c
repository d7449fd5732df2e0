/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the VMX backend makes of a guest's registers: CR0 and CR4, skipped instructions, the
 * contract's views of the whole.
 */
#include "tests/unit/vmx_guest.h"

static bool is_long_mode(void)
{
	bool lma = vmread(VMCS_GUEST_EFER) & EFER_LMA;

	/* The processor refuses an entry where these differ. */
	assert_int_equal(lma, !!(vmread(VMCS_ENTRY_CONTROLS) & BIT(ENTRY_CTL_IA32E_GUEST)));
	return lma;
}

/* Out of long mode, 32-bit code, paging off; LME as told. */
static void leave_long_mode(uint64_t efer)
{
	vmwrite(VMCS_GUEST_CS_ATTR, SEGMENT_ATTR_CODE32);
	cr_set0(cr_read0() & ~CR0_PG);
	cr_set_long_mode(efer, false);
}

/* ---- control registers ---- */

static void guest_sees_its_own_bits(void **state)
{
	(void)state;
	assert_int_equal(cr_read4(), CR4_PAE);
	assert_int_equal(vmread(VMCS_GUEST_CR4), CR4_PAE | CR4_VMXE | CR4_MCE);
	assert_true(is_long_mode());

	assert_int_equal(cr_write(&vcpu, 0, (cr_read0() & ~CR0_NE) | CR0_CD | CR0_NW), 0);
	assert_int_equal(cr_read0(), CR0_PE | CR0_PG | CR0_ET | CR0_WP | CR0_CD | CR0_NW);
	assert_int_equal(host_invvpids, 0);
	assert_int_equal(vmread(VMCS_GUEST_CR0), CR0_PE | CR0_PG | CR0_ET | CR0_WP | CR0_NE);

	host_cr4 &= ~CR4_MCE;
	assert_int_equal(cr_write(&vcpu, 4, CR4_PAE | CR4_MCE), 0);
	assert_int_equal(cr_read4(), CR4_PAE | CR4_MCE);
	assert_int_equal(vmread(VMCS_GUEST_CR4), CR4_PAE | CR4_VMXE);
}

static void bits_that_cpuid_hides_cannot_be_set(void **state)
{
	static const uint64_t hidden[] = {CR4_VMXE, CR4_SMXE, CR4_VME, CR4_UMIP,
					  CR4_PKE,  CR4_LA57, CR4_CET, BIT(63)};
	static const uint64_t offered[] = {CR4_PSE,  CR4_PGE,	  CR4_MCE,	CR4_PCE,
					   CR4_SMEP, CR4_OSXSAVE, CR4_FSGSBASE, CR4_SMAP};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(hidden); i++) {
		assert_int_equal(cr_write(&vcpu, 4, CR4_PAE | hidden[i]), -EINVAL);
		assert_true(vmread(VMCS_CR4_MASK) & hidden[i]); /* so that a write exits */
		assert_int_equal(cr_read4(), CR4_PAE);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(offered); i++) {
		assert_int_equal(cr_write(&vcpu, 4, CR4_PAE | offered[i]), 0);
		assert_int_equal(cr_read4(), CR4_PAE | offered[i]);
	}
}

static void combinations_that_the_manual_forbids_are_refused(void **state)
{
	uint64_t cr0 = cr_read0();

	(void)state;
	assert_int_equal(cr_write(&vcpu, 0, cr0 | BIT(32)), -EINVAL);
	assert_int_equal(cr_write(&vcpu, 0, cr0 & ~CR0_PE), -EINVAL); /* PG without PE */
	assert_int_equal(cr_write(&vcpu, 0, cr0 | CR0_NW), -EINVAL);  /* NW without CD */
	assert_int_equal(cr_write(&vcpu, 0, cr0 & ~CR0_PG), -EINVAL); /* in 64-bit mode */
	assert_int_equal(cr_write(&vcpu, 4, 0), -EINVAL);	      /* PAE off in long mode */
	vmwrite(VMCS_GUEST_CR3, PDPT | 1);
	assert_int_equal(cr_write(&vcpu, 4, CR4_PAE | CR4_PCIDE), -EINVAL); /* PCID not 0 */
	vmwrite(VMCS_GUEST_CR3, PDPT);
	assert_int_equal(cr_write(&vcpu, 4, CR4_PAE | CR4_PCIDE), 0);
	vmwrite(VMCS_GUEST_CS_ATTR, SEGMENT_ATTR_CODE32);
	assert_int_equal(cr_write(&vcpu, 0, cr0 & ~CR0_PG), -EINVAL); /* with PCIDE */
	assert_int_equal(cr_read0(), cr0);
}

static void paging_switches_long_mode(void **state)
{
	uint64_t cr0 = cr_read0();

	(void)state;
	vmwrite(VMCS_GUEST_CS_ATTR, SEGMENT_ATTR_CODE32);
	assert_int_equal(cr_write(&vcpu, 0, cr0 & ~CR0_PG), 0);
	assert_false(is_long_mode());
	assert_int_equal(host_invvpids, 1);
	assert_int_equal(cr_write(&vcpu, 0, cr0), 0);
	assert_true(is_long_mode());
	assert_int_equal(host_invvpids, 2);

	leave_long_mode(EFER_LME);
	vmwrite(VMCS_GUEST_TR_ATTR, 0x83); /* 16-bit TSS */
	assert_int_equal(cr_write(&vcpu, 0, cr0), -EINVAL);
	vmwrite(VMCS_GUEST_TR_ATTR, SEGMENT_ATTR_TSS64);
	cr_set4(&vcpu, 0);
	assert_int_equal(cr_write(&vcpu, 0, cr0), -EINVAL); /* without PAE */
	assert_false(is_long_mode());
}

static void pae_entries_are_loaded_and_checked(void **state)
{
	uint64_t cr0 = cr_read0();

	(void)state;
	leave_long_mode(0);
	guest_pdptes[3] = 0x9001;
	assert_int_equal(cr_write(&vcpu, 0, cr0), 0);
	assert_false(is_long_mode());
	assert_int_equal(vmread(VMCS_GUEST_PDPTE + 6), 0x9001);

	guest_pdptes[1] = 0xa001;
	assert_int_equal(cr_write(&vcpu, 4, CR4_PAE | CR4_MCE), 0); /* no bit that loads them */
	assert_int_equal(vmread(VMCS_GUEST_PDPTE + 2), 0);
	assert_int_equal(cr_write(&vcpu, 4, CR4_PAE | CR4_PGE), 0);
	assert_int_equal(vmread(VMCS_GUEST_PDPTE + 2), 0xa001);

	guest_pdptes[2] = 0xc001;
	assert_int_equal(cr_write(&vcpu, 0, cr0 | CR0_AM), 0); /* none of those either */
	assert_int_equal(vmread(VMCS_GUEST_PDPTE + 4), 0);
	assert_int_equal(cr_write(&vcpu, 0, cr0 | CR0_CD), 0);
	assert_int_equal(vmread(VMCS_GUEST_PDPTE + 4), 0xc001);

	guest_pdptes[0] = 0xb003; /* reserved bit */
	assert_int_equal(cr_write(&vcpu, 4, CR4_PAE), -EINVAL);
	guest_pdptes[0] = BIT(39) | 1; /* beyond the physical address space */
	assert_int_equal(cr_write(&vcpu, 4, CR4_PAE), -EINVAL);
	guest_pdptes[0] = BIT(39); /* not present: anything goes */
	assert_int_equal(cr_write(&vcpu, 4, CR4_PAE), 0);
	vmwrite(VMCS_GUEST_CR3, 0x7000);
	assert_int_equal(cr_write(&vcpu, 4, CR4_PAE | CR4_PGE), -EINVAL);
	assert_int_equal(cr_read4(), CR4_PAE);

	/* Without PAE, and in long mode, CR3 points to something else. */
	assert_int_equal(cr_write(&vcpu, 4, CR4_PGE), 0);
	cr_set0(cr0 & ~CR0_PG);
	assert_int_equal(cr_write(&vcpu, 0, cr0), 0);
	cr_set4(&vcpu, CR4_PAE);
	cr_set_long_mode(EFER_LME, true);
	assert_int_equal(cr_write(&vcpu, 0, cr0 | CR0_CD), 0);
	assert_int_equal(cr_write(&vcpu, 4, CR4_PAE | CR4_PGE), 0);
}

/* ---- skipping ---- */

/* As for an element of a repeated string instruction. */
static void a_step_ends_the_shadow_and_leaves_rip(void **state)
{
	(void)state;
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI | INTERRUPTIBILITY_NMI);
	vmx_end_step(&vcpu);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 0x1000);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), INTERRUPTIBILITY_NMI);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), 0);
	vmx_set_rflags(&vcpu, RFLAGS_RESERVED | RFLAGS_TF);
	vmx_end_step(&vcpu);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), DEBUG_BS);
}

static void a_page_fault_brings_its_address(void **state)
{
	(void)state;
	vcpu.arch.cr2 = 0x1234;
	vmx_inject_exception(&vcpu, VECTOR_GP, 0);
	assert_int_equal(host_cr2, 0);
	vcpu.arch.event = 0;
	vmx_inject_exception(&vcpu, VECTOR_PF, 2);
	assert_int_equal(host_cr2, 0x1234);
	assert_int_equal(vcpu.arch.event_error, 2);
}

static void skipping_moves_rip_and_ends_the_shadow(void **state)
{
	(void)state;
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI | INTERRUPTIBILITY_NMI);
	vmx_skip_insn(&vcpu, 0);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 0x1003);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), INTERRUPTIBILITY_NMI);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), 0);
	vmx_skip_insn(&vcpu, 7);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 0x100a);

	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_RESERVED | RFLAGS_TF);
	vmx_skip_insn(&vcpu, 0);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), DEBUG_BS);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	host_writes = 0;
	vmx_skip_insn(&vcpu, 0);
	assert_int_equal(host_writes, 2); /* RIP and the trap: no shadow, nothing to end */
}

static void rip_wraps_in_32_bit_code_only(void **state)
{
	(void)state;
	vmwrite(VMCS_GUEST_RIP, 0xfffffffe);
	vmx_skip_insn(&vcpu, 0);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 0x100000001);

	vmwrite(VMCS_GUEST_CS_ATTR, SEGMENT_ATTR_CODE32); /* compatibility mode */
	vmwrite(VMCS_GUEST_RIP, 0xfffffffe);
	vmx_skip_insn(&vcpu, 0);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 1);

	leave_long_mode(0);
	vmwrite(VMCS_GUEST_CS_ATTR, SEGMENT_ATTR_CODE64); /* the bit means nothing there */
	vmwrite(VMCS_GUEST_RIP, 0xfffffffe);
	vmx_skip_insn(&vcpu, 0);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 1);
}

/* ---- the contract's views ---- */

static void assert_same_state(const struct vcpu_state *a, const struct vcpu_state *b)
{
	assert_int_equal(a->rip, b->rip);
	assert_int_equal(a->rflags, b->rflags);
	assert_int_equal(a->cr0, b->cr0);
	assert_int_equal(a->cr3, b->cr3);
	assert_int_equal(a->cr4, b->cr4);
	assert_int_equal(a->efer, b->efer);
	for (enum segment seg = 0; seg < SEG_COUNT; seg++) {
		assert_int_equal(a->seg[seg].selector, b->seg[seg].selector);
		assert_int_equal(a->seg[seg].attr, b->seg[seg].attr);
		assert_int_equal(a->seg[seg].limit, b->seg[seg].limit);
		assert_int_equal(a->seg[seg].base, b->seg[seg].base);
	}
	assert_int_equal(a->gdtr.base, b->gdtr.base);
	assert_int_equal(a->gdtr.limit, b->gdtr.limit);
	assert_int_equal(a->idtr.base, b->idtr.base);
	assert_int_equal(a->idtr.limit, b->idtr.limit);
}

static void state_comes_back_as_it_was_set(void **state)
{
	struct vcpu_state in, out;
	struct vcpu_paging paging;

	(void)state;
	vmx_get_state(&vcpu, &in);
	for (enum segment seg = 0; seg < SEG_COUNT; seg++)
		in.seg[seg] = (struct vcpu_segment){.selector = (uint16_t)(8 * seg),
						    .attr = 0x10093 + seg,
						    .limit = 1000 + seg,
						    .base = BIT(40) + seg};
	in.gdtr.base = 0xffff800000001000;
	in.gdtr.limit = 0x7f;
	in.idtr.base = 0xffff800000002000;
	in.idtr.limit = 0xfff;
	vmx_set_state(&vcpu, &in);
	vmx_get_state(&vcpu, &out);
	assert_same_state(&in, &out);

	in.cr0 &= ~CR0_PG;
	vmx_set_state(&vcpu, &in);
	assert_false(is_long_mode());
	in.cr0 |= CR0_PG;
	vmx_set_state(&vcpu, &in);

	vmx_set_base(&vcpu, SEG_GS, 0x123000);
	assert_int_equal(vmx_get_base(&vcpu, SEG_GS), 0x123000);
	assert_int_equal(vmx_get_base(&vcpu, SEG_FS), BIT(40) + SEG_FS);

	vmwrite(VMCS_GUEST_SS_ATTR, 0xc0f3);
	vmx_get_paging(&vcpu, &paging);
	assert_int_equal(paging.cpl, 3);
	assert_int_equal(paging.cr4, CR4_PAE);
	assert_int_equal(paging.cs_base, BIT(40) + SEG_CS);

	vmx_set_efer(&vcpu, EFER_LME | EFER_LMA | EFER_SCE);
	assert_true(is_long_mode());
	assert_int_equal(vmread(VMCS_GUEST_RFLAGS), RFLAGS_RESERVED);
	assert_int_equal(vmx_get_efer(&vcpu), EFER_LME | EFER_LMA | EFER_SCE);
	leave_long_mode(0);
	vmx_set_efer(&vcpu, EFER_LME | EFER_LMA); /* paging is off: only LME stays */
	assert_false(is_long_mode());
	assert_int_equal(vmx_get_efer(&vcpu), EFER_LME);
}

/* ---- check.c ---- */

/* A state that the processor takes. */
static void make_valid(void)
{
	struct vcpu_state s;

	vmx_get_state(&vcpu, &s);
	for (enum segment seg = 0; seg < SEG_COUNT; seg++)
		if (seg != SEG_CS && seg != SEG_TR)
			s.seg[seg].attr = SEGMENT_ATTR_UNUSABLE;
	s.seg[SEG_SS] = (struct vcpu_segment){.attr = SEGMENT_ATTR_DATA32, .limit = UINT32_MAX};
	s.seg[SEG_CS].limit = UINT32_MAX;
	vmx_set_state(&vcpu, &s);
	host_messages[0] = '\0';
	vmx_config.cr0_fixed1 = UINT64_MAX;
	vmx_config.cr4_fixed1 = UINT64_MAX;
	vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
	vmwrite(VMCS_ENTRY_EVENT, 0);
}

static void each_failing_check_is_named(void **state)
{
	static const struct {
		uint32_t field;
		uint64_t value;
		const char *name;
	} faults[] = {
		{VMCS_GUEST_CR0, CR0_PG | CR0_ET | CR0_NE, "CR0.PG without CR0.PE"},
		{VMCS_GUEST_CR0, CR0_PE, "64-bit mode without CR0.PG"},
		{VMCS_GUEST_CR4, 0, "64-bit mode without CR4.PAE"},
		{VMCS_GUEST_EFER, EFER_LME, "EFER.LMA differs from the entry control"},
		{VMCS_GUEST_EFER, EFER_LMA, "EFER.LME differs from EFER.LMA"},
		{VMCS_GUEST_DR7, BIT(32), "DR7 bits 63:32"},
		{VMCS_GUEST_SYSENTER_ESP, BIT(47), "SYSENTER_ESP"},
		{VMCS_GUEST_ATTR + 2 * SEG_TR, SEGMENT_ATTR_UNUSABLE, "TR: unusable"},
		{VMCS_GUEST_ATTR + 2 * SEG_TR, 0x89, "TR: type is not a busy TSS"},
		{VMCS_GUEST_ATTR + 2 * SEG_TR, 0x83, "TR: type is not a busy TSS"},
		{VMCS_GUEST_ATTR + 2 * SEG_CS, 0xe09b, "CS: L and D are both 1"},
		{VMCS_GUEST_ATTR + 2 * SEG_CS, 0xa01b, "CS: not present"},
		{VMCS_GUEST_ATTR + 2 * SEG_CS, 0xa091, "CS: type is not code"},
		{VMCS_GUEST_ATTR + 2 * SEG_CS, 0xa08b, "CS: is a system segment"},
		{VMCS_GUEST_ATTR + 2 * SEG_CS, 0xa19b, "CS: reserved access rights"},
		{VMCS_GUEST_LIMIT + 2 * SEG_CS, 0xfffff000, "CS: limit does not fit"},
		{VMCS_GUEST_BASE + 2 * SEG_CS, BIT(32), "CS: base bits 63:32"},
		{VMCS_GUEST_BASE + 2 * SEG_GS, BIT(47), "GS: base is not canonical"},
		{VMCS_GUEST_ATTR + 2 * SEG_SS, 0xc091, "SS: type is not writable data"},
		{VMCS_GUEST_ATTR + 2 * SEG_DS, 0x0099, "DS: unreadable code"},
		{VMCS_GUEST_ATTR + 2 * SEG_LDTR, 0x0083, "LDTR: type is not LDT"},
		{VMCS_GUEST_SELECTOR + 2 * SEG_TR, 4, "TR: selector names the LDT"},
		{VMCS_GUEST_GDTR_BASE, BIT(47), "GDTR base is not canonical"},
		{VMCS_GUEST_IDTR_LIMIT, 0x10000, "IDTR limit"},
		{VMCS_GUEST_RIP, BIT(47), "RIP is not canonical"},
		{VMCS_GUEST_RFLAGS, 0, "RFLAGS reserved bits"},
		{VMCS_GUEST_RFLAGS, RFLAGS_RESERVED | RFLAGS_VM, "RFLAGS.VM in this mode"},
		{VMCS_ENTRY_EVENT, EVENT_VALID | 0x40, "interrupt injected with RFLAGS.IF clear"},
		{VMCS_GUEST_ACTIVITY, 4, "activity state"},
		{VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_SHADOW, "by STI and by MOV SS"},
		{VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI, "STI with RFLAGS.IF clear"},
		{VMCS_LINK_POINTER, 0, "link pointer"},
	};

	(void)state;
	make_valid();
	assert_int_equal(check_guest_state(&vcpu), 0);
	assert_string_equal(host_messages, "");
	for (unsigned int i = 0; i < ARRAY_SIZE(faults); i++) {
		uint64_t before = vmread(faults[i].field);

		host_messages[0] = '\0';
		vmwrite(faults[i].field, faults[i].value);
		assert_true(check_guest_state(&vcpu) > 0);
		if (!strstr(host_messages, faults[i].name))
			fail_msg("\"%s\" is not in: %s", faults[i].name, host_messages);
		vmwrite(faults[i].field, before);
	}
	assert_int_equal(check_guest_state(&vcpu), 0);
}

static void checks_that_combine_fields(void **state)
{
	(void)state;
	make_valid();
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_MOV_SS);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_RESERVED | RFLAGS_TF);
	assert_int_equal(check_guest_state(&vcpu), 1);
	assert_non_null(strstr(host_messages, "trap not pending"));
	vmwrite(VMCS_GUEST_PENDING_DEBUG, DEBUG_BS);
	assert_int_equal(check_guest_state(&vcpu), 0);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_RESERVED | RFLAGS_IF);
	assert_int_equal(check_guest_state(&vcpu), 1);
	assert_non_null(strstr(host_messages, "trap pending in a shadow without"));
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_ENTRY_EVENT, EVENT_VALID | EVENT_TYPE_NMI | VECTOR_NMI);
	assert_int_equal(check_guest_state(&vcpu), 1);
	assert_non_null(strstr(host_messages, "NMI injected while it is blocked"));
	vmwrite(VMCS_ENTRY_EVENT, EVENT_VALID | 0x40);
	assert_int_equal(check_guest_state(&vcpu), 1);
	assert_non_null(strstr(host_messages, "interrupt injected while it is blocked"));
	vmwrite(VMCS_ENTRY_EVENT, 0);

	leave_long_mode(0);
	vmwrite(VMCS_GUEST_CS_ATTR, SEGMENT_ATTR_CODE32);
	vmwrite(VMCS_GUEST_RIP, BIT(32));
	assert_int_equal(check_guest_state(&vcpu), 1);
	assert_non_null(strstr(host_messages, "RIP bits 63:32"));
	vmwrite(VMCS_GUEST_RIP, 0);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_RESERVED | RFLAGS_VM | RFLAGS_IF);
	assert_true(check_guest_state(&vcpu) > 0);
	assert_non_null(strstr(host_messages, "CS: access rights in virtual-8086 mode"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(guest_sees_its_own_bits, setup),
		cmocka_unit_test_setup(bits_that_cpuid_hides_cannot_be_set, setup),
		cmocka_unit_test_setup(combinations_that_the_manual_forbids_are_refused, setup),
		cmocka_unit_test_setup(paging_switches_long_mode, setup),
		cmocka_unit_test_setup(pae_entries_are_loaded_and_checked, setup),
		cmocka_unit_test_setup(a_step_ends_the_shadow_and_leaves_rip, setup),
		cmocka_unit_test_setup(a_page_fault_brings_its_address, setup),
		cmocka_unit_test_setup(skipping_moves_rip_and_ends_the_shadow, setup),
		cmocka_unit_test_setup(rip_wraps_in_32_bit_code_only, setup),
		cmocka_unit_test_setup(each_failing_check_is_named, setup),
		cmocka_unit_test_setup(checks_that_combine_fields, setup),
		cmocka_unit_test_setup(state_comes_back_as_it_was_set, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
