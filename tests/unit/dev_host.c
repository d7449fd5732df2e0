/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/cpu/platform.h"
#include "core/console.h"
#include "core/frames.h"
#include "core/time.h"
#include "tests/unit/dev_host.h"

struct host host;
struct vm host_vm;
struct guest_config host_config;
struct vcpu host_vcpus[CONFIG_MAX_VCPUS];
uint32_t tsc_khz;

uint32_t host_apic_page[PAGE_SIZE / sizeof(uint32_t)];

static uint32_t *apic_direct(struct vcpu *vcpu)
{
	(void)vcpu;
	return host.direct ? host_apic_page : NULL;
}

static void apic_indirect(struct vcpu *vcpu)
{
	(void)vcpu;
	host.indirects++;
}

static const struct virt_ops ops = {
	.apic_direct = apic_direct,
	.apic_indirect = apic_indirect,
};

const struct virt_ops *virt = &ops;

void host_reset(void)
{
	memset(&host, 0, sizeof(host));
	memset(&host_vm, 0, sizeof(host_vm));
	memset(&host_config, 0, sizeof(host_config));
	host_vm.config = &host_config;
	memset(host_vcpus, 0, sizeof(host_vcpus));
	tsc_khz = HOST_TSC_KHZ;
	host.now = 1000000;
	strcpy(host_vm.name, "web");
	host_vm.vcpu_count = CONFIG_MAX_VCPUS;
	for (uint32_t i = 0; i < CONFIG_MAX_VCPUS; i++) {
		host_vm.vcpus[i] = &host_vcpus[i];
		host_vcpus[i].vm = &host_vm;
		host_vcpus[i].id = i;
		lapic_reset(&host_vcpus[i].lapic, i);
	}
	ioapic_reset(&host_vm.ioapic);
	uart_reset(&host_vm.uart);
}

uint64_t time_ticks(void)
{
	return host.now;
}

void vcpu_kick(struct vcpu *vcpu)
{
	host.kicked |= 1u << vcpu->id;
	host.kicks++;
}

void vm_stop(struct vm *vm, enum vm_end end, const char *fmt, ...)
{
	va_list args;

	(void)vm;
	va_start(args, fmt);
	if (!host.stops++)
		vsnprintf(host.stop_reason, sizeof(host.stop_reason), fmt, args);
	host.end = end;
	va_end(args);
}

bool console_has_shown(uint64_t place)
{
	return place <= host.console_shown;
}

uint64_t console_write(const char *text, size_t len)
{
	size_t room = sizeof(host.console) - 1 - host.console_len;

	if (len > room)
		len = room;
	memcpy(host.console + host.console_len, text, len);
	host.console_len += len;
	host.console[host.console_len] = '\0';
	host.console_writes++;
	if (!host.console_slow)
		host.console_shown = host.console_len;
	return host.console_len;
}

void printk(const char *fmt, ...)
{
	size_t room = sizeof(host.console) - host.console_len;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(host.console + host.console_len, room, fmt, args);
	va_end(args);
	host.console_len += (size_t)len < room ? (size_t)len : room - 1;
}

int format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return len;
}

void *frame_alloc(void)
{
	return host.no_frames ? NULL : calloc(1, PAGE_SIZE);
}

void frame_free(void *frame)
{
	free(frame);
}

uint64_t platform_random(void)
{
	return (uint64_t)rand() << 32 ^ (uint64_t)rand();
}
