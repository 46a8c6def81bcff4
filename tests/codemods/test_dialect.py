"""Each rule of the language: what it rejects, and what it leaves alone."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nkimigrate.codemods.dialect import ERROR, WARNING, Module, check_class, check_function
from nkimigrate.codemods.dialect.positional import SAFE_POSITIONAL
from nkimigrate.codemods.dialect.rules import CLASS_RULES, RULES, SIGNATURE_RULES

ROOT = Path(__file__).resolve().parents[2]
HEAD = "import nki.isa as nisa\nimport nki.language as nl\nfrom nki.isa import dma_copy\n"

# (rule, what it rejects, what it leaves alone), bodies of a function of t, x, y, n
CASES = [
    ("comprehension", "a = [i for i in range(n)]", "a = []\nfor i in range(n):\n    a.append(i)"),
    ("comprehension", "a = {i: 1 for i in x}", "a = {'i': 1}"),
    ("comprehension", "a = max(i for i in x)", "a = max(x, y)"),
    ("lambda", "f = lambda i: i + 1", "f = helper"),
    ("inner-function", "def f(i):\n    return i", "f = helper(n)"),
    ("inner-class", "class C:\n    pass", "c = C(n)"),
    ("try", "try:\n    f(x)\nexcept ValueError:\n    pass", "if x == y:\n    f(x)"),
    ("raise", "raise ValueError(n)", "assert n > 0, 'positive'"),
    ("with", "with open_scope():\n    f(x)", "with nl.no_reorder():\n    f(x)"),
    ("loop-target", "for i, a in pairs:\n    f(a)", "for i in range(len(pairs)):\n    f(pairs[i])"),
    ("loop-target", "for t[0] in pairs:\n    f(t)", "for a in pairs:\n    f(a)"),
    ("loop-target-of-dict", "for k, v in d.items():\n    f(k)", "for k in d.keys():\n    f(k)"),
    ("loop-else", "for i in x:\n    f(i)\nelse:\n    f(n)", "for i in x:\n    f(i)\nf(n)"),
    ("loop-else", "while n:\n    f(n)\nelse:\n    f(n)", "while n:\n    f(n)"),
    ("builtin", "a = zip(x, y)", "a = len(x)"),
    ("builtin", "a = sum(x)", "a = helper.sum(x)"),
    ("builtin", "a = sorted(x)", "sorted = helper\na = sorted(x)"),
    ("builtin", "a = enumerate(x)", "a = divmod(n, 2)"),
    ("unknown-builtin", "a = chr(n)", "a = str(n)"),
    ("import", "import math", "a = math.ceil(n)"),
    ("import", "from math import ceil", "a = ceil(n)"),
    ("matmul-operator", "a = x @ y", "a = x * y"),
    ("matmul-operator", "x @= y", "x *= y"),
    ("global", "global counter\ncounter = 1", "counter = 1"),
    ("del", "del x", "x = None"),
    ("set", "a = {1, 2}", "a = [1, 2]"),
    ("walrus", "if (m := n):\n    f(m)", "m = n\nif m:\n    f(m)"),
    ("coroutine", "yield x", "return x"),
    ("match", "match n:\n    case 1:\n        f(x)", "if n == 1:\n    f(x)"),
    ("dict-key", "a = {1: x}", "a = {'one': x}"),
    ("dict-key", "a = {(n, 1): x}", "a = {name: x}"),
    ("format", "a = f'{n:.2f}'", "a = f'{n} of {x!r}'"),
    ("constant", "a = 1j", "a = 1.5"),
    ("constant", "a = b'x'", "a = 'x'"),
    ("wide-constant", "a = 4294967296", "a = 4294967295"),
    (
        "positional",
        "nisa.memset(t, 0.0, nisa.vector_engine)",
        "nisa.memset(t, 0.0, engine=nisa.vector_engine)",
    ),
    ("positional", "dma_copy(t, x, None)", "dma_copy(t, x, dst_rmw_op=None)"),
    ("positional", "nisa.nc_transpose(t, x, n)", "other.nc_transpose(t, x, n)"),
    ("star", "f(*x)", "f(x[0], x[1])"),
    ("star", "a, *b = x", "a, b = x"),
    ("star-star", "f(**x)", "f(a=x)"),
    ("none-index", "a = t[:, None]", "a = t.reshape((n, 1))"),
    ("negative-index", "a = t[0:4, -1]", "a = t.shape[-1]"),
    ("tile-assignment", "t[0:4, :] = x", "parts[0] = x"),
    ("tile-assignment", "t[...] = x", "d['a'] = x"),
    ("tile-assignment", "t[0:4] += x", "parts[0] += 1"),
    ("chained-view", "a = t[0:4, :].reshape((2, 2))", "a = t.reshape((2, 2))"),
    ("chained-view", "a = t[0:4].ap(pattern=p)", "a = parts[0].ap(pattern=p)"),
    ("chained-view", "s = t[0:4]\na = s.ap(pattern=p)", "s = t[0:4]\ns = t\na = s.ap(pattern=p)"),
    ("chained-view", "s = t[0:4]\na = s.view(nl.int8)", "s = t[0:4]\na = s.shape"),
]


def found(body: str, head: str = "def kernel(t, x, y, n):") -> list[tuple[str, str, int]]:
    tree = ast.parse(HEAD + head + "\n" + textwrap.indent(body, "    "))
    function = tree.body[-1]
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    return [(b.code, b.level, b.line) for b in check_function(function, Module(tree))]


@pytest.mark.parametrize(("rule", "rejected", "allowed"), CASES)
def test_rule(rule: str, rejected: str, allowed: str) -> None:
    assert rule in {code for code, _, _ in found(rejected)}
    assert found(allowed) == []


def test_every_rule_has_a_case() -> None:
    tested = {rule for rule, _, _ in CASES} | {"star-parameter", "star-star-parameter", "class-base"}
    assert tested == {rule.code for rule in (*RULES, *SIGNATURE_RULES, *CLASS_RULES)}


def test_line_and_level() -> None:
    assert found("a = 1\nb = [i for i in a]\nc = chr(a)") == [
        ("comprehension", ERROR, 6),
        ("unknown-builtin", WARNING, 7),
    ]


@pytest.mark.parametrize(
    ("head", "codes"),
    [
        ("def kernel(x, *rest):", ["star-parameter"]),
        ("def kernel(x, **options):", ["star-star-parameter"]),
        ("async def kernel(x):", ["coroutine"]),
        ("def kernel(x: Callable[..., None], y: list[int] = None, *, flag=True) -> tuple[int, ...]:", []),
    ],
)
def test_parameters(head: str, codes: list[str]) -> None:
    assert [code for code, _, _ in found("return x", head)] == codes


def test_annotations_are_not_code() -> None:
    assert found("a: tuple[int, None] = x\nb: Optional[t[0:2].view(1)]") == []


def test_what_is_nested_is_reported_once() -> None:
    assert [code for code, _, _ in found("a = [(lambda: zip(x)) for i in x]")] == ["comprehension"]


@pytest.mark.parametrize(
    ("definition", "rejected"),
    [
        ("class C(NKIObject): pass", False),
        ("class C(nl.NKIObject): pass", False),
        ("class C(enum.Enum): pass", False),
        ("class C: pass", True),
        ("class C(Other): pass", True),
        ("class C(NKIObject, Mixin): pass", True),
    ],
)
def test_classes(definition: str, rejected: bool) -> None:
    tree = ast.parse(definition)
    assert isinstance(tree.body[0], ast.ClassDef)
    codes = [breach.code for breach in check_class(tree.body[0], Module(tree))]
    assert codes == (["class-base"] if rejected else [])


def test_positional_limits_are_those_of_the_documented_signatures() -> None:
    """None is above the number of documented parameters, and each instruction is a documented one."""
    import json

    api = json.loads((ROOT / "tests" / "data" / "nki-api-2.28.1.json").read_text(encoding="utf-8"))
    for name, safe in SAFE_POSITIONAL.items():
        parameters = api["functions"][f"nki.isa.{name}"].split(", ")
        assert 1 <= safe <= len(parameters), name


LANGUAGE = ("__init__", "checker", "conditions", "positional", "rule", "rules")
"""The modules that make the language's rules; the others make findings of files."""


def test_it_needs_nothing_but_the_standard_library() -> None:
    """So that other tools can use it."""
    folder = ROOT / "codemods" / "dialect"
    imported = set()
    for file in (folder / f"{name}.py" for name in LANGUAGE):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add((node.module or "").partition(".")[0])
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1, file
    assert imported <= sys.stdlib_module_names
    code = f"import sys; sys.path.insert(0, {str(folder.parent)!r}); import dialect; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
