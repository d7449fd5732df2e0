/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/cpu/mitigations.h"
#include "arch/x86_64/cpu/msr.h"
#include "arch/x86_64/cpu/platform.h"
#include "arch/x86_64/vcpu/host.h"
#include "core/dev/bus.h"
#include "core/panic.h"
#include "core/time.h"
#include "tests/unit/cpu_host.h"

struct host host;
struct vm host_vm;
struct vcpu host_vcpu;
uint32_t tsc_khz = HOST_TSC_KHZ;

static uint8_t ram[HOST_RAM];
static uint8_t *blocks[HOST_BLOCKS];

_Static_assert((HOST_BLOCKS & (HOST_BLOCKS - 1)) == 0, "the table's mask needs a power of two");
static uint8_t fpu_area[PAGE_SIZE];

void host_reset(uint32_t vcpus)
{
	memset(&host, 0, sizeof(host));
	memset(&host_vm, 0, sizeof(host_vm));
	memset(&host_vcpu, 0, sizeof(host_vcpu));
	memset(ram, 0, sizeof(ram));
	tsc_khz = HOST_TSC_KHZ;
	host.now = HOST_START;
	host.fault = -1;
	host.cpuid = host_cpuid_intel;
	host_vm.memory = HOST_RAM;
	host_vm.block_count = HOST_BLOCKS;
	host_vm.blocks = blocks;
	host_vm.block_mask = HOST_BLOCKS - 1;
	host_vm.vcpu_count = vcpus;
	host_vm.vcpus[0] = &host_vcpu;
	for (unsigned int i = 0; i < HOST_BLOCKS; i++)
		blocks[i] = ram + i * BLOCK_SIZE;
	host_vcpu.vm = &host_vm;
	host_vcpu.arch.fpu = fpu_area;
}

uint8_t *host_ram(gpa_t gpa)
{
	return ram + gpa;
}

/* Bits that a test could not tell from others: sizes and numbers that the code calculates with. */
static struct cpuid_regs all_ones(uint32_t leaf, uint32_t subleaf)
{
	static const struct cpuid_regs xstate[] = {
		[0] = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
		[1] = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
		[2] = {256, 576, 0xffffffff, 0xffffffff},
		[5] = {64, 1088, 0xfffffffd, 0xffffffff},
		[6] = {512, 1152, 0xffffffff, 0xffffffff},
		[7] = {1024, 1664, 0xffffffff, 0xffffffff},
		[9] = {8, 2688, 0xffffffff, 0xffffffff},
	};

