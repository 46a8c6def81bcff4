"""Rounds over a file's own result: what one part of a migration allows another one to do."""

from __future__ import annotations

import json

import pytest

from nkimigrate import engine, tasks
from nkimigrate.codemods.analyse import Analysis
from nkimigrate.codemods.model import Finding, Outcome, Rename
from nkimigrate.config import Options
from nkimigrate.rounds import Places, together
from nkimigrate.tasks import Setting, Task
from nkimigrate.testing import Result, check_sound, check_transformed, migrate

HEAD = """\
import neuronxcc.nki.isa as nisa
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg


"""
BEFORE = (
    HEAD
    + """\
def run(x, g, out):
    y = rmsnorm_tkg(x, g, output_in_sbuf=True, sbm=nisa.dma_copy(dst=out, src=x))
    return y
"""
)
AFTER = """\
import nki.isa as nisa
import nki.language as nl
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg


def run(x, g, out):
    nisa.dma_copy(dst=out, src=x)
    y_output = nl.ndarray((nl.tile_size.pmax, x.shape[0] * x.shape[1], x.shape[2] // nl.tile_size.pmax), dtype=x.dtype, buffer=nl.sbuf)
    y = rmsnorm_tkg(x, g, sbm=None, output=y_output)
    return y
"""


def test_what_the_language_step_allows_the_library_s_rule_is_done_in_the_same_run() -> None:
    result = check_transformed(BEFORE, AFTER, code="NKM205")
    (norm,) = (f for f in result.findings if f.code == "NKM205")
    assert (norm.line, norm.end_line, norm.outcome) == (6, 6, Outcome.NOTED)
    assert BEFORE.splitlines()[norm.line - 1].startswith("    y = rmsnorm_tkg(")


@pytest.mark.parametrize("mode", ["check", "diff"])
def test_what_is_only_shown_says_what_a_run_that_writes_does(mode: str) -> None:
    def said(result: Result) -> list[tuple[int, int, str, Outcome, str]]:
        return [(f.line, f.end_line, f.code, f.outcome, f.message) for f in result.findings]

    shown = migrate({"app.py": BEFORE}, mode=mode)
    assert shown.after == shown.before
    assert said(shown) == said(migrate({"app.py": BEFORE}))
    assert not [f for f in shown.findings if f.outcome is Outcome.NEEDS_YOU]


def test_a_check_edits_no_file_that_has_nothing_to_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    edited: list[bytes] = []
    real = tasks.edit_task
    monkeypatch.setattr(tasks, "edit_task", lambda s, job: edited.append(job.task.data) or real(s, job))
    files = {
        "done.py": "from nkilib.core.qkv.qkv import qkv\n\nqkv(1, 2, 3, 4, True)\n",
        "left.py": "import neuronxcc.nki.language as nl\n\n\ndef f(x):\n    return nl.tan(nl.load(x))\n",
        "both.py": BEFORE,
    }
    migrate(files, mode="check")
    assert edited == [BEFORE.encode()]


def test_in_a_notebook_the_cell_is_named_where_it_was_done() -> None:
    cells = [HEAD, "x = 1\n", BEFORE.removeprefix(HEAD)]
    made = [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": [*text.splitlines(True)],
        }
        for text in cells
    ]
    notebook = json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
    result = migrate({"a.ipynb": notebook})
    check_sound(result)
    (norm,) = (f for f in result.findings if f.code == "NKM205")
    assert (norm.cell, norm.line, norm.outcome) == (3, 2, Outcome.NOTED)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "import nkilib_standalone.nkilib.core.qkv.qkv\nnkilib.core.mlp.mlp.mlp_kernel(x, g, u, d)\n",
            "import nkilib.core.qkv.qkv\nnkilib.core.mlp.mlp.mlp(x, g, u, d)\n",
        ),
        (
            "from nkilib.core.utils.logging import Logger\n"
            "from nkilib_src.nkilib.core.qkv.qkv import qkv\n\nlog = Logger('a', level=None)\n",
            "from nkilib.core.utils.logging import Logger\n"
            "from nkilib.core.qkv.qkv import qkv\n\nlog = Logger('a')\n",
        ),
    ],
    ids=["another root", "one copy"],
)
def test_names_that_mean_something_else_in_the_new_text(before: str, after: str) -> None:
    result = migrate({"app.py": before})
    check_sound(result)
    assert result.text("app.py") == after


