/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSR allow-list: exactly the listed registers exist, no value reaches the host but where it
 * is meant to, each register takes what the processor would take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/msr.h"
#include "arch/x86_64/vcpu/pvclock.h"
#include "core/time.h"
#include "tests/unit/cpu_host.h"

static void start(struct cpuid_regs (*processor)(uint32_t, uint32_t))
{
	host_reset(1);
	host.cpuid = processor;
	policy_init();
	fpu_init(&host_vcpu);
	msr_init(&host_vcpu);
	host.rdmsr_count = 0;
}

static int set_up(void **state)
{
	(void)state;
	start(host_cpuid_intel);
	return 0;
}

static uint64_t read_msr(uint32_t msr)
{
	uint64_t value;

	assert_int_equal(msr_read(&host_vcpu, msr, &value), 0);
	return value;
}

static void expect_write(uint32_t msr, uint64_t value, int result)
{
	if (msr_write(&host_vcpu, msr, value) != result)
		fail_msg("MSR %x: %llx should%s be taken", msr, (unsigned long long)value,
			 result ? " not" : "");
}

/* ---- the list itself ------------------------------------------------------------------------ */

struct listed {
	uint32_t first, last;
	bool readable;
};

static const struct listed listed_intel[] = {
	{0x10, 0x10, true},
	{0x17, 0x17, true},
	{0x1b, 0x1b, true},
	{0x3a, 0x3a, true},
	{0x3b, 0x3b, true},
	{0x48, 0x48, true},
	{0x49, 0x49, false},
	{0x8b, 0x8b, true},
	{0xce, 0xce, true},
	{0xfe, 0xfe, true},
	{0x10a, 0x10a, true},
	{0x179, 0x17a, true},
	{0x1a0, 0x1a0, true},
	{0x1d9, 0x1d9, true},
	{0x277, 0x277, true},
	{0x2ff, 0x2ff, true},
	{0x6e0, 0x6e0, true},
	{0x800, 0x8ff, true},
	{0x4b564d00, 0x4b564d01, true},
	{0xc0000080, 0xc0000080, true},
	{0xc0000103, 0xc0000103, true},
};

static const struct listed listed_amd[] = {
	{0x10, 0x10, true},
	{0x1b, 0x1b, true},
	{0x3b, 0x3b, true},
	{0x49, 0x49, false},
	{0x8b, 0x8b, true},
	{0xfe, 0xfe, true},
	{0x10a, 0x10a, true},
	{0x179, 0x17a, true},
	{0x1d9, 0x1d9, true},
	{0x277, 0x277, true},
	{0x2ff, 0x2ff, true},
	{0x6e0, 0x6e0, true},
	{0x800, 0x8ff, true},
	{0x4b564d00, 0x4b564d01, true},
	{0xc0000080, 0xc0000080, true},
	{0xc0000103, 0xc0000103, true},
	{0xc0010010, 0xc0010010, true},
	{0xc0010015, 0xc0010015, true},
	{0xc001001f, 0xc001001f, true},
	{0xc0010055, 0xc0010055, true},
	{0xc0010058, 0xc0010058, true},
	{0xc0010114, 0xc0010114, true},
};

static const struct listed *find(const struct listed *list, size_t count, uint32_t msr)
{
	for (size_t i = 0; i < count; i++)
		if (msr >= list[i].first && msr <= list[i].last)
			return &list[i];
	return NULL;
}

/* Values with all bits, single bits, patterns; what was written before must not matter. */
static uint64_t pattern(unsigned int i)
{
	if (i < 64)
		return BIT(i);
	return i == 64 ? 0 : i == 65 ? UINT64_MAX : 0x0123456789abcdefull * i;
}

#define PATTERNS 80u

static void check_range(const struct listed *list, size_t count, uint32_t base)
{
	uint64_t value;

	for (uint32_t msr = base; msr - base < 0x2000; msr++) {
		const struct listed *entry = find(list, count, msr);
		bool readable = entry && entry->readable;

		if ((msr_read(&host_vcpu, msr, &value) == 0) != readable)
			fail_msg("MSR %x can%s be read", msr, readable ? "not" : "");
		for (unsigned int i = 0; i < PATTERNS; i++) {
			int err = msr_write(&host_vcpu, msr, pattern(i));

			assert_true(err == 0 || err == -EINVAL);
			if (err == 0 && !entry)
				fail_msg("MSR %x can be written", msr);
		}
	}
}

