# SPDX-License-Identifier: BSD-2-Clause
"""Guests' clocks against the emulator's. Both emulators count instructions here, so their TSC has a
frequency that is known exactly, and the load of the machine that runs the test does not matter."""

import re

from machine import Machine, Qemu
from test_tiny import results, tiny

TRUE_HZ = {"svm": 1_000_000_000, "vmx": 200_000_000}
ERROR_PER_MINUTE = 1_000_000  # ns


def check_clocks(machine_type: type[Machine], seconds: int, limit: float) -> None:
    """Two guests on one CPU sleep and compute for @seconds. How far their clocks go wrong meanwhile
    is less than 1 ms in 60 s, and no more than 20 us."""
    modules = [tiny("clock", f"seconds={seconds}", name=name) for name in ("one", "two")]
    options = {"icount": True} if machine_type is Qemu else {}
    with machine_type(modules, cpus=1, memory=128, limit=limit, **options) as machine:
        output = machine.wait_end()
    assert results(output) == {"one": "Success", "two": "Success"}
    hz = TRUE_HZ[machine_type.vendor]
    pattern = r"^{}\| clock: {} tsc (\d+) kvm-clock (\d+) told (\d+)"
    for name in ("one", "two"):
        start, end = (
            [int(figure) for figure in re.search(pattern.format(name, when), output, re.M).groups()]
            for when in ("start", "end")
        )
        true_ns = (end[0] - start[0]) * 1_000_000_000 / hz
        assert true_ns >= seconds * 0.99e9
        allowed = max(ERROR_PER_MINUTE * true_ns / 60e9, 20_000)
        assert abs(end[1] - start[1] - true_ns) < allowed, "kvm-clock"
        if end[2]:  # CPUID leaf 0x15
            told_ns = (end[0] - start[0]) * 1_000_000_000 / end[2]
            assert abs(told_ns - true_ns) < allowed, "TSC at the frequency that CPUID tells"
        # the guest's TSC and its clock both start with the guest
        assert abs(start[1] - start[0] * 1_000_000_000 / hz) < allowed


def test_clocks(machine_type: type[Machine]) -> None:
    check_clocks(machine_type, seconds=2, limit=150)
