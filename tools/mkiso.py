#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Make a GRUB ISO, for BIOS and UEFI, that boots Tidepool with the modules named.

    tools/mkiso.py OUT.iso --kernel build/tidepool.elf --cmdline "idle=poweroff" \\
        --module "build/guest/vmlinuz web kernel memory=192M -- console=ttyS0" \\
        --module "build/guest/initrd.img web initrd"

Each --module is a file followed by its module words, as docs/manual.md explains them. A file
that several modules name is on the image once.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# What the menu below needs; grub-mkrescue would otherwise copy, and GRUB search, all of them.
GRUB_MODULES = (
    "multiboot2 normal boot iso9660 part_msdos part_gpt search serial terminal echo test all_video"
)

GRUB_HEADER = """\
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
set default=0

menuentry Tidepool {
"""

# The screen that GRUB leaves is Tidepool's console where there is no serial port. Under BIOS that is
# the text mode, since some video BIOSes crash in a mode switch. UEFI has none: there GRUB needs a
# driver for the framebuffer. Behind the command multiboot2, which sets gfxpayload itself.
GRUB_SCREEN = """\
	if [ "$grub_platform" = efi ]; then
		insmod all_video
	else
		set gfxpayload=text
	fi
"""


class Module(NamedTuple):
    """One module2 line: the file's place on this machine, and the words after its name."""

    file: Path
    words: str


class IsoError(Exception):
    """The image could not be made; the text says why."""


def _checked_words(words: str) -> str:
    """Return words as GRUB must read them: its script language has characters of its own."""
    for char in words:
        if not char.isprintable() or char in "'\"\\${}();<>|&#":
            raise IsoError(f"module words hold {char!r}, which a GRUB menu cannot carry: {words}")
    return words


def _menu(kernel: str, cmdline: str, modules: Iterable[tuple[str, str]]) -> str:
    lines = [f"\tmultiboot2 /boot/{kernel} {_checked_words(cmdline)}".rstrip()]
    lines += [f"\tmodule2 /boot/{name} {_checked_words(words)}".rstrip() for name, words in modules]
    lines.append(GRUB_SCREEN + "\tboot")
    return GRUB_HEADER + "\n".join(lines) + "\n}\n"


def build_iso(path: Path, kernel: Path, cmdline: str, modules: Iterable[Module]) -> None:
    """Write the image.

    path:    the ISO; replaced when it exists
    kernel:  the hypervisor's ELF file
    cmdline: its boot line
    modules: in the order of the menu; two different files must not share a name

    Raises IsoError when a file is missing, a name is ambiguous, words cannot be written into a
    menu, or grub-mkrescue fails.
    """
    modules = list(modules)
    files: dict[str, Path] = {}
    for file in [kernel, *(module.file for module in modules)]:
        if not file.is_file():
            raise IsoError(f"no such file: {file}")
        if files.setdefault(file.name, file.resolve()) != file.resolve():
            raise IsoError(f"two different files are named {file.name}")

    menu = _menu(kernel.name, cmdline, [(module.file.name, module.words) for module in modules])
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        boot = Path(scratch) / "boot"
        (boot / "grub").mkdir(parents=True)
        (boot / "grub" / "grub.cfg").write_text(menu)
        for name, file in files.items():
            shutil.copyfile(file, boot / name)
        made = subprocess.run(
            [
                "grub-mkrescue",
                f"--output={path}",
                f"--install-modules={GRUB_MODULES}",
                "--fonts=",
                "--themes=",
                "--locales=",
                scratch,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if made.returncode != 0:
        raise IsoError(f"grub-mkrescue failed:\n{made.stderr}")


def _parse_module(text: str) -> Module:
    file, _, words = text.strip().partition(" ")
    return Module(Path(file), words.strip())


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a GRUB ISO that boots Tidepool.")
    parser.add_argument("output", type=Path, help="the ISO to write")
    parser.add_argument("--kernel", type=Path, required=True, help="the hypervisor's ELF file")
    parser.add_argument("--cmdline", default="", help="the hypervisor's boot line")
    parser.add_argument(
        "--module",
        dest="modules",
        type=_parse_module,
        action="append",
        default=[],
        metavar="'FILE WORDS'",
        help="a module and its words; may be repeated",
    )
    args = parser.parse_args()
    try:
        build_iso(args.output, args.kernel, args.cmdline, args.modules)
    except IsoError as error:
        print(f"mkiso: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
