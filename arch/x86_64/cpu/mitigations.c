/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: Intel, "Speculative Execution Side Channel Mitigations" (336996), "Deep Dive: Indirect
 * Branch Restricted Speculation", "Post-barrier Return Stack Buffer Predictions", "L1 Terminal
 * Fault", "Microarchitectural Data Sampling"; AMD, "Software Techniques for Managing Speculation",
 * APM vol. 2, 3.2.9 "Speculation Control MSRs".
 */
#include "arch/x86_64/cpu/mitigations.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/percpu.h"
#include "core/console.h"
#include "core/errno.h"

#define VENDOR_AMD_EBX	 0x68747541u /* "Auth" */
#define VENDOR_HYGON_EBX 0x6f677948u /* "Hygo" */

#define LEAF7_EBX_RTM		    BIT(11)
#define LEAF7_EDX_MD_CLEAR	    BIT(10)
#define LEAF7_EDX_SPEC_CTRL	    BIT(26)
#define LEAF7_EDX_FLUSH_CMD	    BIT(28)
#define LEAF7_EDX_ARCH_CAPABILITIES BIT(29)
#define EXT8_EBX_IBPB		    BIT(12)
#define EXT8_EBX_IBRS		    BIT(14)
#define EXT8_EBX_IBRS_ALWAYS_ON	    BIT(16)
#define EXT21_EAX_LFENCE_SERIAL	    BIT(2)
#define EXT21_EAX_AUTO_IBRS	    BIT(8)

#define ARCH_CAP_PBRSB_NO   BIT(24)
#define ARCH_CAP_RFDS_NO    BIT(27)
#define ARCH_CAP_RFDS_CLEAR BIT(28)

#define EFER_AIBRSE	     BIT(21)
#define DE_CFG_LFENCE_SERIAL BIT(1)

uint8_t mitigations_flush_l1d;

static uint32_t active; /* what is done: a bit for each enum mitigation */
static uint32_t needed; /* what would be done without mitigations=off */
static bool has_spec_ctrl;

/* 1 + id of the VM that ran last on each CPU; used by that CPU only. */
static uint32_t last_vm[PCPU_MAX];

static bool has_enhanced_ibrs(const struct speculation_facts *f)
{
	return f->spec_ctrl &&
	       (f->amd ? f->ibrs_always_on : !!(f->arch_capabilities & ARCH_CAP_IBRS_ALL));
}

static bool needs_host_ibrs(const struct speculation_facts *f)
{
	return !f->auto_ibrs && has_enhanced_ibrs(f);
}

static bool needs_auto_ibrs(const struct speculation_facts *f)
{
	return f->auto_ibrs;
}

static bool needs_exit_ibrs(const struct speculation_facts *f)
{
	return f->spec_ctrl && !f->auto_ibrs && !has_enhanced_ibrs(f);
}

/*
 * Automatic IBRS clears the return stack at exits. Intel's enhanced IBRS keeps guests' entries from
 * being used, but for the one of PBRSB, which filling covers too. AMD's IBRS does neither.
 */
static bool needs_rsb(const struct speculation_facts *f)
{
	if (f->auto_ibrs)
		return false;
	return f->amd || !has_enhanced_ibrs(f) || !(f->arch_capabilities & ARCH_CAP_PBRSB_NO);
}

static bool needs_ibpb(const struct speculation_facts *f)
{
	return f->ibpb;
}

/* MDS; TAA, which needs TSX; RFDS. MMIO stale data needs a guest with a device of its own. */
static bool needs_verw(const struct speculation_facts *f)
{
	uint64_t cap = f->arch_capabilities;

	if (f->amd)
		return false;
	return !(cap & ARCH_CAP_MDS_NO) || (f->rtm && !(cap & ARCH_CAP_TAA_NO)) ||
	       (cap & ARCH_CAP_RFDS_CLEAR && !(cap & ARCH_CAP_RFDS_NO));
}

static bool has_l1tf(const struct speculation_facts *f)
{
	return !f->amd && !(f->arch_capabilities & (ARCH_CAP_RDCL_NO | ARCH_CAP_SKIP_L1DFL));
}

static bool needs_l1d(const struct speculation_facts *f)
{
	return has_l1tf(f) && f->flush_cmd;
}

static bool needs_lfence(const struct speculation_facts *f)
{
	return f->amd && !f->lfence_serial;
}

static const struct {
	const char *name;
	bool (*needed)(const struct speculation_facts *facts);
} table[MITIGATION_COUNT] = {
	[MITIGATION_HOST_IBRS] = {"IBRS", needs_host_ibrs},
	[MITIGATION_AUTO_IBRS] = {"automatic IBRS", needs_auto_ibrs},
	[MITIGATION_EXIT_IBRS] = {"IBRS at exits", needs_exit_ibrs},
	[MITIGATION_RSB] = {"return stack filled at exits", needs_rsb},
	[MITIGATION_IBPB] = {"IBPB between guests", needs_ibpb},
	[MITIGATION_VERW] = {"VERW at entries", needs_verw},
	[MITIGATION_L1D] = {"L1D flush at entries", needs_l1d},
	[MITIGATION_LFENCE] = {"serialising LFENCE", needs_lfence},
};

uint32_t mitigations_decide(const struct speculation_facts *facts)
{
	uint32_t set = 0;

	for (unsigned int i = 0; i < MITIGATION_COUNT; i++)
		if (table[i].needed(facts))
			set |= (uint32_t)BIT(i);
	return set;
}

static bool is_active(enum mitigation which)
{
	return active & BIT(which);
}

