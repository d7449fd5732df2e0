#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the exit path and the scheduler cost, in ticks of the guest's TSC: one tick is one
instruction here; and how large the hypervisor is.

Prints one "name value unit" line a figure. In Bochs every instruction advances the TSC by one; in
QEMU -icount shift=0 does the same. So these figures repeat exactly, on any machine.
"""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "boot"))
from machine import BUILD, SHARE_WINDOW, Bochs, Machine, Qemu  # noqa: E402
from mkiso import Module  # noqa: E402


# Guests whose difference in host memory is that of one guest more, and one vCPU more.
MEMORY_GUESTS = {
    "one": ["one kernel memory=16M"],
    "two": ["one kernel memory=16M", "two kernel memory=16M"],
    "vcpus": ["one kernel memory=16M vcpus=2"],
}


# Bochs delivers virtual interrupts at wrong moments, which a guest alone on its machine gets over:
# with them the figures are those of a processor.
BOCHS_CMDLINE = "idle=poweroff apicv=on"


def show(name: str, value: float, unit: str) -> None:
    print(f"{name} {value} {unit}", flush=True)


def measure(machine: Machine) -> None:
    with machine:
        output = machine.wait_end()
    figures = re.findall(r"^bench\| bench (\w+) (\d+)", output, re.MULTILINE)
    if not figures:
        raise SystemExit(f"the bench guest printed no figure on {machine.vendor}")
    for name, ticks in figures:
        show(f"{machine.vendor}_{name}", ticks, "ticks")


def guest(test: str, words: str) -> list[Module]:
    return [Module(BUILD / "tests" / "guest" / f"{test}.elf", f"bench kernel memory=16M {words}")]


def measure_shares(machine: Machine) -> None:
    """What two busy guests of weight 1 and 3 got of a CPU; 250 and 750 are right."""
    with machine:
        output = machine.wait_end()
    for name, share in sorted(re.findall(r"^weight(\d)\| share: (\d+)", output, re.MULTILINE)):
        show(f"{machine.vendor}_share_weight_{name}_of_4", share, "thousandths")


def share_guests(window: str) -> list[Module]:
    path = BUILD / "tests" / "guest" / "share.elf"
    lines = [f"weight{weight} kernel memory=16M weight={weight} -- {window}" for weight in (1, 3)]
    return [Module(path, line) for line in lines]


def hypervisor_kib(lines: list[str]) -> int:
    """The hypervisor's own part of memory while these guests run, as the monitor tells it."""
    path = BUILD / "tests" / "guest" / "echo.elf"
    modules = [Module(path, line) for line in lines]
    with Qemu(modules, cpus=1, cmdline="idle=halt", limit=120) as machine:
        for line in lines:
            machine.expect(line.split()[0] + r"\| echo: ready")
        machine.console.send("memory\r")
        return int(machine.expect(r"hypervisor +(\d+) KiB").group(1))


def measure_start() -> None:
    """From GRUB's hand-over to the first entry of a guest, in instructions: Bochs' TSC counts them,
    200 a microsecond. The TSC's calibration alone waits for 50 ms."""
    with Bochs(guest("spin", "-- rounds=1"), cpus=1, limit=60) as machine:
        output = machine.wait_end()
    khz = re.search(r"TSC at (\d+)\.(\d+) MHz", output)
    usec = re.search(r"started in (\d+) us", output)
    assert khz and usec
    show("start_instructions", int(usec.group(1)) * int(khz.group(1) + khz.group(2)) // 1000, "")


def main() -> None:
    elf = BUILD / "tidepool.elf"
    size = subprocess.run(["size", elf], capture_output=True, text=True, check=True).stdout
    text, data, bss = map(int, size.splitlines()[1].split()[:3])
    show("image_loaded", text + data, "bytes")
    show("image_memory", text + data + bss, "bytes")
    measure_start()

    kib = {name: hypervisor_kib(lines) for name, lines in MEMORY_GUESTS.items()}
    show("host_memory_per_guest", kib["two"] - kib["one"], "KiB")
    show("host_memory_per_vcpu", kib["vcpus"] - kib["one"], "KiB")

    disk = Module(BUILD / "tests" / "guest" / "disk.elf", "bench disk")
    runs = [  # CPUs, the guest
        (1, [*guest("bench", ""), disk]),
        (1, guest("switch", "vcpus=2")),
        (2, guest("switch", "vcpus=2 -- wake")),
    ]
    for cpus, modules in runs:
        measure(Bochs(modules, cpus=cpus, cmdline=BOCHS_CMDLINE, limit=60))
        measure(Qemu(modules, cpus=cpus, icount=True, limit=300))
    measure_shares(Bochs(share_guests(SHARE_WINDOW["vmx"]), cpus=1, limit=60))
    measure_shares(Qemu(share_guests(SHARE_WINDOW["svm"]), cpus=1, icount=True, limit=300))


if __name__ == "__main__":
    main()
