#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write the inputs that the fuzz targets start from: seeds.py DIRECTORY, one folder a target."""

import random
import struct
import sys
from pathlib import Path


def multiboot2(*tags: bytes) -> bytes:
    body = b"".join(tag + b"\0" * (-len(tag) % 8) for tag in (*tags, struct.pack("<II", 0, 8)))
    return struct.pack("<II", len(body) + 8, 0) + body


def tag(kind: int, body: bytes) -> bytes:
    return struct.pack("<II", kind, 8 + len(body)) + body


def bootinfo() -> list[bytes]:
    command = tag(1, b"idle=halt\0")
    module = tag(3, struct.pack("<II", 0x100000, 0x200000) + b"web kernel memory=64M\0")
    entries = struct.pack("<QQII", 0, 0x9FC00, 1, 0) + struct.pack("<QQII", 1 << 20, 1 << 30, 1, 0)
    memory = tag(6, struct.pack("<II", 24, 0) + entries)
    screen = tag(8, struct.pack("<QIIIBBH", 0xE0000000, 4096, 1024, 768, 32, 1, 0))
    rsdp = tag(14, b"RSD PTR " + bytes(12))
    xsdp = tag(15, b"RSD PTR " + bytes(28))
    return [
        multiboot2(command, memory),
        multiboot2(command, module, module, memory, screen, rsdp, xsdp),
        multiboot2(tag(3, struct.pack("<II", 2, 1) + b"x\0"), memory),
    ]


def config() -> list[bytes]:
    return [
        b"idle=poweroff\nweb kernel memory=512M vcpus=2 weight=2 tmem=256M -- console=ttyS0\n"
        b"web initrd\n",
        b"\na kernel on_reset=halt on_crash=restart testdev=on\nb kernel memory=4M tmem=unlimited\n",
        b"idle=halt\na kernel memory=0\na kernel\nb initrd\n" + b"x" * 1100 + b" kernel\n",
    ]


def elf64(note: bool) -> bytes:
    """A file as loaders take it: one segment; a PVH note, or a Multiboot 1 header inside."""
    code = struct.pack("<III", 0x1BADB002, 0, -0x1BADB002 & 0xFFFFFFFF) + b"\x90" * 100
    pvh = struct.pack("<III4sQ", 4, 8, 18, b"Xen\0", 0x100010)
    header = struct.pack(
        "<4sBBB9xHHIQQQIHHHHHH",
        b"\x7fELF", 2, 1, 1, 2, 62, 1, 0x100010, 64, 0, 0, 64, 56, 2 if note else 1, 0, 0, 0,
    )  # fmt: skip
    segments = struct.pack("<IIQQQQQQ", 1, 5, 0x200, 0x100000, 0x100000, len(code), 10000, 4096)
    if note:
        segments += struct.pack("<IIQQQQQQ", 4, 4, 0x300, 0, 0, len(pvh), len(pvh), 4)
    file = header + segments
    file += bytes(0x200 - len(file)) + code
    return file + bytes(0x300 - len(file)) + pvh


def elf32() -> bytes:
    pvh = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", 0x100010)
    header = struct.pack(
        "<4sBBB9xHHIIIIIHHHHHH",
        b"\x7fELF", 1, 1, 1, 2, 3, 1, 0x100010, 52, 0, 0, 52, 32, 2, 0, 0, 0,
    )  # fmt: skip
    segments = struct.pack("<IIIIIIII", 1, 0x200, 0x100000, 0x100000, 100, 100, 5, 4096)
    segments += struct.pack("<IIIIIIII", 4, 0x100, 0, 0, len(pvh), len(pvh), 4, 4)
    file = header + segments
    file += bytes(0x100 - len(file)) + pvh
    return file + bytes(0x200 - len(file)) + b"\x90" * 100


