# SPDX-License-Identifier: BSD-2-Clause
"""NMIs and machine checks, sent by QEMU's monitor; a stack that is none, by its debugger stub."""

from machine import Qemu
from test_monitor import command, wait_stopped
from test_tiny import tiny

SPIN = tiny("spin", "rounds=30")  # seconds: an NMI has to come in time on a busy machine

# Uncorrected, the processor's state lost, address valid; in the words of QEMU's monitor.
MACHINE_CHECK = "mce 0 1 0xb600000000000000 0x5 0x1234000 0"


def test_nmi_spurious_vector_and_machine_check() -> None:
    """An NMI costs a line and nothing else, an interrupt that nobody asked for is counted; a machine check
    in the hypervisor ends it, explained."""
    with Qemu([SPIN], cmdline="", cpus=1, limit=60) as machine:
        machine.expect(r"spin\| spin: 1")
        machine.tell_qemu("nmi")
        machine.expect(r"tidepool: CPU 0: NMI 1: at rip \w+, with a guest")
        machine.expect(r"spin\| TEST spin: Success")
        machine.expect(r"all guests have stopped")
        machine.raise_vector(0x99)
        machine.tell_qemu("nmi")
        machine.expect(r"tidepool: CPU 0: NMI 2: at rip \w+, idle; \d+ interrupts, 1 unexpected ones")
        machine.tell_qemu(MACHINE_CHECK)
        machine.expect(r"tidepool: PANIC: machine check")
        machine.expect(r"machine check: bank 1 status b6\w+ address 1234000")
        machine.expect(r"tidepool: halted")


# The processor's state whole, and what was interrupted can go on.
BAD_MEMORY = "mce 0 1 0xb400000000000000 0x5 0x8001000 0"


def test_bad_memory_of_a_guest_ends_that_guest() -> None:
    """A machine check that finds its CPU in the hypervisor, about an address in the middle of a guest
    that has most of the host's memory. That block is lost, all else of the guest comes back."""
    modules = [
        tiny("echo", name="big", words="memory=160M cpus=0"),
        tiny("spin", "rounds=1000000", words="memory=16M cpus=1"),
    ]
    with Qemu(modules, cmdline="idle=halt", cpus=2, memory=256, limit=60) as machine:
        machine.expect(r"big\| echo: ready, life 1")
        command(machine, "pause big", r"guest big is paused")
        total = int(command(machine, "memory", r"total +(\d+) KiB").group(1))
        machine.tell_qemu(BAD_MEMORY)
        machine.expect(r"CPU 0: machine check: bank 1 status b4\w+ address 8001000")
        machine.expect(r"guest big: stopped: machine check: its memory is bad at 8001000\s")
        wait_stopped(machine, "big")
        assert command(machine, "memory", r"total +(\d+) KiB").group(1) == str(total - 2048)
        command(machine, "start big", r"guest big is starting")
        machine.expect(r"big\| echo: ready, life 1")
        machine.expect(r"spin\| spin: \d+\s")


def test_double_fault_has_a_stack_of_its_own() -> None:
    """An interrupt that finds no stack, nor does the page fault that says so: explained all the same."""
    with Qemu([SPIN], cmdline="", cpus=1, limit=60) as machine:
        machine.expect(r"all guests have stopped")
        # one of the pages that are never mapped, in the CPU's own region
        machine.set_rsp(lambda rsp: (rsp & ~0xFFFF) + 0x1800)
        machine.expect(r"tidepool: PANIC: double fault")
        machine.expect(r"tidepool: halted")


def test_nmi_panic() -> None:
    with Qemu([SPIN], cmdline="nmi=panic", cpus=1, limit=60) as machine:
        machine.expect(r"spin\| spin: 1")
        machine.tell_qemu("nmi")
        machine.expect(r"tidepool: PANIC: non-maskable interrupt")
        machine.expect(r"tidepool: halted")
