"""NKM104: names that have another home."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed, migrate

QKV = "from nkilib.core.qkv.qkv import "
LOGGING = "from nkilib.core.utils.logging import "

WHOLE = {
    "one": ("nkilib.core.qkv.qkv", "Logger\nLogger('x')"),
    "alias": ("nkilib.core.qkv.qkv", "Logger as L\nL('x')"),
    "two": ("nkilib.core.qkv.qkv_tkg", "LogLevel, Logger"),
    "legacy root": ("nkilib_standalone.nkilib.core.qkv.qkv", "Logger"),
    "module that moved": ("nkilib_src.nkilib.core.qkv.qkv_tkg_rmsnorm", "Logger"),
    "parentheses": (
        "nkilib.core.qkv.qkv_tkg",
        "(  # logs\n    Logger,  # one\n    # two\n    LogLevel as Level,\n)  # end",
    ),
    "backslash": ("nkilib.core.qkv.qkv", "\\\n    Logger"),
}


@pytest.mark.parametrize(("module", "names"), WHOLE.values(), ids=WHOLE)
def test_a_statement_of_which_all_moved_keeps_its_layout(module: str, names: str) -> None:
    check_transformed(f"from {module} import {names}\n", f"{LOGGING}{names}\n", code="NKM104")


PARTS = {
    "behind": (f"{QKV}Logger, qkv\n", f"{QKV}qkv\n{LOGGING}Logger\n"),
    "alias": (f"{QKV}Logger as L, qkv as q\n", f"{QKV}qkv as q\n{LOGGING}Logger as L\n"),
    "indented": (
        f"try:\n    {QKV}Logger, qkv\nexcept ImportError:\n    Logger = None\n",
        f"try:\n    {QKV}qkv\n    {LOGGING}Logger\nexcept ImportError:\n    Logger = None\n",
    ),
    "on one line": (
        f"def f(): {QKV}Logger, qkv; return Logger\n",
        f"def f(): {QKV}qkv; {LOGGING}Logger; return Logger\n",
    ),
    "comments": (
        f"{QKV}(\n    Logger,\n    # the kernel\n    qkv,  # fused\n)  # end\n",
        f"{QKV}(\n    # the kernel\n    qkv,  # fused\n)  # end\n{LOGGING}Logger\n",
    ),
    "legacy root": (
        "from nkilib_standalone.nkilib.core.qkv.qkv import Logger, qkv\n",
        f"{QKV}qkv\n{LOGGING}Logger\n",
    ),
    "together": (
        "from nkilib.core.output_projection.output_projection_cte import P_MAX, F_MAX, output_projection_cte\n",
        "from nkilib.core.output_projection.output_projection_cte import output_projection_cte\n"
        "from nkilib.core.output_projection.output_projection_cte.output_projection_cte_parameters "
        "import F_MAX, P_MAX\n",
    ),
    "with other names, to two modules": (
        "from nkilib.core.mlp.mlp_tkg.mlp_tkg_constants import layernorm_threshold, rmsnorm_threshold\n",
        "from nkilib.core.subkernels.layernorm_tkg import SHARDING_THRESHOLD as layernorm_threshold\n"
        "from nkilib.core.subkernels.rmsnorm_tkg import SHARDING_THRESHOLD as rmsnorm_threshold\n",
    ),
    "behind a future import": (
        f"from __future__ import annotations\n{QKV}Logger, qkv\n",
        f"from __future__ import annotations\n{QKV}qkv\n{LOGGING}Logger\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), PARTS.values(), ids=PARTS)
def test_what_moved_is_imported_from_its_home(before: str, after: str) -> None:
    check_transformed(before, after, code="NKM104")


REPORTED = {
    "module alias": "import nkilib.core.qkv.qkv as m\nm.Logger('x')\n",
    "plain import": "import nkilib.core.qkv.qkv\nnkilib.core.qkv.qkv.Logger('x')\n",
    "module": "from nkilib.core.qkv import qkv\nqkv.Logger('x')\n",
    "getattr": "import nkilib.core.qkv.qkv as m\ngetattr(m, 'Logger')('x')\n",
    "patch": "import nkilib.core.qkv.qkv as m\nmock.patch.object(m, 'Logger')\n",
}


@pytest.mark.parametrize("text", REPORTED.values(), ids=REPORTED)
def test_attributes_of_a_module_are_reported(text: str) -> None:
    check_reported(text, "NKM104", 2, "nkilib.core.utils.logging")


def test_the_call_is_that_of_the_new_home() -> None:
    check_transformed(
        f"{QKV}Logger\nLogger('x', level=None)\n", f"{LOGGING}Logger\nLogger('x')\n", code="NKM104"
    )


def test_an_exported_name_stays_importable() -> None:
    files = {
        "app/__init__.py": f"{QKV}Logger\n\n__all__ = ['Logger']\n",
        "use.py": "from app import Logger\n\nLogger('x')\n",
    }
    result = migrate(files)
    assert result.text("app/__init__.py") == f"{LOGGING}Logger\n\n__all__ = ['Logger']\n"
    assert result.text("use.py") == files["use.py"]


def test_a_ladder_for_both_releases_stays() -> None:
    text = f"try:\n    {LOGGING}Logger\nexcept ImportError:\n    {QKV}Logger\n"
    check_reported(text, "NKM107", 3, "both releases", outcome="noted")


NOOP = {
    "new": f"{LOGGING}Logger\nLogger('x')\n",
    "still importable there": "from nkilib.core.mlp.mlp import MLPParameters\n",
    "another module's": "from logging import Logger  # nkilib\n",
    "a parameter": "import nkilib.core.qkv.qkv as m\n\n\ndef f(m):\n    return m.Logger\n",
}


@pytest.mark.parametrize("text", NOOP.values(), ids=NOOP)
def test_left_alone(text: str) -> None:
    check_noop(text)
