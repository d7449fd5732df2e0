# SPDX-License-Identifier: BSD-2-Clause
"""Machines to boot Tidepool on: QEMU, which emulates AMD's SVM, and Bochs, which emulates VMX.

Both give a pexpect object on the machine's serial console. Use as context managers: the emulator
never outlives the block, and no run is longer than its time limit.
"""

import os
import pty
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import pexpect
import pexpect.fdpexpect

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
TAIL_LINES = 60

sys.path.insert(0, str(ROOT / "tools"))
from mkiso import Module, build_iso  # noqa: E402


class Machine:
    """What both emulators have in common. Subclasses start one in _start()."""

    vendor = ""  # "svm" or "vmx"
    slowness = 1.0  # how much longer than QEMU this one takes

    def __init__(
        self,
        modules: list[Module],
        *,
        cmdline: str = "idle=poweroff",
        memory: int = 1024,
        cpus: int = 2,
        model: str | None = None,
        limit: float = 120,
        kernel: Path = BUILD / "tidepool.elf",
    ) -> None:
        self.memory, self.cpus, self.model = memory, cpus, model
        self.deadline = time.monotonic() + limit * self.slowness
        self._folder = tempfile.TemporaryDirectory(prefix="tidepool-")
        self.folder = Path(self._folder.name)
        self.iso = self.folder / "disk.iso"
        build_iso(self.iso, kernel, cmdline, modules)
        self._log = open(self.folder / "console.txt", "w+", encoding="utf-8", errors="replace")
        self.console: pexpect.spawnbase.SpawnBase

    def _start(self) -> None:
        raise NotImplementedError

    def _stop(self) -> None:
        raise NotImplementedError

    def diagnosis(self) -> str:
        """What the emulator itself has to say about a failure."""
        return ""

    def __enter__(self) -> "Machine":
        self._start()
        self.console.logfile_read = self._log
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        if kind is not None:
            tail = self.output().splitlines()[-TAIL_LINES:]
            print(f"---- the last {TAIL_LINES} lines of the console ({self.vendor}) ----")
            print("\n".join(tail))
            print(self.diagnosis())
        self._log.close()
        self._folder.cleanup()

    def output(self) -> str:
        """All that the console has said up to the last expect()."""
        self._log.flush()
        return (self.folder / "console.txt").read_text(encoding="utf-8", errors="replace")

    def _ended(self) -> bool:
        """Whether the emulator has ended, for engines whose console does not tell."""
        return False

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait for a line; fail when it does not come within the machine's time limit."""
        while True:
            ended = self._ended()  # asked before reading: its last words still count
            found = self.console.expect([pattern, pexpect.TIMEOUT, pexpect.EOF], timeout=1)
            if found == 0:
                return self.console.match
            if found == 2 or ended:
                raise AssertionError(f"the machine ended before {pattern!r} was seen")
            if time.monotonic() > self.deadline:
                raise AssertionError(f"no {pattern!r} on the console within the time limit")

    def wait_end(self) -> str:
        """Wait until the machine turns itself off; returns all of the console's text."""
        self.expect(r"tidepool: all guests have stopped")
        while not self._ended():
            if self.console.expect([pexpect.TIMEOUT, pexpect.EOF], timeout=1) == 1:
                break
            if time.monotonic() > self.deadline:
                raise AssertionError("the machine did not turn itself off")
        return self.output()


# Places of registers in the debugger stub's answer, in words of 64 bits.
GDB_RSI, GDB_RDI, GDB_RSP, GDB_RIP = 4, 5, 7, 16

LAPIC_ICR, LAPIC_SELF = 0x300, 0x44000

OVMF = "/usr/share/OVMF/OVMF_CODE.fd"


