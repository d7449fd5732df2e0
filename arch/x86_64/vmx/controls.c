/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which features of VMX are asked for, and what the CPU grants
 *
 * One table says for every control that the backend cares about whether it must be on, may be on,
 * or must be off. It is held against the capability MSRs of every CPU; what the first one grants,
 * all others have to grant too, because a vCPU may run on any of them.
 *
 * Documents: SDM vol. 3D, appendix A "VMX Capability Reporting Facility"; vol. 3C, "VM-Execution
 * Control Fields", "VM-Exit Control Fields", "VM-Entry Control Fields"; vol. 3C, "Enabling and
 * Entering VMX Operation" (feature control).
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/msr.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/vcpu/cpuid_bits.h"
#include "arch/x86_64/vmx/insn.h"
#include "arch/x86_64/vmx/vmx.h"
#include "core/console.h"
#include "core/errno.h"

#define CPUID_1_ECX_VMX		     BIT(5)
#define CPUID_7_EBX_INVPCID	     BIT(10)
#define CPUID_7_EDX_SPEC_CTRL	     BIT(26)
#define CPUID_LEAF_FEATURES	     7
#define CPUID_LEAF_EXTENDED_FEATURES 0x80000001

/* MSR_VMX_BASIC */
#define BASIC_REVISION		0x7fffffff
#define BASIC_SIZE_SHIFT	32
#define BASIC_SIZE_MASK		0x1fff
#define BASIC_MEMORY_TYPE_SHIFT 50
#define BASIC_MEMORY_TYPE_MASK	0xf
#define BASIC_TRUE_CONTROLS	BIT(55)
#define MEMORY_TYPE_WRITE_BACK	6

/* MSR_VMX_MISC: the preemption timer counts down each time this bit of the TSC changes */
#define MISC_PREEMPTION_SHIFT 0x1f

enum need {
	OFF,	  /* must be off; no message: VMX guarantees it, or the CPU is refused */
	OPTIONAL, /* on where the CPU has it */
	REQUIRED, /* on, or the CPU is refused */
	LATER,	  /* where the CPU has it, switched while running: off at first */
	BOTH,	  /* switched while running: off at first, but the CPU must grant on */
	RDTSCP,	  /* required on a CPU that has the instruction, or the guest gets #UD from it */
	INVPCID,  /* likewise */
};

struct control {
	enum vmx_word word;
	uint8_t bit;
	enum need need;
	const char *name;
};

