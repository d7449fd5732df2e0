/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest reads from CPUID: nothing of a processor that sets every bit but what is listed,
 * our own features on a processor that has none, its own topology and clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/time.h"
#include "tests/unit/cpu_host.h"
#include <tidepool/abi.h>

static struct cpuid_regs ask(uint32_t leaf, uint32_t subleaf)
{
	uint64_t *gpr = host_vcpu.arch.gpr;

	gpr[RAX] = 0xdeadbeef00000000 | leaf;
	gpr[RCX] = 0xdeadbeef00000000 | subleaf;
	gpr[RBX] = gpr[RDX] = UINT64_MAX;
	cpuid_emulate(&host_vcpu);
	assert_true(gpr[RAX] <= UINT32_MAX && gpr[RBX] <= UINT32_MAX);
	assert_true(gpr[RCX] <= UINT32_MAX && gpr[RDX] <= UINT32_MAX);
	return (struct cpuid_regs){(uint32_t)gpr[RAX], (uint32_t)gpr[RBX], (uint32_t)gpr[RCX],
				   (uint32_t)gpr[RDX]};
}

static void start(struct cpuid_regs (*processor)(uint32_t, uint32_t), uint32_t vcpus)
{
	host_reset(vcpus);
	host.cpuid = processor;
	policy_init();
	fpu_init(&host_vcpu);
}

static struct cpuid_regs nothing_intel(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	return leaf ? (struct cpuid_regs){0} : (struct cpuid_regs)HOST_VENDOR_INTEL;
}

static void expect_zero(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs regs = ask(leaf, subleaf);

	if (regs.eax || regs.ebx || regs.ecx || regs.edx)
		fail_msg("leaf %x.%x is not zero", leaf, subleaf);
}

/* Features that would let a guest reach what nobody switches or emulates, by leaf and register. */
static void test_hidden_features(void **state)
{
	struct cpuid_regs regs;

	(void)state;
	for (int amd = 0; amd < 2; amd++) {
		start(amd ? host_cpuid_amd : host_cpuid_intel, 1);
		regs = ask(1, 0);
		/* DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA */
		assert_false(regs.ecx & (BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) |
					 BIT(8) | BIT(10) | BIT(11) | BIT(14) | BIT(15) | BIT(18)));
		assert_false(regs.ecx & BIT(27)); /* OSXSAVE: the guest has not set CR4 */
		assert_false(regs.edx &
			     (BIT(18) | BIT(21) | BIT(22) | BIT(29) | BIT(30) | BIT(31)));
		regs = ask(7, 0);
		/* SGX, HLE, RTM, RDT, MPX, processor trace, AVX512PF and ER */
		assert_false(regs.ebx & (BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) |
					 BIT(25) | BIT(26) | BIT(27)));
		/* PKU, OSPKE, WAITPKG, CET-SS, TME, LA57, KL, bus lock, ENQCMD, SGX_LC, PKS */
		assert_false(regs.ecx & (BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(13) | BIT(16) |
					 BIT(23) | BIT(24) | BIT(29) | BIT(30) | BIT(31)));
		/* UINTR, hybrid, PCONFIG, LBR, CET-IBT, AMX, L1D_FLUSH, CORE_CAPABILITIES */
		assert_false(regs.edx & (BIT(5) | BIT(15) | BIT(18) | BIT(19) | BIT(20) | BIT(22) |
					 BIT(24) | BIT(25) | BIT(28) | BIT(30)));
		regs = ask(0x80000001, 0);
		/* SVM, IBS, SKINIT, WDT, LWP, TCE, counters, breakpoint masks, MWAITX */
		assert_false(regs.ecx &
			     (BIT(2) | BIT(3) | BIT(10) | BIT(12) | BIT(13) | BIT(15) | BIT(17) |
			      BIT(23) | BIT(24) | BIT(26) | BIT(28) | BIT(29)));
		assert_false(regs.edx & BIT(25)); /* FFXSR */
		regs = ask(0x80000008, 0);
		/* RDPRU, MCOMMIT, the MSRs that SVM would have to switch, VIRT_SSBD */
		assert_false(regs.ebx & (BIT(4) | BIT(8) | BIT(14) | BIT(15) | BIT(24) | BIT(25)));
		regs = ask(0xd, 1);
		assert_int_equal(regs.eax, 5); /* no XSAVEC, no XSAVES, no XFD */
		assert_int_equal(regs.ecx | regs.edx, 0);
	}
}

