/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the VMX backend makes of exits: events, the reasons, and entries that fail.
 */
#include "tests/unit/vmx_guest.h"

/* ---- events ---- */

static void exceptions_are_handed_to_the_processor(void **state)
{
	(void)state;
	vmx_inject_exception(&vcpu, VECTOR_GP, 0x18);
	event_enter(&vcpu);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), 0x80000b0d);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT_ERROR), 0x18);
	assert_int_equal(vcpu.arch.event, 0);

	vmx_inject_exception(&vcpu, VECTOR_UD, -1);
	event_enter(&vcpu);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), 0x80000306);

	vmwrite(VMCS_GUEST_CR0, CR0_NE); /* real mode has no error codes */
	vmx_inject_exception(&vcpu, VECTOR_GP, 0);
	event_enter(&vcpu);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), 0x8000030d);
}

static void two_exceptions_make_what_the_table_says(void **state)
{
	static const struct {
		uint8_t first, second, result;
	} table[] = {
		{VECTOR_UD, VECTOR_GP, VECTOR_GP}, {VECTOR_GP, VECTOR_GP, VECTOR_DF},
		{VECTOR_GP, VECTOR_PF, VECTOR_PF}, {VECTOR_PF, VECTOR_PF, VECTOR_DF},
		{VECTOR_PF, VECTOR_NP, VECTOR_DF}, {VECTOR_PF, VECTOR_UD, VECTOR_UD},
		{VECTOR_DE, VECTOR_SS, VECTOR_DF}, {VECTOR_DF, VECTOR_GP, VECTOR_DF},
		{VECTOR_TS, VECTOR_DE, VECTOR_DF}, {VECTOR_AC, VECTOR_PF, VECTOR_PF},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++) {
		vcpu.arch.event = EVENT_VALID | EVENT_TYPE_EXCEPTION | table[i].first;
		vmx_inject_exception(&vcpu, table[i].second, -1);
		assert_int_equal(vcpu.arch.event & EVENT_VECTOR, table[i].result);
	}
	vcpu.arch.event = EVENT_VALID | EVENT_TYPE_INTERRUPT |
			  VECTOR_GP; /* an interrupt's number */
	vmx_inject_exception(&vcpu, VECTOR_GP, -1);
	assert_int_equal(vcpu.arch.event & EVENT_VECTOR, VECTOR_GP);
}

static void interrupts_wait_for_their_moment(void **state)
{
	(void)state;
	assert_false(vmx_irq_ready(&vcpu)); /* IF is clear */
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_IF);
	assert_true(vmx_irq_ready(&vcpu));
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI);
	assert_false(vmx_irq_ready(&vcpu));
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_MOV_SS);
	assert_false(vmx_irq_ready(&vcpu));
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_NMI);
	assert_true(vmx_irq_ready(&vcpu));
	vmx_inject_irq(&vcpu, 0xef);
	assert_false(vmx_irq_ready(&vcpu));
	event_enter(&vcpu);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), 0x800000ef);

	vmx_irq_window(&vcpu, true);
	assert_int_equal(vmread(VMCS_PRIMARY_CONTROLS), BIT(PRIMARY_INTERRUPT_WINDOW));
	vmx_irq_window(&vcpu, false);
	assert_int_equal(vmread(VMCS_PRIMARY_CONTROLS), 0);
}

static void broken_off_deliveries_are_repeated(void **state)
{
	(void)state;
	vmwrite(VMCS_VECTORING_EVENT, EVENT_VALID | EVENT_TYPE_EXCEPTION | EVENT_ERROR_CODE |
					      EVENT_NMI_UNBLOCKED | VECTOR_PF);
	vmwrite(VMCS_VECTORING_EVENT_ERROR, 6);
	exit_decode(&vcpu, EXIT_REASON_EXTERNAL_INTERRUPT);
	assert_int_equal(vcpu.exit.kind, EXIT_INTERRUPT);
	event_enter(&vcpu);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), 0x80000b0e); /* without the undefined bit */
	assert_int_equal(vmread(VMCS_ENTRY_EVENT_ERROR), 6);

	vmwrite(VMCS_VECTORING_EVENT, EVENT_VALID | EVENT_TYPE_SOFT_INT | 0x80);
	vmwrite(VMCS_EXIT_INSN_LEN, 2);
	exit_decode(&vcpu, EXIT_REASON_EXTERNAL_INTERRUPT);
	event_enter(&vcpu);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), 0x80000480);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT_INSN_LEN), 2);

	vmwrite(VMCS_VECTORING_EVENT, EVENT_TYPE_SOFT_INT | 0x80); /* left over: not valid */
	exit_decode(&vcpu, EXIT_REASON_EXTERNAL_INTERRUPT);
	assert_int_equal(vcpu.arch.event, 0);
}

