# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# What init runs for tests/boot/test_shared.py; part of it (read in by `.`), with its functions.
#
#   tp.test=shared   read a disk whose pages are in a pool "base" with other guests; tp.right=rw or ro is
#                    what this guest may do there

# The disk attached by the words $1, which the driver has to refuse.
refuse_attach()
{
	{ echo "$1" >/sys/kernel/tidepool/attach; } 2>/dev/null && finish FAIL "attached: $1"
	[ -z "$(cat /sys/kernel/tidepool/disks)" ] || finish FAIL "half attached: $1"
}

expect_disks()
{
	[ "$(cat /sys/kernel/tidepool/disks)" = "$1" ] ||
		finish FAIL "disks: $(cat /sys/kernel/tidepool/disks), not $1"
}

# Writes to the disk past its being read-only, by way of a device above it.
write_shared()
{
	load dm-mod
	dmctl create over "$(blockdev --getsz /dev/vda)" linear "/dev/vda 0" || finish FAIL dmctl
	dd if=/dev/zero of=/dev/dm-0 bs=4k count=1 oflag=direct 2>/dev/null &&
		finish FAIL "the image was written"
	dmctl remove over || finish FAIL "dmctl remove"
}

test_shared()
{
	right=$(word right rw)
	load_disks
	insmod /lib/tidepool.ko swap=0 keep_dropped=1 || finish FAIL "the driver stays out"
	mount -t ext4 -o ro /dev/vda /mnt || finish FAIL "mount"
	refuse_attach "/dev/vda pool=other"
	refuse_attach "/dev/vda pool="
	refuse_attach "/dev/vda base"
	[ ! -e /dev/vdb ] || refuse_attach "/dev/vdb pool=base" # it can be written
	if [ "$right" = ro ]; then
		count_pass refused read_files
		echo 1 >/proc/sys/vm/drop_caches
	fi
	echo "/dev/vda pool=base" >/sys/kernel/tidepool/attach || finish FAIL "attach"
	expect_disks "vda pool=base $right"
	count_pass first read_files
	if [ "$right" = rw ]; then
		echo 1 >/proc/sys/vm/drop_caches
		count_pass second read_files
		umount /mnt
		echo vda >/sys/kernel/tidepool/detach || finish FAIL detach
		rmmod tidepool || finish FAIL rmmod
		insmod /lib/tidepool.ko swap=0 'cache="/dev/vda pool=base"' ||
			finish FAIL "insmod again"
		expect_disks "vda pool=base rw"
		stop_cache
	fi
	umount /mnt
	write_shared
	expect_disks "vda pool=base closed"
	mount -t ext4 -o ro /dev/vda /mnt || finish FAIL "mount again"
	count_pass closed read_files
	umount /mnt
	stop_cache
}
