"""NKM102: modules that moved, in every form of import and of use."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed, migrate

OLD = "nkilib.core.qkv.qkv_tkg_rmsnorm"
NEW = "nkilib.core.subkernels.rmsnorm_tkg"

REPLACED = {
    "from": "from @ import SHARDING_THRESHOLD, rmsnorm_tkg as norm\n",
    "plain": "import @\nprint(@.SHARDING_THRESHOLD)\n",
    "alias": "import @ as norms\nprint(norms.SHARDING_THRESHOLD)\n",
    "alias like the module": "import @ as qkv_tkg_rmsnorm\nprint(qkv_tkg_rmsnorm.SHARDING_THRESHOLD)\n",
    "beside others": "import os, @  # both\nprint(@.SHARDING_THRESHOLD, os.sep)\n",
    "in a function": "def f():\n    from @ import SHARDING_THRESHOLD\n\n    return SHARDING_THRESHOLD\n",
    "in a branch": "if FLAG:\n    import @\n\n    print(@.SHARDING_THRESHOLD)\n",
    "parentheses": "from @ import (  # norms\n    SHARDING_THRESHOLD,  # limit\n)\n",
    "annotation in quotes": "import @\n\n\ndef f(norm: '@.Norm'): ...\n",
    "several lines": "import @\n\nx = (\n    @\n    .SHARDING_THRESHOLD  # here\n)\n",
}


@pytest.mark.parametrize("text", REPLACED.values(), ids=REPLACED)
def test_the_path_is_replaced(text: str) -> None:
    check_transformed(text.replace("@", OLD), text.replace("@", NEW), code="NKM102")


@pytest.mark.parametrize("root", ["nkilib_standalone.", "nkilib_src."])
def test_a_legacy_root_goes_with_it(root: str) -> None:
    text = REPLACED["plain"]
    check_transformed(text.replace("@", root + OLD), text.replace("@", NEW), code="NKM102")


TAKEN_APART = {
    "module": (
        "from nkilib.core.qkv import qkv_tkg_rmsnorm\nprint(qkv_tkg_rmsnorm)\n",
        "from nkilib.core.subkernels import rmsnorm_tkg as qkv_tkg_rmsnorm\nprint(qkv_tkg_rmsnorm)\n",
    ),
    "module beside others": (
        "from nkilib.core.qkv import qkv, qkv_tkg_rmsnorm as r, qkv_tkg_layernorm\n",
        "from nkilib.core.qkv import qkv\n"
        "from nkilib.core.subkernels import rmsnorm_tkg as r\n"
        "from nkilib.core.subkernels import layernorm_tkg as qkv_tkg_layernorm\n",
    ),
    "on one line": (
        "if FLAG: from nkilib.core.qkv import qkv, qkv_tkg_rmsnorm as r\n",
        "if FLAG: from nkilib.core.qkv import qkv; from nkilib.core.subkernels import rmsnorm_tkg as r\n",
    ),
    "a name that moved on": (
        f"from {OLD} import Logger, SHARDING_THRESHOLD\n",
        f"from {NEW} import SHARDING_THRESHOLD\nfrom nkilib.core.utils.logging import Logger\n",
    ),
    "the old package used as well": (
        f"import {OLD}\nprint({OLD}.SHARDING_THRESHOLD, nkilib.core.qkv.qkv)\n",
        f"import {NEW}\nimport nkilib.core.qkv\nprint({NEW}.SHARDING_THRESHOLD, nkilib.core.qkv.qkv)\n",
    ),
    "the old package imported as well": (
        f"import nkilib.core.qkv.qkv\nimport {OLD}\nprint({OLD}.SHARDING_THRESHOLD, nkilib.core.qkv.qkv)\n",
        f"import nkilib.core.qkv.qkv\nimport {NEW}\nprint({NEW}.SHARDING_THRESHOLD, nkilib.core.qkv.qkv)\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), TAKEN_APART.values(), ids=TAKEN_APART)
def test_the_statement_is_taken_apart(before: str, after: str) -> None:
    check_transformed(before, after, code="NKM102")


THROUGH_THE_PACKAGE = {
    "plain": "import nkilib.core.qkv\nprint(nkilib.core.qkv.qkv_tkg_rmsnorm.SHARDING_THRESHOLD)\n",
    "alias": "import nkilib.core.qkv as q\nprint(q.qkv_tkg_rmsnorm.SHARDING_THRESHOLD)\n",
    "from": "from nkilib.core import qkv\nprint(qkv.qkv_tkg_rmsnorm.SHARDING_THRESHOLD)\n",
}


@pytest.mark.parametrize("text", THROUGH_THE_PACKAGE.values(), ids=THROUGH_THE_PACKAGE)
def test_through_its_package_it_is_reported(text: str) -> None:
    check_reported(text, "NKM102", 2, f"import {NEW}")


NOOP = {
    "the new module": f"from {NEW} import SHARDING_THRESHOLD\n",
    "a longer name": f"from {OLD}_extra import x\n",
    "a stranger": "from my.nkilib.core.qkv.qkv_tkg_rmsnorm import SHARDING_THRESHOLD\n",
    "a local name": f"import {NEW}\n\n\ndef f(qkv):\n    return qkv.qkv_tkg_rmsnorm\n",
    "a comment": f"# {OLD}\n",
}


@pytest.mark.parametrize("text", NOOP.values(), ids=NOOP)
def test_left_alone(text: str) -> None:
    check_noop(text)


def test_a_ladder_for_both_releases_stays() -> None:
    new, old = (f"from {path} import SHARDING_THRESHOLD\n" for path in (NEW, OLD))
    text = f"try:\n    {new}except ImportError:\n    {old}"
    check_reported(text, "NKM107", 3, "both releases", outcome="noted")


def test_a_module_reexported_by_a_package_keeps_its_name() -> None:
    files = {
        "app/__init__.py": "from nkilib.core.qkv import qkv_tkg_rmsnorm\n",
        "use.py": "from app import qkv_tkg_rmsnorm\n\nprint(qkv_tkg_rmsnorm.SHARDING_THRESHOLD)\n",
    }
    result = migrate(files)
    assert result.text("app/__init__.py") == (
        "from nkilib.core.subkernels import rmsnorm_tkg as qkv_tkg_rmsnorm\n"
    )
    assert result.text("use.py") == files["use.py"]
