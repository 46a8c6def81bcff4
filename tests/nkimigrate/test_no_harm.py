"""What must not change, and what other migration tools got wrong, each mistake transposed to nkilib.

Look-alikes are far more common than the real thing: most `.sizes`, `inp=` and `TiledRangeIterator` in public
code belong to somebody else.
"""

from __future__ import annotations

import sys

import pytest
from helpers import check_noop, check_reported, check_sound, check_transformed, migrate

QKV = "from nkilib.core.qkv.qkv import qkv\n"
VIEW = "from nkilib.core.utils.tensor_view import TensorView\n"

LOOK_ALIKES = {
    "sizes of other objects": VIEW
    + """
import torch
from pandas import DataFrame


class Plan:
    sizes = (1, 2)


def run(frame: DataFrame, plan: Plan, tensor):
    world = torch.distributed.sizes
    return frame.sizes, plan.sizes, Plan().sizes, world, TensorView(tensor).get_dim()
""",
    "inp as a keyword of one's own functions": QKV
    + """

def encode(inp, gamma):
    return inp * gamma


class Norm:
    def __call__(self, inp, output_in_sbuf=False):
        return inp if output_in_sbuf else None


def run(x, w, norm):
    return encode(inp=x, gamma=w), Norm()(inp=x, output_in_sbuf=True), norm(inp=x), qkv(x, w)
""",
    "functions of the same names": """
from nkilib.core.utils.common_types import NormType


def mlp_kernel(x, gate, up, down, *rest):
    return x, gate, up, down, rest, NormType.NO_NORM


def qkv(*args):
    return args


class TiledRangeIterator:
    def __init__(self, tile_size, tile_index, start_offset):
        self.sizes = tile_size, tile_index, start_offset


def run(x, g, u, d, w, b):
    rows = TiledRangeIterator(128, 0, 0)
    return mlp_kernel(x, g, u, d, *range(20)), qkv(x, w, None, b, True, x, x), rows.sizes
""",
    "a method and an attribute called qkv": QKV
    + """

class Attention:
    def __init__(self, linear):
        self.qkv = linear

    def mlp_kernel(self, x):
        return x

    def forward(self, x, w, layout, b):
        self.mlp_kernel(x)
        return self.qkv(x, w, layout, b, True), qkv(x, w, layout, b)
""",
    "an import in a class body is not what its methods see": """
from app.ops import qkv


class Kernels:
    from nkilib.core.qkv.qkv import qkv

    def run(self, x, w, layout, b):
        return qkv(x, w, layout, b, True)
""",
    "a local function hides the import": QKV
    + """

def run(x, w, layout, b):
    def qkv(*args):
        return args

    return qkv(x, w, layout, b, True)
""",
    "a comprehension's variable hides the import": QKV
    + """

def run(x, w, layout, b, kernels):
    return [qkv(x, w, layout, b, True) for qkv in kernels]
""",
    "a loop variable, a with target, an exception, a pattern": QKV
    + """

def run(x, w, layout, b, kernels, opened, value):
    for qkv in kernels:
        qkv(x, w, layout, b, True)


def second(x, w, layout, b, opened):
    with opened as qkv:
        qkv(x, w, layout, b, True)


def third(x, w, layout, b):
    try:
        return None
    except ValueError as qkv:
        qkv(x, w, layout, b, True)


def fourth(x, w, layout, b, value):
    match value:
        case [qkv, *_]:
            qkv(x, w, layout, b, True)
        case {"k": qkv}:
            qkv(x, w, layout, b, True)
""",
    "a lambda's parameter hides the import": QKV + "\nrun = lambda qkv, x, w, b: qkv(x, w, None, b, True)\n",
    "a global set elsewhere": """
qkv = None


def install(kernel):
    global qkv
    qkv = kernel


def run(x, w, layout, b):
    from nkilib.core.utils.common_types import NormType

    return qkv(x, w, layout, b, True), NormType
""",
    "code in strings": QKV
    + '''
PROMPT = """Write a kernel like this:
from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel
y = mlp_kernel[2](x, g, u, d)
"""
TEMPLATE = "from nkilib_standalone.nkilib.core.qkv.qkv import qkv\\nqkv(x, w, l, b, True)\\n"


def generate(name):
    return f"import nkilib_standalone.nkilib.core.{name} as M; M.mlp_kernel(x)", TEMPLATE + PROMPT


def documented():
    """Calls ``mlp_kernel`` of nkilib_standalone.

    from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel
    """
''',
    "sentences that mention the library": QKV
    + """
raise_text = "please install nkilib_standalone, see nkilib_standalone.nkilib and mlp_kernel"
logger_name = "mlp_kernel"
OPTIONS = {"mlp_kernel": 1, "inp": 2, "sizes": 3}
""",
    "packages with similar names": """
import mynkilib.core.mlp.mlp
import nkilib_standalone_extras
import nkilib_tools as nkilib
from nkilib_standalone2.nkilib.core.mlp.mlp import mlp_kernel

PATH = "nkilib_standalone_extras.nkilib.core.mlp.mlp"


def run(x):
    return mlp_kernel(x), mynkilib.core.mlp.mlp.mlp_kernel(x), nkilib.core.mlp.mlp.mlp_kernel(x)
""",
    "a comment that suppresses nothing": "# nkilib and mlp_kernel are only mentioned here\nx = 1\n",
    "a keyword called like a kernel": QKV
    + "\n\ndef run(build, x, w):\n    return build(mlp_kernel=x, qkv=None, inp=w)\n",
    "a decorator's result is not the decorator": """
from nkilib.core.utils.common_types import NormType

from app.registry import qkv


@qkv()
def run(x, w, layout, b):
    return qkv()(x, w, layout, b, True), NormType
""",
    "a dictionary looks like its own name": """
from nkilib.core.utils.common_types import NormType

TABLE = {"qkv": print}


def run(x, w, layout, b):
    return TABLE["qkv"](x, w, layout, b, True), NormType
""",
}


