/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's life: built by vm_create(), ended by vm_stop(), taken apart by vm_destroy_step().
 */
#include "core/vm/vm.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/virt.h"
#include "arch/x86_64/cpu/paging.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/sched.h"
#include "core/string.h"
#include "core/time.h"
#include "core/vm/loader.h"
#include "core/vm/vcpu.h"
#include "tmem/tmem.h"

_Static_assert(sizeof(struct vcpu) <= PAGE_SIZE, "a vCPU fits the frame it is kept in");

struct vm vms[CONFIG_MAX_GUESTS];
uint32_t vm_count;

static gpa_t block_gpa(uint64_t index)
{
	gpa_t gpa = index << BLOCK_SHIFT;

	return gpa < VM_HOLE_BASE ? gpa : gpa + (VM_HOLE_END - VM_HOLE_BASE);
}

static int map_memory(struct vm *vm)
{
	int err;

	for (uint64_t i = 0; i < vm->block_count; i++) {
		err = virt->vm_map_block(vm, block_gpa(i), virt_to_phys(vm->blocks[i]),
					 NPT_READ | NPT_WRITE | NPT_EXEC);
		if (err < 0)
			return err;
	}
	return 0;
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

/* Gives everything back at once; for a guest that never ran. */
static void destroy_now(struct vm *vm)
{
	while (!vm_destroy_step(vm))
		continue;
	memset(vm, 0, sizeof(*vm));
}

int vm_create(const struct guest_config *config)
{
	struct tmem_limits limits = {.cap = config->tmem_cap == UINT64_MAX
						    ? UINT64_MAX
						    : config->tmem_cap / TMEM_PAGE_SIZE};
	struct vm *vm = &vms[vm_count];
	const char *why = "no memory is left for its tables";
	struct loader_entry entry = {0};
	int err;

	vm->id = vm_count;
	vm->config = config;
	vm->boot_tsc = time_ticks();
	memcpy(vm->name, config->name, sizeof(vm->name));
	ioapic_reset(&vm->ioapic);
	uart_reset(&vm->uart);

	err = vm_memory_alloc(vm, config->memory);
	if (err < 0) {
		printk("tidepool: guest %s: not started: memory=%lluM, but only %llu MiB are free\n",
		       vm->name, (unsigned long long)(config->memory / MIB),
		       (unsigned long long)(frames_free_bytes() / MIB));
		destroy_now(vm);
		return err;
	}
	err = virt->vm_init(vm);
	if (err < 0)
		goto fail;
	err = map_memory(vm);
	if (err < 0)
		goto fail;
	vm->tmem = tmem_client_create(&limits);
	if (!vm->tmem) {
		err = -ENOMEM;
		goto fail;
	}
	for (uint32_t i = 0; i < config->vcpus; i++) {
		err = create_vcpu(vm, i);
		if (err < 0)
			goto fail;
		vm->vcpu_count++;
	}
	err = load_kernel(vm, &entry, &why);
	if (err < 0)
		goto fail;

	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		set_entry(vm->vcpus[i], &entry);
	vm->vcpus_active = vm->vcpu_count;
	__atomic_store_n(&vm->status, VM_RUNNING, __ATOMIC_RELEASE);
	vm_count++;
	printk("tidepool: guest %s: %llu MiB, %u vCPU%s\n", vm->name,
	       (unsigned long long)(vm->memory / MIB), vm->vcpu_count,
	       vm->vcpu_count == 1 ? "" : "s");
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		sched_add(vm->vcpus[i]);
	return 0;

fail:
	printk("tidepool: guest %s: not started: module \"%s\": %s\n", vm->name,
	       config->kernel->words, why);
	destroy_now(vm);
	return err;
}

void vm_stop(struct vm *vm, const char *fmt, ...)
{
	enum vm_status running = VM_RUNNING;
	va_list args;

	spin_lock(&vm->lock);
	if (!vm->stop_reason[0]) {
		va_start(args, fmt);
		vformat(vm->stop_reason, sizeof(vm->stop_reason), fmt, args);
		va_end(args);
	}
	spin_unlock(&vm->lock);
	__atomic_compare_exchange_n(&vm->status, &running, VM_STOPPING, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vcpu_kick(vm->vcpus[i]);
}

/* What a person wants to know of a guest that has ended; docs/manual.md explains each figure. */
static void report(struct vm *vm)
{
	unsigned long long exits = 0, fast = 0;
	struct tmem_stats stats;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		fast += vm->vcpus[i]->arch.fast_calls;
		for (unsigned int kind = 0; kind < EXIT_KIND_COUNT; kind++)
			exits += vm->vcpus[i]->exits[kind];
	}
	tmem_client_stats(vm->tmem, &stats);
	printk("tidepool: guest %s: stopped: %s\n", vm->name, vm->stop_reason);
	printk("tidepool: guest %s: tmem put=%llu got=%llu missed=%llu flushed=%llu refused=%llu "
	       "evicted=%llu held=%llu\n",
	       vm->name, (unsigned long long)stats.puts, (unsigned long long)stats.gets,
	       (unsigned long long)stats.misses, (unsigned long long)stats.flushed,
	       (unsigned long long)stats.refused, (unsigned long long)stats.evicted,
	       (unsigned long long)stats.held);
	printk("tidepool: guest %s: hypercalls=%llu exits=%llu\n", vm->name, fast, exits);
}

bool vm_retire_vcpu(struct vm *vm)
{
	if (__atomic_sub_fetch(&vm->vcpus_active, 1, __ATOMIC_ACQ_REL))
		return false;
	spin_lock(&vm->lock);
	uart_flush(vm);
	spin_unlock(&vm->lock);
	report(vm);
	__atomic_store_n(&vm->status, VM_DYING, __ATOMIC_RELEASE);
	return true;
}

bool vm_destroy_step(struct vm *vm)
{
	if (vm->tmem) {
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
		virt->vm_free(vm);
		vm->nested_root = 0;
		return false;
	}
	if (!vm_memory_free_step(vm))
		return false;
	__atomic_store_n(&vm->status, VM_STOPPED, __ATOMIC_RELEASE);
	return true;
}
