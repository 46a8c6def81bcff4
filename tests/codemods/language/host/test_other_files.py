"""Kernels that one file defines and another one launches."""

from __future__ import annotations

import pytest
from helpers import check_sound, migrate

from nkimigrate import tasks
from nkimigrate.codemods.analyse import Analysis
from nkimigrate.codemods.language.step import LanguageStep
from nkimigrate.codemods.release import Release

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
    assert result.text("app/run.py") == LAUNCH.partition("\n")[2].replace("nl.nc(2)", "2")
    check_sound(result)


def test_through_the_module() -> None:
    launch = LAUNCH.replace("from app.kernels import copied", "from app import kernels")
    result = migrate(project(KERNELS, launch.replace("copied[", "kernels.copied[")))
    assert "kernels.copied[2](x)" in result.text("app/run.py")


def surveys(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> set[str]:
    """The files that were surveyed before what becomes of them was asked."""
    found: set[str] = set()
    survey = tasks._surveyed

    def watched(task: tasks.Task, release: Release, step: LanguageStep) -> Analysis:
        found.add(task.place.module)
        return survey(task, release, step)

    monkeypatch.setattr(tasks, "_surveyed", watched)
    assert migrate(files).changed
    return found


def test_only_files_that_import_each_other_are_surveyed(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {**project(KERNELS, LAUNCH), "app/apart.py": KERNELS.replace("copied", "filled")}
    assert surveys(monkeypatch, files) == {"app.kernels", "app.run"}


def test_a_launch_that_is_not_seen_in_the_text_changes_as_well() -> None:
    launch = LAUNCH.replace("from app.kernels import copied", "from app import (\n    kernels,\n)")
    files = project(KERNELS, launch.replace("copied[", "kernels.copied["))
    assert "kernels.copied[2](x)" in migrate(files).text("app/run.py")


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


ROWS = PROGRAMS[: PROGRAMS.index("\n\ndef run")]
"""The kernel of programs without a launch."""
LOOP = "    for program in nl.affine_range(x.shape[0]):\n        nisa.dma_copy(dst=out[program"
RUN = """\
import numpy as np
from app.kernels import copied


def run(n):
    x = (np.random.random_sample((n, 4, 4)) - 0.5) * 2
    launched = copied[n]
    return launched(x), copied[x.shape[0]](x=x)
"""


def test_programs_that_only_other_files_launch_become_loops() -> None:
    result = migrate(project(ROWS, RUN))
    assert LOOP in result.text("app/kernels.py")
    assert result.text("app/run.py") == RUN.replace("copied[n]", "copied").replace("[x.shape[0]](", "(")
    check_sound(result)


def test_programs_that_only_other_files_launch_through_the_module() -> None:
    launch = "from app import kernels\n\n\ndef run(x):\n    return kernels.copied[x.shape[0]](x)\n"
    result = migrate(project(ROWS, launch))
    assert LOOP in result.text("app/kernels.py")
    assert result.text("app/run.py") == launch.replace("[x.shape[0]]", "")
    check_sound(result)


def test_the_extents_follow_through_a_permutation() -> None:
    launch = RUN.replace("x = (np.random.random_sample((n, 4, 4)) - 0.5) * 2", "b, n, _ = x.shape")
    launch = launch.replace("def run(n)", "def run(x)").replace(
        "    launched = ", "    x, y = x.permute(1, 0, 2), None\n    launched = "
    )
    assert LOOP in migrate(project(ROWS, launch)).text("app/kernels.py")
    other = launch.replace("copied[n]", "copied[b]").replace(", copied[x.shape[0]](x=x)", "")
    assert LOOP.replace("[0]", "[1]") in migrate(project(ROWS, other)).text("app/kernels.py")


@pytest.mark.parametrize(
    "use",
    [
        "copied[4](x)\ncopied[5](x)\n",
        "copied[n](x)\n",
        "copied(x)\n",
        "copied[x.shape[0]](x)\nrun_all(copied)\n",
        "copied[4]\n",
        "y = x\nx = x.permute(1, 0, 2)\ncopied[y.shape[0], n](x)\n",
    ],
)
def test_programs_whose_number_other_files_do_not_tell(use: str) -> None:
    body = "".join(f"    {line}\n" for line in use.splitlines())
    result = migrate(project(ROWS, f"from app.kernels import copied\n\n\ndef run(x, n):\n{body}"))
    assert not result.changed
    assert "NKL103" in {f.code for f in result.at("app/kernels.py")}
    check_sound(result)


def test_a_kernel_that_a_package_hands_over() -> None:
    """Who has it from the package is not known."""
    files = project(ROWS, RUN) | {"app/__init__.py": "from app.kernels import copied\n"}
    assert not migrate(files).changed


def test_a_launch_changes_also_in_a_file_that_stays() -> None:
    blocked = RUN.replace("import numpy", "import neuronxcc.nki.language as nl\nimport numpy")
    blocked = blocked.replace("    launched", "    nl.static_cast(1, 2)\n    launched")
    result = migrate(project(ROWS, blocked))
    assert LOOP in result.text("app/kernels.py")
    assert result.text("app/run.py") == blocked.replace("copied[n]", "copied").replace("[x.shape[0]](", "(")
    assert [f.code for f in result.at("app/run.py") if f.outcome.value == "needs-you"] == ["NKL106"]
    check_sound(result)


def test_programs_on_several_cores_in_another_file() -> None:
    """The file's own launch tells the extents; the other one is for a person."""
    launch = LAUNCH.replace("nl.nc(2)", "nl.spmd_dim(x.shape[0] // 2, nl.nc(2))")
    result = migrate(project(PROGRAMS, launch))
    assert LOOP in result.text("app/kernels.py")
    (found,) = result.at("app/run.py")
    assert (found.code, found.outcome.value, found.line) == ("NKL103", "needs-you", 6)
    assert "in loops" in found.message
    assert ("NKL103", 6) in [(f.code, f.line) for f in migrate(result.after).at("app/run.py")]
    assert not migrate(project(ROWS, launch)).changed


def test_a_call_without_a_grid_has_nothing_to_change() -> None:
    caller = "from app.kernels import copied\n\n\ndef run(x):\n    return copied(x)\n"
    result = migrate(project(KERNELS, caller))
    assert result.changed == {"app/kernels.py"}
    assert not result.at("app/run.py")


IN_PLACE = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.typing as nt


@nki.jit
def copy_to(x, out: nt.mutable_tensor):
    nisa.dma_copy(dst=out, src=x)
"""
CALLER = """\
import torch
from app.kernels import copy_to


def run(x):
    out = torch.empty_like(x)
    copy_to(x, out)
    other = torch.empty_like(x)
    copy_to(x, out=other)
    return out, other
"""


def test_callers_take_what_a_kernel_of_another_file_writes() -> None:
    result = migrate(project(IN_PLACE, CALLER))
    assert "    return out\n" in result.text("app/kernels.py")
    assert result.text("app/run.py") == CALLER.replace(
        "    copy_to(x, out)", "    out = copy_to(x, out)"
    ).replace("    copy_to(x, out=other)", "    other = copy_to(x, out=other)")
    assert not [f for f in result.findings if f.outcome.value in ("noted", "needs-you")]
    check_sound(result)


@pytest.mark.parametrize(
    "call",
    ["copy_to(x, cache.keys)", "copy_to(x, out)", "y = copy_to(x, cache)", "(copy_to if x else max)(x, out)"],
)
def test_callers_whose_tensor_others_may_have(call: str) -> None:
    """``out`` is a parameter: whoever passed it waits for what is written to it."""
    caller = f"from app.kernels import copy_to\n\n\ndef run(x, out, cache):\n    {call}\n"
    result = migrate(project(IN_PLACE, caller))
    assert not result.changed
    (found,) = result.findings
    assert (found.code, found.outcome.value, found.path) == ("NKL104", "needs-you", "app/kernels.py")
    assert "outside this file" in found.step
    check_sound(result)


def test_a_kernel_that_writes_in_place_and_is_called_where_nobody_sees() -> None:
    files = project(IN_PLACE, "from app.kernels import copy_to\n\nlaunch_all([copy_to])\n")
    noted = [f for f in migrate(files).findings if f.outcome.value == "noted"]
    assert [(f.path, f.code) for f in noted] == [("app/kernels.py", "NKL104")]


def test_callers_are_named_where_a_kernel_returns_something_else() -> None:
    kernels = IN_PLACE + "    return x\n\n\ndef run(x, out):\n    copy_to(x, out)\n"
    (found,) = migrate({"app/kernels.py": kernels}).findings
    assert (found.code, found.outcome.value) == ("NKL104", "needs-you")
    assert "line 13" in found.step
    assert "none in this file" not in found.step


@pytest.mark.parametrize(
    "use", ["return copied[2](x)", "grid = copied[2]\n    return grid(x)", "keep(copied[2])"]
)
def test_a_kernel_stays_while_others_launch_it_on_programs(use: str) -> None:
    """In the new language `[2]` is a number of cores: a later run could not tell that somebody must see to it."""
    handed = KERNELS + "\n\nTABLE = {'copied': copied}\n"
    result = migrate(project(handed, f"from app.kernels import copied\n\n\ndef run(x):\n    {use}\n"))
    assert not result.changed
    (found,) = result.at("app/kernels.py")
    assert (found.code, found.line, found.outcome.value) == ("NKL103", 7, "needs-you")
    assert "of `copied` in another file" in found.message
    check_sound(result)


def test_a_kernel_that_writes_in_place_waits_for_a_launch_on_cores() -> None:
    """It was taken for a use that nobody knows, and the caller lost what the kernel writes."""
    launch = LAUNCH.replace("copied", "copy_to")
    result = migrate(project(IN_PLACE, launch))
    assert not result.changed
    assert [(f.path, f.code) for f in result.findings if f.code == "NKL104"] == [("app/kernels.py", "NKL104")]
    check_sound(result)


@pytest.mark.parametrize("variable", [False, True])
def test_a_launch_on_cores_changes_also_in_a_file_that_stays(variable: bool) -> None:
    blocked = LAUNCH.replace("    return", "    nl.static_cast(1, 2)\n    return")
    if variable:
        blocked = blocked.replace("    nl.static", "    cores = nl.nc(2)\n    nl.static").replace(
            "[nl.nc(2)]", "[cores]"
        )
    result = migrate(project(KERNELS, blocked))
    assert "import nki\n" in result.text("app/kernels.py")
    assert result.text("app/run.py") == blocked.replace("nl.nc(2)", "2")
    check_sound(result)