/* ---- exits ---- */

static void every_reason_has_a_name(void **state)
{
	static const uint32_t unused[] = {35, 38, 42, 70, 71};
	unsigned int skip = 0;

	(void)state;
	for (uint32_t reason = 0; reason < EXIT_REASON_COUNT; reason++) {
		if (skip < ARRAY_SIZE(unused) && reason == unused[skip]) {
			skip++;
			assert_string_equal(exit_name(reason), "unknown reason");
			exit_decode(&vcpu, reason);
			assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
			continue;
		}
		assert_string_not_equal(exit_name(reason), "unknown reason");
		/* One without a decoder must say what it is: 0 would be "handled". */
		assert_true(exits[reason].decode || exits[reason].kind != EXIT_NONE);
	}
	exit_decode(&vcpu, EXIT_REASON_COUNT);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
	exit_decode(&vcpu, EXIT_REASON_MASK);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
}

static void io_is_decoded(void **state)
{
	(void)state;
	vmwrite(VMCS_EXIT_QUALIFICATION, 0x3f80008); /* IN AL, 0x3f8 */
	exit_decode(&vcpu, EXIT_REASON_IO);
	assert_int_equal(vcpu.exit.kind, EXIT_IO);
	assert_int_equal(vcpu.exit.io.port, 0x3f8);
	assert_int_equal(vcpu.exit.io.size, 1);
	assert_true(vcpu.exit.io.in);
	assert_false(vcpu.exit.io.string || vcpu.exit.io.rep);

	vmwrite(VMCS_EXIT_QUALIFICATION, 0xffff0033); /* REP OUTSD */
	exit_decode(&vcpu, EXIT_REASON_IO);
	assert_int_equal(vcpu.exit.io.port, 0xffff);
	assert_int_equal(vcpu.exit.io.size, 4);
	assert_false(vcpu.exit.io.in);
	assert_true(vcpu.exit.io.string && vcpu.exit.io.rep);
}

static void control_register_exits_are_carried_out(void **state)
{
	(void)state;
	vcpu.arch.gpr[R9] = CR4_PAE | CR4_MCE;
	vmwrite(VMCS_EXIT_QUALIFICATION, 0x904); /* MOV CR4, R9 */
	exit_decode(&vcpu, EXIT_REASON_CR_ACCESS);
	assert_int_equal(vcpu.exit.kind, EXIT_NONE);
	assert_int_equal(cr_read4(), CR4_PAE | CR4_MCE);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 0x1003);

	vcpu.arch.gpr[R9] = CR4_PAE | CR4_VMXE;
	exit_decode(&vcpu, EXIT_REASON_CR_ACCESS);
	assert_int_equal(vcpu.exit.kind, EXIT_NONE);
	assert_int_equal(vcpu.arch.event, 0x80000b0d);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 0x1003); /* a fault: not skipped */

	/* 32-bit code has no upper halves. */
	vcpu.arch.event = 0;
	vmwrite(VMCS_GUEST_CS_ATTR, SEGMENT_ATTR_CODE32);
	vcpu.arch.gpr[R9] = BIT(40) | CR4_PAE;
	exit_decode(&vcpu, EXIT_REASON_CR_ACCESS);
	assert_int_equal(vcpu.arch.event, 0);
	assert_int_equal(cr_read4(), CR4_PAE);
	cr_set_long_mode(0, false); /* nor has the bit L a meaning there */
	vmwrite(VMCS_GUEST_CS_ATTR, SEGMENT_ATTR_CODE64);
	exit_decode(&vcpu, EXIT_REASON_CR_ACCESS);
	assert_int_equal(vcpu.arch.event, 0);

	vmwrite(VMCS_EXIT_QUALIFICATION, 0xf18); /* MOV R15, CR8 */
	exit_decode(&vcpu, EXIT_REASON_CR_ACCESS);
	assert_int_equal(vcpu.exit.kind, EXIT_CR8);
	assert_int_equal(vcpu.exit.cr8.gpr, R15);
	assert_false(vcpu.exit.cr8.write);
	vmwrite(VMCS_EXIT_QUALIFICATION, 0x008);
	exit_decode(&vcpu, EXIT_REASON_CR_ACCESS);
	assert_true(vcpu.exit.cr8.write);

	vmwrite(VMCS_EXIT_QUALIFICATION, 0x020); /* CLTS: TS is the guest's */
	exit_decode(&vcpu, EXIT_REASON_CR_ACCESS);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
	vmwrite(VMCS_EXIT_QUALIFICATION, 0x003);
	exit_decode(&vcpu, EXIT_REASON_CR_ACCESS);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
}

