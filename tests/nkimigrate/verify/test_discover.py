"""Which functions of a file are kernels, and which of two trees are compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from verified import ADD_NEW, ADD_OLD, NEW, OLD

from nkimigrate.verify.discover import SourceFile
from nkimigrate.verify.model import CURRENT, LEGACY
from nkimigrate.verify.plan import Plan, plan
from nkimigrate.verify.spec import Entry, Spec
from nkimigrate.verify.trees import named

BODY = "    out = nl.ndarray(a.shape, a.dtype, buffer=nl.shared_hbm)\n    return out\n"


def kernels(text: str) -> dict[str, tuple[bool, bool]]:
    """Function → whether it is a kernel, and whether only for other kernels."""
    return {name: (k.jit, k.inner) for name, k in SourceFile.parsed(text.encode()).kernels.items()}


@pytest.mark.parametrize(
    ("imported", "decorator"),
    [
        ("import neuronxcc.nki as nki", "nki.jit"),
        ("from neuronxcc import nki", "nki.jit(mode='baremetal')"),
        ("import neuronxcc.nki", "neuronxcc.nki.benchmark(warmup=5)"),
        ("from neuronxcc.nki import jit as j", "j"),
        ("from neuronxcc.nki import baremetal", "baremetal(artifacts_dir='x')"),
        ("import nki", "nki.jit"),
        ("from nki import jit", "jit(platform_target='trn2')"),
        ("from torch_neuronx import nki_jit", "nki_jit"),
    ],
)
def test_decorators(imported: str, decorator: str) -> None:
    assert kernels(f"{imported}\n@{decorator}\ndef k(a):\n{BODY}") == {"k": (True, False)}


@pytest.mark.parametrize(
    "decorator", ["jit", "numba.jit", "nki.compiler.skip_middle_end_transformations", "cache"]
)
def test_other_decorators(decorator: str) -> None:
    assert kernels(f"import neuronxcc.nki as nki\n@{decorator}\ndef k(a):\n{BODY}") == {"k": (False, False)}


@pytest.mark.parametrize(
    "call", ["nki.jit(k)", "nki.baremetal()(k)", "nki.simulate_kernel(k[2], x)", "nki.jit(k[g])"]
)
def test_wrapping_calls(call: str) -> None:
    assert kernels(f"import neuronxcc.nki as nki\ndef k(a):\n{BODY}\ndef test():\n    {call}\n")["k"] == (
        True,
        False,
    )


def test_sub_kernels_are_not_launched() -> None:
    text = f"import neuronxcc.nki as nki\n@nki.jit(mode='trace')\ndef a(a):\n{BODY}\n@nki.trace\ndef b(a):\n{BODY}\n"
    text += (
        f"@nki.jit\ndef c(a):\n{BODY}\n@nki.jit\ndef d(a):\n    helper(a)\n{BODY}\ndef helper(a):\n    c(a)\n"
    )
    found = kernels(text)
    assert found == {
        "a": (True, True),
        "b": (True, True),
        "c": (True, True),
        "d": (True, False),
        "helper": (False, True),
    }


def test_each_function_of_a_file_with_both_languages_has_its_own() -> None:
    text = (
        "import nki\nimport nki.language as nl\nimport neuronxcc.nki as legacy_nki\n"
        "from neuronxcc.nki.language import par_dim\n"
        "def plain(n):\n    return n\n"
        "def helper(n):\n    return par_dim(n)\n"
        f"@nki.jit\ndef new(a):\n    plain(1)\n{BODY}"
        f"@legacy_nki.jit\ndef old(a):\n{BODY}"
        f"def inner(a):\n    helper(1)\n{BODY}"
    )
    file = SourceFile.parsed(text.encode())
    assert file.language == LEGACY
    found = {name: file.language_of(name) for name in ("plain", "helper", "new", "old", "inner")}
    assert found == {"plain": CURRENT, "helper": LEGACY, "new": CURRENT, "old": LEGACY, "inner": LEGACY}


def test_languages_and_targets() -> None:
    old = SourceFile.parsed(
        b"from neuronxcc import nki\n@nki.jit(platform_target='trn2')\ndef k(a, b=1, *, c: int): pass"
    )
    assert (old.language, old.kernels["k"].target) == (LEGACY, "trn2")
    assert [(p.name, p.default, p.annotation) for p in old.kernels["k"].parameters] == [
        ("a", "", ""),
        ("b", "1", ""),
        ("c", "", "int"),
    ]
    assert SourceFile.parsed(b"import nki").language == CURRENT
    assert SourceFile.parsed(b"\xff\xfe\x00").error
    assert SourceFile.parsed(b"def f(:").error == "does not parse: invalid syntax (line 1)"


def made(tmp_path: Path, old: dict[str, str], new: dict[str, str], spec: Spec | None = None) -> Plan:
    for side, files in (("old", old), ("new", new)):
        for name, text in files.items():
            path = tmp_path / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return plan(named(str(tmp_path / "old")), named(str(tmp_path / "new")), spec or Spec())


def test_files_pair_by_place(tmp_path: Path) -> None:
    old = {"a/k.py": OLD + ADD_OLD, "b/k.py": OLD + ADD_OLD, "gone.py": OLD + ADD_OLD}
    new = {"a/k.py": NEW + ADD_NEW, "b/k.py": OLD + ADD_OLD, "other.py": NEW + ADD_NEW}
    found = made(tmp_path, old, new)
    assert [(c.old.file, c.new.file, c.old.name) for c in found.cases] == [("a/k.py", "a/k.py", "add")]
    assert found.left_out == [("b/k.py::add", "the file is unchanged")]


def test_a_kernel_that_is_gone_is_said(tmp_path: Path) -> None:
    found = made(tmp_path, {"k.py": OLD + ADD_OLD}, {"k.py": NEW + ADD_NEW.replace("def add", "def plus")})
    assert found.cases == []
    assert found.left_out == [("k.py::add", "the new file has no such function")]
    spec = Spec("x.toml", (Entry("add", new_name="plus", inputs={"a": 1}),))
    (case,) = made(tmp_path, {"k.py": OLD + ADD_OLD}, {}, spec).cases
    assert (case.old.name, case.new.name) == ("add", "plus")


def test_an_entry_that_fits_several_or_nothing(tmp_path: Path) -> None:
    trees = (
        {"a/k.py": OLD + ADD_OLD, "b/k.py": OLD + ADD_OLD},
        {"a/k.py": NEW + ADD_NEW, "b/k.py": NEW + ADD_NEW},
    )
    many = made(tmp_path, *trees, Spec("x.toml", (Entry("add"), Entry("sub"))))
    reasons = dict(many.left_out)
    assert reasons["add"] == "nkimigrate_verify.toml: 2 files have one; say which with `file`"
    assert reasons["sub"] == "nkimigrate_verify.toml: not found on both sides"
    one = made(
        tmp_path, *trees, Spec("x.toml", (Entry("add", "b/k.py"), Entry("add", "a/k.py", skip="too slow")))
    )
    assert [case.old.file for case in one.cases] == ["b/k.py"]
    assert one.left_out == [("a/k.py::add", "nkimigrate_verify.toml: too slow")]


PROGRAMS = "\n@nki.jit\ndef add(a, b):\n    i = nl.program_id(0)\n    return a\n"


@pytest.mark.parametrize(
    ("grid", "head", "expected"),
    [((), OLD, (1,)), ((2,), OLD, (1,)), (("nc(2)",), OLD, (2,)), (("lnc",), OLD, (1, 2)), ((), NEW, (1, 2))],
)
def test_cores_by_default(
    tmp_path: Path, grid: tuple[object, ...], head: str, expected: tuple[int, ...]
) -> None:
    spec = Spec("x.toml", (Entry("add", grid=grid),))
    (case,) = made(tmp_path, {"k.py": head + PROGRAMS}, {"k.py": NEW + PROGRAMS + "# new\n"}, spec).cases
    assert case.lnc == expected


def test_harnesses_in_tests_beside_the_kernel(tmp_path: Path) -> None:
    test = "import numpy as np\nfrom src.k import add\n\ndef test_add():\n    add(np.ones((2, 3)), np.ones((2, 3)))\n"
    old = {
        "src/k.py": OLD + ADD_OLD,
        "tests/test_k.py": test,
        "tests/test_other.py": test.replace("src.k", "lib.m"),
    }
    (case,) = made(tmp_path, old, {"src/k.py": NEW + ADD_NEW}).cases
    assert case.source == "tests/test_k.py:5"
    assert case.inputs["a"] == {"shape": [2, 3], "dtype": "float32", "values": "ones"}


def test_versions_of_a_kernel_share_inputs(tmp_path: Path) -> None:
    call = "\nif __name__ == '__main__':\n    add(np.ones((2, 3)), np.ones((2, 3)))\n"
    second = ADD_OLD.replace("def add", "def faster")
    found = made(
        tmp_path,
        {"k.py": OLD + ADD_OLD + second + call},
        {"k.py": NEW + ADD_NEW + ADD_NEW.replace("add(", "faster(")},
    )
    assert [case.source for case in found.cases] == ["k.py:20", "k.py:20 (the call of add)"]
