/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/vm/balloon.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/virt.h"
#include "core/dev/ioapic.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/panic.h"
#include "core/store.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define GFN_MAX	     (UINT64_MAX >> PAGE_SHIFT)
#define REPORT_WORDS (sizeof(struct tidepool_report) / sizeof(uint64_t))

_Static_assert(TIDEPOOL_BLOCK_FRAMES *PAGE_SIZE == BLOCK_SIZE, "the ABI's block is the host's");
_Static_assert(sizeof(struct tidepool_report) <= PAGE_SIZE, "a report lies in one page");

/* Never written: what given blocks of all guests show. */
static const uint8_t *zeroes;

int balloon_init(void)
{
	zeroes = block_alloc();
	return zeroes ? 0 : -ENOMEM;
}

void balloon_reset(struct balloon *balloon)
{
	balloon->epoch = 1;
	balloon->moving = NULL;
	balloon->report = TIDEPOOL_REPORT_NONE;
}

void balloon_destroy(struct vm *vm)
{
	if (!vm->balloon.moving)
		return;
	vm_count_block(vm, vm->balloon.moving, -1);
	block_free(vm->balloon.moving);
	vm->balloon.moving = NULL;
}

/* ---- following the map --------------------------------------------------------------------------
 */

/*
 * Saying so and then looking again, against settle()'s changing and then asking: either the vCPU
 * sees the change, or the change sees the vCPU. Both need the full order of SEQ_CST.
 */
void balloon_follow(struct vcpu *vcpu)
{
	const uint64_t *map = &vcpu->vm->balloon.epoch;
	uint64_t epoch = __atomic_load_n(map, __ATOMIC_SEQ_CST);

	if (vcpu->map_epoch == epoch)
		return;
	do {
		if (vcpu->map_flushed != epoch)
			virt->flush_nested(vcpu);
		vcpu->map_flushed = epoch;
		__atomic_store_n(&vcpu->map_epoch, epoch, __ATOMIC_SEQ_CST);
		epoch = __atomic_load_n(map, __ATOMIC_SEQ_CST);
	} while (vcpu->map_epoch != epoch);
}

void balloon_leave(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->map_epoch, 0, __ATOMIC_RELEASE);
}

/*
 * Whether all vCPUs follow the map; those that do not are kicked. The caller's own follows before
 * it enters the guest again. Context: vm->lock held.
 */
static bool all_follow(const struct vcpu *caller)
{
	const struct vm *vm = caller->vm;
	bool all = true;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];
		uint64_t seen = __atomic_load_n(&vcpu->map_epoch, __ATOMIC_SEQ_CST);

		if (vcpu == caller || seen == 0 || seen == vm->balloon.epoch)
			continue;
		vcpu_kick(vcpu);
		all = false;
	}
	return all;
}

/* ---- changing it --------------------------------------------------------------------------------
 */

/* Ends the change under way, if there is one and it can be. Context: vm->lock held. */
static bool settle(struct vcpu *caller)
{
	struct vm *vm = caller->vm;
	struct balloon *balloon = &vm->balloon;

	if (!balloon->moving)
		return true;
	if (!all_follow(caller))
		return false;
	if (balloon->giving) {
		vm_count_block(vm, balloon->moving, -1);
		block_free(balloon->moving);
	} else {
		__atomic_store_n(&vm->blocks[balloon->index], balloon->moving, __ATOMIC_RELEASE);
	}
	balloon->moving = NULL;
	return true;
}

/* The tables are there since the guest was built: replacing an entry cannot fail. */
static void map(struct vm *vm, uint64_t index, const uint8_t *block, unsigned int prot)
{
	int err = virt->vm_map_block(vm, vm_block_gpa(index), virt_to_phys(block), prot);

	BUG_ON(err < 0);
	__atomic_fetch_add(&vm->balloon.epoch, 1, __ATOMIC_SEQ_CST);
}

/* Context of both: vm->lock held, no change is under way. */
static void begin_giving(struct vm *vm, uint64_t index)
{
	vm->balloon.moving = vm->blocks[index];
	vm->balloon.index = index;
	vm->balloon.giving = true;
	__atomic_store_n(&vm->blocks[index], NULL, __ATOMIC_RELAXED);
	map(vm, index, zeroes, NPT_READ);
}

static void begin_taking(struct vm *vm, uint64_t index, uint8_t *block)
{
	vm->balloon.moving = block;
	vm->balloon.index = index;
	vm->balloon.giving = false;
	vm_count_block(vm, block, 1);
	map(vm, index, block, NPT_READ | NPT_WRITE | NPT_EXEC);
}

/* The number of the block of RAM that holds @gpa. */
static bool find_block(const struct vm *vm, gpa_t gpa, uint64_t *index)
{
	gpa_t offset = gpa;

	if (gpa >= VM_HOLE_BASE) {
		if (gpa < VM_HOLE_END)
			return false;
		offset -= VM_HOLE_END - VM_HOLE_BASE;
	}
	*index = offset >> BLOCK_SHIFT;
	return offset < vm->memory;
}

