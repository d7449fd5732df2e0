/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: SDM vol. 3A, chapter 6; APM vol. 2, chapter 8
 */
#include "arch/x86_64/cpu/trap.h"
#include "arch/x86_64/cpu/backtrace.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/desc.h"
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/platform.h"
#include "arch/x86_64/cpu/serial.h"
#include "arch/x86_64/cpu/smp.h"
#include "arch/x86_64/vcpu/machine_check.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/panic.h"

#define EXCEPTION_COUNT	  32u
#define STUB_SIZE	  16u
#define GATE_INTERRUPT	  0x8e /* present, DPL 0, 64-bit interrupt gate: clears IF */
#define PIC1_COMMAND	  0x20
#define PIC1_DATA	  0x21
#define PIC2_COMMAND	  0xa0
#define PIC2_DATA	  0xa1
#define PIC_INIT	  0x11 /* ICW1: edge triggered, cascade, ICW4 follows */
#define PIC_CASCADE_INPUT 2
#define PIC_8086_MODE	  1
#define PIC_MASK_ALL	  0xff

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

_Static_assert(sizeof(struct gate) == 16, "the processor's layout");

/* An instruction that may fault, and where to go on then. Filled by rdmsr_safe() and the like. */
struct fixup {
	uint64_t fault, target;
};

extern const char trap_stubs[];
extern const struct fixup fixups_start[], fixups_end[];

static struct gate idt[VECTOR_COUNT];

static bool nmi_panic;

/* What a CPU's NMI handler saw and trap_report() has not printed; used by that CPU only. */
static struct nmi_note {
	uint64_t rip;
	uint32_t count;	  /* since the start */
	uint32_t printed; /* of them */
} nmi_notes[PCPU_MAX];

static uint32_t spurious_vectors; /* atomic */

static const char *const exception_names[EXCEPTION_COUNT] = {
	[VECTOR_DE] = "divide error",
	[VECTOR_DB] = "debug exception",
	[VECTOR_NMI] = "non-maskable interrupt",
	[VECTOR_BP] = "breakpoint",
	[VECTOR_OF] = "overflow",
	[VECTOR_BR] = "bound range exceeded",
	[VECTOR_UD] = "undefined instruction",
	[VECTOR_NM] = "device not available",
	[VECTOR_DF] = "double fault",
	[VECTOR_TS] = "invalid task state",
	[VECTOR_NP] = "segment not present",
	[VECTOR_SS] = "stack segment fault",
	[VECTOR_GP] = "general protection fault",
	[VECTOR_PF] = "page fault",
	[VECTOR_MF] = "x87 error",
	[VECTOR_AC] = "alignment check",
	[VECTOR_MC] = "machine check",
	[VECTOR_XM] = "SIMD error",
	[VECTOR_VE] = "virtualisation exception",
	[VECTOR_CP] = "control protection fault",
	[VECTOR_SX] = "security exception",
};

static void set_gate(uint32_t vector, uint8_t ist)
{
	uint64_t stub = (uint64_t)trap_stubs + vector * STUB_SIZE;

	idt[vector] = (struct gate){
		.offset_low = (uint16_t)stub,
		.selector = SELECTOR_CODE,
		.ist = ist,
		.type = GATE_INTERRUPT,
		.offset_middle = (uint16_t)(stub >> 16),
		.offset_high = (uint32_t)(stub >> 32),
	};
}

static void load_idt(void)
{
	const struct desc_pointer pointer = {.limit = sizeof(idt) - 1, .base = (uint64_t)idt};

	lidt(&pointer);
}

/*
 * Moves the PICs' interrupts away from the exceptions' vectors and masks them. A spurious one may
 * still come, which is why they get vectors at all. Source: Intel 8259A data sheet, "ICWs".
 */
static void park_pics(void)
{
	port_write8(PIC1_COMMAND, PIC_INIT);
	port_write8(PIC2_COMMAND, PIC_INIT);
	port_write8(PIC1_DATA, VECTOR_PIC);
	port_write8(PIC2_DATA, VECTOR_PIC + 8);
	port_write8(PIC1_DATA, 1 << PIC_CASCADE_INPUT);
	port_write8(PIC2_DATA, PIC_CASCADE_INPUT);
	port_write8(PIC1_DATA, PIC_8086_MODE);
	port_write8(PIC2_DATA, PIC_8086_MODE);
	port_write8(PIC1_DATA, PIC_MASK_ALL);
	port_write8(PIC2_DATA, PIC_MASK_ALL);
}

void trap_init_early(void)
{
	for (uint32_t vector = 0; vector < VECTOR_COUNT; vector++)
		set_gate(vector, 0);
	load_idt();
	park_pics();
}

void trap_init_cpu(void)
{
	/* The same values each time: other CPUs may be using them. */
	set_gate(VECTOR_DF, IST_DOUBLE_FAULT);
	set_gate(VECTOR_NMI, IST_NMI);
	set_gate(VECTOR_MC, IST_MACHINE_CHECK);
	load_idt();
}

static void print_registers(const struct trap_frame *f)
{
#define LINE(name1, value1, name2, value2, name3, value3)                                          \
	printk("  " name1 " %016llx  " name2 " %016llx  " name3 " %016llx\n",                      \
	       (unsigned long long)(value1), (unsigned long long)(value2),                         \
	       (unsigned long long)(value3))
	LINE("rax", f->rax, "rbx", f->rbx, "rcx", f->rcx);
	LINE("rdx", f->rdx, "rsi", f->rsi, "rdi", f->rdi);
	LINE("rbp", f->rbp, "rsp", f->rsp, "rip", f->rip);
	LINE("r8 ", f->r8, "r9 ", f->r9, "r10", f->r10);
	LINE("r11", f->r11, "r12", f->r12, "r13", f->r13);
	LINE("r14", f->r14, "r15", f->r15, "flg", f->rflags);
	LINE("cr0", read_cr0(), "cr2", read_cr2(), "cr3", read_cr3());
	LINE("cr4", read_cr4(), "efe", rdmsr(MSR_EFER), "cs ", f->cs);
#undef LINE
}

