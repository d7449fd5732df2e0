/* SPDX-License-Identifier: BSD-2-Clause */
/* What machine-check banks' reports mean, whose memory they are about, and who ends by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define this_cpu hw_this_cpu
#include "arch/x86_64/cpu/percpu.h"
#undef this_cpu
#include "core/errno.h"
#include "core/vm/vm.h"

static struct pcpu cpu;

static inline struct pcpu *this_cpu(void)
{
	return &cpu;
}

#include "arch/x86_64/vcpu/machine_check.c"

#define BANKS	   6u
#define RIPV	   BIT(0)
#define EIPV	   BIT(1)
#define MCIP	   BIT(2)
#define BANK_WORDS 4u

uint64_t image_load_base;
struct vm vms[CONFIG_MAX_GUESTS];
uint32_t vm_count;

static uint64_t mcg_status, banks[BANKS][BANK_WORDS];
static bool amd;
static jmp_buf panicked;
static struct vm *stopped[4];
static unsigned int nr_stopped, nr_printed;
static hpa_t condemned[2];
static unsigned int nr_condemned;

static uint64_t *msr_at(uint32_t msr)
{
	if (msr == MSR_MCG_STATUS)
		return &mcg_status;
	assert_in_range(msr, MSR_MC0_CTL, MSR_MC0_CTL + BANKS * BANK_WORDS - 1);
	return &banks[(msr - MSR_MC0_CTL) / BANK_WORDS][(msr - MSR_MC0_CTL) % BANK_WORDS];
}

int rdmsr_safe(uint32_t msr, uint64_t *value)
{
	*value = msr == MSR_MCG_CAP ? BANKS : *msr_at(msr);
	return 0;
}

int wrmsr_safe(uint32_t msr, uint64_t value)
{
	*msr_at(msr) = value;
	return 0;
}

bool cpuid_is_amd(void)
{
	return amd;
}

void printk(const char *fmt, ...)
{
	(void)fmt;
	nr_printed++;
}

void panic(const char *fmt, ...)
{
	(void)fmt;
	longjmp(panicked, 1);
}

void vm_stop(struct vm *vm, enum vm_end end, const char *fmt, ...)
{
	(void)fmt;
	assert_int_equal(end, VM_END_CRASH);
	if (!vm_is_up(vm->status))
		return;
	vm->status = VM_STOPPING;
	stopped[nr_stopped++] = vm;
}

int frames_condemn(hpa_t address)
{
	if (nr_condemned == ARRAY_SIZE(condemned))
		return -ENOSPC;
	condemned[nr_condemned++] = address;
	return 0;
}

bool frames_is_condemned(hpa_t address)
{
	for (unsigned int i = 0; i < nr_condemned; i++)
		if (condemned[i] >> BLOCK_SHIFT == address >> BLOCK_SHIFT)
			return true;
	return false;
}

#define VALID	 BIT(63)
#define OVERFLOW BIT(62)
#define UC	 BIT(61)
#define ENABLED	 BIT(60)
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
	const uint64_t memory = VALID | UC | ENABLED | MISCV | ADDRV;

	(void)state;
	assert_int_equal(judge(0, 0, true), MACHINE_CHECK_HARMLESS);
	assert_int_equal(judge(memory & ~VALID, PHYSICAL, true), MACHINE_CHECK_HARMLESS);
	assert_int_equal(judge(memory & ~UC, PHYSICAL, true), MACHINE_CHECK_HARMLESS);
	assert_int_equal(judge((memory & ~ENABLED) | PCC, 0, true), MACHINE_CHECK_HARMLESS);
	assert_int_equal(judge(memory, PHYSICAL, true), MACHINE_CHECK_MEMORY);
	assert_int_equal(judge(memory | PCC, PHYSICAL, true), MACHINE_CHECK_FATAL);
	assert_int_equal(judge(memory | OVERFLOW, PHYSICAL, true), MACHINE_CHECK_FATAL);
	assert_int_equal(judge(memory & ~ADDRV, PHYSICAL, true), MACHINE_CHECK_FATAL);

	/* Intel says what kind of address it is; AMD's is physical. */
	assert_int_equal(judge(memory & ~MISCV, PHYSICAL, true), MACHINE_CHECK_FATAL);
	assert_int_equal(judge(memory, 0, true), MACHINE_CHECK_FATAL);
	assert_int_equal(judge(memory & ~MISCV, 0, false), MACHINE_CHECK_MEMORY);
}

static uint8_t *blocks[2][2];

static int set_up(void **state)
{
	(void)state;
	blocks[0][0] = phys_to_virt(6 * MIB);
	blocks[0][1] = phys_to_virt(2 * MIB);
	blocks[1][0] = phys_to_virt(4 * MIB);
	vm_count = 2;
	for (unsigned int i = 0; i < 2; i++)
		vms[i] = (struct vm){.status = VM_RUNNING, .blocks = blocks[i], .block_count = 2};
	memset(banks, 0, sizeof(banks));
	mcg_status = MCIP | RIPV;
	nr_stopped = nr_printed = nr_condemned = 0;
	return 0;
}

