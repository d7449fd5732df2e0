/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports for test kernels: see testdev.h
 */
#include "core/dev/testdev.h"
#include "core/dev/uart.h"
#include "core/vm/vm.h"

uint8_t testdev_read_debug(struct vm *vm, uint16_t port)
{
	(void)vm;
	(void)port;
	return TESTDEV_DEBUG_THERE;
}

void testdev_write_debug(struct vm *vm, uint16_t port, uint8_t value)
{
	(void)port;
	spin_lock(&vm->lock);
	uart_print(vm, value);
	spin_unlock(&vm->lock);
}

void testdev_write_exit(struct vm *vm, uint32_t value)
{
	vm_stop(vm, VM_END_OFF, "testdev exit value %u", value);
}
