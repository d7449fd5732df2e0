#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Draw the font of the screen console: 8 by 16 pixels, the printable ASCII characters.

    tools/gen_font.py > font.S

A glyph is described by its strokes. Points have an x from 0 to 5 and a y from 0 to 12, each one
hexadecimal digit: capitals reach from y 0 to the baseline at y 9, small letters from 3, descenders
end at 12. Points written together are joined by lines; spaces part the strokes.
"""

import sys

FIRST = 0x20
WIDTH, HEIGHT = 8, 16
LEFT, TOP = 1, 2  # where point 00 lies in the cell

STROKES = {
    " ": "",
    "!": "2026 29",
    '"': "1013 4043",
    "#": "1019 4049 0353 0656",
    "$": "524111020314445557481807 3039",
    "%": "0010110100 5009 4858594948",
    "&": "591311203041420608193956",
    "'": "2023",
    "(": "40222749",
    ")": "10323719",
    "*": "2127 0246 4206",
    "+": "2327 0545",
    ",": "282a1b",
    "-": "0545",
    ".": "2829",
    "/": "5009",
    "0": "100108194958514010 4217",
    "1": "022029 0949",
    "2": "0201104051530959",
    "3": "01104051534424 445558491908",
    "4": "49400656",
    "5": "500004445558491908",
    "6": "514010010819495855441405",
    "7": "0050532629",
    "8": "100103144453514010 1405081949585544",
    "9": "544515040110405158491908",
    ":": "2324 2829",
    ";": "2324 282a1b",
    "<": "410549",
    "=": "0444 0747",
    ">": "014509",
    "?": "01104051533536 39",
    "@": "584919080110405156363353",
    "A": "090320305359 0555",
    "B": "00094958554404 4453514000",
    "C": "52514010010819495857",
    "D": "00093957523000",
    "E": "50000959 0444",
    "F": "500009 0444",
    "G": "51401001081949585535",
    "H": "0009 5059 0454",
    "I": "0040 2029 0949",
    "J": "5058491908",
    "K": "0009 5005 1459",
    "L": "000959",
    "M": "090024345059",
    "N": "09005950",
    "O": "100108194958514010",
    "P": "09004051534404",
    "Q": "100108194958514010 3659",
    "R": "09004051534404 2459",
    "S": "514010010314445558491908",
    "T": "0040 2029",
    "U": "000819495850",
    "V": "0004294440",
    "W": "00081928394840 2428",
    "X": "00024749 40420709",
    "Y": "0002254240 2529",
    "Z": "00500959",
    "[": "40202949",
    "\\": "0059",
    "]": "10303919",
    "^": "032143",
    "_": "0b5b",
    "`": "1032",
    "a": "13435459 56160708194958",
    "b": "0009 0413435458491908",
    "c": "5443130408194958",
    "d": "5059 5443130408194958",
    "e": "06565443130408194958",
    "f": "5140302129 0444",
    "g": "5443130408194958 535b4c1c0b",
    "h": "0009 0413435459",
    "i": "20 132329 0949",
    "j": "30 13333b2c1c0b",
    "k": "0009 4307 1649",
    "l": "102029 0949",
    "m": "0309 04132429 24334449",
    "n": "0309 0413435459",
    "o": "130408194958544313",
    "p": "030c 0413435458491908",
    "q": "535c 5443130408194958",
    "r": "0309 05234354",
    "s": "544313040516465758491908",
    "t": "2028394958 0343",
    "u": "0308194958 5359",
    "v": "0305294543",
    "w": "03081928394843 2528",
    "x": "0349 4309",
    "y": "0308194958 535b4c1c0b",
    "z": "03530959",
    "{": "403021231425283949",
    "|": "202b",
    "}": "001021233425281909",
    "~": "061424364654",
}


def _points(stroke: str) -> list[tuple[int, int]]:
    return [(int(stroke[i], 16), int(stroke[i + 1], 16)) for i in range(0, len(stroke), 2)]


def _line(start: tuple[int, int], end: tuple[int, int]) -> set[tuple[int, int]]:
    """The pixels from start to end: one a step along the longer side."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    return {
        tuple(a + ((b - a) * i * 2 + steps) // (2 * steps) for a, b in zip(start, end))
        for i in range(steps + 1)
    }


def glyph(char: str) -> bytes:
    """The rows of a character from the top; the highest bit is the leftmost pixel."""
    pixels = set()
    for stroke in STROKES[char].split():
        points = _points(stroke)
        pixels.add(points[0])
        for start, end in zip(points, points[1:]):
            pixels |= _line(start, end)
    rows = bytearray(HEIGHT)
    for x, y in pixels:
        rows[TOP + y] |= 0x80 >> (LEFT + x)
    return bytes(rows)


def main() -> int:
    print("/* Made by tools/gen_font.py. */")
    print('\t.section .rodata, "a"\n\t.globl font_glyphs\nfont_glyphs:')
    for code, char in enumerate(STROKES, FIRST):
        assert ord(char) == code, f"{char!r} is out of order"
        print("\t.byte " + ", ".join(f"0x{row:02x}" for row in glyph(char)))
    print('\t.section .note.GNU-stack, "", @progbits')
    return 0


if __name__ == "__main__":
    sys.exit(main())
