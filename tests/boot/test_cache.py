# SPDX-License-Identifier: BSD-2-Clause
"""The page cache of stock kernels in the store: what reclaim drops comes back without the disk."""

import hashlib
import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from machine import BUILD, Machine, Qemu
from mkiso import Module
from test_linux import VMLINUZ

INITRD_CACHE = BUILD / "guest" / "initrd-cache.img"
FILES = 16
FILE_MIB = 4
IMAGE_MIB = FILES * FILE_MIB + 48
RULES = 14  # enum tidepool_rule in guest/linux-pv/test.h
SECTORS = FILES * FILE_MIB << 20 >> 9


def make_files(folder: Path, files: int = FILES) -> Path:
    """A folder of files of noise, with the list of their sums."""
    tree = folder / "tree"
    tree.mkdir()
    sums = []
    for number in range(files):
        data = random.Random(number).randbytes(FILE_MIB << 20)
        (tree / f"data{number}").write_bytes(data)
        sums.append(f"{hashlib.md5(data).hexdigest()}  data{number}\n")
    (tree / "sums").write_text("".join(sums), encoding="ascii")
    return tree


def make_ext4(folder: Path, files: int = FILES) -> Path:
    return make_ext4_of(make_files(folder, files), folder, IMAGE_MIB - (FILES - files) * FILE_MIB)


def make_ext4_of(tree: Path, folder: Path, mib: int = IMAGE_MIB) -> Path:
    image = folder / "files.ext4"
    command = ["/sbin/mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", str(tree), str(image)]
    subprocess.run([*command, f"{mib}M"], check=True)
    return image


def make_xfs(folder: Path) -> Path:
    """Smaller than what mkfs.xfs supports for real use, hence the word."""
    tree = make_files(folder)
    names = sorted(path.name for path in tree.iterdir())
    lines = ["/none", "0 0", "d--755 0 0"]
    lines += [f"{name} ---644 0 0 {tree / name}" for name in names] + ["$", ""]
    proto = folder / "proto"
    proto.write_text("\n".join(lines), encoding="ascii")
    image = folder / "files.xfs"
    command = ["/sbin/mkfs.xfs", "--unsupported", "-q", "-p", str(proto)]
    subprocess.run([*command, "-d", f"size={IMAGE_MIB}m,file,name={image}"], check=True)
    return image


def passes(output: str, guest: str = "web") -> list[Counter[str]]:
    """The guest's figures after each pass over its files."""
    lines = re.findall(rf"{guest}\| tidepool-cache: (.*)", output)
    return [
        Counter({key: int(value) for key, value in re.findall(r"(\w+)=(\d+)\b", line)})
        for line in lines
    ]


Boot = Callable[[str, str, str], list[Module]]  # name, words, the kernel's command line


def boot_cache(name: str, words: str, cmdline: str) -> list[Module]:
    """The two modules of a guest that runs the kernel of `make test` with all there is."""
    return [
        Module(VMLINUZ, f"{name} kernel {words} -- console=ttyS0 {cmdline}"),
        Module(INITRD_CACHE, f"{name} initrd"),
    ]


def run_guest(
    machine_type: type[Machine],
    image: Path,
    cmdline: str,
    words: str = "",
    *,
    ram_mib: int = 96,
    boot: Boot = boot_cache,
    **options,
) -> str:
    """One guest with the disk; returns what the console said."""
    modules = boot("web", f"memory={ram_mib}M on_crash=stop {words}", cmdline)
    modules.append(Module(image, "web disk"))
    with machine_type(modules, memory=640, **options) as machine:
        output = machine.wait_end()
    failures = re.search(r"tidepool-test: .*FAIL.*|BUG:.*|Oops.*|hung task.*", output)
    assert not failures, failures.group(0)
    assert re.search(r"web\| tidepool-test: \w+ PASS", output), "the guest did not finish"
    return output


def run_three_passes(
    machine_type: type[Machine], folder: Path, frontend: str = "ftrace", **options
) -> None:
    """More files than the guest has room for: the disk is read once, then the store serves."""
    cmdline = f"tp.test=cache tp.frontend={frontend}"
    output = run_guest(machine_type, make_ext4(folder), cmdline, cpus=1, limit=200, **options)
    first, second, third = passes(output)
    assert first["sectors"] >= SECTORS
    assert second["sectors"] + third["sectors"] < SECTORS // 10
    assert third["gets"] > SECTORS // 8


@pytest.mark.parametrize("frontend", ["ftrace", "dm"])
def test_cache_svm(frontend: str, tmp_path: Path) -> None:
    run_three_passes(Qemu, tmp_path, frontend)


def run_churn(fs: str, folder: Path, words: str = "", **options) -> Counter[str]:
    """Files change in every way while pages come and go; each byte is what was written."""
    image = make_ext4(folder) if fs == "ext4" else make_xfs(folder)
    cmdline = f"tp.test=churn tp.fs={fs} {words}"
    output = run_guest(Qemu, image, cmdline, "vcpus=2", limit=250, **options)
    assert re.search(r"web\| churn: OK", output)
    (figures,) = passes(output)
    assert figures["puts"] > 5000 and figures["gets"] > 1000 and figures["flushed"] > 300
    return figures


def test_stream_svm(tmp_path: Path) -> None:
    """Files that nobody reads again, more than the store has room for, do not push out those that had
    been read twice; those that had been read once they do."""
    words = "tmem=28M compress=off"
    output = run_guest(Qemu, make_ext4(tmp_path), "tp.test=stream", words, cpus=1, limit=150)
    again, twice, once = (figures["sectors"] for figures in passes(output))
    files = 3 * FILE_MIB << 20 >> 9
    assert again < files / 50  # all was in the store
    assert twice < files / 4
    assert once > files * 9 / 10


def test_churn_ext4_svm(tmp_path: Path) -> None:
    """The driver has no memory for every fifth read from the disk."""
    figures = run_churn("ext4", tmp_path, "tp.driver=tidepool-test tp.forget=5")
    assert figures["unseen"] > 20


def test_churn_xfs_svm(tmp_path: Path) -> None:
    """The pages of a large folio, which has 32 where files are read 128 KiB ahead, are put by one call."""
    figures = run_churn("xfs", tmp_path, "tp.driver=tidepool-test")
    assert figures["test_largest"] >= 32


def run_rules(folder: Path, words: str = "") -> None:
    cmdline = f"tp.test=rules tp.fs=xfs tp.driver=tidepool-test {words}"
    output = run_guest(Qemu, make_xfs(folder), cmdline, "vcpus=2", ram_mib=128, limit=250)
    shown = re.findall(r"web\| rules: (\w+) (fresh|stale) off=(\d+)\s", output)
    needed = 0
    for name, result, off in shown:
        needed |= int(off) if result == "stale" else 0
    assert needed == (1 << RULES) - 1, shown


def test_rules_svm(tmp_path: Path) -> None:
    """Each rule of guest/linux-pv/cache.h is needed: with it off, alone or with those that cover for
    it, old content comes back, and not with fewer off."""
    run_rules(tmp_path)


def test_driver_stays_out_elsewhere() -> None:
    """The same kernel and RAM disk right on QEMU: the driver finds no hypervisor of its kind."""
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "EPYC", "-m", "256", "-no-reboot"]
    command += ["-display", "none", "-serial", "stdio", "-kernel", str(VMLINUZ)]
    command += ["-initrd", str(INITRD_CACHE), "-append", "console=ttyS0 tp.test=absent"]
    run = subprocess.run(command, timeout=90, check=True, capture_output=True, text=True)
    assert "tidepool-test: absent PASS" in run.stdout
