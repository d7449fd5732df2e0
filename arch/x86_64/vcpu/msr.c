/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSRs by allow-list: what the table does not name answers with #GP, reads and writes alike. No
 * entry reads a host register that is not constant, or writes one, but for those that
 * vcpu_load()/vcpu_unload() switch with the vCPU, and the command register IA32_PRED_CMD.
 *
 * Not here, because they never exit: SYSENTER_*, STAR, LSTAR, CSTAR, SFMASK, FS, GS and KERNEL_GS
 * base. The backends switch them.
 *
 * Documents: SDM vol. 4 chapter 2; APM vol. 2 appendix A; the same register may have another name.
 */
#include "arch/x86_64/cpu/msr.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/mitigations.h"
#include "arch/x86_64/vcpu/cpuid.h"
#include "arch/x86_64/vcpu/cpuid_bits.h"
#include "arch/x86_64/vcpu/host.h"
#include "arch/x86_64/vcpu/msr_policy.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/vcpu/pvclock.h"
#include "arch/x86_64/virt.h"
#include "core/errno.h"
#include "core/time.h"
#include "core/vm/vcpu.h"

#define MTRR_CAP_WC	  BIT(10) /* no variable and no fixed ranges: all is the default type */
#define MTRR_TYPE_MASK	  0xffull
#define MTRR_FIXED_ENABLE BIT(10)
#define MTRR_ENABLE	  BIT(11)
#define MTRR_TYPES	  (BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6)) /* UC, WC, WT, WP, WB */
#define MTRR_TYPE_WB	  6u
#define PAT_TYPES	  (MTRR_TYPES | BIT(7)) /* and UC- */
#define PAT_ENTRIES	  8u

#define MICROCODE_INTEL	   BIT(32)
#define MICROCODE_AMD	   0x01000065u
#define HWCR_TSC_FREQUENCY BIT(24) /* the TSC counts at the frequency of P0 */
/* Switches for TLB cache, flush filter, IGNNE and McStatusWrEn: kernels set them unasked. */
#define HWCR_IGNORED (BIT(3) | BIT(6) | BIT(8) | BIT(18))

/*
 * IA32_ARCH_CAPABILITIES: immunities. Bits that announce further MSRs are not among them, nor
 * SKIP_L1DFL, which speaks to hypervisors.
 */
#define ARCH_CAP_SBDR_SSDP_NO BIT(13)
#define ARCH_CAP_FBSDP_NO     BIT(14)
#define ARCH_CAP_PSDP_NO      BIT(15)
#define ARCH_CAP_FB_CLEAR     BIT(17)
#define ARCH_CAP_RRSBA	      BIT(19)
#define ARCH_CAP_BHI_NO	      BIT(20)
#define ARCH_CAP_PBRSB_NO     BIT(24)
#define ARCH_CAP_GDS_NO	      BIT(26)
#define ARCH_CAP_RFDS_NO      BIT(27)
#define ARCH_CAP_RFDS_CLEAR   BIT(28)
#define ARCH_CAP_SHOWN                                                                             \
	(ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RSBA | ARCH_CAP_SSB_NO |                  \
	 ARCH_CAP_MDS_NO | ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO | ARCH_CAP_SBDR_SSDP_NO |     \
	 ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | ARCH_CAP_FB_CLEAR | ARCH_CAP_RRSBA |               \
	 ARCH_CAP_BHI_NO | ARCH_CAP_PBRSB_NO | ARCH_CAP_GDS_NO | ARCH_CAP_RFDS_NO |                \
	 ARCH_CAP_RFDS_CLEAR)

/* What a guest reads there. Written by msr_policy_init() only. */
static uint64_t arch_capabilities;

/* ---- which processors have it -------------------------------------------------------------- */

static bool is_intel(void)
{
	return !cpuid_is_amd();
}

static bool shows_spec_ctrl(void)
{
	return cpuid_guest_bits(0x7, 0).edx & CPUID_7_EDX_SPEC_CTRL;
}

static bool shows_ibpb(void)
{
	return shows_spec_ctrl() || cpuid_guest_bits(0x80000008, 0).ebx & CPUID_80000008_EBX_IBPB;
}

static bool shows_arch_capabilities(void)
{
	return cpuid_guest_bits(0x7, 0).edx & CPUID_7_EDX_ARCH_CAPABILITIES;
}

static bool shows_rdtscp(void)
{
	return cpuid_guest_bits(0x80000001, 0).edx & CPUID_80000001_EDX_RDTSCP;
}

/* ---- the time-stamp counter ---------------------------------------------------------------- */

static int read_tsc(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = time_ticks() + vcpu->arch.tsc_offset;
	return 0;
}

/* Moves the guest's TSC; TSC_ADJUST keeps the sum of all moves, whichever MSR made them. */
static void move_tsc(struct vcpu *vcpu, uint64_t distance)
{
	vcpu->arch.tsc_offset += distance;
	vcpu->arch.tsc_adjust += distance;
	virt->set_tsc_offset(vcpu);
	lapic_tsc_changed(vcpu);
	pvclock_update(vcpu);
}

