"""NKM101: every form of import of a legacy root."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed

FORMS = {
    "from": (
        "from nkilib_standalone.nkilib.core.qkv.qkv import qkv\n",
        "from nkilib.core.qkv.qkv import qkv\n",
    ),
    "wheel root": (
        "from nkilib_src.nkilib.core.qkv.qkv import qkv\n",
        "from nkilib.core.qkv.qkv import qkv\n",
    ),
    "module alias": (
        "import nkilib_standalone.nkilib.core.qkv.qkv as q\nq.qkv(x, w)\n",
        "import nkilib.core.qkv.qkv as q\nq.qkv(x, w)\n",
    ),
    "dotted": (
        "import nkilib_standalone.nkilib.core.qkv.qkv\nnkilib_standalone.nkilib.core.qkv.qkv.qkv[2](x, w)\n",
        "import nkilib.core.qkv.qkv\nnkilib.core.qkv.qkv.qkv[2](x, w)\n",
    ),
    "dotted twice": (
        "import nkilib_standalone.nkilib.core.qkv.qkv, nkilib_standalone.nkilib.core.mlp.mlp\n"
        "nkilib_standalone.nkilib.core.qkv.qkv.qkv(x, w)\n",
        "import nkilib.core.qkv.qkv, nkilib.core.mlp.mlp\nnkilib.core.qkv.qkv.qkv(x, w)\n",
    ),
    "the root itself": ("from nkilib_standalone import nkilib\n", "import nkilib\n"),
    "the root under another name": ("from nkilib_standalone import nkilib as k\n", "import nkilib as k\n"),
    "the hidden root": ("import nkilib_standalone.nkilib as nkilib\n", "import nkilib\n"),
    "in a function": (
        "def f():\n    from nkilib_standalone.nkilib.core.qkv.qkv import qkv\n\n    return qkv\n",
        "def f():\n    from nkilib.core.qkv.qkv import qkv\n\n    return qkv\n",
    ),
    "type checking": (
        "if TYPE_CHECKING:\n    from nkilib_standalone.nkilib.core.utils.common_types import NormType\n",
        "if TYPE_CHECKING:\n    from nkilib.core.utils.common_types import NormType\n",
    ),
    "parentheses and comments": (
        "from nkilib_standalone.nkilib.core.utils.common_types import (  # noqa: E501\n"
        "    NormType,  # norms\n    ActFnType,\n)\n",
        "from nkilib.core.utils.common_types import (  # noqa: E501\n    NormType,  # norms\n    ActFnType,\n)\n",
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str) -> None:
    before, after = FORMS[name]
    check_transformed(before, after, code="NKM101")


def test_the_old_name_used_otherwise_needs_a_person() -> None:
    check_reported(
        "import nkilib_standalone.nkilib\nprint(nkilib_standalone.__path__)\n", "NKM101", 1, "nkilib"
    )


def test_the_new_name_bound_otherwise_needs_a_person() -> None:
    code = "import nkilib_standalone.nkilib.core.qkv.qkv\n\nnkilib = None\n"
    check_reported(code, "NKM101", 1, "nkilib")


def test_a_stranger_is_left_alone() -> None:
    check_noop("import nkilib_standalone2\n\nnkilib_standalone2.nkilib.run()\n")


def test_deleted_names_are_not_renamed() -> None:
    check_transformed(
        "from nkilib.core.mlp.mlp import mlp_kernel\nmlp_kernel(x, g, u, d)\ndel mlp_kernel\n",
        "from nkilib.core.mlp.mlp import mlp as mlp_kernel\nmlp_kernel(x, g, u, d)\ndel mlp_kernel\n",
        code="NKM103",
    )
