"""NKM111: two copies of the library in one file."""

from __future__ import annotations

import pytest
from helpers import migrate

NEW = "from nkilib.core.qkv.qkv import qkv\n"
OLD = "from nkilib_standalone.nkilib.core.utils.common_types import NormType\n"
WHEEL = "from nkilib_src.nkilib.core.utils.common_types import ActFnType\n"

MIXED = {
    "new and old": (2, NEW + OLD),
    "old and new": (2, OLD + NEW),
    "two old ones": (2, WHEEL + OLD),
    "three": (2, NEW + WHEEL + OLD),
    "plain import": (2, f"{NEW}import nkilib_standalone.nkilib.core.mlp.mlp\n"),
    "star": (2, f"{NEW}from nkilib_standalone.nkilib.core.utils.common_types import *\nprint(NormType)\n"),
    "in two functions": (5, f"def f():\n    {NEW}\ndef g():\n    {OLD}"),
    "in two branches": (4, f"if FLAG:\n    {NEW}else:\n    {OLD}"),
}


@pytest.mark.parametrize(("line", "text"), MIXED.values(), ids=MIXED)
def test_noted_where_the_second_root_comes_in(line: int, text: str) -> None:
    result = migrate({"app.py": text})
    found = [f for f in result.findings if f.code == "NKM111"]
    assert [(f.line, f.outcome.value) for f in found] == [(line, "noted")]
    assert "nkilib_" not in result.text("app.py")


ONE = {
    "new": NEW + NEW.replace("qkv import", "qkv_cte import"),
    "old": OLD + OLD.replace("NormType", "ActFnType"),
    "ladder": f"try:\n    {NEW}except ImportError:\n    {OLD}",
    "a package of your own": f"{NEW}from app.nkilib_standalone import x\n",
    "a name that looks alike": f"{NEW}import nkilib_standalone2\n",
}


@pytest.mark.parametrize("text", ONE.values(), ids=ONE)
def test_one_root_is_not_mentioned(text: str) -> None:
    assert not [f for f in migrate({"app.py": text}).findings if f.code == "NKM111"]
