/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the kernel loaders share: a guest whose RAM is host memory, and an image under
 * construction that is loaded from buffers ending where it ends.
 *
 * AddressSanitizer is the judge of every load: the file, the initrd and each block of RAM are heap
 * buffers of their own.
 */
#ifndef TESTS_UNIT_LOADER_HOST_H
#define TESTS_UNIT_LOADER_HOST_H

#include "core/types.h"
#include "core/vm/loader.h"
#include "core/vm/vm.h"

#define HOST_RSDP	 0xe0000ull
#define HOST_INITRD_WORD 0x5a5a5a5a5a5a5a5aull /* what every initrd is full of */
#define HOST_IMAGE_MAX	 (64 * KIB)

extern struct vm vm;
extern uint8_t image_bytes[HOST_IMAGE_MAX];
extern size_t image_len;

/* What the last load() gave: where to start, or (else NULL) why not. */
extern struct loader_entry entry;
extern const char *why;

/* vm_begin, vm_end - a guest of so many bytes of RAM */
void vm_begin(uint64_t memory);
void vm_end(void);

/* load - loader_load() of the image; @initrd_size 0: without initrd */
int load(const char *cmdline, size_t initrd_size);

/* assert_refused - loading fails with @err, and the reason contains @text */
void assert_refused(int err, const char *text);

/* guest_read64 - eight bytes of the guest's RAM */
uint64_t guest_read64(gpa_t gpa);

/*
 * mutate - change a few bytes of the image at random, by a fixed seed
 * @first, @span: where
 */
void mutate(size_t first, size_t span);

/*
 * load_mutated - load an image that mutate() has changed, into a guest of 20 MiB
 * Fails the test unless it is refused in one of the ways there are, or starts inside the guest's
 * RAM. Returns 1 if it was accepted, else 0.
 */
unsigned int load_mutated(void);

#endif
