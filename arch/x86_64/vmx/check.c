/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which check of the guest's state failed
 *
 * The processor only says that one did. These are its checks in the manual's order, as far as they
 * can fail with the controls that this backend sets; each that fails is printed by name.
 *
 * Documents: SDM vol. 3C, "Checks on the Guest State Area".
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vmx/insn.h"
#include "arch/x86_64/vmx/vmx.h"
#include "core/console.h"
#include "core/vm/vm.h"

#define RFLAGS_MUST_BE_0 (0xffffffffffc00000ull | BIT(15) | BIT(5) | BIT(3))
#define ACTIVITY_LAST	 3

#define TYPE_ACCESSED	BIT(0)
#define TYPE_CODE	BIT(3)
#define TYPE_BUSY_TSS16 3u
#define TYPE_BUSY_TSS	11u
#define TYPE_LDT	2u
#define ATTR_S		BIT(4)
#define ATTR_P		BIT(7)
#define ATTR_BIG	BIT(14)
#define ATTR_GRANULAR	BIT(15)
#define ATTR_RESERVED	0xfffe0f00u

struct check {
	bool failed;
	const char *name;
};

static unsigned int print_failed(const struct vcpu *vcpu, const struct check *checks,
				 unsigned int count, const char *prefix)
{
	unsigned int failed = 0;

	for (unsigned int i = 0; i < count; i++) {
		if (!checks[i].failed)
			continue;
		printk("tidepool: guest %s: VM entry: %s%s\n", vcpu->vm->name, prefix,
		       checks[i].name);
		failed++;
	}
	return failed;
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static unsigned int check_control_registers(const struct vcpu *vcpu)
{
	uint64_t cr0 = vmread(VMCS_GUEST_CR0), cr4 = vmread(VMCS_GUEST_CR4);
	uint64_t efer = vmread(VMCS_GUEST_EFER);
	bool long_mode = vmread32(VMCS_ENTRY_CONTROLS) & BIT(ENTRY_CTL_IA32E_GUEST);
	uint64_t free_bits = CR0_PE | CR0_PG; /* for unrestricted guests */
	const struct check checks[] = {
		{vmx_config.cr0_fixed0 & ~free_bits & ~cr0, "CR0 lacks bits that VMX wants"},
		{cr0 & ~vmx_config.cr0_fixed1, "CR0 has bits that VMX does not allow"},
		{cr0 & CR0_PG && !(cr0 & CR0_PE), "CR0.PG without CR0.PE"},
		{vmx_config.cr4_fixed0 & ~cr4, "CR4 lacks bits that VMX wants"},
		{cr4 & ~vmx_config.cr4_fixed1, "CR4 has bits that VMX does not allow"},
		{long_mode && !(cr0 & CR0_PG), "64-bit mode without CR0.PG"},
		{long_mode && !(cr4 & CR4_PAE), "64-bit mode without CR4.PAE"},
		{!long_mode && cr4 & CR4_PCIDE, "CR4.PCIDE outside of 64-bit mode"},
		{vmread(VMCS_GUEST_DR7) >> 32, "DR7 bits 63:32"},
		{!is_canonical(vmread(VMCS_GUEST_SYSENTER_ESP)), "SYSENTER_ESP is not canonical"},
		{!is_canonical(vmread(VMCS_GUEST_SYSENTER_EIP)), "SYSENTER_EIP is not canonical"},
		{!!(efer & EFER_LMA) != long_mode, "EFER.LMA differs from the entry control"},
		{cr0 & CR0_PG && !!(efer & EFER_LME) != !!(efer & EFER_LMA),
		 "EFER.LME differs from EFER.LMA with paging on"},
	};

	return print_failed(vcpu, checks, ARRAY_SIZE(checks), "");
}

/* The limit's low and high bits have to fit the granularity. */
static bool limit_is_odd(const struct vcpu_segment *s)
{
	return s->attr & ATTR_GRANULAR ? (s->limit & 0xfff) != 0xfff : s->limit >> 20;
}

static unsigned int check_segment(const struct vcpu *vcpu, enum segment seg,
				  const struct vcpu_segment *s, bool v86)
{
	static const char *const names[SEG_COUNT] = {
		"ES: ", "CS: ", "SS: ", "DS: ", "FS: ", "GS: ", "LDTR: ", "TR: "};
	bool usable = !(s->attr & SEGMENT_ATTR_UNUSABLE);
	bool system = seg == SEG_LDTR || seg == SEG_TR;
	bool wide_base = system || seg == SEG_FS || seg == SEG_GS;
	uint32_t type = s->attr & ATTR_TYPE;
	bool long_mode = vmread(VMCS_GUEST_EFER) & EFER_LMA;
	const struct check any[] = {
		{seg == SEG_TR && !usable, "unusable"},
		{wide_base && (usable || !system) && !is_canonical(s->base),
		 "base is not canonical"},
		{!wide_base && (usable || seg == SEG_CS) && s->base >> 32, "base bits 63:32"},
		{system && usable && s->selector & 4, "selector names the LDT"},
	};
	const struct check v86_rules[] = {
		{!system && s->base != (uint64_t)s->selector << 4, "base in virtual-8086 mode"},
		{!system && s->limit != 0xffff, "limit in virtual-8086 mode"},
		{!system && s->attr != 0xf3, "access rights in virtual-8086 mode"},
	};
	const struct check rules[] = {
		{!(s->attr & ATTR_P), "not present"},
		{s->attr & ATTR_RESERVED & ~SEGMENT_ATTR_UNUSABLE, "reserved access rights"},
		{!system && !(s->attr & ATTR_S), "is a system segment"},
		{system && s->attr & ATTR_S, "is no system segment"},
		{limit_is_odd(s), "limit does not fit its granularity"},
		{!system && !(type & TYPE_ACCESSED), "not accessed"},
		{seg == SEG_CS && !(type & TYPE_CODE) && type != 3, "type is not code"},
		{seg == SEG_SS && type != 3 && type != 7, "type is not writable data"},
		{!system && seg != SEG_CS && type & TYPE_CODE && !(type & 2), "unreadable code"},
		{seg == SEG_LDTR && type != TYPE_LDT, "type is not LDT"},
		{seg == SEG_TR && type != TYPE_BUSY_TSS && (long_mode || type != TYPE_BUSY_TSS16),
		 "type is not a busy TSS"},
		{seg == SEG_CS && long_mode && s->attr & ATTR_LONG && s->attr & ATTR_BIG,
		 "L and D are both 1"},
	};
	unsigned int failed = print_failed(vcpu, any, ARRAY_SIZE(any), names[seg]);

	if (v86)
		failed += print_failed(vcpu, v86_rules, ARRAY_SIZE(v86_rules), names[seg]);
	if (usable && (!v86 || system))
		failed += print_failed(vcpu, rules, ARRAY_SIZE(rules), names[seg]);
	return failed;
}

static unsigned int check_segments(struct vcpu *vcpu)
{
	bool v86 = vmread(VMCS_GUEST_RFLAGS) & RFLAGS_VM;
	struct vcpu_state state;
	unsigned int failed = 0;
	struct check tables[] = {
		{false, "GDTR base is not canonical"},
		{false, "IDTR base is not canonical"},
		{vmread(VMCS_GUEST_GDTR_LIMIT) > UINT16_MAX, "GDTR limit"},
		{vmread(VMCS_GUEST_IDTR_LIMIT) > UINT16_MAX, "IDTR limit"},
	};

	vmx_get_state(vcpu, &state);
	for (enum segment seg = 0; seg < SEG_COUNT; seg++)
		failed += check_segment(vcpu, seg, &state.seg[seg], v86);
	tables[0].failed = !is_canonical(state.gdtr.base);
	tables[1].failed = !is_canonical(state.idtr.base);
	return failed + print_failed(vcpu, tables, ARRAY_SIZE(tables), "");
}

static unsigned int check_execution(const struct vcpu *vcpu)
{
	uint64_t rip = vmread(VMCS_GUEST_RIP), rflags = vmread(VMCS_GUEST_RFLAGS);
	uint32_t blocking = vmread32(VMCS_GUEST_INTERRUPTIBILITY);
	uint32_t event = vmread32(VMCS_ENTRY_EVENT), type = event & EVENT_TYPE;
	bool interrupt = event & EVENT_VALID && type == EVENT_TYPE_INTERRUPT;
	bool nmi = event & EVENT_VALID && type == EVENT_TYPE_NMI;
	bool long_mode = vmread(VMCS_GUEST_EFER) & EFER_LMA;
	bool shadow = blocking & INTERRUPTIBILITY_SHADOW;
	bool step_pending = vmread(VMCS_GUEST_PENDING_DEBUG) & DEBUG_BS;
	const struct check checks[] = {
		{!vmx_is_64bit_mode() && rip >> 32, "RIP bits 63:32 outside of 64-bit code"},
		{vmx_is_64bit_mode() && !is_canonical(rip), "RIP is not canonical"},
		{rflags & RFLAGS_MUST_BE_0 || !(rflags & RFLAGS_RESERVED), "RFLAGS reserved bits"},
		{rflags & RFLAGS_VM && (long_mode || !(vmread(VMCS_GUEST_CR0) & CR0_PE)),
		 "RFLAGS.VM in this mode"},
		{interrupt && !(rflags & RFLAGS_IF), "interrupt injected with RFLAGS.IF clear"},
		{vmread(VMCS_GUEST_ACTIVITY) > ACTIVITY_LAST, "activity state"},
		{(blocking & INTERRUPTIBILITY_SHADOW) == INTERRUPTIBILITY_SHADOW,
		 "blocking by STI and by MOV SS"},
		{blocking & INTERRUPTIBILITY_STI && !(rflags & RFLAGS_IF),
		 "blocking by STI with RFLAGS.IF clear"},
		{interrupt && shadow, "interrupt injected while it is blocked"},
		{nmi && blocking & (INTERRUPTIBILITY_MOV_SS | INTERRUPTIBILITY_NMI),
		 "NMI injected while it is blocked"},
		{shadow && rflags & RFLAGS_TF && !step_pending,
		 "single-step trap not pending in a shadow with RFLAGS.TF"},
		{shadow && !(rflags & RFLAGS_TF) && step_pending,
		 "single-step trap pending in a shadow without RFLAGS.TF"},
		{vmread(VMCS_LINK_POINTER) != UINT64_MAX, "VMCS link pointer"},
	};

	return print_failed(vcpu, checks, ARRAY_SIZE(checks), "");
}

unsigned int check_guest_state(struct vcpu *vcpu)
{
	unsigned int failed = check_control_registers(vcpu);

	failed += check_segments(vcpu);
	return failed + check_execution(vcpu);
}
