/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPUs the VMX backend takes: every line of its table of controls, on CPUs that lack just
 * that; and the nested page tables.
 */
#include "tests/unit/vmx_host.h"
#include "arch/x86_64/vmx/controls.c"
#include "arch/x86_64/vmx/ept.c"

uint64_t image_load_base;
static int frames_out, frames_left;

void *frame_alloc(void)
{
	if (!frames_left)
		return NULL;
	frames_left--;
	frames_out++;
	return memset(aligned_alloc(PAGE_SIZE, PAGE_SIZE), 0, PAGE_SIZE);
}

void frame_free(void *frame)
{
	frames_out--;
	free(frame);
}

static uint64_t *capability(enum vmx_word word)
{
	static const uint32_t msrs[WORD_COUNT] = {
		[WORD_PIN] = MSR_VMX_TRUE_PINBASED,	    [WORD_PRIMARY] = MSR_VMX_TRUE_PROCBASED,
		[WORD_SECONDARY] = MSR_VMX_PROCBASED_CTLS2, [WORD_EXIT] = MSR_VMX_TRUE_EXIT,
		[WORD_ENTRY] = MSR_VMX_TRUE_ENTRY,	    [WORD_EPT_VPID] = MSR_VMX_EPT_VPID_CAP,
	};

	return &host_msrs[msrs[word] - HOST_MSR_BASE];
}

/* In a control's MSR, the bits that may be set are the upper half. */
static uint64_t may_bit(const struct control *c)
{
	return BIT(c->bit + (c->word == WORD_EPT_VPID ? 0u : 32u));
}

/* A CPU that grants everything and forces nothing but one reserved bit of each word. */
static void make_full_cpu(void)
{
	memset(&vmx_config, 0, sizeof(vmx_config));
	memset(host_msrs, 0, sizeof(host_msrs));
	host_messages[0] = '\0';
	host_cpu.index = 0;
	host_cpuid_1.ecx = CPUID_1_ECX_VMX;
	host_cpuid_7 = (struct cpuid_regs){.ebx = CPUID_7_EBX_INVPCID};
	host_cpuid_80000001.edx = CPUID_80000001_EDX_RDTSCP;
	host_feature_control = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
	host_msrs[MSR_VMX_BASIC - HOST_MSR_BASE] = 0x2b | PAGE_SIZE << BASIC_SIZE_SHIFT |
						   (uint64_t)MEMORY_TYPE_WRITE_BACK
							   << BASIC_MEMORY_TYPE_SHIFT |
						   BASIC_TRUE_CONTROLS;
	for (enum vmx_word word = 0; word < WORD_EPT_VPID; word++)
		*capability(word) = 0xffffffff00000000 | (word == WORD_SECONDARY ? 0 : BIT(1));
	*capability(WORD_EPT_VPID) = UINT64_MAX;
}

static int setup(void **state)
{
	(void)state;
	make_full_cpu();
	frames_left = 1000;
	frames_out = 0;
	return 0;
}

static void full_cpu_is_taken(void **state)
{
	(void)state;
	assert_int_equal(vmx_cpu_check(), 0);
	assert_string_equal(host_messages, "");
	assert_int_equal(vmx_config.revision, 0x2b);
	assert_true(vmx_has(WORD_PIN, 1)); /* what the CPU forces is set */
	for (const struct control *c = controls; c < controls + ARRAY_SIZE(controls); c++) {
		bool on = c->need != OFF && c->need != BOTH && c->need != LATER;

		assert_int_equal(vmx_has(c->word, c->bit), on);
		assert_int_equal(!!(vmx_config.later[c->word] & BIT(c->bit)), c->need == LATER);
	}
	assert_true(vmx_config.has_apicv);
}

static void each_missing_control_is_named(void **state)
{
	(void)state;
	for (const struct control *c = controls; c < controls + ARRAY_SIZE(controls); c++) {
		make_full_cpu();
		if (c->need == OFF) {
			*capability(c->word) |= BIT(c->bit); /* forced on */
		} else {
			*capability(c->word) &= ~may_bit(c);
		}
		if (c->need == OPTIONAL || c->need == LATER) {
			assert_int_equal(vmx_cpu_check(), 0);
			assert_string_equal(host_messages, "");
			assert_false(vmx_has(c->word, c->bit));
			assert_int_equal(vmx_config.has_apicv, c->need != LATER);
		} else {
			assert_int_equal(vmx_cpu_check(), -ENODEV);
			assert_non_null(strstr(host_messages, c->name));
		}
	}
}

