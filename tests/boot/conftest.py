# SPDX-License-Identifier: BSD-2-Clause
"""Each test that takes `machine_type` runs on both backends: VMX in Bochs, SVM in QEMU."""

import pytest

from machine import MACHINES, Machine


@pytest.fixture(params=sorted(MACHINES))
def machine_type(request: pytest.FixtureRequest) -> type[Machine]:
    return MACHINES[request.param]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-models", action="store_true", help="boot every processor model")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "models: a processor model that only --all-models boots")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out models whose kind another one stands for."""
    if config.getoption("--all-models"):
        return
    left_out = [item for item in items if item.get_closest_marker("models")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
