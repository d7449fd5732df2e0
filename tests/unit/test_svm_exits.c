/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the SVM backend makes of exits, with the CPU features that no emulator has, too; events that
 * were on their way, exceptions, interrupts.
 */
#include "tests/unit/svm_host.h"

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
	uint64_t before = svm_read_cr4(&vcpu), rip = vmcb_of(&vcpu)->save.rip;

	vmcb_of(&vcpu)->control.event_inj = 0;
	vcpu.arch.gpr[RDI] = value;
	take_exit(VMEXIT_CR4_WRITE, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_NONE);
	assert_int_equal(svm_read_cr4(&vcpu), refused ? before : value);
	assert_true(vmcb_of(&vcpu)->save.cr4 & CR4_MCE);
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

/* The real bit is always set; the guest reads what it wrote, by an exit where that differs. */
static void test_cr4_mce_is_the_host_s(void **state)
{
	struct vmcb *vmcb = vmcb_of(&vcpu);
	struct vcpu_state s;

	(void)state;
	svm_get_state(&vcpu, &s);
	s.rip = 0x1000;
	s.cr4 = CR4_PAE;
	s.seg[SEG_CS].base = 0;
	svm_set_state(&vcpu, &s);
	svm_get_state(&vcpu, &s);
	assert_int_equal(s.cr4, CR4_PAE);
	assert_int_equal(vmcb->save.cr4, CR4_PAE | CR4_MCE);
	assert_true(vmcb->control.intercept_cr & INTERCEPT_CR4_READ);

	memcpy(guest_code + 0x1000, "\x0f\x20\xe7", 3); /* mov %cr4, %edi */
	take_exit(VMEXIT_CR4_READ, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_NONE);
	assert_int_equal(vcpu.arch.gpr[RDI], CR4_PAE);
	assert_int_equal(vmcb->save.rip, 0x1003);

	assert_int_equal(svm_write_cr4(&vcpu, CR4_PAE | CR4_MCE), 0);
	assert_int_equal(svm_read_cr4(&vcpu), CR4_PAE | CR4_MCE);
	assert_false(vmcb->control.intercept_cr & INTERCEPT_CR4_READ);
	assert_int_equal(svm_write_cr4(&vcpu, CR4_PAE), 0);
	assert_int_equal(svm_read_cr4(&vcpu), CR4_PAE);
	assert_true(vmcb->control.intercept_cr & INTERCEPT_CR4_READ);
}

static void test_unknown_exits_stop(void **state)
{
	static const uint32_t codes[] = {0, 0x10, 0x4e, 0x65, 0xa5, 0x3ff, 0x401, 0xfffffffe};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(codes); i++) {
		take_exit(codes[i], 0, 0);
		assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
	}
	take_exit(VMEXIT_VMMCALL, 0, 0); /* one that the fast path has left */
	assert_int_equal(vcpu.exit.kind, EXIT_HYPERCALL);
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

	/* An element of a repeated one: the same, but RIP stays. */
	vmcb->control.event_inj = 0;
	vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
	vmcb->save.rip = 0x1000;
	svm_end_step(&vcpu);
	assert_int_equal(vmcb->save.rip, 0x1000);
	assert_int_equal(vmcb->control.interrupt_shadow, 0);
	assert_int_equal(vmcb->control.event_inj, EVENT_VALID | EVENT_TYPE_EXCEPTION | VECTOR_DB);
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

/* A HLT behind an STI is not waited for; see decode_host_event(). */
static void test_host_interrupt_before_hlt(void **state)
{
	struct vmcb *vmcb = vmcb_of(&vcpu);
	struct vcpu_state s;

	(void)state;
	svm_get_state(&vcpu, &s);
	s.seg[SEG_CS].base = 0;
	svm_set_state(&vcpu, &s);
	cpu_features |= SVM_FEATURE_NEXT_RIP;
	guest_code[0x1000] = 0xf4;
	take_exit(VMEXIT_INTR, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_INTERRUPT);
	vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
	take_exit(VMEXIT_INTR, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_HLT);
	assert_int_equal(rip_after_skip(), 0x1001);

	vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
	vmcb->save.cpl = 3; /* #GP */
	take_exit(VMEXIT_INTR, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_INTERRUPT);
	vmcb->save.cpl = 0;
	guest_code[0x1000] = 0x90;
	take_exit(VMEXIT_INTR, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_INTERRUPT);
	guest_code[0x1000] = 0xf4;
	guest_mapped = 0x1000;
	take_exit(VMEXIT_INTR, 0, 0);
	assert_int_equal(vcpu.exit.kind, EXIT_INTERRUPT);
	assert_int_equal(vmcb->save.rip, 0x1000);
}

/* From its injection to the end of the IRET there is no other. */
static void test_nmi(void **state)
{
	struct vmcb *vmcb = vmcb_of(&vcpu);
	uint64_t nmi = EVENT_VALID | EVENT_TYPE_NMI | VECTOR_NMI;

	(void)state;
	vmcb->control.interrupt_shadow = INTERRUPT_SHADOW;
	assert_int_equal(svm_inject_nmi(&vcpu), -EAGAIN);
	vmcb->control.interrupt_shadow = 0;
	vmcb->control.event_inj = EVENT_VALID | 0x31;
	assert_int_equal(svm_inject_nmi(&vcpu), -EAGAIN);
	vmcb->control.event_inj = 0;
	assert_int_equal(svm_inject_nmi(&vcpu), 0);
	assert_int_equal(vmcb->control.event_inj, nmi);
	assert_true(vmcb->control.intercept3 & INTERCEPT_IRET);

	vmcb->control.exit_int_info = nmi; /* broken off: it is the same one still */
	svm_requeue_event(&vcpu);
	assert_int_equal(vmcb->control.event_inj, nmi);
	vmcb->control.exit_int_info = 0;
	svm_requeue_event(&vcpu);
	assert_int_equal(svm_inject_nmi(&vcpu), -EBUSY);

	vmcb->save.rip = 0x1000;
	vmcb->control.exit_code = VMEXIT_IRET;
	svm_decode_exit(&vcpu);
	assert_int_equal(vcpu.exit.kind, EXIT_NONE);
	assert_int_equal(vmcb->save.rip, 0x1000); /* executed now */
	assert_false(vmcb->control.intercept3 & INTERCEPT_IRET);
	assert_int_equal(svm_inject_nmi(&vcpu), -EAGAIN);
	vmcb->save.rip = 0x2000;
	assert_int_equal(svm_inject_nmi(&vcpu), 0);

	svm_reset_nmi(&vcpu); /* INIT */
	vmcb->control.event_inj = 0;
	assert_false(vmcb->control.intercept3 & INTERCEPT_IRET);
	assert_int_equal(svm_inject_nmi(&vcpu), 0);
}

/* Walks the tables as the processor does. Returns the leaf. */
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_instruction_lengths),
		TEST(test_cpuid_knows_xcr0),
		TEST(test_io),
		TEST(test_msr_direction),
		TEST(test_nested_fault),
		TEST(test_nmi),
		TEST(test_cr8_is_decoded),
		TEST(test_cr4_takes_what_is_offered),
		TEST(test_cr4_mce_is_the_host_s),
		TEST(test_unknown_exits_stop),
		TEST(test_events_are_requeued),
		TEST(test_exceptions_are_reflected),
		TEST(test_single_step_over_an_emulated_instruction),
		TEST(test_interrupts),
		TEST(test_host_interrupt_before_hlt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