/* BOTH and LATER: forced on is as bad as not to be had. */
static void switched_controls_must_be_able_to_be_off(void **state)
{
	(void)state;
	*capability(WORD_ENTRY) |= BIT(ENTRY_CTL_IA32E_GUEST);
	assert_int_equal(vmx_cpu_check(), -ENODEV);
	assert_non_null(strstr(host_messages, "64-bit guests"));
	make_full_cpu();
	*capability(WORD_PRIMARY) |= BIT(PRIMARY_TPR_SHADOW);
	assert_int_equal(vmx_cpu_check(), -ENODEV);
	assert_non_null(strstr(host_messages, "TPR shadow"));
}

static void instructions_that_the_cpu_lacks_need_no_control(void **state)
{
	(void)state;
	host_cpuid_80000001.edx = 0;
	host_cpuid_7 = (struct cpuid_regs){0};
	*capability(WORD_SECONDARY) &= ~((BIT(SECONDARY_RDTSCP) | BIT(SECONDARY_INVPCID)) << 32);
	assert_int_equal(vmx_cpu_check(), 0);
	assert_false(vmx_config.has_tsc_aux);
	assert_false(vmx_config.has_spec_ctrl);
}

static void cpu_without_secondary_controls_gets_one_sentence(void **state)
{
	(void)state;
	*capability(WORD_PRIMARY) &= ~(BIT(PRIMARY_SECONDARY) << 32);
	*capability(WORD_SECONDARY) = 0;
	*capability(WORD_EPT_VPID) = 0;
	assert_int_equal(vmx_cpu_check(), -ENODEV);
	assert_string_equal(
		host_messages,
		"tidepool: this CPU's VMX lacks secondary controls; Tidepool needs it\n");
}

static void vpid_needs_invvpid(void **state)
{
	(void)state;
	*capability(WORD_EPT_VPID) &= ~BIT(VPID_CAP_INVVPID_SINGLE);
	assert_int_equal(vmx_cpu_check(), 0);
	assert_false(vmx_has(WORD_SECONDARY, SECONDARY_VPID));
}

static void firmware_lock_is_told(void **state)
{
	(void)state;
	host_feature_control = FEATURE_CONTROL_LOCK;
	assert_int_equal(vmx_cpu_check(), -ENODEV);
	assert_non_null(strstr(host_messages, "firmware"));
	host_feature_control = 0; /* unlocked: ours to set */
	assert_int_equal(vmx_cpu_check(), 0);
}

static void cpu_without_vmx_is_refused(void **state)
{
	(void)state;
	host_cpuid_1.ecx = 0;
	assert_int_equal(vmx_cpu_check(), -ENODEV);
}

static void odd_control_blocks_are_refused(void **state)
{
	uint64_t *basic = &host_msrs[MSR_VMX_BASIC - HOST_MSR_BASE];

	(void)state;
	*basic += BIT(BASIC_SIZE_SHIFT); /* one byte more than a frame */
	assert_int_equal(vmx_cpu_check(), -ENODEV);
	make_full_cpu();
	*basic &= ~((uint64_t)BASIC_MEMORY_TYPE_MASK << BASIC_MEMORY_TYPE_SHIFT);
	assert_int_equal(vmx_cpu_check(), -ENODEV);
}

static void old_capability_msrs_serve_without_true_ones(void **state)
{
	(void)state;
	host_msrs[MSR_VMX_BASIC - HOST_MSR_BASE] &= ~BASIC_TRUE_CONTROLS;
	host_msrs[MSR_VMX_PINBASED_CTLS - HOST_MSR_BASE] = *capability(WORD_PIN);
	host_msrs[MSR_VMX_PROCBASED_CTLS - HOST_MSR_BASE] = *capability(WORD_PRIMARY);
	host_msrs[MSR_VMX_EXIT_CTLS - HOST_MSR_BASE] = *capability(WORD_EXIT);
	host_msrs[MSR_VMX_ENTRY_CTLS - HOST_MSR_BASE] = *capability(WORD_ENTRY);
	*capability(WORD_PIN) = 0;
	assert_int_equal(vmx_cpu_check(), 0);
}

