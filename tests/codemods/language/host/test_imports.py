"""Imports of the old language: every form, strangers first."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, migrate
from hosted import check, hosted, silent


@pytest.mark.parametrize(
    "text",
    [
        "import nki\nimport nki.language as nl\n\nx = nl.float32\n",
        "import other.nki.language as nl\n\nx = nl.load(1)\n",
        "from my.neuronxcc import nki\n\nnki.benchmark()\n",
        "import neuronxcc\n\nprint(neuronxcc.__version__)\n",
        "from neuronxcc.starfish.support.util import allclose\n\nallclose(1, 2)\n",
        "def f(nl):\n    return nl.load(nl.nc(2))\n",
        "text = 'import neuronxcc.nki.language as nl'\n",
    ],
)
def test_strangers(text: str) -> None:
    silent(text)


FORMS = {
    "import neuronxcc.nki as nki\n": "import nki\n",
    "import neuronxcc.nki as x\nx.jit\n": "import nki as x\nx.jit\n",
    "from neuronxcc import nki\n": "import nki\n",
    "from neuronxcc import nki as _nki\n_nki.jit\n": "import nki as _nki\n_nki.jit\n",
    "import neuronxcc.nki.language as nl\nnl.float32\n": "import nki.language as nl\nnl.float32\n",
    "from neuronxcc.nki import language as nl\nnl.int8\n": "import nki.language as nl\nnl.int8\n",
    "from neuronxcc.nki import language, isa\nlanguage.int8\n": "from nki import language, isa\nlanguage.int8\n",
    "import neuronxcc.nki.isa as nisa\nnisa.engine.vector\n": "import nki.isa as nisa\nnisa.engine.vector\n",
    "import neuronxcc.nki.language\nx = neuronxcc.nki.language.float32\n": (
        "import nki.language\nx = nki.language.float32\n"
    ),
    "import neuronxcc.nki\nx = neuronxcc.nki.language.float32, neuronxcc.nki.jit\n": (
        "import nki\nx = nki.language.float32, nki.jit\n"
    ),
    "import neuronxcc.nki.language as nl, os\nos.name\n": "import nki.language as nl, os\nos.name\n",
    "from neuronxcc.nki.language import bfloat16\nx = bfloat16\n": (
        "from nki.language import bfloat16\nx = bfloat16\n"
    ),
    "from neuronxcc.nki.language import par_dim, bfloat16\nx = bfloat16\n": (
        "from nki.language import bfloat16\nx = bfloat16\n"
    ),
    "from neuronxcc.nki.isa.constants import oob_mode\nx = oob_mode.skip\n": (
        "from nki.isa import oob_mode\nx = oob_mode.skip\n"
    ),
    "from neuronxcc.nki.language import (\n    par_dim,  # a\n    float32,\n)\n": (
        "from nki.language import (\n    # a\n    float32,\n)\n"
    ),
    "x = 1\nimport neuronxcc.nki.compiler as ncc\nimport neuronxcc.nki.typing as nt\n": "x = 1\n",
    "x = 1\nfrom neuronxcc.nki.language import par_dim, nc\n": "x = 1\n",
    "x = 1\nfrom neuronxcc.nki import trace\n": "x = 1\n",
    "from neuronxcc import nki\nimport neuronxcc.nki as nki\n": "import nki\n",
    "def f():\n    import neuronxcc.nki.language as nl\n\n    return nl.float32\n": (
        "def f():\n    import nki.language as nl\n\n    return nl.float32\n"
    ),
}


@pytest.mark.parametrize("before", FORMS)
def test_every_form(before: str) -> None:
    check(before, FORMS[before])


def test_the_except_arm_of_a_ladder_survives() -> None:
    check(
        """\
try:
    from neuronxcc import nki
    import neuronxcc.nki.language as nl
    from neuronxcc.nki.language import par_dim

    HAS_NKI = True
except ImportError:
    nki = None
    HAS_NKI = False
""",
        """\
try:
    import nki
    import nki.language as nl
    import nki.isa as nisa

    HAS_NKI = True
except ImportError:
    nki = None
    HAS_NKI = False
""",
        needs=("nisa", "nl"),
    )


def test_what_new_code_needs_is_imported_once() -> None:
    check(
        "from neuronxcc import nki\nimport neuronxcc.nki.language as nl\n\nx = 1\n",
        "import nki\nimport nki.language as nl\nimport nki.isa as nisa\n\nx = 1\n",
        needs=("nisa", "nl"),
    )
    check(
        "import neuronxcc.nki.isa as nisa\n\nx = 1\n",
        "import nki.isa as nisa\nimport nki.language as nl\n\nx = 1\n",
        needs=("nisa", "nl"),
    )


def test_a_name_that_means_something_else_is_in_the_way() -> None:
    found = hosted("import neuronxcc.nki.language as nl\n\nnisa = 3\n", needs=("nisa",))
    assert found.reasons == [(1, "M-NAME")]


def test_stars_are_in_the_way() -> None:
    assert hosted("from neuronxcc.nki.language import *\n").reasons == [(1, "M-STAR")]


def test_files_that_serve_several_releases() -> None:
    both = "try:\n    import nki\nexcept ImportError:\n    import neuronxcc.nki as nki\n"
    check_reported(f"{both}\n\n@nki.jit\ndef k(x):\n    return x\n", "NKL106", 4, "file of their own")
    check_noop(f"{both}\n\nK = nki.jit\n")


def test_an_import_inside_a_kernel_goes_to_the_top() -> None:
    check(
        """\
