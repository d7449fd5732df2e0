/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that was started by Multiboot 1: what it was given, and that in the form of PVH. */
#ifndef TESTS_GUEST_LIB_MULTIBOOT_H
#define TESTS_GUEST_LIB_MULTIBOOT_H

#include <stdint.h>

struct pvh_start_info;

/* EAX and EBX at entry; start.S stores them. */
extern uint32_t multiboot_magic, multiboot_info;

/* multiboot_start_info - command line and memory map, which the library reads in PVH's form. */
const struct pvh_start_info *multiboot_start_info(void);

#endif