static const struct control controls[] = {
	{WORD_PIN, PIN_EXTERNAL_INTERRUPT, REQUIRED, "exits for external interrupts"},
	{WORD_PIN, PIN_NMI, REQUIRED, "exits for NMIs"},
	{WORD_PIN, PIN_VIRTUAL_NMI, REQUIRED, "virtual NMIs"},
	{WORD_PIN, PIN_PREEMPTION_TIMER, OPTIONAL, "preemption timer"},

	{WORD_PRIMARY, PRIMARY_INTERRUPT_WINDOW, BOTH, "interrupt-window exits"},
	{WORD_PRIMARY, PRIMARY_TSC_OFFSETTING, REQUIRED, "TSC offsetting"},
	{WORD_PRIMARY, PRIMARY_HLT, REQUIRED, "HLT exits"},
	{WORD_PRIMARY, PRIMARY_INVLPG, OFF, "running INVLPG without exits"},
	{WORD_PRIMARY, PRIMARY_MWAIT, REQUIRED, "MWAIT exits"},
	{WORD_PRIMARY, PRIMARY_RDPMC, REQUIRED, "RDPMC exits"},
	{WORD_PRIMARY, PRIMARY_RDTSC, OFF, "running RDTSC without exits"},
	{WORD_PRIMARY, PRIMARY_CR3_LOAD, OFF, "loading CR3 without exits"},
	{WORD_PRIMARY, PRIMARY_CR3_STORE, OFF, "storing CR3 without exits"},
	{WORD_PRIMARY, PRIMARY_CR8_LOAD, REQUIRED, "CR8-load exits"},
	{WORD_PRIMARY, PRIMARY_CR8_STORE, REQUIRED, "CR8-store exits"},
	{WORD_PRIMARY, PRIMARY_TPR_SHADOW, LATER, "TPR shadow"},
	{WORD_PRIMARY, PRIMARY_NMI_WINDOW, BOTH, "NMI-window exits"},
	{WORD_PRIMARY, PRIMARY_MOV_DR, OFF, "debug registers without exits"},
	{WORD_PRIMARY, PRIMARY_IO, REQUIRED, "unconditional I/O exits"},
	{WORD_PRIMARY, PRIMARY_IO_BITMAPS, OFF, "running without I/O bitmaps"},
	{WORD_PRIMARY, PRIMARY_MONITOR_TRAP, OFF, "running without monitor traps"},
	{WORD_PRIMARY, PRIMARY_MSR_BITMAPS, REQUIRED, "MSR bitmaps"},
	{WORD_PRIMARY, PRIMARY_MONITOR, REQUIRED, "MONITOR exits"},
	{WORD_PRIMARY, PRIMARY_PAUSE, OFF, "running PAUSE without exits"},
	{WORD_PRIMARY, PRIMARY_SECONDARY, REQUIRED, "secondary controls"},

	{WORD_SECONDARY, SECONDARY_EPT, REQUIRED, "extended page tables (EPT)"},
	{WORD_SECONDARY, SECONDARY_UNRESTRICTED_GUEST, REQUIRED, "unrestricted guest"},
	{WORD_SECONDARY, SECONDARY_VPID, OPTIONAL, "virtual-processor identifiers (VPID)"},
	{WORD_SECONDARY, SECONDARY_WBINVD, REQUIRED, "WBINVD exits"},
	{WORD_SECONDARY, SECONDARY_PAUSE_LOOP, OPTIONAL, "PAUSE-loop exits"},
	{WORD_SECONDARY, SECONDARY_X2APIC, LATER, "virtual x2APIC mode"},
	{WORD_SECONDARY, SECONDARY_APIC_REGISTERS, LATER, "APIC-register virtualisation"},
	{WORD_SECONDARY, SECONDARY_VIRTUAL_INTERRUPTS, LATER, "virtual-interrupt delivery"},
	{WORD_SECONDARY, SECONDARY_RDTSCP, RDTSCP, "RDTSCP in guests"},
	{WORD_SECONDARY, SECONDARY_INVPCID, INVPCID, "INVPCID in guests"},

	{WORD_EXIT, EXIT_CTL_SAVE_DEBUG, REQUIRED, "saving debug controls"},
	{WORD_EXIT, EXIT_CTL_HOST_64BIT, REQUIRED, "a 64-bit host"},
	{WORD_EXIT, EXIT_CTL_ACK_INTERRUPT, OFF, "leaving interrupts pending at exits"},
	{WORD_EXIT, EXIT_CTL_SAVE_EFER, REQUIRED, "saving EFER"},
	{WORD_EXIT, EXIT_CTL_LOAD_EFER, REQUIRED, "loading the host's EFER"},
	{WORD_EXIT, EXIT_CTL_SAVE_TIMER, OPTIONAL, "saving the preemption timer"},

	{WORD_ENTRY, ENTRY_CTL_LOAD_DEBUG, REQUIRED, "loading debug controls"},
	{WORD_ENTRY, ENTRY_CTL_IA32E_GUEST, BOTH, "64-bit guests"},
	{WORD_ENTRY, ENTRY_CTL_LOAD_EFER, REQUIRED, "loading the guest's EFER"},

	{WORD_EPT_VPID, EPT_CAP_WALK_4, REQUIRED, "EPT of four levels"},
	{WORD_EPT_VPID, EPT_CAP_WRITE_BACK, REQUIRED, "EPT in write-back memory"},
	{WORD_EPT_VPID, EPT_CAP_2M, REQUIRED, "EPT pages of 2 MiB"},
	{WORD_EPT_VPID, EPT_CAP_INVEPT, REQUIRED, "INVEPT"},
	{WORD_EPT_VPID, EPT_CAP_INVEPT_SINGLE, REQUIRED, "INVEPT of one context"},
	{WORD_EPT_VPID, EPT_CAP_INVEPT_ALL, REQUIRED, "INVEPT of all contexts"},
	{WORD_EPT_VPID, VPID_CAP_INVVPID, OPTIONAL, "INVVPID"},
	{WORD_EPT_VPID, VPID_CAP_INVVPID_SINGLE, OPTIONAL, "INVVPID of one context"},
	{WORD_EPT_VPID, VPID_CAP_INVVPID_ALL, OPTIONAL, "INVVPID of all contexts"},
};

struct vmx_config vmx_config;

/* What a CPU grants of one word. */
struct grant {
	uint64_t must; /* bits that have to be set */
	uint64_t may;  /* bits that can be set */
};

static struct grant read_grant(uint32_t msr)
{
	uint64_t value = rdmsr(msr);

