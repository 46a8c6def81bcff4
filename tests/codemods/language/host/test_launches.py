"""Launch grids: numbers of cores, and grids of programs that become loops."""

from __future__ import annotations

import pytest
from hosted import HEAD, NEW_HEAD, check, hosted, silent

KERNEL = """

@nki.jit
def k(x, y):
    i = nl.program_id(0)
    return x[i]


"""
GRID = """

@nki.jit
def k(x, y, *, scale=1.0):
    i, j = nl.program_id(0), nl.program_id(1)
    return x[i, j]


"""
PLAIN_GRID = GRID.replace("*, ", "")


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as nl\n\nx = [1]\nx[nl.nc(2)]\n",
        "def k(x):\n    return x\n\n\nk[2](1)\n",
        "from kernels import k\n\nk[4, 2](1)\n",
        "import nki\n\n\n@nki.jit\ndef k(x):\n    return x\n\n\nk[2](1)\n",
    ],
)
def test_strangers(text: str) -> None:
    silent(text)


CORES = {
    "k[nl.nc(2)](1, 2)": "k[2](1, 2)",
    "k[(nl.nc(n),)](1, 2)": "k[n](1, 2)",
    "k[nl.nc(n),](1, 2)": "k[n](1, 2)",
    "k[[nl.nc(2)]](1, 2)": "k[2](1, 2)",
    "k[nl.nc(2) if n else nl.nc(1)](1, 2)": "k[2 if n else 1](1, 2)",
    "grid = (nl.nc(2),)\nk[grid](1, 2)": "grid = 2\nk[grid](1, 2)",
    "grid = (nl.nc(n),) if n else nl.nc(1)\nk[grid](1, 2)": "grid = n if n else 1\nk[grid](1, 2)",
    "cores = nl.nc(n)\nk[(cores,)](1, 2)": "cores = n\nk[cores](1, 2)",
    "j = nki.jit(k)\nj[nl.nc(2)](1, 2)": "j = nki.jit(k)\nj[2](1, 2)",
    "j = k[nl.nc(2)]\nj(1, 2)": "j = k[2]\nj(1, 2)",
}


@pytest.mark.parametrize("launch", CORES)
def test_numbers_of_cores(launch: str) -> None:
    head = "n = int(input())\n"
    found = check(f"{HEAD}{KERNEL}{head}{launch}\n", f"{NEW_HEAD}{KERNEL}{head}{CORES[launch]}\n")
    assert found.plans["k"].grid == ()


def test_cores_by_other_names() -> None:
    check(
        f"{HEAD}from neuronxcc.nki.compiler.backends.neuron.dimensions import VNC\n{KERNEL}k[VNC(2)](1, 2)\n",
        f"{NEW_HEAD}{KERNEL}k[2](1, 2)\n",
    )
    check(
        f"{HEAD}from neuronxcc.nki.language import nc\n{KERNEL}k[(nc(2),)](1, 2)\n",
        f"{NEW_HEAD}{KERNEL}k[2](1, 2)\n",
    )


@pytest.mark.parametrize(
    "launch",
    [
        "k[nl.spmd_dim(4, nl.nc(2))](1, 2)",
        "k[nl.nc(2) * 4](1, 2)",
        "k[nl.nc(2), 4](1, 2)",
        "grid = (nl.nc(2),)\nprint(len(grid))\nk[grid](1, 2)",
        "k[n](x, y)",
    ],
)
def test_what_is_no_number_of_cores(launch: str) -> None:
    found = hosted(f"{HEAD}{KERNEL}n = x = y = int(input())\n{launch}\n")
    assert {key for _, key in found.reasons} - {"M-GONE"} == {"M-GRID"}


