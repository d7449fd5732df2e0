# SPDX-License-Identifier: BSD-2-Clause
"""What may be done to a disk whose files' pages are kept, and above it; every byte is compared."""

import re
import subprocess
from collections import Counter
from pathlib import Path

from machine import Qemu
from test_cache import make_files, passes
from test_faults import two_disks
from test_monitor import command

FILES = 4
DISK_MIB = 128
LAYERS = "balloon swap resize quota verity fscrypt loop linear crypt mirror snapshot hibernate"
# Nothing of what is above another device is kept: the driver counts what it left alone.
ABOVE = "linear crypt mirror snapshot"


def make_disk(folder: Path) -> Path:
    """ext4 with all it can do, on half of the disk: the guest makes it larger."""
    image = folder / "files.ext4"
    command = ["/sbin/mke2fs", "-q", "-t", "ext4", "-b", "4096", "-g", "8192"]
    command += ["-O", "verity,encrypt,quota", "-d", str(make_files(folder, FILES)), str(image)]
    subprocess.run([*command, f"{DISK_MIB // 2}M"], check=True)
    with image.open("r+b") as file:
        file.truncate(DISK_MIB << 20)
    return image


def layers(output: str) -> dict[str, Counter[str]]:
    """By layer, how far each figure of the driver's went while it was tried."""
    names = re.findall(r"web\| tidepool-cache: pass=(\w+) ", output)
    figures = passes(output)
    return {
        name: after - before
        for name, before, after in zip(names, [Counter(), *figures], figures)
    }


def test_layers_svm(tmp_path: Path) -> None:
    """The list of guest/linux-pv/README.md, in one life of a guest."""
    guest = two_disks(tmp_path, make_disk(tmp_path), "memory=144M", "tp.test=layers")
    with Qemu(guest, memory=768, cmdline="idle=halt", limit=400) as machine:
        machine.expect(r"web\| tidepool-balloon: .* when=ready")
        command(machine, "balloon web 112M", r"guest web is asked")
        machine.expect(r"web\| tidepool-balloon: .* when=given")
        command(machine, "balloon web 144M", r"guest web is asked")
        machine.expect(r"web\| tidepool-test: layers (PASS|FAIL).*\n")
        output = machine.output()
    failures = re.search(r"tidepool-test: .*FAIL.*|BUG:.*|Oops.*|WARNING: CPU.*|I/O error.*", output)
    assert not failures, failures.group(0)
    found = layers(output)
    assert list(found) == LAYERS.split()
    for name in ABOVE.split():
        assert found[name]["foreign"] > 100, f"{name}: {found[name]}"
