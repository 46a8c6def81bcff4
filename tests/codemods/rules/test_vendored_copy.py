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


TEST = "import nkilib.core.mlp.mlp as m\n\nm.mlp_kernel(x, g, u, d)\n"


@pytest.mark.parametrize("path", ["test/unit/nkilib/core/mlp/test_mlp.py", "tests/nkilib/core/util.py"])
def test_tests_in_folders_called_like_the_library_s_are_migrated(path: str) -> None:
    assert "m.mlp(x, g, u, d)" in migrate({path: TEST}).text(path)


@pytest.mark.parametrize(
    "path",
    [
        "tests/nkilib/core/mlp/mlp.py",
        "libs/nkilib/core/mlp/test_mlp.py",
        "nkilib/core/tests/test_mlp.py",
        "tests/nkilib_standalone/nkilib/core/mlp/test_mlp.py",
    ],
)
def test_a_copy_is_one_below_tests_too(path: str) -> None:
    result = migrate({path: TEST})
    assert not result.changed
    assert {f.code for f in result.at(path)} == {"NKM112"}
