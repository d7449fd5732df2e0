/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balloon: a running guest gives blocks of its RAM to the host, and takes them back
 *
 * A given block reads as zeroes, through a read-only mapping of one block of zeroes that all guests
 * share; a write to it ends the guest. (Were it not mapped at all, Linux could be ended by a read
 * that it means no harm by: load_unaligned_zeropad() reads over the end of a page.)
 *
 * Changing owner. A block may leave only when no vCPU can reach it any more, be it by the
 * processor's cached translations or by a host address that the hypervisor got from
 * vm_gpa_to_host() for that vCPU. So each vCPU follows the map: at the top of its loop, where it
 * holds no such address, vcpu_run() calls balloon_follow(), which drops cached translations and
 * then says which state of the map the vCPU has seen. Outside of vcpu_run() a vCPU is said to
 * follow, and does so before it enters the guest. A change is done once all vCPUs follow; until
 * then the call answers "repeat", so no CPU waits for another. One change is under way at a time.
 */
#ifndef CORE_VM_BALLOON_H
#define CORE_VM_BALLOON_H

#include <tidepool/abi.h>

#include "core/types.h"

struct vcpu;
struct vm;

/* Of the I/O APIC: an edge says that the target has changed. As core/vm/dsdt.asl says. */
#define BALLOON_PIN 10u

struct balloon {
	uint64_t epoch;	 /* atomic: counts the changes of the map; never 0 */
	uint8_t *moving; /* the block of the change under way; NULL: there is none. vm->lock */
	uint64_t index;	 /* of that block in the guest. vm->lock */
	bool giving;	 /* it leaves the guest; else it comes. vm->lock */
	uint64_t target; /* atomic: blocks that the operator wants the guest to keep */
	uint64_t report; /* frame of its struct tidepool_report, or _REPORT_NONE. vm->lock */
};

/* balloon_init - take the block of zeroes from the host. Returns 0 or -ENOMEM. Context: boot. */
int balloon_init(void);

/*
 * balloon_reset - a new life: nothing is given, no report; the target stays
 * balloon_destroy - free the block of a change that was under way. Context: no vCPU runs any more.
 */
void balloon_reset(struct balloon *balloon);
void balloon_destroy(struct vm *vm);

/*
 * balloon_follow - from here on the vCPU uses the map as it is now
 * balloon_leave  - it uses none until its next balloon_follow()
 * Context: its CPU, loaded, no address from vm_gpa_to_host() is in use.
 */
void balloon_follow(struct vcpu *vcpu);
void balloon_leave(struct vcpu *vcpu);

/*
 * balloon_call - TIDEPOOL_OP_GIVE_BLOCK, _TAKE_BLOCK, _TARGET or _REPORT
 * @argument: RDI. Returns the call's result.
 * Context: inside vcpu_run(), no lock held, no address from vm_gpa_to_host() is in use. One block
 * is scrubbed at most.
 */
int64_t balloon_call(struct vcpu *vcpu, uint64_t op, uint64_t argument);

/* balloon_is_given - whether @gpa is in a block that the guest has given. Context: any. */
bool balloon_is_given(const struct vm *vm, gpa_t gpa);

/* balloon_set_target - the operator's wish, in blocks; interrupts the guest. Context: any CPU. */
void balloon_set_target(struct vm *vm, uint64_t blocks);

/*
 * balloon_read_report - what a running guest last said of its memory; any nonsense may be in it
 * Returns false when it has said nothing. Context: any CPU.
 */
bool balloon_read_report(struct vm *vm, struct tidepool_report *report);

#endif
