#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Install the Debian packages that a part of the build needs, those that are missing only.
#
#   tools/deps.sh GROUP...        GROUP: build | run | test | soak | fuzz | bench
#
# One dpkg-query answers whether anything is missing, so a call on a complete machine costs some
# milliseconds and neither network nor root. Debian 12; uses sudo when not root; asks nothing.

set -eu

# The compilers, what builds the guest driver against Debian's headers, and what packs guest images.
build="gcc gcc-12 libc6-dev make clang clang-format binutils acpica-tools liblz4-dev libxxhash-dev
	libcmocka-dev libelf-dev libssl3 dpkg-dev cpio gzip xz-utils kmod busybox-static python3"
# The emulators, their firmware, and what makes a bootable ISO.
run="qemu-system-x86 bochs bochsbios vgabios ovmf grub-common grub-pc-bin grub-efi-amd64-bin
	xorriso mtools python3"
test="e2fsprogs xfsprogs dkms man-db systemd python3-pytest python3-pytest-xdist python3-pexpect"
# What the guest of a soak test verifies its files and its memory with.
soak="fio stress-ng"
# What the guest of a bench compiles with.
bench="tcc"
# The sanitizers and the fuzzer that clang links with.
fuzz="clang libclang-rt-14-dev"

usage()
{
	echo "usage: $0 build|run|test|soak|fuzz|bench..." >&2
	exit 2
}

[ $# -gt 0 ] || usage
command -v dpkg-query >/dev/null || {
	echo "$0: needs Debian (no dpkg-query here); install by hand what this script lists" >&2
	exit 1
}

wanted=
for group in "$@"; do
	case $group in
	build) wanted="$wanted $build" ;;
	run) wanted="$wanted $run" ;;
	test) wanted="$wanted $test" ;;
	fuzz) wanted="$wanted $fuzz" ;;
	soak) wanted="$wanted $soak" ;;
	bench) wanted="$wanted $bench" ;;
	*) usage ;;
	esac
done

# dpkg-query fails when it does not know a package at all; that is an answer too.
# shellcheck disable=SC2086 # $wanted is a list
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
	sed -n 's/ installed$//p') || true

missing=
for package in $wanted; do
	echo "$installed" | grep -qx "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "$0: installing$missing"
$as_root apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
	install --no-install-recommends $missing </dev/null