class Qemu(Machine):
    """QEMU's TCG: AMD SVM with nested paging."""

    vendor = "svm"
    console_options = ["-serial", "stdio"]

    def __init__(
        self,
        modules: list[Module],
        *,
        icount: bool = False,
        firmware: str = "bios",
        nodes: int = 1,
        **options,
    ) -> None:
        super().__init__(modules, **options)
        self.icount = icount
        self.nodes = nodes  # NUMA nodes, each with one CPU and the same share of the memory
        self.firmware = firmware

    def _start(self) -> None:
        accel = "tcg" if self.icount or self.cpus == 1 else "tcg,thread=multi"
        command = ["-accel", accel, "-cpu", self.model or "EPYC,+svm,+npt"]
        command += ["-smp", str(self.cpus), "-m", str(self.memory)]
        command += ["-display", "none", "-no-reboot", *self.console_options]
        command += ["-monitor", f"unix:{self.folder}/monitor,server=on,wait=off"]
        command += ["-gdb", f"unix:{self.folder}/gdb,server=on,wait=off"]
        command += ["-cdrom", str(self.iso)]
        for node in range(self.nodes if self.nodes > 1 else 0):
            size = self.memory // self.nodes
            command += ["-object", f"memory-backend-ram,id=ram{node},size={size}M"]
            command += ["-numa", f"node,nodeid={node},cpus={node},memdev=ram{node}"]
        if self.icount:
            command += ["-icount", "shift=0,sleep=off"]
        if self.firmware == "uefi":
            command += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}"]
        self.console = pexpect.spawn(
            "qemu-system-x86_64", command, encoding="utf-8", codec_errors="replace"
        )

    def _stop(self) -> None:
        self.console.close(force=True)

    def tell_qemu(self, command: str) -> None:
        """Have QEMU do something to the machine: "nmi", for example."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.folder / "monitor"))
            answer = b""
            for line in (None, command):
                if line:
                    monitor.sendall(line.encode() + b"\n")
                while not answer.endswith(b"(qemu) "):
                    part = monitor.recv(4096)
                    assert part, "QEMU has ended"
                    answer += part
                answer = b""

    @contextmanager
    def _stopped(self) -> Iterator[Callable[[str], str]]:
        """Stop the machine by QEMU's debugger stub. Gives a function that asks the stub."""
        with socket.socket(socket.AF_UNIX) as stub:
            stub.settimeout(20)
            stub.connect(str(self.folder / "gdb"))  # which stops the machine

            def answer() -> str:
                packet = b""
                while not re.search(rb"\$[^#]*#..", packet):
                    part = stub.recv(4096)
                    assert part, "QEMU has ended"
                    packet += part
                stub.sendall(b"+")
                return packet[packet.index(b"$") + 1 : packet.rindex(b"#")].decode()

            def ask(packet: str) -> str:
                stub.sendall(f"${packet}#{sum(packet.encode()) % 256:02x}".encode())
                return answer()

            assert answer().startswith("T02")  # that it has stopped
            yield ask
            assert ask("D") == "OK"  # and it goes on

    def set_rsp(self, change: Callable[[int], int]) -> None:
        """Give the first CPU another stack pointer: change(what it is)."""
        with self._stopped() as ask:
            registers = bytearray.fromhex(ask("g"))
            rsp = struct.unpack_from("<Q", registers, 8 * GDB_RSP)[0]
            struct.pack_into("<Q", registers, 8 * GDB_RSP, change(rsp))
            assert ask("G" + registers.hex()) == "OK"

    def raise_vector(self, vector: int) -> None:
        """Have the first CPU send itself an interrupt, by one store of the hypervisor's, and go on."""

        def find(command: list[str], pattern: str) -> int:
            command += [str(BUILD / "tidepool.elf")]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            return int(re.search(pattern, text, re.MULTILINE).group(1), 16)

        store = find(["objdump", "-d"], r"^(\w+):.*\tmov +%esi,\(%rdi\)$")
        registers_at = find(["nm"], r"^(\w+) b registers$")  # the local APIC's
        with self._stopped() as ask:
            lapic = int.from_bytes(bytes.fromhex(ask(f"m{registers_at:x},8")), "little")
            before = ask("g")
            registers = bytearray.fromhex(before)
            operands = [(GDB_RSI, LAPIC_SELF | vector), (GDB_RDI, lapic + LAPIC_ICR)]
            for register, content in [*operands, (GDB_RIP, store)]:
                struct.pack_into("<Q", registers, 8 * register, content)
            assert ask("G" + registers.hex()) == "OK"
            assert ask("s").startswith("T05")
            assert ask("G" + before) == "OK"


BOCHS_CONFIG = """\
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1
cpu: model={model}, count={cpus}, ips=200000000, reset_on_triple_fault=0
memory: guest={memory}, host={memory}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
display_library: rfb, options="timeout=0"
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path="{iso}", status=inserted
com1: enabled=1, mode=term, dev={tty}
log: {log}
boot: cdrom
panic: action=fatal
"""


class Bochs(Machine):
    """Bochs: Intel VMX with EPT (and SVM on AMD models)."""

    vendor = "vmx"
    slowness = 6.0

    def _start(self) -> None:
        master, slave = pty.openpty()
        tty.setraw(slave)
        self.log_path = self.folder / "bochs.log"
        config = self.folder / "bochsrc"
        config.write_text(
            BOCHS_CONFIG.format(
                model=self.model or "corei7_skylake_x",
                cpus=self.cpus,
                memory=self.memory,
                iso=self.iso,
                tty=os.ttyname(slave),
                log=self.log_path,
            )
        )
        go = self.folder / "go"
        go.write_text("c\n")  # Debian's Bochs starts in its debugger
        self.process = subprocess.Popen(
            ["bochs", "-q", "-f", str(config), "-rc", str(go)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.slave = slave  # kept: a console that nobody has open yet would read as ended
        self.console = pexpect.fdpexpect.fdspawn(master, encoding="utf-8", codec_errors="replace")

    def _stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.console.close()
        os.close(self.slave)

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def diagnosis(self) -> str:
        if not self.log_path.exists():
            return ""
        lines = self.log_path.read_text(errors="replace").splitlines()
        telling = [line for line in lines if re.search(r"VMX|VMFAIL|SVM|panic|fault", line)]
        return "---- bochs.log ----\n" + "\n".join(telling[-20:])


# For the guest "share": when to count its turns, in ticks of the TSC, which is 1 GHz in QEMU -icount
# and 200 MHz in Bochs: 20 rounds of one slice and three, or 100.
SHARE_WINDOW = {"svm": "start=100000000 length=400000000", "vmx": "start=300000000 length=400000000"}

MACHINES: dict[str, type[Machine]] = {"svm": Qemu, "vmx": Bochs}