static void check_list(const struct listed *list, size_t count)
{
	static const uint32_t bases[] = {0x0,	     0x2000,	 0x40000000, 0x4b564000,
					 0xc0000000, 0xc0010000, 0xffffe000};

	for (unsigned int i = 0; i < ARRAY_SIZE(bases); i++)
		check_range(list, count, bases[i]);
	assert_int_equal(host.rdmsr_count, 0); /* no read of a guest's reads a host register */
}

static void test_exactly_the_list(void **state)
{
	(void)state;
	check_list(listed_intel, ARRAY_SIZE(listed_intel));
	start(host_cpuid_amd);
	check_list(listed_amd, ARRAY_SIZE(listed_amd));
}

/* Of all writes only these reach the processor, with these bits. */
static void test_host_is_out_of_reach(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t bits;
	} reachable[] = {{MSR_SPEC_CTRL, 7}, {MSR_PRED_CMD, 1}, {MSR_TSC_AUX, UINT32_MAX}};
	static const uint32_t bases[] = {0x0, 0x4b564000, 0xc0000000, 0xc0010000};

	(void)state;
	for (unsigned int b = 0; b < ARRAY_SIZE(bases); b++) {
		for (uint32_t msr = bases[b]; msr - bases[b] < 0x2000; msr++) {
			for (unsigned int i = 0; i < PATTERNS; i++) {
				bool allowed = false;

				host.wrmsr_count = 0;
				msr_write(&host_vcpu, msr, pattern(i));
				if (!host.wrmsr_count)
					continue;
				for (unsigned int j = 0; j < ARRAY_SIZE(reachable); j++)
					allowed |= host.wrmsr_number == msr &&
						   msr == reachable[j].msr &&
						   !(host.wrmsr_value & ~reachable[j].bits);
				if (!allowed)
					fail_msg("MSR %x reached the host", msr);
			}
		}
	}
}

static struct cpuid_regs plain_intel(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	return leaf ? (struct cpuid_regs){0} : (struct cpuid_regs)HOST_VENDOR_INTEL;
}

/* Registers that CPUID does not announce do not exist. */
static void test_registers_follow_cpuid(void **state)
{
	static const uint32_t msrs[] = {MSR_SPEC_CTRL, MSR_PRED_CMD, MSR_ARCH_CAPABILITIES,
					MSR_TSC_AUX};
	uint64_t value;

	(void)state;
	start(plain_intel);
	for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++) {
		assert_int_equal(msr_read(&host_vcpu, msrs[i], &value), -EINVAL);
		expect_write(msrs[i], 0, -EINVAL);
	}
	assert_int_equal(host.wrmsr_count, 0);
}

/* ---- single registers ----------------------------------------------------------------------- */

static void test_fixed_values(void **state)
{
	(void)state;
	assert_int_equal(read_msr(MSR_FEATURE_CONTROL), FEATURE_CONTROL_LOCK);
	expect_write(MSR_FEATURE_CONTROL, FEATURE_CONTROL_LOCK, -EINVAL);
	assert_int_equal(read_msr(MSR_MCG_CAP), 0);
	assert_int_equal(read_msr(MSR_MTRR_CAP), BIT(10)); /* no ranges, no SMRR */
	expect_write(MSR_MCG_STATUS, 0, 0);
	expect_write(MSR_MCG_STATUS, 4, -EINVAL);
	expect_write(MSR_DEBUGCTL, 1, -EINVAL); /* last-branch records */
	/* of all immunities: none that announces a further MSR, or is for hypervisors */
	assert_int_equal(read_msr(MSR_ARCH_CAPABILITIES) &
				 (BIT(3) | BIT(7) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(16) |
				  BIT(18) | BIT(21) | BIT(23) | BIT(25) | ~(BIT(32) - 1)),
			 0);
	assert_int_equal(read_msr(MSR_ARCH_CAPABILITIES) & 0x137, 0x137);
	start(host_cpuid_amd);
	assert_int_equal(read_msr(MSR_VM_CR), VM_CR_SVMDIS | VM_CR_LOCK);
	assert_int_equal(read_msr(MSR_AMD_HWCR), BIT(24));
	expect_write(MSR_AMD_HWCR, BIT(24) | BIT(18), 0);
	expect_write(MSR_AMD_HWCR, BIT(17), -EINVAL);
	assert_int_equal(read_msr(MSR_AMD_HWCR), BIT(24));
}

