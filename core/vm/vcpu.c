/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a vCPU: interrupts in, exits out. One const table says what is done about each kind of exit;
 * what is not in it stops the guest, never the host.
 */
#include "core/vm/vcpu.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/platform.h"
#include "arch/x86_64/cpu/smp.h"
#include "arch/x86_64/vcpu/policy.h"
#include "core/console.h"
#include "core/dev/bus.h"
#include "core/errno.h"
#include "core/panic.h"
#include "core/sched.h"
#include "core/time.h"
#include "core/vm/vm.h"

#define VECTOR_UD     6
#define VECTOR_GP     13
#define NO_ERROR_CODE (-1)
#define RFLAGS_IF     BIT(9)

/* How soon to try again, where the processor does not tell when a guest can take an NMI. */
#define NMI_RETRY_NS (20 * NSEC_PER_USEC)

/* Whether the vCPU goes on running after an exit, or gives its CPU away. */
enum after_exit { STAY, LEAVE };

static enum after_exit inject_gp(struct vcpu *vcpu)
{
	virt->inject_exception(vcpu, VECTOR_GP, 0);
	return STAY;
}

static enum after_exit skip(struct vcpu *vcpu)
{
	virt->skip_insn(vcpu, 0);
	return STAY;
}

/* Fail closed, fail small: the guest's state goes to the console, the guest stops. */
static enum after_exit stop_guest(struct vcpu *vcpu, const char *what)
{
	struct vcpu_paging paging;

	virt->get_paging(vcpu, &paging);
	printk("tidepool: guest %s: vCPU %u: %s (%s exit reason %llu)\n", vcpu->vm->name, vcpu->id,
	       what, virt->name, (unsigned long long)vcpu->exit.reason);
	virt->dump(vcpu);
	vm_stop(vcpu->vm, VM_END_CRASH, "%s at rip %llx", what, (unsigned long long)paging.rip);
	return LEAVE;
}

static enum after_exit handle_none(struct vcpu *vcpu)
{
	(void)vcpu;
	return STAY;
}

static enum after_exit handle_interrupt(struct vcpu *vcpu)
{
	(void)vcpu;
	platform_irq_window();
	return STAY;
}

static enum after_exit handle_eoi(struct vcpu *vcpu)
{
	lapic_end_level(vcpu, vcpu->exit.eoi);
	return STAY;
}

/* The calls that the fast path leaves to us: those that change the guest's memory map. */
static enum after_exit handle_hypercall(struct vcpu *vcpu)
{
	uint64_t *gpr = vcpu->arch.gpr;

	gpr[RAX] = (uint64_t)balloon_call(vcpu, gpr[RAX] & ~(uint64_t)TIDEPOOL_CALL_MAGIC,
					  gpr[RDI]);
	return skip(vcpu);
}

static enum after_exit handle_cpuid(struct vcpu *vcpu)
{
	cpuid_emulate(vcpu);
	return skip(vcpu);
}

/* Can nothing but an INIT that nobody is left to send get a vCPU going? Context: vm->lock held. */
static bool nobody_runs(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *vcpu = vm->vcpus[i];

		if (lapic_signalled(vcpu) ||
		    (vcpu->status != VCPU_WAIT_SIPI && vcpu->status != VCPU_WAIT_INIT))
			return false;
	}
	return true;
}

/* An operating system does this to the vCPUs that it takes off line, or to all when it gives up. */
static void halt_for_good(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	bool over;

	spin_lock(&vm->lock);
	vcpu->status = VCPU_WAIT_INIT;
	over = nobody_runs(vm);
	spin_unlock(&vm->lock);
	if (over)
		vm_stop(vm, VM_END_OFF, "halted with interrupts off");
}

/* Returns whether an NMI that waited is on its way into the guest. */
static bool deliver_nmi(struct vcpu *vcpu)
{
	int err = virt->inject_nmi(vcpu);

	vcpu->nmi = err < 0;
	if (err == -EAGAIN)
		sched_want_timer(time_ticks() + time_ns_to_ticks(NMI_RETRY_NS));
	return err == 0;
}

static enum after_exit handle_hlt(struct vcpu *vcpu)
{
	struct vcpu_paging paging;

	virt->skip_insn(vcpu, 0);
	if (vcpu->nmi && deliver_nmi(vcpu)) /* the shadow of an STI was all that it waited for */
		return STAY;
	virt->get_paging(vcpu, &paging);
	if (!(paging.rflags & RFLAGS_IF)) {
		halt_for_good(vcpu);
		return LEAVE;
	}
	if (lapic_pending(vcpu) >= 0)
		return STAY;
	vcpu->status = VCPU_HALTED;
	return LEAVE;
}

