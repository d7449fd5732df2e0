/* SPDX-License-Identifier: BSD-2-Clause */
/* Documents: SDM vol. 3B, "Machine-Check Architecture"; APM vol. 2, chapter 9. */
#include "arch/x86_64/vcpu/machine_check.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/vcpu/cpuid.h"
#include "core/console.h"
#include "core/frames.h"
#include "core/panic.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define MCG_CAP_BANKS	0xffull
#define MCG_CAP_CTL	BIT(8)
#define MCG_STATUS_RIPV BIT(0) /* what was interrupted can go on */
#define MCG_STATUS_EIPV BIT(1) /* it is what met the error */

#define STATUS_PCC   BIT(57) /* the processor's own state is damaged */
#define STATUS_ADDRV BIT(58)
#define STATUS_MISCV BIT(59)
#define STATUS_EN    BIT(60) /* else the bank reports it, but no exception was raised for it */
#define STATUS_UC    BIT(61)
#define STATUS_OVER  BIT(62)
#define STATUS_VALID BIT(63)

/* Intel's MISC says what kind of address it is. */
#define MISC_MODE_SHIFT	   6
#define MISC_MODE_MASK	   7ull
#define MISC_MODE_PHYSICAL 2u

#define ADDRESS_MASK   0x000ffffffffff000ull
#define MSRS_PER_BANK  4u
#define BANK_MSR(m, b) ((m) + MSRS_PER_BANK * (b))
#define NOTES_MAX      8u

/*
 * What a CPU's machine checks were about, a ring: the handler cannot print, nor stop a guest. Used
 * by that CPU only.
 */
static struct lost_memory {
	struct {
		uint32_t bank;
		struct machine_check report;
	} notes[NOTES_MAX];
	uint32_t noted, reported; /* of all since the start */
} lost_memory[PCPU_MAX];

enum machine_check_effect machine_check_judge(const struct machine_check *report, bool intel)
{
	uint64_t status = report->status;

	if (!(status & STATUS_VALID) || !(status & STATUS_UC) || !(status & STATUS_EN))
		return MACHINE_CHECK_HARMLESS;
	/* After an overflow the report may be the other error's. */
	if (status & (STATUS_PCC | STATUS_OVER) || !(status & STATUS_ADDRV))
		return MACHINE_CHECK_FATAL;
	if (intel && (!(status & STATUS_MISCV) ||
		      (report->misc >> MISC_MODE_SHIFT & MISC_MODE_MASK) != MISC_MODE_PHYSICAL))
		return MACHINE_CHECK_FATAL;
	return MACHINE_CHECK_MEMORY;
}

struct vm *machine_check_owner(hpa_t address)
{
	hpa_t block = address & ADDRESS_MASK & ~(hpa_t)(BLOCK_SIZE - 1);

	for (uint32_t i = 0; i < vm_count; i++) {
		struct vm *vm = &vms[i];
		enum vm_status status = __atomic_load_n(&vm->status, __ATOMIC_ACQUIRE);
		uint8_t **blocks = __atomic_load_n(&vm->blocks, __ATOMIC_RELAXED);

		if ((!vm_is_up(status) && status != VM_STOPPING) || !blocks)
			continue;
		for (uint64_t n = 0; n < vm->block_count; n++)
			if (__atomic_load_n(&blocks[n], __ATOMIC_RELAXED) == phys_to_virt(block))
				return vm;
	}
	return NULL;
}

static uint32_t bank_count(void)
{
	uint64_t cap;

	return rdmsr_safe(MSR_MCG_CAP, &cap) < 0 ? 0 : (uint32_t)(cap & MCG_CAP_BANKS);
}

static void read_bank(uint32_t bank, struct machine_check *report)
{
	*report = (struct machine_check){0};
	if (rdmsr_safe(BANK_MSR(MSR_MC0_STATUS, bank), &report->status) < 0)
		return;
	if (report->status & STATUS_ADDRV)
		(void)rdmsr_safe(BANK_MSR(MSR_MC0_ADDR, bank), &report->address);
	if (report->status & STATUS_MISCV)
		(void)rdmsr_safe(BANK_MSR(MSR_MC0_MISC, bank), &report->misc);
}

static void print_bank(uint32_t bank, const struct machine_check *report)
{
	printk("tidepool: CPU %u: machine check: bank %u status %llx address %llx misc %llx\n",
	       this_cpu()->index, bank, (unsigned long long)report->status,
	       (unsigned long long)report->address, (unsigned long long)report->misc);
}