@pytest.mark.parametrize("text", LOOK_ALIKES.values(), ids=LOOK_ALIKES.keys())
def test_a_look_alike_is_left_alone(text: str) -> None:
    check_noop(text)


@pytest.mark.parametrize(
    "binding", ["mlp_kernel", "*mlp_kernel", "**mlp_kernel", "x, /, mlp_kernel", "*, mlp_kernel"]
)
def test_a_parameter_of_the_same_name_is_not_the_kernel(binding: str) -> None:
    """django-upgrade rewrote a call through a parameter that had the function's name."""
    before = f"from nkilib.core.mlp.mlp import mlp_kernel as K\n\n\ndef f({binding}):\n    mlp_kernel(1)\n"
    check_transformed(before, before.replace("import mlp_kernel as K", "import mlp as K"), code="NKM103")


def test_a_renamed_import_leaves_a_shadowing_parameter_and_keywords_alone() -> None:
    before = """\
from nkilib.core.mlp.mlp import mlp_kernel


def own(mlp_kernel, x):
    return mlp_kernel(x)


def run(x, g, u, d, build):
    own(mlp_kernel=x, x=x)
    return build(mlp_kernel=mlp_kernel), mlp_kernel(x, g, u, d)
"""
    after = """\
from nkilib.core.mlp.mlp import mlp


def own(mlp_kernel, x):
    return mlp_kernel(x)


def run(x, g, u, d, build):
    own(mlp_kernel=x, x=x)
    return build(mlp_kernel=mlp), mlp(x, g, u, d)
"""
    check_transformed(before, after, code="NKM103")