static void __attribute__((noreturn)) die(const struct trap_frame *frame)
{
	const char *name = frame->vector < EXCEPTION_COUNT ? exception_names[frame->vector] : NULL;

	panic_begin();
	printk("\ntidepool: PANIC: %s (vector %llu, error code %llx) in the hypervisor",
	       name ? name : "exception", (unsigned long long)frame->vector,
	       (unsigned long long)frame->error_code);
	if (percpu_ready())
		printk(", CPU %u", this_cpu()->index);
	printk("\n");
	if (frame->vector == VECTOR_MC && percpu_ready())
		machine_check_print();
	print_registers(frame);
	backtrace_print(frame->rip, frame->rbp);
	printk("tidepool: halted\n");
	platform_halt();
}

/* Sends a fault in rdmsr_safe() and its like to where they return the error. */
static bool fix_up(struct trap_frame *frame)
{
	for (const struct fixup *fixup = fixups_start; fixup < fixups_end; fixup++) {
		if (fixup->fault == frame->rip) {
			frame->rip = fixup->target;
			return true;
		}
	}
	return false;
}

/* The console's lock may be held by the very code that was interrupted. */
static void note_nmi(const struct trap_frame *frame)
{
	struct pcpu *cpu = this_cpu();
	struct nmi_note *note = &nmi_notes[cpu->index];

	note->rip = frame->rip;
	note->count++;
	cpu->need_resched = true; /* out of the guest, to trap_report() */
}

void trap_set_nmi_panic(bool panic)
{
	nmi_panic = panic;
}

void trap_report(void)
{
	const struct pcpu *cpu = this_cpu();
	struct nmi_note *note = &nmi_notes[cpu->index];
	uint32_t count = *(volatile uint32_t *)&note->count;

	machine_check_report();
	if (note->printed == count)
		return;
	note->printed = count;
	printk("tidepool: CPU %u: NMI %u: at rip %llx, %s; %llu interrupts, %u unexpected ones\n",
	       cpu->index, count, (unsigned long long)note->rip,
	       cpu->loaded ? "with a guest" : "idle", (unsigned long long)cpu->interrupts,
	       __atomic_load_n(&spurious_vectors, __ATOMIC_RELAXED));
}

void trap_handle(struct trap_frame *frame)
{
	switch (frame->vector) {
	case VECTOR_TIMER:
	case VECTOR_KICK:
	case VECTOR_SERIAL:
		this_cpu()->interrupts++;
		if (frame->vector == VECTOR_SERIAL)
			serial_note_interrupt();
		if (frame->vector != VECTOR_TIMER || lapic_timer_expired())
			this_cpu()->need_resched = true;
		lapic_eoi();
		return;
	case VECTOR_SPURIOUS: /* was never in service: no EOI */
	case VECTOR_PIC ... VECTOR_PIC + 15:
		__atomic_add_fetch(&spurious_vectors, 1, __ATOMIC_RELAXED);
		return;
	case VECTOR_GP:
		if (fix_up(frame))
			return;
		die(frame);
	case VECTOR_NMI:
		smp_obey_halt();
		if (nmi_panic || !percpu_ready())
			die(frame);
		note_nmi(frame);
		return;
	case VECTOR_MC:
		if (!percpu_ready() || !machine_check_in_host())
			die(frame);
		this_cpu()->need_resched = true; /* out of the guest, to trap_report() */
		return;
	default:
		if (frame->vector < EXCEPTION_COUNT)
			die(frame);
		/* Firmware left a device's interrupt enabled. It is nobody's; let the others in. */
		this_cpu()->interrupts++;
		__atomic_add_fetch(&spurious_vectors, 1, __ATOMIC_RELAXED);
		lapic_eoi();
	}
}

int rdmsr_safe(uint32_t msr, uint64_t *value)
{
	uint32_t low, high;
	int err = 0;

	__asm__ volatile("1:\trdmsr\n"
			 "2:\n\t"
			 ".pushsection .fixups, \"a\"\n\t"
			 ".quad 1b, 3f\n\t"
			 ".popsection\n\t"
			 ".pushsection .text.fixups, \"ax\"\n"
			 "3:\tmovl %[fault], %[err]\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "xorl %%edx, %%edx\n\t"
			 "jmp 2b\n\t"
			 ".popsection"
			 : "=a"(low), "=d"(high), [err] "+r"(err)
			 : "c"(msr), [fault] "i"(-EFAULT));
	*value = (uint64_t)high << 32 | low;
	return err;
}

int wrmsr_safe(uint32_t msr, uint64_t value)
{
	int err = 0;

	__asm__ volatile("1:\twrmsr\n"
			 "2:\n\t"
			 ".pushsection .fixups, \"a\"\n\t"
			 ".quad 1b, 3f\n\t"
			 ".popsection\n\t"
			 ".pushsection .text.fixups, \"ax\"\n"
			 "3:\tmovl %[fault], %[err]\n\t"
			 "jmp 2b\n\t"
			 ".popsection"
			 : [err] "+r"(err)
			 : "c"(msr), "a"((uint32_t)value),
			   "d"((uint32_t)(value >> 32)), [fault] "i"(-EFAULT)
			 : "memory");
	return err;
}
