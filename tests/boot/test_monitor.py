# SPDX-License-Identifier: BSD-2-Clause
"""The monitor on the serial console, and guests that come and go."""

import re

from machine import Machine, Qemu
from test_tiny import tiny

CTRL_T = "\x14"
RESTARTS = {"svm": 200, "vmx": 5}  # one takes Bochs some seconds


def command(machine: Machine, line: str, answer: str) -> re.Match[str]:
    """Type a command and wait for its answer; the echo comes first."""
    machine.console.send(line + "\r")
    machine.expect(rf"tidepool> {re.escape(line)}\s")
    return machine.expect(answer)


def focus(machine: Machine, expected: str) -> None:
    """Lead what is typed to the next console, and check which that is."""
    machine.console.send(CTRL_T)
    machine.expect(rf"tidepool: console: {expected}; Ctrl-T leads on")


def wait_stopped(machine: Machine, guest: str) -> None:
    """Its vCPUs have left; taking its memory back takes some milliseconds more."""
    for _ in range(100):
        if command(machine, "guests", rf"{guest} +(\w+) ").group(1) == "stopped":
            return
    raise AssertionError(f"guest {guest} does not get stopped")


def free_kib(machine: Machine) -> int:
    return int(command(machine, "memory", r"free +(\d+) KiB").group(1))


def test_monitor(machine_type: type[Machine]) -> None:
    """Commands, the way to a guest's console, and the life cycle, on a CPU that a guest keeps busy."""
    modules = [
        tiny("spin", "rounds=1000000 open", name="spin"),
        tiny("echo", words="memory=8M on_crash=restart cpus=0"),
    ]
    with machine_type(modules, cpus=1, cmdline="idle=halt", limit=60) as machine:
        machine.expect(r"echo\| echo: ready, life 1")
        machine.expect(r"spin\| spin: 2")

        # pasted after a silence: more than the port's FIFO keeps until it is polled
        command(machine, f"start {'x' * 60}", r'start: "x{60}": no such guest')
        command(machine, "help", r"exits +GUEST +\S.*")
        command(machine, "guests", r"spin +running +16 +1 +1 ")
        command(machine, "tmem", r"echo +1 +0 +0 +0 +0 +0 +1 ")
        command(machine, "cpus", r"0 +\d+% +\d+ .*(spin/0 50%.*echo/0 50% pinned|echo/0 50% pinned.*spin/0)")
        command(machine, "exits echo", r"io +\d\d+")
        command(machine, "frobnicate", r'"frobnicate": no such command')
        command(machine, "start", r"start: expected a guest's name")
        command(machine, "start nobody", r'start: "nobody": no such guest')
        command(machine, "help me", r'help: "me": expected nothing more')
        command(machine, "start spin", r"guest spin is not stopped")
        command(machine, "resume spin", r"guest spin is not paused")

        # paused: not a line more, whatever the time
        command(machine, "pause spin", r"guest spin is paused")
        command(machine, "guests", r"spin +paused")
        before = len(re.findall(r"spin\| spin:", machine.output()))
        for _ in range(5):
            command(machine, "memory", r"hypervisor +\d+ KiB")
        assert len(re.findall(r"spin\| spin:", machine.output())) == before
        command(machine, "resume spin", r"guest spin runs again")
        machine.expect(r"spin\| spin: \d+")

        # what is typed goes to the guest, byte by byte
        focus(machine, "guest spin")
        focus(machine, "guest echo")
        machine.console.send("how are you\r")
        machine.expect(r'echo\| echo: "how are you"')
        machine.console.send("put\r")
        machine.expect(r"echo\| echo: put: 0")
        focus(machine, "the monitor")

        # frozen: nothing new comes into the store
        command(machine, "freeze echo", r"guest echo is frozen")
        focus(machine, "guest spin")
        focus(machine, "guest echo")
        machine.console.send("put\r")
        machine.expect(r"echo\| echo: put: -1001")
        focus(machine, "the monitor")
        command(machine, "thaw echo", r"guest echo is not frozen")
        command(machine, "tmem", r"echo +2 +0 +0 +0 +1 +0 +2 ")
        focus(machine, "guest spin")
        focus(machine, "guest echo")
        machine.console.send("put\r")
        machine.expect(r"echo\| echo: put: 0")
        machine.console.send("reset\r")  # on_reset=restart is the default
        machine.expect(r"tidepool: guest echo: stopped: reset")
        machine.expect(r"echo\| echo: ready, life 1")
        machine.console.send("crash\r")
        machine.expect(r"tidepool: guest echo: stopped: triple fault")
        machine.expect(r"echo\| echo: ready, life 1")
        focus(machine, "the monitor")

        command(machine, "stop spin", r"guest spin is being stopped")
        machine.expect(r"tidepool: guest spin: stopped: stopped by the operator")
        command(machine, "stop spin", r"guest spin is not running")
        wait_stopped(machine, "spin")
        command(machine, "start spin", r"guest spin is starting")
        machine.expect(r"spin\| spin: 1\r")
        command(machine, "stop spin", r"guest spin is being stopped")
        machine.expect(r"tidepool: guest spin: stopped: stopped by the operator")

        # nothing runs: the monitor is there all the same
        command(machine, "stop echo", r"guest echo is being stopped")
        machine.expect(r"tidepool: all guests have stopped")
        command(machine, "guests", r"echo +stopped +8 .* 3  stopped by the operator")
        command(machine, "log", r"tidepool: starting")
        machine.expect(r"tidepool> log\s")


