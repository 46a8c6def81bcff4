"""NKM302: views made by their constructor with more than the base tensor."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed

VIEW = "from nkilib.core.utils.tensor_view import TensorView\n\n\n"
HEAD = VIEW + "def f(t, s, st, v: TensorView, maybe=None):\n"

REWRITTEN = {
    "literal lists": (
        "TensorView(t, [8, 16], [16, 1])",
        "TensorView(t)._copy(shape=(8, 16), strides=(16, 1))",
    ),
    "one dimension": ("TensorView(t, [8], [1])", "TensorView(t)._copy(shape=(8,), strides=(1,))"),
    "tuples stay": ("TensorView(t, (8, 16), st)", "TensorView(t)._copy(shape=(8, 16), strides=tuple(st))"),
    "in the order they were written": (
        "TensorView(t, strides=st, offset=2, sizes=s)",
        "TensorView(t)._copy(strides=tuple(st), offset=2, shape=tuple(s))",
    ),
    "literal list, no strides": (
        "TensorView(t, [8, 16])",
        "TensorView(t)._copy(shape=(8, 16), strides=TensorView.get_trivial_strides((8, 16)))",
    ),
    "strides alone": ("TensorView(t, strides=st)", "TensorView(t)._copy(strides=tuple(st))"),
    "computed once": (
        "TensorView(t, s.pop(), st)",
        "TensorView(t)._copy(shape=tuple(s.pop()), strides=tuple(st))",
    ),
    "those of another view": (
        "TensorView(t, v.sizes, v.strides)",
        "TensorView(t)._copy(shape=v.shape, strides=v.strides)",
    ),
    "sizes of another view alone": (
        "TensorView(t, sizes=v.sizes)",
        "TensorView(t)._copy(shape=v.shape, strides=TensorView.get_trivial_strides(v.shape))",
    ),
    "made of another view": (
        "TensorView(t, [v.sizes[0], 4], v.strides[1:])",
        "TensorView(t)._copy(shape=(v.shape[0], 4), strides=v.strides[1:])",
    ),
    "joined": (
        "TensorView(t, v.sizes + [1], st)",
        "TensorView(t)._copy(shape=tuple(list(v.shape) + [1]), strides=tuple(st))",
    ),
    "starred": (
        "TensorView(t, [*v.sizes, 1], st)",
        "TensorView(t)._copy(shape=(*v.shape, 1), strides=tuple(st))",
    ),
    "no dimension": ("TensorView(t, [], [])", "TensorView(t)._copy(shape=(), strides=())"),
    "a view in the sizes of a view": (
        "TensorView(t, s(TensorView(t, [8], [1])), [1])",
        "TensorView(t)._copy(shape=tuple(s(TensorView(t)._copy(shape=(8,), strides=(1,)))), strides=(1,))",
    ),
    "None": ("TensorView(t, None, offset=3)", "TensorView(t)._copy(offset=3)"),
    "nothing but None": ("TensorView(t, sizes=None)", "TensorView(t)"),
    "chained": (
        "TensorView(t, s, st).slice(0, 0, 4).sizes",
        "TensorView(t)._copy(shape=tuple(s), strides=tuple(st)).slice(0, 0, 4).shape",
    ),
    "base by keyword, last": (
        "TensorView(sizes=s, strides=st, base_tensor=t)",
        "TensorView(base_tensor=t)._copy(shape=tuple(s), strides=tuple(st))",
    ),
    "computed base": (
        "TensorView(t[0](), s, st)",
        "TensorView(t[0]())._copy(shape=tuple(s), strides=tuple(st))",
    ),
}


@pytest.mark.parametrize(("old", "new"), REWRITTEN.values(), ids=REWRITTEN)
def test_rewritten(old: str, new: str) -> None:
    check_transformed(f"{HEAD}    return {old}\n", f"{HEAD}    return {new}\n", code="NKM302")


def test_through_the_module_and_over_lines() -> None:
    before = (
        "from nkilib.core.utils import tensor_view as tv\n\n\n"
        "def f(t, s):\n    return tv.TensorView(\n        t,\n        sizes=s,\n    )\n"
    )
    after = (
        "from nkilib.core.utils import tensor_view as tv\n\n\n"
        "def f(t, s):\n    return tv.TensorView(\n        t,\n    )"
        "._copy(shape=tuple(s), strides=tv.TensorView.get_trivial_strides(s))\n"
    )
    check_transformed(before, after, code="NKM302")


REPORTED = {
    "computed sizes": ("TensorView(t, s.pop())", "computed twice"),
    "may be None": ("TensorView(t, maybe, st)", "may be None"),
    "star": ("TensorView(*s)", "hides"),
    "mapping": ("TensorView(t, **s)", "anything"),
    "no base": ("TensorView(sizes=s)", "misses base_tensor"),
    "base computed last": ("TensorView(sizes=s.pop(), strides=st, base_tensor=t())", "before the other"),
    "partial": ("__import__('functools').partial(TensorView, sizes=s)", "partial"),
}


@pytest.mark.parametrize(("expression", "why"), REPORTED.values(), ids=REPORTED)
def test_reported(expression: str, why: str) -> None:
    finding = check_reported(f"{HEAD}    return {expression}\n", "NKM302", 5, why)
    assert "_copy" in finding.step


def test_the_base_alone_is_left_alone() -> None:
    check_noop(f"{HEAD}    return TensorView(t), TensorView(base_tensor=t), t.TensorView(1, 2)\n")


def test_a_base_alone_is_nothing_to_report() -> None:
    """Whatever else is called: there is nothing that would have to go."""
    check_noop(
        f"from views import TensorView\n\ntry:\n    {VIEW.strip()}\nexcept ImportError:\n    pass\n\nTensorView(t)\n"
    )