from neuronxcc import nki


@nki.jit
def k(x):
    import neuronxcc.nki.language as nl

    return nl.float32
""",
        """\
import nki
import nki.language as nl


@nki.jit
def k(x):
    return nl.float32
""",
    )


def test_values_that_have_another_name_or_none() -> None:
    found = check(
        """\
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl

LOWEST = nl.fp32.min, nisa.fp32.min
REDUCE = {"max": nl.max, "add": nl.add}
TILE = nl.tile_size.pmax
""",
        """\
import nki.isa as nisa
import nki.language as nl

LOWEST = -3.4028235e38, -3.4028235e38
REDUCE = {"max": nl.maximum, "add": nl.add}
TILE = nl.tile_size.pmax
""",
    )
    assert not found.left


def test_what_nothing_replaces_is_in_the_way_where_the_module_moves() -> None:
    found = hosted("import neuronxcc.nki.language as nl\n\nx = nl.static_cast(1, nl.float32)\ny = nl.nc(2)\n")
    assert found.reasons == [(3, "M-GONE"), (4, "M-GONE")]


def test_what_is_left_of_the_old_language_keeps_its_import() -> None:
    found = hosted(
        "import neuronxcc.nki.language as nl\nimport neuronxcc.nki.typing as nt\n\nspec = nt.tensor[[1], nl.int8]\n"
    )
    assert found.text == (
        "import nki.language as nl\nimport neuronxcc.nki.typing as nt\n\nspec = nt.tensor[[1], nl.int8]\n"
    )
    assert found.left == [(4, "M-GONE")]
    assert not found.reasons


def test_names_that_were_never_public() -> None:
    found = hosted("from neuronxcc.nki.isa.neuron_isa import dma_copy\n\ndma_copy(1)\n")
    assert found.left == [(3, "M-INTERNAL")]
    assert "from neuronxcc.nki.isa.neuron_isa import dma_copy" in found.text


def test_kernels_of_the_compiler_are_other_rules() -> None:
    silent("from neuronxcc.nki._private_kernels.mlp import mlp_isa_kernel\n\nmlp_isa_kernel(1)\n")
    silent("from neuronxcc.nki.kernels.attention import flash_fwd\n")


def test_an_alias_that_nothing_uses_any_more_goes() -> None:
    check(
        """\
import neuronxcc.nki as nki

nki_jit = nki.trace


@nki_jit
def helper(x):
    return x


@nki.jit
def k(x):
    return helper(x)
""",
        """\
import nki


def helper(x):
    return x


@nki.jit
def k(x):
    return helper(x)
""",
    )


def test_imports_that_only_kernels_used_go() -> None:
    """New code spells ``nl`` and ``nisa``."""
    before = (
        "from neuronxcc import nki\nimport neuronxcc.nki.isa as ni\n"
        "from neuronxcc.nki.language import bfloat16, float32, par_dim, shared_hbm\n"
        "import neuronxcc.nki.language as nl\n\n__all__ = ['float32']\n\n\n@nki.jit\ndef k(x):\n"
        "    out = nl.ndarray(x.shape, dtype=float32, buffer=shared_hbm)\n"
        "    t = nl.ndarray((par_dim(64), 64), dtype=float32, buffer=nl.sbuf)\n"
        "    t[...] = nl.load(x)\n    nl.store(out, ni.activation(nl.exp, t))\n    return out\n\n\n"
        "def run(x):\n    return k(x.to(bfloat16))\n"
    )
    text = migrate({"app.py": before}).text("app.py")
    head = text[: text.index("__all__")]
    assert head == (
        "import nki\nfrom nki.language import bfloat16, float32\nimport nki.language as nl\n"
        "import nki.isa as nisa\n\n"
    )
    assert "buffer=nl.shared_hbm" in text


def test_an_import_of_an_unknown_module_stays() -> None:
    """What importing it does, nobody knows: that nothing uses its name proves nothing."""
    text = "import neuronxcc.nki.language as nl\nfrom neuronxcc.nki.strange import thing\n\nx = nl.float32\n"
    result = migrate({"a.py": text})
    assert result.text("a.py") == text.replace("import neuronxcc.nki.language", "import nki.language")
    [found] = [f for f in result.findings if f.line == 2]
    assert (found.code, found.outcome.value) == ("NKL105", "needs-you")
    assert "neuronxcc.nki.strange.thing" in found.message
