# SPDX-License-Identifier: BSD-2-Clause
"""Disks for guests: modules in RAM that a stock kernel mounts, reads and writes."""

import hashlib
import random
import re
import subprocess
from pathlib import Path

from machine import Machine, Qemu
from mkiso import Module
from test_linux import linux
from test_tiny import GUESTS, results, tiny

DATA_MIB = 2
IMAGE_MIB = 12
DELAY_US = 5000
DELAYED_READS = 64  # one after the other, by tests/guest-linux/init


def make_image(folder: Path, name: str) -> Path:
    """An ext4 file system with a file of noise, and the list of sums that the guest checks."""
    tree = folder / f"{name}.tree"
    tree.mkdir()
    data = random.Random(name).randbytes(DATA_MIB << 20)
    (tree / "data").write_bytes(data)
    (tree / "sums").write_text(f"{hashlib.sha256(data).hexdigest()}  data\n", encoding="ascii")
    image = folder / f"{name}.ext4"
    command = ["/sbin/mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(image), f"{IMAGE_MIB}M"]
    subprocess.run(command, check=True)
    return image


def inside(output: str, guest: str, disk: str) -> dict[str, int]:
    """What a guest's kernel counted."""
    line = re.search(rf"{guest}\| tidepool-disk: {disk} (.*)", output)
    assert line, f"guest {guest} says nothing of {disk}"
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)\b", line.group(1))}


def outside(output: str, disk: str) -> tuple[int, int, int]:
    """What the host counted: requests, sectors read, sectors written."""
    line = re.search(rf"disk {disk} requests=(\d+) sectors read=(\d+) written=(\d+)", output)
    assert line, f"no figures for disk {disk}"
    requests, read, written = map(int, line.groups())
    return requests, read, written


def run_disks(machine_type: type[Machine], folder: Path) -> None:
    """A disk to write, a slow one to read that two guests share; the sums and the figures agree."""
    modules = linux("web", "memory=128M vcpus=2", "tp.test=disk")
    modules += linux("db", "memory=128M", "tp.test=disk")
    modules += [
        Module(make_image(folder, "root"), "web disk"),
        Module(make_image(folder, "share"), f"web,db disk ro delay={DELAY_US}us"),
    ]
    with machine_type(modules, limit=150) as machine:
        output = machine.wait_end()
    for guest in ("web", "db"):
        assert f"{guest}| tidepool-test: disk PASS" in output
        assert f"tidepool: guest {guest}: stopped: power-off" in output

    sectors = DATA_MIB << 20 >> 9
    disks = (("web", "vda", "web-0"), ("web", "vdb", "web-1"), ("db", "vda", "db-0"))
    for guest, disk, serial in disks:
        kernel = inside(output, guest, disk)
        requests, read, written = outside(output, serial)
        assert f"{guest}| tidepool-disk: {disk} serial={serial} " in output
        assert requests >= kernel["reads"]
        assert read == kernel["read"] >= sectors
        if serial == "web-0":
            assert written == kernel["written"] >= sectors
        else:
            assert written == kernel["written"] == 0
            assert kernel["centiseconds"] >= DELAYED_READS * DELAY_US // 10000


def test_disks_svm(tmp_path: Path) -> None:
    run_disks(Qemu, tmp_path)


def test_disk_by_hand(machine_type: type[Machine]) -> None:
    """A tiny driver on both backends; its malformed queue costs it its device, and nobody else."""
    modules = [tiny("disk"), Module(GUESTS / "disk.elf", "disk disk delay=300us")]
    modules += [tiny("spin", "rounds=3", name="healthy")]
    with machine_type(modules, cpus=1, limit=60) as machine:
        output = machine.wait_end()
    assert results(output) == {"disk": "Success", "healthy": "Success"}
    assert "tidepool: guest disk: virtio device 0 stopped: malformed request queue" in output
    assert outside(output, "disk-0") == (6, 4, 1)
