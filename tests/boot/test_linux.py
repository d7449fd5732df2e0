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


def test_two_guests_swap(machine_type: type[Machine]) -> None:
    """Each guest uses more anonymous memory than it has, and finds every byte of it again."""
    modules = linux("web", "memory=96M", "tp.test=swap tp.mib=80 tp.passes=1")
    modules += linux("db", "memory=96M tmem_reserve=32M tmem_weight=2", "tp.test=swap tp.mib=80 tp.passes=1")
    with machine_type(modules, limit=150) as machine:
        output = machine.wait_end()
    for name in ("web", "db"):
        assert re.search(rf"{name}\| hog: OK", output), f"guest {name} did not verify its memory"
        assert f"tidepool: guest {name}: stopped: power-off" in output
        host = check_figures_agree(output, name)
        assert host["put"] > 5000, f"guest {name} hardly swapped"
        assert host["got"] > 5000, f"guest {name} hardly swapped in"
        assert host["refused"] == 0
        assert host["held"] == 0, f"guest {name} left pages behind"
        # every page put was flushed again, but those that a later put of their slot replaced
        assert 0 < host["flushed"] <= host["put"]


def test_refused_puts_go_to_the_backing_device(machine_type: type[Machine]) -> None:
    """A guest whose share of the store is too small swaps to its own device; no byte is lost."""
    modules = linux("tiny", "memory=192M tmem=8M", "tp.test=refuse tp.mib=110 tp.backing=48")
    with machine_type(modules, cpus=1, limit=120) as machine:
        output = machine.wait_end()
    assert re.search(r"tiny\| hog: OK", output)
    host = check_figures_agree(output, "tiny")
    assert host["refused"] > 100
    assert host["put"] > 100
    assert host["held"] == 0


def test_killed_guest_leaves_the_other_alone(machine_type: type[Machine]) -> None:
    """One guest dies of a triple fault in the middle of its work; the other finishes its own."""
    modules = linux("good", "memory=96M", "tp.test=swap tp.mib=80 tp.passes=1")
    modules += linux("bad", "memory=96M on_reset=stop", "tp.test=crash panic=-1")
    with machine_type(modules, cpus=1, limit=150) as machine:
        output = machine.wait_end()
    assert re.search(r"tidepool: guest bad: stopped: (triple fault|reset)", output)
    assert re.search(r"good\| hog: OK", output)
    assert "tidepool: guest good: stopped: power-off" in output
    check_figures_agree(output, "good")
