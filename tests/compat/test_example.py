"""The example package's views, tiles and last norm: the same through compat and migrated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import oldcode
from equality import check_equal
from helpers import migrate
from oldcalls import HOST

LAYOUTS = """
cache = tensor(2, 4, 16, 64)
view = head_view(cache, 1)
tiles = [vars(tail_tile(300, 128)), vars(tail_tile(5, 128))]
other = transposed(tensor(8, 4), 4, 2)
result = [
    tuple(view.shape), tuple(split_heads(view, 4, 16).shape), sequence_length(view), padded(view),
    swapped_length(cache), bytes_of([view, view], CachePlan([5])), tuple(other.strides), tiles,
]
"""
DECODE = """
hidden, gamma, beta = bf16(1, 4, 256), bf16(1, 256), bf16(1, 256)
result = [final_norm(hidden, gamma), final_norm(hidden, gamma, beta)]
"""


def check(repository: Path, file: str, driver: str) -> list[Any]:
    """Run the file with a driver at its end, as it is and migrated; what both give."""
    text = (repository / "examples/llama_trn/llama_trn/kernels" / file).read_text(encoding="utf-8")
    text = text.replace("from __future__ import annotations\n", "").replace("neuronxcc.nki", "nki")
    head = HOST.replace("{root}", "nkilib_standalone.nkilib")
    old = oldcode.run(f"{head}{text}{driver}")
    new = oldcode.run(migrate({"old.py": f"{head}{text}{driver}"}).text("old.py"), "nkilib")
    assert (old.error, new.error, new.warnings) == ("", "", [])
    check_equal(old.result, new.result)
    return list(old.result)


def test_views_and_tiles_over_the_cache(repository: Path) -> None:
    assert check(repository, "layouts.py", LAYOUTS)[:6] == [
        (2, 16, 64), (2, 16, 4, 16), 16, [2, 16, 64, 1], 16, 2 * 2 * 16 * 64 * 2 + 5,
    ]  # fmt: skip


def test_the_last_norm(repository: Path) -> None:
    assert [made.shape for made in check(repository, "decode.py", DECODE)] == [(128, 4, 2), (128, 4, 2)]
