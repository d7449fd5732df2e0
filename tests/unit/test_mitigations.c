/* SPDX-License-Identifier: BSD-2-Clause */
/* Which processors need what; and that what is needed is done where and when it must be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* The processor is made of variables; the real instructions get out of the way. */
#define cpuid	  hw_cpuid
#define cpuid_eax hw_cpuid_eax
#define cpuid_ebx hw_cpuid_ebx
#define rdmsr	  hw_rdmsr
#define wrmsr	  hw_wrmsr
#define this_cpu  hw_this_cpu
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/percpu.h"
#undef cpuid
#undef cpuid_eax
#undef cpuid_ebx
#undef rdmsr
#undef wrmsr
#undef this_cpu

#define WRITES_MAX 16

static struct cpuid_regs leaf_0, leaf_7, leaf_ext8, leaf_ext21;
static uint64_t arch_capabilities;
static struct pcpu host_cpu;
static struct {
	uint32_t msr;
	uint64_t value;
} writes[WRITES_MAX];
static unsigned int write_count;

static struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	switch (leaf) {
	case 0:
		return leaf_0;
	case 7:
		return leaf_7;
	case 0x80000000:
		return (struct cpuid_regs){.eax = 0x80000021};
	case 0x80000008:
		return leaf_ext8;
	case 0x80000021:
		return leaf_ext21;
	default:
		fail_msg("CPUID leaf %x", leaf);
		return leaf_0;
	}
}

static uint32_t cpuid_eax(uint32_t leaf, uint32_t subleaf)
{
	return cpuid(leaf, subleaf).eax;
}

static uint32_t cpuid_ebx(uint32_t leaf, uint32_t subleaf)
{
	return cpuid(leaf, subleaf).ebx;
}

static uint64_t rdmsr(uint32_t msr)
{
	assert_int_equal(msr, MSR_EFER);
	return EFER_LME;
}

static void wrmsr(uint32_t msr, uint64_t value)
{
	assert_true(write_count < WRITES_MAX);
	writes[write_count].msr = msr;
	writes[write_count++].value = value;
}

static struct pcpu *this_cpu(void)
{
	return &host_cpu;
}

#include "arch/x86_64/cpu/mitigations.c"

int rdmsr_safe(uint32_t msr, uint64_t *value)
{
	if (msr == MSR_ARCH_CAPABILITIES) {
		*value = arch_capabilities;
		return 0;
	}
	assert_int_equal(msr, MSR_AMD_DE_CFG);
	*value = 0x10;
	return 0;
}

int wrmsr_safe(uint32_t msr, uint64_t value)
{
	wrmsr(msr, value);
	return 0;
}

void printk(const char *fmt, ...)
{
	(void)fmt;
}

#define ONLY(which) ((uint32_t)BIT(which))

/* ---- what is needed ------------------------------------------------------------------------- */

static void test_old_intel(void **state)
{
	const struct speculation_facts no_microcode = {0};
	const struct speculation_facts microcode = {
		.spec_ctrl = true, .ibpb = true, .flush_cmd = true, .md_clear = true};

	(void)state;
	assert_int_equal(mitigations_decide(&no_microcode),
			 ONLY(MITIGATION_RSB) | ONLY(MITIGATION_VERW));
	assert_int_equal(mitigations_decide(&microcode),
			 ONLY(MITIGATION_RSB) | ONLY(MITIGATION_VERW) | ONLY(MITIGATION_EXIT_IBRS) |
				 ONLY(MITIGATION_IBPB) | ONLY(MITIGATION_L1D));
}

static void test_new_intel(void **state)
{
	const uint64_t immune = ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_MDS_NO |
				ARCH_CAP_TAA_NO | ARCH_CAP_PBRSB_NO;
	const uint32_t least = ONLY(MITIGATION_HOST_IBRS) | ONLY(MITIGATION_IBPB);
	const struct {
		uint64_t lost, gained;
		bool rtm;
		uint32_t more;
	} cases[] = {
		{0, 0, true, 0},
		{ARCH_CAP_PBRSB_NO, 0, false, ONLY(MITIGATION_RSB)},
		{ARCH_CAP_MDS_NO, 0, false, ONLY(MITIGATION_VERW)},
		{ARCH_CAP_TAA_NO, 0, true, ONLY(MITIGATION_VERW)},
		{ARCH_CAP_TAA_NO, 0, false, 0},
		{0, ARCH_CAP_RFDS_CLEAR, false, ONLY(MITIGATION_VERW)},
		{0, ARCH_CAP_RFDS_CLEAR | ARCH_CAP_RFDS_NO, false, 0},
		{ARCH_CAP_RDCL_NO, 0, false, ONLY(MITIGATION_L1D)},
		{ARCH_CAP_RDCL_NO, ARCH_CAP_SKIP_L1DFL, false, 0},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct speculation_facts facts = {
			.spec_ctrl = true,
			.ibpb = true,
			.flush_cmd = true,
			.rtm = cases[i].rtm,
			.arch_capabilities = (immune & ~cases[i].lost) | cases[i].gained,
		};

		assert_int_equal(mitigations_decide(&facts), least | cases[i].more);
	}
}