def test_only_a_file_of_both_that_changes_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bytes] = []
    real = tasks._analysed

    def counted(setting: Setting, task: Task) -> object:
        looked.append(task.data)
        return real(setting, task)

    monkeypatch.setattr(tasks, "_analysed", counted)

    def times(text: str) -> int:
        looked.clear()
        migrate({"app.py": text})
        return len(looked)

    library = "from nkilib.core.qkv.qkv import qkv\n\nqkv(1, 2, 3, 4, True)\n"
    language = "import neuronxcc.nki as nki\n\n\n@nki.jit\ndef f(x):\n    return x\n"
    unchanged = "from nkilib.core.qkv.qkv import qkv\nimport neuronxcc.nki_of_others\n\nqkv\n"
    assert [times(text) for text in (library, language, unchanged)] == [1, 1, 1]
    aliased = "import nkilib_standalone.nkilib.core.mlp.mlp as mlp\n\nmlp.mlp_kernel(1, 2, 3, 4)\n"
    assert times(aliased) == 1
    assert times(BEFORE) == 3  # in the second text, the norm; in the third, nothing is left to do


def test_rounds_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    real = tasks._analysed
    names = iter(range(1, 100))

    def restless(setting: Setting, task: Task) -> object:
        found = real(setting, task)
        assert isinstance(found, Analysis)
        at = task.data.index(b"run")
        end = task.data.index(b"(", at)
        edit = Rename((at, end), task.data[at:end].decode(), f"run{next(names)}")
        finding = Finding("NKM101", task.place.path, 5, 5, 5, 8, Outcome.REWRITTEN, "again", edits=(edit,))
        return tasks.replace(found, findings=(*found.findings, finding))

    monkeypatch.setattr(tasks, "_analysed", restless)
    result = migrate({"app.py": BEFORE})
    assert not result.problems
    assert next(names) < 10


def finding(line: int, code: str = "NKM1", outcome: Outcome = Outcome.NEEDS_YOU) -> Finding:
    return Finding(code, "a.py", line, 3, line, 9, outcome, "said")


def places(old: str, new: str) -> Places:
    return Places(old.encode(), new.encode(), "a.py", "python")


def test_lines_have_the_place_that_they_had() -> None:
    moved = places("a\nb\nkept here\nc\n", "new\na\nB\nB\nkept here\nc\n")
    kept = moved.former(finding(5))
    assert (kept.line, kept.column, kept.end_line, kept.end_column) == (3, 3, 3, 9)
    for line in (3, 4):
        replaced = moved.former(finding(line))
        assert (replaced.line, replaced.column, replaced.end_line, replaced.end_column) == (2, 1, 2, 2)


def test_what_is_done_later_takes_the_place_of_what_was_left_to_a_person() -> None:
    text = "one\ntwo\nthree\n"
    done = finding(2, outcome=Outcome.REWRITTEN)
    left = [finding(1), finding(2), finding(2, "NKM2")]
    assert together(left, [done], places(text, text)) == (finding(1), done, finding(2, "NKM2"))
    noted = finding(2, outcome=Outcome.NOTED)
    assert together([noted], [done], places(text, text)) == (noted, done)


def test_edits_of_one_statement_for_both_can_be_asked_for_alone() -> None:
    """As an editor or `--interactive` does, which have nothing but the findings."""
    text = b"""\
import neuronxcc.nki as nki
from nkilib_standalone.nkilib.core.qkv.qkv_tkg import qkv_tkg
@nki.jit
def kernel(hidden, d_head, eps):
    normed = exp
    heads = qkv_tkg(normed, False, None, None, d_head, QKVOutputLayout.NBSd, eps, NormType.NO_NORM)
"""
    report = engine.run(Options(stdin=text, stdin_filename="a.py", mode="check", jobs=1))
    edited = tasks.edited_alone("a.py", "python", text, tuple(f for f in report.findings if f.edits))
    assert edited is not None
    compile(edited, "a.py", "exec")
    assert edited.startswith(b"import nki\nfrom nkilib.core.qkv.qkv_tkg import qkv_tkg\n")


def test_what_the_last_round_leaves_to_a_person_is_said_at_once() -> None:
    """The norm's new output makes a kernel of the old language of the function, which is one that stays."""
    before = (
        "import neuronxcc.nki.language as nl\nfrom norms import *\n\n\n"
        "def cores(x):\n    return launched[nl.nc(2)](x)\n\n\n"
        "def run(x, g):\n    return rmsnorm_tkg(x, g, output_in_sbuf=True)\n"
    )
    norms = "from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg\n"
    result = migrate({"app.py": before, "norms.py": norms})
    (said,) = [f for f in result.findings if f.code == "NKL402"]
    assert (said.path, said.line, said.outcome) == ("app.py", 10, Outcome.NEEDS_YOU)
    assert [f.code for f in migrate(result.after).findings if f.code == "NKL402"] == ["NKL402"]
    assert said in migrate({"app.py": before, "norms.py": norms}, mode="check").findings