def test_nodes() -> None:
    """A guest that is pinned to a CPU of a node has its RAM and its pages in the store there. Bochs
    has no NUMA nodes."""
    modules = [
        tiny("echo", name="first", words="memory=8M cpus=0"),
        tiny("echo", name="second", words="memory=32M cpus=1"),
    ]
    with Qemu(modules, nodes=2, cpus=2, memory=512, cmdline="idle=halt", limit=60) as machine:
        machine.expect(r"tidepool: node 1: 25\d MiB, 1 CPU\r")
        for _ in modules:
            machine.expect(r"\| echo: ready")
        command(machine, "memory", r"node +total +free +guests +store KiB\s")
        first, second = (
            [int(n) for n in machine.expect(rf"\n{node}((?: +\d+){{4}})\r").group(1).split()]
            for node in (0, 1)
        )
        total = int(command(machine, "memory", r"total +(\d+) KiB").group(1))
        command(machine, "stop second", r"guest second is being stopped")
        wait_stopped(machine, "second")
        command(machine, "memory", rf"\n1 +{second[0]} +\d+ +0 +\d+\r")
    assert first[0] + second[0] == total and 250 <= second[0] // 1024 <= 256
    assert first[2:] == [8 * 1024, 4 * 1024] and second[2:] == [32 * 1024, 4 * 1024]


def test_start_takes_memory_from_the_store() -> None:
    """The store has all memory; a guest that is started gets its own, and no page changes.
    Bochs takes minutes to fill the store, and nothing here depends on the processor."""
    modules = [
        tiny("room", "give=2 blocks=14", words="memory=8M compress=off"),
        tiny("cpu", name="late", words="memory=32M"),
    ]
    with Qemu(modules, cpus=2, memory=96, cmdline="idle=halt", limit=60) as machine:
        machine.expect(r"late\| TEST cpu: Success\s")
        wait_stopped(machine, "late")
        command(machine, "stop room", r"guest room is being stopped")
        wait_stopped(machine, "room")
        command(machine, "start room", r"guest room is starting")
        machine.expect(r"room\| room: 2 blocks are back\s")
        machine.expect(r"room\| room: full with \d+ pages\s")
        assert free_kib(machine) < 16 * 1024
        command(machine, "start late", r"guest late is starting")
        machine.expect(r"room\| TEST room: Success\s")
        machine.expect(r"all guests have stopped")
        output = machine.output()
    assert output.count("late| TEST cpu: Success") == 2
    assert "not started" not in output


def test_restarts_leave_nothing_behind(machine_type: type[Machine]) -> None:
    """A guest that was restarted 200 times has left as much memory free as the first time."""
    restarts = RESTARTS[machine_type.vendor]
    modules = [tiny("echo", words="memory=8M")]
    with machine_type(modules, cpus=2, cmdline="idle=halt", limit=120) as machine:
        machine.expect(r"echo\| echo: ready, life 1")
        free = {}
        for restart in range(1, restarts + 1):
            command(machine, "reset echo", r"guest echo is being reset")
            machine.expect(r"echo\| echo: ready, life 1 of")
            if restart in (1, restarts):
                free[restart] = free_kib(machine)
        assert free[restarts] == free[1]
        command(machine, "guests", rf"echo +running .* {restarts + 1}  ")