static void test_tsc(void **state)
{
	(void)state;
	host_vcpu.arch.tsc_offset = -HOST_START;
	host.now = HOST_START + 500;
	assert_int_equal(read_msr(MSR_TSC), 500);
	assert_int_equal(read_msr(MSR_TSC_ADJUST), 0);

	expect_write(MSR_TSC, 100, 0);
	assert_int_equal(read_msr(MSR_TSC), 100);
	assert_int_equal(read_msr(MSR_TSC_ADJUST), (uint64_t)-400);
	assert_int_equal(host.offset_updates, 1);
	assert_int_equal(host.deadline_updates, 1);

	expect_write(MSR_TSC_ADJUST, 1000, 0);
	assert_int_equal(read_msr(MSR_TSC_ADJUST), 1000);
	assert_int_equal(read_msr(MSR_TSC), 1500);
	assert_int_equal(host.offset_updates, 2);
	host.now += 7;
	assert_int_equal(read_msr(MSR_TSC), 1507);
}

static void test_tsc_aux(void **state)
{
	(void)state;
	expect_write(MSR_TSC_AUX, 0x1234, 0);
	assert_int_equal(read_msr(MSR_TSC_AUX), 0x1234);
	assert_int_equal(host.wrmsr_number, MSR_TSC_AUX);
	assert_int_equal(host.wrmsr_value, 0x1234);
	expect_write(MSR_TSC_AUX, BIT(32), -EINVAL);
	assert_int_equal(read_msr(MSR_TSC_AUX), 0x1234);
}

static void test_pat(void **state)
{
	(void)state;
	assert_int_equal(read_msr(MSR_PAT), PAT_RESET);
	expect_write(MSR_PAT, 0x0407050600070106, 0); /* Linux's */
	assert_int_equal(read_msr(MSR_PAT), 0x0407050600070106);
	for (unsigned int entry = 0; entry < 8; entry++) {
		for (uint64_t type = 0; type < 256; type++) {
			bool valid = type < 8 && type != 2 && type != 3;

			expect_write(MSR_PAT, type << (8 * entry), valid ? 0 : -EINVAL);
		}
	}
}

static void test_mtrr_def_type(void **state)
{
	(void)state;
	assert_int_equal(read_msr(MSR_MTRR_DEF_TYPE), 0x806); /* on, write-back */
	expect_write(MSR_MTRR_DEF_TYPE, 0x006, 0);
	expect_write(MSR_MTRR_DEF_TYPE, 0xc00, 0);
	expect_write(MSR_MTRR_DEF_TYPE, 0x802, -EINVAL);
	expect_write(MSR_MTRR_DEF_TYPE, 0x807, -EINVAL);
	expect_write(MSR_MTRR_DEF_TYPE, 0x1806, -EINVAL);
	expect_write(MSR_MTRR_DEF_TYPE, 0x100000806, -EINVAL);
	assert_int_equal(read_msr(MSR_MTRR_DEF_TYPE), 0xc00);
}

static void test_misc_enable(void **state)
{
	(void)state;
	assert_int_equal(read_msr(MSR_MISC_ENABLE), 0x1801); /* no BTS, no PEBS */
	expect_write(MSR_MISC_ENABLE, 0x1801, 0);
	expect_write(MSR_MISC_ENABLE, 0x1800, 0);
	assert_int_equal(read_msr(MSR_MISC_ENABLE), 0x1800);
	expect_write(MSR_MISC_ENABLE, BIT(18), -EINVAL); /* MONITOR */
	expect_write(MSR_MISC_ENABLE, BIT(34), -EINVAL); /* XD off */
}

