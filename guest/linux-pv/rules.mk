# SPDX-License-Identifier: GPL-2.0-only
#
# Included by the Makefile at the top, whose BUILD it uses: what a Linux guest is made of.
#
#   guest-images   $(GUEST)/vmlinuz      Debian's cloud kernel, unmodified
#                  $(GUEST)/tidepool.ko  the driver, built for it, without debugging information
#                  $(GUEST)/initrd.img   busybox, the driver and tests/guest-linux
#                  $(GUEST)/initrd-cache.img  the same with file systems, a driver that tests can
#                                        break, and programs for that
#   guest-driver-6.12                    the driver for the 6.12 kernel of Debian's backports
#   deb            $(DEB)                the driver's sources and tools as a package, for DKMS
#
# The kernel is fetched once; remove $(GUEST)/kernel for a newer one.

GUEST := $(BUILD)/guest

.PHONY: guest-images
guest-images: $(GUEST)/vmlinuz $(GUEST)/tidepool.ko $(GUEST)/initrd.img $(GUEST)/initrd-cache.img

$(GUEST)/kernel/version $(GUEST)/kernel-6.12/version: | deps-build
$(GUEST)/kernel/version:
	tools/fetch-kernel.sh $(@D)
$(GUEST)/kernel-6.12/version:
	tools/fetch-kernel.sh $(@D) linux-image-6.12-cloud-amd64

# Only for `make test-kernels`.
$(GUEST)/kernel-generic/version $(GUEST)/kernel-generic-6.12/version: | deps-build
$(GUEST)/kernel-generic/version:
	tools/fetch-kernel.sh $(@D) linux-image-amd64
$(GUEST)/kernel-generic-6.12/version:
	tools/fetch-kernel.sh $(@D) linux-image-6.12-amd64

$(GUEST)/vmlinuz: $(GUEST)/kernel/version
	cp $(@D)/kernel/vmlinuz $@

# ---- the driver ---------------------------------------------------------------------------------

driver_sources := $(wildcard guest/linux-pv/*.[ch]) guest/linux-pv/Kbuild guest/linux-pv/Makefile \
		  include/tidepool/abi.h

# The last prerequisite names the kernel's folder. The kernel's build decides by itself what there
# is to do, maybe nothing: touch says that it was asked.
define driver_build
+$(MAKE) --no-print-directory -C guest/linux-pv KDIR=$(abspath $(dir $(lastword $^))headers) \
	OUT=$(abspath $(@D)) TEST=$(TEST)
@touch $@
endef

$(GUEST)/driver/tidepool.ko: $(driver_sources) $(GUEST)/kernel/version
	$(driver_build)

# Of kernel-X in driver-X: what is used by name, and all that is for `make test-kernels`.
other_kernels := 6.12 generic generic-6.12

$(foreach kernel,$(other_kernels),$(GUEST)/driver-$(kernel)/tidepool.ko): \
$(GUEST)/driver-%/tidepool.ko: $(driver_sources) $(GUEST)/kernel-%/version
	$(driver_build)

# With what tests need to break it; see guest/linux-pv/test.h.
$(GUEST)/driver-test/tidepool.ko: TEST := y
$(GUEST)/driver-test/tidepool.ko: $(driver_sources) $(GUEST)/kernel/version
	$(driver_build)

$(GUEST)/tidepool-test.ko: $(GUEST)/driver-test/tidepool.ko
	strip --strip-debug -o $@ $<

$(GUEST)/tidepool-dm.ko: $(GUEST)/driver/tidepool.ko
	strip --strip-debug -o $@ $(<D)/tidepool-dm.ko

.PHONY: guest-driver-6.12
guest-driver-6.12: $(GUEST)/driver-6.12/tidepool.ko

$(GUEST)/tidepool.ko: $(GUEST)/driver/tidepool.ko
	strip --strip-debug -o $@ $<

# ---- the initramfs ------------------------------------------------------------------------------

# Modules with what they need: of each guest, and for the tests of the page cache only (file systems,
# devices above a disk; zram, to compare with).
disk_modules := virtio_mmio,virtio_blk,virtio-rng
cache_lists  := xfs=xfs dm=dm-flakey zram=lzo-rle,zram \
		layers=loop,quota_v2,ecb,xts,cts,sha512_generic,dm-crypt,dm-snapshot,raid1

$(GUEST)/modules/disks.list: tools/guest-modules.sh $(GUEST)/kernel/version
	tools/guest-modules.sh $(GUEST)/kernel $(@D) disks=$(disk_modules) ram=brd

$(GUEST)/modules-cache/xfs.list: tools/guest-modules.sh $(GUEST)/kernel/version
	tools/guest-modules.sh $(GUEST)/kernel $(@D) $(cache_lists)

# All files of the folders $(1), for the shell: FILE:lib/NAME.
in_lib = $$(for file in $(addsuffix /*,$(1)); do echo "$$file:lib/$${file\#\#*/}"; done)

