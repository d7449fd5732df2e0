#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Line coverage, from gcov's counts.

    tools/coverage.py [--least PREFIX=PERCENT]... DIRECTORY PREFIX...

DIRECTORY holds the *.gcda and *.gcno files of test programs. A line counts as reached when any of them
has reached it. Prints a table of the sources below each PREFIX of the
repository, and fails when one of --least is missed.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def lines_of(folder: Path) -> dict[str, dict[int, int]]:
    """How often each line of each source was run, summed over all programs."""
    found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    data = [str(path) for path in sorted(folder.glob("*.gcda"))]
    command = ["gcov", "--json-format", "--stdout", *data]
    reports = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for report in reports.splitlines():
        for file in json.loads(report)["files"]:
            path = Path(file["file"]).resolve()
            if not path.is_relative_to(ROOT):
                continue
            for line in file["lines"]:
                found[str(path.relative_to(ROOT))][line["line_number"]] += line["count"]
    return found


def below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + "/")


def percent(reached: int, total: int) -> float:
    return 100 * reached / total if total else 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--least", action="append", default=[])
    parser.add_argument("directory", type=Path)
    parser.add_argument("prefix", nargs="+")
    options = parser.parse_args()

    lines = lines_of(options.directory)
    sums = {prefix: [0, 0] for prefix in options.prefix}
    for name in sorted(lines):
        total = len(lines[name])
        missed = sorted(number for number, count in lines[name].items() if not count)
        for prefix in options.prefix:
            if below(name, prefix):
                sums[prefix][0] += total - len(missed)
                sums[prefix][1] += total
                where = " ".join(map(str, missed[:12])) + (" ..." if len(missed) > 12 else "")
                print(f"{name:24} {percent(total - len(missed), total):6.1f} %  {where}")
                break

    failed = False
    for prefix, (reached, total) in sums.items():
        print(f"coverage_{prefix} {percent(reached, total):.1f} %")
    for rule in options.least:
        prefix, least = rule.split("=")
        if percent(*sums[prefix]) < float(least):
            print(f"coverage: {prefix} is below {least} %")
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
