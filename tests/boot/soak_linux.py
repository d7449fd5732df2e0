# SPDX-License-Identifier: BSD-2-Clause
"""The page cache in the store for longer, on VMX, and over kexec. `make soak-linux` runs this."""

import re
import time
from pathlib import Path

import pytest

from machine import Bochs, Qemu
from stress import check_stress
from test_balloon import BALLOON_CMDLINE, BALLOON_WORDS, check_balloon
from test_cache import (
    INITRD_CACHE,
    make_ext4,
    make_ext4_of,
    make_files,
    make_xfs,
    passes,
    run_guest,
    run_rules,
    run_three_passes,
)
from test_faults import tmem_figures, two_disks
from test_linux import VMLINUZ, linux
from test_monitor import command

SECONDS = 300


@pytest.mark.parametrize("fs", ["ext4", "xfs"])
@pytest.mark.parametrize("frontend", ["ftrace", "dm"])
def test_churn_long(fs: str, frontend: str, tmp_path: Path) -> None:
    """As test_cache.test_churn_svm, with both front ends."""
    image = make_ext4(tmp_path) if fs == "ext4" else make_xfs(tmp_path)
    cmdline = f"tp.test=churn tp.fs={fs} tp.frontend={frontend} tp.seconds={SECONDS}"
    output = run_guest(Qemu, image, cmdline, "vcpus=2", limit=3 * SECONDS)
    assert re.search(r"web\| churn: OK", output)
    (figures,) = passes(output)
    assert figures["gets"] > 1000


def test_churn_refused(tmp_path: Path) -> None:
    """Every third batch of puts is refused, and the store has little room besides."""
    cmdline = f"tp.test=churn tp.driver=tidepool-test tp.refuse=3 tp.seconds={SECONDS}"
    output = run_guest(Qemu, make_ext4(tmp_path), cmdline, "vcpus=2 tmem=16M", limit=3 * SECONDS)
    assert re.search(r"web\| churn: OK", output)
    (figures,) = passes(output)
    assert figures["refused"] > 100


def test_churn_reloaded(tmp_path: Path) -> None:
    """The driver is unloaded and loaded again while files change."""
    cmdline = f"tp.test=churn tp.reload=1 tp.seconds={SECONDS // 3}"
    output = run_guest(Qemu, make_ext4(tmp_path), cmdline, "vcpus=2", limit=2 * SECONDS)
    assert re.search(r"web\| churn: OK", output)
    reloads = re.search(r"tidepool-reloads: (\d+)", output)
    assert reloads and int(reloads.group(1)) > 5


def test_rules_long(tmp_path: Path) -> None:
    """Besides, that a page that enters has no entry, with the other two rules off that cover for it."""
    run_rules(tmp_path, "tp.soak=1")


def test_three_passes_vmx(tmp_path: Path) -> None:
    run_three_passes(Bochs, tmp_path, "ftrace")


def test_balloon_vmx() -> None:
    check_balloon(linux("web", BALLOON_WORDS, BALLOON_CMDLINE), Bochs)


def test_memory(tmp_path: Path) -> None:
    """Memory is given and taken back, is compacted, and goes off line, while files change in it."""
    # Blocks of 128 MiB; the kernel can empty those in which it has nothing of its own.
    cmdline = "movablecore=256M tp.test=memory"
    guest = two_disks(tmp_path, make_ext4(tmp_path), "memory=512M", cmdline, vcpus=4)
    with Qemu(guest, memory=1024, cmdline="idle=halt", limit=300) as machine:
        machine.expect(r"web\| churn: process|tidepool: vda: pages of its files are kept")
        while "tidepool-balloon:" not in machine.output():
            command(machine, "balloon web 320M", r"guest web is (asked|not)")
            time.sleep(4)
            command(machine, "balloon web 512M", r"guest web is (asked|not)")
            time.sleep(4)
        machine.expect(r"web\| tidepool-test: memory (PASS|FAIL).*\n")
        output = machine.output()
    assert "tidepool-test: memory PASS" in output
    given = re.search(r"tidepool-balloon: .* gives=(\d+) takes=(\d+) ", output)
    assert given and int(given.group(1)) > 20 and int(given.group(2)) > 20
    blocks = re.search(r"tidepool-memory: blocks=(\d+)\s", output)
    assert blocks and int(blocks.group(1)) > 0, "no memory went off line"
    (figures,) = passes(output)
    assert figures["puts"] > 5000 and figures["moved"] > 100


def test_stress(tmp_path: Path) -> None:
    check_stress(tmp_path)


def test_kexec(tmp_path: Path) -> None:
    """A kernel started by kexec finds nothing of its predecessor's pools, and nobody is charged: the
    driver drops what is left, and where there is no driver any more only swap in use could be."""
    tree = make_files(tmp_path)
    (tree / "vmlinuz").write_bytes(VMLINUZ.read_bytes())
    (tree / "initrd").write_bytes(INITRD_CACHE.read_bytes())
    cmdline = "tp.test=kexec tp.mib=80 tp.passes=1"
    guest = two_disks(tmp_path, make_ext4_of(tree, tmp_path), "memory=160M", cmdline)
    with Qemu(guest, memory=768, cmdline="idle=halt", limit=200) as machine:
        machine.expect(r"tidepool-stats: guest .*when=used")
        before = tmem_figures(machine)
        machine.expect(r"tidepool-stats: guest .*hypervisor .*held=0 when=loaded")
        machine.expect(r"web\| tidepool-kexec: without the driver")
        after = tmem_figures(machine)
        machine.expect(r"web\| tidepool-test: kexec (PASS|FAIL).*\n")
        output = machine.output()
    assert before["held"] > 1000 and after["held"] == 0
    assert output.count("tidepool: running on Tidepool") == 2
    assert "tidepool-test: kexec PASS" in output
