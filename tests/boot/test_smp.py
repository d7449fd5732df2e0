# SPDX-License-Identifier: BSD-2-Clause
"""Guests with several vCPUs, on one CPU and on two; and how CPUs are shared out."""

import re

import pytest

from machine import SHARE_WINDOW, Bochs, Machine, Qemu
from test_linux import check_figures_agree, linux
from test_tiny import results, tiny


def test_two_vcpus_start_signal_and_share_pages(machine_type: type[Machine]) -> None:
    """Start and restart, interrupts, the TSC and the store, seen by two vCPUs on two CPUs; the guest
    ends while both run. Its neighbours have one vCPU, and are not disturbed."""
    modules = [
        tiny("smp", words="memory=16M vcpus=2"),
        tiny("unhandled", "hltoff", name="hltoff", words="memory=16M vcpus=2"),
        tiny("spin", "rounds=3", name="healthy"),
    ]
    with machine_type(modules, limit=90) as machine:
        output = machine.wait_end()
    assert results(output) == {"smp": "Success", "healthy": "Success"}
    assert "tidepool: guest smp: stopped: power-off" in output
    assert "tidepool: guest hltoff: stopped: halted with interrupts off" in output


def test_two_vcpus_on_one_cpu(machine_type: type[Machine]) -> None:
    """The same when the two vCPUs have to take turns."""
    with machine_type([tiny("smp", words="memory=16M vcpus=2")], cpus=1, limit=90) as machine:
        output = machine.wait_end()
    assert results(output) == {"smp": "Success"}


def test_busy_guests_share_a_cpu_by_weight(machine_type: type[Machine]) -> None:
    """Weights 1 and 3: a quarter and three quarters, within 3 %. Both emulators count instructions
    here, so that the figures repeat exactly. The guests make no exit and have interrupts off."""
    window = SHARE_WINDOW[machine_type.vendor]
    modules = [
        tiny("share", window, name="one", words="memory=16M weight=1"),
        tiny("share", window, name="three", words="memory=16M weight=3"),
    ]
    options = {"icount": True} if machine_type is Qemu else {}
    with machine_type(modules, cpus=1, limit=150, **options) as machine:
        output = machine.wait_end()
    assert results(output) == {"one": "Success", "three": "Success"}
    shares = dict(re.findall(r"^(\w+)\| share: (\d+)", output, re.MULTILINE))
    assert abs(int(shares["one"]) - 250) <= 250 * 0.03
    assert abs(int(shares["three"]) - 750) <= 750 * 0.03


SLICE_TICKS = 1_000_000  # 5 ms at Bochs' 200 MHz


def test_a_guest_that_prints_keeps_nobody_waiting() -> None:
    """In Bochs a character takes the serial port 87 us, as in reality: a line 17 ms. Two guests print
    all the time, one of them at first without looking; the third gets its share of their CPU, and
    never waits for longer than a slice of each neighbour."""
    modules = [
        tiny("share", "start=20000000 length=40000000", name="busy"),
        tiny("talk", "lines=10", name="polite"),
        tiny("talk", "lines=10 rude", name="rude"),
    ]
    with Bochs(modules, cpus=1, limit=60) as machine:
        output = machine.wait_end()
    assert results(output) == {"busy": "Success", "polite": "Success", "rude": "Success"}
    share, pause = re.search(r"^busy\| share: (\d+) longest pause: (\d+)", output, re.MULTILINE).groups()
    assert int(share) >= 300
    assert int(pause) < 2.3 * SLICE_TICKS
    for name in ("polite", "rude"):  # nobody's line is cut or lost but the rude one's first ones
        lines = re.findall(rf"^{name}\| talk: (\d+): (?:0123456789){{17}}\s*$", output, re.MULTILINE)
        assert lines == [str(n) for n in range(1, 11)]


@pytest.mark.parametrize("cpus", [1, 2])
def test_linux_with_two_vcpus(cpus: int) -> None:
    """Linux uses both vCPUs, takes one off line and back, sends it an NMI, and swaps with both; on
    two CPUs, and with the two vCPUs taking turns on one."""
    modules = linux("web", "memory=128M vcpus=2", "tp.test=smp tp.mib=88 tp.passes=1")
    with Qemu(modules, cpus=cpus, limit=240) as machine:
        output = machine.wait_end()
    assert "web| tidepool-cpus: 2" in output
    assert output.count("CPU 1 is now offline") == 3
    assert set(re.findall(r"web\| .*NMI backtrace for cpu (\d)", output)) == {"0", "1"}
    assert "web| tidepool-test: smp PASS" in output
    assert "tidepool: guest web: stopped: power-off" in output
    host = check_figures_agree(output, "web")
    assert host["put"] > 5000
    assert host["held"] == 0
