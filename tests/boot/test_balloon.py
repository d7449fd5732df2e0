# SPDX-License-Identifier: BSD-2-Clause
"""The balloon of the Linux driver: memory that a guest gives and takes back.

On VMX, which takes Bochs minutes, in soak_linux.py; tests/guest/balloon.c runs on both in every run.
"""

import fnmatch
import re
import subprocess

from machine import BUILD, Machine, Qemu
from mkiso import Module
from test_linux import linux
from test_monitor import command, free_kib

BALLOON_WORDS = "memory=256M vcpus=2"
BALLOON_CMDLINE = "tp.test=balloon tp.mib=150 tp.passes=1 tp.give=160"
DRIVER = BUILD / "guest" / "tidepool.ko"


def await_guest(machine: Machine, when: str) -> dict[str, int]:
    """The balloon's figures that the guest prints at a step of its test."""
    line = machine.expect(rf"web\| tidepool-balloon: (.*) when={when}").group(1)
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}


def check_balloon(modules: list[Module], machine_type: type[Machine] = Qemu) -> None:
    """What a guest "web" with these words gives, and takes back, to the KiB."""
    with machine_type(modules, cmdline="idle=halt", limit=150) as machine:
        machine.expect(r"web\| tidepool-modalias: \S+\s")
        await_guest(machine, "ready")
        before = free_kib(machine)
        command(machine, "balloon web 96M", r"guest web is asked to do with 96 MiB")
        given = await_guest(machine, "given")
        assert given["given_kib"] == 160 * 1024
        command(machine, "memory", r"web +96 +96 +256\s")
        machine.expect(r"web +at \d+ s: MiB free=\d+ available=\d+ committed=\d+ ")
        assert free_kib(machine) == before + 160 * 1024

        used = await_guest(machine, "used")
        assert used["relieved"] > 0
        assert used["given_kib"] < given["given_kib"]

        command(machine, "balloon web 256M", r"guest web is asked")
        assert await_guest(machine, "returned")["take_refused"] == 0
        assert free_kib(machine) == before

        command(machine, "balloon web 96M", r"guest web is asked")
        machine.expect(r"tidepool-test: balloon PASS")
        machine.expect(r"tidepool: guest web: stopped: power-off")
        output = machine.output()
    assert "hog: OK" in output
    assert "Out of memory" not in output and "oom-kill" not in output

    # udev loads the driver for the device that the guest has found
    alias = re.search(r"web\| tidepool-modalias: (\S+)", output).group(1)
    modinfo = ["/sbin/modinfo", "-F", "alias", str(DRIVER)]
    aliases = subprocess.run(modinfo, check=True, capture_output=True, text=True).stdout.split()
    assert any(fnmatch.fnmatch(alias, pattern) for pattern in aliases)


def test_linux_gives_and_takes_back() -> None:
    """A guest that needs its memory has it, whatever it was asked for, and nothing is killed."""
    check_balloon(linux("web", BALLOON_WORDS, BALLOON_CMDLINE))
