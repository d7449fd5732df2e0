# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# What init runs for tests/boot/test_faults.py and soak_linux.py; part of it (read in by `.`), with its functions.
#
#   tp.test=faults   churn beside hog, swap and page cache kept, while the hypervisor freezes the guest,
#                    drops its pages and refuses puts; the driver is unloaded and loaded meanwhile
#   tp.test=kexec    with pages in both pools, go over into the kernel on the disk by kexec; tp.after=1:
#                    that is this kernel, and none of the pages is there

# The driver with all it has: swap, backed by the second disk, and the first disk's pages.
load_driver()
{
	# Of a frozen guest no pool can be made.
	for second in $(seq 30); do
		insmod "/lib/$driver.ko" keep_dropped=1 cache=/dev/vda backing=/dev/vdb && break
		[ "$second" != 30 ] || finish FAIL "the driver stays out"
		sleep 1
	done
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
		echo "tidepool-cache: pass=0 swapped=$swapped$line"
	done
}

test_faults()
{
	load_disks
	mount -t ext4 /dev/vda /mnt || finish FAIL mount
	rm -rf /mnt/churn # from a life before
	mkdir /mnt/churn
	while :; do cat /mnt/data* >/dev/null; done &
	use_driver &
	churn /mnt/churn 3 "$(word seconds 20)" || finish FAIL "churn ended with status $?"
	kill %1
	touch /tmp/stop
	wait %2
	read_files
	finish PASS
}

# What the hypervisor holds for the guest as the driver is loaded; then kexec, or all works.
test_kexec()
{
	load_disks
	mount -t ext4 /dev/vda /mnt || finish FAIL mount
	load_driver
	stats loaded
	if [ -n "$(word after)" ]; then
		[ "$(cat /sys/block/$disk/hypervisor/held)" = 0 ] || finish FAIL "pages are left"
		(cd /mnt && head -n 4 sums | md5sum -c -s) || finish FAIL "wrong contents"
		use_memory || finish FAIL "hog ended with status $?"
		stats used
		finish PASS
	fi
	reexec /mnt/vmlinuz /mnt/initrd "$(cat /proc/cmdline) tp.after=1" || finish FAIL reexec
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
