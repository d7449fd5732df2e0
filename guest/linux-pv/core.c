// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tidepool's guest driver: finds the hypervisor, swaps into its memory, and keeps there what the
 * page cache drops.
 *
 * On any other machine, bare or virtual, it says so and stays out.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/suspend.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>

#include <tidepool/abi.h>

#include "balloon.h"
#include "cache.h"
#include "core.h"
#include "hypercall.h"
#include "swap.h"

static unsigned int size_mib;
module_param(size_mib, uint, 0444);
MODULE_PARM_DESC(size_mib, "Size of the swap device in MiB (default: the backing device's, or "
			   "without one as much as there is RAM)");

static char *backing;
module_param(backing, charp, 0444);
MODULE_PARM_DESC(backing, "Block device for pages that the hypervisor refuses, e.g. /dev/vdb; its "
			  "content is lost (default: none; refused pages then stay in RAM)");

static bool want_swap = true;
module_param_named(swap, want_swap, bool, 0444);
MODULE_PARM_DESC(swap, "Make the swap device (default: yes)");

static char *cache;
module_param(cache, charp, 0444);
MODULE_PARM_DESC(cache, "Disks whose files' pages are kept when they are evicted, e.g. "
			"/dev/vda,/dev/vdb (default: none; see /sys/kernel/tidepool/attach). With "
			"\" pool=NAME\" behind a disk, in a pool shared with other guests");

static bool want_balloon = true;
module_param_named(balloon, want_balloon, bool, 0444);
MODULE_PARM_DESC(balloon, "Give the hypervisor memory that it asks for and this guest can do "
			  "without (default: yes)");

struct kobject *tidepool_kobj;
static struct tidepool_swap *swap;
static u32 features; /* of the hypervisor: TIDEPOOL_FEATURE_* */

/*
 * Looks for the signature in the hypervisor leaves of CPUID, and for a version that this driver
 * speaks. Returns 0 or -ENODEV.
 */
static int tidepool_detect(void)
{
	u32 base = 0;
	u32 version;

	/* Without the hypervisor bit a processor answers unknown leaves with whatever it likes. */
	if (boot_cpu_has(X86_FEATURE_HYPERVISOR))
		base = hypervisor_cpuid_base(TIDEPOOL_CPUID_SIGNATURE, TIDEPOOL_CPUID_VERSION);
	if (!base) {
		pr_info("this machine does not run on Tidepool; nothing to do\n");
		return -ENODEV;
	}

	version = cpuid_eax(base + TIDEPOOL_CPUID_VERSION);
	features = cpuid_ebx(base + TIDEPOOL_CPUID_VERSION);
	if (version >> 16 != TIDEPOOL_ABI_MAJOR) {
		pr_err("Tidepool speaks ABI %u.%u, this driver %u.%u; nothing to do\n",
		       version >> 16, version & 0xffff, TIDEPOOL_ABI_MAJOR, TIDEPOOL_ABI_MINOR);
		return -ENODEV;
	}
	pr_info("running on Tidepool, ABI %u.%u\n", version >> 16, version & 0xffff);
	return 0;
}

/*
 * A hibernated kernel would wake without the pages that the hypervisor held for it. What the page
 * cache keeps is dropped before any sleep: its disks may change meanwhile.
 */
static int tidepool_notify_pm(struct notifier_block *block, unsigned long event, void *data)
{
	switch (event) {
	case PM_HIBERNATION_PREPARE:
		pr_err("no hibernation while this driver is loaded: its pages would be lost\n");
		return notifier_from_errno(-EBUSY);
	case PM_SUSPEND_PREPARE:
	case PM_RESTORE_PREPARE:
		tidepool_cache_renew();
		return NOTIFY_OK;
	default:
		return NOTIFY_DONE;
	}
}

static struct notifier_block pm_notifier = {
	.notifier_call = tidepool_notify_pm,
};

/*
 * A kernel that was started by kexec finds its predecessor's pools. Nothing in this one has made any
 * yet, so they all go.
 */
static void tidepool_destroy_old_pools(void)
{
	unsigned int pool;

	for (pool = 0; pool < TIDEPOOL_MAX_POOLS; pool++) {
		while (tidepool_call_destroy_pool(pool) == -TIDEPOOL_EAGAIN)
			cond_resched();
	}
}

static int __init tidepool_init(void)
{
	int err = tidepool_detect();

	if (err)
		return err;
	tidepool_destroy_old_pools();

	tidepool_kobj = kobject_create_and_add("tidepool", kernel_kobj);
	if (!tidepool_kobj)
		return -ENOMEM;

	err = register_pm_notifier(&pm_notifier);
	if (err)
		goto put_kobj;

	if (want_swap) {
		swap = tidepool_swap_create(size_mib, backing);
		if (IS_ERR(swap)) {
			err = PTR_ERR(swap);
			goto unregister_notifier;
		}
	}

	err = tidepool_cache_init(cache);
	if (err)
		goto destroy_swap;

	want_balloon = want_balloon && features & TIDEPOOL_FEATURE_BALLOON;
	if (want_balloon)
		err = tidepool_balloon_init();
	if (err)
		goto exit_cache;
	return 0;

exit_cache:
	tidepool_cache_exit();
destroy_swap:
	if (swap)
		tidepool_swap_destroy(swap);
unregister_notifier:
	unregister_pm_notifier(&pm_notifier);
put_kobj:
	kobject_put(tidepool_kobj);
	return err;
}

static void __exit tidepool_exit(void)
{
	if (want_balloon)
		tidepool_balloon_exit();
	tidepool_cache_exit();
	if (swap)
		tidepool_swap_destroy(swap);
	unregister_pm_notifier(&pm_notifier);
	kobject_put(tidepool_kobj);
}

module_init(tidepool_init);
module_exit(tidepool_exit);

MODULE_DESCRIPTION("Swap and page cache in the transcendent memory of the Tidepool hypervisor");
MODULE_AUTHOR("The Tidepool authors");
MODULE_LICENSE("GPL");