def test_vendored_and_environment_folders_are_not_searched() -> None:
    old = QKV + "\nqkv(1, 2, 3, 4, True)\n"
    folders = [
        ".venv/lib/python3.11/site-packages",
        "venv/lib",
        "node_modules/x",
        ".git/hooks",
        "a/__pycache__",
    ]
    files = {f"{folder}/kernels.py": old for folder in folders}
    result = migrate({"app.py": "x = 1\n", "venv/pyvenv.cfg": "home = /usr\n", **files})
    assert not result.findings
    assert not result.changed


# -- mistakes of other tools --------------------------------------------------------------------------

SHAPES = {
    "as": ("from nkilib.core.qkv.qkv import qkv as k", "k"),
    "dotted import": ("import nkilib.core.qkv.qkv", "nkilib.core.qkv.qkv.qkv"),
    "module alias": ("import nkilib.core.qkv.qkv as Q", "Q.qkv"),
    "module from its package": ("from nkilib.core.qkv import qkv as Q", "Q.qkv"),
    "assignment": ("from nkilib.core.qkv.qkv import qkv\n\nf = qkv", "f"),
    "assignment of the module": ("import nkilib.core.qkv.qkv as M\n\nN = M", "N.qkv"),
    "two assignments": ("from nkilib.core.qkv.qkv import qkv\n\nf = qkv\ng = f", "g"),
    "annotated assignment": ("from nkilib.core.qkv.qkv import qkv\n\nf: object = qkv", "f"),
    "tuple assignment": ("from nkilib.core.qkv.qkv import qkv, qkv_cte\n\nf, g = qkv, qkv_cte", "f"),
    "walrus": ("from nkilib.core.qkv.qkv import qkv\n\nprint(f := qkv)", "f"),
    "partial": ("import functools\n\nfrom nkilib.core.qkv.qkv import qkv\n\nf = functools.partial(qkv)", "f"),
    "partial at once": (
        "from functools import partial as p\n\nfrom nkilib.core.qkv.qkv import qkv",
        "p(qkv)",
    ),
    "launch": ("from nkilib.core.qkv.qkv import qkv\n\nf = qkv[2]", "f"),
    "jit at the launch": ("import nki\nfrom nkilib.core.qkv.qkv import qkv", "nki.jit(qkv)[2]"),
    "jit with options": ("import nki\nfrom nkilib.core.qkv.qkv import qkv", 'nki.jit(mode="torchxla")(qkv)'),
    "unwrapped": ("from nkilib.core.qkv.qkv import qkv", "qkv.__wrapped__"),
    "stored in a table": ('from nkilib.core.qkv.qkv import qkv\n\nT = {}\nT["qkv"] = qkv', 'T["qkv"]'),
    "conditional": ("from nkilib.core.qkv.qkv import qkv, qkv_cte\n\nf = qkv if DEBUG else qkv_cte", "f"),
    "getattr": ('import nkilib.core.qkv.qkv as Q\n\nf = getattr(Q, "qkv")', "f"),
    "inside a function": ("def load():\n    pass", "inner"),
    "rebinding by a launch": ("from nkilib.core.qkv.qkv import qkv\n\nqkv = qkv[2]", "qkv"),
    "rebinding by a partial": (
        "from functools import partial\n\nfrom nkilib.core.qkv.qkv import qkv\n\nqkv = partial(qkv)",
        "qkv",
    ),
    "rebinding by jit": ("import nki\nfrom nkilib.core.qkv.qkv import qkv\n\nqkv = nki.jit(qkv)", "qkv"),
    "class attribute": (
        "from nkilib.core.qkv.qkv import qkv\n\n\nclass Ops:\n    project = qkv\n",
        "Ops.project",
    ),
}


@pytest.mark.parametrize(("setup", "callee"), SHAPES.values(), ids=SHAPES.keys())
def test_no_shape_of_a_callee_is_missed_in_silence(setup: str, callee: str) -> None:
    """django-upgrade, ruff and others leave calls through an alias untouched and say nothing."""
    inner = "    from nkilib.core.qkv.qkv import qkv as inner\n\n" if callee == "inner" else ""
    run = f"def run(x, w, layout, b, DEBUG=0):\n{inner}    return {callee}(x, w, layout, b, False)\n"
    before = f"{setup}\n\n\n{run}"
    check_transformed(before, before.replace("b, False)", "b, fused_residual_add=False)"), code="NKM201")