/* Every leaf that is not listed, those of other hypervisors and of the future among them. */
static void test_unlisted_leaves(void **state)
{
	static const uint32_t listed[] = {
		0x0,	    0x1,	0x2,	    0x4,	0x6,	    0x7,	0xb,
		0xd,	    0x15,	0x16,	    0x40000000, 0x40000001, 0x40000100, 0x40000101,
		0x80000000, 0x80000001, 0x80000002, 0x80000003, 0x80000004, 0x80000005, 0x80000006,
		0x80000007, 0x80000008, 0x8000001d, 0x8000001e, 0x80000021,
	};
	static const uint32_t bases[] = {0x0,	     0x40000000, 0x40000100, 0x80000000,
					 0x80860000, 0xc0000000, 0xffffff00};

	(void)state;
	start(host_cpuid_amd, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(bases); i++) {
		for (uint32_t leaf = bases[i]; leaf - bases[i] < 0x100; leaf++) {
			bool is_listed = false;

			for (unsigned int j = 0; j < ARRAY_SIZE(listed); j++)
				is_listed |= leaf == listed[j];
			if (!is_listed)
				expect_zero(leaf, 0);
		}
	}
	expect_zero(0x4, 4);
	expect_zero(0x7, 2);
	expect_zero(0xd, 3); /* MPX */
	expect_zero(0xd, 9); /* PKRU */
	expect_zero(0xd, 17);
	expect_zero(0xd, UINT32_MAX);
}

static void test_our_own_features(void **state)
{
	struct cpuid_regs regs;

	(void)state;
	start(nothing_intel, 1);
	regs = ask(1, 0);
	assert_int_equal(regs.ecx,
			 BIT(21) | BIT(24) | BIT(31)); /* x2APIC, TSC deadline, hypervisor */
	assert_int_equal(regs.edx, 0);
	assert_int_equal(ask(6, 0).eax, 4);
	assert_int_equal(ask(7, 0).ebx, BIT(1));
	assert_int_equal(ask(7, 0).eax, 0);
	assert_int_equal(ask(0x80000007, 0).edx, BIT(8));
	expect_zero(0xd, 0);
	expect_zero(0xd, 1);
	assert_int_equal(host.rdmsr_count, 0); /* nothing announced, nothing read */
}

static void test_osxsave_follows_cr4(void **state)
{
	(void)state;
	start(host_cpuid_intel, 1);
	host.state.cr4 = CR4_OSXSAVE;
	assert_true(ask(1, 0).ecx & BIT(27));
	start(nothing_intel, 1);
	host.state.cr4 = CR4_OSXSAVE;
	assert_false(ask(1, 0).ecx & BIT(27));
}

static void test_topology(void **state)
{
	(void)state;
	start(host_cpuid_intel, 1);
	assert_int_equal(ask(1, 0).ebx >> 16, 1);
	assert_false(ask(1, 0).edx & BIT(28));

	start(host_cpuid_intel, 3);
	host_vcpu.id = 2;
	assert_int_equal(ask(1, 0).ebx >> 16, 2 << 8 | 4);
	assert_true(ask(1, 0).edx & BIT(28));
	assert_int_equal(ask(4, 0).eax >> 26, 3);
	assert_int_equal(ask(0xb, 0).eax, 0);
	assert_int_equal(ask(0xb, 0).ebx, 1);
	assert_int_equal(ask(0xb, 0).ecx, 0x100);
	assert_int_equal(ask(0xb, 0).edx, 2);
	assert_int_equal(ask(0xb, 1).eax, 2);
	assert_int_equal(ask(0xb, 1).ebx, 3);
	assert_int_equal(ask(0xb, 1).ecx, 0x201);
	assert_int_equal(ask(0xb, 1).edx, 2);
	assert_int_equal(ask(0xb, 0x102).ebx, 0);
	assert_int_equal(ask(0xb, 0x102).ecx, 2);
	assert_int_equal(ask(0xb, 0x102).edx, 2);

	start(host_cpuid_amd, 3);
	host_vcpu.id = 2;
	assert_int_equal(ask(0x80000008, 0).ecx, 2 << 12 | 2);
	assert_true(ask(0x80000001, 0).ecx & BIT(1));
	assert_int_equal(ask(0x8000001e, 0).eax, 2);
	assert_int_equal(ask(0x8000001e, 0).ebx, 2);
	assert_int_equal(ask(0x8000001e, 0).ecx, 0);
	assert_int_equal(ask(0x8000001d, 0).eax >> 14, 3); /* its level 7 counts as shared by all */
	assert_int_equal(ask(4, 0).eax >> 26, 0);
}

/* Only the last level is shared by the cores; there are four caches at most. */
static struct cpuid_regs caches(uint32_t leaf, uint32_t subleaf)
{
	static const struct cpuid_regs levels[] = {
		{0xfc000121, 1, 2, 0}, {0xfc000122, 1, 2, 0}, {0xfc004143, 1, 2, 0},
		{0xfc03c163, 1, 2, 4}, {0x1, 1, 2, 0},
	};

	if (leaf == 4 && subleaf < ARRAY_SIZE(levels))
		return levels[subleaf];
	return nothing_intel(leaf, subleaf);
}

static void test_caches(void **state)
{
	(void)state;
	start(caches, 4);
	assert_int_equal(ask(4, 0).eax, 3u << 26 | 0x121);
	assert_int_equal(ask(4, 2).eax, 3u << 26 | 0x143);
	assert_int_equal(ask(4, 3).eax, 3u << 26 | 3u << 14 | 0x163);
	assert_int_equal(ask(4, 3).ebx, 1);
	assert_int_equal(ask(4, 3).edx, 4);
	expect_zero(4, 4);
	start(nothing_intel, 4);
	expect_zero(4, 0);
}

