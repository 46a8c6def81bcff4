"""Arguments of a wrong class are refused by name, or make no difference: every parameter of every public kernel."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import nki.language as nl
import numpy as np
import pytest
from randomcalls import EVERY, SEEDS, SMALL, Family
from randomcalls.changed import MADE_BY_CALLS, Changed, Stranger


class Foreign(nl.NKIObject):
    """Options that no kernel has."""

    field: int = 0


STRANGERS = (None, True, 3, 0.5, "x", (), (3,), [0.5], Stranger.SiLU, Foreign(), np.ones((2, 2), np.float32))
OWN: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("Tensor", (np.ndarray,)), ("bool", (bool, int)), ("float", (int, float)), ("int", (int,)), ("str", (str,)),
)  # fmt: skip
"""Words of an annotation → the classes of its values, the first that is found."""
MEANT: dict[tuple[str, str], tuple[tuple[Any, ...], str]] = {
    ("indexed_flatten", "padding_val"): ((0.5,), "any number, cut off where the result has integers"),
    ("rmsnorm_quant_kernel", "lower_bound"): ((None,), "no bound"),
}
"""Family and parameter → values of other classes that mean something, and what."""


@EVERY
@pytest.mark.slow
def test_wrong_classes_are_refused_or_right(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    check_classes(Changed(family, monkeypatch), SEEDS)


@SMALL
def test_wrong_classes_in_small_calls(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    check_classes(Changed(family, monkeypatch), SEEDS[:1])


@np.errstate(all="ignore")
def check_classes(changed: Changed, seeds: list[int]) -> None:
    family, wrong = changed.family, set()
    for seed in seeds:
        call = changed.draw(seed)
        lnc = call.lnc[-1]
        given = call.given(lnc)
        for name, parameter in family.parameters().items():
            if name not in MADE_BY_CALLS.get(family.id, ()):
                value = given.get(name, parameter.default)
                meant, _ = MEANT.get((family.id, name), ((), ""))
                others = strangers(value, parameter, meant)
                wrong |= {changed.outcome(call, lnc, name, other) for other in others}
    assert not wrong - {""}, "\n".join(sorted(wrong))


def strangers(value: Any, parameter: inspect.Parameter, meant: tuple[Any, ...]) -> Iterator[Any]:
    """What is not of the parameter's class; for a tuple, also those of another form."""
    own = classes(value, parameter)
    for other in STRANGERS:
        if other is None:
            allowed = parameter.default is None or "None" in str(parameter.annotation)
        else:
            allowed = isinstance(other, own) and (other is not True or bool in own)
        if not allowed and not any(other is each for each in meant):
            yield other
    if isinstance(value, tuple):
        yield from odd(value)


def classes(value: Any, parameter: inspect.Parameter) -> tuple[type, ...]:
    """Of a parameter's values, as it is annotated, or else as the value is; none for enumerations, objects and tuples."""
    annotation = str(parameter.annotation)
    found = (each for word, each in OWN if word in annotation or isinstance(value, each))
    return () if "tuple" in annotation else next(found, ())


def odd(value: Any) -> Iterator[Any]:
    """Tuples that are longer, shorter or nested otherwise, and those with another number in one place."""
    if not isinstance(value, tuple):
        yield from (-1, value + 0.5, str(value), None)
        return
    yield from (value[:-1], (*value, *value), (value,), {"x": value})
    for place, member in enumerate(value):
        yield from ((*value[:place], other, *value[place + 1 :]) for other in odd(member))