static enum after_exit handle_pause(struct vcpu *vcpu)
{
	skip(vcpu);
	sched_yield();
	return LEAVE;
}

static enum after_exit handle_string_io(struct vcpu *vcpu)
{
	int len = string_io_emulate(vcpu);

	if (len > 0)
		virt->skip_insn(vcpu, (unsigned int)len);
	return STAY;
}

static enum after_exit handle_io(struct vcpu *vcpu)
{
	uint64_t *rax = &vcpu->arch.gpr[RAX];
	uint16_t port = vcpu->exit.io.port;
	unsigned int size = vcpu->exit.io.size;
	uint64_t mask = size == 4 ? UINT32_MAX : BIT(size * 8) - 1;

	if (vcpu->exit.io.string)
		return handle_string_io(vcpu);
	if (!vcpu->exit.io.in)
		bus_io_write(vcpu, port, size, (uint32_t)(*rax & mask));
	else if (size == 4) /* a 32-bit result clears the upper half */
		*rax = bus_io_read(vcpu, port, size);
	else
		*rax = (*rax & ~mask) | (bus_io_read(vcpu, port, size) & mask);
	return skip(vcpu);
}

static enum after_exit handle_msr_read(struct vcpu *vcpu)
{
	uint64_t value;

	if (msr_read(vcpu, (uint32_t)vcpu->arch.gpr[RCX], &value) < 0)
		return inject_gp(vcpu);
	vcpu->arch.gpr[RAX] = (uint32_t)value;
	vcpu->arch.gpr[RDX] = value >> 32;
	return skip(vcpu);
}

static enum after_exit handle_msr_write(struct vcpu *vcpu)
{
	uint64_t value = vcpu->arch.gpr[RDX] << 32 | (uint32_t)vcpu->arch.gpr[RAX];

	if (msr_write(vcpu, (uint32_t)vcpu->arch.gpr[RCX], value) < 0)
		return inject_gp(vcpu);
	return skip(vcpu);
}

static enum after_exit handle_mmio(struct vcpu *vcpu)
{
	gpa_t gpa = vcpu->exit.mmio.gpa;
	int len;

	if (vm_gpa_to_host(vcpu->vm, gpa))
		return STAY; /* RAM again: another vCPU has just taken it back */
	if (balloon_is_given(vcpu->vm, gpa))
		return stop_guest(vcpu, "write to memory that it has given to the host");
	len = mmio_emulate(vcpu);
	if (len < 0)
		return stop_guest(vcpu,
				  "access to no memory by an instruction that is not emulated");
	if (len > 0)
		virt->skip_insn(vcpu, (unsigned int)len);
	return STAY;
}

static enum after_exit handle_cr8(struct vcpu *vcpu)
{
	uint8_t gpr = vcpu->exit.cr8.gpr;

	if (!vcpu->exit.cr8.write)
		vcpu->arch.gpr[gpr] = lapic_get_cr8(&vcpu->lapic);
	else if (lapic_set_cr8(vcpu, vcpu->arch.gpr[gpr]) < 0)
		return inject_gp(vcpu);
	return skip(vcpu);
}

static enum after_exit handle_xsetbv(struct vcpu *vcpu)
{
	return xsetbv_emulate(vcpu) < 0 ? inject_gp(vcpu) : skip(vcpu);
}

static enum after_exit handle_undefined(struct vcpu *vcpu)
{
	virt->inject_exception(vcpu, VECTOR_UD, NO_ERROR_CODE);
	return STAY;
}

static enum after_exit handle_triple_fault(struct vcpu *vcpu)
{
	return stop_guest(vcpu, "triple fault");
}

static enum after_exit handle_entry_failed(struct vcpu *vcpu)
{
	return stop_guest(vcpu, "state that the processor does not enter");
}

static enum after_exit handle_unhandled(struct vcpu *vcpu)
{
	return stop_guest(vcpu, "exit that is not handled");
}

static enum after_exit (*const handlers[EXIT_KIND_COUNT])(struct vcpu *vcpu) = {
	[EXIT_NONE] = handle_none,
	[EXIT_INTERRUPT] = handle_interrupt,
	[EXIT_IRQ_WINDOW] = handle_none, /* deliver_interrupt() does the rest */
	[EXIT_EOI] = handle_eoi,
	[EXIT_HYPERCALL] = handle_hypercall,
	[EXIT_CPUID] = handle_cpuid,
	[EXIT_HLT] = handle_hlt,
	[EXIT_PAUSE] = handle_pause,
	[EXIT_IO] = handle_io,
	[EXIT_MSR_READ] = handle_msr_read,
	[EXIT_MSR_WRITE] = handle_msr_write,
	[EXIT_MMIO] = handle_mmio,
	[EXIT_CR8] = handle_cr8,
	[EXIT_XSETBV] = handle_xsetbv,
	[EXIT_CACHE] = skip, /* memory is coherent without; nothing of the host's may be dropped */
	[EXIT_UNDEFINED] = handle_undefined,
	[EXIT_TRIPLE_FAULT] = handle_triple_fault,
	[EXIT_ENTRY_FAILED] = handle_entry_failed,
	[EXIT_UNHANDLED] = handle_unhandled,
};

