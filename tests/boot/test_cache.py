# SPDX-License-Identifier: BSD-2-Clause
"""The page cache of stock kernels in the store: what reclaim drops comes back without the disk."""

import hashlib
import random
import re
import subprocess
from pathlib import Path

from machine import Machine, Qemu
from mkiso import Module
from test_linux import linux

FILES = 16
FILE_MIB = 4
SECTORS = FILES * FILE_MIB << 20 >> 9


def make_files(folder: Path) -> Path:
    """A folder of files of noise, with the list of their sums."""
    tree = folder / "tree"
    tree.mkdir()
    sums = []
    for number in range(FILES):
        data = random.Random(number).randbytes(FILE_MIB << 20)
        (tree / f"data{number}").write_bytes(data)
        sums.append(f"{hashlib.md5(data).hexdigest()}  data{number}\n")
    (tree / "sums").write_text("".join(sums), encoding="ascii")
    return tree


def make_ext4(folder: Path) -> Path:
    image = folder / "files.ext4"
    command = ["/sbin/mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", str(make_files(folder)), str(image)]
    subprocess.run([*command, f"{FILES * FILE_MIB + 16}M"], check=True)
    return image


def passes(output: str) -> list[dict[str, int]]:
    """The guest's figures after each pass over its files."""
    lines = re.findall(r"tidepool-cache: (.*)", output)
    return [
        {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)\b", line)} for line in lines
    ]


def run_three_passes(machine_type: type[Machine], folder: Path) -> None:
    """Twice the files that the guest has room for: the disk is read once, the store serves then."""
    modules = linux("web", "memory=96M", "tp.test=cache")
    modules += [Module(make_ext4(folder), "web disk")]
    with machine_type(modules, cpus=1, memory=512, limit=150) as machine:
        output = machine.wait_end()
    assert "web| tidepool-test: cache PASS" in output, output
    first, second, third = passes(output)
    assert first["sectors"] >= SECTORS
    assert second["sectors"] + third["sectors"] < SECTORS // 10
    assert third["gets"] > SECTORS // 8


def test_cache_svm(tmp_path: Path) -> None:
    run_three_passes(Qemu, tmp_path)
