#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Fetch a Debian kernel, the headers of that very version and its modules into a folder, unmodified
# and without installing them on this machine.
#
#   tools/fetch-kernel.sh OUTDIR [METAPACKAGE]
#
# METAPACKAGE names the kernel: linux-image-cloud-amd64 (the default, Debian's current stable
# kernel), linux-image-6.12-cloud-amd64 (backports) and so on. OUTDIR then holds
#
#   version      the release, e.g. 6.1.0-56-cloud-amd64; written last, so its presence means "complete"
#   vmlinuz      the kernel image
#   modules/     lib/modules/RELEASE/kernel of the image package
#   headers/     what KDIR= of a module build wants
#
# A complete OUTDIR is left as it is, without a look at the network; remove it for a newer kernel.

set -eu

[ $# -ge 1 ] && [ $# -le 2 ] || {
	echo "usage: $0 OUTDIR [METAPACKAGE]" >&2
	exit 2
}
out=$1
meta=${2:-linux-image-cloud-amd64}

[ ! -e "$out/version" ] || exit 0

as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo

# The package that metapackage $1 stands for.
resolve()
{
	apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

# The kernel's own packages that package $1 needs: headers common to all flavours, and kbuild.
kernel_depends()
{
	apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-\(headers\|kbuild\)-.*\)$/\1/p'
}

download()
{
	image=$(resolve "$meta")
	[ -n "$image" ] || return 1
	release=${image#linux-image-}
	headers=linux-headers-$release
	echo "$0: fetching Debian's $image and its headers"
	# shellcheck disable=SC2046 # a list of packages
	(cd "$out/debs" && apt-get -q -o APT::Sandbox::User="$(id -un)" download \
		"$image" "$headers" $(kernel_depends "$headers") </dev/null)
}

rm -rf "$out"
mkdir -p "$out/debs"
# Package lists may be missing or older than the archive; one update mends both.
download || {
	$as_root apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null
	download
} || {
	echo "$0: apt cannot fetch $meta" >&2
	exit 1
}

for deb in "$out"/debs/*.deb; do
	dpkg-deb -x "$deb" "$out/root"
done
rm -rf "$out/debs"

# The headers' makefile includes the common one by its installed path: make that relative. This is
# all that stands between an extracted tree and an installed one.
sed -i 's|^include /usr/src/|include $(dir $(lastword $(MAKEFILE_LIST)))../|' \
	"$out/root/usr/src/linux-headers-$release/Makefile"

ln -s "root/boot/vmlinuz-$release" "$out/vmlinuz"
ln -s "root/usr/src/linux-headers-$release" "$out/headers"
if [ -d "$out/root/usr/lib/modules" ]; then
	ln -s "root/usr/lib/modules/$release/kernel" "$out/modules"
else
	ln -s "root/lib/modules/$release/kernel" "$out/modules"
fi
echo "$release" >"$out/version"
