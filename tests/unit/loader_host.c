/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's RAM from the host's heap, and loads into it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/errno.h"
#include "core/frames.h"
#include "core/panic.h"
#include "tests/unit/loader_host.h"

struct vm vm;
uint8_t image_bytes[HOST_IMAGE_MAX];
size_t image_len;
struct loader_entry entry;
const char *why;

static struct guest_config guest_config;

/* What core/vm/memory.c takes from the hypervisor. */
void *frame_alloc(void)
{
	return calloc(1, PAGE_SIZE);
}

void frame_free(void *frame)
{
	free(frame);
}

void *block_alloc(void)
{
	return calloc(1, BLOCK_SIZE);
}

void *block_alloc_near(uint32_t node)
{
	(void)node;
	return block_alloc();
}

uint32_t frames_node_of(const void *block)
{
	(void)block;
	return 0;
}

void block_free(void *block)
{
	free(block);
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	abort();
}

void vm_begin(uint64_t memory)
{
	memset(&vm, 0, sizeof(vm));
	vm.config = &guest_config;
	assert_int_equal(vm_memory_init(&vm, memory), 0);
	while (vm_memory_alloc_step(&vm) > 0)
		continue;
	assert_int_equal(vm.blocks_taken, vm.block_count);
}

void vm_end(void)
{
	while (!vm_memory_free_step(&vm))
		continue;
}

/* Loads what is under construction, from buffers that end where it ends. */
int load(const char *cmdline, size_t initrd_size)
{
	uint8_t *kernel = malloc(image_len ? image_len : 1);
	uint8_t *initrd = malloc(initrd_size ? initrd_size : 1);
	struct loader_image image = {
		.kernel = kernel,
		.kernel_size = image_len,
		.initrd = initrd_size ? initrd : NULL,
		.initrd_size = initrd_size,
		.cmdline = cmdline,
		.rsdp = HOST_RSDP,
	};
	int err;

	memcpy(kernel, image_bytes, image_len);
	memset(initrd, (int)(HOST_INITRD_WORD & 0xff), initrd_size);
	why = NULL;
	err = loader_load(&vm, &image, &entry, &why);
	free(kernel);
	free(initrd);
	assert_true((err == 0) == (why == NULL));
	return err;
}

void assert_refused(int err, const char *text)
{
	assert_int_equal(load("", 0), err);
	if (!strstr(why, text))
		fail_msg("reason \"%s\" does not contain \"%s\"", why, text);
}

uint64_t guest_read64(gpa_t gpa)
{
	uint64_t value;

	assert_int_equal(vm_read_guest(&vm, gpa, &value, sizeof(value)), 0);
	return value;
}

void mutate(size_t first, size_t span)
{
	static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff};

	for (int n = rand() % 3; n >= 0; n--) {
		size_t at = first + (size_t)rand() % span;

		if (rand() % 2)
			image_bytes[at] = (uint8_t)rand();
		else
			memcpy(image_bytes + at, &values[rand() % 6], 4);
	}
}

unsigned int load_mutated(void)
{
	int err = load("words", 4096);

	assert_true(err == 0 || err == -EINVAL || err == -ENOSPC);
	if (err < 0)
		return 0;
	assert_in_range(entry.state.rip, MIB, 20 * MIB);
	return 1;
}
