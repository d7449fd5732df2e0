# SPDX-License-Identifier: BSD-2-Clause
"""Debian's other kernels as guests. `make test-kernels` runs this, since it fetches each of them."""

import re
import shutil
from pathlib import Path

import pytest

from machine import BUILD, Qemu
from mkiso import Module
from test_balloon import BALLOON_CMDLINE, BALLOON_WORDS, check_balloon
from test_cache import Boot, run_churn, run_three_passes
from test_linux import check_figures_agree, linux
from test_shared import check_shared

# Folders of build/guest: the generic kernels, and the cloud kernel that the other tests do not use.
KERNELS = ("kernel-generic", "kernel-generic-6.12", "kernel-6.12")

# Little for each: the tests of the page cache are about files that do not fit.
RAM_MIB = {"kernel-generic": 128, "kernel-generic-6.12": 120, "kernel-6.12": 112}

HUGE_CMDLINE = "tp.huge=1 tp.passes=0 tp.noise=12"
NOISE_PAGES = 12 * 256


def boot(kernel: str, folder: Path, words: str, cmdline: str, name: str = "web") -> list[Module]:
    """The two modules of a guest with this kernel and the driver that was built for it."""
    vmlinuz = folder / "vmlinuz"
    shutil.copyfile(BUILD / "guest" / kernel / "vmlinuz", vmlinuz)
    initrd = BUILD / "guest" / f"{kernel.replace('kernel', 'initrd')}.img"
    return [
        Module(vmlinuz, f"{name} kernel {words} -- console=ttyS0 {cmdline}"),
        Module(initrd, f"{name} initrd"),
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


def booter(kernel: str, folder: Path) -> Boot:
    """What the tests of the page cache boot this kernel by."""
    return lambda name, words, cmdline: boot(kernel, folder, words, cmdline, name)


@pytest.mark.parametrize("kernel", KERNELS)
def test_cache(kernel: str, tmp_path: Path) -> None:
    """ext4, a module of the generic kernels: the disk is read once."""
    run_three_passes(Qemu, tmp_path, boot=booter(kernel, tmp_path), ram_mib=RAM_MIB[kernel])


@pytest.mark.parametrize("kernel", KERNELS)
def test_churn(kernel: str, tmp_path: Path) -> None:
    """XFS, whose large folios a later kernel makes more use of."""
    run_churn("xfs", tmp_path, boot=booter(kernel, tmp_path), ram_mib=RAM_MIB[kernel])


@pytest.mark.parametrize("kernel", KERNELS)
def test_shared(kernel: str, tmp_path: Path) -> None:
    check_shared(tmp_path, booter(kernel, tmp_path), RAM_MIB[kernel])


def check_huge(modules: list[Module], test: str) -> dict[str, int]:
    """A guest "web" that runs this test in huge pages. They leave in runs, and so do larger reads of
    the device come back; returns the figures of these."""
    with Qemu(modules, cpus=1, limit=240) as machine:
        output = machine.wait_end()
        assert f"tidepool-test: {test} PASS" in output
        assert "web| hog: OK" in output
    host = check_figures_agree(output, "web")
    runs = re.search(r"tidepool-runs: (.*)", output)
    assert runs
    found = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", runs.group(1))}
    assert 1000 < found["out"] <= host["put"] + host["refused"], "huge pages went page by page"
    assert 1000 < found["read"] < NOISE_PAGES
    return found


@pytest.mark.parametrize("kernel", KERNELS)
def test_huge_pages(kernel: str, tmp_path: Path) -> None:
    """Swap in runs; in 6.12 pages come back by them as well."""
    cmdline = f"{HUGE_CMDLINE} tp.test=swap tp.mib=160"
    found = check_huge(boot(kernel, tmp_path, "memory=192M", cmdline), "swap")
    assert (found["back"] > 1000) == ("6.12" in kernel)


def test_huge_pages_refused() -> None:
    """With a store for 8 MiB, and a device for what it refuses, on the kernel of `make test`."""
    cmdline = f"{HUGE_CMDLINE} tp.test=refuse tp.mib=80 tp.backing=36"
    found = check_huge(linux("web", "memory=160M tmem=8M", cmdline), "refuse")
    assert found["read"] < NOISE_PAGES * 3 / 4, "all blocks came from the store"
