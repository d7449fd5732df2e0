// SPDX-License-Identifier: GPL-2.0-only
/*
 * Figures of the swap device in sysfs, one number a file, the same names in two folders, but for
 * pool/run_puts and pool/run_gets, pages in calls that move several:
 *
 *   /sys/block/tidepool_swap0/pool/        as this driver counted them, since it was loaded
 *   /sys/block/tidepool_swap0/hypervisor/  as the hypervisor did, since the guest was started and
 *                                          for all its pools
 *
 * Right after the first load of the driver in a guest, both agree.
 */

#include <linux/device.h>
#include <linux/sysfs.h>

#include "hypercall.h"
#include "swap.h"

/* An attribute and the TIDEPOOL_QUERY_* it shows. */
struct count_attribute {
	struct device_attribute attr;
	unsigned int which;
};

static unsigned int count_of(struct device_attribute *attr)
{
	return container_of(attr, struct count_attribute, attr)->which;
}

static ssize_t pool_count_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct tidepool_swap *swap = dev_to_disk(dev)->private_data;

	return sysfs_emit(buf, "%llu\n", tidepool_pool_count(&swap->pool, count_of(attr)));
}

static ssize_t hypervisor_count_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	long value = tidepool_call_query(count_of(attr));

	return value < 0 ? value : sysfs_emit(buf, "%ld\n", value);
}

/* Both folders from one list of names. */
#define COUNTS(entry)                                                                              \
	entry(puts, TIDEPOOL_QUERY_PUTS) entry(refused, TIDEPOOL_QUERY_REFUSED)                    \
		entry(gets, TIDEPOOL_QUERY_GETS) entry(misses, TIDEPOOL_QUERY_MISSES)              \
			entry(flushed, TIDEPOOL_QUERY_FLUSHED) entry(held, TIDEPOOL_QUERY_HELD)

#define COUNT_ATTRIBUTE(folder, _name, query)                                                      \
	static struct count_attribute folder##_##_name = {                                         \
		.attr = __ATTR(_name, 0444, folder##_count_show, NULL),                            \
		.which = (query),                                                                  \
	};
#define POOL_ATTRIBUTE(_name, query)	   COUNT_ATTRIBUTE(pool, _name, query)
#define HYPERVISOR_ATTRIBUTE(_name, query) COUNT_ATTRIBUTE(hypervisor, _name, query)
#define POOL_ENTRY(_name, query)	   &pool_##_name.attr.attr,
#define HYPERVISOR_ENTRY(_name, query)	   &hypervisor_##_name.attr.attr,

COUNTS(POOL_ATTRIBUTE)
COUNTS(HYPERVISOR_ATTRIBUTE)

POOL_ATTRIBUTE(run_puts, TIDEPOOL_POOL_RUN_PUTS)
POOL_ATTRIBUTE(run_gets, TIDEPOOL_POOL_RUN_GETS)

static struct attribute *pool_attributes[] = {COUNTS(POOL_ENTRY) POOL_ENTRY(run_puts, )
						      POOL_ENTRY(run_gets, ) NULL};
static struct attribute *hypervisor_attributes[] = {COUNTS(HYPERVISOR_ENTRY) NULL};

static const struct attribute_group pool_group = {
	.name = "pool",
	.attrs = pool_attributes,
};

static const struct attribute_group hypervisor_group = {
	.name = "hypervisor",
	.attrs = hypervisor_attributes,
};

const struct attribute_group *tidepool_swap_groups[] = {&pool_group, &hypervisor_group, NULL};
