/* SPDX-License-Identifier: BSD-2-Clause */
/* What a machine-check bank's report means, and whose memory it is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/vcpu/cpuid.h"
#include "arch/x86_64/vcpu/machine_check.h"
#include "core/console.h"
#include "core/panic.h"
#include "core/vm/vm.h"

uint64_t image_load_base;
struct vm vms[CONFIG_MAX_GUESTS];
uint32_t vm_count;

int rdmsr_safe(uint32_t msr, uint64_t *value)
{
	(void)msr, (void)value;
	return -1;
}

int wrmsr_safe(uint32_t msr, uint64_t value)
{
	(void)msr, (void)value;
	return -1;
}

bool cpuid_is_amd(void)
{
	return false;
}

void printk(const char *fmt, ...)
{
	(void)fmt;
}

void panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

void vm_stop(struct vm *vm, enum vm_end end, const char *fmt, ...)
{
	(void)vm, (void)end, (void)fmt;
}

#define VALID	 BIT(63)
#define OVERFLOW BIT(62)
#define UC	 BIT(61)
#define MISCV	 BIT(59)
#define ADDRV	 BIT(58)
#define PCC	 BIT(57)
#define PHYSICAL (2u << 6)

static enum machine_check_effect judge(uint64_t status, uint64_t misc, bool intel)
{
	const struct machine_check report = {.status = status, .misc = misc};

	return machine_check_judge(&report, intel);
}

static void test_judge(void **state)
{
	const uint64_t memory = VALID | UC | MISCV | ADDRV;

	(void)state;
	assert_int_equal(judge(0, 0, true), MACHINE_CHECK_HARMLESS);
	assert_int_equal(judge(memory & ~VALID, PHYSICAL, true), MACHINE_CHECK_HARMLESS);
	assert_int_equal(judge(memory & ~UC, PHYSICAL, true), MACHINE_CHECK_HARMLESS);
	assert_int_equal(judge(memory, PHYSICAL, true), MACHINE_CHECK_MEMORY);
	assert_int_equal(judge(memory | PCC, PHYSICAL, true), MACHINE_CHECK_FATAL);
	assert_int_equal(judge(memory | OVERFLOW, PHYSICAL, true), MACHINE_CHECK_FATAL);
	assert_int_equal(judge(memory & ~ADDRV, PHYSICAL, true), MACHINE_CHECK_FATAL);

	/* Intel says what kind of address it is; AMD's is physical. */
	assert_int_equal(judge(memory & ~MISCV, PHYSICAL, true), MACHINE_CHECK_FATAL);
	assert_int_equal(judge(memory, 0, true), MACHINE_CHECK_FATAL);
	assert_int_equal(judge(memory & ~MISCV, 0, false), MACHINE_CHECK_MEMORY);
}

static void test_owner(void **state)
{
	uint8_t *blocks[2][2] = {{phys_to_virt(6 * MIB), phys_to_virt(2 * MIB)},
				 {phys_to_virt(4 * MIB), NULL}};

	(void)state;
	vm_count = 2;
	for (unsigned int i = 0; i < 2; i++)
		vms[i] = (struct vm){.status = VM_RUNNING, .blocks = blocks[i], .block_count = 2};
	assert_ptr_equal(machine_check_owner(2 * MIB), &vms[0]);
	assert_ptr_equal(machine_check_owner(4 * MIB - 1), &vms[0]);
	assert_ptr_equal(machine_check_owner(4 * MIB), &vms[1]);
	assert_ptr_equal(machine_check_owner(8 * MIB - 64), &vms[0]);
	assert_null(machine_check_owner(0));
	assert_null(machine_check_owner(8 * MIB));
	vms[1].status = VM_DYING; /* no longer its */
	assert_null(machine_check_owner(4 * MIB));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