static int write_tsc(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	move_tsc(vcpu, value - (time_ticks() + vcpu->arch.tsc_offset));
	return 0;
}

static int read_tsc_adjust(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.tsc_adjust;
	return 0;
}

static int write_tsc_adjust(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	move_tsc(vcpu, value - vcpu->arch.tsc_adjust);
	return 0;
}

static int read_tsc_aux(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.tsc_aux;
	return 0;
}

static int write_tsc_aux(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (value > UINT32_MAX)
		return -EINVAL;
	vcpu->arch.tsc_aux = value;
	host_wrmsr(msr, value); /* for RDTSCP and RDPID; switched with the vCPU */
	return 0;
}

static int read_system_time(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.system_time;
	return 0;
}

static int write_system_time(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	return pvclock_set_system_time(vcpu, value);
}

static int read_wall_clock(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.wall_clock;
	return 0;
}

static int write_wall_clock(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	return pvclock_set_wall_clock(vcpu, value);
}

/* ---- memory types: remembered; all of a guest's memory is ordinary RAM ---------------------- */

static int read_pat(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.pat;
	return 0;
}

static int write_pat(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	for (unsigned int i = 0; i < PAT_ENTRIES; i++) {
		uint8_t type = (uint8_t)(value >> (8 * i));

		if (type > 7 || !(PAT_TYPES & BIT(type)))
			return -EINVAL;
	}
	vcpu->arch.pat = value;
	return 0;
}

static int read_mtrr_def_type(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.mtrr_def_type;
	return 0;
}

static int write_mtrr_def_type(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint64_t type = value & MTRR_TYPE_MASK;

	(void)msr;
	if (value & ~(MTRR_TYPE_MASK | MTRR_FIXED_ENABLE | MTRR_ENABLE))
		return -EINVAL;
	if (type > 7 || !(MTRR_TYPES & BIT(type)))
		return -EINVAL;
	vcpu->arch.mtrr_def_type = value;
	return 0;
}

/* ---- modes ---------------------------------------------------------------------------------- */

static int read_efer(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = virt->get_efer(vcpu);
	return 0;
}

/* LMA is the processor's: what is written there is ignored (SDM vol. 3A, "IA32_EFER MSR"). */
static int write_efer(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint32_t features = cpuid_guest_bits(0x80000001, 0).edx;
	uint64_t allowed = EFER_LMA, old = virt->get_efer(vcpu);
	struct vcpu_paging paging;

	(void)msr;
	if (features & CPUID_80000001_EDX_SYSCALL)
		allowed |= EFER_SCE;
	if (features & CPUID_80000001_EDX_LM)
		allowed |= EFER_LME;
	if (features & CPUID_80000001_EDX_NX)
		allowed |= EFER_NXE;
	if (value & ~allowed)
		return -EINVAL;
	if ((value ^ old) & EFER_LME) {
		virt->get_paging(vcpu, &paging);
		if (paging.cr0 & CR0_PG)
			return -EINVAL;
	}
	virt->set_efer(vcpu, (value & ~EFER_LMA) | (old & EFER_LMA));
	return 0;
}

static int read_misc_enable(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.misc_enable | MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL;
	return 0;
}

static int write_misc_enable(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	value &= ~(MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL); /* read-only */
	if (value & ~MISC_ENABLE_FAST_STRING)
		return -EINVAL;
	vcpu->arch.misc_enable = value;
	return 0;
}

/* ---- speculation ---------------------------------------------------------------------------- */

static int read_spec_ctrl(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->arch.spec_ctrl;
	return 0;
}

/* Stays in the processor while the vCPU is loaded; vcpu_unload() puts the host's back. */
static int write_spec_ctrl(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint64_t allowed = SPEC_CTRL_IBRS | SPEC_CTRL_STIBP;

	if (cpuid_guest_bits(0x7, 0).edx & CPUID_7_EDX_SSBD)
		allowed |= SPEC_CTRL_SSBD;
	if (value & ~allowed)
		return -EINVAL;
	vcpu->arch.spec_ctrl = value;
	host_wrmsr(msr, value | mitigations_host_spec_ctrl());
	return 0;
}

static int write_pred_cmd(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	if (value & ~PRED_CMD_IBPB)
		return -EINVAL;
	if (value)
		host_wrmsr(msr, value);
	return 0;
}

static int read_arch_capabilities(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu, (void)msr;
	*value = arch_capabilities;
	return 0;
}

/* ---- AMD ------------------------------------------------------------------------------------ */

static int write_hwcr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu, (void)msr;
	return value & ~(HWCR_TSC_FREQUENCY | HWCR_IGNORED) ? -EINVAL : 0;
}

/* ---- the table ------------------------------------------------------------------------------ */

static int write_ignored(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu, (void)msr, (void)value;
	return 0;
}

/* Kernels write a few registers with what they hold, or hold after reset: 0. */
static int write_zero(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu, (void)msr;
	return value ? -EINVAL : 0;
}