static void set_window(struct vcpu *vcpu, bool on)
{
	if (vcpu->window != on) {
		vcpu->window = on;
		virt->irq_window(vcpu, on);
	}
}

/* Injects the most urgent pending interrupt, or asks to be told when that becomes possible. */
static void deliver_interrupt(struct vcpu *vcpu)
{
	int vector;

	if (vcpu->lapic.page) { /* the processor does that */
		set_window(vcpu, false);
		virt->apic_update(vcpu);
		return;
	}
	vector = lapic_pending(vcpu);
	if (vector >= 0 && virt->irq_ready(vcpu)) {
		lapic_accept(vcpu, (uint8_t)vector);
		virt->inject_irq(vcpu, (uint8_t)vector);
		vector = lapic_pending(vcpu);
	}
	set_window(vcpu, vector >= 0);
}

/*
 * Does what other vCPUs' INIT and start-up ask for, and wakes for an NMI, which is lost while a
 * start-up is waited for. The lock makes taking the signals and changing the status one step for
 * nobody_runs().
 */
static void obey_signals(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	uint32_t signals;
	bool start, nmi;

	spin_lock(&vm->lock);
	signals = lapic_take_signals(vcpu);
	if (signals & LAPIC_SIGNAL_INIT)
		vcpu->status = VCPU_WAIT_SIPI;
	start = signals & LAPIC_SIGNAL_STARTUP && vcpu->status == VCPU_WAIT_SIPI;
	nmi = signals & LAPIC_SIGNAL_NMI && (start || vcpu->status != VCPU_WAIT_SIPI);
	if (start || nmi)
		vcpu->status = VCPU_RUNNABLE;
	spin_unlock(&vm->lock);

	if (signals & LAPIC_SIGNAL_INIT) {
		if (vcpu->id == 0) { /* it would not wait, but start the whole machine anew */
			vm_stop(vm, VM_END_RESET, "reset");
			return;
		}
		vcpu->nmi = false;
		vcpu_init_signal(vcpu);
		lapic_obey_init(&vcpu->lapic);
	}
	if (start)
		vcpu_startup(vcpu, signals & LAPIC_SIGNAL_VECTOR);
	vcpu->nmi |= nmi;
}

uint64_t vcpu_deadline(const struct vcpu *vcpu)
{
	uint64_t timer = vcpu->lapic.timer_deadline;
	uint64_t devices = vcpu->id == 0 ? virtio_due(&vcpu->vm->virtio) : TIME_NEVER;

	return devices < timer ? devices : timer;
}

void vcpu_run(struct vcpu *vcpu)
{
	struct pcpu *cpu = this_cpu();
	enum vm_status *status = &vcpu->vm->status;

	while (!__atomic_load_n(&cpu->need_resched, __ATOMIC_RELAXED) &&
	       __atomic_load_n(status, __ATOMIC_ACQUIRE) == VM_RUNNING) {
		balloon_follow(vcpu); /* first: all below may look into the guest's memory */
		if (vcpu->id == 0)
			virtio_poll(vcpu->vm, time_ticks());
		if (lapic_signalled(vcpu))
			obey_signals(vcpu);
		if (vcpu->status != VCPU_RUNNABLE)
			break;
		lapic_poll_timer(vcpu, time_ticks());
		sched_want_timer(vcpu_deadline(vcpu));
		if (vcpu->nmi)
			deliver_nmi(vcpu);
		deliver_interrupt(vcpu);
		virt->run(vcpu);
		BUG_ON(vcpu->exit.kind >= EXIT_KIND_COUNT);
		vcpu->exits[vcpu->exit.kind]++;
		if (handlers[vcpu->exit.kind](vcpu) == LEAVE)
			break;
	}
	balloon_leave(vcpu);
}

void vcpu_kick(struct vcpu *vcpu)
{
	struct pcpu *cpu = this_cpu();

	if (vcpu->cpu != cpu->index)
		smp_kick(vcpu->cpu);
	/* The one that runs looks by itself before each entry; a loaded one may be halted, too. */
	else if (vcpu != cpu->loaded || vcpu->status != VCPU_RUNNABLE)
		cpu->need_resched = true;
}