static void read_facts(struct speculation_facts *f)
{
	struct cpuid_regs first = cpuid(0, 0);
	uint32_t max_ext = cpuid_eax(0x80000000, 0);
	struct cpuid_regs leaf7 = {0};
	uint32_t ext8 = 0, ext21 = 0;
	uint64_t capabilities = 0;

	if (first.eax >= 7)
		leaf7 = cpuid(7, 0);
	if (max_ext >= 0x80000008)
		ext8 = cpuid_ebx(0x80000008, 0);
	if (max_ext >= 0x80000021)
		ext21 = cpuid_eax(0x80000021, 0);
	if (leaf7.edx & LEAF7_EDX_ARCH_CAPABILITIES &&
	    rdmsr_safe(MSR_ARCH_CAPABILITIES, &capabilities) < 0)
		capabilities = 0;
	*f = (struct speculation_facts){
		.amd = first.ebx == VENDOR_AMD_EBX || first.ebx == VENDOR_HYGON_EBX,
		.spec_ctrl = leaf7.edx & LEAF7_EDX_SPEC_CTRL || ext8 & EXT8_EBX_IBRS,
		.ibpb = leaf7.edx & LEAF7_EDX_SPEC_CTRL || ext8 & EXT8_EBX_IBPB,
		.flush_cmd = leaf7.edx & LEAF7_EDX_FLUSH_CMD,
		.md_clear = leaf7.edx & LEAF7_EDX_MD_CLEAR,
		.rtm = leaf7.ebx & LEAF7_EBX_RTM,
		.arch_capabilities = capabilities,
		.auto_ibrs = ext21 & EXT21_EAX_AUTO_IBRS,
		.ibrs_always_on = ext8 & EXT8_EBX_IBRS_ALWAYS_ON,
		.lfence_serial = ext21 & EXT21_EAX_LFENCE_SERIAL,
	};
}

static void print_active(void)
{
	const char *separator = " ";

	printk("tidepool: speculation:");
	for (unsigned int i = 0; i < MITIGATION_COUNT; i++) {
		if (active & BIT(i)) {
			printk("%s%s", separator, table[i].name);
			separator = ", ";
		}
	}
	printk("%s\n", active ? "" : " nothing is needed");
}

/* Weaknesses whose remedy would come with a microcode update, or with another processor. */
static void print_missing(const struct speculation_facts *f)
{
	const struct {
		const char *name;
		bool missing;
	} remedies[] = {
		{"IBRS", !f->spec_ctrl && !f->auto_ibrs},
		{"IBPB", !f->ibpb},
		{"a VERW that clears buffers", needs_verw(f) && !f->md_clear},
		{"L1D flush", has_l1tf(f) && !f->flush_cmd},
	};
	bool any = false;

	for (unsigned int i = 0; i < ARRAY_SIZE(remedies); i++) {
		if (remedies[i].missing) {
			printk("%s%s", any ? ", " : "tidepool: speculation: the CPU lacks ",
			       remedies[i].name);
			any = true;
		}
	}
	if (any)
		printk("\n");
}

void mitigations_init(bool off)
{
	struct speculation_facts facts;

	read_facts(&facts);
	has_spec_ctrl = facts.spec_ctrl;
	needed = mitigations_decide(&facts);
	if (off) {
		printk("tidepool: speculation: nothing is done, by mitigations=off\n");
		return;
	}
	active = needed;
	mitigations_flush_l1d = is_active(MITIGATION_L1D);
	print_active();
	print_missing(&facts);
}

/* The bit does not exist on all families, nor in all emulators. */
static void serialise_lfence(void)
{
	uint64_t value;

	if (rdmsr_safe(MSR_AMD_DE_CFG, &value) == 0)
		(void)wrmsr_safe(MSR_AMD_DE_CFG, value | DE_CFG_LFENCE_SERIAL);
}

int mitigations_init_cpu(void)
{
	struct speculation_facts facts;

	read_facts(&facts);
	if (mitigations_decide(&facts) != needed || facts.spec_ctrl != has_spec_ctrl) {
		printk("tidepool: CPU %u: needs other speculation barriers than CPU 0\n",
		       this_cpu()->index);
		return -ENODEV;
	}
	if (mitigations_host_spec_ctrl())
		wrmsr(MSR_SPEC_CTRL, mitigations_host_spec_ctrl());
	if (is_active(MITIGATION_AUTO_IBRS))
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AIBRSE);
	if (is_active(MITIGATION_LFENCE))
		serialise_lfence();
	return 0;
}

unsigned int mitigations_switch(void)
{
	unsigned int variant = 0;

	if (is_active(MITIGATION_RSB))
		variant |= SWITCH_RSB;
	if (is_active(MITIGATION_EXIT_IBRS))
		variant |= SWITCH_IBRS;
	if (is_active(MITIGATION_VERW) || is_active(MITIGATION_L1D))
		variant |= SWITCH_CLEAR;
	return variant;
}

uint64_t mitigations_host_spec_ctrl(void)
{
	return is_active(MITIGATION_HOST_IBRS) || is_active(MITIGATION_EXIT_IBRS) ? SPEC_CTRL_IBRS
										  : 0;
}

void mitigations_load(uint32_t vm_id, uint64_t spec_ctrl)
{
	uint32_t *last = &last_vm[this_cpu()->index];

	if (*last != vm_id + 1) {
		*last = vm_id + 1;
		if (is_active(MITIGATION_IBPB))
			wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
	}
	if (spec_ctrl)
		wrmsr(MSR_SPEC_CTRL, spec_ctrl | mitigations_host_spec_ctrl());
}

void mitigations_unload(uint64_t spec_ctrl)
{
	if (spec_ctrl)
		wrmsr(MSR_SPEC_CTRL, mitigations_host_spec_ctrl());
}
