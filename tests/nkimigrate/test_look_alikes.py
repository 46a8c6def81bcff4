"""Names of the library that belong to somebody else, in every shape that code gives them: nothing is said or changed.

:mod:`test_no_harm` has those that other migration tools got wrong; `make no-harm` makes look-alikes of real files.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from helpers import check_noop, migrate

TYPES = "from nkilib.core.utils.common_types import NormType\n\n"
CALLS = """
def run(x, w, b):
    return mlp_kernel(x, w, b, b, True), qkv(x, w, None, b, True, x, x, inp=x), x.sizes
"""

ONE_FILE = {
    "a star import of another package": f"{TYPES}from other.kernels import *\n{CALLS}",
    "an attribute of another package called nkilib": """
from acme import nkilib

def run(x):
    return nkilib.core.mlp.mlp.mlp_kernel(x, 1, 2, 3)
""",
    "a package called nkilib inside of another": """
import acme.nkilib.core.mlp.mlp as M
import acme.nkilib_tools
from acme.nkilib_standalone_x.nkilib.core.qkv.qkv import qkv

def run(x):
    return M.mlp_kernel(x, 1, 2, 3), acme.nkilib.core.qkv.qkv.qkv(x, 1, 2, 3, True), qkv(x, 1, 2, 3, True)
""",
    "other modules under the library's names": f"""
from acme import kernels as nkilib
from acme.ops import project as qkv, mlp as mlp_kernel
from nkilib_x.core.utils.common_types import NormType
{CALLS}
nkilib.core.mlp.mlp.mlp_kernel(1, 2, 3, 4)
""",
    "a variable called nkilib": "nkilib = object()\n\nnkilib.core.mlp.mlp.mlp_kernel(1, 2, 3, 4)\n",
    "a parameter called nkilib": """
import nkilib.core.utils.common_types as T

def run(nkilib, x):
    return nkilib.core.mlp.mlp.mlp_kernel(x, 1, 2, 3)
""",
    "classes of the kernels' names": f"""{TYPES}class qkv:
    def __init__(self, *a):
        self.sizes = a

class mlp_kernel(qkv):
    pass
{CALLS}""",
    "chains of attributes": f"""{TYPES}def run(self, x):
    self.qkv.mlp_kernel.sizes = self.ops.qkv(x, x, x, x, True)
    return self.layers[0].qkv(inp=x).sizes, super().qkv(x, 1, 2, 3, True)
""",
    "properties and methods of every kind": f"""{TYPES}class A:
    @property
    def sizes(self):
        return 1

    @staticmethod
    def qkv(*a):
        return a

    @classmethod
    def mlp_kernel(cls, *a, inp=None):
        return cls.qkv(*a)

    def run(self, x):
        return self.mlp_kernel(x, 1, 2, 3, inp=x), A.qkv(1, 2, 3, 4, True), type(self).sizes
""",
    "attributes by their names": f"""{TYPES}def run(o, x):
    setattr(o, "sizes", 1)
    return getattr(o, "sizes"), getattr(o, "mlp_kernel")(x, 1, 2, 3), hasattr(o, "qkv")
""",
    "dictionaries and f-strings": f"""{TYPES}def run(f, x):
    return f(**{{"inp": x, "mlp_kernel": 1}}), dict(inp=x, sizes=2)["sizes"], f"{{x.sizes}}"
""",
    "a torch module": f"""{TYPES}import torch.nn as nn

class Attention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.qkv = nn.Linear(d, 3 * d)
        self.sizes = [d]

    def forward(self, inp):
        q, k, v = self.qkv(inp).chunk(3)
        return q.size(), self.sizes
""",
    "a data class called TensorView": f"""{TYPES}from dataclasses import dataclass

@dataclass
class TensorView:
    sizes: tuple
    strides: tuple = ()

v = TensorView((1, 2), (2, 1))
print(v.sizes, v.strides[0], TensorView(sizes=(1,)).sizes)
""",
    "a type of another package, for checkers only": """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from acme.nkilib.core.utils.tensor_view import TensorView

def f(v: "TensorView"):
    return v.sizes
""",
    "names that are deleted and bound again": f"""{TYPES}qkv = 1
del qkv
try:
    from acme import qkv
except ImportError:
    qkv = None
print(qkv(1, 2, 3, 4, True))
""",
    "code in strings that is run": f"""{TYPES}CODE = "mlp_kernel(1, 2, 3)"
