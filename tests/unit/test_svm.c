/* SPDX-License-Identifier: BSD-2-Clause */
/* The state that the SVM backend keeps: segment formats, checks, nested tables, permission maps. */
#include "tests/unit/svm_host.h"

/* Member by member: the structs have padding. */
static void assert_same_state(const struct vcpu_state *a, const struct vcpu_state *b)
{
	assert_int_equal(a->rip, b->rip);
	assert_int_equal(a->rflags, b->rflags);
	assert_int_equal(a->cr0, b->cr0);
	assert_int_equal(a->cr3, b->cr3);
	assert_int_equal(a->cr4, b->cr4);
	assert_int_equal(a->efer, b->efer);
	for (int i = 0; i < SEG_COUNT; i++) {
		assert_int_equal(a->seg[i].selector, b->seg[i].selector);
		assert_int_equal(a->seg[i].attr, b->seg[i].attr);
		assert_int_equal(a->seg[i].limit, b->seg[i].limit);
		assert_int_equal(a->seg[i].base, b->seg[i].base);
	}
	assert_int_equal(a->gdtr.base, b->gdtr.base);
	assert_int_equal(a->gdtr.limit, b->gdtr.limit);
	assert_int_equal(a->idtr.base, b->idtr.base);
	assert_int_equal(a->idtr.limit, b->idtr.limit);
}

static void test_power_on_state_survives(void **state)
{
	struct vcpu_state reset, got;

	(void)state;
	vcpu_state_reset(&reset);
	svm_get_state(&vcpu, &got);
	assert_same_state(&got, &reset);
	assert_int_equal(svm_get_efer(&vcpu), 0);
	assert_true(vmcb_of(&vcpu)->save.efer & EFER_SVME);
}

static void test_segments_convert(void **state)
{
	struct vcpu_state in, out;

	(void)state;
	svm_get_state(&vcpu, &in);
	in.seg[SEG_CS].attr = SEGMENT_ATTR_CODE64 | 3u << 5;
	in.seg[SEG_SS].attr = SEGMENT_ATTR_DATA32 | 3u << 5;
	in.seg[SEG_DS].attr = SEGMENT_ATTR_UNUSABLE;
	in.seg[SEG_FS].base = 0x123456789abc;
	svm_set_state(&vcpu, &in);
	assert_int_equal(vmcb_of(&vcpu)->save.cs.attr, 0xafb);
	assert_int_equal(vmcb_of(&vcpu)->save.ds.attr, 0);
	assert_int_equal(vmcb_of(&vcpu)->save.cpl, 3);
	svm_get_state(&vcpu, &out);
	assert_same_state(&out, &in);
	assert_int_equal(svm_get_base(&vcpu, SEG_FS), 0x123456789abc);
	svm_set_base(&vcpu, SEG_GS, 42);
	assert_int_equal(vmcb_of(&vcpu)->save.gs.base, 42);
}

static void test_long_mode_follows_paging(void **state)
{
	struct vcpu_state s;

	(void)state;
	svm_get_state(&vcpu, &s);
	s.efer = EFER_LME;
	svm_set_state(&vcpu, &s);
	assert_int_equal(svm_get_efer(&vcpu), EFER_LME);
	s.cr0 = CR0_PE | CR0_PG;
	s.cr4 = CR4_PAE;
	svm_set_state(&vcpu, &s);
	assert_int_equal(svm_get_efer(&vcpu), EFER_LME | EFER_LMA);
	/* A guest's write neither sets nor clears LMA, and never reaches SVME. */
	svm_set_efer(&vcpu, EFER_LME | EFER_NXE);
	assert_int_equal(svm_get_efer(&vcpu), EFER_LME | EFER_LMA | EFER_NXE);
	assert_true(vmcb_of(&vcpu)->save.efer & EFER_SVME);
}

static void test_invalid_states_are_found(void **state)
{
	struct vcpu_state good, bad;

	(void)state;
	svm_get_state(&vcpu, &good);
	assert_true(svm_check_state(&vcpu));

	bad = good;
	bad.cr0 = CR0_PE | CR0_NW;
	svm_set_state(&vcpu, &bad);
	assert_false(svm_check_state(&vcpu));
	bad = good;
	bad.cr0 = CR0_PE | CR0_PG;
	bad.efer = EFER_LME;
	svm_set_state(&vcpu, &bad); /* without PAE */
	assert_false(svm_check_state(&vcpu));
	bad.cr4 = CR4_PAE;
	svm_set_state(&vcpu, &bad);
	assert_true(svm_check_state(&vcpu));
	bad.seg[SEG_CS].attr = SEGMENT_ATTR_CODE64 | 0x4000;
	svm_set_state(&vcpu, &bad);
	assert_false(svm_check_state(&vcpu));
	svm_set_state(&vcpu, &good);
	vmcb_of(&vcpu)->control.intercept4 &= ~(uint32_t)INTERCEPT_VMRUN;
	assert_false(svm_check_state(&vcpu));
}