	return (struct grant){.must = (uint32_t)value, .may = value >> 32};
}

/* Reads the MSRs that the CPU has; a word that it does not have grants nothing. */
static void read_grants(uint64_t basic, struct grant grants[WORD_COUNT])
{
	bool true_controls = basic & BASIC_TRUE_CONTROLS;
	struct grant *secondary = &grants[WORD_SECONDARY];

	grants[WORD_PIN] = read_grant(true_controls ? MSR_VMX_TRUE_PINBASED
						    : MSR_VMX_PINBASED_CTLS);
	grants[WORD_PRIMARY] = read_grant(true_controls ? MSR_VMX_TRUE_PROCBASED
							: MSR_VMX_PROCBASED_CTLS);
	grants[WORD_EXIT] = read_grant(true_controls ? MSR_VMX_TRUE_EXIT : MSR_VMX_EXIT_CTLS);
	grants[WORD_ENTRY] = read_grant(true_controls ? MSR_VMX_TRUE_ENTRY : MSR_VMX_ENTRY_CTLS);

	*secondary = (struct grant){0};
	grants[WORD_EPT_VPID] = (struct grant){0};
	if (grants[WORD_PRIMARY].may & BIT(PRIMARY_SECONDARY))
		*secondary = read_grant(MSR_VMX_PROCBASED_CTLS2);
	if (secondary->may & (BIT(SECONDARY_EPT) | BIT(SECONDARY_VPID)))
		grants[WORD_EPT_VPID].may = rdmsr(MSR_VMX_EPT_VPID_CAP);
}

static bool host_has_rdtscp(void)
{
	return cpuid_edx(CPUID_LEAF_EXTENDED_FEATURES, 0) & CPUID_80000001_EDX_RDTSCP;
}

static bool host_has_invpcid(void)
{
	return cpuid_eax(0, 0) >= CPUID_LEAF_FEATURES &&
	       cpuid_ebx(CPUID_LEAF_FEATURES, 0) & CPUID_7_EBX_INVPCID;
}

static bool host_has_spec_ctrl(void)
{
	return cpuid_eax(0, 0) >= CPUID_LEAF_FEATURES &&
	       cpuid_edx(CPUID_LEAF_FEATURES, 0) & CPUID_7_EDX_SPEC_CTRL;
}

/* What a need comes down to on this CPU. */
static enum need resolve(enum need need)
{
	switch (need) {
	case RDTSCP:
		return host_has_rdtscp() ? REQUIRED : OFF;
	case INVPCID:
		return host_has_invpcid() ? REQUIRED : OFF;
	default:
		return need;
	}
}

/* Why not to speak of a control: what it belongs to is missing, and has been spoken of. */
static bool is_moot(const struct control *control, const struct grant grants[WORD_COUNT])
{
	switch (control->word) {
	case WORD_SECONDARY:
		return !(grants[WORD_PRIMARY].may & BIT(PRIMARY_SECONDARY));
	case WORD_EPT_VPID:
		return !(grants[WORD_SECONDARY].may & BIT(SECONDARY_EPT));
	default:
		return false;
	}
}

/* Settles every word. Returns 0, or -ENODEV having named everything that is missing. */
static int negotiate(const struct grant grants[WORD_COUNT], struct vmx_config *config)
{
	uint64_t *words = config->word;
	int err = 0;

	for (unsigned int i = 0; i < WORD_COUNT; i++)
		words[i] = grants[i].must;
	for (const struct control *c = controls; c < controls + ARRAY_SIZE(controls); c++) {
		const struct grant *grant = &grants[c->word];
		enum need need = resolve(c->need);
		bool can_on = grant->may & BIT(c->bit);
		bool can_off = !(grant->must & BIT(c->bit));

		if (((need == REQUIRED || need == BOTH) && !can_on) ||
		    ((need == OFF || need == BOTH || need == LATER) && !can_off)) {
			err = -ENODEV;
			if (!is_moot(c, grants))
				printk("tidepool: this CPU's VMX lacks %s; Tidepool needs it\n",
				       c->name);
			continue;
		}
		if (need == REQUIRED || (need == OPTIONAL && can_on))
			words[c->word] |= BIT(c->bit);
		if (need == LATER && can_on)
			config->later[c->word] |= BIT(c->bit);
	}
	/* They need each other. */
	config->has_apicv = config->later[WORD_PRIMARY] & BIT(PRIMARY_TPR_SHADOW) &&
			    (config->later[WORD_SECONDARY] & APICV_CONTROLS) == APICV_CONTROLS;

	/* A VPID is of use only with the means to drop what is cached under it. */
	if (!(words[WORD_EPT_VPID] & BIT(VPID_CAP_INVVPID)) ||
	    !(words[WORD_EPT_VPID] & BIT(VPID_CAP_INVVPID_SINGLE)) ||
	    !(words[WORD_EPT_VPID] & BIT(VPID_CAP_INVVPID_ALL)))
		words[WORD_SECONDARY] &= ~BIT(SECONDARY_VPID);
	return err;
}