static void test_owner(void **state)
{
	(void)state;
	assert_ptr_equal(machine_check_owner(2 * MIB), &vms[0]);
	assert_ptr_equal(machine_check_owner(4 * MIB - 1), &vms[0]);
	assert_ptr_equal(machine_check_owner(4 * MIB), &vms[1]);
	assert_ptr_equal(machine_check_owner(8 * MIB - 64), &vms[0]);
	assert_null(machine_check_owner(0));
	assert_null(machine_check_owner(8 * MIB));
	vms[1].status = VM_STOPPING; /* still its */
	assert_ptr_equal(machine_check_owner(4 * MIB), &vms[1]);
	vms[1].status = VM_DYING; /* no longer */
	assert_null(machine_check_owner(4 * MIB));
	vms[0].blocks = NULL; /* is being built */
	assert_null(machine_check_owner(2 * MIB));
}

static void set_bank(unsigned int bank, uint64_t status, uint64_t address)
{
	banks[bank][1] = status;
	banks[bank][2] = address;
	banks[bank][3] = PHYSICAL;
}

#define LOST (VALID | UC | ENABLED | MISCV | ADDRV)

static void test_memory_of_a_guest_ends_that_guest(void **state)
{
	struct vcpu vcpu = {.vm = &vms[0]};

	(void)state;
	set_bank(1, VALID, 0); /* corrected */
	set_bank(3, LOST, 5 * MIB);
	machine_check_in_guest(&vcpu);
	assert_int_equal(nr_stopped, 1);
	assert_ptr_equal(stopped[0], &vms[1]);
	assert_int_equal(nr_condemned, 1);
	assert_int_equal(banks[1][1] | banks[3][1] | mcg_status, 0);

	/* Another CPU, which shares the bank, comes later. The highest bits are no address. */
	set_bank(3, LOST, BIT(63) | 5 * MIB);
	vms[1].status = VM_STOPPED;
	mcg_status = MCIP; /* and its guest cannot go on */
	machine_check_in_guest(&vcpu);
	assert_int_equal(nr_stopped, 2);
	assert_ptr_equal(stopped[1], &vms[0]);
}

static void expect_end_of_host(void)
{
	struct vcpu vcpu = {.vm = &vms[0]};
	uint64_t status = mcg_status;

	assert_false(machine_check_in_host());
	assert_int_equal(mcg_status, status); /* to be printed */
	if (setjmp(panicked) == 0) {
		machine_check_in_guest(&vcpu);
		fail_msg("the host goes on");
	}
	assert_int_equal(nr_stopped, 0);
}

static void test_what_nobody_alone_suffers_from_ends_the_host(void **state)
{
	(void)state;
	set_bank(0, LOST, 5 * MIB);
	set_bank(3, LOST, 64 * MIB); /* the hypervisor's, the store's, or nobody's */
	expect_end_of_host();
	assert_int_equal(banks[0][1], LOST);
	set_bank(3, LOST | PCC, 5 * MIB);
	expect_end_of_host();
	set_bank(3, LOST & ~ADDRV, 0);
	expect_end_of_host();
}

static void test_a_cpu_that_reports_nothing(void **state)
{
	struct vcpu vcpu = {.vm = &vms[0]};

	(void)state;
	set_bank(2, VALID | UC, 0); /* as QEMU does to those beside */
	machine_check_in_guest(&vcpu);
	assert_int_equal(nr_stopped, 0);
	mcg_status = MCIP | RIPV;
	assert_true(machine_check_in_host());
	assert_int_equal(mcg_status, 0);
	machine_check_report();
	assert_int_equal(nr_printed, 0);

	amd = true; /* no other CPU can be meant */
	mcg_status = MCIP | RIPV;
	expect_end_of_host();
	amd = false;
}

static void test_the_host_goes_on_if_it_can(void **state)
{
	(void)state;
	set_bank(5, LOST, 3 * MIB);
	mcg_status = MCIP;
	assert_false(machine_check_in_host());
	mcg_status = MCIP | RIPV | EIPV; /* it read that memory itself */
	assert_false(machine_check_in_host());
	assert_int_equal(nr_condemned, 0);

	mcg_status = MCIP | RIPV;
	assert_true(machine_check_in_host());
	assert_int_equal(nr_stopped + nr_printed, 0); /* not in the handler */
	assert_int_equal(nr_condemned, 1);
	machine_check_report();
	assert_int_equal(nr_stopped, 1);
	assert_ptr_equal(stopped[0], &vms[0]);
	assert_int_equal(nr_printed, 1);
	machine_check_report();
	assert_int_equal(nr_printed, 1);
}

/* More come before any is reported: as many as can be kept. */
static void test_no_report_is_lost(void **state)
{
	unsigned int n;

	(void)state;
	for (n = 0; n < 9; n++) {
		nr_condemned = 0;
		mcg_status = MCIP | RIPV;
		set_bank(0, LOST, 3 * MIB);
		if (!machine_check_in_host())
			break;
	}
	assert_int_equal(n, 8);
	machine_check_report();
	assert_int_equal(nr_printed, 8);
	assert_true(machine_check_in_host());

	/* Nor is memory handed out that cannot be noted as bad. */
	nr_condemned = 2;
	set_bank(0, LOST, 3 * MIB);
	assert_false(machine_check_in_host());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test_setup(test_owner, set_up),
		cmocka_unit_test_setup(test_memory_of_a_guest_ends_that_guest, set_up),
		cmocka_unit_test_setup(test_what_nobody_alone_suffers_from_ends_the_host, set_up),
		cmocka_unit_test_setup(test_a_cpu_that_reports_nothing, set_up),
		cmocka_unit_test_setup(test_the_host_goes_on_if_it_can, set_up),
		cmocka_unit_test_setup(test_no_report_is_lost, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
