/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CORE_INIT_H
#define CORE_INIT_H

#include <stdint.h>

/*
 * init - the hypervisor's first C function
 * @magic, @info_address: EAX and EBX as the multiboot2 loader left them
 *
 * Context: boot CPU, boot stack, early page tables (first 4 GiB), interrupts off. Does not return.
 */
void init(uint32_t magic, uint32_t info_address) __attribute__((noreturn));

#endif