def test_surplus_arguments_are_never_deleted() -> None:
    """hypothesis' codemod zipped arguments with parameters and dropped the rest."""
    text = (
        "from nkilib.core.output_projection.output_projection_tkg import output_projection_tkg\n\n"
        "output_projection_tkg(a, w, b, True, False, 1, 2, 3, 4)\n"
    )
    check_reported(text, "NKM201", 3, "positional")


@pytest.mark.parametrize(
    "call", ["qkv(*a, True)", "qkv(*a, b, True)", "qkv(x, *a, True)", "qkv(x, w, layout, *a, True)"]
)
def test_a_star_is_neither_guessed_nor_dropped(call: str) -> None:
    """hypothesis' codemod guessed a keyword behind a star; tf_upgrade_v2's loop dropped the star."""
    check_reported(f"{QKV}\n\ndef run(x, w, layout, b, a):\n    return {call}\n", "NKM201", 5, "4")


def test_no_positional_argument_ever_follows_a_keyword() -> None:
    """polars-upgrade wrote `f(values=a, b+c, c)`, and its own test asserts that."""
    before = f"{QKV}\n\ndef run(x, w, lay, b, c):\n    return qkv(x, w, lay, b, b + c, c, *())\n"
    result = migrate({"app.py": before})
    compile(result.text("app.py"), "app.py", "exec")
    assert result.at("app.py", 5)


def test_an_alias_is_used_as_a_name_not_as_a_module() -> None:
    """torchfix turned `from torch import ger as g; g(a, b)` into `g.outer(a, b)`."""
    before = "from nkilib.core.mlp.mlp import mlp_kernel as g\n\ng(a, b, c, d)\n"
    check_transformed(before, before.replace("import mlp_kernel as g", "import mlp as g"), code="NKM103")


def test_a_name_keeps_its_own_spelling_beside_another_import_of_the_module() -> None:
    """ruff rewrote `np.float_` to `numpy.float64` because `import numpy` was there as well."""
    before = "import nkilib.core.mlp.mlp\nimport nkilib.core.mlp.mlp as M\n\nM.mlp_kernel(a, b, c, d)\n"
    check_transformed(before, before.replace("M.mlp_kernel", "M.mlp"), code="NKM103")


VIEWS = {
    "annotated local": "def run(make):\n    v: TensorView = make()\n    return v.sizes[0]\n",
    "annotated parameter": "def run(v: TensorView):\n    return v.sizes[0]\n",
    "alias of a variable": "def run(t):\n    v = TensorView(t)\n    w = v\n    return w.sizes[0]\n",
    "attribute": (
        "class A:\n    def __init__(self, t):\n        self.v = TensorView(t)\n\n"
        "    def run(self):\n        return self.v.sizes[0]\n"
    ),
    "attribute of a local object": (
        "class A:\n    def __init__(self, t):\n        self.v = TensorView(t)\n\n\n"
        "def run(t):\n    a = A(t)\n    return a.v.sizes[0]\n"
    ),
    "element of a list": "def run(t):\n    vs = [TensorView(t), TensorView(t)]\n    return vs[0].sizes[0]\n",
    "union with None": "def run(v: TensorView | None):\n    return v.sizes[0]\n",
    "isinstance": "def run(v):\n    if isinstance(v, TensorView):\n        return v.sizes[0]\n",
}


@pytest.mark.parametrize("body", VIEWS.values(), ids=VIEWS.keys())
def test_no_receiver_is_missed_in_silence(body: str) -> None:
    """ruff's rules for renamed attributes miss annotated locals, aliases of variables and `self.x`."""
    before = f"{VIEW}\n\n{body}"
    check_transformed(before, before.replace(".sizes", ".shape"), code="NKM301")