static uint64_t walk(gpa_t gpa)
{
	uint64_t entry = vm.nested_root | PTE_PRESENT;

	for (int shift = 39; shift >= BLOCK_SHIFT; shift -= 9) {
		const uint64_t *table = phys_to_virt(entry & PTE_ADDRESS);

		entry = table[(gpa >> shift) & 511];
		if (!(entry & PTE_PRESENT))
			return 0;
		assert_true(entry & BIT(2)); /* U/S */
	}
	assert_true(entry & PTE_LARGE);
	return entry;
}

static void test_nested_tables(void **state)
{
	(void)state;
	assert_int_equal(walk(0), 0);
	assert_int_equal(svm_vm_map_block(&vm, 0, 40 * BLOCK_SIZE, 7), 0);
	assert_int_equal(svm_vm_map_block(&vm, 511 * BLOCK_SIZE, 41 * BLOCK_SIZE, NPT_READ), 0);
	assert_int_equal(svm_vm_map_block(&vm, 0x100000000, 0xffffffe00000, 3), 0);
	assert_int_equal(walk(0) & PTE_ADDRESS, 40 * BLOCK_SIZE);
	assert_true(walk(0) & PTE_WRITE && !(walk(0) & PTE_NO_EXECUTE));
	assert_int_equal(walk(BLOCK_SIZE), 0);
	assert_int_equal(walk(511 * BLOCK_SIZE) & PTE_ADDRESS, 41 * BLOCK_SIZE);
	assert_false(walk(511 * BLOCK_SIZE) & PTE_WRITE);
	assert_true(walk(511 * BLOCK_SIZE) & PTE_NO_EXECUTE);
	assert_int_equal(walk(0x100000000) & PTE_ADDRESS, 0xffffffe00000);
	assert_true(walk(0x100000000) & PTE_NO_EXECUTE);
}

/* Wherever memory ends, the tables that were made are found again and freed: see tear_down(). */
static void test_no_memory_for_tables(void **state)
{
	(void)state;
	for (int left = 0; left < 2; left++) {
		frames_left = left;
		assert_int_equal(svm_vm_map_block(&vm, BIT(39) * (unsigned)(left + 1), 0, 7),
				 -ENOMEM);
	}
	frames_left = 2;
	assert_int_equal(svm_vm_map_block(&vm, BIT(39) * 3, 0, 7), 0);
	frames_left = 0;
	assert_int_equal(svm_vm_init(&(struct vm){.id = 1}), -ENOMEM);
}

static bool intercepted(uint32_t msr, bool write)
{
	const uint8_t *map = phys_to_virt(svm_msrpm_address());
	uint32_t bit;

	if (msr >= 0xc0010000)
		bit = 0x4000 * 2 + (msr - 0xc0010000) * 2;
	else if (msr >= 0xc0000000)
		bit = 0x2000 * 2 + (msr - 0xc0000000) * 2;
	else
		bit = msr * 2;
	bit += write;
	return map[bit / 8] >> (bit % 8) & 1;
}

static void test_permission_maps(void **state)
{
	static const uint32_t ranges[] = {0, 0xc0000000, 0xc0010000};
	const uint8_t *ports = phys_to_virt(svm_iopm_address());
	unsigned int direct = 0;

	(void)state;
	svm_maps_init();
	for (unsigned int i = 0; i < 3 * PAGE_SIZE; i++)
		assert_int_equal(ports[i], 0xff);
	for (unsigned int i = 0; i < ARRAY_SIZE(ranges); i++)
		for (uint32_t msr = ranges[i]; msr < ranges[i] + 0x2000; msr++) {
			assert_int_equal(intercepted(msr, false), intercepted(msr, true));
			direct += !intercepted(msr, false);
		}
	assert_int_equal(direct, 10);
	assert_false(intercepted(MSR_STAR, true) || intercepted(MSR_GS_BASE, true) ||
		     intercepted(MSR_SYSENTER_EIP, true) || intercepted(MSR_KERNEL_GS_BASE, true));
	assert_true(intercepted(MSR_EFER, true) && intercepted(MSR_TSC_AUX, true) &&
		    intercepted(MSR_VM_HSAVE_PA, false) && intercepted(MSR_PAT, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_power_on_state_survives),
		TEST(test_segments_convert),
		TEST(test_long_mode_follows_paging),
		TEST(test_invalid_states_are_found),
		TEST(test_nested_tables),
		TEST(test_no_memory_for_tables),
		TEST(test_permission_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
