/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes a guest's port and memory-mapped accesses to its devices. What no device owns reads as all
 * ones and ignores writes, as on a PC.
 */
#ifndef CORE_DEV_BUS_H
#define CORE_DEV_BUS_H

#include "core/types.h"

struct vcpu;

/* bus_io_read, bus_io_write - @size 1, 2 or 4 bytes; wider accesses fall on consecutive ports. */
uint32_t bus_io_read(struct vcpu *vcpu, uint16_t port, unsigned int size);
void bus_io_write(struct vcpu *vcpu, uint16_t port, unsigned int size, uint32_t value);

/*
 * bus_mmio_read, bus_mmio_write - @size 1, 2, 4 or 8 bytes at a guest-physical address that is no
 * RAM. Devices answer aligned 32-bit accesses, virtio's configuration other sizes as well; others
 * read as all ones.
 */
uint64_t bus_mmio_read(struct vcpu *vcpu, gpa_t gpa, unsigned int size);
void bus_mmio_write(struct vcpu *vcpu, gpa_t gpa, unsigned int size, uint64_t value);

#endif
