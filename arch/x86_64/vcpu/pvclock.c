/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_WALL_CLOCK_NEW and
 * MSR_KVM_SYSTEM_TIME_NEW.
 */
#include "arch/x86_64/vcpu/pvclock.h"
#include "arch/x86_64/cpu/platform.h"
#include "core/errno.h"
#include "core/panic.h"
#include "core/time.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define SYSTEM_TIME_ON	BIT(0)
#define FLAG_TSC_STABLE BIT(0) /* all vCPUs' TSCs agree */

/* The forms that the guest reads. An odd version: being written, read again. */
struct pvclock_time {
	uint32_t version;
	uint32_t pad0;
	uint64_t tsc_timestamp; /* guest TSC at which ... */
	uint64_t system_time;	/* ... this many ns had passed since the guest's start */
	uint32_t tsc_mul;	/* ns = (ticks << tsc_shift) * tsc_mul >> 32 */
	int8_t tsc_shift;	/* negative: to the right */
	uint8_t flags;
	uint8_t pad1[2];
};

_Static_assert(sizeof(struct pvclock_time) == 32, "as the guest reads it");
_Static_assert(offsetof(struct pvclock_time, tsc_shift) == 28, "as the guest reads it");

struct pvclock_wall_clock {
	uint32_t version;
	uint32_t seconds, nanoseconds; /* since 1970, when the guest's system time was 0 */
};

_Static_assert(sizeof(struct pvclock_wall_clock) == 12, "as the guest reads it");

/* Written by pvclock_init() only. */
static uint32_t tsc_mul;
static int8_t tsc_shift;
static uint64_t wall_clock_seconds; /* time of day at ... */
static uint64_t wall_clock_ticks;   /* ... this host TSC */

/*
 * The multiplier for a frequency above 1 GHz, so that it has 32 bits. It is not shifted back for
 * higher ones: that would lose the last bits of the frequency, which Linux computes back from it.
 */
static void compute_scale(void)
{
	uint64_t hz = (uint64_t)tsc_khz * 1000;

	BUG_ON(!hz);
	tsc_shift = 0;
	while (hz <= NSEC_PER_SEC) {
		hz <<= 1;
		tsc_shift++;
	}
	tsc_mul = (uint32_t)((NSEC_PER_SEC << 32) / hz);
}

void pvclock_init(void)
{
	compute_scale();
	wall_clock_seconds = platform_wallclock();
	wall_clock_ticks = time_ticks();
}

/*
 * Writes a structure that starts with its version: odd, then the rest, then even, in this order for
 * a reader on another CPU. Returns 0 or -EINVAL.
 */
static int publish(struct vm *vm, gpa_t gpa, const void *structure, size_t size)
{
	const char *body = (const char *)structure + sizeof(uint32_t);
	uint32_t version;

	if (vm_read_guest(vm, gpa, &version, sizeof(version)) < 0)
		return -EINVAL;
	version = (version + 1) | 1;
	if (vm_write_guest(vm, gpa, &version, sizeof(version)) < 0)
		return -EINVAL;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (vm_write_guest(vm, gpa + sizeof(version), body, size - sizeof(version)) < 0)
		return -EINVAL;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	version++;
	return vm_write_guest(vm, gpa, &version, sizeof(version)) < 0 ? -EINVAL : 0;
}

static int publish_time(struct vcpu *vcpu, gpa_t gpa)
{
	uint64_t now = time_ticks();
	const struct pvclock_time time = {
		.tsc_timestamp = now + vcpu->arch.tsc_offset,
		.system_time = time_ticks_to_ns(now - vcpu->vm->boot_tsc),
		.tsc_mul = tsc_mul,
		.tsc_shift = tsc_shift,
		.flags = FLAG_TSC_STABLE,
	};

	return publish(vcpu->vm, gpa, &time, sizeof(time));
}

int pvclock_set_system_time(struct vcpu *vcpu, uint64_t value)
{
	int err = 0;

	if (value & SYSTEM_TIME_ON)
		err = publish_time(vcpu, value & ~SYSTEM_TIME_ON);
	if (err == 0)
		vcpu->arch.system_time = value;
	return err;
}

int pvclock_set_wall_clock(struct vcpu *vcpu, uint64_t value)
{
	uint64_t since = time_ticks_to_ns(vcpu->vm->boot_tsc - wall_clock_ticks);
	const struct pvclock_wall_clock clock = {
		.seconds = (uint32_t)(wall_clock_seconds + since / NSEC_PER_SEC),
		.nanoseconds = (uint32_t)(since % NSEC_PER_SEC),
	};
	int err = publish(vcpu->vm, value, &clock, sizeof(clock));

	if (err == 0)
		vcpu->arch.wall_clock = value;
	return err;
}

void pvclock_update(struct vcpu *vcpu)
{
	uint64_t value = vcpu->arch.system_time;

	/* The place was RAM when the guest named it, and a guest's RAM does not go away. */
	if (value & SYSTEM_TIME_ON && publish_time(vcpu, value & ~SYSTEM_TIME_ON) < 0)
		vcpu->arch.system_time = 0;
}
