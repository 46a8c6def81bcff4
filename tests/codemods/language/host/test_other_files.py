"""Kernels that one file defines and another one launches."""

from __future__ import annotations

from helpers import check_sound, migrate

KERNELS = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl


@nki.jit
def copied(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=x)
    return out
"""
PROGRAMS = KERNELS.replace("dst=out, src=x", "dst=out[nl.program_id(0)], src=x[nl.program_id(0)]") + (
    "\n\ndef run(x):\n    return copied[x.shape[0]](x)\n"
)
BLOCKED = KERNELS.replace("return out", "return nl.floor(out)")
LAUNCH = """\
import neuronxcc.nki.language as nl
from app.kernels import copied


def run(x):
    return copied[nl.nc(2)](x)
"""


def project(kernels: str, launch: str) -> dict[str, str]:
    return {"app/__init__.py": "", "app/kernels.py": kernels, "app/run.py": launch}


def test_a_launch_of_a_migrated_kernel_changes_with_it() -> None:
    result = migrate(project(KERNELS, LAUNCH))
    assert "import nki\n" in result.text("app/kernels.py")
    assert result.text("app/run.py") == LAUNCH.replace("neuronxcc.", "").replace("nl.nc(2)", "2")
    check_sound(result)


def test_through_the_module() -> None:
    launch = LAUNCH.replace("from app.kernels import copied", "from app import kernels")
    result = migrate(project(KERNELS, launch.replace("copied[", "kernels.copied[")))
    assert "kernels.copied[2](x)" in result.text("app/run.py")


def test_a_launch_waits_for_its_kernel() -> None:
    result = migrate(project(BLOCKED, LAUNCH))
    assert not result.changed
    (found,) = [f for f in result.at("app/run.py") if f.outcome.value == "needs-you"]
    assert (found.code, found.line) == ("NKL103", 6)
    assert "its file is not migrated" in found.message
    check_sound(result)


def test_a_harness_waits_for_its_kernel() -> None:
    launch = (
        "from neuronxcc.nki import baremetal\n\nfrom app.kernels import copied\n\nfast = baremetal(copied)\n"
    )
    assert not migrate(project(BLOCKED, launch)).changed
    ready = migrate(project(KERNELS, launch))
    assert ready.text("app/run.py") == "\nfrom app.kernels import copied\n\nfast = copied\n"
    check_sound(ready)


def test_launches_in_other_files_keep_programs_programs() -> None:
    """Alone, the file's own launch would become a loop in the kernel; another launch forbids it."""
    alone = migrate({"app/kernels.py": PROGRAMS})
    assert alone.changed
    launch = "from app.kernels import copied\n\n\ndef run(x):\n    return copied[4](x)\n"
    result = migrate(project(PROGRAMS, launch))
    assert not result.changed
    assert {f.code for f in result.findings} == {"NKL103"}
    assert {f.path for f in result.findings} == {"app/kernels.py", "app/run.py"}
    check_sound(result)


def test_a_call_without_a_grid_has_nothing_to_change() -> None:
    caller = "from app.kernels import copied\n\n\ndef run(x):\n    return copied(x)\n"
    result = migrate(project(KERNELS, caller))
    assert result.changed == {"app/kernels.py"}
    assert not result.at("app/run.py")
