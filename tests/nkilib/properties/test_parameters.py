"""Every parameter of every public kernel counts: calls are drawn until one goes wrong without it.

Without a parameter means with its default. One that has none gets other values of its kind: other numbers in a
tensor, the other truth value, another member. The call must then fail, or not give what it should.
"""

from __future__ import annotations

import importlib
import inspect
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernels import rejected
from missing import RELEASE, exists
from randomcalls import EVERY, FAMILIES, Call, Family, by_seed

import nkisim
from nkisim.kernel import Kernel

CALLS = 60
EMPTY = inspect.Parameter.empty
TOPK = "nkilib.core.topk.rotational_topk"
PARTS = {f"{TOPK}.rotational_topk", f"{TOPK}.scanning_topk"}
"""What ``topk`` launches."""
TESTS = Path(__file__).parents[1]


def test_every_public_kernel_is_called_at_random() -> None:
    """All that ``nki.jit`` makes; functions that kernels call are beside them in the list."""
    called = {family.name for family in FAMILIES}
    assert len(called) == len(FAMILIES)
    kernels = set()
    for module in filter(exists, RELEASE.modules):
        for name, value in vars(importlib.import_module(module)).items():
            if isinstance(value, Kernel) and value.function.__module__ == module and not name.startswith("_"):
                kernels.add(f"{module}.{name}")
    assert kernels - PARTS <= called


@pytest.mark.slow
@EVERY
def test_every_parameter_counts(family: Family) -> None:
    known = family.parameters()
    named = {*family.made, *family.idle, *family.refused, *family.shown_by}
    assert named <= known.keys()
    unseen = known.keys() - named
    passed: set[str] = set()
    for seed in range(CALLS):
        call = family.draw(by_seed(seed))
        lnc = call.lnc[-1]
        given = call.given(lnc)
        passed |= family.idle.keys() & given.keys()
        for name in sorted(unseen & given.keys()):
            if counts(call, name, known[name].default, lnc):
                unseen -= {name}
        if not unseen and passed == family.idle.keys():
            return
    raise AssertionError(
        f"{sorted(unseen | family.idle.keys() - passed)} made no difference in {CALLS} calls"
    )


@pytest.mark.parametrize(
    "family", [family for family in FAMILIES if family.refused], ids=lambda family: family.id
)
def test_parameters_with_one_value_refuse_others(family: Family) -> None:
    call = family.draw(by_seed(0))
    for name, value in family.refused.items():
        with rejected():
            call.run(call.lnc[-1], **{name: value})


@pytest.mark.parametrize("test", sorted({test for family in FAMILIES for test in family.shown_by.values()}))
def test_tests_that_show_other_parameters_exist(test: str) -> None:
    file, _, function = test.partition("::")
    assert f"def {function}(" in (TESTS / file).read_text(encoding="utf-8")


def counts(call: Call, name: str, default: Any, lnc: int) -> bool:
    """Whether the call goes wrong when a parameter has another value."""
    value = call.given(lnc)[name]
    other = another(value) if default is EMPTY or same(value, default) else default
    if same(value, other):
        return False
    try:
        with nkisim.strict():
            call.check(call.run(lnc, **{name: other}), lnc)
    except Exception:
        return True
    return False


def another(value: Any) -> Any:
    """Another value of a kind; None for what has no others."""
    if isinstance(value, np.ndarray):
        changed = np.roll(value, 1) if value.dtype.kind != "i" else np.zeros_like(value)
        return changed if not same(value, changed) else np.ones_like(value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, Enum):
        return next(member for member in type(value) if member is not value)
    return 2 * value + 1 if isinstance(value, int | float) else None


def same(value: Any, other: Any) -> bool:
    if isinstance(value, np.ndarray) or isinstance(other, np.ndarray):
        both = isinstance(value, np.ndarray) and isinstance(other, np.ndarray)
        return both and value.tobytes() == other.tobytes()
    return value is other or bool(value == other)
