# SPDX-License-Identifier: BSD-2-Clause
"""Stock Debian kernels as guests: the scenario that `make run` shows."""

import re

from machine import BUILD, Machine
from mkiso import Module

VMLINUZ = BUILD / "guest" / "vmlinuz"
INITRD = BUILD / "guest" / "initrd.img"


def linux(name: str, words: str, cmdline: str) -> list[Module]:
    """The two modules of a guest that runs Debian's kernel with our initial RAM disk."""
    return [
        Module(VMLINUZ, f"{name} kernel {words} -- console=ttyS0 {cmdline}"),
        Module(INITRD, f"{name} initrd"),
    ]


def host_counters(output: str, name: str) -> dict[str, int]:
    """What Tidepool says about a guest that has stopped."""
    line = re.search(rf"tidepool: guest {name}: tmem (.*)", output)
    assert line, f"no figures for guest {name} on the console"
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line.group(1))}


def guest_counters(output: str, name: str) -> tuple[dict[str, int], dict[str, int]]:
    """What a guest printed when its swap was off: (its driver's count, what the ABI told it)."""
    line = re.search(
        rf"{name}\| tidepool-stats: guest (.*?) hypervisor (.*) when=off", output
    )
    assert line, f"guest {name} printed no statistics"
    own, told = (
        {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", part)}
        for part in line.groups()
    )
    return own, told


def check_figures_agree(output: str, name: str) -> dict[str, int]:
    """The guest's own figures, the hypervisor's answers to it and the console's are the same."""
    host = host_counters(output, name)
    own, told = guest_counters(output, name)
    assert own == told, f"guest {name}: driver and hypervisor differ"
    names = {"put": "puts", "got": "gets", "refused": "refused", "flushed": "flushed"}
    for ours, theirs in names.items():
        assert host[ours] == own[theirs], f"guest {name}: {ours} on the console, {theirs} inside"
    return host


VCPUS = 2

# What a Linux does while it starts that has nothing to do with Tidepool and takes minutes in Bochs: it
# tests its cryptography, reads certificates, and prints, 87 us a character. Warnings are printed.
START_QUICKLY = (
    "loglevel=5 cryptomgr.notests "
    "initcall_blacklist=crypto_kdf108_init,load_system_certificate_list "
)
QUICK = {"svm": "", "vmx": START_QUICKLY}

# Checks of its own page tables take it a minute: two of three go without.
HURRY = {"svm": "", "vmx": "rodata=off pti=off "}


def test_guests_side_by_side(machine_type: type[Machine]) -> None:
    """Three guests on two CPUs. Two of them use more memory than they have, and find every byte of
    it again: "web" in the store, "db", whose share of the store is too small, on its own device as
    well. The third dies of a triple fault in the middle of its work."""
    cmdline = "tp.passes=1 tp.vectors=6 " + QUICK[machine_type.vendor]
    hurry = cmdline + HURRY[machine_type.vendor]
    modules = linux("web", f"memory=96M vcpus={VCPUS}", cmdline + "tp.test=swap tp.mib=38")
    refuse = hurry + "tp.test=refuse tp.mib=90 tp.backing=48"
    modules += linux("db", f"memory=192M vcpus={VCPUS} tmem=8M", refuse)
    crash = hurry + "tp.test=crash tp.mib=56 panic=-1"
    modules += linux("bad", "memory=96M on_reset=stop", crash)
    with machine_type(modules, limit=250) as machine:
        output = machine.wait_end()
        assert re.search(r"tidepool: guest bad: stopped: (triple fault|reset)", output)
        for name in ("web", "db"):
            assert f"{name}| tidepool-cpus: {VCPUS}" in output
            assert output.count(f"{name}| vectors: OK") == 3
            assert f"{name}| hog: OK" in output, f"guest {name} did not verify its memory"
            assert f"tidepool: guest {name}: stopped: power-off" in output
            host = check_figures_agree(output, name)
            assert host["put"] > 1000, f"guest {name} hardly swapped"
            assert host["got"] > 1000, f"guest {name} hardly swapped in"
            assert host["held"] == 0, f"guest {name} left pages behind"
            # every page put was flushed again, but those that a later put of their slot replaced
            assert 0 < host["flushed"] <= host["put"]
            assert (host["refused"] > 100) == (name == "db")
