#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boot the show: two Debian guests that need more memory than they have, and swap into the store.

    tools/run.py [--engine kvm|qemu|bochs] [--iso-only]

Without --engine: nested KVM when this machine's CPU offers VT-x or AMD-V and its KVM hands them
on; else QEMU's TCG, which emulates AMD's SVM. The console is this terminal.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"

sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "tests" / "boot"))
from machine import Bochs, Machine  # noqa: E402
from mkiso import Module, build_iso  # noqa: E402

GUESTS = ("web", "db")
GUEST_MEMORY = 128  # MiB
HOG_MEMORY = 160  # MiB, more than the guest has
CMDLINE = "idle=poweroff"


def show_modules() -> list[Module]:
    """Two guests from the same kernel and initial RAM disk."""
    modules = []
    for name in GUESTS:
        words = f"{name} kernel memory={GUEST_MEMORY}M -- console=ttyS0 tp.test=swap tp.mib={HOG_MEMORY}"
        modules.append(Module(BUILD / "guest" / "vmlinuz", words))
        modules.append(Module(BUILD / "guest" / "initrd.img", f"{name} initrd"))
    return modules


def nested_kvm() -> bool:
    """Whether KVM here can run a hypervisor: by the CPU's flag, never by /dev/kvm alone."""
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    words = flags.group(1).split() if flags else []
    for flag, module in (("vmx", "kvm_intel"), ("svm", "kvm_amd")):
        nested = Path(f"/sys/module/{module}/parameters/nested")
        if flag in words and nested.exists() and nested.read_text().strip() in ("Y", "1"):
            return os.access("/dev/kvm", os.R_OK | os.W_OK)
    return False


def run_qemu(iso: Path, kvm: bool) -> int:
    command = ["qemu-system-x86_64", "-m", "1024", "-smp", "2", "-cdrom", str(iso)]
    command += ["-display", "none", "-serial", "mon:stdio", "-no-reboot"]
    if kvm:
        command += ["-accel", "kvm", "-cpu", "host"]
    else:
        command += ["-accel", "tcg,thread=multi", "-cpu", "EPYC,+svm,+npt"]
    return subprocess.run(command, check=False).returncode


def run_bochs() -> int:
    machine: Machine
    with Bochs(show_modules(), cmdline=CMDLINE, limit=600) as machine:
        machine.console.logfile_read = sys.stdout
        machine.wait_end()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Boot two Debian guests on Tidepool.")
    parser.add_argument("--engine", choices=("kvm", "qemu", "bochs"))
    parser.add_argument("--iso-only", action="store_true", help="make build/tidepool.iso, no more")
    args = parser.parse_args()

    iso = BUILD / "tidepool.iso"
    build_iso(iso, BUILD / "tidepool.elf", CMDLINE, show_modules())
    if args.iso_only:
        print(f"made {iso.relative_to(ROOT)}")
        return 0
    engine = args.engine or ("kvm" if nested_kvm() else "qemu")
    print(f"booting build/tidepool.iso on {engine}; Ctrl-A X ends QEMU", flush=True)
    if engine == "bochs":
        return run_bochs()
    return run_qemu(iso, engine == "kvm")


if __name__ == "__main__":
    sys.exit(main())
