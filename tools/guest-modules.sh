#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Copy modules of a kernel that tools/fetch-kernel.sh has fetched, with all that they need.
#
#   tools/guest-modules.sh KERNEL OUTDIR LIST=MODULE[,MODULE]...
#
# OUTDIR then holds the modules without debugging information, and for each LIST a file LIST.list:
# the modules of it in the order in which they are to be loaded, without .ko. What is built into
# this kernel is not among them.

set -eu

[ $# -ge 3 ] || {
	echo "usage: $0 KERNEL OUTDIR LIST=MODULE[,MODULE]..." >&2
	exit 2
}
kernel=$1
out=$2
shift 2

release=$(cat "$kernel/version")
base=$kernel/root
[ -d "$base/lib/modules/$release" ] || base=$kernel/root/usr
/sbin/depmod -b "$base" "$release"

# Paths of a module and of what it needs, that first.
needed()
{
	# -C: without what this machine says about modules
	/sbin/modprobe -C /dev/null -d "$base" -S "$release" --show-depends "$1" |
		sed -n 's/^insmod \([^ ]*\) *$/\1/p'
}

# Debian's later kernels have them compressed.
copy()
{
	case $1 in
	*.xz) xz -dc "$1" >"$out/$2.ko" ;;
	*) cp "$1" "$out/$2.ko" ;;
	esac
	strip --strip-debug "$out/$2.ko"
}

rm -rf "$out"
mkdir -p "$out"
for list in "$@"; do
	for module in $(echo "${list#*=}" | tr , ' '); do
		needed "$module" >"$out/needed"
		while read -r path; do
			name=$(basename "$path")
			name=${name%%.ko*}
			[ -e "$out/$name.ko" ] || copy "$path" "$name"
			echo "$name"
		done <"$out/needed"
	done | awk '!seen[$0]++' >"$out/${list%%=*}.list"
	rm -f "$out/needed"
done
