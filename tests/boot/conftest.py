# SPDX-License-Identifier: BSD-2-Clause
"""Each test that takes `machine_type` runs on both backends: VMX in Bochs, SVM in QEMU."""

import pytest

from machine import MACHINES, Machine


@pytest.fixture(params=sorted(MACHINES))
def machine_type(request: pytest.FixtureRequest) -> type[Machine]:
    return MACHINES[request.param]