def bzimage() -> bytes:
    file = bytearray(3 * 512 + 4096)
    fields = {
        0x1F1: ("<B", 2), 0x1F4: ("<I", 4096 // 16), 0x1FE: ("<H", 0xAA55), 0x200: ("<BB", 0xEB, 0x6A),
        0x202: ("<I", 0x53726448), 0x206: ("<H", 0x20F), 0x211: ("<B", 1),
        0x22C: ("<I", 0x7FFFFFFF), 0x230: ("<I", 0x200000), 0x234: ("<B", 1), 0x236: ("<H", 1),
        0x238: ("<I", 2047), 0x258: ("<Q", 16 << 20), 0x260: ("<I", 3 << 20),
    }  # fmt: skip
    for offset, (layout, *values) in fields.items():
        struct.pack_into(layout, file, offset, *values)
    return bytes(file)


def loader() -> list[bytes]:
    flat = struct.pack("<III", 0x1BADB002, 1 << 16, -(0x1BADB002 + (1 << 16)) & 0xFFFFFFFF)
    flat += struct.pack("<IIIII", 0x100000, 0x100000, 0, 0, 0x100020) + b"\x90" * 100
    return [elf64(True), elf64(False), elf32(), bzimage(), flat]


def insn() -> list[bytes]:
    return [
        bytes.fromhex(code)
        for code in (
            "8907", "488907", "668b07", "8a07", "0fb607", "480fbe07", "c70712345678", "480907",
            "8185001000000100000f", "f60701", "678907", "8904250000fee0", "a1000000e0fe000000",
            "8707", "83270f", "4c8b6c2408", "f0830f01", "66c7070100",
        )
    ]  # fmt: skip


def store() -> list[bytes]:
    """Limits, then calls: some that make sense, and some by dice."""
    create, destroy, flush_object, flush_page, put_many, get, put = 0, 2, 3, 4, 6, 7, 15
    calls = []
    for kind in (0, 1):
        calls += [(create, 0, 0, kind)]
    for pool in (0x00, 0x10):
        calls += [(put_many, pool, 0, 3), (put, pool, 5, 0), (get, pool, 5, 0), (get, pool, 9, 0)]
        calls += [(flush_page, pool, 7, 0), (flush_object, pool, 0, 0), (put_many, pool + 1, 0, 1)]
    calls += [(destroy, 0x10, 0, 0), (put, 0x10, 0, 0)]
    sensible = b"".join(bytes(call) for call in calls)
    dice = random.Random(1)
    some = bytes(dice.randrange(256) for _ in range(1200))
    limits = (b"\0\0\5\0", b"\xff\x50\5\0", b"\x60\x80\1\0", b"\0\0\5\x55")
    return [head + body for head in limits for body in (sensible, sensible + some)]


def restore() -> list[bytes]:
    """Streams without checksums, which the target puts right: empty, one pool, pages of both kinds."""

    def record(kind: int, pool: int = 0, words: tuple = (0, 0, 0, 0), payload: bytes = b"") -> bytes:
        return struct.pack("<IIQQ4QQ", kind, 64 + len(payload), 0, pool, *words, 0) + payload

    def begin(pools: int) -> bytes:
        return record(1, 0, (0x6C6F6F7065646974, 1, pools, 0))

    persistent, ephemeral, order9 = 1 << 24 | 1, 1 << 24, 1 << 24 | 9 << 4 | 1
    page = record(3, 0, (1, 2, 3, 4), bytes(range(256)) * 16)
    filled = record(4, 0, (1, 2, 3, 5), b"\x07\0\0\0" * 2)
    pools = record(2, 0, (persistent, 5, 6, 0)) + record(2, 1, (ephemeral, 0, 0, 0))
    streams = [
        begin(0) + record(7, 0, (0, 0, 0, 2)),
        begin(2) + pools + page + filled + record(7, 0, (2, 0, 0, 6)),
        begin(2) + pools + page + filled + record(5, 0, (1, 2, 3, 4)) + record(6, 1)
        + record(7, 0, (2, 1, 1, 8)),
        begin(1) + record(2, 7, (order9, 0, 0, 0))
        + record(4, 7, (1, 0, 0, 1 << 63), struct.pack("<II", 5 << 24, 5 << 24))
        + record(7, 0, (1, 0, 0, 4)),
    ]
    return [head + stream for head in (b"\1\0", b"\0\0", b"\1\x88") for stream in streams]


def main() -> None:
    root = Path(sys.argv[1])
    for make in (bootinfo, config, loader, insn, store, restore):
        folder = root / make.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(make()):
            (folder / f"seed{number}").write_bytes(seed)


if __name__ == "__main__":
    main()
