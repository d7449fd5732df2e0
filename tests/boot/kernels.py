# SPDX-License-Identifier: BSD-2-Clause
"""Debian's other kernels as guests. `make test-kernels` runs this, since it fetches each of them."""

import re
import shutil
from pathlib import Path

import pytest

from machine import BUILD, Qemu
from mkiso import Module
from test_balloon import BALLOON_CMDLINE, BALLOON_WORDS, check_balloon
from test_linux import check_figures_agree

# Folders of build/guest: the generic kernels, and the cloud kernel that the other tests do not use.
KERNELS = ("kernel-generic", "kernel-generic-6.12", "kernel-6.12")


def boot(kernel: str, folder: Path, words: str, cmdline: str) -> list[Module]:
    """The two modules of a guest with this kernel and the driver that was built for it."""
    vmlinuz = folder / "vmlinuz"
    shutil.copyfile(BUILD / "guest" / kernel / "vmlinuz", vmlinuz)
    initrd = BUILD / "guest" / f"{kernel.replace('kernel', 'initrd')}.img"
    return [
        Module(vmlinuz, f"web kernel {words} -- console=ttyS0 {cmdline}"),
        Module(initrd, "web initrd"),
    ]


@pytest.mark.parametrize("kernel", KERNELS)
def test_swap(kernel: str, tmp_path: Path) -> None:
    """The driver built for this kernel loads and swaps; every byte is found again."""
    modules = boot(kernel, tmp_path, "memory=256M", "tp.test=swap tp.mib=280 tp.passes=1")
    with Qemu(modules, cpus=1, limit=180) as machine:
        output = machine.wait_end()
    release = (BUILD / "guest" / kernel / "version").read_text().strip()
    assert f"Linux version {release} " in output
    assert re.search(r"web\| hog: OK", output)
    assert "tidepool-test: swap PASS" in output
    assert check_figures_agree(output, "web")["put"] > 5000


@pytest.mark.parametrize("kernel", KERNELS)
def test_balloon(kernel: str, tmp_path: Path) -> None:
    """Its balloon, on the same terms as that of the kernel that `make test` uses."""
    check_balloon(boot(kernel, tmp_path, BALLOON_WORDS, BALLOON_CMDLINE))
