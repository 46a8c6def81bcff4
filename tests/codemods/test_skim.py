"""Files that nothing can be found in: what shows that, and what is still read of them."""

from __future__ import annotations

import ast

import pytest
from helpers import migrate

from nkimigrate.codemods.rules import all_rules
from nkimigrate.codemods.skim import Signs, named
from nkimigrate.releases import load

SIGNS = Signs(load("2.27", "2.28"))


@pytest.mark.parametrize(
    "text",
    [
        "import nkilib_standalone.nkilib",
        "# nkilib",
        "from neuronxcc.nki._private_kernels.mlp import mlp_isa_kernel",
        "from neuronxcc.nki import kernels",
        "import neuronxcc.nki as nki\nnki.kernels.attention.flash_fwd(q)",
        "from neuronx_distributed.kernels.topk import topk_rotated",
        "load('mlp_isa_kernel', 'mlp')",
        'path = "neuronxcc.nki._pre_prod_kernels." + name',
    ],
)
def test_signs_of_being_affected(text: str) -> None:
    assert SIGNS.within(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "import neuronxcc.nki as nki\nimport neuronxcc.nki.language as nl\nimport neuronxcc.nki.isa as nisa\n",
        "from neuronxcc.nki.language import nc\nk[nc(2)](x)",
        "from neuronxcc.nki.compiler.backends.neuron.dimensions import VNC",
        "import neuronxcc\nmy_kernels = subkernels_of(mlp_isa_kernel_2)\n",
    ],
)
def test_the_language_alone_is_none(text: str) -> None:
    assert not SIGNS.within(text.encode())


def test_without_the_library_only_private_kernels_are_looked_for() -> None:
    assert [rule.code for rule in all_rules() if not rule.library] == ["NKM107", "NKM401"]
    assert SIGNS.library(b"import nkilib_src.nkilib")
    assert SIGNS.library(b"# nkilib")
    assert not SIGNS.library(b"from neuronxcc.nki._private_kernels.mlp import mlp_isa_kernel")


def test_a_file_without_signs_is_still_parsed() -> None:
    result = migrate({"broken.py": "import neuronxcc\ndef (:\n", "fine.py": "import neuronxcc\n"})
    assert [(p.path, p.code) for p in result.problems] == [("broken.py", "NKM901")]


def test_a_file_without_signs_is_affected_through_others() -> None:
    files = {
        "app/__init__.py": "from nkilib.core.qkv.qkv import qkv\n",
        "model.py": "import neuronxcc\nfrom app import qkv\n\ny = qkv(x, w, layout, b, True, m, a)\n",
    }
    expected = "y = qkv(x, w, layout, b, fused_residual_add=True, mlp_prev=m, attention_prev=a)\n"
    assert migrate(files).text("model.py").endswith(expected)


NAMED = """
import os.path, app.kernels as k
from . import a
from .. import b as bb
from .sub.mod import c, d
from app.star import *
from ..... import beyond
try:
    import in_try.x
except ImportError:
    import in_except
else:
    from in_else import y
finally:
    import in_finally
if True:
    with open(p) as f:
        import in_with
elif x:
    import in_elif
for i in x:
    while True:
        import in_while
else:
    import in_for_else
class C:
    async def f(self):
        def g():
            import in_function
match x:
    case 1:
        import in_case
patch("app.kernels.mlp"), "entry = app.run:main", f"{root}app.part{x}", "No path. No", "word"
"""


def test_imports_and_strings_are_read() -> None:
    # As Python resolves them in the module app.pkg.here.
    expected = """
        os.path app.kernels app.pkg.a app.b app.pkg.sub.mod.c app.pkg.sub.mod.d app.star in_try.x in_except
        in_else.y in_finally in_with in_elif in_while in_for_else in_function in_case app.kernels.mlp
        app.run.main app.part
    """
    assert named(ast.parse(NAMED), NAMED, "app.pkg.here", False) == {*expected.split()}


def test_a_package_is_its_own_parent() -> None:
    code = "from . import a\nfrom .. import b\n"
    assert named(ast.parse(code), code, "app.pkg", True) == {"app.pkg.a", "app.b"}
    assert named(ast.parse(code), code, "", False) == frozenset()
