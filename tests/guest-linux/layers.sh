# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# What init runs for tests/boot/test_layers.py; part of it (read in by `.`), with its functions.
#
#   tp.test=layers   what a file system, the kernel and an administrator may do with the attached disk
#                    and above it, while files are read and changed and memory is compacted

vmstat()
{
	sed -n "s/^$1 //p" /proc/vmstat
}

# The file $1 is what $2 was copied from, out of the page cache and after it has been dropped.
check_copy()
{
	cmp "$2" "$1" || finish FAIL "$1 as it was written"
	sync
	for _ in 1 2; do
		echo 1 >/proc/sys/vm/drop_caches
		cmp "$2" "$1" || finish FAIL "$1 is not $2"
	done
}

copy_and_check()
{
	cp "$1" "$2" || finish FAIL "cp $2"
	check_copy "$2" "$1"
}

# The balloon takes memory and gives it back, as the one at the hypervisor's monitor says.
try_balloon()
{
	balloon_stats ready
	await_balloon -ge $((24 << 10))
	balloon_stats given
	await_balloon -eq 0
	balloon_stats returned
}

# To a file on the attached disk.
try_swap()
{
	dd if=/dev/zero of=/mnt/swap bs=1M count=16 2>/dev/null
	mkswap /mnt/swap >/dev/null || finish FAIL mkswap
	swapon /mnt/swap || finish FAIL swapon
	before=$(vmstat pswpout)
	hog 12 2 out || finish FAIL "hog ended with status $?"
	[ $(($(vmstat pswpout) - before)) -gt 3000 ] || finish FAIL "it did not swap"
	swapoff /mnt/swap || finish FAIL swapoff
	rm /mnt/swap
}

# Larger by twice, with a file into the new part.
try_resize()
{
	before=$(df -k /mnt | awk 'NR == 2 { print $2 }')
	fsctl resize /mnt $(($(blockdev --getsz /dev/vda) / 8)) || finish FAIL resize
	[ "$(df -k /mnt | awk 'NR == 2 { print $2 }')" -gt $((before * 3 / 2)) ] ||
		finish FAIL "it is not larger"
	dd if=/dev/urandom of=/tmp/more bs=1M count=4 2>/dev/null
	cp /tmp/more /mnt/more1 # in the old part, maybe
	copy_and_check /tmp/more /mnt/more2
	cmp /mnt/more1 /mnt/more2 || finish FAIL "more"
	rm /mnt/more* /tmp/more
}

try_quota()
{
	fsctl quota /dev/vda /mnt/limited || finish FAIL quota
	cp /mnt/limited /tmp/limited
	check_copy /mnt/limited /tmp/limited
}

try_verity()
{
	cp /tmp/data0 /mnt/sealed
	fsctl verity /mnt/sealed || finish FAIL verity
	check_copy /mnt/sealed /tmp/data0
	# Its pages come back by the store, and are verified again.
	before=$(cat /sys/kernel/tidepool/cache/gets)
	echo 1 >/proc/sys/vm/drop_caches
	cmp /mnt/sealed /tmp/data0 || finish FAIL "the sealed file"
	[ "$(cat /sys/kernel/tidepool/cache/gets)" -gt $((before + 200)) ] ||
		finish FAIL "a sealed file's pages are not kept"
}

try_fscrypt()
{
	mkdir /mnt/secret
	fsctl encrypt /mnt/secret || finish FAIL encrypt
	copy_and_check /tmp/data0 /mnt/secret/data
	churn /mnt/secret 1 1 2 || finish FAIL "churn, encrypted"
}

# A file system on $1, changed and read; $2 is where to mount it. Its pages must be left alone.
use_device()
{
	mke2fs -b 4096 "$1" >/dev/null || finish FAIL "mkfs $1"
	mount -t ext4 "$1" "$2" || finish FAIL "mount $1"
	copy_and_check /tmp/data0 "$2/data"
	mkdir "$2/churn"
	churn "$2/churn" 1 1 3 || finish FAIL "churn on $1"
	check_copy "$2/data" /tmp/data0
	umount "$2" || finish FAIL "umount $1"
}

# A file on the attached disk as a disk.
try_loop()
{
	dd if=/dev/zero of=/mnt/image bs=1M count=16 2>/dev/null
	losetup /dev/loop0 /mnt/image || finish FAIL losetup
	mkdir /mnt2
	use_device /dev/loop0 /mnt2
	losetup -d /dev/loop0 || finish FAIL losetup
	rm /mnt/image
}

disk_sectors()
{
	blockdev --getsz "$1"
}

# Files of the disk itself, kept in the store; $1 and $2 are what is in them.
know_files()
{
	mount -t ext4 /dev/vda /mnt || finish FAIL "mount vda"
	check_copy /mnt/data "$1"
	check_copy /mnt/other "$2"
	umount /mnt
}