struct msr_row {
	uint32_t first, last;					       /* last 0: only the first */
	bool (*present)(void);					       /* NULL: always */
	int (*read)(struct vcpu *vcpu, uint32_t msr, uint64_t *value); /* NULL: @fixed */
	int (*write)(struct vcpu *vcpu, uint32_t msr, uint64_t value); /* NULL: #GP */
	uint64_t fixed;
	bool write_only;
};

static const struct msr_row rows[] = {
	{.first = MSR_TSC, .read = read_tsc, .write = write_tsc},
	{.first = MSR_PLATFORM_ID, .present = is_intel},
	{.first = MSR_APIC_BASE, .read = lapic_msr_read, .write = lapic_msr_write},
	{.first = MSR_FEATURE_CONTROL, .present = is_intel, .fixed = FEATURE_CONTROL_LOCK},
	{.first = MSR_TSC_ADJUST, .read = read_tsc_adjust, .write = write_tsc_adjust},
	{.first = MSR_SPEC_CTRL,
	 .present = shows_spec_ctrl,
	 .read = read_spec_ctrl,
	 .write = write_spec_ctrl},
	{.first = MSR_PRED_CMD, .present = shows_ibpb, .write_only = true, .write = write_pred_cmd},
	{.first = MSR_BIOS_SIGN_ID,
	 .present = is_intel,
	 .fixed = MICROCODE_INTEL,
	 .write = write_ignored},
	{.first = MSR_BIOS_SIGN_ID,
	 .present = cpuid_is_amd,
	 .fixed = MICROCODE_AMD,
	 .write = write_ignored},
	{.first = MSR_PLATFORM_INFO, .present = is_intel},
	{.first = MSR_MTRR_CAP, .fixed = MTRR_CAP_WC},
	{.first = MSR_ARCH_CAPABILITIES,
	 .present = shows_arch_capabilities,
	 .read = read_arch_capabilities},
	{.first = MSR_MCG_CAP}, /* no banks */
	{.first = MSR_MCG_STATUS, .write = write_zero},
	{.first = MSR_MISC_ENABLE,
	 .present = is_intel,
	 .read = read_misc_enable,
	 .write = write_misc_enable},
	{.first = MSR_DEBUGCTL, .write = write_zero},
	{.first = MSR_PAT, .read = read_pat, .write = write_pat},
	{.first = MSR_MTRR_DEF_TYPE, .read = read_mtrr_def_type, .write = write_mtrr_def_type},
	{.first = MSR_TSC_DEADLINE, .read = lapic_msr_read, .write = lapic_msr_write},
	{.first = MSR_X2APIC_BASE,
	 .last = MSR_X2APIC_LAST,
	 .read = lapic_msr_read,
	 .write = lapic_msr_write},
	{.first = MSR_PV_WALL_CLOCK, .read = read_wall_clock, .write = write_wall_clock},
	{.first = MSR_PV_SYSTEM_TIME, .read = read_system_time, .write = write_system_time},
	{.first = MSR_EFER, .read = read_efer, .write = write_efer},
	{.first = MSR_TSC_AUX,
	 .present = shows_rdtscp,
	 .read = read_tsc_aux,
	 .write = write_tsc_aux},
	{.first = MSR_AMD_SYSCFG, .present = cpuid_is_amd, .write = write_zero},
	{.first = MSR_AMD_HWCR,
	 .present = cpuid_is_amd,
	 .fixed = HWCR_TSC_FREQUENCY,
	 .write = write_hwcr},
	{.first = MSR_AMD_NB_CFG, .present = cpuid_is_amd, .write = write_ignored},
	{.first = MSR_AMD_INT_PENDING_MSG, .present = cpuid_is_amd, .write = write_zero},
	{.first = MSR_AMD_MMIO_CONF_BASE, .present = cpuid_is_amd, .write = write_zero},
	{.first = MSR_VM_CR, .present = cpuid_is_amd, .fixed = VM_CR_SVMDIS | VM_CR_LOCK},
};

static const struct msr_row *find_row(uint32_t msr)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct msr_row *row = &rows[i];
		uint32_t last = row->last ? row->last : row->first;

		if (msr >= row->first && msr <= last && (!row->present || row->present()))
			return row;
	}
	return NULL;
}

int msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const struct msr_row *row = find_row(msr);

	if (!row || row->write_only)
		return -EINVAL;
	if (row->read)
		return row->read(vcpu, msr, value);
	*value = row->fixed;
	return 0;
}

int msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = find_row(msr);

	if (!row || !row->write)
		return -EINVAL;
	return row->write(vcpu, msr, value);
}

void msr_init(struct vcpu *vcpu)
{
	vcpu->arch.pat = PAT_RESET;
	vcpu->arch.misc_enable = MISC_ENABLE_FAST_STRING;
	vcpu->arch.mtrr_def_type = MTRR_ENABLE | MTRR_TYPE_WB;
}

void msr_policy_init(void)
{
	arch_capabilities = 0;
	if (shows_arch_capabilities())
		arch_capabilities = host_rdmsr(MSR_ARCH_CAPABILITIES) & ARCH_CAP_SHOWN;
	if (!shows_spec_ctrl())
		arch_capabilities &= ~ARCH_CAP_IBRS_ALL;
}