static void test_efer(void **state)
{
	(void)state;
	expect_write(MSR_EFER, EFER_SCE | EFER_LME | EFER_NXE, 0);
	assert_int_equal(host.state.efer, EFER_SCE | EFER_LME | EFER_NXE);
	host.state.cr0 = CR0_PE | CR0_PG;
	host.state.efer |= EFER_LMA;
	expect_write(MSR_EFER, EFER_SCE | EFER_LME, 0); /* LMA stays, whatever is written */
	assert_int_equal(host.state.efer, EFER_SCE | EFER_LME | EFER_LMA);
	expect_write(MSR_EFER, EFER_SCE | EFER_LMA, -EINVAL); /* LME while paging */
	expect_write(MSR_EFER, EFER_LME | EFER_SVME, -EINVAL);
	expect_write(MSR_EFER, EFER_LME | EFER_LMSLE, -EINVAL);
	expect_write(MSR_EFER, EFER_LME | EFER_FFXSR, -EINVAL);
	expect_write(MSR_EFER, EFER_LME | BIT(63), -EINVAL);
	assert_int_equal(read_msr(MSR_EFER), EFER_SCE | EFER_LME | EFER_LMA);
	host.state.cr0 = CR0_PE;
	expect_write(MSR_EFER, EFER_SCE, 0);
	start(plain_intel); /* neither SYSCALL, nor long mode, nor NX */
	expect_write(MSR_EFER, EFER_SCE, -EINVAL);
	expect_write(MSR_EFER, EFER_NXE, -EINVAL);
	expect_write(MSR_EFER, 0, 0);
}

static void test_spec_ctrl(void **state)
{
	(void)state;
	expect_write(MSR_SPEC_CTRL, 7, 0);
	assert_int_equal(read_msr(MSR_SPEC_CTRL), 7);
	assert_int_equal(host.wrmsr_value, 7);
	host.host_spec_ctrl = SPEC_CTRL_IBRS; /* stays set, whatever the guest sees */
	expect_write(MSR_SPEC_CTRL, 2, 0);
	assert_int_equal(read_msr(MSR_SPEC_CTRL), 2);
	assert_int_equal(host.wrmsr_value, 3);
	expect_write(MSR_SPEC_CTRL, 7, 0);
	expect_write(MSR_SPEC_CTRL, 8, -EINVAL);
	assert_int_equal(read_msr(MSR_SPEC_CTRL), 7);
	host.wrmsr_count = 0;
	expect_write(MSR_PRED_CMD, 0, 0);
	expect_write(MSR_PRED_CMD, 2, -EINVAL);
	assert_int_equal(host.wrmsr_count, 0);
	expect_write(MSR_PRED_CMD, 1, 0);
	assert_int_equal(host.wrmsr_number, MSR_PRED_CMD);
}

/* ---- the paravirtual clock ------------------------------------------------------------------ */

struct clock {
	uint32_t version, pad0;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_mul;
	int8_t tsc_shift;
	uint8_t flags, pad[2];
};

#define CLOCK_GPA 0x3000ull

static struct clock read_clock(gpa_t gpa)
{
	struct clock clock;

	memcpy(&clock, host_ram(gpa), sizeof(clock));
	return clock;
}

/* As the guest computes it. */
static uint64_t clock_ns(const struct clock *clock, uint64_t tsc)
{
	uint64_t delta = tsc - clock->tsc_timestamp;

	delta = clock->tsc_shift < 0 ? delta >> -clock->tsc_shift : delta << clock->tsc_shift;
	return clock->system_time + (uint64_t)((unsigned __int128)delta * clock->tsc_mul >> 32);
}

static void test_system_time(void **state)
{
	static const uint32_t frequencies[] = {HOST_TSC_KHZ, 200000,  1000000, 2000000, 2000001,
					       999999,	     4999999, 2596143, 33};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(frequencies); i++) {
		uint64_t second = frequencies[i] * 1000ull, hour = 3600, khz;
		struct clock clock;

		set_up(NULL);
		tsc_khz = frequencies[i];
		policy_init();
		host_vm.boot_tsc = HOST_START;
		host_vcpu.arch.tsc_offset = -HOST_START;
		host.now = HOST_START + 5 * second;
		expect_write(MSR_PV_SYSTEM_TIME, CLOCK_GPA | 1, 0);
		clock = read_clock(CLOCK_GPA);
		assert_true(clock.version && clock.version % 2 == 0);
		assert_int_equal(clock.flags, 1);
		assert_int_equal(clock.tsc_timestamp, 5 * second);
		assert_int_equal(clock.system_time, 5 * NSEC_PER_SEC);
		/* an hour later: a microsecond a second at the very most */
		assert_in_range(clock_ns(&clock, (5 + hour) * second),
				(5 + hour) * NSEC_PER_SEC - hour * NSEC_PER_USEC,
				(5 + hour) * NSEC_PER_SEC + hour * NSEC_PER_USEC);
		khz = (1000000ull << 32) / clock.tsc_mul; /* as Linux computes it back */
		khz = clock.tsc_shift < 0 ? khz << -clock.tsc_shift : khz >> clock.tsc_shift;
		assert_int_equal(khz, frequencies[i]);
	}
}

