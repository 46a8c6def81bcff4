"""The engine: what a run reads, decides, writes and leaves alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import migrate

from nkimigrate import engine, pool, tasks
from nkimigrate.codemods.model import Outcome
from nkimigrate.config import Options
from nkimigrate.report.model import Problem

OLD = "from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel\n\ny = mlp_kernel(x, g, u, d)\n"
NEW = "from nkilib.core.mlp.mlp import mlp\n\ny = mlp(x, g, u, d)\n"


def test_a_file_is_migrated() -> None:
    result = migrate({"a.py": OLD})
    assert result.text("a.py") == NEW
    assert {f.outcome for f in result.findings if f.edits} == {Outcome.REWRITTEN}


@pytest.mark.parametrize(("mode", "texts"), [("check", []), ("diff", [NEW])])
def test_reporting_writes_nothing(mode: str, texts: list[str]) -> None:
    result = migrate({"a.py": OLD}, mode=mode)
    assert result.after == result.before
    assert [c.new.decode() for c in result.report.changes] == texts
    assert any(f.edits for f in result.findings)


def test_files_without_a_marker_are_not_parsed() -> None:
    result = migrate({"broken.py": "def (", "binary.py": b"\0\1\2", "a.py": OLD})
    assert result.problems == ()
    assert result.report.candidates == 1


def test_what_cannot_be_handled_is_reported_and_the_rest_is_done() -> None:
    nested = "from nkilib.core.qkv.qkv import qkv\n" + "x = " + "(" * 150 + ")" * 150 + "\n"
    files = {
        "broken.py": "import nkilib\ndef (:\n",
        "binary.py": b"import nkilib\0",
        "latin.py": b"import nkilib  # \xe9\n",
        "large.py": b"import nkilib\n" + b"#" * (6 << 20),
        "deep.py": nested,
        "sum.py": "import nkilib\nx = " + " + ".join("a" * 5000) + "\n",
        "a.py": OLD,
    }
    result = migrate(files)
    assert result.text("a.py") == NEW
    codes = {p.path: p.code for p in result.problems}
    assert codes["broken.py"] == codes["latin.py"] == "NKM901"
    assert codes["binary.py"] == codes["large.py"] == "NKM903"
    assert codes["sum.py"] in {"NKM901", "NKM904"}
    assert result.changed == {"a.py"}


def test_nothing_of_the_users_code_runs(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    bomb = f"open({str(trap)!r}, 'w').close()\n"
    files = {
        "sitecustomize.py": bomb,
        "conftest.py": bomb,
        "app/__init__.py": bomb + OLD,
        "app/nkilib.py": bomb,
        "app/libcst.py": bomb,
        "app/use.py": bomb + "from app import mlp_kernel\n\nmlp_kernel(x, g, u, d)\n",
        "pyproject.toml": "[tool.poetry.plugins]\nx = 'nkilib_standalone.nkilib.core.mlp.mlp:mlp_kernel'\n",
    }
    result = migrate(files)
    assert result.changed == {"app/__init__.py", "pyproject.toml"}
    assert not trap.exists()


def test_processes_and_order_make_no_difference() -> None:
    files = {f"pkg/m{i}.py": OLD for i in range(30)} | {"pkg/__init__.py": "", "bad.py": "import nkilib\n("}
    files["pkg/m3.py"] = "from .m4 import mlp_kernel\n"
    one, two = migrate(files, jobs=1), migrate(files, jobs=2)
    assert one.after == two.after
    assert [(f.path, f.line, f.code, f.outcome) for f in one.findings] == [
        (f.path, f.line, f.code, f.outcome) for f in two.findings
    ]
    assert "mlp as mlp_kernel" in one.text("pkg/m4.py")


def test_code_from_standard_input(tmp_path: Path) -> None:
    report = engine.run(Options(paths=(), stdin=OLD.encode(), stdin_filename="a.py"))
    assert [c.new.decode() for c in report.changes] == [NEW]


def test_a_file_that_changes_during_the_run_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.py"
    path.write_text(OLD)
    edit = tasks.edit_task

    def meanwhile(setting: tasks.Setting, job: tasks.Job) -> object:
        path.write_text(OLD + "# someone else was here\n")
        return edit(setting, job)

    monkeypatch.setattr(tasks, "edit_task", meanwhile)
    report = engine.run(Options(paths=(str(path),), cache=False))
    assert path.read_text() == OLD + "# someone else was here\n"
    assert [p.code for p in report.problems] == ["NKM907"]
    assert not report.written


def test_select_and_ignore() -> None:
    call = "from nkilib_standalone.nkilib.core.qkv.qkv import qkv\nqkv(x, w, l, b, True)\n"
    assert {f.code for f in migrate({"a.py": call}).findings} == {"NKM101", "NKM201"}
    assert {f.code for f in migrate({"a.py": call}, select=("NKM2",)).findings} == {"NKM201"}
    assert {f.code for f in migrate({"a.py": call}, ignore=("NKM201",)).findings} == {"NKM101"}


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("  # nkimigrate: skip", {"NKM101"}),
        ("  # nkimigrate: skip[NKM201]", {"NKM101"}),
        ("  # nkimigrate: skip[NKM1]", {"NKM101", "NKM201"}),
        ("\n# nkimigrate: skip-file", set()),
        ("\n# nkimigrate: skip-file[NKM2]", {"NKM101"}),
        ("\nx = '# nkimigrate: skip-file'", {"NKM101", "NKM201"}),
    ],
)
def test_comments_suppress(comment: str, left: set[str]) -> None:
    call = "from nkilib_standalone.nkilib.core.qkv.qkv import qkv\nqkv(x, w, l, b, True)" + comment + "\n"
    result = migrate({"a.py": call})
    assert {f.code for f in result.findings} == left
    assert len(result.findings) + result.report.suppressed == 2


def test_a_rename_is_suppressed_as_a_whole() -> None:
    """Were only the use kept, the file would name something it no longer imports."""
    code = OLD.replace("d)", "d)  # nkimigrate: skip")
    assert "import mlp_kernel" in migrate({"a.py": code}).text("a.py")


def test_keywords_for_everything() -> None:
    call = "from nkilib.core.qkv.qkv import qkv\nqkv(x, w)\n"
    assert "qkv(input=x, fused_qkv_weights=w)" in migrate({"a.py": call}, all_keywords=True).text("a.py")


def die(_: None, item: int) -> int:
    if item == 13:
        os._exit(1)
    return item * item


def test_a_worker_that_dies_costs_its_item_only() -> None:
    lost: list[int] = []

    def note(item: int, _why: str) -> int:
        lost.append(item)
        return -1

    results = list(pool.spread(die, None, list(range(40)), 2, note))
    assert lost == [13]
    assert results == [-1 if i == 13 else i * i for i in range(40)]


def test_problems_of_workers_come_back() -> None:
    task = tasks.Task(b"import nkilib\ndef (", tasks.Place("bad.py"))
    results = list(
        pool.spread(tasks.analyse_task, tasks.Setting(("2.27", "2.28")), [task] * 9, 2, tasks.lost)
    )
    assert [type(r) for r in results] == [Problem] * 9


def test_a_defect_of_a_rule_costs_its_file_only(monkeypatch: pytest.MonkeyPatch) -> None:
    analyse = tasks.analyse

    def sometimes(data: bytes, *rest: object) -> object:
        if b"boom" in data:
            raise KeyError("boom")
        return analyse(data, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(tasks, "analyse", sometimes)
    result = migrate({"a.py": OLD, "b.py": OLD + "boom = 1\n"})
    assert result.text("a.py") == NEW
    assert [(p.code, p.path) for p in result.problems] == [("NKM908", "b.py")]
    assert "KeyError: 'boom'" in result.problems[0].message
