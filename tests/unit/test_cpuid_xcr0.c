/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vector state: which components are offered, what a guest may load into XCR0, the sizes that
 * CPUID tells, the switch between vCPUs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/vcpu/fpu.h"
#include "tests/unit/cpu_host.h"

#define AVX512 (XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)
#define ALL    (XCR0_X87 | XCR0_SSE | XCR0_AVX | AVX512)

/* The host's XCR0 components and where its last one ends; has OSXSAVE or not. */
static uint32_t host_components, host_last_offset;
static bool host_osxsave;

static struct cpuid_regs processor(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs regs = host_cpuid_intel(leaf, subleaf);

	if (leaf == 1 && !host_osxsave)
		regs.ecx &= (uint32_t)~BIT(27);
	if (leaf == 0xd && subleaf == 0)
		regs.eax = host_components;
	if (leaf == 0xd && subleaf == 7 && host_last_offset)
		regs.ebx = host_last_offset;
	return regs;
}

static int set_up(void **state)
{
	(void)state;
	host_components = UINT32_MAX;
	host_last_offset = 0;
	host_osxsave = true;
	host_reset(1);
	host.cpuid = processor;
	policy_init();
	fpu_init(&host_vcpu);
	return 0;
}

static void restart(void)
{
	policy_init();
	fpu_init(&host_vcpu);
}

static struct cpuid_regs ask(uint32_t leaf, uint32_t subleaf)
{
	uint64_t *gpr = host_vcpu.arch.gpr;

	gpr[RAX] = leaf;
	gpr[RCX] = subleaf;
	cpuid_emulate(&host_vcpu);
	return (struct cpuid_regs){(uint32_t)gpr[RAX], (uint32_t)gpr[RBX], (uint32_t)gpr[RCX],
				   (uint32_t)gpr[RDX]};
}

static int set_xcr0(uint64_t value)
{
	host_vcpu.arch.gpr[RAX] = 0xdead00000000 | (uint32_t)value;
	host_vcpu.arch.gpr[RDX] = 0xdead00000000 | value >> 32;
	host_vcpu.arch.gpr[RCX] = 0xdead00000000;
	return xsetbv_emulate(&host_vcpu);
}

static void test_offered(void **state)
{
	(void)state;
	assert_int_equal(fpu_guest_xcr0(), ALL); /* no MPX, PKRU, AMX */
	host_components = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_OPMASK | XCR0_ZMM_HI256;
	restart();
	assert_int_equal(fpu_guest_xcr0(), XCR0_X87 | XCR0_SSE | XCR0_AVX);
	host_components = XCR0_X87 | XCR0_SSE | AVX512;
	restart();
	assert_int_equal(fpu_guest_xcr0(), XCR0_X87 | XCR0_SSE);
	host_osxsave = false;
	restart();
	assert_int_equal(fpu_guest_xcr0(), 0);
}

/* What does not fit the frame is not offered, nor are the features that need it. */
static void test_area_fits(void **state)
{
	(void)state;
	host_last_offset = (uint32_t)PAGE_SIZE - 1024;
	restart();
	assert_int_equal(fpu_guest_xcr0(), ALL);
	host_last_offset++;
	restart();
	assert_int_equal(fpu_guest_xcr0(), XCR0_X87 | XCR0_SSE | XCR0_AVX);
	assert_int_equal(ask(7, 0).ebx & BIT(16), 0);
	assert_int_equal(ask(0xd, 7).eax, 0);
	assert_int_not_equal(ask(7, 0).ebx & BIT(5), 0); /* AVX2 */
}

static void test_features_need_components(void **state)
{
	struct cpuid_regs regs;

	(void)state;
	host_components = XCR0_X87 | XCR0_SSE;
	restart();
	regs = ask(1, 0);
	assert_int_equal(regs.ecx & (BIT(28) | BIT(12) | BIT(29)), 0); /* AVX, FMA, F16C */
	assert_int_not_equal(regs.ecx & BIT(26), 0);
	regs = ask(7, 0);
	assert_int_equal(regs.ebx & (BIT(5) | BIT(16)), 0);
	assert_int_equal(regs.ecx & (BIT(1) | BIT(9) | BIT(10)), 0);
	assert_int_equal(ask(7, 1).eax & (BIT(4) | BIT(5)), 0);
	assert_int_equal(ask(0x80000001, 0).ecx & (BIT(11) | BIT(16)), 0);
	host_osxsave = false;
	restart();
	assert_int_equal(ask(1, 0).ecx & (BIT(26) | BIT(27)), 0);
	assert_int_equal(ask(0xd, 0).eax, 0);
	assert_int_equal(ask(0xd, 1).eax, 0);
}

static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(ask(0xd, 0).eax, ALL);
	assert_int_equal(ask(0xd, 0).ebx, 576); /* of what is on: x87 */
	assert_int_equal(ask(0xd, 0).ecx, 2688);
	assert_int_equal(ask(0xd, 0).edx, 0);
	assert_int_equal(ask(0xd, 1).ebx, 0); /* no compacted format */
	assert_int_equal(set_xcr0(XCR0_X87 | XCR0_SSE | XCR0_AVX), 0);
	assert_int_equal(ask(0xd, 0).ebx, 832);
	assert_int_equal(set_xcr0(ALL), 0);
	assert_int_equal(ask(0xd, 0).ebx, 2688);
	assert_int_equal(ask(0xd, 2).eax, 256);
	assert_int_equal(ask(0xd, 2).ebx, 576);
	assert_int_equal(ask(0xd, 2).ecx & 1, 0); /* no supervisor state */
}

