# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# What init runs for tests/bench/linux.py; part of it (read in by `.`), with its functions.
#
#   tp.test=bench    read all files three times in random order
#   tp.test=build    compile all of /mnt/src, have other memory take the page cache's place, and
#                    compile it again
#   tp.test=cost     instructions for a page: swap, and the page cache with /mnt/data0
#   tp.test=folio    ticks for the largest folio of /mnt/data*
#
#   tp.with=NAME     none, tmem (swap and page cache in Tidepool) or zram (swap in the guest's RAM)
#
# Lines, besides those of cost.c and "tidepool-cache: pass=N ..." of init:
#
#   tidepool-ticks: pass=N ticks=N

with=$(word with none)

# Mounts the disk; swap and page cache as tp.with says.
start_with()
{
	case $with in
	tmem)
		start_cache size_mib="$swap_mib" swap=1
		mkswap /dev/$disk >/dev/null || finish FAIL mkswap
		swapon /dev/$disk || finish FAIL swapon
		return
		;;
	zram)
		load_list zram
		echo "${swap_mib}M" >/sys/block/zram0/disksize || finish FAIL zram
		mkswap /dev/zram0 >/dev/null || finish FAIL mkswap
		swapon /dev/zram0 || finish FAIL swapon
		;;
	esac
	load_disks
	mount -t "$fs" /dev/vda /mnt || finish FAIL "mount"
}

ticked()
{
	ticks=$(cost now)
	"$@"
	ticks=$(($(cost now) - ticks))
}

# A pass, with the ticks of what it runs; reading the driver's figures is not part of that.
tick_pass()
{
	number=$1
	shift
	count_pass "$number" ticked "$@"
	echo "tidepool-ticks: pass=$number ticks=$ticks"
}

read_shuffled()
{
	for name in $(ls /mnt | grep data | shuf); do
		cat "/mnt/$name" >/dev/null
	done
}

test_bench()
{
	start_with
	for pass in 1 2 3; do
		tick_pass $pass read_shuffled
	done
	finish PASS
}

build_all()
{
	tools=/mnt/tools
	for source in /mnt/src/*.c; do
		$tools/ld.so --library-path $tools $tools/tcc -nostdinc -I/mnt/include \
			-c "$source" -o "/mnt/obj/${source##*/}.o" || finish FAIL "$source"
	done
}

available_mib()
{
	echo $(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
}

# So much of what is available that hardly a clean page stays; without swap, the kernel may kill it
# for that.
use_all_memory()
{
	hog $(($(available_mib) - 2)) 0 >/dev/null || [ $? = 137 ] || finish FAIL "hog"
}

test_build()
{
	# Linux 6.1 does it without end while there is hardly a free page.
	echo 0 >/proc/sys/vm/compaction_proactiveness
	start_with
	mkdir /mnt/obj
	for pass in 1 2; do
		tick_pass $pass build_all
		sync
		[ "$(word warm 0)" = 1 ] || use_all_memory
	done
	finish PASS
}

test_cost()
{
	start_with
	[ "$with" = none ] || cost swap 48 || finish FAIL swap
	cat /mnt/data0 >/dev/null
	[ "$with" = zram ] || cost file /mnt/data0 || finish FAIL file
	finish PASS
}

# The longest time with interrupts off: a folio as large as there are.
test_folio()
{
	start_with
	echo 4096 >/sys/block/vda/queue/read_ahead_kb
	echo 1 >/sys/module/tidepool/parameters/keep_dropped
	cat /mnt/data* >/dev/null
	echo 1 >/proc/sys/vm/drop_caches
	echo "folio: longest=$(tr , ' ' </sys/module/tidepool/parameters/test_longest)"
	finish PASS
}
