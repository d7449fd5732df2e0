# SPDX-License-Identifier: BSD-2-Clause
"""What the hypervisor may do to a guest with the driver: refuse, freeze, drop, end and start it."""

import random
import re
import time
from pathlib import Path

from machine import Machine, Qemu
from mkiso import Module
from test_cache import boot_cache, make_ext4, passes
from test_monitor import command, free_kib, wait_stopped

FAULTS = ["freeze", "thaw", "evict"]
ANSWERS = r"guest web (is frozen|is not frozen|loses its|is not running)|still at work"
BACKING_MIB = 48


def two_disks(
    folder: Path,
    image: Path,
    words: str,
    cmdline: str,
    *,
    vcpus: int = 2,
    second: Path | None = None,
) -> list[Module]:
    """One guest with two disks: its files, and what backs its swap, or another one."""
    if not second:
        second = folder / "backing"
        second.write_bytes(bytes(BACKING_MIB << 20))
    modules = boot_cache("web", f"vcpus={vcpus} on_crash=stop {words}", cmdline)
    return [*modules, Module(image, "web disk"), Module(second, "web disk")]


def tmem_figures(machine: Machine) -> dict[str, int]:
    names = ["put", "got", "missed", "flushed", "refused", "evicted", "held"]
    line = command(machine, "tmem", r"\nweb +" + r" +".join([r"(\d+)"] * len(names)) + " ")
    return {name: int(value) for name, value in zip(names, line.groups())}


def fault_for(machine: Machine, seconds: float, seed: int) -> None:
    """Freeze, thaw and drop at random moments, until then or until the guest's test has ended."""
    dice = random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end and "tidepool-test: faults" not in machine.output():
        command(machine, f"{dice.choice(FAULTS)} web", ANSWERS)
        time.sleep(dice.random())
    command(machine, "thaw web", ANSWERS)


def wait_held(machine: Machine) -> None:
    """Until the guest, whose pages may just have been dropped, has some in the store again."""
    end = time.monotonic() + 60
    while tmem_figures(machine)["held"] == 0:
        assert time.monotonic() < end, "the guest puts nothing"
        time.sleep(0.2)


def test_faults_svm(tmp_path: Path) -> None:
    """A guest whose swap and files are in the store loses no byte by what an operator does; ended at
    some moment it leaves nothing in the store, and started anew it goes on."""
    words = "memory=128M refuse=7"
    guest = two_disks(tmp_path, make_ext4(tmp_path), words, "tp.test=faults tp.mib=44 tp.passes=1 tp.seconds=15")
    with Qemu(guest, memory=640, cmdline="idle=halt", limit=250) as machine:
        machine.expect(r"tidepool: vda: pages of its files are kept")
        fault_for(machine, 10, seed=1)
        wait_held(machine)
        command(machine, "stop web", r"guest web is being stopped")
        wait_stopped(machine, "web")
        free = free_kib(machine)
        command(machine, "tmem", r"store: \d+ MiB taken, 0 pages held")

        command(machine, "start web", r"guest web is starting")
        machine.expect(r"tidepool: vda: pages of its files are kept")
        fault_for(machine, 150, seed=2)
        time.sleep(2)  # it is switching itself off
        wait_stopped(machine, "web")
        figures = tmem_figures(machine)
        assert free_kib(machine) == free
        output = machine.output()
    failures = re.search(r"tidepool-test: .*FAIL.*|BUG:.*|Oops.*|Write-error.*|I/O error.*", output)
    assert not failures, failures.group(0)
    assert re.search(r"web\| tidepool-test: faults PASS", output), "the guest did not finish"
    assert figures["refused"] > 100 and figures["evicted"] > 100, figures
    assert len(passes(output)) > 1, "the driver was not unloaded under load"
