/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports for test kernels, given to a guest by its module word testdev: bytes written to the debug
 * port are console output, a value written to the exit port ends the guest and is shown.
 * Documents: Bochs user manual, "port 0xe9 hack"; QEMU's isa-debug-exit has the exit port at 0xf4.
 */
#ifndef CORE_DEV_TESTDEV_H
#define CORE_DEV_TESTDEV_H

#include "core/types.h"

#define TESTDEV_PORT_DEBUG  0xe9
#define TESTDEV_PORT_EXIT   0xf4
#define TESTDEV_DEBUG_THERE 0xe9 /* what the debug port reads as: how a kernel finds it */

struct vm;

/* testdev_read_debug, testdev_write_debug - the byte wide debug port. Context: lock not held. */
uint8_t testdev_read_debug(struct vm *vm, uint16_t port);
void testdev_write_debug(struct vm *vm, uint16_t port, uint8_t value);

/* testdev_write_exit - a value of any width at the exit port: vm_stop(). Context: lock not held. */
void testdev_write_exit(struct vm *vm, uint32_t value);

#endif