/* A guest that moves its TSC does not move its time. */
static void test_system_time_follows_tsc(void **state)
{
	struct clock clock;

	(void)state;
	host_vm.boot_tsc = HOST_START;
	host_vcpu.arch.tsc_offset = -HOST_START;
	expect_write(MSR_PV_SYSTEM_TIME, CLOCK_GPA | 1, 0);
	host.now += HOST_TSC_KHZ;
	expect_write(MSR_TSC, 0, 0);
	clock = read_clock(CLOCK_GPA);
	assert_int_equal(clock.tsc_timestamp, 0);
	assert_int_equal(clock.system_time, NSEC_PER_MSEC);
	assert_int_equal(clock.version, 4); /* written twice */

	expect_write(MSR_PV_SYSTEM_TIME, 0, 0); /* off: nothing is written any more */
	expect_write(MSR_TSC, 12345, 0);
	assert_int_equal(read_clock(CLOCK_GPA).version, 4);
	assert_int_equal(read_msr(MSR_PV_SYSTEM_TIME), 0);
}

static void test_clock_version(void **state)
{
	static const uint32_t before[] = {0, 1, 2, 77, UINT32_MAX - 1, UINT32_MAX};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(before); i++) {
		uint32_t version;

		memcpy(host_ram(CLOCK_GPA), &before[i], 4);
		expect_write(MSR_PV_SYSTEM_TIME, CLOCK_GPA | 1, 0);
		version = read_clock(CLOCK_GPA).version;
		assert_int_equal(version % 2, 0);
		assert_int_not_equal(version, before[i]);
	}
}

/* No RAM there, or not enough: #GP, and the clock stays off. */
static void test_clock_outside_ram(void **state)
{
	static const uint64_t addresses[] = {
		HOST_RAM | 1, (HOST_RAM - 8) | 1, VM_LAPIC_BASE | 1, VM_HOLE_BASE | 1,
		UINT64_MAX,   UINT64_MAX - 30,	  BIT(63) | 1};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(addresses); i++) {
		expect_write(MSR_PV_SYSTEM_TIME, addresses[i], -EINVAL);
		assert_int_equal(read_msr(MSR_PV_SYSTEM_TIME), 0);
		expect_write(MSR_PV_WALL_CLOCK, addresses[i], -EINVAL);
	}
}

static void test_wall_clock(void **state)
{
	uint32_t clock[3];

	(void)state;
	host_vm.boot_tsc = HOST_START + HOST_TSC_KHZ * 2500ull; /* 2.5 s after policy_init() */
	host.now = host_vm.boot_tsc + HOST_TSC_KHZ * 10000ull;
	expect_write(MSR_PV_WALL_CLOCK, CLOCK_GPA, 0);
	memcpy(clock, host_ram(CLOCK_GPA), sizeof(clock));
	assert_int_equal(clock[0] % 2, 0);
	assert_int_equal(clock[1], HOST_WALL + 2);
	assert_int_equal(clock[2], 500000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_exactly_the_list, set_up),
		cmocka_unit_test_setup(test_host_is_out_of_reach, set_up),
		cmocka_unit_test_setup(test_registers_follow_cpuid, set_up),
		cmocka_unit_test_setup(test_fixed_values, set_up),
		cmocka_unit_test_setup(test_tsc, set_up),
		cmocka_unit_test_setup(test_tsc_aux, set_up),
		cmocka_unit_test_setup(test_pat, set_up),
		cmocka_unit_test_setup(test_mtrr_def_type, set_up),
		cmocka_unit_test_setup(test_misc_enable, set_up),
		cmocka_unit_test_setup(test_efer, set_up),
		cmocka_unit_test_setup(test_spec_ctrl, set_up),
		cmocka_unit_test_setup(test_system_time, set_up),
		cmocka_unit_test_setup(test_system_time_follows_tsc, set_up),
		cmocka_unit_test_setup(test_clock_version, set_up),
		cmocka_unit_test_setup(test_clock_outside_ram, set_up),
		cmocka_unit_test_setup(test_wall_clock, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