static void only_accesses_of_instructions_are_mmio(void **state)
{
	(void)state;
	vmwrite(VMCS_GUEST_PHYS_ADDRESS, 0xfee000b0);
	vmwrite(VMCS_EXIT_QUALIFICATION, 0x182);
	exit_decode(&vcpu, EXIT_REASON_EPT_VIOLATION);
	assert_int_equal(vcpu.exit.kind, EXIT_MMIO);
	assert_int_equal(vcpu.exit.mmio.gpa, 0xfee000b0);
	assert_true(vcpu.exit.mmio.write);
	assert_false(vcpu.exit.mmio.fetch);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);

	vmwrite(VMCS_EXIT_QUALIFICATION, 0x184);
	exit_decode(&vcpu, EXIT_REASON_EPT_VIOLATION);
	assert_true(vcpu.exit.mmio.fetch);
	assert_false(vcpu.exit.mmio.write);

	vmwrite(VMCS_EXIT_QUALIFICATION, 0x082); /* a page table there */
	exit_decode(&vcpu, EXIT_REASON_EPT_VIOLATION);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
	vmwrite(VMCS_EXIT_QUALIFICATION, 0x001);
	exit_decode(&vcpu, EXIT_REASON_EPT_VIOLATION);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);

	vmwrite(VMCS_EXIT_QUALIFICATION, 0x182 | EPT_NMI_UNBLOCK);
	exit_decode(&vcpu, EXIT_REASON_EPT_VIOLATION);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), INTERRUPTIBILITY_NMI);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_VECTORING_EVENT, EVENT_VALID | 0x20); /* the guest's stack is there */
	exit_decode(&vcpu, EXIT_REASON_EPT_VIOLATION);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
}

