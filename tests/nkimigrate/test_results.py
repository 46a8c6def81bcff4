"""A check that remembers says what one that does not would say, whatever has changed in between."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate import engine, modules, project, results, tasks
from nkimigrate.codemods import elsewhere
from nkimigrate.codemods.analyse import Analysis, Place, World
from nkimigrate.codemods.analysis import values as v
from nkimigrate.codemods.model import Finding, Outcome
from nkimigrate.config import Options
from nkimigrate.report import json_
from nkimigrate.report.view import View
from nkimigrate.results import LIMIT, Results, common_key, task_key
from nkimigrate.tasks import Setting, Task

KERNEL = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def double(a):
    out = nl.ndarray((128, 512), dtype=a.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.load(a) * 2)
    return out
"""
FILES = {
    "direct.py": "from nkilib.core.mlp.mlp import mlp_kernel\n\n\ndef f(x, g, u, d):\n    return mlp_kernel(x, g, u, d)\n",
    "shared.py": "from nkilib.core.mlp.mlp import mlp_kernel as own\n",
    "user.py": "from shared import own\n\n\ndef f(x, g, u, d):\n    return own(x, g, u, d, 5)\n",
    "kernels.py": KERNEL,
    "launch.py": "from kernels import double\n\n\ndef run(a):\n    return double[1](a)\n",
    "broken.py": "import nkilib\n(\n",
    "é.toml": 'kernel = "nkilib.core.mlp.mlp.mlp_kernel"\n',
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(cache: bool = True, **options: object) -> list[str]:
    """The report of a check, but its time."""
    modules._is_package.cache_clear()  # as in a process of its own
    report = engine.run(Options(**{"paths": (".",), "mode": "check", "jobs": 1, "cache": cache, **options}))
    return list(json_.render(View(report, "check")))


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of files that are analysed from now on."""
    met: list[str] = []
    real = tasks.analyse_task

    def watched(setting: Setting, task: Task) -> object:
        met.append(task.place.path)
        return real(setting, task)

    monkeypatch.setattr(tasks, "analyse_task", watched)
    monkeypatch.setattr(results, "analyse_task", watched)
    return met


def place(tree: Path) -> Path:
    return tree / ".nkimigrate_cache" / "results"


def put(tree: Path, data: bytes) -> None:
    """Make the cache hold this, as if nkimigrate had written it."""
    place(tree).parent.mkdir(exist_ok=True)
    place(tree).write_bytes(data)
    os.utime(place(tree), (results._TIME, results._TIME))


# -- what is known ------------------------------------------------------------------------------------


def test_nothing_is_analysed_twice(tree: Path, analysed: list[str]) -> None:
    fresh = said(cache=False)
    assert said() == fresh
    analysed.clear()
    assert said() == fresh
    assert set(analysed) <= {"broken.py"}  # what could not be analysed is tried again


TWO_ROOTS = """\
from nkilib.core.utils.common_types import NormType
from nkilib_src.nkilib.core.qkv.qkv import qkv

qkv(x, w, L, b, True)
qkv(*rest)
"""
BOTH = f"{KERNEL}\n\n{TWO_ROOTS}"


@pytest.mark.parametrize("text", [TWO_ROOTS, BOTH])
def test_files_that_a_check_edits_are_not_remembered(text: str, tree: Path) -> None:
    """Stand-ins for their edits were carried out: what would be rewritten was said to need a person."""
    (tree / "both.py").write_text(text)
    fresh = said(cache=False)
    assert any("both.py" in line for line in fresh)
    assert said() == fresh
    assert said() == fresh


def test_a_task_is_made_for_its_key_and_for_its_analysis(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not once more for each new result: that reads the text again."""
    made: list[int] = []
    real = project._Made.__getitem__

    def counted(tasks: project._Made[Task], index: int) -> Task:
        made.append(index)
        return real(tasks, index)

    monkeypatch.setattr(project._Made, "__getitem__", counted)
    for name in FILES:
        (tree / name).unlink()
    for number in range(5):
        (tree / f"m{number}.py").write_text(f"from nkilib.core.mlp.mlp import mlp_kernel as k{number}\n")
    said()
    assert len(made) == 10


def test_only_what_changed_is_analysed(tree: Path, analysed: list[str]) -> None:
    said()
    analysed.clear()
    (tree / "direct.py").write_text("# new\n" + FILES["direct.py"], encoding="utf-8")
    assert said() == said(cache=False)
    assert set(analysed[: analysed.index("direct.py") + 1]) <= {"direct.py", "broken.py"}


def test_what_another_check_adds_takes_nothing_away(tree: Path, analysed: list[str]) -> None:
    said()
    (tree / "more.py").write_text(FILES["direct.py"], encoding="utf-8")
    said(paths=("more.py",))
    (tree / "more.py").unlink()
    analysed.clear()
    said()
    assert set(analysed) <= {"broken.py"}


CHANGES: dict[str, Callable[[Path], object]] = {
    "another kernel is passed on": lambda t: (t / "shared.py").write_text(
        "from nkilib.core.qkv.qkv import qkv_kernel as own\n"
    ),
    "nothing is passed on": lambda t: (t / "shared.py").write_text("own = None\n"),
    "the file in between goes": lambda t: (t / "shared.py").unlink(),
    "a kernel has a grid": lambda t: (t / "kernels.py").write_text(
        KERNEL.replace("    out =", "    i = nl.program_id(0)\n    out =")
    ),
    "a kernel is in the way": lambda t: (t / "kernels.py").write_text(
        KERNEL.replace("nl.load(a) * 2", "nl.what_is_this(a)")
    ),
    "a kernel stays as it is": lambda t: (t / "kernels.py").write_text("# nkimigrate: skip-file\n" + KERNEL),
    "a launch has a grid": lambda t: (t / "launch.py").write_text(FILES["launch.py"].replace("[1]", "[4]")),
    "the launch goes": lambda t: (t / "launch.py").unlink(),
    "the folder becomes a package": lambda t: (t / "__init__.py").touch(),
    "somebody new uses it": lambda t: (t / "new.py").write_text(
        "from kernels import double\n\ndouble[2, 3](1)\n"
    ),
    "a file is moved": lambda t: (t / "user.py").rename(t / "moved.py"),
    "a file takes another's text": lambda t: (t / "direct.py").write_text(FILES["shared.py"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes(change: str, tree: Path) -> None:
    before = said()
    CHANGES[change](tree)
    fresh = said(cache=False)
    assert said() == fresh == said()
    for name, text in FILES.items():
        (tree / name).write_text(text, encoding="utf-8")
    for name in ("__init__.py", "new.py", "moved.py"):
        (tree / name).unlink(missing_ok=True)
    assert said() == before


SETTINGS: list[dict[str, object]] = [
    {"select": ("NKM1",)},
    {"ignore": ("NKL",)},
    {"ignore": ("NKM",)},
    {"all_keywords": True},
    {"partial": True},
    {"paths": ("user.py",)},
    {"paths": ("shared.py", "user.py")},
    {"docs": True},
    {"jobs": 2},
]


def test_settings_do_not_mix(tree: Path) -> None:
    fresh = [said(cache=False, **setting) for setting in SETTINGS]
    assert len({tuple(lines) for lines in fresh}) > 4
    for _ in range(2):
        assert [said(**setting) for setting in SETTINGS] == fresh


def test_the_text_of_an_own_table_counts(tree: Path) -> None:
    table = """[release]\nproduct = "acme"\nfrom = "1.0"\nto = "2.0"\nroot = "acme"\nlegacy_roots = []\n"""
    renamed = '[symbols]\n"acme.one" = "acme.{}"\n'
    (tree / "acme.py").write_text("from acme import one\n\none(1)\n", encoding="utf-8")
    fresh = []
    for new in ("two", "three"):
        (tree / "acme.toml").write_text(table + renamed.format(new), encoding="utf-8")
        fresh.append(said(cache=False, tables=("acme.toml",)))
        assert said(tables=("acme.toml",)) == fresh[-1] == said(tables=("acme.toml",))
    assert "acme.two" in "".join(fresh[0])
    assert "acme.three" in "".join(fresh[1])


def other_version(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(results, "__version__", "99")


def other_python(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(sys, "version", "3.99 (somewhere)")


def other_code(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(results, "own_code", lambda: "another hash")


@pytest.mark.parametrize("another", [other_version, other_python, other_code])
def test_another_program_starts_anew(
    another: Callable[[pytest.MonkeyPatch], None],
    tree: Path,
    analysed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said()
    analysed.clear()
    another(monkeypatch)
    said()
    assert set(analysed) == set(FILES)


def test_the_code_is_hashed_with_its_tables(tmp_path: Path) -> None:
    for name in ("a.py", "table.toml", "table.json", "page.jinja", "sub/b.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "c.py").touch()
    found = {os.path.relpath(path, tmp_path) for path in results._sources(str(tmp_path))}
    assert found == {"a.py", "table.toml", "table.json", "sub/b.py"}
    assert len(results.own_code()) == 64


# -- who may not use it -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"cache": False}, {"mode": "diff"}, {"mode": "write"}, {"texts": True}, {"stdin": b"import nkilib"}],
)
def test_only_checks_remember(options: dict[str, object], tree: Path) -> None:
    engine.run(Options(**{"paths": (".",), "mode": "check", "jobs": 1, **options}))
    assert not place(tree).exists()


def test_nothing_is_remembered_of_a_cluster(tree: Path) -> None:
    assert engine._results(Options(paths=(".",), mode="check")) is not None
    assert engine._results(Options(paths=(".",), mode="check", executor="dask:tcp://host:1")) is None


def test_what_is_remembered_is_never_written_into_code(tree: Path) -> None:
    said()
    report = engine.run(Options(paths=(".",), mode="write", jobs=1))
    assert {change.path for change in report.changes} >= {"direct.py", "kernels.py"}
    assert "neuronxcc" not in (tree / "kernels.py").read_text()


def test_own_rules_have_no_hash(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said()
    before = place(tree).read_bytes()
    monkeypatch.setattr(results, "named_anywhere", lambda: True)
    (tree / "direct.py").write_text("# new\n" + FILES["direct.py"], encoding="utf-8")
    assert said() == said(cache=False)
    assert place(tree).read_bytes() == before


def test_code_that_changed_while_it_ran_is_not_hashed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "own_code", results.own_code.__wrapped__)
    assert results.usable()
    newest = max(os.stat(path).st_mtime for path in results._sources(os.path.dirname(results.__file__)))
    monkeypatch.setattr(results, "_LOADED", newest - 1)
    assert not results.usable()
    said()
    assert not place(tree).exists()


# -- damage -------------------------------------------------------------------------------------------


def damaged(data: bytes) -> Iterator[bytes]:
    choose = random.Random(1)
    yield b""
    yield b"\0" * 5000
    yield data.replace(b"results 1", b"results 2")
    yield data + data[-300:]
    for _ in range(12):
        yield data[: choose.randrange(len(data))]
    for _ in range(25):
        at = choose.randrange(len(data))
        yield data[:at] + bytes([data[at] ^ 1 << choose.randrange(8)]) + data[at + 1 :]


def test_damage_costs_time_only(tree: Path, analysed: list[str]) -> None:
    fresh = said()
    data = place(tree).read_bytes()
    for bad in damaged(data):
        put(tree, bad)
        assert said() == fresh
        analysed.clear()
        assert said() == fresh
        assert set(analysed) <= {"broken.py"}  # it was written anew


@pytest.mark.parametrize(
    "text",
    [
        '["Popen","ls"]',
        '["Analysis"]',
        '["tuple"]',
        "{}",
        '["Finding",' * 100_000,
        '["set",["dict"]]',
        '["Analysis",["tuple"],0,["dict"],["set"],["set"],["dict"],["dict"],false,1]',
    ],
)
def test_a_forged_entry_makes_nothing_but_records(text: str, tree: Path) -> None:
    key = b"0" * 32
    data = text.encode()
    put(tree, results._HEADER + key + results._digest(data) + data + b"\n")
    own = Results(".")
    assert key in own
    assert own.get(key) is None
    assert key not in own


def test_a_cache_that_was_committed_hides_nothing(tree: Path) -> None:
    """A file that says of all code that nothing is to be done: git gives it the time of its checkout."""
    fresh = said()
    clean = results._spelled(Analysis((), 0, {}, frozenset(), frozenset()))
    entry = results._digest(clean) + clean + b"\n"
    lines = place(tree).read_bytes().splitlines()[1:]
    forged = results._HEADER + b"".join(line[:32] + entry for line in lines)
    put(tree, forged)
    assert said() != fresh  # whoever can give a file any time can also give the code any comment
    place(tree).write_bytes(forged)
    assert said() == fresh


def test_something_else_is_in_the_way(tree: Path) -> None:
    fresh = said(cache=False)
    place(tree).mkdir(parents=True)
    assert said() == fresh
    place(tree).rmdir()
    os.mkfifo(place(tree))
    assert said() == fresh


# -- size, and others at the same time ----------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, 100, 3000, LIMIT])
def test_the_size_is_bounded(limit: int, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = said(cache=False)
    monkeypatch.setattr(Results.__init__, "__defaults__", (limit,))
    for _ in range(3):
        assert said() == fresh
        assert not place(tree).exists() or 22 < place(tree).stat().st_size <= limit
    assert place(tree).exists() == (limit >= 3000)


def test_two_checks_at_once(tree: Path, analysed: list[str]) -> None:
    fresh = said(cache=False)
    met: list[list[str]] = []
    runs = [threading.Thread(target=lambda: met.append(said())) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert met == [fresh] * 4
    analysed.clear()
    assert said() == fresh
    assert set(analysed) <= {"broken.py"}
    assert [each.name for each in place(tree).parent.glob("*.tmp")] == []


# -- spelling -----------------------------------------------------------------------------------------

LITERALS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None), max_size=4)
    | st.binary(max_size=4)
    | st.just(...)
)
VALUES = st.recursive(
    st.builds(v.Symbol, st.text(max_size=4)) | st.builds(v.Constant, LITERALS),
    lambda inside: (
        st.builds(v.Launched, inside)
        | st.builds(v.Partial, inside, st.none() | st.integers(), st.just(("a", "b")))
        | st.builds(v.Row, st.lists(inside, max_size=3).map(tuple))
        | st.builds(v.Mapping, st.lists(st.tuples(LITERALS, inside), max_size=3).map(tuple))
        | st.builds(v.OneOf, st.frozensets(inside, max_size=3))
    ),
    max_leaves=6,
)


def exact(value: object) -> str:
    """What tells 1 from True and 1.0, but not in which order a set comes."""
    return repr(results._packed(value))


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=3), st.text(st.characters(codec=None)))
def test_a_result_comes_back_as_it_is(exports: dict[str, v.Value], text: str) -> None:
    finding = Finding("NKM101", text, 1, 2, 3, 4, Outcome.NOTED, text, text, (), None, text)
    seen = frozenset({elsewhere.Seen(("a",), "mixed", None), elsewhere.UNSEEN})
    kernels = {"k": elsewhere.Kernel(True, False, ((1, text),))}
    found = Analysis((finding,), 3, exports, frozenset({text}), frozenset(), kernels, {"l": seen}, True)
    again = results._analysis(results._spelled(found))
    assert again == found
    assert exact(again) == exact(found)


@given(VALUES, VALUES)
def test_different_worlds_have_different_keys(one: v.Value, other: v.Value) -> None:
    keys = [task_key(b"", Task(b"", Place(""), world=World({"a": each}))) for each in (one, other)]
    assert (keys[0] == keys[1]) == (exact(one) == exact(other))


def test_every_part_of_a_task_is_in_its_key() -> None:
    common = [common_key(Setting(("a", "b"))), common_key(Setting(("a", "b"), partial=True))]
    common += [common_key(Setting(("table", "text of it"))), common_key(Setting(("table", "another text")))]
    assert len(set(common)) == 4
    seen = {"k": frozenset({elsewhere.Seen(("a",))})}
    some = [
        Task(b"x", Place("a.py")),
        Task(b"y", Place("a.py")),
        Task(b"x", Place("b.py")),
        Task(b"x", Place("a.py", "a")),
        Task(b"x", Place("a.py", "a", True)),
        Task(b"x", Place("a.py"), "text"),
        Task(b"x", Place("a.py"), survey=True),
        Task(b"x", Place("a.py"), world=World({"a": v.Symbol("b")})),
        Task(b"x", Place("a.py"), world=World({"a": None})),
        Task(b"x", Place("a.py"), world=World(pinned=frozenset({"a"}))),
        Task(b"x", Place("a.py"), world=World(kernels={"a": elsewhere.Kernel(True)})),
        Task(b"x", Place("a.py"), world=World(kernels={"a": elsewhere.Kernel(False)})),
        Task(b"x", Place("a.py"), world=World(launches=seen)),
        Task(b"x", Place("a.py"), world=World(launches={"k": frozenset({elsewhere.UNSEEN})})),
    ]
    keys = {task_key(each, task) for each in common for task in some}
    assert len(keys) == 4 * len(some)
    assert task_key(common[0], some[0]) == task_key(common[0], Task(b"x", Place("a.py")))


def test_what_has_no_spelling_is_not_remembered(tree: Path) -> None:
    huge = Task(b"x", Place("a.py"), world=World({"a": v.Constant(10**5000)}))
    strange = Task(b"x", Place("a.py"), world=World({"a": v.Constant(1j)}))
    own = Results(".")
    for task in (huge, strange):
        key = task_key(b"", task)
        assert key not in own
        own.keep(key, Analysis((), 0, {}, frozenset(), frozenset()))
    own.keep(b"1" * 32, Analysis((), 0, {"a": v.Constant(float("nan"))}, frozenset(), frozenset()))
    own.save()
    assert not place(tree).exists()
