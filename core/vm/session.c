/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with the word `manager` moves the pools of others out of the store and into it.
 *
 * Each guest has one session at most: a save or a restore, step by step, each under that guest's
 * lock, so that it cannot end meanwhile. The buffer is the manager's RAM, which its other CPUs may
 * write: the store reads and writes it once (tmem/save.c, tmem/restore.c).
 */
#include <tidepool/abi.h>

#include "core/vm/session.h"
#include "core/console.h"
#include "core/frames.h"
#include "core/string.h"
#include "core/vm/vm.h"
#include "tmem/tmem.h"

enum session_kind { SESSION_SAVE, SESSION_RESTORE };

/* One frame. */
struct session {
	enum session_kind kind;
	const struct vm *manager;
	void *page; /* a frame, for the store */
	union {
		struct tmem_save save;
		struct tmem_restore restore;
	};
};
_Static_assert(sizeof(struct session) <= PAGE_SIZE, "a session fits a frame");

static void session_free(struct vm *vm)
{
	frame_free(vm->session->page);
	frame_free(vm->session);
	vm->session = NULL;
}

/* Returns what the session came to, with it gone, or -TIDEPOOL_EAGAIN. Context: vm->lock held. */
static int64_t session_end(struct vm *vm)
{
	struct session *session = vm->session;
	int ret;

	if (session->kind == SESSION_SAVE) {
		ret = tmem_save_end(&session->save);
	} else {
		ret = tmem_restore_end(&session->restore);
		if (ret == -TIDEPOOL_EBADMSG)
			printk("tidepool: guest %s: restore refused: record %llu: %s\n", vm->name,
			       (unsigned long long)session->restore.records,
			       tmem_restore_reason(&session->restore));
	}
	if (ret != -TIDEPOOL_EAGAIN)
		session_free(vm);
	return ret;
}

/* Begin anew; what an earlier manager has left is ended first. Context: vm->lock held. */
static int64_t session_begin(struct vm *vm, const struct vm *manager, enum session_kind kind)
{
	struct session *session;
	int ret;

	if (vm->session) {
		(void)session_end(vm);
		return -TIDEPOOL_EAGAIN;
	}
	session = frame_alloc();
	if (!session)
		return -TIDEPOOL_ENOMEM;
	session->page = frame_alloc();
	if (!session->page) {
		frame_free(session);
		return -TIDEPOOL_ENOMEM;
	}
	session->kind = kind;
	session->manager = manager;
	vm->session = session;
	if (kind == SESSION_SAVE)
		ret = tmem_save_begin(&session->save, vm->tmem, session->page);
	else
		ret = tmem_restore_begin(&session->restore, vm->tmem, session->page);
	if (ret)
		session_free(vm);
	return ret;
}

/* A buffer of the manager's: in one block of its RAM. Returns 0 or the error. */
static int64_t buffer_check(const struct vm *vm, uint64_t gpa, uint64_t size, void **buffer)
{
	if (size < TIDEPOOL_MANAGE_BUFFER_MIN || size > TIDEPOOL_MANAGE_BUFFER_MAX ||
	    gpa % BLOCK_SIZE + size > BLOCK_SIZE)
		return -TIDEPOOL_EINVAL;
	*buffer = vm_gpa_to_host(vm, gpa);
	return *buffer ? 0 : -TIDEPOOL_EFAULT;
}

/* A step of the session that there is. Context: vm->lock held. */
static int64_t session_step(struct vm *vm, uint64_t what, void *buffer, uint64_t size)
{
	struct session *session = vm->session;
	bool saves = what == TIDEPOOL_MANAGE_SAVE_READ || what == TIDEPOOL_MANAGE_SAVE_FINISH ||
		     what == TIDEPOOL_MANAGE_SAVE_END;

	if (!session || saves != (session->kind == SESSION_SAVE))
		return -TIDEPOOL_EBUSY;
	switch (what) {
	case TIDEPOOL_MANAGE_SAVE_READ:
		return tmem_save_read(&session->save, buffer, size);
	case TIDEPOOL_MANAGE_SAVE_FINISH:
		return tmem_save_finish(&session->save);
	case TIDEPOOL_MANAGE_RESTORE_WRITE:
		return tmem_restore_write(&session->restore, buffer, size);
	default: /* an end */
		return session_end(vm);
	}
}

/* The guest's number, or -TIDEPOOL_ENOENT. */
static int64_t guest_find(const uint64_t name[2])
{
	_Static_assert(sizeof(vms[0].name) == 16, "a name is two words");
	for (uint32_t i = 0; i < vm_count; i++)
		if (memcmp(vms[i].name, name, sizeof(vms[i].name)) == 0)
			return i;
	return -TIDEPOOL_ENOENT;
}

static int64_t guest_manage(struct vm *manager, struct vm *vm, uint64_t what, void *buffer,
			    uint64_t size)
{
	int64_t ret;

	spin_lock(&vm->lock);
	if (!vm_is_up(vm->status))
		ret = -TIDEPOOL_EBUSY;
	else if (what == TIDEPOOL_MANAGE_SAVE_BEGIN)
		ret = session_begin(vm, manager, SESSION_SAVE);
	else if (what == TIDEPOOL_MANAGE_RESTORE_BEGIN)
		ret = session_begin(vm, manager, SESSION_RESTORE);
	else
		ret = session_step(vm, what, buffer, size);
	spin_unlock(&vm->lock);
	return ret;
}

int64_t session_manage(struct vm *vm, uint64_t what, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t name[2] = {a, b};
	void *buffer = NULL;
	struct vm *other;
	int64_t ret = 0;

	if (!vm->config->manager)
		return -TIDEPOOL_EPERM;
	if (what == TIDEPOOL_MANAGE_FIND)
		return guest_find(name);
	if (what >= TIDEPOOL_MANAGE_COUNT)
		return -TIDEPOOL_EINVAL;
	if (what == TIDEPOOL_MANAGE_SAVE_READ || what == TIDEPOOL_MANAGE_RESTORE_WRITE)
		ret = buffer_check(vm, b, c, &buffer);
	if (ret)
		return ret;
	other = &vms[a % CONFIG_MAX_GUESTS]; /* masked: see vm_gpa_to_host() */
	if (a >= vm_count)
		return -TIDEPOOL_ENOENT;
	return guest_manage(vm, other, what, buffer, c);
}
_Static_assert((CONFIG_MAX_GUESTS & (CONFIG_MAX_GUESTS - 1)) == 0, "the mask is a mask");

/* What a manager that goes has begun with another guest. Returns whether nothing is left. */
static bool foreign_drop(struct vm *vm, struct vm *other)
{
	bool gone = true;

	spin_lock(&other->lock);
	/* One that is going itself ends its own. */
	if (other != vm && vm_is_up(other->status) && other->session &&
	    other->session->manager == vm)
		gone = session_end(other) != -TIDEPOOL_EAGAIN;
	spin_unlock(&other->lock);
	return gone;
}

bool session_drop_step(struct vm *vm)
{
	for (uint32_t i = 0; vm->config->manager && i < vm_count; i++)
		if (!foreign_drop(vm, &vms[i]))
			return false;
	/* The pools go with the guest: nothing is to be ended in good order. */
	if (vm->session)
		session_free(vm);
	return true;
}