static void test_amd(void **state)
{
	struct speculation_facts facts = {.amd = true};

	(void)state;
	assert_int_equal(mitigations_decide(&facts),
			 ONLY(MITIGATION_RSB) | ONLY(MITIGATION_LFENCE));
	facts.lfence_serial = facts.ibpb = facts.spec_ctrl = true;
	assert_int_equal(mitigations_decide(&facts),
			 ONLY(MITIGATION_RSB) | ONLY(MITIGATION_IBPB) | ONLY(MITIGATION_EXIT_IBRS));
	facts.ibrs_always_on = true;
	assert_int_equal(mitigations_decide(&facts),
			 ONLY(MITIGATION_RSB) | ONLY(MITIGATION_IBPB) | ONLY(MITIGATION_HOST_IBRS));
	facts.auto_ibrs = true;
	assert_int_equal(mitigations_decide(&facts),
			 ONLY(MITIGATION_AUTO_IBRS) | ONLY(MITIGATION_IBPB));
}

/* ---- what is done --------------------------------------------------------------------------- */

static int start(void **state)
{
	(void)state;
	active = needed = 0;
	memset(last_vm, 0, sizeof(last_vm));
	memset(&leaf_7, 0, sizeof(leaf_7));
	memset(&leaf_ext8, 0, sizeof(leaf_ext8));
	memset(&leaf_ext21, 0, sizeof(leaf_ext21));
	leaf_0 = (struct cpuid_regs){.eax = 0x16, .ebx = 0x756e6547};
	arch_capabilities = 0;
	mitigations_flush_l1d = 0;
	write_count = 0;
	return 0;
}

static void test_old_intel_is_protected(void **state)
{
	(void)state;
	leaf_7.edx = LEAF7_EDX_SPEC_CTRL | LEAF7_EDX_FLUSH_CMD | LEAF7_EDX_MD_CLEAR;
	mitigations_init(false);
	assert_int_equal(mitigations_init_cpu(), 0);
	assert_int_equal(mitigations_switch(), SWITCH_RSB | SWITCH_IBRS | SWITCH_CLEAR);
	assert_int_equal(mitigations_flush_l1d, 1);
	assert_int_equal(write_count, 1);
	assert_int_equal(writes[0].msr, MSR_SPEC_CTRL);
	assert_int_equal(writes[0].value, SPEC_CTRL_IBRS);
}

static void test_boot_line_turns_all_off(void **state)
{
	(void)state;
	leaf_7.edx = LEAF7_EDX_SPEC_CTRL | LEAF7_EDX_FLUSH_CMD;
	mitigations_init(true);
	assert_int_equal(mitigations_init_cpu(), 0);
	mitigations_load(0, 0);
	mitigations_load(1, 0);
	assert_int_equal(mitigations_switch(), 0);
	assert_int_equal(mitigations_flush_l1d, 0);
	assert_int_equal(write_count, 0);
}

static void test_branches_are_forgotten_between_guests(void **state)
{
	(void)state;
	leaf_7.edx = LEAF7_EDX_SPEC_CTRL | LEAF7_EDX_ARCH_CAPABILITIES;
	arch_capabilities = UINT64_MAX;
	mitigations_init(false);
	mitigations_load(0, 0);
	mitigations_load(0, 0); /* back after a sibling of the same guest, or after nobody */
	assert_int_equal(write_count, 1);
	assert_int_equal(writes[0].msr, MSR_PRED_CMD);
	mitigations_load(3, SPEC_CTRL_STIBP);
	assert_int_equal(write_count, 3);
	assert_int_equal(writes[1].msr, MSR_PRED_CMD);
	assert_int_equal(writes[2].msr, MSR_SPEC_CTRL);
	assert_int_equal(writes[2].value, SPEC_CTRL_STIBP | SPEC_CTRL_IBRS);
	mitigations_unload(SPEC_CTRL_STIBP);
	assert_int_equal(writes[3].value, SPEC_CTRL_IBRS);
}

static void test_amd_cpu(void **state)
{
	(void)state;
	leaf_0.ebx = VENDOR_AMD_EBX;
	leaf_ext21.eax = EXT21_EAX_AUTO_IBRS;
	mitigations_init(false);
	assert_int_equal(mitigations_init_cpu(), 0);
	assert_int_equal(mitigations_switch(), 0);
	assert_int_equal(write_count, 2);
	assert_int_equal(writes[0].msr, MSR_EFER);
	assert_int_equal(writes[0].value, EFER_LME | EFER_AIBRSE);
	assert_int_equal(writes[1].msr, MSR_AMD_DE_CFG);
	assert_int_equal(writes[1].value, 0x10 | DE_CFG_LFENCE_SERIAL);
}

static void test_other_cpu_differs(void **state)
{
	(void)state;
	mitigations_init(false);
	leaf_7.edx = LEAF7_EDX_SPEC_CTRL;
	assert_int_equal(mitigations_init_cpu(), -ENODEV);
	assert_int_equal(write_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_intel),
		cmocka_unit_test(test_new_intel),
		cmocka_unit_test(test_amd),
		cmocka_unit_test_setup(test_old_intel_is_protected, start),
		cmocka_unit_test_setup(test_boot_line_turns_all_off, start),
		cmocka_unit_test_setup(test_branches_are_forgotten_between_guests, start),
		cmocka_unit_test_setup(test_amd_cpu, start),
		cmocka_unit_test_setup(test_other_cpu_differs, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