start_known()
{
	mke2fs -b 4096 /dev/vda >/dev/null || finish FAIL mkfs
	mount -t ext4 /dev/vda /mnt || finish FAIL "mount vda"
	cp /tmp/data0 /mnt/data
	cp /tmp/data1 /mnt/other
	umount /mnt
	know_files /tmp/data0 /tmp/data1
}

# As a logical volume is: blocks that are kept change by way of it.
try_linear()
{
	use_device_of linear "/dev/vda 0"
	start_known
	dmctl create above "$(disk_sectors /dev/vda)" linear "/dev/vda 0" || finish FAIL dmctl
	mount -t ext4 /dev/dm-0 /mnt || finish FAIL "mount dm"
	dd if=/tmp/data1 of=/mnt/data bs=64k conv=notrunc 2>/dev/null
	check_copy /mnt/data /tmp/data1
	umount /mnt
	dmctl remove above || finish FAIL "dmctl remove"
	know_files /tmp/data1 /tmp/data1
}

# A device-mapper target $1 above the disk, with the arguments $2.
use_device_of()
{
	dmctl create above "$(disk_sectors /dev/vda)" "$1" "$2" || finish FAIL "dmctl $1"
	use_device /dev/dm-0 /mnt
	dmctl remove above || finish FAIL "dmctl remove"
}

try_crypt()
{
	use_device_of crypt "aes-xts-plain64 $(printf '%064d' 1)$(printf '%064d' 2) 0 /dev/vda 0"
}

# RAID 1; both disks are attached.
try_mirror()
{
	fsctl mirror /dev/md0 /dev/vda /dev/vdb || finish FAIL mirror
	use_device /dev/md0 /mnt
	fsctl unmirror /dev/md0 || finish FAIL unmirror
}

# A snapshot is taken, the disk changed, known, and reverted to the snapshot by its merging.
try_snapshot()
{
	start_known
	# The driver has it open: what is not written now would be after its last other user has gone.
	dd if=/dev/zero of=/dev/vdb bs=1M count=1 conv=fsync 2>/dev/null
	dmctl create taken "$(disk_sectors /dev/vda)" snapshot "/dev/vda /dev/vdb P 8" ||
		finish FAIL snapshot
	# After it, or it would not know the size of its blocks.
	dmctl create base "$(disk_sectors /dev/vda)" snapshot-origin /dev/vda || finish FAIL origin
	mount -t ext4 /dev/dm-1 /mnt || finish FAIL "mount the origin"
	dd if=/tmp/data1 of=/mnt/data bs=64k conv=notrunc 2>/dev/null
	umount /mnt
	dmctl remove taken || finish FAIL "dmctl remove"
	dmctl remove base || finish FAIL "dmctl remove"
	mount -t ext4 -o ro,noload /dev/vda /mnt || finish FAIL "mount vda"
	check_copy /mnt/data /tmp/data1
	umount /mnt

	dmctl create merged "$(disk_sectors /dev/vda)" snapshot-merge "/dev/vda /dev/vdb P 8" ||
		finish FAIL merge
	for second in $(seq 30); do
		# allocated/total metadata: it is done when only the metadata are left
		# shellcheck disable=SC2046 # its words
		set -- $(dmctl status merged | tr / ' ')
		[ "$1" != "$3" ] || break
		[ "$second" != 30 ] || finish FAIL "not merged: $*"
		sleep 1
	done
	dmctl remove merged || finish FAIL "dmctl remove"
	know_files /tmp/data0 /tmp/data1
}

# The kernel asks the driver before it does anything.
try_hibernate()
{
	{ echo disk >/sys/power/state; } 2>/dev/null && finish FAIL "it hibernated"
	dmesg | grep -q "no hibernation while this driver is loaded" || finish FAIL "not a word"
	know_files /tmp/data0 /tmp/data1
}

test_layers()
{
	load_list layers
	echo 4 >/proc/sys/vm/drop_caches # no line in the log each time
	start_cache keep_dropped=1
	while :; do echo 1 >/proc/sys/vm/compact_memory; sleep 2; done &
	compaction=$!
	while :; do cat /mnt/data* >/dev/null; sleep 1; done &
	reader=$!
	for name in data0 data1; do
		head -c 1048576 /mnt/$name >/tmp/$name
	done
	mkdir /mnt/churn
	churn /mnt/churn 2 "$(word seconds 10)" &
	changer=$!
	for name in balloon swap resize; do
		count_pass $name try_$name
	done
	wait $changer || finish FAIL "churn ended with status $?"
	kill $reader $compaction
	for name in quota verity fscrypt loop; do
		count_pass $name try_$name
	done
	read_files
	umount /mnt || finish FAIL umount

	echo /dev/vdb >/sys/kernel/tidepool/attach || finish FAIL attach
	for name in linear crypt mirror snapshot hibernate; do
		count_pass $name try_$name
	done
	stop_cache
}
