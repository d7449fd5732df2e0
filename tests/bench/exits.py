#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the exit path costs, in ticks of the guest's TSC: one tick is one instruction here.

Prints one "name value unit" line a figure. In Bochs every instruction advances the TSC by one; in
QEMU -icount shift=0 does the same. So these figures repeat exactly, on any machine.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "boot"))
from machine import BUILD, Bochs, Machine, Qemu  # noqa: E402
from mkiso import Module  # noqa: E402


def measure(machine: Machine) -> None:
    with machine:
        output = machine.wait_end()
    figures = re.findall(r"^bench\| bench (\w+) (\d+)", output, re.MULTILINE)
    if not figures:
        raise SystemExit(f"the bench guest printed no figure on {machine.vendor}")
    for name, ticks in figures:
        print(f"{machine.vendor}_{name} {ticks} ticks", flush=True)


def guest(test: str, words: str) -> list[Module]:
    return [Module(BUILD / "tests" / "guest" / f"{test}.elf", f"bench kernel memory=16M {words}")]


def main() -> None:
    runs = [  # CPUs, the guest
        (1, guest("bench", "")),
        (1, guest("switch", "vcpus=2")),
        (2, guest("switch", "vcpus=2 -- wake")),
    ]
    for cpus, modules in runs:
        measure(Bochs(modules, cpus=cpus, limit=60))
        measure(Qemu(modules, cpus=cpus, icount=True, limit=300))


if __name__ == "__main__":
    main()
