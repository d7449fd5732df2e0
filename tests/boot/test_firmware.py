# SPDX-License-Identifier: BSD-2-Clause
"""BIOS and UEFI from the same image, and the screen as the console where there is no serial port."""

import pytest

from screen import NO_GLYPH, ScreenQemu
from test_tiny import tiny


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_screen_without_serial_port(firmware: str) -> None:
    """Under BIOS the text mode shows all messages, under UEFI the framebuffer does."""
    modules = [tiny("abi"), tiny("spin", "rounds=3")]
    machine = ScreenQemu(modules, firmware=firmware, cmdline="idle=halt", limit=90)
    with machine:
        lines = machine.wait_screen("all guests have stopped", pixels=firmware == "uefi")
    print("\n".join(lines))
    if firmware == "uefi":  # all of it fits this screen, the text mode has scrolled
        assert lines[0] == "tidepool: starting"
    assert NO_GLYPH not in "".join(lines)
    assert "abi| TEST abi: Success" in lines
    assert "spin| TEST spin: Success" in lines
    assert "tidepool: guest abi: stopped: power-off" in lines