static void debug_exceptions_go_back_to_the_guest(void **state)
{
	(void)state;
	host_dr6 = DR6_RESET | 0x4;
	vmwrite(VMCS_GUEST_DR7, DR7_RESET | DR7_GD);
	vmwrite(VMCS_EXIT_EVENT, EVENT_VALID | EVENT_TYPE_EXCEPTION | VECTOR_DB);
	vmwrite(VMCS_EXIT_QUALIFICATION, DEBUG_BS | 1);
	exit_decode(&vcpu, EXIT_REASON_EXCEPTION_NMI);
	assert_int_equal(vcpu.exit.kind, EXIT_INTERRUPT); /* the host's interrupts get a window */
	assert_int_equal(vcpu.arch.event, 0x80000301);
	assert_int_equal(host_dr6, DR6_RESET | DEBUG_BS | 1);
	assert_int_equal(vmread(VMCS_GUEST_DR7), DR7_RESET | DR7_GD);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), 0);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);

	/* General detect, with TF in a shadow */
	vmwrite(VMCS_EXIT_QUALIFICATION, DEBUG_BD);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_MOV_SS);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_TF);
	exit_decode(&vcpu, EXIT_REASON_EXCEPTION_NMI);
	assert_int_equal(vmread(VMCS_GUEST_DR7), DR7_RESET);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), DEBUG_BS);

	/* In a shadow without TF, and with TF outside one */
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_GUEST_RFLAGS, 0);
	exit_decode(&vcpu, EXIT_REASON_EXCEPTION_NMI);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_TF);
	exit_decode(&vcpu, EXIT_REASON_EXCEPTION_NMI);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), 0);

	/* INT1 */
	vmwrite(VMCS_EXIT_INSN_LEN, 1);
	vmwrite(VMCS_EXIT_EVENT, EVENT_VALID | EVENT_TYPE_PRIV_SOFT_EXC | VECTOR_DB);
	exit_decode(&vcpu, EXIT_REASON_EXCEPTION_NMI);
	event_enter(&vcpu);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), 0x80000501);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT_INSN_LEN), 1);

	/* #AC, with the event that it interrupted dropped */
	vmwrite(VMCS_VECTORING_EVENT, EVENT_VALID | EVENT_TYPE_EXCEPTION | VECTOR_AC);
	vmwrite(VMCS_EXIT_EVENT, EVENT_VALID | EVENT_TYPE_EXCEPTION | EVENT_ERROR_CODE | VECTOR_AC);
	vmwrite(VMCS_EXIT_EVENT_ERROR, 0);
	exit_decode(&vcpu, EXIT_REASON_EXCEPTION_NMI);
	assert_int_equal(vcpu.exit.kind, EXIT_INTERRUPT);
	assert_int_equal(vcpu.arch.event, 0x80000b11);

	vmwrite(VMCS_EXIT_EVENT,
		EVENT_VALID | EVENT_TYPE_EXCEPTION | VECTOR_PF); /* not asked for */
	exit_decode(&vcpu, EXIT_REASON_EXCEPTION_NMI);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);
}

static void calls_outside_ring_0_are_refused_and_skipped(void **state)
{
	(void)state;
	vmwrite(VMCS_GUEST_SS_ATTR, SEGMENT_ATTR_DATA32 | ATTR_DPL);
	exit_decode(&vcpu, EXIT_REASON_VMCALL);
	assert_int_equal(vcpu.exit.kind, EXIT_NONE);
	assert_int_equal(refused_calls, 1);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 0x1003);
}

static void nmis_wait_for_their_moment(void **state)
{
	static const uint32_t blocking[] = {INTERRUPTIBILITY_NMI, INTERRUPTIBILITY_STI,
					    INTERRUPTIBILITY_MOV_SS};
	struct vcpu_state reset;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(blocking); i++) {
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking[i]);
		assert_int_equal(vmx_inject_nmi(&vcpu), -EBUSY);
		assert_int_equal(vcpu.arch.event, 0);
		assert_true(vmread(VMCS_PRIMARY_CONTROLS) & BIT(PRIMARY_NMI_WINDOW));
	}
	exit_decode(&vcpu, EXIT_REASON_NMI_WINDOW);
	assert_int_equal(vcpu.exit.kind, EXIT_IRQ_WINDOW);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vcpu.arch.event = EVENT_VALID | 0x31;
	assert_int_equal(vmx_inject_nmi(&vcpu), -EBUSY);
	vcpu.arch.event = 0;
	assert_int_equal(vmx_inject_nmi(&vcpu), 0); /* whatever RFLAGS.IF says */
	assert_int_equal(vcpu.arch.event, EVENT_VALID | EVENT_TYPE_NMI | VECTOR_NMI);
	assert_false(vmread(VMCS_PRIMARY_CONTROLS) & BIT(PRIMARY_NMI_WINDOW));
	assert_false(vmx_irq_ready(&vcpu));

	/* INIT drops one that waits. */
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_NMI);
	assert_int_equal(vmx_inject_nmi(&vcpu), -EBUSY);
	vmx_get_state(&vcpu, &reset);
	vmx_set_state(&vcpu, &reset);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
	assert_false(vmread(VMCS_PRIMARY_CONTROLS) & BIT(PRIMARY_NMI_WINDOW));

	/* Broken off while it was delivered: the processor blocks NMIs already, also this one. */
	vcpu.arch.event = 0;
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_NMI);
	vmwrite(VMCS_VECTORING_EVENT, EVENT_VALID | EVENT_TYPE_NMI | VECTOR_NMI);
	event_requeue(&vcpu);
	assert_int_equal(vcpu.arch.event, EVENT_VALID | EVENT_TYPE_NMI | VECTOR_NMI);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
}