/* All values of the bits that matter, against the rules as the SDM words them. */
static void test_xsetbv(void **state)
{
	(void)state;
	for (uint64_t value = 0; value < 1u << 10; value++) {
		uint64_t before = host_vcpu.arch.xcr0;
		bool valid = value & XCR0_X87 && !(value & ~(uint64_t)ALL);

		if ((value & XCR0_AVX) && !(value & XCR0_SSE))
			valid = false;
		if ((value & AVX512) && ((value & AVX512) != AVX512 || !(value & XCR0_AVX)))
			valid = false;
		assert_int_equal(set_xcr0(value), valid ? 0 : -EINVAL);
		assert_int_equal(host_vcpu.arch.xcr0, valid ? value : before);
		if (valid)
			assert_int_equal(host.xcr0, value);
	}
	for (unsigned int bit = 8; bit < 64; bit++)
		assert_int_equal(set_xcr0(XCR0_X87 | BIT(bit)), -EINVAL);
}

static void test_xsetbv_elsewhere(void **state)
{
	(void)state;
	host_vcpu.arch.gpr[RAX] = XCR0_X87;
	host_vcpu.arch.gpr[RDX] = 0;
	host_vcpu.arch.gpr[RCX] = 1;
	assert_int_equal(xsetbv_emulate(&host_vcpu), -EINVAL);
	host.cpl = 3;
	assert_int_equal(set_xcr0(XCR0_X87), -EINVAL);
	host.cpl = 0;
	assert_int_equal(set_xcr0(XCR0_X87), 0);
	host_osxsave = false;
	restart();
	assert_int_equal(set_xcr0(XCR0_X87), -EINVAL);
}

/* All that is offered moves, and the hidden PKRU; also what the guest has switched off meanwhile.
 */
static void test_switch(void **state)
{
	(void)state;
	assert_int_equal(set_xcr0(XCR0_X87 | XCR0_SSE), 0);
	fpu_unload(&host_vcpu);
	assert_int_equal(host.saved, ALL | XCR0_PKRU);
	assert_int_equal(host.saved_xcr0, ALL | XCR0_PKRU);
	host.xcr0 = 0;
	fpu_load(&host_vcpu);
	assert_int_equal(host.restored, ALL | XCR0_PKRU);
	assert_int_equal(host.restored_xcr0, ALL | XCR0_PKRU);
	assert_int_equal(host.xcr0, XCR0_X87 | XCR0_SSE);
	assert_int_equal(host.pointers_forgotten, 0); /* Intel */

	host_components = ALL;
	restart();
	fpu_unload(&host_vcpu);
	assert_int_equal(host.saved, ALL);

	host_osxsave = false;
	restart();
	host.saved = host.restored = host.xcr0 = 0;
	fpu_load(&host_vcpu);
	fpu_unload(&host_vcpu);
	assert_int_equal(host.saved | host.restored | host.xcr0, 0); /* FXSAVE, no XSETBV */
}

static struct cpuid_regs old_amd(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs regs = host_cpuid_amd(leaf, subleaf);

	if (leaf == 0x80000008)
		regs.ebx &= (uint32_t)~BIT(2); /* XSAVEERPTR */
	return regs;
}

static void test_x87_pointers(void **state)
{
	(void)state;
	host.cpuid = host_cpuid_amd;
	restart();
	fpu_load(&host_vcpu);
	assert_int_equal(host.pointers_forgotten, 0);
	host.cpuid = old_amd;
	restart();
	fpu_load(&host_vcpu);
	assert_int_equal(host.pointers_forgotten, 1);
}

static void test_initial_state(void **state)
{
	const uint8_t *area = host_vcpu.arch.fpu;
	uint32_t mxcsr;
	uint16_t fcw;

	(void)state;
	memset(host_vcpu.arch.fpu, 0xa5, PAGE_SIZE); /* another guest's */
	host_vcpu.arch.xcr0 = ALL;
	fpu_init(&host_vcpu);
	memcpy(&fcw, area, 2);
	memcpy(&mxcsr, area + 24, 4);
	assert_int_equal(fcw, 0x37f);
	assert_int_equal(mxcsr, 0x1f80);
	for (unsigned int i = 0; i < PAGE_SIZE; i++)
		if (i > 1 && (i < 24 || i > 27))
			assert_int_equal(area[i], 0);
	assert_int_equal(host_vcpu.arch.xcr0, XCR0_X87);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_offered, set_up),
		cmocka_unit_test_setup(test_area_fits, set_up),
		cmocka_unit_test_setup(test_features_need_components, set_up),
		cmocka_unit_test_setup(test_sizes, set_up),
		cmocka_unit_test_setup(test_xsetbv, set_up),
		cmocka_unit_test_setup(test_xsetbv_elsewhere, set_up),
		cmocka_unit_test_setup(test_switch, set_up),
		cmocka_unit_test_setup(test_x87_pointers, set_up),
		cmocka_unit_test_setup(test_initial_state, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
