# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# What init runs for parts of tests/boot/soak_linux.py; part of it (read in by `.`), with its functions.
#
#   tp.test=memory   files change while memory is compacted, given to the hypervisor, and goes off line
#   tp.test=tools    fio and stress-ng, of the second disk, verify what they write to files and to memory

# Takes each block of memory off line that the kernel can empty, and puts it back. Sets $unplugged.
unplug_memory()
{
	unplugged=0
	for block in /sys/devices/system/memory/memory[0-9]*; do
		[ "$(cat "$block/state")" = online ] || continue
		{ echo offline >"$block/state"; } 2>/dev/null || continue
		unplugged=$((unplugged + 1))
		sleep 1
		echo online_movable >"$block/state" || finish FAIL "$block does not come back"
	done
}

# Files change, memory is compacted, given and taken back, and goes off line and comes back.
test_memory()
{
	echo 4 >/proc/sys/vm/drop_caches # no line in the log each time
	start_cache keep_dropped=1
	while :; do echo 1 >/proc/sys/vm/compact_memory; sleep 1; done &
	while :; do cat /mnt/data* >/dev/null; echo 1 >/proc/sys/vm/drop_caches; done &
	mkdir /mnt/churn
	churn /mnt/churn 3 "$(word seconds 40)" &
	changer=$!
	total=0
	while [ -e /proc/$changer ]; do
		unplug_memory
		total=$((total + unplugged))
		sleep 1
	done
	wait $changer || finish FAIL "churn ended with status $?"
	kill %1 %2
	balloon_stats returned
	echo "tidepool-memory: blocks=$total"
	echo "tidepool-cache: pass=0$(cache_figures)"
	read_files
	umount /mnt || finish FAIL umount
	stop_cache
}

# A program of the read-only disk of tools.
tool()
{
	name=$1
	shift
	/tools/ld.so --library-path /tools "/tools/$name" "$@" >"/tmp/$name.log" 2>&1 || {
		tail -n 20 "/tmp/$name.log"
		finish FAIL "$name"
	}
}

# fio on the attached disk; then stress-ng in more memory than there is, swapped to the store.
test_tools()
{
	echo 4 >/proc/sys/vm/drop_caches
	start_cache swap=1 keep_dropped=1 size_mib="$swap_mib"
	# They need address space for libraries that they do not use here.
	echo 1 >/proc/sys/vm/overcommit_memory
	mkdir /tools /mnt/fio
	mount -t ext4 -o ro /dev/vdb /tools || finish FAIL "mount the tools"
	while :; do echo 1 >/proc/sys/vm/drop_caches; sleep 1; done &
	verify="--directory=/mnt/fio --thread --verify=crc32c --verify_fatal=1 --bsrange=4k-64k --size=8m"
	# shellcheck disable=SC2086 # its words
	tool fio $verify --loops=2 --name=buffered --rw=randrw --ioengine=psync \
		--name=mapped --rw=randrw --ioengine=mmap \
		--name=direct --rw=randwrite --ioengine=psync --direct=1
	kill %1
	echo "tidepool-cache: pass=fio$(cache_figures)"
	mkswap "/dev/$disk" >/dev/null || finish FAIL mkswap
	swapon "/dev/$disk" || finish FAIL swapon
	available=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
	# Random words, written to all of it and read again: some 7000 operations.
	tool stress-ng --temp-path /tmp --vm 1 --vm-bytes "$((available + 24))m" --vm-keep --verify \
		--vm-method rand-set --vm-ops 8000 --timeout 300s --metrics-brief
	sed -n 's/.*\] *vm  *\([0-9]*\) .*/tidepool-stress: ops=\1/p' /tmp/stress-ng.log
	stats used
	[ "$(figure puts)" -gt 1000 ] || finish FAIL "it did not swap"
	swapoff "/dev/$disk" || finish FAIL swapoff
	umount /mnt
	stop_cache
}
