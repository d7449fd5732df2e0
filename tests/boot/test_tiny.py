# SPDX-License-Identifier: BSD-2-Clause
"""The tiny bare-metal guests of tests/guest, several at a time in one boot."""

import re

from machine import BUILD, Bochs, Machine, Qemu
from mkiso import Module

GUESTS = BUILD / "tests" / "guest"


def tiny(test: str, cmdline: str = "", name: str = "", words: str = "memory=16M") -> Module:
    return Module(GUESTS / f"{test}.elf", f"{name or test} kernel {words} -- {cmdline}".rstrip())


def results(output: str) -> dict[str, str]:
    """The last word of each guest's test, by the guest's name."""
    return dict(re.findall(r"^(\w+)\| TEST \w+: (\w+)", output, re.MULTILINE))


def test_guests_side_by_side(machine_type: type[Machine]) -> None:
    """ABI, bad arguments, a full store, interrupts, string I/O, the processor, sharing, all at once."""
    modules = [
        tiny("abi"),
        tiny("badargs"),
        tiny("irq"),
        tiny("strings"),
        tiny("cpu"),
        tiny("full", words="memory=16M tmem=4M compress=off"),
        tiny("compress", words="memory=16M tmem=1M"),
        tiny("vector", "seed=1 rounds=3", name="vector1"),
        tiny("vector", "seed=7 rounds=3", name="vector2"),
        tiny("huge"),
        tiny("shared", "write", name="writer", words="memory=16M shared=base:rw shared=answer:ro"),
        tiny("shared", "read", name="reader", words="memory=16M shared=answer:rw shared=base:ro"),
        tiny("shared", name="stranger"),
        tiny("model", "seed=1 calls=1500", words="memory=16M tmem=3M shared=own:rw"),
        tiny("saved", "source", name="source", words="memory=16M shared=signal:rw"),
        tiny("saved", name="target"),
        tiny("manager", words="memory=16M manager shared=signal:rw"),
        tiny("scrub", "byte=17", name="scrub1", words="memory=16M tmem=512K"),
        tiny("scrub", "byte=34", name="scrub2", words="memory=16M tmem=512K"),
    ]
    cmdline = "idle=poweroff pool=base,tmem=4M pool=answer,persistent,tmem=4M"
    cmdline += " pool=signal,persistent,tmem=1M pool=own,tmem=200K"
    with machine_type(modules, cmdline=cmdline, limit=120) as machine:
        output = machine.wait_end()
    names = ("abi", "badargs", "irq", "strings", "cpu", "full", "compress", "vector1", "vector2")
    names += ("huge", "writer", "reader", "stranger", "scrub1", "scrub2")
    names += ("model", "source", "target", "manager")
    assert results(output) == dict.fromkeys(names, "Success")
    assert "guest target: restore refused: record 4: a wrong checksum" in output
    assert re.search(r"guest target: restore refused: record \d+: the end is missing", output)


def test_balloon(machine_type: type[Machine]) -> None:
    """Blocks given and taken back, while a second vCPU uses them; a write to a given one."""
    modules = [
        tiny("balloon", f"rounds={60 if machine_type is Qemu else 9}", words="memory=16M vcpus=2"),
        tiny("balloon", "write", name="write"),
    ]
    with machine_type(modules, limit=60) as machine:
        output = machine.wait_end()
    assert results(output) == {"balloon": "Success"}
    assert "tidepool: guest write: stopped: write to memory that it has given" in output


def test_given_blocks_are_room_for_others(machine_type: type[Machine]) -> None:
    """One guest's puts are refused until another one gives blocks of its RAM."""
    wait = 3_000_000_000 if machine_type is Qemu else 40_000_000
    modules = [
        tiny("donate", "want", name="want", words="memory=8M compress=off"),
        tiny("donate", f"give wait={wait}", name="give", words="memory=16M compress=off"),
    ]
    with machine_type(modules, memory=64, cpus=1, limit=60) as machine:
        output = machine.wait_end()
    assert results(output) == {"want": "Success", "give": "Success"}
    events = ("give| donate: giving", "pages more", "give: stopped")
    places = [output.index(event) for event in events]
    assert places == sorted(places)


# What the guest "unhandled" does by its command line, and why it is stopped.
ENDS = {
    "triple": "triple fault",
    "hltoff": "halted with interrupts off",
    "mmio": "access to no memory",
    "movs": "access to no memory",
    "jump": "access to no memory",
    "device": "access to no memory",
    "stack": "access to no memory",
    "cr3": "exit that is not handled",
    "idt": "exit that is not handled",
    "gdt": "access to no memory",
    "task": "exit that is not handled",
    "gate": "exit that is not handled",
}
# A state that the guest can load and the processor does not enter; Bochs refuses to load it.
# QEMU 7.2 does not know the intercept of task switches: the other task runs, and halts.
SVM_ENDS = {
    "cr0": "state that the processor does not enter",
    "task": "halted with interrupts off",
    "gate": "halted with interrupts off",
}


