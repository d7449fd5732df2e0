# SPDX-License-Identifier: BSD-2-Clause
"""A machine without a serial port, whose screen is read through QEMU's monitor.

A picture is read by comparing each cell of 8 by 16 pixels with the glyphs of tools/gen_font.py: a
cell that is none of them, to the pixel, reads as U+FFFD.
"""

import re
import time
from pathlib import Path

import pexpect

from machine import Qemu
from gen_font import HEIGHT, STROKES, WIDTH, glyph

NO_GLYPH = "\ufffd"
CHARACTERS = {glyph(char): char for char in STROKES}
EGA_BASE, EGA_COLUMNS, EGA_ROWS = 0xB8000, 80, 25
LIT = 128  # a red value above this is a pixel that is on


class ScreenQemu(Qemu):
    """The console is the monitor; use wait_screen() instead of expect()."""

    console_options = ["-serial", "none", "-monitor", "stdio"]

    def _command(self, command: str) -> str:
        """What the monitor answers."""
        self.console.sendline(command)
        self.console.expect_exact("\n")  # the echo of the command
        self.console.expect_exact("(qemu) ", timeout=10)
        return self.console.before

    def read_pixels(self) -> list[str]:
        """The lines of text in the picture."""
        path = self.folder / "screen.ppm"
        self._command(f"screendump {path}")
        return picture_lines(path)

    def read_text_mode(self) -> list[str]:
        """The lines of text in the text mode's memory."""
        answer = self._command(f"xp /{EGA_COLUMNS * EGA_ROWS}hx {EGA_BASE:#x}")
        cells = [int(cell, 16) for cell in re.findall(r"0x([0-9a-f]{4})\b", answer)]
        text = "".join(chr(cell & 0xFF) for cell in cells)
        return [text[at : at + EGA_COLUMNS].rstrip() for at in range(0, len(text), EGA_COLUMNS)]

    def wait_screen(self, wanted: str, pixels: bool) -> list[str]:
        """The screen's lines once one of them contains the text wanted."""
        self.console.expect_exact("(qemu) ", timeout=10)
        lines: list[str] = []
        while time.monotonic() < self.deadline:
            lines = self.read_pixels() if pixels else self.read_text_mode()
            if any(wanted in line for line in lines):
                return lines
            if self.console.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=1) == 0:
                raise AssertionError("the machine ended early")
        shown = "\n".join(lines)
        raise AssertionError(f"no {wanted!r} on the screen within the time limit:\n{shown}")


def picture_lines(path: Path) -> list[str]:
    """Read the text in a picture of the kind that QEMU writes (PPM, 8 bits a colour)."""
    data = path.read_bytes()
    header = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    assert header, "no picture"
    width, height = int(header.group(1)), int(header.group(2))
    red = data[header.end() :: 3]
    lines = []
    for top in range(0, height - HEIGHT + 1, HEIGHT):
        line = ""
        for left in range(0, width - WIDTH + 1, WIDTH):
            rows = bytearray()
            for y in range(top, top + HEIGHT):
                bits = red[y * width + left : y * width + left + WIDTH]
                rows.append(sum(0x80 >> x for x, value in enumerate(bits) if value >= LIT))
            line += CHARACTERS.get(bytes(rows), NO_GLYPH)
        lines.append(line.rstrip())
    return lines