	if (leaf == 0xd && subleaf < ARRAY_SIZE(xstate))
		return xstate[subleaf];
	if (leaf == 0x80000000)
		return (struct cpuid_regs){0x80000030, 0xffffffff, 0xffffffff, 0xffffffff};
	return (struct cpuid_regs){0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
}

struct cpuid_regs host_cpuid_intel(uint32_t leaf, uint32_t subleaf)
{
	if (leaf == 0)
		return (struct cpuid_regs)HOST_VENDOR_INTEL;
	return all_ones(leaf, subleaf);
}

struct cpuid_regs host_cpuid_amd(uint32_t leaf, uint32_t subleaf)
{
	if (leaf == 0)
		return (struct cpuid_regs)HOST_VENDOR_AMD;
	return all_ones(leaf, subleaf);
}

/* ---- arch/x86_64/vcpu/host.h ---------------------------------------------------------------- */

struct cpuid_regs host_cpuid(uint32_t leaf, uint32_t subleaf)
{
	return host.cpuid(leaf, subleaf);
}

uint64_t host_rdmsr(uint32_t msr)
{
	host.rdmsr_count++;
	if (msr != MSR_ARCH_CAPABILITIES)
		abort();
	return HOST_ARCH_CAP;
}

void host_wrmsr(uint32_t msr, uint64_t value)
{
	host.wrmsr_number = msr;
	host.wrmsr_value = value;
	host.wrmsr_count++;
}

void host_set_xcr0(uint64_t xcr0)
{
	host.xcr0 = xcr0;
}

void host_fpu_save(void *area, uint64_t components)
{
	(void)area;
	host.saved = components;
	host.saved_xcr0 = host.xcr0;
}

void host_fpu_restore(const void *area, uint64_t components)
{
	(void)area;
	host.restored = components;
	host.restored_xcr0 = host.xcr0;
}

void host_fpu_forget_pointers(void)
{
	host.pointers_forgotten++;
}

/* ---- the backend ---------------------------------------------------------------------------- */

static void get_state(struct vcpu *vcpu, struct vcpu_state *state)
{
	(void)vcpu;
	*state = host.state;
}

static void set_state(struct vcpu *vcpu, const struct vcpu_state *state)
{
	(void)vcpu;
	host.state = *state;
}

static void get_paging(struct vcpu *vcpu, struct vcpu_paging *paging)
{
	(void)vcpu;
	*paging = (struct vcpu_paging){
		.rip = host.state.rip,
		.rflags = host.state.rflags,
		.cr0 = host.state.cr0,
		.cr3 = host.state.cr3,
		.cr4 = host.state.cr4,
		.efer = host.state.efer,
		.cs_base = host.state.seg[SEG_CS].base,
		.cs_attr = host.state.seg[SEG_CS].attr,
		.cpl = host.cpl,
	};
}

static void set_efer(struct vcpu *vcpu, uint64_t efer)
{
	(void)vcpu;
	host.state.efer = efer;
}

static uint64_t get_efer(struct vcpu *vcpu)
{
	(void)vcpu;
	return host.state.efer;
}

static void set_rflags(struct vcpu *vcpu, uint64_t rflags)
{
	(void)vcpu;
	host.state.rflags = rflags;
}

static uint64_t get_base(struct vcpu *vcpu, enum segment seg)
{
	(void)vcpu;
	return host.state.seg[seg].base;
}

static void end_step(struct vcpu *vcpu)
{
	(void)vcpu;
	host.steps_ended++;
}

static void inject_exception(struct vcpu *vcpu, uint8_t vector, int64_t error_code)
{
	(void)vcpu;
	host.fault = vector;
	host.fault_code = error_code;
}

static void set_tsc_offset(struct vcpu *vcpu)
{
	(void)vcpu;
	host.offset_updates++;
}

static const struct virt_ops ops = {
	.get_state = get_state,
	.set_state = set_state,
	.get_paging = get_paging,
	.set_efer = set_efer,
	.get_efer = get_efer,
	.get_base = get_base,
	.set_rflags = set_rflags,
	.end_step = end_step,
	.inject_exception = inject_exception,
	.set_tsc_offset = set_tsc_offset,
};

const struct virt_ops *virt = &ops;

/* ---- core ----------------------------------------------------------------------------------- */

uint64_t time_ticks(void)
{
	return host.now;
}

uint64_t platform_wallclock(void)
{
	return HOST_WALL;
}

void panic(const char *fmt, ...)
{
	fprintf(stderr, "panic: %s\n", fmt);
	abort();
}

int vm_read_guest(const struct vm *vm, gpa_t gpa, void *buf, size_t size)
{
	(void)vm;
	if (gpa >= HOST_RAM || size > HOST_RAM - gpa)
		return -EFAULT;
	memcpy(buf, ram + gpa, size);
	return 0;
}

int vm_write_guest(struct vm *vm, gpa_t gpa, const void *buf, size_t size)
{
	(void)vm;
	if (gpa >= HOST_RAM || size > HOST_RAM - gpa)
		return -EFAULT;
	memcpy(ram + gpa, buf, size);
	return 0;
}

/* ---- devices -------------------------------------------------------------------------------- */

static void log_access(gpa_t gpa, unsigned int size, bool write, uint64_t value)
{
	if (host.accesses < ARRAY_SIZE(host.log))
		host.log[host.accesses] = (struct host_access){gpa, size, write, value};
	host.accesses++;
}

uint64_t bus_mmio_read(struct vcpu *vcpu, gpa_t gpa, unsigned int size)
{
	(void)vcpu;
	log_access(gpa, size, false, 0);
	return host.bus_value;
}

void bus_mmio_write(struct vcpu *vcpu, gpa_t gpa, unsigned int size, uint64_t value)
{
	(void)vcpu;
	log_access(gpa, size, true, value);
}

/* A port of bytes: what is written is kept, and read in the same order from the start. */
uint32_t bus_io_read(struct vcpu *vcpu, uint16_t port, unsigned int size)
{
	uint32_t value = 0;

	(void)vcpu;
	if (port != HOST_PORT)
		abort();
	memcpy(&value, host.ports_written + host.ports_count, size);
	host.ports_count += size;
	return value;
}

void bus_io_write(struct vcpu *vcpu, uint16_t port, unsigned int size, uint32_t value)
{
	(void)vcpu;
	if (port != HOST_PORT || value >> (size * 8 - 1) > 1)
		abort();
	memcpy(host.ports_written + host.ports_count, &value, size);
	host.ports_count += size;
}

/* The local APIC takes everything: its own checks are its own tests' matter. */
int lapic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu, (void)msr;
	*value = 0;
	return 0;
}

int lapic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu, (void)msr, (void)value;
	return 0;
}

void lapic_tsc_changed(struct vcpu *vcpu)
{
	(void)vcpu;
	host.deadline_updates++;
}

uint64_t mitigations_host_spec_ctrl(void)
{
	return host.host_spec_ctrl;
}
