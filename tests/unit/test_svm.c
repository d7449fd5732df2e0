/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the SVM backend that are plain C: what the exits mean, with the CPU features that
 * no emulator has, too; segment formats; event requeueing; nested tables; permission maps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/vcpu/machine_check.h"
#include "arch/x86_64/vcpu/policy.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/panic.h"
#include "core/vm/vm.h"

uint64_t image_load_base;

static uint64_t cpu_features;
static int frames_out, frames_left;
static struct vm vm;
static struct vcpu vcpu;
static uint8_t guest_code[2 * PAGE_SIZE];
static uint64_t guest_mapped; /* bytes of guest_code that are */

bool svm_has(uint64_t feature)
{
	return cpu_features & feature;
}

void svm_read_back_xcr0(struct vcpu *v)
{
	v->arch.xcr0 = XCR0_X87 | XCR0_SSE;
}

/* In vcpu/cr4.c */
uint64_t cr4_offered(void)
{
	return CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_TSD;
}

static unsigned int machine_checks;

void machine_check_in_guest(struct vcpu *v)
{
	(void)v;
	machine_checks++;
}

static uint64_t cr2_register;

void svm_write_cr2(struct vcpu *v)
{
	cr2_register = vmcb_of(v)->save.cr2;
}

void *frame_alloc(void)
{
	if (!frames_left)
		return NULL;
	frames_left--;
	frames_out++;
	return memset(aligned_alloc(PAGE_SIZE, PAGE_SIZE), 0, PAGE_SIZE);
}

