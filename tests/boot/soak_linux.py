# SPDX-License-Identifier: BSD-2-Clause
"""The page cache in the store for longer, and on VMX. `make soak-linux` runs this."""

import re
from pathlib import Path

import pytest

from machine import Bochs, Qemu
from test_cache import make_ext4, make_xfs, passes, run_guest, run_three_passes

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


def test_three_passes_vmx(tmp_path: Path) -> None:
    run_three_passes(Bochs, tmp_path, "ftrace")
