/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest is built by vm_create_step() and taken apart by vm_destroy_step(); core/vm/life.c calls
 * them.
 */
#include <tidepool/abi.h>

#include "core/vm/vm.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/virt.h"
#include "arch/x86_64/cpu/paging.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/sched.h"
#include "core/store.h"
#include "core/string.h"
#include "core/time.h"
#include "core/vm/loader.h"
#include "core/vm/session.h"
#include "core/vm/vcpu.h"
#include "tmem/tmem.h"

_Static_assert(sizeof(struct vcpu) <= PAGE_SIZE, "a vCPU fits the frame it is kept in");

/* Takes one block of RAM and maps it. Returns 0 when all are there, 1 for one, or -ENOMEM. */
static int memory_step(struct vm *vm)
{
	uint64_t index = vm->blocks_taken;
	int taken = vm_memory_alloc_step(vm);
	int err;

	if (taken <= 0)
		return taken;
	err = virt->vm_map_block(vm, vm_block_gpa(index), virt_to_phys(vm->blocks[index]),
				 NPT_READ | NPT_WRITE | NPT_EXEC);
	return err < 0 ? err : taken;
}

/* Loads the kernel; *why says what was wrong with it. */
static int load_kernel(struct vm *vm, struct loader_entry *entry, const char **why)
{
	const struct guest_config *config = vm->config;
	struct loader_image image = {
		.kernel = phys_to_virt(config->kernel->base),
		.kernel_size = config->kernel->size,
		.cmdline = config->cmdline,
		.rsdp = vm_acpi_build(vm),
	};

	if (config->initrd) {
		image.initrd = phys_to_virt(config->initrd->base);
		image.initrd_size = config->initrd->size;
	}
	return loader_load(vm, &image, entry, why);
}

static void free_vcpu(struct vcpu *vcpu)
{
	virt->vcpu_free(vcpu);
	if (vcpu->arch.fpu)
		frame_free(vcpu->arch.fpu);
	frame_free(vcpu);
}

static int create_vcpu(struct vm *vm, uint32_t id)
{
	struct vcpu *vcpu = frame_alloc();

	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->arch.fpu = frame_alloc();
	if (!vcpu->arch.fpu || virt->vcpu_init(vcpu) < 0) {
		free_vcpu(vcpu);
		return -ENOMEM;
	}
	fpu_init(vcpu);
	msr_init(vcpu);
	lapic_reset(&vcpu->lapic, id);
	vcpu->arch.tsc_offset = -vm->boot_tsc;
	vm->vcpus[id] = vcpu;
	return 0;
}

static int add_devices(struct vm *vm)
{
	const struct guest_config *config = vm->config;
	int err;

	for (uint32_t i = 0; i < config->disk_count; i++) {
		const struct boot_module *module = config->disks[i].module;

		err = virtio_add_disk(vm, &config->disks[i], phys_to_virt(module->base),
				      module->size);
		if (err < 0)
			return err;
	}
	return virtio_add_rng(vm);
}

/* The first vCPU starts where the loader says; the others wait for it. */
static void set_entry(struct vcpu *vcpu, const struct loader_entry *entry)
{
	virt->vcpu_load(vcpu);
	virt->set_tsc_offset(vcpu);
	if (vcpu->id == 0) {
		virt->set_state(vcpu, &entry->state);
		memcpy(vcpu->arch.gpr, entry->gpr, sizeof(entry->gpr));
	} else {
		vcpu->status = VCPU_WAIT_SIPI;
	}
	virt->vcpu_unload(vcpu);
}

/*
 * Power-on state of all but memory and processors; the other guests' are not touched. *why says
 * what is wrong with the configuration.
 */
static int begin(struct vm *vm, const char **why)
{
	int err;

	if (!sched_has_cpus(vm->config->cpus)) {
		*why = "cpus= names a CPU that is not there; the monitor's command cpus lists "
		       "those that are";
		return -EINVAL;
	}
	vm->boot_tsc = time_ticks();
	vm->power = (struct power){0};
	ioapic_reset(&vm->ioapic);
	uart_reset(&vm->uart);
	virtio_init(vm);
	balloon_reset(&vm->balloon);
	err = store_make_room(vm->config->memory / BLOCK_SIZE, STORE_SPARE_BLOCKS);
	if (err)
		return err;
	vm->node = frames_roomiest_node(sched_nodes(vm->config->cpus));
	if (virt->vm_init(vm) < 0)
		return -ENOMEM;
	return vm_memory_init(vm, vm->config->memory);
}

/*
 * The guest's place in the store, with the memory that is set aside for it: a block a step. Returns
 * 1 while there is more to do, 0 or an error. *why says what was too little.
 */
static int store_step(struct vm *vm, const char **why)
{
	const struct guest_config *config = vm->config;
	struct tmem_limits limits = store_limits(config->tmem_cap, config->tmem_reserve,
						 config->tmem_weight, config->dedup);
	int err;

	limits.compress = config->compress;
	limits.refuse = config->refuse;
	if (!vm->tmem) {
		vm->tmem = tmem_client_create(&limits);
		if (!vm->tmem)
			return -ENOMEM;
		store_grant(vm->tmem, config);
	}
	err = tmem_client_prepare(vm->tmem);
	if (err == -TIDEPOOL_EAGAIN)
		return 1;
	if (err < 0)
		*why = "too little memory is free for its tmem_reserve=";
	return err < 0 ? -ENOMEM : 0;
}

/* What is left to do when the memory is there. *why says what was wrong with the kernel. */
static int complete(struct vm *vm, const char **why)
{
	const struct guest_config *config = vm->config;
	struct loader_entry entry = {0};
	int err;

	for (uint32_t i = 0; i < config->vcpus; i++) {
		err = create_vcpu(vm, i);
		if (err < 0)
			return err;
		vm->vcpu_count++;
	}
	err = add_devices(vm);
	if (err < 0)
		return err;
	err = load_kernel(vm, &entry, why);
	if (err < 0)
		return err;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		set_entry(vm->vcpus[i], &entry);
	return 0;
}

int vm_create_step(struct vm *vm)
{
	const char *why = "no memory is left for its tables";
	int err;

	if (!vm->nested_root) {
		err = begin(vm, &why);
		if (err >= 0)
			return -EAGAIN;
	} else {
		err = memory_step(vm);
		if (err > 0)
			return -EAGAIN;
		if (err == 0)
			err = store_step(vm, &why);
		if (err > 0)
			return -EAGAIN;
		if (err == 0)
			err = complete(vm, &why);
	}
	if (err == -ENOSPC && !vm->memory)
		printk("tidepool: guest %s: not started: memory=%lluM, but only %llu MiB are "
		       "free\n",
		       vm->name, (unsigned long long)(vm->config->memory / MIB),
		       (unsigned long long)(frames_free_bytes() / MIB));
	else if (err < 0)
		printk("tidepool: guest %s: not started: module \"%s\": %s\n", vm->name,
		       vm->config->kernel->words, why);
	return err;
}

bool vm_destroy_step(struct vm *vm)
{
	if (vm->tmem) {
		if (!session_drop_step(vm))
			return false;
		if (tmem_client_destroy(vm->tmem) == 0)
			vm->tmem = NULL;
		return false;
	}
	if (vm->vcpu_count) {
		free_vcpu(vm->vcpus[--vm->vcpu_count]);
		vm->vcpus[vm->vcpu_count] = NULL;
		return false;
	}
	if (vm->nested_root) {
		virtio_destroy(vm);
		virt->vm_free(vm);
		vm->nested_root = 0;
		return false;
	}
	balloon_destroy(vm);
	return vm_memory_free_step(vm);
}
