# SPDX-License-Identifier: BSD-2-Clause
"""Each test that takes `machine_type` runs on both backends: VMX in Bochs, SVM in QEMU."""

import fcntl

import pytest

from machine import BUILD, MACHINES, Machine

HOST_LOCK = BUILD / "host-tests.lock"

# pytest-xdist hands tests out in this order: what one worker is busy with for long comes first, and
# last what is so short that all workers end at the same time.
LONGEST = "test_guests_side_by_side[vmx]"
SHORT_FILE = "test_models.py"


@pytest.fixture(scope="session", autouse=True)
def core_to_run_on(worker_id: str) -> None:
    """The second worker waits while tools/run_tests.py runs the host's tests on its core."""
    if worker_id == "gw1" and HOST_LOCK.exists():
        with open(HOST_LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)


@pytest.fixture(params=sorted(MACHINES))
def machine_type(request: pytest.FixtureRequest) -> type[Machine]:
    return MACHINES[request.param]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-models", action="store_true", help="boot every processor model")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "models: a processor model that only --all-models boots")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sorts tests by when to start them; leaves out models whose kind another one stands for."""

    def turn(item: pytest.Item) -> int:
        if item.path.name == "test_linux.py" and item.name == LONGEST:
            return 0
        return 2 if item.path.name == SHORT_FILE else 1

    items.sort(key=turn)
    if config.getoption("--all-models"):
        return
    left_out = [item for item in items if item.get_closest_marker("models")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
