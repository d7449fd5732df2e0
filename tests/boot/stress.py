# SPDX-License-Identifier: BSD-2-Clause
"""Debian's fio and stress-ng in a guest: what they wrote to files and to memory, they verify."""

import re
import shutil
import subprocess
from pathlib import Path

from machine import Qemu
from test_cache import make_ext4, passes
from test_faults import two_disks

PROGRAMS = ("fio", "stress-ng")
TOOLS_MIB = 128
LOADER = "ld-linux-x86-64.so.2"


def copy_program(program: str, folder: Path) -> None:
    """A program of this machine, the libraries that it needs, and ld.so to start it with."""
    path = shutil.which(program)
    assert path, f"{program} is not installed: tools/deps.sh does that"
    listing = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+)", listing):
        shutil.copy(library, folder)
    shutil.copy(path, folder)
    (folder / LOADER).rename(folder / "ld.so")


def make_tools(folder: Path) -> Path:
    tree = folder / "tools"
    tree.mkdir()
    for program in PROGRAMS:
        copy_program(program, tree)
    image = folder / "tools.ext4"
    command = ["/sbin/mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(image)]
    subprocess.run([*command, f"{TOOLS_MIB}M"], check=True)
    return image


def check_stress(folder: Path) -> None:
    files = make_ext4(folder, 1)
    cmdline = "tp.test=tools tp.swap=160"
    guest = two_disks(folder, files, "memory=160M", cmdline, second=make_tools(folder))
    with Qemu(guest, memory=896, limit=400) as machine:
        output = machine.wait_end()
    failures = re.search(r"tidepool-test: .*FAIL.*|BUG:.*|Oops.*|WARNING: CPU.*|fail: .*", output)
    assert not failures, failures.group(0)
    assert "web| tidepool-test: tools PASS" in output
    rounds = re.search(r"web\| tidepool-stress: ops=(\d+)", output)
    assert rounds and int(rounds.group(1)) >= 8000, "stress-ng did not get through memory once"
    (figures,) = passes(output)
    assert figures["puts"] > 1000 and figures["gets"] > 500 and figures["flushed"] > 1000
