#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Run test suites and close with one line, "N passed, N failed".

    tools/run_tests.py SUITE... [pytest's options]     SUITE: lint | unit | threads | fuzz | boot

lint: tools/lint.sh, counted as one test.
fuzz: ten seconds of the page store's fuzz target, counted as one test.
unit: every program in build/unit (cmocka), counted test by test; the reference model's also without
      sanitizers, at length.
threads: those of them whose name says that they have threads, also under ThreadSanitizer. They run
      before all else: one that has a lock and no core keeps the others waiting, 20 times as long.
boot: pytest over tests/boot, by as many workers as there are cores to keep busy. The other suites run
      beside it in order, in place of the last worker until they have ended.
"""

import fcntl
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parents[1]
UNIT = ROOT / "build" / "unit"
HOST_LOCK = ROOT / "build" / "host-tests.lock"  # held while they run; see tests/boot/conftest.py
UNIT_LIMIT = 600  # seconds for one program
WORKERS = 2  # emulators at a time: Bochs keeps one core busy, QEMU hardly more


def run_programs(threads: bool) -> tuple[int, int]:
    """Run the host's unit tests, those with threads or the others; returns (passed, failed)."""
    passed = failed = 0
    programs = sorted(path.stem for path in (ROOT / "tests" / "unit").glob("test_*.c"))
    programs += ["tsan_tmem_threads", "long_tmem_model"]
    for name in programs:
        if ("threads" in name) != threads:
            continue
        start = time.monotonic()
        program = UNIT / name
        if not program.exists():
            print(f"FAIL {name}: was not built; is it in tests/unit/units.mk?")
            failed += 1
            continue
        try:
            done = subprocess.run(
                [program], capture_output=True, text=True, errors="replace", timeout=UNIT_LIMIT
            )
        except subprocess.TimeoutExpired:
            print(f"FAIL {name}: still running after {UNIT_LIMIT} s")
            failed += 1
            continue
        text = done.stdout + done.stderr
        good = len(re.findall(r"^\[ +OK +\]", text, re.MULTILINE))
        # "[  FAILED  ] name" once for each at the place, then again in the summary
        bad = len(set(re.findall(r"^\[ +FAILED +\] (\w+)", text, re.MULTILINE)))
        if done.returncode != 0 and bad == 0:
            bad = 1  # a sanitizer or a crash
        if good + bad == 0:
            print(f"FAIL {name}: ran no test")
            bad = 1
        if bad:
            print("\n".join(text.splitlines()[-60:]))
        print(f"unit {name}: {good} passed, {bad} failed ({time.monotonic() - start:.1f} s)")
        passed += good
        failed += bad
    return passed, failed


def run_unit() -> tuple[int, int]:
    """Run those without threads; returns (passed, failed)."""
    return run_programs(threads=False)


def run_lint() -> tuple[int, int]:
    """Run the checks of tools/lint.sh; returns (passed, failed)."""
    done = subprocess.run([ROOT / "tools" / "lint.sh"], cwd=ROOT, check=False)
    return (0, 1) if done.returncode else (1, 0)


def run_fuzz() -> tuple[int, int]:
    """Run the page store's fuzz target for ten seconds; returns (passed, failed)."""
    done = subprocess.run(["make", "--no-print-directory", "fuzz-smoke"], cwd=ROOT, check=False)
    return (0, 1) if done.returncode else (1, 0)


def run_boot(options: list[str]) -> tuple[int, int]:
    """Run pytest over tests/boot; returns (passed, failed). A skipped test counts as failed."""
    report = ROOT / "build" / "boot-tests.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider", "--durations=0"]
    command += ["-n", str(WORKERS), "--dist", "load"]
    command += [f"--junitxml={report}", str(ROOT / "tests" / "boot"), *options]
    subprocess.run(command, cwd=ROOT, check=False)
    if not report.exists():
        print("FAIL boot: pytest left no report")
        return 0, 1
    suite = ElementTree.parse(report).getroot().find("testsuite")
    if suite is None:
        print("FAIL boot: pytest's report holds no suite")
        return 0, 1
    total = int(suite.get("tests", "0"))
    bad = sum(int(suite.get(kind, "0")) for kind in ("failures", "errors", "skipped"))
    if total == 0:
        print("FAIL boot: ran no test")
        return 0, 1
    return total - bad, bad


def run_host(suites: list[str], lock: TextIO) -> tuple[int, int]:
    """Run suites that need no emulator, then unlock; returns (passed, failed)."""
    runners = {"lint": run_lint, "unit": run_unit, "fuzz": run_fuzz}
    try:
        counts = [runners[suite]() for suite in suites]
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)
    return sum(good for good, _ in counts), sum(bad for _, bad in counts)


def main() -> int:
    sys.stdout.reconfigure(line_buffering=True)  # the suites' lines come as they are written
    words = sys.argv[1:]
    suites = [word for word in words if word in ("lint", "unit", "threads", "fuzz", "boot")]
    options = [word for word in words if word not in suites]
    if not suites:
        print(__doc__)
        return 2
    counts = [run_programs(threads=True)] if "threads" in suites else []
    HOST_LOCK.parent.mkdir(exist_ok=True)
    with open(HOST_LOCK, "w") as lock, ThreadPoolExecutor() as beside:
        fcntl.flock(lock, fcntl.LOCK_EX)
        host = [suite for suite in suites if suite not in ("threads", "boot")]
        host_counts = beside.submit(run_host, host, lock)
        if "boot" in suites:
            counts.append(run_boot(options))
        counts.append(host_counts.result())
    passed, failed = (sum(column) for column in zip(*counts))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
