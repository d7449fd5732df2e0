#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the store saves a Linux guest, and what it costs one that does not need it.

    tests/bench/linux.py [files|build|fits|cost]...      (`make bench-linux`: all)

files: 512 MiB of files read three times in random order by a guest of 256 MiB.
build: a C program compiled, its files pushed out of the page cache by a program that wants the
       memory, and compiled again.
fits:  both again where everything fits into the RAM, time at 1 ns an instruction over that without the driver.
cost:  instructions for a page that reclaim takes, and for one that comes back; and for a large folio
       of XFS, for which interrupts are off.

Prints "name value unit" lines. "plain" has no driver, "tmem" swap and page cache in the store, "zram"
swap compressed in the guest's own RAM, which is the same for all. Disks take 200 us a request in the
first two; their times are of an emulator, sectors are exact. Instructions (QEMU's -icount) are those
of guest and hypervisor together, and repeat.
"""

import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(ROOT / "tests" / "boot"))
from machine import BUILD, Qemu  # noqa: E402
from mkiso import Module  # noqa: E402
from stress import copy_program  # noqa: E402
from test_cache import make_xfs  # noqa: E402

DELAY = "delay=200us"
LIMIT = 1500
HEADERS, SOURCES, INCLUDED = 64, 40, 6
HEADER_FUNCTIONS, SOURCE_FUNCTIONS = 100, 400
HOW = {"plain": "none", "tmem": "tmem", "zram": "zram"}


def make_image(folder: Path, tree: Path, mib: int) -> Path:
    """ext4 with blocks of a page; room for 48 MiB more than the tree."""
    image = folder / f"{tree.name}.ext4"
    command = ["/sbin/mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", str(tree), str(image)]
    subprocess.run([*command, f"{mib + 48}M"], check=True)
    return image


def make_files(folder: Path, mib: int, file_mib: int = 1) -> Path:
    """Files of noise."""
    tree = folder / f"files{mib}"
    tree.mkdir()
    for number in range(mib // file_mib):
        data = random.Random(number).randbytes(file_mib << 20)
        (tree / f"data{number}").write_bytes(data)
    return make_image(folder, tree, mib)


def functions(name: str, count: int) -> str:
    """Text that a compiler has work with, commented well."""
    comment = "".join(f" * {name}: {line} what a reader wants to know\n" for line in range(4))
    return "".join(
        f"/*\n{comment} */\nstatic inline int {name}_{i}(int a, int b)\n{{\n"
        f"\treturn a * {i} + (b ^ {i * 7 + 1}) - (a >> {i % 31});\n}}\n"
        for i in range(count)
    )


def make_program(folder: Path) -> Path:
    """Sources and headers of a program, and tcc with the libraries it needs."""
    tree = folder / "program"
    for name in ("include", "src", "tools"):
        (tree / name).mkdir(parents=True)
    for number in range(HEADERS):
        (tree / "include" / f"h{number}.h").write_text(functions(f"h{number}", HEADER_FUNCTIONS))
    choose = random.Random(1)
    for number in range(SOURCES):
        headers = choose.sample(range(HEADERS), INCLUDED)
        text = "".join(f'#include "h{header}.h"\n' for header in headers)
        text += functions(f"s{number}", SOURCE_FUNCTIONS)
        text += f"int main{number}(int a)\n{{\n\treturn s{number}_1(a, h{headers[0]}_2(a, a));\n}}\n"
        (tree / "src" / f"s{number}.c").write_text(text)
    copy_program("tcc", tree / "tools")
    return make_image(folder, tree, 64)


def run(
    image: Path, test: str, how: str, words: str = "", *, delay: str = "", memory: int = 256,
    icount: bool = False,
) -> str:
    """What the console of the guest said."""
    cmdline = f"console=ttyS0 tp.test={test} tp.with={HOW[how]} tp.swap=128 {words}"
    modules = [
        Module(BUILD / "guest" / "vmlinuz", f"web kernel memory={memory}M -- {cmdline}"),
        Module(BUILD / "guest" / "initrd-cache.img", "web initrd"),
        Module(image, f"web disk {delay}".strip()),
    ]
    room = 2 * (image.stat().st_size >> 20) + memory + 512
    with Qemu(modules, cpus=1, memory=room, limit=LIMIT, icount=icount) as machine:
        output = machine.wait_end()
    assert f"web| tidepool-test: {test} PASS" in output, "\n".join(output.splitlines()[-30:])
    return output


def say(name: str, value: object, unit: str) -> None:
    print(name, value, unit, flush=True)


def bench_passes(name: str, image: Path, test: str, hows: tuple[str, ...]) -> None:
    """Sectors and time of each pass."""
    for how in hows:
        output = run(image, test, how, delay=DELAY)
        found = re.findall(r"tidepool-cache: pass=(\d) sectors=(\d+) centiseconds=(\d+)", output)
        for number, sectors, time in found:
            say(f"linux_{name}_{how}_pass{number}_sectors", sectors, "sectors")
            say(f"linux_{name}_{how}_pass{number}_time", int(time) * 10, "ms")


def bench_files(folder: Path) -> None:
    bench_passes("files", make_files(folder, 512), "bench", ("plain", "tmem"))


def bench_build(folder: Path) -> None:
    bench_passes("build", make_program(folder), "build", ("plain", "tmem", "zram"))


def bench_fits(folder: Path) -> None:
    """Time with the driver over that without, an instruction taking 1 ns; disks without delay too."""
    files, program = make_files(folder, 96), make_program(folder)
    loads = {
        "files": ("bench", files, DELAY),
        "files_ramdisk": ("bench", files, ""),
        "build": ("build", program, DELAY),
    }
    for name, (test, image, delay) in loads.items():
        ticks = {}
        for how in ("plain", "tmem"):
            output = run(
                image, test, how, "tp.warm=1", delay=delay, memory=384, icount=True
            )
            found = re.findall(r"tidepool-ticks: pass=(\d) ticks=(\d+)", output)
            ticks[how] = {number: int(value) for number, value in found}
        for number, value in ticks["plain"].items():
            say(f"linux_fits_{name}_pass{number}", f"{ticks['tmem'][number] / value:.4f}", "x")


def bench_cost(folder: Path) -> None:
    image = make_files(folder, 32, 32)
    for how in HOW:
        output = run(image, "cost", how, icount=True)
        for what, out, back in re.findall(r"cost: (\w+) out=(\d+) back=(\d+)", output):
            say(f"linux_{what}_{how}_out", out, "instructions")
            say(f"linux_{what}_{how}_back", back, "instructions")
    words = "tp.fs=xfs tp.driver=tidepool-test"
    output = run(make_xfs(folder), "folio", "tmem", words, icount=True)
    longest = re.search(r"folio: longest=(\d+) (\d+)\s", output)
    assert longest
    say("linux_folio_irqs_off", longest.group(1), "instructions")
    say("linux_folio_pages", longest.group(2), "pages")


BENCHES = {"files": bench_files, "build": bench_build, "fits": bench_fits, "cost": bench_cost}


def main() -> None:
    for name in sys.argv[1:] or BENCHES:
        with tempfile.TemporaryDirectory() as folder:
            BENCHES[name](Path(folder))


if __name__ == "__main__":
    main()
