#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Pack an initramfs of busybox-static and the files named.
#
#   tools/mkinitramfs.sh OUT.img FILE[:PATH]...
#
# FILE goes to PATH in the image, or without one to bin/ under its own name; its mode is kept. The
# image has the empty folders that an init script mounts on, and /bin/busybox with a link /bin/sh;
# the script makes the other links with `busybox --install`. The same input gives the same bytes:
# times, owners, inode numbers and order are fixed. Compression is light, for emulators are slow
# at reading as well as at unpacking.

set -eu

[ $# -ge 2 ] || {
	echo "usage: $0 OUT.img FILE[:PATH]..." >&2
	exit 2
}
out=$1
shift

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/tmp"
cp /bin/busybox "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
for item in "$@"; do
	file=${item%%:*}
	path=bin/$(basename "$file")
	[ "$file" = "$item" ] || path=${item#*:}
	mkdir -p "$root/$(dirname "$path")"
	cp "$file" "$root/$path"
done
chmod -R u=rwX,go=rX "$root"
find "$root" -exec touch -h -d @0 {} +

mkdir -p "$(dirname "$out")"
(cd "$root" && find . -print0 | LC_ALL=C sort -z |
	cpio --null --create --quiet --format=newc --owner=0:0 --reproducible) |
	gzip -1 -n >"$out.new"
mv "$out.new" "$out"