static void the_processor_delivers_where_it_can(void **state)
{
	uint32_t *page;

	(void)state;
	vmx_config.has_apicv = true;
	virt_apicv_off = true;
	assert_int_equal(apic_vcpu_init(&vcpu), 0);
	assert_null(vmx_apic_direct(&vcpu));
	virt_apicv_off = false;
	assert_int_equal(apic_vcpu_init(&vcpu), 0);
	page = vmx_apic_direct(&vcpu);
	assert_non_null(page);
	assert_int_equal(vmread(VMCS_SECONDARY_CONTROLS), APICV_CONTROLS);
	assert_true(vmread(VMCS_PRIMARY_CONTROLS) & BIT(PRIMARY_TPR_SHADOW));
	assert_int_equal(vmread(VMCS_MSR_BITMAP), 0x2000);

	host_lapic.changed = false;
	host_lapic.status = 0x4050;
	vcpu.lapic.tmr[3] = 1u << 4;
	vmx_apic_update(&vcpu);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPT_STATUS), 0);
	host_lapic.changed = true;
	vmx_apic_update(&vcpu);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPT_STATUS), 0x4050);
	assert_int_equal(vmread(VMCS_EOI_EXITS + 2), 1ull << 36); /* vector 0x64 */
	assert_int_equal(vmread(VMCS_EOI_EXITS), 0);

	vmwrite(VMCS_EXIT_QUALIFICATION, 0x64);
	exit_decode(&vcpu, EXIT_REASON_VIRTUALIZED_EOI);
	assert_int_equal(vcpu.exit.kind, EXIT_EOI);
	assert_int_equal(vcpu.exit.eoi, 0x64);

	vmwrite(VMCS_EXIT_QUALIFICATION, OFFSET_SELF_IPI);
	vcpu.lapic.page = page;
	page[OFFSET_SELF_IPI / 4] = 5;
	exit_decode(&vcpu, EXIT_REASON_APIC_WRITE);
	assert_int_equal(vcpu.exit.kind, EXIT_NONE);
	assert_int_equal(host_lapic.raised, 5);
	vmwrite(VMCS_EXIT_QUALIFICATION, 0x300);
	exit_decode(&vcpu, EXIT_REASON_APIC_WRITE);
	assert_int_equal(vcpu.exit.kind, EXIT_UNHANDLED);

	vmx_apic_indirect(&vcpu);
	assert_int_equal(vmread(VMCS_SECONDARY_CONTROLS), 0);
	assert_false(vmread(VMCS_PRIMARY_CONTROLS) & BIT(PRIMARY_TPR_SHADOW));
	assert_int_equal(vmread(VMCS_MSR_BITMAP), 0x1000);
	apic_vcpu_free(&vcpu);
	assert_int_equal(vmx_of(&vcpu)->apic_page, 0);
	vmx_config.has_apicv = false;
}

/* ---- entries that fail ---- */

static void the_fast_paths_shadow_is_repaired_once(void **state)
{
	uint32_t reason = EXIT_REASON_ENTRY_FAILURE | EXIT_REASON_INVALID_GUEST_STATE;

	(void)state;
	vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_TF | RFLAGS_IF);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, INTERRUPTIBILITY_STI);
	vmwrite(VMCS_ENTRY_EVENT, EVENT_VALID | 0x31);
	failure_decode(&vcpu, reason);
	assert_int_equal(vcpu.exit.kind, EXIT_NONE);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), DEBUG_BS);
	assert_int_equal(vcpu.arch.event, EVENT_VALID | 0x31); /* not lost */
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), 0);
	assert_string_equal(host_messages, "");

	failure_decode(&vcpu, reason);
	assert_int_equal(vcpu.exit.kind, EXIT_ENTRY_FAILED);
	assert_non_null(strstr(host_messages, "invalid guest state"));
}

