"""NKM304: NumPy integers as indexes of views."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed

HEAD = (
    "import numpy as np\nfrom nkilib.core.utils.tensor_view import TensorView\n\n\n"
    "def f(v: TensorView, n, x, idx: np.int32):\n"
)

PROVEN = {
    "scalar": ("    v.select(0, {})\n", "np.int64(3)"),
    "negative": ("    v.select(0, {})\n", "-np.int64(3)"),
    "computed": ("    for i in np.arange(n):\n        v.select(0, {})\n", "2 * i + 1"),
    "annotated": ("    v.select(0, {})\n", "idx"),
    "enumerate": ("    for j, i in enumerate(np.arange(n)):\n        v.select(0, {})\n", "i"),
    "zip": ("    for j, i in zip(range(n), np.arange(0, n, 2)):\n        v.select(j, {})\n", "i"),
    "reversed": ("    for i in reversed(np.arange(n, dtype=np.int32)):\n        v.select(0, {})\n", "i"),
    "comprehension": ("    return [v.select(0, {}) for i in np.array([0, 2])]\n", "i"),
    "item": ("    order = np.array([0, 2])\n    v.select(0, {})\n", "order[1]"),
    "largest": ("    order = np.array([0, 2])\n    v.select(0, {})\n", "order.max()"),
    "place of the largest": ("    order = np.arange(n)\n    v.select(0, {})\n", "order.argmax() + 1"),
    "either int": ("    i = np.int32(0) if n else 1\n    v.select(0, {})\n", "i"),
    "chain": ("    TensorView(x).permute(n).select(0, {})\n", "np.int64(3)"),
    "unbound": ("    TensorView.select(v, 0, {})\n", "np.int64(3)"),
    "own lines": ("    v.select(\n        0,  # rows\n        {},  # this one\n    )\n", "np.int64(3)"),
}


@pytest.mark.parametrize(("body", "index"), PROVEN.values(), ids=PROVEN)
def test_proven(body: str, index: str) -> None:
    check_transformed(HEAD + body.format(index), HEAD + body.format(f"int({index})"), code="NKM304")


REPORTED = {
    "array of unknown rank": "for i in np.array(n): v.select(0, i)",
    "perhaps floats": "for i in np.arange(n / 2): v.select(0, i)",
    "one of two": "i = np.int32(0) if n else x; v.select(0, i)",
    "row by an array": "v.select(0, np.arange(8)[x])",
    "element or array": "v.select(0, np.argmax(x))",
    "whatever has a select": "x.select(0, np.int64(3))",
    "view or not": "(v if n else x).select(0, np.int64(3))",
}


@pytest.mark.parametrize("body", REPORTED.values(), ids=REPORTED)
def test_reported(body: str) -> None:
    check_reported(f"{HEAD}    {body}\n", "NKM304", 6, "int(")


UNTOUCHED = {
    "constant": "v.select(0, 3)",
    "range": "for i in range(n): v.select(0, i)",
    "counter": "for i, a in enumerate(np.arange(n)): v.select(0, i)",
    "int already": "v.select(0, int(np.int64(3)))",
    "list of ints": "for i in np.arange(n).tolist(): v.select(0, i)",
    "size": "v.select(0, len(np.arange(n)))",
    "other argument": "v.select(np.int64(0), 1)",
    "other method": "v.permute(np.int64(3))",
    "tensor": "v.select(0, x)",
    "starred": "v.select(*x, np.int64(3))",
    "of NumPy": "np.select(0, np.int64(3))",
}


@pytest.mark.parametrize("body", UNTOUCHED.values(), ids=UNTOUCHED)
def test_untouched(body: str) -> None:
    check_noop(f"{HEAD}    {body}\n")


def test_a_numpy_of_ones_own() -> None:
    check_noop(
        HEAD.replace("import numpy as np", "from app import np  # numpy") + "    v.select(0, np.int64(3))\n"
    )
