# SPDX-License-Identifier: BSD-2-Clause
"""Hostile guests: whatever they do, their neighbour keeps all that it has, and its share of time;
and the host has its memory back when they have ended."""

import re

from machine import Machine
from mkiso import Module
from test_tiny import results, tiny

# An exit takes QEMU some 50 us: not every port in every width there.
PORTS = {"svm": "wide=64", "vmx": "wide=16"}
# So many that the neighbour is there to the end: QEMU's TSC goes on while a guest waits.
ROUNDS = {"svm": 300, "vmx": 15}

# How long each act of the guest "storms" lasts, in ticks of the TSC: Bochs' has 200 MHz. A data
# breakpoint that the delivery of #DB itself meets ends QEMU 7.2 with a failed assertion of its own.
STORMS = {"svm": "ticks=40000000 no-debug", "vmx": "ticks=4000000"}


def run(machine_type: type[Machine], hostile: list[Module], limit: float) -> str:
    """Boots them with a healthy neighbour on one CPU; returns what the console said."""
    rounds = ROUNDS[machine_type.vendor]
    modules = [*hostile, tiny("healthy", f"rounds={rounds}")]
    with machine_type(modules, cpus=1, limit=limit) as machine:
        output = machine.wait_end()
    assert results(output)["healthy"] == "Success"
    assert "tidepool: guest healthy: stopped: power-off" in output
    before = re.search(r"(\d+) MiB left for the store", output)
    after = re.search(r"all guests have stopped; (\d+) MiB free", output)
    assert before and after
    memory = 16 * len(modules)
    # a block for tables may have been split, the store may keep a block
    assert int(after.group(1)) >= int(before.group(1)) + memory - 4
    return output


def test_registers_ports_memory_and_modes(machine_type: type[Machine]) -> None:
    """Every MSR, every port, every kind of guest-physical address that is no RAM; all modes of the
    processor, and every bit of its control registers."""
    names = ("msrs", "holes", "modes", "ports")
    modules = [tiny(name, PORTS[machine_type.vendor] if name == "ports" else "") for name in names]
    output = run(machine_type, modules, limit=150)
    assert {name: results(output)[name] for name in names} == dict.fromkeys(names, "Success")


def test_storms(machine_type: type[Machine]) -> None:
    """A vCPU that never ends what it does: exceptions, interrupts, exits."""
    words = STORMS[machine_type.vendor]
    storms = tiny("storms", words, words="memory=16M vcpus=2")
    output = run(machine_type, [storms], limit=100)
    assert results(output)["storms"] == "Success"