def test_unhandled_exit_stops_only_that_guest(machine_type: type[Machine]) -> None:
    """What a guest does to itself ends that guest; the neighbour on its CPU does not notice."""
    ends = ENDS | (SVM_ENDS if machine_type is Qemu else {})
    modules = [tiny("unhandled", word, name=word, words="memory=4M") for word in ends]
    modules.append(tiny("spin", "rounds=3", name="healthy"))
    with machine_type(modules, cpus=1, limit=60) as machine:
        output = machine.wait_end()
    stopped = dict(re.findall(r"^tidepool: guest (\w+): stopped: (.*)", output, re.MULTILINE))
    assert not {name: stopped[name] for name, why in ends.items() if why not in stopped[name]}
    assert results(output) == {"healthy": "Success"}
    assert "tidepool: guest healthy: stopped: power-off" in output


def test_multiboot(machine_type: type[Machine]) -> None:
    """Kernels with a Multiboot 1 header, ELF64 and ELF32, a module, and the ports of testdev."""
    spin = GUESTS / "spin.elf"
    modules = [
        tiny("multiboot", "words", name="plain"),
        tiny("multiboot32", f"words module={spin.stat().st_size}", name="module"),
        Module(spin, "module initrd"),
        tiny("multiboot32", "words exit=33", name="testdev", words="memory=16M testdev"),
    ]
    with machine_type(modules, cpus=1, limit=60) as machine:
        output = machine.wait_end()
    assert results(output) == {"plain": "Success", "module": "Success"}
    assert "testdev| written to the debug port" in output
    assert "tidepool: guest testdev: stopped: testdev exit value 33" in output
    assert "Failure" not in output


def test_memory_comes_back(machine_type: type[Machine]) -> None:
    """What guests held is free again when they have ended: the last line names it."""
    modules = [tiny("abi"), tiny("unhandled", "triple", name="triple")]
    with machine_type(modules, limit=60) as machine:
        output = machine.wait_end()
    before = re.search(r"(\d+) MiB left for the store", output)
    after = re.search(r"all guests have stopped; (\d+) MiB free", output)
    assert before and after
    # both guests' 16 MiB are back; the store may keep a block or two
    assert int(after.group(1)) >= int(before.group(1)) + 32 - 4


def test_bad_module_lines(machine_type: type[Machine]) -> None:
    """Each bad line costs its guest, with a sentence naming module and word; the others start."""
    spin = GUESTS / "spin.elf"
    modules = [
        Module(spin, ""),
        Module(spin, "zero kernel memory=0"),
        Module(spin, "text kernel memory=lots"),
        Module(spin, "huge kernel memory=64G"),
        Module(spin, "twice kernel memory=16M"),
        Module(spin, "twice kernel memory=16M"),
        Module(spin, "word kernel colour=blue"),
        Module(spin, "orphan initrd"),
        Module(spin, "range kernel cpus=3-1"),
        Module(spin, "nocpu kernel memory=16M cpus=0,1"),
        Module(BUILD / "tidepool.elf", "noentry kernel memory=32M"),
        Module(BUILD / "guest" / "initrd.img", "nokernel kernel memory=32M"),
        tiny("spin", "rounds=2", name="healthy"),
    ]
    with machine_type(modules, cpus=1, limit=60) as machine:
        output = machine.wait_end()
    lines = [line for line in output.splitlines() if line.startswith("tidepool: ")]
    for name, word in (
        ("zero", "memory=0"),
        ("text", "memory=lots"),
        ("huge", "memory="),
        ("twice", "kernel"),
        ("word", "colour=blue"),
        ("orphan", "initrd"),
        ("range", "cpus=3-1"),
        ("nocpu", "cpus= names a CPU that is not there"),
        ("noentry", "PVH"),
        ("nokernel", "bzImage"),
    ):
        assert any(name in line and word in line for line in lines), f"no sentence about {name}"
    assert results(output) == {"healthy": "Success"}


def refusal(machine: Machine) -> str:
    with machine:
        machine.expect(r"tidepool: cannot go on")
        return machine.output()


def test_too_little_memory() -> None:
    """A machine with hardly any RAM gets a sentence, not a crash."""
    text = refusal(Qemu([tiny("spin")], memory=16, cpus=1, limit=60))
    assert re.search(r"tidepool: .*too little memory", text)


def test_nmis_between_vcpus(machine_type: type[Machine]) -> None:
    """In QEMU also with the vCPUs taking turns on a CPU. In Bochs the guest is alone: with two vCPUs on a
    CPU, NMIs stay blocked there (docs/hardware.md)."""
    for cpus in (1, 2) if machine_type is Qemu else (2,):
        modules = [tiny("nmi", words="memory=16M vcpus=2")]
        with machine_type(modules, cpus=cpus, limit=60) as machine:
            output = machine.wait_end()
        assert results(output) == {"nmi": "Success"}