void machine_check_print(void)
{
	struct machine_check report;

	for (uint32_t bank = 0; bank < bank_count(); bank++) {
		read_bank(bank, &report);
		if (report.status & STATUS_VALID)
			print_bank(bank, &report);
	}
}

/* Whether no more than memory is lost of which all is guests', without side effects. */
static bool can_go_on(void)
{
	const struct lost_memory *lost = &lost_memory[this_cpu()->index];
	uint32_t room = NOTES_MAX - (lost->noted - lost->reported);
	bool intel = !cpuid_is_amd(), explained = false;
	struct machine_check report;

	for (uint32_t bank = 0; bank < bank_count(); bank++) {
		enum machine_check_effect effect;

		read_bank(bank, &report);
		effect = machine_check_judge(&report, intel);
		if (effect == MACHINE_CHECK_HARMLESS)
			continue;
		if (effect == MACHINE_CHECK_FATAL || room-- == 0)
			return false;
		/* It may be condemned since another CPU has met the same report. */
		if (!machine_check_owner(report.address) &&
		    !frames_is_condemned(report.address & ADDRESS_MASK))
			return false;
		explained = true;
	}
	/* With none, it is another CPU's; on AMD each has its own only. */
	return explained || intel;
}

/* Note what the banks say, and clear them. Returns false when that is not to be lived with. */
static bool take_reports(void)
{
	struct lost_memory *lost = &lost_memory[this_cpu()->index];
	bool intel = !cpuid_is_amd();
	struct machine_check report;

	if (!can_go_on())
		return false;
	for (uint32_t bank = 0; bank < bank_count(); bank++) {
		uint32_t next = lost->noted % NOTES_MAX;

		read_bank(bank, &report);
		if (machine_check_judge(&report, intel) == MACHINE_CHECK_MEMORY) {
			if (frames_condemn(report.address & ADDRESS_MASK) < 0)
				return false;
			lost->notes[next].bank = bank;
			lost->notes[next].report = report;
			lost->noted++;
		}
		if (report.status & STATUS_VALID)
			(void)wrmsr_safe(BANK_MSR(MSR_MC0_STATUS, bank), 0);
	}
	/* Last: while it is not clear, another one would shut the machine down. */
	(void)wrmsr_safe(MSR_MCG_STATUS, 0);
	return true;
}

static uint64_t read_mcg_status(void)
{
	uint64_t status = 0;

	(void)rdmsr_safe(MSR_MCG_STATUS, &status);
	return status;
}

void machine_check_in_guest(struct vcpu *vcpu)
{
	uint64_t status = read_mcg_status();

	if (!take_reports()) {
		machine_check_print();
		panic("machine check that no guest alone suffers from");
	}
	machine_check_report();
	if (!(status & MCG_STATUS_RIPV))
		vm_stop(vcpu->vm, VM_END_CRASH, "machine check: it cannot go on");
}

bool machine_check_in_host(void)
{
	uint64_t status = read_mcg_status();

	return status & MCG_STATUS_RIPV && !(status & MCG_STATUS_EIPV) && take_reports();
}

void machine_check_report(void)
{
	struct lost_memory *lost = &lost_memory[this_cpu()->index];

	while (lost->reported != *(volatile uint32_t *)&lost->noted) {
		uint32_t next = lost->reported % NOTES_MAX;
		const struct machine_check *report = &lost->notes[next].report;
		struct vm *owner = machine_check_owner(report->address);

		print_bank(lost->notes[next].bank, report);
		if (owner)
			vm_stop(owner, VM_END_CRASH, "machine check: its memory is bad at %llx",
				(unsigned long long)report->address);
		*(volatile uint32_t *)&lost->reported += 1;
	}
}

void machine_check_init_cpu(void)
{
	uint64_t cap;

	if (rdmsr_safe(MSR_MCG_CAP, &cap) < 0)
		return;
	if (cap & MCG_CAP_CTL)
		(void)wrmsr_safe(MSR_MCG_CTL, UINT64_MAX);
	for (uint32_t bank = 0; bank < (cap & MCG_CAP_BANKS); bank++)
		(void)wrmsr_safe(BANK_MSR(MSR_MC0_CTL, bank), UINT64_MAX);
}