void frame_free(void *frame)
{
	frames_out--;
	free(frame);
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

int guest_translate(struct vcpu *v, gva_t gva, bool write, bool fetch, gpa_t *gpa,
		    uint32_t *error_code)
{
	(void)v;
	assert_true(fetch && !write);
	*error_code = 0;
	*gpa = gva;
	return gva < guest_mapped ? 0 : -EFAULT;
}

int vm_read_guest(const struct vm *guest, gpa_t gpa, void *buf, size_t size)
{
	(void)guest;
	assert_true(gpa + size <= guest_mapped);
	memcpy(buf, guest_code + gpa, size);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	cpu_features = SVM_FEATURE_NPT;
	frames_left = 1000;
	guest_mapped = sizeof(guest_code);
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&vm, 0, sizeof(vm));
	vcpu.vm = &vm;
	assert_int_equal(svm_vm_init(&vm), 0);
	assert_int_equal(svm_vcpu_init(&vcpu), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	svm_vcpu_free(&vcpu);
	svm_vm_free(&vm);
	assert_int_equal(frames_out, 0);
	return 0;
}

/* Makes an exit at RIP 0x1000 and has it decoded. */
static void take_exit(uint32_t code, uint64_t info1, uint64_t info2)
{
	struct vmcb *vmcb = vmcb_of(&vcpu);

	vmcb->save.rip = 0x1000;
	vmcb->control.exit_code = code;
	vmcb->control.exit_info1 = info1;
	vmcb->control.exit_info2 = info2;
	svm_requeue_event(&vcpu);
	svm_decode_exit(&vcpu);
}

static uint64_t rip_after_skip(void)
{
	vmcb_of(&vcpu)->control.interrupt_shadow = INTERRUPT_SHADOW;
	svm_skip_insn(&vcpu, 0);
	assert_int_equal(vmcb_of(&vcpu)->control.interrupt_shadow, 0);
	return vmcb_of(&vcpu)->save.rip;
}

/* Member by member: the structs have padding. */
static void assert_same_state(const struct vcpu_state *a, const struct vcpu_state *b)
{
	assert_int_equal(a->rip, b->rip);
	assert_int_equal(a->rflags, b->rflags);
	assert_int_equal(a->cr0, b->cr0);
	assert_int_equal(a->cr3, b->cr3);
	assert_int_equal(a->cr4, b->cr4);
	assert_int_equal(a->efer, b->efer);
	for (int i = 0; i < SEG_COUNT; i++) {
		assert_int_equal(a->seg[i].selector, b->seg[i].selector);
		assert_int_equal(a->seg[i].attr, b->seg[i].attr);
		assert_int_equal(a->seg[i].limit, b->seg[i].limit);
		assert_int_equal(a->seg[i].base, b->seg[i].base);
	}
	assert_int_equal(a->gdtr.base, b->gdtr.base);
	assert_int_equal(a->gdtr.limit, b->gdtr.limit);
	assert_int_equal(a->idtr.base, b->idtr.base);
	assert_int_equal(a->idtr.limit, b->idtr.limit);
}

static void test_power_on_state_survives(void **state)
{
	struct vcpu_state reset, got;

	(void)state;
	vcpu_state_reset(&reset);
	svm_get_state(&vcpu, &got);
	assert_same_state(&got, &reset);
	assert_int_equal(svm_get_efer(&vcpu), 0);
	assert_true(vmcb_of(&vcpu)->save.efer & EFER_SVME);
}

static void test_segments_convert(void **state)
{
	struct vcpu_state in, out;

	(void)state;
	svm_get_state(&vcpu, &in);
	in.seg[SEG_CS].attr = SEGMENT_ATTR_CODE64 | 3u << 5;
	in.seg[SEG_SS].attr = SEGMENT_ATTR_DATA32 | 3u << 5;
	in.seg[SEG_DS].attr = SEGMENT_ATTR_UNUSABLE;
	in.seg[SEG_FS].base = 0x123456789abc;
	svm_set_state(&vcpu, &in);
	assert_int_equal(vmcb_of(&vcpu)->save.cs.attr, 0xafb);
	assert_int_equal(vmcb_of(&vcpu)->save.ds.attr, 0);
	assert_int_equal(vmcb_of(&vcpu)->save.cpl, 3);
	svm_get_state(&vcpu, &out);
	assert_same_state(&out, &in);
	assert_int_equal(svm_get_base(&vcpu, SEG_FS), 0x123456789abc);
	svm_set_base(&vcpu, SEG_GS, 42);
	assert_int_equal(vmcb_of(&vcpu)->save.gs.base, 42);
}

static void test_long_mode_follows_paging(void **state)
{
	struct vcpu_state s;

	(void)state;
	svm_get_state(&vcpu, &s);
	s.efer = EFER_LME;
	svm_set_state(&vcpu, &s);
	assert_int_equal(svm_get_efer(&vcpu), EFER_LME);
	s.cr0 = CR0_PE | CR0_PG;
	s.cr4 = CR4_PAE;
	svm_set_state(&vcpu, &s);
	assert_int_equal(svm_get_efer(&vcpu), EFER_LME | EFER_LMA);
	/* A guest's write neither sets nor clears LMA, and never reaches SVME. */
	svm_set_efer(&vcpu, EFER_LME | EFER_NXE);
	assert_int_equal(svm_get_efer(&vcpu), EFER_LME | EFER_LMA | EFER_NXE);
	assert_true(vmcb_of(&vcpu)->save.efer & EFER_SVME);
}

static void test_invalid_states_are_found(void **state)
{
	struct vcpu_state good, bad;

	(void)state;
	svm_get_state(&vcpu, &good);
	assert_true(svm_check_state(&vcpu));

	bad = good;
	bad.cr0 = CR0_PE | CR0_NW;
	svm_set_state(&vcpu, &bad);
	assert_false(svm_check_state(&vcpu));
	bad = good;
	bad.cr0 = CR0_PE | CR0_PG;
	bad.efer = EFER_LME;
	svm_set_state(&vcpu, &bad); /* without PAE */
	assert_false(svm_check_state(&vcpu));
	bad.cr4 = CR4_PAE;
	svm_set_state(&vcpu, &bad);
	assert_true(svm_check_state(&vcpu));
	bad.seg[SEG_CS].attr = SEGMENT_ATTR_CODE64 | 0x4000;
	svm_set_state(&vcpu, &bad);
	assert_false(svm_check_state(&vcpu));
	svm_set_state(&vcpu, &good);
	vmcb_of(&vcpu)->control.intercept4 &= ~(uint32_t)INTERCEPT_VMRUN;
	assert_false(svm_check_state(&vcpu));
}

static void test_instruction_lengths(void **state)
{
	static const struct {
		uint32_t code;
		enum exit_kind kind;
		unsigned int length;
	} exits[] = {
		{VMEXIT_CPUID, EXIT_CPUID, 2},	 {VMEXIT_HLT, EXIT_HLT, 1},
		{VMEXIT_INVD, EXIT_CACHE, 2},	 {VMEXIT_WBINVD, EXIT_CACHE, 2},
		{VMEXIT_XSETBV, EXIT_XSETBV, 3}, {VMEXIT_MSR, EXIT_MSR_READ, 2},
		{VMEXIT_PAUSE, EXIT_PAUSE, 2},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(exits); i++) {
		cpu_features = SVM_FEATURE_NPT;
		take_exit(exits[i].code, 0, 0);
		assert_int_equal(vcpu.exit.kind, exits[i].kind);
		assert_int_equal(vcpu.exit.reason, exits[i].code);
		assert_int_equal(rip_after_skip(), 0x1000 + exits[i].length);

		/* The processor knows better where it says so: prefixes count. */
		cpu_features |= SVM_FEATURE_NEXT_RIP;
		vmcb_of(&vcpu)->control.next_rip = 0x1007;
		take_exit(exits[i].code, 0, 0);
		assert_int_equal(rip_after_skip(), 0x1007);
	}
}

static void test_cpuid_knows_xcr0(void **state)
{
	(void)state;
	vcpu.arch.xcr0 = XCR0_X87;
	take_exit(VMEXIT_HLT, 0, 0);
	assert_int_equal(vcpu.arch.xcr0, XCR0_X87);
	take_exit(VMEXIT_CPUID, 0, 0);
	assert_int_equal(vcpu.arch.xcr0, XCR0_X87 | XCR0_SSE);
}

static void test_io(void **state)
{
	(void)state;
	take_exit(VMEXIT_IOIO, 0x03f80010, 0x1001); /* out %al, 3f8 */
	assert_int_equal(vcpu.exit.kind, EXIT_IO);
	assert_int_equal(vcpu.exit.io.port, 0x3f8);
	assert_int_equal(vcpu.exit.io.size, 1);
	assert_false(vcpu.exit.io.in || vcpu.exit.io.string || vcpu.exit.io.rep);
	assert_int_equal(rip_after_skip(), 0x1001);

	take_exit(VMEXIT_IOIO, 0xffff004d, 0x1002); /* rep insl */
	assert_int_equal(vcpu.exit.io.port, 0xffff);
	assert_int_equal(vcpu.exit.io.size, 4);
	assert_true(vcpu.exit.io.in && vcpu.exit.io.string && vcpu.exit.io.rep);
	assert_int_equal(rip_after_skip(), 0x1002);
}

static void test_msr_direction(void **state)
{
	(void)state;
	take_exit(VMEXIT_MSR, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_MSR_READ);
	take_exit(VMEXIT_MSR, 1, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_MSR_WRITE);
}

static void test_nested_fault(void **state)
{
	struct vmcb_control *control = &vmcb_of(&vcpu)->control;

	(void)state;
	control->insn_count = 3;
	memcpy(control->insn_bytes, "\x89\x04\x24", 3);
	take_exit(VMEXIT_NPF, BIT(32) | NPF_WRITE, 0xfee00300);
	assert_int_equal(vcpu.exit.kind, EXIT_MMIO);
	assert_int_equal(vcpu.exit.mmio.gpa, 0xfee00300);
	assert_true(vcpu.exit.mmio.write && !vcpu.exit.mmio.fetch);
	assert_int_equal(vcpu.exit.mmio.insn_count, 0); /* no decode assists: not believed */

	cpu_features |= SVM_FEATURE_DECODE_ASSISTS;
	take_exit(VMEXIT_NPF, BIT(32) | NPF_FETCH, 0xfee00300);
	assert_true(!vcpu.exit.mmio.write && vcpu.exit.mmio.fetch);
	assert_int_equal(vcpu.exit.mmio.insn_count, 3);
	assert_memory_equal(vcpu.exit.mmio.insn, "\x89\x04\x24", 3);

	/* Page tables, or an exception's stack, in device memory: nothing to emulate. */
	take_exit(VMEXIT_NPF, NPF_TABLE_WALK, 0xfee00300);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
	control->exit_int_info = EVENT_VALID | EVENT_TYPE_INTR | 0x40;
	take_exit(VMEXIT_NPF, NPF_WRITE, 0xfee00300);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
}

static void cr8_exit(const char *insn, size_t size, unsigned int gpr)
{
	memset(guest_code + 0x1000, 0x90, 16);
	memcpy(guest_code + 0x1000, insn, size);
	take_exit(insn[size - 2] == 0x22 ? VMEXIT_CR8_WRITE : VMEXIT_CR8_READ, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_CR8);
	assert_int_equal(vcpu.exit.cr8.write, insn[size - 2] == 0x22);
	assert_int_equal(vcpu.exit.cr8.gpr, gpr);
	assert_int_equal(rip_after_skip(), 0x1000 + size);
}

static void test_cr8_is_decoded(void **state)
{
	struct vcpu_state s;

	(void)state;
	svm_get_state(&vcpu, &s);
	s.seg[SEG_CS].base = 0;
	svm_set_state(&vcpu, &s);
	cr8_exit("\xf0\x0f\x20\xc3", 4, RBX); /* lock mov %cr0, %ebx: AMD's CR8 outside long mode */

	s.cr0 = CR0_PE | CR0_PG;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME;
	s.seg[SEG_CS] = (struct vcpu_segment){.attr = SEGMENT_ATTR_CODE64, .base = 0};
	svm_set_state(&vcpu, &s);
	cr8_exit("\x44\x0f\x20\xc0", 4, RAX);
	cr8_exit("\x44\x0f\x22\xc7", 4, RDI);
	cr8_exit("\x45\x0f\x22\xc1", 4, R9);
	cr8_exit("\x66\x2e\x45\x0f\x20\xc7", 6, R15);

	/* Something else, or gone. */
	memcpy(guest_code + 0x1000, "\x0f\x21\xc0", 3);
	take_exit(VMEXIT_CR8_READ, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
	guest_mapped = 0x1000;
	take_exit(VMEXIT_CR8_READ, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);

	/* With the processor's help nothing is read at all. */
	cpu_features |= SVM_FEATURE_DECODE_ASSISTS | SVM_FEATURE_NEXT_RIP;
	vmcb_of(&vcpu)->control.next_rip = 0x1004;
	take_exit(VMEXIT_CR8_WRITE, CR_EXIT_DECODED | R11, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_CR8);
	assert_int_equal(vcpu.exit.cr8.gpr, R11);
	assert_int_equal(rip_after_skip(), 0x1004);
}

static void guest_writes_cr4(uint64_t value, bool refused)
{
	uint64_t before = vmcb_of(&vcpu)->save.cr4, rip = vmcb_of(&vcpu)->save.rip;

	vmcb_of(&vcpu)->control.event_inj = 0;
	vcpu.arch.gpr[RDI] = value;
	take_exit(VMEXIT_CR4_WRITE, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_NONE);
	assert_int_equal(vmcb_of(&vcpu)->save.cr4, refused ? before : value);
	assert_int_equal(vmcb_of(&vcpu)->save.rip, refused ? rip : rip + 3);
	assert_int_equal(
		vmcb_of(&vcpu)->control.event_inj,
		refused ? EVENT_VALID | EVENT_TYPE_EXCEPTION | EVENT_ERROR_VALID | VECTOR_GP : 0);
	vmcb_of(&vcpu)->save.rip = rip;
}

static void test_cr4_takes_what_is_offered(void **state)
{
	struct vcpu_state s;

	(void)state;
	memcpy(guest_code + 0x1000, "\x0f\x22\xe7", 3); /* mov %rdi, %cr4 */
	svm_get_state(&vcpu, &s);
	s.rip = 0x1000;
	s.cr0 = CR0_PE | CR0_PG;
	s.cr3 = 0x5000;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME | EFER_LMA;
	s.seg[SEG_CS] = (struct vcpu_segment){.attr = SEGMENT_ATTR_CODE64, .base = 0};
	svm_set_state(&vcpu, &s);
	vmcb_of(&vcpu)->save.efer |= EFER_LMA;
	svm_of(&vcpu)->asid_generation = 3;

	guest_writes_cr4(CR4_PAE | CR4_TSD, false);
	assert_int_equal(svm_of(&vcpu)->asid_generation, 3);
	guest_writes_cr4(CR4_PAE | CR4_PKE, true);
	guest_writes_cr4(CR4_PAE | BIT(63), true);
	guest_writes_cr4(CR4_TSD, true); /* long mode needs PAE */
	guest_writes_cr4(CR4_PAE | CR4_PGE, false);
	assert_int_equal(svm_of(&vcpu)->asid_generation, 0); /* its translations are dropped */
	guest_writes_cr4(CR4_PAE | CR4_PCIDE, false);
	guest_writes_cr4(CR4_PAE, false);
	vmcb_of(&vcpu)->save.cr3 = 0x5001;
	guest_writes_cr4(CR4_PAE | CR4_PCIDE, true);

	guest_mapped = 0x1000; /* nothing to decode */
	take_exit(VMEXIT_CR4_WRITE, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
}

static void test_unknown_exits_stop(void **state)
{
	static const uint32_t codes[] = {0, 0x10, 0x4e, 0x65, 0x81, 0xa5, 0x3ff, 0x401, 0xfffffffe};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(codes); i++) {
		take_exit(codes[i], 0, 0);
		assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
	}
	take_exit(VMEXIT_INVALID, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_ENTRY_FAILED);
	take_exit(VMEXIT_SHUTDOWN, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_TRIPLE_FAULT);
}

static void test_events_are_requeued(void **state)
{
	struct vmcb_control *control = &vmcb_of(&vcpu)->control;
	static const struct {
		uint64_t event;
		bool again;
	} events[] = {
		{EVENT_VALID | EVENT_TYPE_INTR | 0x40, true},
		{EVENT_VALID | EVENT_TYPE_NMI | 2, true},
		{EVENT_VALID | EVENT_TYPE_EXCEPTION | EVENT_ERROR_VALID | 14 | 7ull << 32, true},
		{EVENT_VALID | EVENT_TYPE_EXCEPTION | VECTOR_BP, false},
		{EVENT_VALID | EVENT_TYPE_EXCEPTION | VECTOR_OF, false},
		{EVENT_VALID | EVENT_TYPE_SOFTWARE | 0x80, false},
		{EVENT_TYPE_INTR | 0x40, false}, /* not valid */
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++) {
		control->event_inj = 0xdead; /* what was injected before is history */
		control->exit_int_info = events[i].event;
		take_exit(VMEXIT_INTR, 0, 0);
		assert_int_equal(vcpu.exit.kind, EXIT_INTERRUPT);
		assert_int_equal(control->event_inj, events[i].again ? events[i].event : 0);
	}
}

static void test_exceptions_are_reflected(void **state)
{
	struct vmcb *vmcb = vmcb_of(&vcpu);

	(void)state;
	vmcb->save.dr7 = DR7_INIT | DR7_GD;
	take_exit(VMEXIT_EXCEPTION(VECTOR_DB), 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_INTERRUPT); /* the host's turn, or a loop holds it */
	assert_int_equal(vmcb->save.dr7, DR7_INIT);
	assert_int_equal(vmcb->control.event_inj, EVENT_VALID | EVENT_TYPE_EXCEPTION | VECTOR_DB);

	vmcb->save.cr0 = CR0_PE;
	take_exit(VMEXIT_EXCEPTION(VECTOR_AC), 0, 0);
	assert_int_equal(vmcb->control.event_inj,
			 EVENT_VALID | EVENT_ERROR_VALID | EVENT_TYPE_EXCEPTION | VECTOR_AC);

	svm_inject_exception(&vcpu, VECTOR_GP, 0x18);
	assert_int_equal(vmcb->control.event_inj, EVENT_VALID | EVENT_ERROR_VALID |
							  EVENT_TYPE_EXCEPTION | VECTOR_GP |
							  0x18ull << 32);
	vmcb->save.cr0 = 0; /* real mode */
	svm_inject_exception(&vcpu, VECTOR_GP, 0x18);
	assert_int_equal(vmcb->control.event_inj, EVENT_VALID | EVENT_TYPE_EXCEPTION | VECTOR_GP);

	vcpu.arch.cr2 = 0x123000;
	svm_inject_exception(&vcpu, VECTOR_PF, 2);
	assert_int_equal(vmcb->save.cr2, 0x123000);
	assert_int_equal(cr2_register, 0x123000);
}

static void test_single_step_over_an_emulated_instruction(void **state)
{
	struct vmcb *vmcb = vmcb_of(&vcpu);

	(void)state;
	vmcb->control.event_inj = 0;
	vmcb->save.dr6 = DR6_INIT;
	vmcb->save.rflags = RFLAGS_RESERVED;
	svm_skip_insn(&vcpu, 2);
	assert_int_equal(vmcb->control.event_inj, 0);
	vmcb->save.rflags |= RFLAGS_TF;
	svm_skip_insn(&vcpu, 2);
	assert_int_equal(vmcb->control.event_inj, EVENT_VALID | EVENT_TYPE_EXCEPTION | VECTOR_DB);
	assert_int_equal(vmcb->save.dr6, DR6_INIT | DR6_BS);
}

static void test_interrupts(void **state)
{
	struct vmcb *vmcb = vmcb_of(&vcpu);

	(void)state;
	assert_false(svm_irq_ready(&vcpu));
	vmcb->save.rflags |= RFLAGS_IF;
	assert_true(svm_irq_ready(&vcpu));
	vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
	assert_false(svm_irq_ready(&vcpu));
	vmcb->control.interrupt_shadow = 0;
	svm_inject_irq(&vcpu, 0xec);
	assert_int_equal(vmcb->control.event_inj, EVENT_VALID | 0xec);
	assert_false(svm_irq_ready(&vcpu));

	svm_irq_window(&vcpu, true);
	assert_true(vmcb->control.int_control & V_IRQ);
	assert_true(vmcb->control.intercept3 & INTERCEPT_VINTR);
	svm_irq_window(&vcpu, false);
	assert_int_equal(vmcb->control.int_control, V_INTR_MASKING);
}

/* Walks the tables as the processor does. Returns the leaf. */
static uint64_t walk(gpa_t gpa)
{
	uint64_t entry = vm.nested_root | PTE_PRESENT;

	for (int shift = 39; shift >= BLOCK_SHIFT; shift -= 9) {
		const uint64_t *table = phys_to_virt(entry & PTE_ADDRESS);

		entry = table[(gpa >> shift) & 511];
		if (!(entry & PTE_PRESENT))
			return 0;
		assert_true(entry & BIT(2)); /* U/S */
	}
	assert_true(entry & PTE_LARGE);
	return entry;
}

static void test_nested_tables(void **state)
{
	(void)state;
	assert_int_equal(walk(0), 0);
	assert_int_equal(svm_vm_map_block(&vm, 0, 40 * BLOCK_SIZE, 7), 0);
	assert_int_equal(svm_vm_map_block(&vm, 511 * BLOCK_SIZE, 41 * BLOCK_SIZE, NPT_READ), 0);
	assert_int_equal(svm_vm_map_block(&vm, 0x100000000, 0xffffffe00000, 3), 0);
	assert_int_equal(walk(0) & PTE_ADDRESS, 40 * BLOCK_SIZE);
	assert_true(walk(0) & PTE_WRITE && !(walk(0) & PTE_NO_EXECUTE));
	assert_int_equal(walk(BLOCK_SIZE), 0);
	assert_int_equal(walk(511 * BLOCK_SIZE) & PTE_ADDRESS, 41 * BLOCK_SIZE);
	assert_false(walk(511 * BLOCK_SIZE) & PTE_WRITE);
	assert_true(walk(511 * BLOCK_SIZE) & PTE_NO_EXECUTE);
	assert_int_equal(walk(0x100000000) & PTE_ADDRESS, 0xffffffe00000);
	assert_true(walk(0x100000000) & PTE_NO_EXECUTE);
}

/* Wherever memory ends, the tables that were made are found again and freed: see tear_down(). */
static void test_no_memory_for_tables(void **state)
{
	(void)state;
	for (int left = 0; left < 2; left++) {
		frames_left = left;
		assert_int_equal(svm_vm_map_block(&vm, BIT(39) * (unsigned)(left + 1), 0, 7),
				 -ENOMEM);
	}
	frames_left = 2;
	assert_int_equal(svm_vm_map_block(&vm, BIT(39) * 3, 0, 7), 0);
	frames_left = 0;
	assert_int_equal(svm_vm_init(&(struct vm){.id = 1}), -ENOMEM);
}

static bool intercepted(uint32_t msr, bool write)
{
	const uint8_t *map = phys_to_virt(svm_msrpm_address());
	uint32_t bit;

	if (msr >= 0xc0010000)
		bit = 0x4000 * 2 + (msr - 0xc0010000) * 2;
	else if (msr >= 0xc0000000)
		bit = 0x2000 * 2 + (msr - 0xc0000000) * 2;
	else
		bit = msr * 2;
	bit += write;
	return map[bit / 8] >> (bit % 8) & 1;
}

static void test_permission_maps(void **state)
{
	static const uint32_t ranges[] = {0, 0xc0000000, 0xc0010000};
	const uint8_t *ports = phys_to_virt(svm_iopm_address());
	unsigned int direct = 0;

	(void)state;
	svm_maps_init();
	for (unsigned int i = 0; i < 3 * PAGE_SIZE; i++)
		assert_int_equal(ports[i], 0xff);
	for (unsigned int i = 0; i < ARRAY_SIZE(ranges); i++)
		for (uint32_t msr = ranges[i]; msr < ranges[i] + 0x2000; msr++) {
			assert_int_equal(intercepted(msr, false), intercepted(msr, true));
			direct += !intercepted(msr, false);
		}
	assert_int_equal(direct, 10);
	assert_false(intercepted(MSR_STAR, true) || intercepted(MSR_GS_BASE, true) ||
		     intercepted(MSR_SYSENTER_EIP, true) || intercepted(MSR_KERNEL_GS_BASE, true));
	assert_true(intercepted(MSR_EFER, true) && intercepted(MSR_TSC_AUX, true) &&
		    intercepted(MSR_VM_HSAVE_PA, false) && intercepted(MSR_PAT, true));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_power_on_state_survives),
		TEST(test_segments_convert),
		TEST(test_long_mode_follows_paging),
		TEST(test_invalid_states_are_found),
		TEST(test_instruction_lengths),
		TEST(test_cpuid_knows_xcr0),
		TEST(test_io),
		TEST(test_msr_direction),
		TEST(test_nested_fault),
		TEST(test_cr8_is_decoded),
		TEST(test_cr4_takes_what_is_offered),
		TEST(test_unknown_exits_stop),
		TEST(test_events_are_requeued),
		TEST(test_exceptions_are_reflected),
		TEST(test_single_step_over_an_emulated_instruction),
		TEST(test_interrupts),
		TEST(test_nested_tables),
		TEST(test_no_memory_for_tables),
		TEST(test_permission_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