def test_a_subclass_without_a_constructor_takes_its_base_class_arguments() -> None:
    before = (
        "from nkilib.core.utils.tiled_range import TiledRangeIterator\n\n\n"
        "class Rows(TiledRangeIterator):\n    pass\n\n\n"
        "def run(size, i, start):\n    return Rows(size, i, start)\n"
    )
    result = migrate({"app.py": before})
    assert any(f.code.startswith(("NKM2", "NKM3")) for f in result.at("app.py")), "missed in silence"
    check_sound(result)


def test_a_file_that_does_not_parse_is_named_and_stops_nobody() -> None:
    """pyupgrade, django-upgrade and torchfix return 0 and no word for such a file."""
    good = f"{QKV}\n\ndef run(x, w, lay, b):\n    return qkv(x, w, lay, b, True)\n"
    result = migrate({"a.py": "import nkilib\nprint 'x'\n", "b.py": good})
    assert [(p.code[:4], p.path, p.line) for p in result.problems] == [("NKM9", "a.py", 2)]
    assert result.changed == {"b.py"}
    assert result.after["a.py"] == result.before["a.py"]


@pytest.mark.parametrize("terms", [400, 3_000, 30_000])
def test_absurdly_deep_code_costs_its_own_file_only(terms: int) -> None:
    """pyupgrade died of a RecursionError and left every later file of the batch; libcst ends the process."""
    good = f"{QKV}\n\ndef run(x, w, lay, b):\n    return qkv(x, w, lay, b, True)\n"
    deep = good + "\ntotal = " + " + ".join(["n"] * terms) + "\n"
    result = migrate({"a.py": deep, "b.py": good})
    assert "b.py" in result.changed
    assert "a.py" in {*result.changed, *(p.path for p in result.problems)}
    expected = deep.replace("b, True", "b, fused_residual_add=True").encode()
    assert result.after["a.py"] in (expected, result.before["a.py"])


MODERN = {
    "match": "match x:\n    case {'a': [1, *_]} if (y := qkv(x, w, lay, b, True)):\n        pass\n",
    "parenthesised with": "with (open(x) as a, open(w) as c):\n    y = qkv(a, c, lay, b, True)\n",
    "walrus": "if (y := qkv(x, w, lay, b, True)) is not None:\n    print(y)\n",
    "f-string with its own quote": "text = f\"{qkv(x, w, lay, b, True)!r:>{10}} {'q'}\"\n",
    "positional-only and keyword-only": "def f(x, /, w, *, lay, b):\n    return qkv(x, w, lay, b, True)\n",
    "async": "async def f():\n    async with x:\n        return [await qkv(i, w, lay, b, True)]\n",
    "star expressions": "def f():\n    yield *x, qkv(x, w, lay, b, True)\n\n\nprint(x[w, lay], {**b})\n",
    "decorated class": "@qkv(x, w, lay, b, True)\nclass A:\n    pass\n",
}
if sys.version_info >= (3, 11):
    MODERN["except star"] = "try:\n    pass\nexcept* ValueError:\n    y = qkv(x, w, lay, b, True)\n"
if sys.version_info >= (3, 12):
    MODERN["type parameters"] = (
        "def f[T](x: T) -> T:\n    return qkv(x, w, lay, b, True)\n\n\ntype A[T] = list[T]\n"
    )
    MODERN["nested quotes"] = 'text = f"{qkv(x, w, lay, b, True)} {"q"}"\n'


@pytest.mark.parametrize("body", MODERN.values(), ids=MODERN.keys())
def test_modern_syntax_is_no_obstacle(body: str) -> None:
    """pasta, on which tf_upgrade_v2 and others stand, fails on match, walrus, with (...) and except*."""
    before = f"{QKV}\nx = w = lay = b = None\n{body}"
    after = before.replace("b, True)", "b, fused_residual_add=True)")
    check_transformed(before, after, code="NKM201")