static void other_cpus_must_be_alike(void **state)
{
	(void)state;
	assert_int_equal(vmx_cpu_check(), 0);
	host_cpu.index = 1;
	assert_int_equal(vmx_cpu_check(), 0);
	*capability(WORD_SECONDARY) &= ~(BIT(SECONDARY_PAUSE_LOOP) << 32);
	assert_int_equal(vmx_cpu_check(), -ENODEV);
	assert_non_null(strstr(host_messages, "CPU 1"));
	assert_non_null(strstr(host_messages, "PAUSE-loop exits"));

	make_full_cpu();
	assert_int_equal(vmx_cpu_check(), 0);
	host_cpu.index = 1;
	host_msrs[MSR_VMX_BASIC - HOST_MSR_BASE]++;
	assert_int_equal(vmx_cpu_check(), -ENODEV);
}

/* ---- nested page tables ---- */

static uint64_t walk(const struct vm *vm, gpa_t gpa)
{
	uint64_t entry = ept_pointer(vm);

	for (unsigned int level = EPT_LEVELS; level >= EPT_LEAF_LEVEL; level--) {
		entry = table_of(entry)[index_at(gpa, level)];
		if (!(entry & EPT_RIGHTS))
			return 0;
	}
	return entry;
}

static void blocks_are_found_where_they_were_mapped(void **state)
{
	static const gpa_t gpas[] = {0, BLOCK_SIZE, GIB - BLOCK_SIZE, GIB, 512 * GIB, 600 * GIB};
	struct vm vm = {0};

	(void)state;
	assert_int_equal(ept_vm_init(&vm), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(gpas); i++)
		assert_int_equal(ept_vm_map_block(&vm, gpas[i], (i + 7) * BLOCK_SIZE,
						  NPT_READ | NPT_WRITE | NPT_EXEC),
				 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(gpas); i++)
		assert_int_equal(walk(&vm, gpas[i]), (i + 7) * BLOCK_SIZE + 0xf7);
	assert_int_equal(walk(&vm, 2 * BLOCK_SIZE), 0);
	assert_int_equal(ept_pointer(&vm) & 0xfff, 0x1e);

	assert_int_equal(ept_vm_map_block(&vm, 4 * BLOCK_SIZE, 0, NPT_READ), 0);
	assert_int_equal(walk(&vm, 4 * BLOCK_SIZE), 0xf1);

	ept_vm_free(&vm);
	assert_int_equal(frames_out, 0);
	assert_int_equal(vm.nested_root, 0);
	ept_vm_free(&vm); /* nothing more to free */
}

static void running_out_of_frames_leaks_none(void **state)
{
	(void)state;
	for (int have = 0; have < 3; have++) {
		struct vm vm = {0};

		frames_left = have;
		if (have == 0)
			assert_int_equal(ept_vm_init(&vm), -ENOMEM);
		else
			assert_int_equal(ept_vm_init(&vm), 0);
		if (have > 0)
			assert_int_equal(ept_vm_map_block(&vm, 0, 0, NPT_READ), -ENOMEM);
		ept_vm_free(&vm);
		assert_int_equal(frames_out, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(full_cpu_is_taken, setup),
		cmocka_unit_test_setup(each_missing_control_is_named, setup),
		cmocka_unit_test_setup(switched_controls_must_be_able_to_be_off, setup),
		cmocka_unit_test_setup(instructions_that_the_cpu_lacks_need_no_control, setup),
		cmocka_unit_test_setup(cpu_without_secondary_controls_gets_one_sentence, setup),
		cmocka_unit_test_setup(vpid_needs_invvpid, setup),
		cmocka_unit_test_setup(firmware_lock_is_told, setup),
		cmocka_unit_test_setup(cpu_without_vmx_is_refused, setup),
		cmocka_unit_test_setup(odd_control_blocks_are_refused, setup),
		cmocka_unit_test_setup(old_capability_msrs_serve_without_true_ones, setup),
		cmocka_unit_test_setup(other_cpus_must_be_alike, setup),
		cmocka_unit_test_setup(blocks_are_found_where_they_were_mapped, setup),
		cmocka_unit_test_setup(running_out_of_frames_leaks_none, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
