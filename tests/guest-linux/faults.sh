# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# What init runs for tests/boot/test_faults.py and soak_linux.py; part of it (read in by `.`), with its functions.
#
#   tp.test=faults   churn beside hog, swap and page cache kept, while the hypervisor freezes the guest,
#                    drops its pages and refuses puts; the driver is unloaded and loaded meanwhile
#   tp.test=kexec    with pages in both pools, go over into the kernel on the disk by kexec; tp.after=1:
#                    that is this kernel, and none of the pages is there. It goes over into another one
#                    without swap; tp.after=2: that one has no driver

# The driver with all it has: swap, backed by the second disk, and the first disk's pages.
load_driver()
{
	# While the guest is frozen, this waits.
	insmod "/lib/$driver.ko" keep_dropped=1 cache=/dev/vda backing=/dev/vdb ||
		finish FAIL "the driver stays out"
	mkswap /dev/$disk >/dev/null || finish FAIL mkswap
	swapon /dev/$disk || finish FAIL swapon
}

# Until /tmp/stop: the driver is there, memory is used and verified, the driver goes.
use_driver()
{
	until [ -e /tmp/stop ]; do
		load_driver
		use_memory || finish FAIL "hog ended with status $?"
		line=$(cache_figures)
		swapped=$(figure puts)
		swapoff /dev/$disk || finish FAIL swapoff
		rmmod tidepool || finish FAIL "rmmod under load"
		echo >>/tmp/unloaded
		echo "tidepool-cache: pass=0 swapped=$swapped$line"
	done
}

test_faults()
{
	load_disks
	mount -t ext4 /dev/vda /mnt || finish FAIL mount
	while :; do cat /mnt/data* >/dev/null; done &
	use_driver &
	until [ -s /tmp/unloaded ]; do # once, where the machine is not slow
		rm -rf /mnt/churn
		mkdir /mnt/churn
		churn /mnt/churn 3 "$(word seconds 20)" || finish FAIL "churn ended with status $?"
	done
	kill %1
	touch /tmp/stop
	wait %2
	read_files
	finish PASS
}

load_kernel()
{
	reexec /mnt/vmlinuz /mnt/initrd "$(cat /proc/cmdline) tp.after=$1" || finish FAIL reexec
}

# What the hypervisor holds for the guest as the driver is loaded; then kexec, or all works.
test_kexec()
{
	after=$(word after 0)
	if [ "$after" = 2 ]; then
		echo "tidepool-kexec: without the driver"
		sleep 5
		finish PASS
	fi
	load_disks
	mount -t ext4 /dev/vda /mnt || finish FAIL mount
	load_driver
	stats loaded
	if [ "$after" = 1 ]; then
		[ "$(cat /sys/block/$disk/hypervisor/held)" = 0 ] || finish FAIL "pages are left"
		(cd /mnt && head -n 4 sums | md5sum -c -s) || finish FAIL "wrong contents"
		use_memory || finish FAIL "hog ended with status $?"
		stats used
		swapoff /dev/$disk || finish FAIL swapoff
		[ "$(cat /sys/block/$disk/hypervisor/held)" -gt 1000 ] || finish FAIL "no files are kept"
		load_kernel 2
		reexec
		finish FAIL "no kexec"
	fi
	load_kernel 1
	use_memory_on
	cat /mnt/data[0-3] >/dev/null
	until [ "$(figure held)" -gt 1000 ]; do
		sleep 1
	done
	echo "tidepool-cache: pass=0$(cache_figures)"
	stats used
	reexec
	finish FAIL "no kexec"
}