eval("qkv(1, 2, 3, 4, True)")
exec(CODE)
""",
    "parameters of lambdas and comprehensions": f"""{TYPES}f = lambda x, qkv=max: qkv(x, 1, 2, 3, True)
g = [mlp_kernel(1, 2, 3, 4) for mlp_kernel in (max, min)]
h = {{qkv: sizes for qkv, sizes in {{}}.items()}}
""",
    "other packages called nki": """
import nki_tools as nki
import my.nki.language as nl

@nki.jit
def k(x):
    return nl.load(x)
""",
    "other packages called neuronxcc": """
import acme.neuronxcc.nki as nki
import neuronxcc_tools.nki.language as nl

@nki.jit
def k(x):
    return nl.load(x)
""",
}  # fmt: skip

KERNEL = "def mlp_kernel(*a):\n    return a\n\n\ndef qkv(*a, inp=None):\n    return a\n"
PACKAGE = {f"app/{name}__init__.py": "" for name in ("", "nkilib/", "nkilib/core/", "nkilib/core/mlp/")}
TREES: Mapping[str, Mapping[str, str]] = {
    "a package of one's own called nkilib, in an absolute import": {
        **PACKAGE,
        "app/nkilib/core/mlp/mlp.py": KERNEL,
        "use.py": f"from app.nkilib.core.mlp.mlp import mlp_kernel, qkv\n{CALLS}",
    },
    "in relative imports": {
        **PACKAGE,
        "app/nkilib/core/mlp/mlp.py": KERNEL,
        "app/nkilib/core/use.py": (
            "from .mlp.mlp import mlp_kernel\nfrom ..core.mlp.mlp import mlp_kernel as second\n\n"
            "mlp_kernel(1, 2, 3, 4)\nsecond(1, 2)\n"
        ),
        "app/use.py": (
            "from .nkilib.core.mlp.mlp import mlp_kernel\nfrom . import nkilib\n"
            "from .nkilib.core.utils.tensor_view import TensorView\n\n"
            "mlp_kernel(1, 2, 3, 4)\nnkilib.core.mlp.mlp.mlp_kernel(1, 2, 3, 4)\nTensorView(1).sizes\n"
        ),
    },
    "far down, re-exported by its package": {
        "src/a/b/nkilib/__init__.py": "from .x import qkv\n",
        "src/a/b/nkilib/x.py": KERNEL,
        "src/a/b/use.py": (
            "from .nkilib import qkv\nfrom a.b.nkilib.x import qkv as second\n\n"
            "qkv(1, 2, 3, 4, True)\nsecond(1, 2, 3, 4, True)\n"
        ),
    },
    "modules at the library's paths without its root": {
        "core/mlp/mlp.py": KERNEL,
        "use.py": (
            "from core.mlp.mlp import mlp_kernel\nimport core.qkv.qkv as nkilib\n\n"
            "mlp_kernel(1, 2, 3, 4)\nnkilib.qkv(1, 2, 3, 4, True)\n"
        ),
    },
    "tests of a folder called nkilib": {
        "tests/nkilib/__init__.py": "",
        "tests/nkilib/test_qkv.py": (
            "def test_qkv(qkv, mlp_kernel):\n    qkv(1, 2, 3, 4, True)\n    assert mlp_kernel(1, 2, 3, 4).sizes\n"
        ),
    },
    "star imports of one's own modules": {
        "kernels.py": KERNEL,
        "further.py": "from somewhere import *\n",
        "use.py": f"{TYPES}from kernels import *\nfrom further import *\n{CALLS}",
    },
}


@pytest.mark.parametrize("text", ONE_FILE.values(), ids=ONE_FILE.keys())
def test_a_name_of_somebody_else_is_left_alone(text: str) -> None:
    check_noop(text)


@pytest.mark.parametrize("files", TREES.values(), ids=TREES.keys())
def test_a_package_of_somebody_else_is_left_alone(files: Mapping[str, str]) -> None:
    result = migrate(files)
    assert [(f.path, f.line, f.message) for f in result.findings] == []
    assert not result.changed
    assert not result.problems


def test_the_shapes_are_seen_where_they_are_the_librarys() -> None:
    """The same calls, imported from the library: the cases above are not silent because nothing is looked at."""
    text = f"from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel\nfrom nkilib.core.qkv.qkv import qkv\n{CALLS}"
    result = migrate({"app.py": text})
    assert {"NKM101", "NKM103", "NKM201"} <= {f.code for f in result.findings}
