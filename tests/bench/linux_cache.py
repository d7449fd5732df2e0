#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the page cache in the store saves: files of 512 MiB read three times in random order.

    tests/bench/linux_cache.py      (`make bench-linux`)

A guest of 256 MiB with a disk of 200 us a request reads them once with the driver and once without;
then files that fit into its RAM. Prints "name value unit" lines: sectors read from the disk and
milliseconds, for each pass. Times are of an emulator; sectors are exact.
"""

import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "tests" / "boot"))
from machine import BUILD, Qemu  # noqa: E402
from mkiso import Module  # noqa: E402

MEMORY = 256
DELAY_US = 200
LIMIT = 1500
# What fills the RAM twice, and what fits into it.
LOADS = {"large": 512, "small": 96}


def make_image(folder: Path, mib: int) -> Path:
    """Files of 1 MiB of noise, on ext4 with blocks of a page."""
    tree = folder / f"tree{mib}"
    tree.mkdir()
    for number in range(mib):
        (tree / f"data{number}").write_bytes(random.Random(number).randbytes(1 << 20))
    image = folder / f"{mib}.ext4"
    command = ["/sbin/mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", str(tree), str(image)]
    subprocess.run([*command, f"{mib + 48}M"], check=True)
    return image


def run(image: Path, mib: int, keep: int) -> list[tuple[int, int]]:
    """(sectors, centiseconds) of each pass."""
    words = f"tp.test=bench tp.keep={keep}"
    modules = [
        Module(BUILD / "guest" / "vmlinuz", f"web kernel memory={MEMORY}M -- console=ttyS0 {words}"),
        Module(BUILD / "guest" / "initrd-cache.img", "web initrd"),
        Module(image, f"web disk delay={DELAY_US}us"),
    ]
    with Qemu(modules, cpus=1, memory=2 * mib + MEMORY + 400, limit=LIMIT) as machine:
        output = machine.wait_end()
    assert "web| tidepool-test: bench PASS" in output
    found = re.findall(r"tidepool-cache: pass=\d sectors=(\d+) centiseconds=(\d+)", output)
    return [(int(sectors), int(time)) for sectors, time in found]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        for load, mib in LOADS.items():
            image = make_image(Path(name), mib)
            for keep, what in ((0, "plain"), (1, "tmem")):
                for number, (sectors, time) in enumerate(run(image, mib, keep), 1):
                    print(f"linux_{load}_{what}_pass{number}_sectors {sectors} sectors")
                    print(f"linux_{load}_{what}_pass{number}_time {time * 10} ms", flush=True)


if __name__ == "__main__":
    main()
