/* SPDX-License-Identifier: BSD-2-Clause */
/* The page store's place in the hypervisor: hands tmem/ its memory and its callbacks. */
#ifndef CORE_STORE_H
#define CORE_STORE_H

/*
 * store_init - start the store on the memory that nobody owns
 * Returns 0 or -ENOMEM, printed. Context: boot CPU, before the first guest.
 */
int store_init(void);

#endif
