"""What changed about calls whose text may stay: said in the warning, or given back on request."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

from .modes import is_legacy
from .reading import member
from .release import release

Call = Callable[..., Any]


def _silu(target: Call, given: dict[str, Any]) -> Any:
    """2.27 ran SiLU whatever was asked for."""
    if "activation_fn" in given:
        given["activation_fn"] = member("nkilib.core.utils.common_types.ActFnType.SiLU")
    return target(**given)


def _silu_function(target: Call, given: dict[str, Any]) -> Any:
    """2.27 answered ``nl.silu`` to everything."""
    import nki.language as nl

    return nl.silu


def _pinned(target: Call, given: dict[str, Any]) -> Any:
    """2.27 put the PSUM buffer at address (0, 0)."""
    return target(**{"psum_address": (0, 0), **given})


def _unknown_fp8(target: Call, given: dict[str, Any]) -> Any:
    """2.27 did not know the largest float8e4."""
    return None if given["dtype"] == "float8e4" else target(**given)


def _unpacked(target: Call, given: dict[str, Any]) -> Any:
    """2.27 left heads that are larger than the partitions as they are."""
    if given["D"] > given["partition_size"]:
        return given["N"], given["D"], 1
    return target(**given)


# By the behaviour's id in the release table. "norm-buffers" is given where the output is made.
LEGACY: Mapping[str, Callable[[Call, dict[str, Any]], Any]] = {
    "activation-honoured": _silu,
    "activation-lookup": _silu_function,
    "tp-broadcast-placement": _pinned,
    "max-positive-value": _unknown_fp8,
    "head-packing-large-d": _unpacked,
}


def legacy_of(name: str) -> Callable[[Call, dict[str, Any]], Any] | None:
    """How a call of the callable with this new name went in the old release, where that is known."""
    found = (behaviour["id"] for behaviour in release().call_behaviours.get(name, ()))
    return next((LEGACY[key] for key in found if key in LEGACY), None)


def notes(name: str, given: Mapping[str, Any]) -> Iterator[str]:
    """What to know about a legacy call with these arguments, by their old names."""
    for behaviour in release().call_behaviours.get(name, ()):
        if _concerns(behaviour, given) and not (is_legacy() and behaviour["id"] in LEGACY):
            yield f"{behaviour['message']}. {behaviour['step']}"


def _concerns(behaviour: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    when, parameter = behaviour["when"], behaviour.get("parameter", "")
    if when == "always":
        return True
    if when == "missing":
        return parameter not in given and behaviour.get("value", parameter) in {*given, parameter}
    if when == "equals":
        return parameter in given and _is(given[parameter], behaviour["value"])
    if when == "not":
        return parameter in given and not _is(given[parameter], behaviour["value"])
    return parameter in given


def _is(value: Any, text: str) -> bool:
    """Whether a value is what the table writes: a qualified enumeration member, or a literal."""
    if isinstance(value, Enum):
        kind = type(value)
        return text == f"{kind.__module__}.{kind.__qualname__}.{value.name}"
    try:
        literal = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return False
    return type(value) is type(literal) and bool(value == literal)
