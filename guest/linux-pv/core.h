/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TIDEPOOL_PV_CORE_H
#define TIDEPOOL_PV_CORE_H

struct kobject;

/* /sys/kernel/tidepool, while the driver is loaded. */
extern struct kobject *tidepool_kobj;

#endif
