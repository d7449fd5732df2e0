/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The balloon: gives RAM that this guest can do without to the hypervisor, and takes it back.
 *
 * Bound to the ACPI device that Tidepool announces itself by, whose interrupt says that the
 * hypervisor wants the guest to have more or less. A wish is all that it is: nothing is given that
 * the guest needs, and what it comes to need is taken back, before anything is killed for it.
 */
#ifndef TIDEPOOL_PV_BALLOON_H
#define TIDEPOOL_PV_BALLOON_H

/* tidepool_balloon_init, tidepool_balloon_exit - once the hypervisor is known to have one. */
int tidepool_balloon_init(void);
void tidepool_balloon_exit(void);

#endif
