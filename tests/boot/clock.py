# SPDX-License-Identifier: BSD-2-Clause
"""The test of guests' clocks over a minute: `make test-clock`."""

from machine import Machine
from test_clock import check_clocks


def test_clocks_for_a_minute(machine_type: type[Machine]) -> None:
    check_clocks(machine_type, seconds=60, limit=1200)