guest_programs := $(addprefix $(GUEST)/,hog vectors churn rules dmctl fsctl cost reexec)

$(guest_programs): $(GUEST)/%: tests/guest-linux/%.c | deps-build
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -Os -static -s -Wall -Wextra -Werror -Wconversion -Wshadow -o $@ $(filter %.c,$^)

$(GUEST)/rules: tests/guest-linux/rules_pages.c tests/guest-linux/rules.h

initrd_files := tests/guest-linux/init:init $(GUEST)/tidepool.ko:lib/tidepool.ko \
		$(GUEST)/hog $(GUEST)/vectors $(call in_lib,$(GUEST)/modules)

$(GUEST)/initrd.img: tools/mkinitramfs.sh tests/guest-linux/init $(GUEST)/tidepool.ko \
		     $(GUEST)/modules/disks.list $(GUEST)/hog $(GUEST)/vectors
	tools/mkinitramfs.sh $@ $(initrd_files)

init_parts := $(addprefix tests/guest-linux/,bench.sh faults.sh layers.sh rules.sh shared.sh stress.sh)

# The same with what the tests of the page cache need; apart, for each boot unpacks it all.
$(GUEST)/initrd-cache.img: $(GUEST)/initrd.img $(GUEST)/tidepool-test.ko $(GUEST)/tidepool-dm.ko \
			   $(GUEST)/modules-cache/xfs.list $(guest_programs) $(init_parts)
	tools/mkinitramfs.sh $@ $(initrd_files) $(GUEST)/tidepool-test.ko:lib/tidepool-test.ko \
		$(GUEST)/tidepool-dm.ko:lib/tidepool-dm.ko $(call in_lib,$(GUEST)/modules-cache) \
		$(foreach file,$(init_parts),$(file):lib/$(notdir $(file))) \
		$(filter-out %/hog %/vectors,$(guest_programs))

# For another kernel, with what its tests need.
$(foreach kernel,$(other_kernels),$(GUEST)/modules-$(kernel)/disks.list): \
$(GUEST)/modules-%/disks.list: tools/guest-modules.sh $(GUEST)/kernel-%/version
	tools/guest-modules.sh $(GUEST)/kernel-$* $(@D) disks=$(disk_modules),ext4 ram=brd xfs=xfs dm=dm-mod

$(GUEST)/initrd-%.img: tools/mkinitramfs.sh tests/guest-linux/init tests/guest-linux/shared.sh \
		       $(GUEST)/driver-%/tidepool.ko $(GUEST)/modules-%/disks.list $(guest_programs)
	strip --strip-debug -o $(GUEST)/driver-$*/stripped.ko $(GUEST)/driver-$*/tidepool.ko
	tools/mkinitramfs.sh $@ tests/guest-linux/init:init tests/guest-linux/shared.sh:lib/shared.sh \
		$(GUEST)/driver-$*/stripped.ko:lib/tidepool.ko $(guest_programs) \
		$(call in_lib,$(GUEST)/modules-$*)

# ---- the package --------------------------------------------------------------------------------

DEB_VERSION := 0.1
DEB	    := $(BUILD)/tidepool-guest_$(DEB_VERSION)_amd64.deb

.PHONY: deb
deb: $(DEB)

$(DEB): $(driver_sources) $(wildcard guest/linux-pv/package/*) guest/linux-pv/README.md
	guest/linux-pv/package/build-deb.sh $@ $(DEB_VERSION)
