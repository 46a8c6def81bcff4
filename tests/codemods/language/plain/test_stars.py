"""Arguments of calls in kernels that come from a sequence or a mapping."""

from __future__ import annotations

import numpy as np
import pytest
from migrated import HEAD, check_same, migrated

RNG = np.random.default_rng(3)
KERNEL = """\
def mixed(one, two, scale=1.0, shift=0.0):
    return one * scale + two + shift


@nki.jit
def k(x, y):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    a, b = nl.load(x[0:64, 0:32]), nl.load(y[0:64, 0:32])
{body}    nl.store(out[0:64, 0:32], r)
    return out
"""
SAME = {
    "a tuple": "    pair = (a, b)\n    r = mixed(*pair)\n",
    "a display": "    r = mixed(*(a, b), *[0.5])\n",
    "several": "    pair = a, b\n    last = (2.0, 3.0)\n    r = mixed(*pair, *last)\n",
    "a mapping": '    r = mixed(a, b, **{"scale": 0.5, "shift": 2.0})\n',
    "a named mapping": '    options = {"scale": 0.5}\n    r = mixed(a, b, **options, shift=1.0)\n',
    "the language's": '    pair = (a, b)\n    options = {"dtype": nl.float32}\n    r = nl.add(*pair, **options)\n',
    "on several lines": "    r = mixed(\n        *(\n            a,\n            b,\n        ),\n        shift=2.0,\n    )\n",
    "in a loop": "    pair = (b, a)\n    r = a\n    for i in range(2):\n        r = mixed(*pair, shift=i)\n",
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_spelled_is_written_out(case: str) -> None:
    arrays = [RNG.normal(size=(64, 32)).astype(np.float32) for _ in range(2)]
    new = check_same(KERNEL.format(body=SAME[case]), "k", *arrays)
    assert "*pair" not in new
    assert "**" not in new


@pytest.mark.parametrize(
    "body",
    [
        "    pair = (a, b)\n    if x.shape[0] > 3:\n        pair = (b, a)\n    r = mixed(*pair)\n",
        "    pair = [a, b]\n    pair.reverse()\n    r = mixed(*pair)\n",
        '    options = {"scale": 0.5}\n    options["scale"] = 2.0\n    r = mixed(a, b, **options)\n',
        '    scale = 2.0\n    options = {"scale": scale}\n    scale = 3.0\n    r = mixed(a, b, **options)\n',
        "    r = mixed(*x.shape)\n",
    ],
)
def test_what_is_not_known_is_reported(body: str) -> None:
    assert set(migrated(HEAD + KERNEL.format(body=body))[1]) >= {"M-PY"}