GRIDS = {
    "by shapes": (
        "    return k[a.shape[0] // 128, a.shape[1]](a, b)\n",
        "    return k(a, b)\n",
        ("x.shape[0] // 128", "x.shape[1]"),
    ),
    "by variables": (
        "    # The launch grid.\n    gx = a.shape[0] // 128\n    gy = b.shape[1]\n\n    return k[gx, gy](a, b)\n",
        "\n    return k(a, b)\n",
        ("x.shape[0] // 128", "y.shape[1]"),
    ),
    "by a tuple": (
        "    grid = (a.shape[0], 2)\n    return k[grid](a, b)\n",
        "    return k(a, b)\n",
        ("x.shape[0]", "2"),
    ),
    "by unpacking": (
        "    n, m = a.shape\n    return k[n, m](x=a, y=b)\n",
        "    n, m = a.shape\n    return k(x=a, y=b)\n",
        ("x.shape[0]", "x.shape[1]"),
    ),
    "by torch": ("    return k[b.size(0), 1](a, b)\n", "    return k(a, b)\n", ("y.shape[0]", "1")),
    "by a parameter": ("    return k[b, b * 2](a, b)\n", "    return k(a, b)\n", ("y", "y * 2")),
    "by how it is made": (
        "    q = np.zeros((a, b, 4))\n    q_dev = q.astype('f')\n    return k[a, b](q_dev, 1)\n",
        "    q = np.zeros((a, b, 4))\n    q_dev = q.astype('f')\n    return k(q_dev, 1)\n",
        ("x.shape[0]", "x.shape[1]"),
    ),
}


@pytest.mark.parametrize("case", GRIDS)
def test_a_grid_of_programs_becomes_loops(case: str) -> None:
    before, after, extents = GRIDS[case]
    head = f"{PLAIN_GRID}import numpy as np\n\n\ndef run(a, b):\n"
    found = check(f"{HEAD}{head}{before}", f"{NEW_HEAD}{head}{after}")
    assert found.plans["k"].grid == extents


@pytest.mark.parametrize(
    "launches",
    [
        "def run(a, n):\n    k[n, n](a, 1)\n",
        "def run(a):\n    k[a.shape[0], 2](a, 1)\n    k[a.shape[1], 2](a, 1)\n",
        "def run(a):\n    k[a.shape[0], 2](a, 1)\n    k(a, 1)\n",
        "def run(a):\n    n = a.shape[0]\n    a = a.T\n    k[n, 2](a, 1)\n",
        "def run(a):\n    k[a.shape[0], 2](*a)\n",
        "def run(a):\n    k[0, 2](a, 1)\n",
        "def run(a):\n    k[a.shape[0], 2](a, 1)\n\n\nrun_all(k)\n",
        "def run(a):\n    k[f(a), 2](a, 1)\n",
    ],
)
def test_grids_that_a_person_decides_on(launches: str) -> None:
    found = hosted(f"{HEAD}{PLAIN_GRID}{launches}")
    assert found.plans["k"].grid == ()
    assert "M-GRID" in [key for _, key in found.reasons]


def test_launches_by_other_files_are_not_known() -> None:
    launch = "def run(a):\n    return k[a.shape[0], 2](a, 1)\n"
    found = hosted(f"{HEAD}{PLAIN_GRID}{launch}", pinned=frozenset({"k"}))
    assert [key for _, key in found.reasons] == ["M-GRID"]


def test_programs_of_a_kernel_that_nobody_launches() -> None:
    assert hosted(HEAD + PLAIN_GRID).reasons == [(7, "M-GRID")]
    assert hosted(HEAD + KERNEL).reasons == [(7, "M-GRID")]
    counted = KERNEL.replace("return", "n = nl.num_programs(0)\n    return")
    assert not hosted(HEAD + counted).reasons


def test_programs_without_use_are_dropped() -> None:
    kernel = "\n\n@nki.jit\ndef k(x, y):\n    return x\n\n\n"
    found = check(f"{HEAD}{kernel}k[4, 2](1, 2)\n", f"{NEW_HEAD}{kernel}k(1, 2)\n")
    assert found.plans["k"].grid == ()


def test_a_simulated_launch() -> None:
    found = hosted(f"{HEAD}{PLAIN_GRID}def run(a):\n    return nki.simulate_kernel(k[a.shape[0], 2], a, 1)\n")
    assert found.plans["k"].grid == ("x.shape[0]", "2")
    assert "nki.simulate_kernel(k, a, 1)" in found.text
    assert found.notes == [(12, "M-SIM")]
