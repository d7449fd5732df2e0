/* SPDX-License-Identifier: BSD-2-Clause */
/* The SVM backend's surroundings for its unit tests: one vCPU, a few bytes of guest code, frames.
 */
#ifndef TESTS_UNIT_SVM_HOST_H
#define TESTS_UNIT_SVM_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/vcpu/machine_check.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/vcpu/walk.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/panic.h"
#include "core/vm/vm.h"

uint64_t image_load_base;

static uint64_t cpu_features;
static int frames_out, frames_left;
static struct vm vm;
static struct vcpu vcpu;
static uint8_t guest_code[2 * PAGE_SIZE];
static uint64_t guest_mapped; /* bytes of guest_code that are */

bool svm_has(uint64_t feature)
{
	return cpu_features & feature;
}

void svm_read_back_xcr0(struct vcpu *v)
{
	v->arch.xcr0 = XCR0_X87 | XCR0_SSE;
}

/* In vcpu/cr4.c */
uint64_t cr4_offered(void)
{
	return CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_TSD | CR4_MCE;
}

static unsigned int machine_checks;

void machine_check_in_guest(struct vcpu *v)
{
	(void)v;
	machine_checks++;
}

static uint64_t cr2_register;

void svm_write_cr2(struct vcpu *v)
{
	cr2_register = vmcb_of(v)->save.cr2;
}

void *frame_alloc(void)
{
	if (!frames_left)
		return NULL;
	frames_left--;
	frames_out++;
	return memset(aligned_alloc(PAGE_SIZE, PAGE_SIZE), 0, PAGE_SIZE);
}

void frame_free(void *frame)
{
	frames_out--;
	free(frame);
}

void printk(const char *fmt, ...)
{
	(void)fmt;
}

void panic(const char *fmt, ...)
{
	(void)fmt;
	abort();
}

int walk_tables(const struct vm *guest, const struct vcpu_paging *paging, gva_t gva,
		struct walk_access access, gpa_t *gpa, uint32_t *error_code)
{
	(void)guest, (void)paging;
	assert_true(access.fetch && !access.write);
	*error_code = 0;
	*gpa = gva;
	return gva < guest_mapped ? 0 : -EFAULT;
}

int vm_read_guest(const struct vm *guest, gpa_t gpa, void *buf, size_t size)
{
	(void)guest;
	assert_true(gpa + size <= guest_mapped);
	memcpy(buf, guest_code + gpa, size);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	cpu_features = SVM_FEATURE_NPT;
	frames_left = 1000;
	guest_mapped = sizeof(guest_code);
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&vm, 0, sizeof(vm));
	vcpu.vm = &vm;
	assert_int_equal(svm_vm_init(&vm), 0);
	assert_int_equal(svm_vcpu_init(&vcpu), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	svm_vcpu_free(&vcpu);
	svm_vm_free(&vm);
	assert_int_equal(frames_out, 0);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
