# SPDX-License-Identifier: BSD-2-Clause
"""The driver's Debian package: what is in it, that DKMS builds it, and its command tmemctl."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from machine import BUILD, ROOT

GUEST = BUILD / "guest"
PACKAGE = ROOT / "guest" / "linux-pv" / "package"


def run(*command: object, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Run a command, its output as text; fail with what it said when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        **options,
    )
    assert done.returncode == 0 or not check, done.stdout
    return done


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, unpacked; its own scripts are beside it in DEBIAN."""
    run("make", "-s", "-C", ROOT, "deb")
    (deb,) = BUILD.glob("tidepool-guest_*_amd64.deb")
    folder = tmp_path_factory.mktemp("root")
    run("dpkg-deb", "--raw-extract", deb, folder)
    return folder


def test_contents(root: Path) -> None:
    """Every source of the driver is in it, nothing is left to fill in, scripts are sound."""
    (source,) = (root / "usr/src").iterdir()
    for file in (ROOT / "guest" / "linux-pv").glob("*.[ch]"):
        assert (source / file.name).read_text() == file.read_text()
    for file in root.rglob("*"):
        if file.is_file() and file.suffix != ".gz":
            assert "@VERSION@" not in file.read_text(), file
    version = source.name.removeprefix("tidepool-")
    assert f"Version: {version}\n" in (root / "DEBIAN/control").read_text()
    for name in ("DEBIAN/postinst", "DEBIAN/prerm", "usr/sbin/tmemctl"):
        assert os.access(root / name, os.X_OK)
        run("sh", "-n", root / name)
    manual = run("man", "-l", "--warnings", root / "usr/share/man/man8/tmemctl.8.gz").stdout
    assert "warning" not in manual
    for command in ("status", "attach", "detach", "counters", "start", "stop"):
        assert re.search(rf"^ +{command}\b", manual, re.MULTILINE)


def test_unit(root: Path, tmp_path: Path) -> None:
    """systemd understands the unit; the only thing changed is where its command is."""
    unit = tmp_path / "tidepool.service"
    text = (root / "lib/systemd/system/tidepool.service").read_text()
    unit.write_text(text.replace("/usr/sbin/tmemctl", f"{root}/usr/sbin/tmemctl"))
    said = run("systemd-analyze", "verify", "--man=no", unit).stdout
    assert "tidepool" not in said


def test_dkms(root: Path, tmp_path: Path) -> None:
    """DKMS builds and installs the modules for Debian's kernel, from what is in the package."""
    release = (GUEST / "kernel" / "version").read_text().strip()
    (source,) = (root / "usr/src").iterdir()
    name, version = source.name.split("-")
    tree, modules = tmp_path / "dkms", tmp_path / "modules"
    tree.mkdir()
    (modules / release).mkdir(parents=True)
    run(
        *("dkms", "install", "-m", name, "-v", version, "-k", release),
        *("--kernelsourcedir", GUEST / "kernel" / "headers", "--sourcetree", root / "usr/src"),
        *("--dkmstree", tree, "--installtree", modules, "--no-depmod", "--force"),
    )
    for built in ("tidepool", "tidepool-dm"):
        (module,) = modules.rglob(f"{built}.ko*")
        assert f"vermagic:       {release} " in run("/sbin/modinfo", module).stdout


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """What tmemctl reads of a guest with swap, one disk attached and a balloon."""
    folders = {
        "block/tidepool_swap0": {"size": 204800},
        "block/tidepool_swap0/pool": {"puts": 1000, "gets": 500, "refused": 3, "held": 2560},
        "block/vda": {},
        "block/loop0": {},
        "kernel/tidepool": {"attach": "", "detach": "", "disks": "vda"},
        "kernel/tidepool/cache": {"puts": 70, "gets": 60, "refused": 0},
        "bus/platform/devices/TDPL0001:00/balloon": {
            "given_kib": 65536,
            "collected_kib": 0,
            "target_kib": 196608,
        },
        "module/tidepool": {},
    }
    for folder, files in folders.items():
        (tmp_path / folder).mkdir(parents=True)
        for name, value in files.items():
            (tmp_path / folder / name).write_text(f"{value}\n")
    return tmp_path


def tmemctl(root: Path, sysfs: Path, *words: str, **more: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "TMEMCTL_SYS": str(sysfs)} | {k: str(v) for k, v in more.items()}
    return run("sh", root / "usr/sbin/tmemctl", *words, check=False, env=environment)


