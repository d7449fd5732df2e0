// SPDX-License-Identifier: GPL-2.0-only
/*
 * Figures of the page cache in tmem, in /sys/kernel/tidepool/cache/, one number a file, counted in
 * pages since the driver was loaded. README.md says what each of them means.
 */

#include <linux/kobject.h>
#include <linux/percpu.h>
#include <linux/sysfs.h>

#include "cache.h"

DEFINE_PER_CPU(struct tidepool_cache_counters, tidepool_cache_counters);

struct count_attribute {
	struct kobj_attribute attr;
	enum tidepool_cache_count which;
};

static ssize_t count_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	enum tidepool_cache_count which = container_of(attr, struct count_attribute, attr)->which;
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) sum += per_cpu(tidepool_cache_counters, cpu).value[which];
	return sysfs_emit(buf, "%llu\n", sum);
}

#define COUNT_ATTRIBUTE(_name)                                                                     \
	static struct count_attribute count_##_name = {                                            \
		.attr = __ATTR(_name, 0444, count_show, NULL),                                     \
		.which = TIDEPOOL_CACHE_##_name,                                                   \
	};
#define COUNT_ENTRY(_name) &count_##_name.attr.attr,

TIDEPOOL_CACHE_COUNTS(COUNT_ATTRIBUTE)

static struct attribute *count_attributes[] = {TIDEPOOL_CACHE_COUNTS(COUNT_ENTRY) NULL};

const struct attribute_group tidepool_cache_group = {
	.name = "cache",
	.attrs = count_attributes,
};
