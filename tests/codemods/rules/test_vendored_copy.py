"""A copy of the library in the user's tree (NKM112)."""

from __future__ import annotations

import pytest
from helpers import migrate


@pytest.mark.parametrize("text", ["# nkilib\n", "from ..mlp.mlp import mlp_kernel  # nkilib\n"])
def test_files_of_the_copy_are_named_and_left_alone(text: str) -> None:
    path = "app/nkilib_standalone/nkilib/core/qkv/qkv.py"
    result = migrate({path: text})
    assert [(f.code, f.line, f.column, f.outcome.value) for f in result.at(path)] == [
        ("NKM112", 1, 1, "needs-you")
    ]
    assert not result.changed