/* Tells a CPU that grants something else than the first one. */
static int compare_with_first(const struct vmx_config *mine)
{
	const struct vmx_config *first = &vmx_config;
	bool same = mine->revision == first->revision && mine->cr0_fixed0 == first->cr0_fixed0 &&
		    mine->cr0_fixed1 == first->cr0_fixed1 &&
		    mine->cr4_fixed0 == first->cr4_fixed0 &&
		    mine->cr4_fixed1 == first->cr4_fixed1 &&
		    mine->has_tsc_aux == first->has_tsc_aux &&
		    mine->has_spec_ctrl == first->has_spec_ctrl;

	if (!same)
		printk("tidepool: CPU %u: its VMX is not the same as the first CPU's (VMCS revision "
		       "%x, the first has %x)\n",
		       this_cpu()->index, mine->revision, first->revision);
	for (unsigned int i = 0; i < WORD_COUNT; i++)
		same = same && mine->word[i] == first->word[i] && mine->later[i] == first->later[i];
	for (const struct control *c = controls; c < controls + ARRAY_SIZE(controls); c++)
		if ((mine->word[c->word] ^ first->word[c->word] ^ mine->later[c->word] ^
		     first->later[c->word]) &
		    BIT(c->bit))
			printk("tidepool: CPU %u: it and the first CPU differ in %s\n",
			       this_cpu()->index, c->name);
	return same ? 0 : -ENODEV;
}

/* The firmware may have locked VMX off. Unlocked is fine: vmx_cpu_enable() sets and locks it. */
static int check_feature_control(void)
{
	uint64_t feature = rdmsr(MSR_FEATURE_CONTROL);

	if (!(feature & FEATURE_CONTROL_LOCK) || feature & FEATURE_CONTROL_VMX)
		return 0;
	printk("tidepool: the firmware has locked VT-x (VMX) off; switch on \"Intel "
	       "Virtualization Technology\" in its set-up\n");
	return -ENODEV;
}

int vmx_cpu_check(void)
{
	struct grant grants[WORD_COUNT];
	struct vmx_config mine = {
		.has_tsc_aux = host_has_rdtscp(),
		.has_spec_ctrl = host_has_spec_ctrl(),
	};
	uint64_t basic;

	if (!(cpuid_ecx(1, 0) & CPUID_1_ECX_VMX)) {
		printk("tidepool: CPU %u has no VT-x (VMX)\n", this_cpu()->index);
		return -ENODEV;
	}
	if (check_feature_control() < 0)
		return -ENODEV;

	basic = rdmsr(MSR_VMX_BASIC);
	mine.revision = basic & BASIC_REVISION;
	if ((basic >> BASIC_SIZE_SHIFT & BASIC_SIZE_MASK) > PAGE_SIZE ||
	    (basic >> BASIC_MEMORY_TYPE_SHIFT & BASIC_MEMORY_TYPE_MASK) != MEMORY_TYPE_WRITE_BACK) {
		printk("tidepool: this CPU's VMX lacks control blocks of at most 4 KiB in write-back "
		       "memory; Tidepool needs them\n");
		return -ENODEV;
	}
	mine.preemption_shift = rdmsr(MSR_VMX_MISC) & MISC_PREEMPTION_SHIFT;
	mine.cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
	mine.cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
	mine.cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
	mine.cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);

	read_grants(basic, grants);
	if (negotiate(grants, &mine) < 0)
		return -ENODEV;
	if (this_cpu()->index != 0)
		return compare_with_first(&mine);
	vmx_config = mine;
	return 0;
}

void vmx_print_controls(void)
{
	printk("  controls: pin %x primary %x secondary %x exit %x entry %x exceptions %x\n",
	       vmread32(VMCS_PIN_CONTROLS), vmread32(VMCS_PRIMARY_CONTROLS),
	       vmread32(VMCS_SECONDARY_CONTROLS), vmread32(VMCS_EXIT_CONTROLS),
	       vmread32(VMCS_ENTRY_CONTROLS), vmread32(VMCS_EXCEPTION_BITMAP));
}
