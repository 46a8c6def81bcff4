"""The dialect check of files: kernels on ``nki``, and everything that must stay silent."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from nkimigrate.codemods.analysis.context import FileContext
from nkimigrate.codemods.dialect.findings import dialect_findings
from nkimigrate.codemods.model import Finding, Outcome
from nkimigrate.codemods.source import Source
from nkimigrate.releases import load, load_language

HEAD = "import nki\nimport nki.isa as nisa\nimport nki.language as nl\nimport numpy as np\n\n\n"
SELECT = "nisa.affine_select(dst=t, pattern=[[1, 4]], on_true_tile=x, on_false_value=0.0, offset=0, channel_multiplier=1"
RANGE = "nisa.range_select(dst=t, on_true_tile=x, comp_op0=nl.less, comp_op1=nl.less, bound0=a, bound1=a"


def findings(text: str, path: str = "a.py") -> list[Finding]:
    source = Source.decode(text.encode())
    context = FileContext(path, source, ast.parse(source.text), load("2.27", "2.28"))
    step = load_language("2.27", "2.28")
    assert step is not None
    return sorted(dialect_findings(context, step, lambda code: True), key=lambda f: (f.line, f.code))


def in_kernel(line: str) -> list[Finding]:
    return findings(f"{HEAD}@nki.jit\ndef kernel(x, a, t):\n    {line}\n    return x\n")


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("y = [i for i in x.shape]", "NKL601", "comprehension"),
        ("y = x[None, 0:4]", "NKL601", "None in an index"),
        ("y = nl.load(x)", "NKL602", "nki.isa.dma_copy"),
        ("y = nl.no_such_name", "NKL602", "API reference"),
        ("y = nisa.tensor_tensor(x, x, nl.add)", "NKL603", "lacks `op`"),
        ("nisa.tensor_copy(dst=t, src=x, mask=a)", "NKL603", "no parameter `mask`"),
        ("nisa.tensor_tensor(dst=t, data1=x, data2=x, op=np.add)", "NKL603", "np.add"),
        (f"{SELECT})", "NKL603", "cmp_op"),
        (f"{RANGE}, on_false_value=-1e4)", "NKL603", "on_false_value"),
        (f"{RANGE}, reduce_cmd=nisa.reduce_cmd.idle)", "NKL603", "reduce_cmd"),
        ("nisa.tensor_reduce(dst=t, op=nl.add, data=x, axis=[1, 2])", "NKL603", "counts axes"),
    ],
)
def test_what_is_found(line: str, code: str, says: str) -> None:
    (finding,) = in_kernel(line)
    assert (finding.code, finding.line) == (code, 9)
    assert finding.outcome is Outcome.NEEDS_YOU
    assert says in f"{finding.message} {finding.step}"


@pytest.mark.parametrize(
    "line",
    [
        "nisa.tensor_copy(dst=t, src=x)",
        f"{SELECT}, cmp_op=nl.greater_equal)",
        f"{RANGE}, on_false_value=-3.4028235e38, reduce_cmd=nisa.reduce_cmd.reset_reduce)",
        f"{RANGE}, on_false_value=a)",
        "nisa.tensor_reduce(dst=t, op=nl.maximum, data=x, axis=[1])",
        "nisa.tensor_reduce(dst=t, op=nl.add, data=x.ap(pattern=[[8, 4], [4, 2], [1, 1], [2, 2], [1, 2]], "
        "offset=0), axis=[3, 4])",
        "nisa.tensor_tensor(*x)",
        "nisa.tensor_tensor(**x)",
        "y = x[0:4, 0:8]",
    ],
)
def test_what_is_right_or_cannot_be_seen(line: str) -> None:
    assert [f for f in in_kernel(line) if f.code != "NKL601"] == []


@pytest.mark.parametrize(
    ("line", "message", "step"),
    [
        ("import nki.language.constants", "no module `nki.language.constants`", "API reference"),
        ("import nki.isa, nki.isa.nothing as n", "no module `nki.isa.nothing`", "API reference"),
        ("import nki.collectives.deep.er", "no module `nki.collectives.deep.er`", "API reference"),
        ("import nki.benchmarks", "no module `nki.benchmarks`", "API reference"),
        (
            "from nki.language.constants import uint8, int4",
            "no module `nki.language.constants`",
            "Use `nki.language.uint8`.",
        ),
        ("from nki.language.constants import *", "no module `nki.language.constants`", "API reference"),
        (
            "from nki.language import load as read",
            "`nki.language.load` is not in NKI of 2.28",
            "nki.isa.dma_copy",
        ),
        (
            "from nki.language import ndarray, mgrid",
            "`nki.language.mgrid` is not in NKI of 2.28",
            "nki.tensor.ap",
        ),
        (
            "from nki.isa import constants, nothing",
            "`nki.isa.nothing` is not in NKI of 2.28",
            "API reference",
        ),
        ("from nki import benchmark", "`nki.benchmark` is not in NKI of 2.28", "API reference"),
        ("timed = nki.baremetal(print)", "`nki.baremetal` is not in NKI of 2.28", "API reference"),
        ("def f():\n    import nki.isa.nothing", "no module `nki.isa.nothing`", "API reference"),
    ],
)
def test_modules_and_imported_names_that_are_not_there(line: str, message: str, step: str) -> None:
    (finding,) = findings(HEAD + line + "\n")
    assert (finding.code, finding.outcome) == ("NKL602", Outcome.NEEDS_YOU)
    assert message in finding.message
    assert step in finding.step


@pytest.mark.parametrize(
    "text",
    [
        "import nki, nki.isa.constants, nki.tensor as t, nki.dtype as nt, nki.meta.tensor, nki.typing, nki.compiler\n",
        "from nki.isa.constants import dge_mode\nfrom nki import isa, language as nl, tensor, collectives, jit\n",
        "import nki.isa.constants\n\nmode = nki.isa.constants.oob_mode.skip\n",
        "from nki.language import *\nfrom nki.isa import *\n",
        "from nki import anything_else\nimport nki\n\nnki.anything_else()\n",
        "import nki.core.mesh\nfrom nki.app import build\nfrom nki import core\n\nnki.core.mesh.build()\n",
        "from .nki.language import load\nfrom . import nki\nimport nki.language as nl\n",
        "try:\n    import nki.language.constants\nexcept ImportError:\n    pass\n",
        "import nkix.language.constants\nimport my.nki.language.constants\nimport nki.isa\n",
    ],
)
def test_modules_that_are_there_or_are_somebody_elses(text: str) -> None:
    assert findings(text) == []


def test_helpers_count_and_host_code_does_not() -> None:
    text = HEAD + (
        "def helper(n):\n    return [i for i in range(n)]\n\n\n"
        "def device(t):\n    nisa.memset(dst=t, value=[0 for _ in t])\n\n\n"
        "def host(k):\n    return [k(i) for i in range(3)]\n\n\n"
        "@nki.jit\ndef kernel(x):\n    helper(3)\n    return x\n"
    )
    assert [f.line for f in findings(text)] == [8, 12]


def test_launches_and_decorators_of_the_former_language() -> None:
    text = HEAD + (
        "@nki.jit(mode='benchmark')\ndef kernel(x):\n    return x\n\n\n"
        "kernel[2](1)\nkernel[2, 4](1)\nkernel[8](1)\nkernel[n](1)\nother[2, 4](1)\n"
    )
    assert [(f.line, f.code) for f in findings(text)] == [(7, "NKL603"), (13, "NKL603"), (14, "NKL603")]


@pytest.mark.parametrize(
    "text",
    [
        "import neuronxcc.nki as nki\nimport neuronxcc.nki.language as nl\n\n@nki.jit\ndef k(x):\n    return nl.load(x)\n",
        "import other as nki\n\n@nki.jit\ndef k(x):\n    return [i for i in x]\n",
        "import nkilib.core as nki\nnl = nki\nnl.load(1)\n",
        "try:\n    import nki.language as nl\n    load = nl.load\nexcept (ImportError, AttributeError):\n    load = None\n",
        "def jit(f):\n    return f\n\n\n@jit\ndef k(x):\n    return [i for i in x]\n",
    ],
)
def test_strangers_are_left_alone(text: str) -> None:
    assert findings(text) == []


def test_the_librarys_own_kernels_pass(repository: Path) -> None:
    files = sorted((repository / "nkilib").rglob("*.py"))
    found = [f for file in files for f in findings(file.read_text("utf-8"), str(file))]
    assert len(files) > 100
    assert [(f.path, f.line, f.message) for f in found] == []


TESTS = """\
import pytest
import nki
import nki.isa as nisa
import nki.language as nl


@pytest.fixture
def tile():
    t = nl.ndarray((4, 4), dtype=nl.float32, buffer=nl.sbuf)
    nisa.memset(dst=t, value=0.0)
    yield t
    del t


def test_copy(tile):
    with pytest.raises(ValueError):
        nisa.tensor_copy(dst=tile, src=tile @ tile)
"""


def test_what_pytest_calls_is_no_kernel() -> None:
    """Such a test uses instructions of a stand-in for nki."""
    assert findings(TESTS, "test_copies.py") == []


def test_what_is_called_like_a_test_is_one_without_pytest() -> None:
    assert [f.line for f in findings(TESTS.replace("import pytest\n", ""), "copies.py")] != []


def test_a_kernel_beside_tests_is_one() -> None:
    kernel = "\n\n@nki.jit\ndef test_kernel(x):\n    del x\n    return x\n"
    assert [f.line for f in findings(TESTS + kernel, "test_copies.py")] == [TESTS.count("\n") + 5]