static void test_clock_leaves(void **state)
{
	struct cpuid_regs regs;

	(void)state;
	start(host_cpuid_intel, 1);
	regs = ask(0x15, 0);
	assert_int_equal((uint64_t)regs.ecx * regs.ebx / regs.eax, (uint64_t)HOST_TSC_KHZ * 1000);
	assert_int_equal(ask(0x16, 0).eax, HOST_TSC_KHZ / 1000);
	tsc_khz = 5000000; /* does not fit the crystal's 32 bits */
	regs = ask(0x15, 0);
	assert_int_equal(regs.eax, 1);
	assert_int_equal(regs.ebx, 2);
	assert_int_equal(regs.ecx, 2500000000u);
	start(host_cpuid_amd, 1);
	expect_zero(0x15, 0);
	expect_zero(0x16, 0);
}

static void test_last_leaves(void **state)
{
	(void)state;
	start(host_cpuid_intel, 1);
	assert_int_equal(ask(0, 0).eax, 0x16);
	assert_int_equal(ask(0, 0).ebx, 0x756e6547); /* the host's vendor */
	start(host_cpuid_amd, 1);
	assert_int_equal(ask(0, 0).eax, 0xd);
	assert_int_equal(ask(0x80000000, 0).eax, 0x80000021);
}

static void expect_text(struct cpuid_regs regs, const char *text)
{
	char signature[12];

	memcpy(signature, &regs.ebx, 4);
	memcpy(signature + 4, &regs.ecx, 4);
	memcpy(signature + 8, &regs.edx, 4);
	assert_memory_equal(signature, text, 12);
}

static void test_hypervisor_leaves(void **state)
{
	struct cpuid_regs regs;

	(void)state;
	start(host_cpuid_intel, 1);
	expect_text(ask(0x40000000, 0), "KVMKVMKVM\0\0\0");
	assert_int_equal(ask(0x40000000, 0).eax, 0x40000001);
	regs = ask(0x40000001, 0);
	assert_int_equal(regs.eax, BIT(3) | BIT(24)); /* the clock; no hypercalls of KVM's */
	assert_int_equal(regs.ebx | regs.ecx | regs.edx, 0);
	expect_text(ask(0x40000100, 0), TIDEPOOL_CPUID_SIGNATURE);
	regs = ask(ask(0x40000100, 0).eax, 0);
	assert_int_equal(regs.eax, TIDEPOOL_ABI_VERSION);
	assert_int_equal(regs.ebx, TIDEPOOL_FEATURES);
	assert_int_equal(regs.ecx, TIDEPOOL_MAX_POOLS);
}

static void test_address_sizes(void **state)
{
	(void)state;
	start(host_cpuid_intel, 1);
	assert_int_equal(ask(0x80000008, 0).eax, 48 << 8 | 48);
	assert_int_equal(ask(0x80000008, 0).ecx, 0);
}

/* A host's leaf above its last one would repeat another leaf's values. */
static struct cpuid_regs short_intel(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	if (leaf == 0)
		return (struct cpuid_regs){4, 0x756e6547, 0x6c65746e, 0x49656e69};
	if (leaf == 0x80000000)
		return (struct cpuid_regs){0x80000004, 0, 0, 0};
	return (struct cpuid_regs){UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
}

static void test_leaves_the_host_lacks(void **state)
{
	(void)state;
	start(short_intel, 1);
	assert_int_equal(ask(7, 0).ecx, 0);
	assert_int_equal(ask(7, 0).ebx, BIT(1));
	expect_zero(0x80000005, 0);
	assert_int_equal(ask(0x80000008, 0).ebx, 0);
	assert_int_equal(ask(0x80000004, 0).eax, UINT32_MAX);
}

/* Intel's speculation controls: SVM has nobody who would switch the MSR. */
static void test_speculation_controls(void **state)
{
	(void)state;
	start(host_cpuid_intel, 1);
	assert_true(ask(7, 0).edx & BIT(26));
	start(host_cpuid_amd, 1);
	assert_false(ask(7, 0).edx & (BIT(26) | BIT(27) | BIT(31)));
	assert_true(ask(0x80000008, 0).ebx & BIT(12)); /* IBPB is a command, no state */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hidden_features),
		cmocka_unit_test(test_unlisted_leaves),
		cmocka_unit_test(test_our_own_features),
		cmocka_unit_test(test_osxsave_follows_cr4),
		cmocka_unit_test(test_topology),
		cmocka_unit_test(test_caches),
		cmocka_unit_test(test_clock_leaves),
		cmocka_unit_test(test_last_leaves),
		cmocka_unit_test(test_hypervisor_leaves),
		cmocka_unit_test(test_address_sizes),
		cmocka_unit_test(test_leaves_the_host_lacks),
		cmocka_unit_test(test_speculation_controls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