bool balloon_is_given(const struct vm *vm, gpa_t gpa)
{
	uint64_t index;

	return find_block(vm, gpa, &index) &&
	       !__atomic_load_n(&vm->blocks[index], __ATOMIC_RELAXED);
}

static int64_t give(struct vcpu *vcpu, uint64_t index)
{
	struct vm *vm = vcpu->vm;
	bool done;

	spin_lock(&vm->lock);
	done = settle(vcpu);
	if (done && vm->blocks[index]) {
		begin_giving(vm, index);
		done = settle(vcpu);
	}
	spin_unlock(&vm->lock);
	return done ? 0 : -TIDEPOOL_EAGAIN;
}

/* Memory that guests on their way to a new life wait for is not given to this one. */
static uint8_t *block_for_guest(const struct vm *vm)
{
	return frames_free_blocks() > vms_awaited_blocks() ? block_alloc_near(vm->node) : NULL;
}

/*
 * Whether the block is there already: 0; a change has to end first: -TIDEPOOL_EAGAIN; or 1: it has
 * to be brought. Context: vm->lock held.
 */
static int64_t look(struct vcpu *vcpu, uint64_t index)
{
	if (!settle(vcpu))
		return -TIDEPOOL_EAGAIN;
	return vcpu->vm->blocks[index] ? 0 : 1;
}

/* The lock is dropped while a block is scrubbed; what other vCPUs did meanwhile is looked at. */
static int64_t take(struct vcpu *vcpu, uint64_t index)
{
	struct vm *vm = vcpu->vm;
	uint8_t *block;
	int64_t result;

	spin_lock(&vm->lock);
	result = look(vcpu, index);
	spin_unlock(&vm->lock);
	if (result <= 0)
		return result;
	block = block_for_guest(vm);
	if (!block) /* the store may have one to spare */
		return store_make_room(vms_awaited_blocks() + 1, 0) < 0 ? -TIDEPOOL_ENOMEM
									: -TIDEPOOL_EAGAIN;

	spin_lock(&vm->lock);
	result = look(vcpu, index);
	if (result > 0) {
		begin_taking(vm, index, block);
		block = NULL;
		result = settle(vcpu) ? 0 : -TIDEPOOL_EAGAIN;
	}
	spin_unlock(&vm->lock);
	if (block)
		block_free(block);
	return result;
}

static int64_t move_block(struct vcpu *vcpu, uint64_t op, uint64_t gfn)
{
	uint64_t index;

	if (gfn % TIDEPOOL_BLOCK_FRAMES)
		return -TIDEPOOL_EINVAL;
	if (gfn > GFN_MAX || !find_block(vcpu->vm, gfn << PAGE_SHIFT, &index))
		return -TIDEPOOL_EFAULT;
	return op == TIDEPOOL_OP_GIVE_BLOCK ? give(vcpu, index) : take(vcpu, index);
}

/* ---- target and report --------------------------------------------------------------------------
 */

static int64_t set_report(struct vm *vm, uint64_t gfn)
{
	int64_t result = 0;

	spin_lock(&vm->lock);
	if (gfn != TIDEPOOL_REPORT_NONE &&
	    (gfn > GFN_MAX || !vm_gpa_to_host(vm, gfn << PAGE_SHIFT)))
		result = -TIDEPOOL_EFAULT;
	else
		vm->balloon.report = gfn;
	spin_unlock(&vm->lock);
	return result;
}

/* The lock keeps the page's block where it is. volatile: each word is read once. */
bool balloon_read_report(struct vm *vm, struct tidepool_report *report)
{
	const volatile uint64_t *from = NULL;
	uint64_t *to = (uint64_t *)report;

	spin_lock(&vm->lock);
	if (vm_is_up(vm->status) && vm->balloon.report != TIDEPOOL_REPORT_NONE)
		from = (const volatile void *)vm_gpa_to_host(vm, vm->balloon.report << PAGE_SHIFT);
	for (unsigned int i = 0; from && i < REPORT_WORDS; i++)
		to[i] = from[i];
	spin_unlock(&vm->lock);
	return from;
}

void balloon_set_target(struct vm *vm, uint64_t blocks)
{
	spin_lock(&vm->lock);
	__atomic_store_n(&vm->balloon.target, blocks, __ATOMIC_RELAXED);
	if (vm_is_up(vm->status)) {
		ioapic_set_line(vm, BALLOON_PIN, true);
		ioapic_set_line(vm, BALLOON_PIN, false);
	}
	spin_unlock(&vm->lock);
}

int64_t balloon_call(struct vcpu *vcpu, uint64_t op, uint64_t argument)
{
	switch (op) {
	case TIDEPOOL_OP_GIVE_BLOCK:
	case TIDEPOOL_OP_TAKE_BLOCK:
		return move_block(vcpu, op, argument);
	case TIDEPOOL_OP_TARGET:
		return (int64_t)__atomic_load_n(&vcpu->vm->balloon.target, __ATOMIC_RELAXED);
	case TIDEPOOL_OP_REPORT:
		return set_report(vcpu->vm, argument);
	default:
		return -TIDEPOOL_ENOSYS;
	}
}
