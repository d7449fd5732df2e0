# SPDX-License-Identifier: BSD-2-Clause
"""Every processor model that the emulators offer: those that can run a guest do, the others say why
not.

A plain run takes a representative of each kind of fallback; `make test-models` takes them all.
"""

import re

import pytest

from machine import BUILD, Bochs, Machine, Qemu
from mkiso import Module
from test_linux import check_figures_agree, linux

GUESTS = BUILD / "tests" / "guest"


def one_of_many(model: str, *values: object) -> object:
    """A model whose kind a plain run sees in another one: only `make test-models` boots it."""
    return pytest.param(model, *values, marks=pytest.mark.models, id=model)


# fmt: off
BOCHS_RUN = [
    # Intel: EPT without accessed and dirty bits, no virtual-interrupt delivery
    "corei5_arrandale_m520",
    one_of_many("corei7_sandy_bridge_2600k"),
    one_of_many("corei7_ivy_bridge_3770k"),
    # with them
    one_of_many("corei7_haswell_4770"),
    "broadwell_ult",
    # and with page-modification logging
    one_of_many("corei7_skylake_x"),     # all other tests run on it
    one_of_many("corei7_icelake_u"),
    "tigerlake",
    # with accessed and dirty bits, but no virtual-interrupt delivery
    "corei3_cnl",
    # AMD: next-RIP save, PAUSE filter
    "ryzen",
    one_of_many("trinity_apu"),
    one_of_many("zambezi"),
    # neither, nor a flush by ASID
    "phenom_8650_toliman",
]

QEMU_RUN = [
    one_of_many("EPYC,+svm,+npt"),       # all other tests run on it
    one_of_many("EPYC-Rome,+svm,+npt"),
    # TCG lets guests change XCR0 without asking: with protection keys they could enable those
    "EPYC-Milan,+svm,+npt,-pku",
]

# Each with what its sentence has to name.
BOCHS_REFUSE = [
    ("corei5_lynnfield_750", "lacks unrestricted guest"),
    ("core2_penryn_t9600", r"\(EPT\)"),
    ("turion64_tyler", r"nested paging"),
    ("athlon64_venice", r"AMD-V \(SVM\)"),
]

QEMU_REFUSE = [
    ("EPYC,-svm", r"AMD-V \(SVM\)"),
    ("EPYC,+svm,-npt", "nested paging"),
]
# fmt: on


def tiny_guests() -> list[Module]:
    """What the processor shows and does to a guest, its interrupts (by virtual-interrupt delivery where
    the model has it), beside one that only computes."""
    return [
        Module(GUESTS / "cpu.elf", "cpu kernel memory=16M --"),
        Module(GUESTS / "irq.elf", "irq kernel memory=16M --"),
        Module(GUESTS / "spin.elf", "spin kernel memory=16M -- rounds=1"),
    ]


def check_runs(machine: Machine) -> None:
    with machine:
        output = machine.wait_end()
    results = dict(re.findall(r"^(\w+)\| TEST \w+: (\w+)", output, re.MULTILINE))
    assert results == {"cpu": "Success", "irq": "Success", "spin": "Success"}


def check_refuses(machine: Machine, missing: str) -> None:
    with machine:
        machine.expect(r"tidepool: cannot go on")
        output = machine.output()
    assert re.search(rf"^tidepool: .*{missing}", output, re.MULTILINE)


@pytest.mark.parametrize("model", BOCHS_RUN)
def test_bochs_model_runs(model: str) -> None:
    check_runs(Bochs(tiny_guests(), model=model, cpus=1, limit=30))


@pytest.mark.parametrize("model", QEMU_RUN)
def test_qemu_model_runs(model: str) -> None:
    check_runs(Qemu(tiny_guests(), model=model, cpus=1, limit=60))


@pytest.mark.parametrize(("model", "missing"), BOCHS_REFUSE)
def test_bochs_model_refuses(model: str, missing: str) -> None:
    check_refuses(Bochs(tiny_guests(), model=model, cpus=1, limit=20), missing)


@pytest.mark.parametrize(("model", "missing"), QEMU_REFUSE)
def test_qemu_model_refuses(model: str, missing: str) -> None:
    check_refuses(Qemu(tiny_guests(), model=model, cpus=1, limit=60), missing)


def test_mitigations_off() -> None:
    """Without the barriers that this model asks for, the plain world switch is in use."""
    with Qemu(tiny_guests(), cmdline="idle=poweroff mitigations=off", limit=60) as machine:
        output = machine.wait_end()
    assert "tidepool: speculation: nothing is done, by mitigations=off" in output
    assert output.count(": Success") == 3


def test_virtual_interrupt_delivery_saves_exits() -> None:
    """The same interrupts to the same vCPU, by the processor and by interrupt windows."""
    exits = {}
    for word in (" apicv=on", " apicv=off"):
        modules = [Module(GUESTS / "irq.elf", "irq kernel memory=16M -- x2apic")]
        with Bochs(modules, cpus=1, cmdline=f"idle=poweroff{word}", limit=30) as machine:
            output = machine.wait_end()
        assert "TEST irq: Success" in output
        exits[word] = int(re.search(r"guest irq: hypercalls=0 exits=(\d+)", output).group(1))
    assert exits[" apicv=on"] < exits[" apicv=off"]


@pytest.mark.models
def test_linux_guests_with_two_vcpus_on_an_amd_model() -> None:
    """What test_linux.py does on an Intel model: two guests with two vCPUs each on two CPUs."""
    names = ("web", "db")
    modules = []
    for name in names:
        modules += linux(name, "memory=96M vcpus=2", "tp.test=swap tp.mib=64 tp.passes=1")
    with Bochs(modules, model="ryzen", limit=180) as machine:
        output = machine.wait_end()
    for name in names:
        assert f"{name}| tidepool-cpus: 2" in output
        assert f"{name}| hog: OK" in output
        assert check_figures_agree(output, name)["put"] > 1000