static void other_invalid_states_are_not_repaired(void **state)
{
	static const struct {
		uint64_t rflags, blocking, pending;
	} states[] = {
		{0, INTERRUPTIBILITY_STI, 0},
		{RFLAGS_TF, INTERRUPTIBILITY_NMI, 0},
		{RFLAGS_TF, INTERRUPTIBILITY_STI, DEBUG_BS},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
		vmwrite(VMCS_GUEST_RFLAGS, states[i].rflags);
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, states[i].blocking);
		vmwrite(VMCS_GUEST_PENDING_DEBUG, states[i].pending);
		failure_decode(&vcpu, EXIT_REASON_ENTRY_FAILURE | EXIT_REASON_INVALID_GUEST_STATE);
		assert_int_equal(vcpu.exit.kind, EXIT_ENTRY_FAILED);
	}
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	failure_decode(&vcpu, EXIT_REASON_ENTRY_FAILURE | EXIT_REASON_MSR_LOADING);
	assert_int_equal(vcpu.exit.kind, EXIT_ENTRY_FAILED);
}

static void a_machine_check_during_entry_loses_no_event(void **state)
{
	unsigned int before = host_machine_checks;

	(void)state;
	vmwrite(VMCS_ENTRY_EVENT, EVENT_VALID | 0x32);
	failure_decode(&vcpu, EXIT_REASON_ENTRY_FAILURE | EXIT_REASON_MACHINE_CHECK);
	assert_int_equal(host_machine_checks, before + 1);
	assert_int_equal(vcpu.exit.kind, EXIT_NONE);
	assert_int_equal(vcpu.arch.event, EVENT_VALID | 0x32);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), 0);
}

static void refused_entries_are_explained(void **state)
{
	(void)state;
	vmwrite(VMCS_INSN_ERROR, 7);
	failure_decode(&vcpu, VMX_ENTER_FAILED);
	assert_int_equal(vcpu.exit.kind, EXIT_ENTRY_FAILED);
	assert_non_null(strstr(host_messages, "error 7: bad control fields"));
	vmwrite(VMCS_INSN_ERROR, 99);
	failure_decode(&vcpu, VMX_ENTER_FAILED);
	assert_non_null(strstr(host_messages, "error 99: unknown error"));

	host_messages[0] = '\0';
	vmx_dump(&vcpu);
	assert_non_null(strstr(host_messages, "rip 0000000000001000"));
	assert_non_null(strstr(host_messages, "r15"));
	assert_non_null(strstr(host_messages, "gdtr"));
	assert_non_null(strstr(host_messages, "tr   0000"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(exceptions_are_handed_to_the_processor, setup),
		cmocka_unit_test_setup(two_exceptions_make_what_the_table_says, setup),
		cmocka_unit_test_setup(interrupts_wait_for_their_moment, setup),
		cmocka_unit_test_setup(broken_off_deliveries_are_repeated, setup),
		cmocka_unit_test_setup(every_reason_has_a_name, setup),
		cmocka_unit_test_setup(io_is_decoded, setup),
		cmocka_unit_test_setup(control_register_exits_are_carried_out, setup),
		cmocka_unit_test_setup(only_accesses_of_instructions_are_mmio, setup),
		cmocka_unit_test_setup(debug_exceptions_go_back_to_the_guest, setup),
		cmocka_unit_test_setup(calls_outside_ring_0_are_refused_and_skipped, setup),
		cmocka_unit_test_setup(nmis_wait_for_their_moment, setup),
		cmocka_unit_test_setup(the_processor_delivers_where_it_can, setup),
		cmocka_unit_test_setup(the_fast_paths_shadow_is_repaired_once, setup),
		cmocka_unit_test_setup(other_invalid_states_are_not_repaired, setup),
		cmocka_unit_test_setup(a_machine_check_during_entry_loses_no_event, setup),
		cmocka_unit_test_setup(refused_entries_are_explained, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
