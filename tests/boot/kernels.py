# SPDX-License-Identifier: BSD-2-Clause
"""Debian's other kernels as guests. `make test-kernels` runs this, since it fetches each of them."""

import shutil
from pathlib import Path

import pytest

from machine import BUILD, Qemu
from mkiso import Module
from test_linux import INITRD

# Folders of build/guest: the generic kernels, and the cloud kernel that the other tests do not use.
KERNELS = ("kernel-generic", "kernel-generic-6.12", "kernel-6.12")


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_reaches_init(kernel: str, tmp_path: Path) -> None:
    """It starts the first process of our initial RAM disk, and that switches the guest off."""
    folder = BUILD / "guest" / kernel
    release = (folder / "version").read_text().strip()
    vmlinuz = tmp_path / "vmlinuz"
    shutil.copyfile(folder / "vmlinuz", vmlinuz)
    modules = [
        Module(vmlinuz, "guest kernel memory=256M -- console=ttyS0 tp.test=off"),
        Module(INITRD, "guest initrd"),
    ]
    with Qemu(modules, cpus=1, limit=120) as machine:
        output = machine.wait_end()
    assert f"Linux version {release} " in output
    assert "guest| tidepool-init: test=off" in output
    assert "tidepool: guest guest: stopped: power-off" in output