def test_tmemctl(root: Path, sysfs: Path, tmp_path: Path) -> None:
    """What it shows of a guest, what it writes, and what it says to mistakes."""
    status = tmemctl(root, sysfs, "status")
    assert status.returncode == 0
    assert status.stdout.splitlines() == [
        "driver:  loaded",
        "swap:    /dev/tidepool_swap0, 100 MiB, 10 MiB in the store, 3 pages refused",
        "cache:   vda",
        "balloon: 64 MiB given, 0 MiB collected; asked to keep 192 MiB",
    ]
    for command in ("attach", "detach"):
        assert tmemctl(root, sysfs, command, "vdb").returncode == 0
        assert (sysfs / "kernel/tidepool" / command).read_text() == "/dev/vdb\n"
    assert tmemctl(root, sysfs, "attach", "vdb", "pool=base").returncode == 0
    assert (sysfs / "kernel/tidepool/attach").read_text() == "/dev/vdb pool=base\n"
    settings = tmp_path / "settings"
    settings.write_text('SWAP_PRIORITY=\nDISKS="vda vdc,pool=base"\n')
    assert tmemctl(root, sysfs, "start", TMEMCTL_SETTINGS=settings).returncode == 0
    assert (sysfs / "kernel/tidepool/attach").read_text() == "/dev/vdc pool=base\n"
    (sysfs / "kernel/tidepool/disks").write_text("vda\nvdb pool=base ro\n")
    assert "cache:   vda vdb (pool base, ro)\n" in tmemctl(root, sysfs, "status").stdout
    for words, answer in (
        (("attach", "vdb", "pool="), "expected at most pool=NAME"),
        (("detach", "vdb", "pool=base"), "expected at most pool=NAME"),
        (("attach",), "attach: which device?"),
        (("counters", "x"), "expected numbers"),
        (("counters", "0"), "expected a second at least"),
        (("frobnicate",), "frobnicate: no such command"),
    ):
        wrong = tmemctl(root, sysfs, *words)
        assert wrong.returncode == 1 and answer in wrong.stdout

    absent = tmemctl(root, tmp_path / "nowhere", "status")
    assert absent.returncode == 3
    assert "this machine does not run on Tidepool" in absent.stdout
    assert tmemctl(root, tmp_path / "nowhere", "attach", "vda").returncode == 1


def test_tmemctl_counters(root: Path, sysfs: Path) -> None:
    """Differences of what only grows, and the rest as it is; a figure that is not there: -."""
    (sysfs / "kernel/tidepool/cache/refused").unlink()
    command = ["sh", root / "usr/sbin/tmemctl", "counters", "1", "2"]
    environment = {**os.environ, "TMEMCTL_SYS": str(sysfs)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        (sysfs / "block/tidepool_swap0/pool/puts").write_text("1010\n")
        started = time.monotonic()
        lines += process.stdout.readlines()
    assert time.monotonic() - started < 30
    assert [line.split() for line in lines[2:]] == [
        ["0", "0", "0", "2560", "0", "0", "-", "65536"],
        ["10", "0", "0", "2560", "0", "0", "-", "65536"],
    ]
    assert process.returncode == 0


def test_completion(root: Path, sysfs: Path) -> None:
    """Commands, disks that can be attached, and those that can be detached."""
    completion = root / "usr/share/bash-completion/completions/tmemctl"

    def complete(*words: str) -> list[str]:
        script = (
            f'. "{completion}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tmemctl;'
            ' printf "%s\\n" "${COMPREPLY[@]}"'
        )
        environment = {**os.environ, "TMEMCTL_SYS": str(sysfs)}
        done = run("bash", "-c", script, "bash", *words, env=environment)
        return done.stdout.split()

    assert complete("tmemctl", "st") == ["status", "start", "stop"]
    assert complete("tmemctl", "attach", "") == ["/dev/vda"]
    assert complete("tmemctl", "detach", "/dev/v") == ["/dev/vda"]
    assert complete("tmemctl", "counters", "") == []
    assert complete("tmemctl", "attach", "/dev/vda", "p") == ["pool="]
    (sysfs / "kernel/tidepool/disks").write_text("vdb pool=base rw\n")
    assert complete("tmemctl", "detach", "") == ["/dev/vdb"]
