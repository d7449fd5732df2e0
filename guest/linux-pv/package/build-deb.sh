#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Pack the driver and what belongs to it as a Debian package, from this checkout.
#
#   guest/linux-pv/package/build-deb.sh FILE.deb VERSION
#
# Its sources go to /usr/src, from where DKMS builds them for each kernel of the machine. Needs
# dpkg-deb and gzip; not root.

set -eu

[ $# -eq 2 ] || {
	echo "usage: $0 FILE.deb VERSION" >&2
	exit 2
}
out=$1
version=$2
here=$(dirname "$0")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
umask 022
chmod 755 "$root"

# put MODE FILE DESTINATION: with the version filled in.
put()
{
	mkdir -p "$root/$(dirname "$3")"
	sed "s/@VERSION@/$version/g" "$2" >"$root/$3"
	chmod "$1" "$root/$3"
}

source=usr/src/tidepool-$version
for file in "$here"/../*.c "$here"/../*.h "$here"/../Kbuild; do
	put 644 "$file" "$source/$(basename "$file")"
done
put 644 "$here/../../../include/tidepool/abi.h" "$source/include/tidepool/abi.h"
put 644 "$here/dkms.conf" "$source/dkms.conf"

put 755 "$here/tmemctl" usr/sbin/tmemctl
put 644 "$here/tmemctl.8" usr/share/man/man8/tmemctl.8
gzip -9n "$root/usr/share/man/man8/tmemctl.8"
put 644 "$here/tmemctl.bash" usr/share/bash-completion/completions/tmemctl
put 644 "$here/tidepool.service" lib/systemd/system/tidepool.service
put 644 "$here/tidepool.default" etc/default/tidepool
put 644 "$here/../../../LICENSES/GPL-2.0-only.txt" usr/share/doc/tidepool-guest/copyright
put 644 "$here/../README.md" usr/share/doc/tidepool-guest/README.md

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<EOF
Package: tidepool-guest
Version: $version
Architecture: amd64
Maintainer: The Tidepool authors <tidepool@localhost>
Section: kernel
Priority: optional
Depends: dkms, kmod, mount
Recommends: linux-headers-amd64 | linux-headers-cloud-amd64
Description: Linux driver for guests of the Tidepool hypervisor
 Swaps into the hypervisor's store of pages, keeps there what the page cache
 has no room for, and gives it memory that the guest can do without. On a
 machine that does not run on Tidepool it stays out.
EOF
echo /etc/default/tidepool >"$root/DEBIAN/conffiles"
put 755 "$here/postinst" DEBIAN/postinst
put 755 "$here/prerm" DEBIAN/prerm

mkdir -p "$(dirname "$out")"
dpkg-deb --root-owner-group --build "$root" "$out" >/dev/null
