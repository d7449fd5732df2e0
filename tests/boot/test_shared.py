# SPDX-License-Identifier: BSD-2-Clause
"""Linux guests on one read-only image: what one of them put serves the others' reads."""

import re
from collections import Counter
from pathlib import Path

from machine import Qemu
from mkiso import Module
from test_cache import FILE_MIB, Boot, boot_cache, make_ext4, passes
from test_monitor import command

FILES = 8
PAGES = FILES * FILE_MIB << 20 >> 12
SECTORS = PAGES * 8


def run_guests(folder: Path, boot: Boot, ram_mib: int) -> str:
    """
    web reads the image, with too little room for it, and ends; only then db gets to it. Returns what
    the console said. The guests compare what they read with the sums, and try what must not work.
    """
    own = folder / "own"
    own.write_bytes(bytes(1 << 20))
    modules = []
    for name, right in (("web", "rw"), ("db", "ro")):
        words = f"memory={ram_mib}M shared=base:{right}"
        modules += boot(name, words, f"tp.test=shared tp.right={right}")
    modules += [Module(make_ext4(folder, FILES), "web,db disk ro"), Module(own, "web disk")]
    cmdline = "idle=halt pool=base,tmem=96M pool=other"
    with Qemu(modules, memory=640, cmdline=cmdline, limit=120) as machine:
        machine.expect(r"db\| ")
        command(machine, "stop db", r"guest db is being stopped")
        machine.expect(r"tidepool: all guests have stopped")
        command(machine, "start db", r"guest db is starting")
        machine.expect(r"tidepool: all guests have stopped")
        return machine.output()


def check_shared(
    folder: Path, boot: Boot = boot_cache, ram_mib: int = 96
) -> tuple[Counter[str], Counter[str]]:
    """The image is read from a disk by web, once; to db web's pages come after web's end. Returns
    web's figures after its first and second pass."""
    output = run_guests(folder, boot, ram_mib)
    failures = re.search(r"tidepool-test: .*FAIL.*|BUG:.*|Oops.*|hung task.*", output)
    assert not failures, failures.group(0)
    for name in ("web", "db"):
        assert f"{name}| tidepool-test: shared PASS" in output
    assert "vdb: not a read-only disk of Tidepool's: its pages cannot be shared" in output
    assert "this guest has no right to an ephemeral pool other" in output
    assert "vda: written to, or changed: its pages are shared no more" in output

    first, second = passes(output, "web")
    assert first["sectors"] >= SECTORS
    assert second["sectors"] < SECTORS // 50 and second["shared_gets"] > PAGES * 9 // 10
    assert second["puts"] == second["shared_puts"] <= PAGES + PAGES // 10

    refused, got, closed = passes(output, "db")
    assert refused["sectors"] >= SECTORS and not refused["gets"], "the right was not asked for"
    assert got["sectors"] < SECTORS // 50, "the disk was read"
    assert got["gets"] == got["shared_gets"] > PAGES * 9 // 10
    assert closed["sectors"] >= SECTORS, "the pool was used behind a write"
    assert closed["gets"] == got["gets"] and not closed["puts"]
    return first, second


def test_shared_svm(tmp_path: Path) -> None:
    """And there is so little room that reclaim puts pages, and meets those that are there."""
    first, second = check_shared(tmp_path)
    assert first["shared_puts"] > PAGES // 10
    assert second["present"] > PAGES // 10, "pages that were there were put again"
