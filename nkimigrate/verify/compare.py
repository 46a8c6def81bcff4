"""Outputs of old and new, leaf by leaf.

Three steps: the same bits; otherwise within the tolerance that the element types of the old kernel allow;
otherwise different.

A migration keeps what a kernel computes and where it rounds, but not the order in which sums are taken, and
a division may become a multiplication by a reciprocal. Two values that differ by such an ulp of float32 can
round to neighbours in a type with fewer bits. So for the coarsest floating-point type that the old kernel
keeps anything in, with unit roundoff *u* (half the distance between neighbours at 1):

* no element differs by more than ``4u + 1e-5`` times the old output's largest value: two such flips, and
  float32 sums of thousands of terms in another order;
* the root of the mean square of the differences is at most ``u/2 + 1e-6`` times that of the old output:
  flips are rare. A rounding or a factor that was lost shifts all elements, and shows here.

Integers and truth values must be equal. NaN and infinities must be in the same places.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from .model import CLOSE, DIFFERENT, IDENTICAL, Output

Array = np.ndarray[Any, Any]
BITS = {
    "float64": 53,
    "float32": 24,
    "tfloat32": 11,
    "float16": 11,
    "bfloat16": 8,
    "float8_e4m3": 4,
    "float8_e4m3fn": 4,
    "float8_e5m2": 3,
}
"""Significant bits of a number, the leading one included: *u* is ``2 ** -bits``."""
SUMS, SUMS_RMS = 1e-5, 1e-6
"""What another order of float32 sums may make, as the largest error and as the root mean square."""


class Tolerance:
    """What may differ: ``largest`` error by the largest value, ``rms`` of errors by that of values.

    ``given``: by the user; it holds for integers, too.
    """

    def __init__(self, largest: float, rms: float, given: bool = False) -> None:
        self.largest = largest
        self.rms = rms
        self.given = given


def tolerance(dtypes: Iterable[str], given: float | None = None) -> Tolerance:
    """What the element types of a kernel allow; ``given`` by the user for both instead."""
    if given is not None:
        return Tolerance(given, given, given=True)
    bits = min((BITS[name] for name in dtypes if name in BITS), default=BITS["float32"])
    unit = 2.0**-bits
    return Tolerance(4 * unit + SUMS, unit / 2 + SUMS_RMS)


def outputs(old: dict[str, Any], new: dict[str, Any], given: float | None, legacy: bool) -> list[Output]:
    """Compare two runs: what they return, and what they write into parameters.

    Args:
        old, new: result files' content, with ``folder``.
        given: the user's tolerance.
        legacy: whether what the old kernel wrote into a parameter the new one has to return: it is of the
            legacy language, the new one is not, and is launched.
    """
    allowed = tolerance(old["dtypes"], given)
    pairs, reasons = paired(old, new, legacy)
    found = [_leaf(name, one, other, old["folder"], new["folder"], allowed) for name, one, other in pairs]
    return [*found, *reasons]


def paired(
    old: dict[str, Any], new: dict[str, Any], legacy: bool
) -> tuple[list[tuple[str, Any, Any]], list[Output]]:
    """Which output of new belongs to which of old, and what belongs to none.

    Parameters that both write belong together by name, what is returned by its place.
    """
    got, written = list(new["returned"]), dict(new["written"])
    pairs, wrong = [], []
    in_place = _unreturned(old)
    for leaf in in_place:
        if leaf["name"] in written:
            twin = written.pop(leaf["name"])
            returned = next((r for r in got if _same_bytes(r, twin, new["folder"])), None)
            if returned is not None:
                got.remove(returned)
            elif legacy:
                wrong.append(Output(leaf["name"], DIFFERENT, reason=_NOT_RETURNED))
            pairs.append((leaf["name"], leaf, twin))
    paired_already = {name for name, _, _ in pairs}
    for leaf in [*old["returned"], *(leaf for leaf in in_place if leaf["name"] not in paired_already)]:
        if got:
            pairs.append((leaf["name"], leaf, got.pop(0)))
        else:
            wrong.append(Output(leaf["name"], DIFFERENT, reason="the new kernel does not give it"))
    wrong += [_surplus(leaf, old, new["folder"]) for leaf in got]
    wrong += [
        Output(leaf["name"], DIFFERENT, reason="only the new kernel writes it")
        for leaf in _unreturned({**new, "written": written})
        if leaf["name"] not in old["written"]
    ]
    return pairs, wrong


_NOT_RETURNED = "the new kernel writes it without returning it; since NKI 0.2 callers see what is returned"


def _surplus(leaf: dict[str, Any], old: dict[str, Any], folder: str) -> Output:
    """A result that only new has: a parameter that nobody changed may be one."""
    if "file" in leaf:
        about = [leaf["dtype"], leaf["shape"], hashlib.sha256(_bytes(leaf, folder)).hexdigest()]
        if about in old["unchanged"].values():
            return Output(leaf["name"], IDENTICAL, leaf["dtype"], tuple(leaf["shape"]))
    return Output(leaf["name"], DIFFERENT, reason="only the new kernel gives it")


def _unreturned(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Written parameters that are not also a result."""
    returned = run["returned"]
    return [w for w in run["written"].values() if not any(_same_bytes(r, w, run["folder"]) for r in returned)]


def _same_bytes(returned: dict[str, Any], written: dict[str, Any], folder: str) -> bool:
    same = "file" in returned and returned["dtype"] == written["dtype"]
    return same and _bytes(returned, folder) == _bytes(written, folder)


def _bytes(leaf: dict[str, Any], folder: str) -> bytes:
    with open(os.path.join(folder, leaf["file"]), "rb") as file:
        return file.read()


def _leaf(name: str, old: Any, new: Any, old_folder: str, new_folder: str, allowed: Tolerance) -> Output:
    if "value" in old or "value" in new:
        said = _described(old), _described(new)
        reason = "" if said[0] == said[1] else f"old {said[0]}, new {said[1]}"
        return Output(name, DIFFERENT if reason else IDENTICAL, reason=reason)
    shape = tuple(old["shape"])
    if (old["dtype"], old["shape"]) != (new["dtype"], new["shape"]):
        reason = f"old is {_described(old)}, new is {_described(new)}"
        return Output(name, DIFFERENT, old["dtype"], shape, reason=reason)
    one, other = _bytes(old, old_folder), _bytes(new, new_folder)
    a, b = (np.frombuffer(data, _numpy(old["dtype"])).reshape(shape) for data in (one, other))
    if one == other:
        return Output(name, IDENTICAL, old["dtype"], shape, blank=_blank(a), notes=weaknesses(a))
    return compared(name, old["dtype"], a, b, allowed)


def _described(leaf: dict[str, Any]) -> str:
    return str(leaf["value"]) if "value" in leaf else f"{leaf['dtype']} {leaf['shape']}"


def _numpy(name: str) -> Any:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, name))


def compared(name: str, dtype: str, old: Array, new: Array, allowed: Tolerance) -> Output:
    """Two arrays of one shape and type whose bits differ."""
    exact = old.dtype.kind in "iub"
    a, b = (x.astype(np.float64) for x in (old, new))
    finite = np.isfinite(a) & np.isfinite(b)
    special = ~finite & ~((a == b) | (np.isnan(a) & np.isnan(b)))
    values = np.where(finite, a, 0.0)
    errors = np.abs(np.where(finite, b, 0.0) - values)
    scale = float(np.abs(values).max(initial=0.0))
    largest = float(errors.max(initial=0.0))
    relative = largest / scale if scale else (0.0 if largest == 0 else float("inf"))
    limit = None if exact and not allowed.given else allowed.largest
    wrong = special | (errors > (0.0 if limit is None else limit * scale))
    reason = _where(wrong, a, b) if wrong.any() else _shifted(values, errors, allowed)
    return Output(
        name,
        DIFFERENT if reason else CLOSE,
        dtype,
        old.shape,
        largest,
        relative,
        limit,
        reason,
        _blank(old),
        weaknesses(old),
    )


def _where(wrong: Array, old: Array, new: Array) -> str:
    """How many elements are different, and the first of them."""
    first = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.ndim else ()
    count = int(wrong.sum())
    many = f"{count} of {wrong.size} elements" if wrong.size > 1 else "it"
    nan = int((np.isnan(new) & ~np.isnan(old)).sum())
    said = f"; {nan} of them NaN only in new: is all of it written?" if nan else ""
    return f"{many} differ, first at {list(first)}: old {old[first]:.6g}, new {new[first]:.6g}{said}"


def _shifted(values: Array, errors: Array, allowed: Tolerance) -> str:
    """Why errors that are all small are too many; "" when they are not."""
    rms, of = (float(np.sqrt(np.mean(np.square(x)))) if x.size else 0.0 for x in (errors, values))
    if rms <= allowed.rms * of:
        return ""
    return (
        f"{int((errors > 0).sum())} of {errors.size} elements differ, by {rms / of:.1e} of the values on "
        f"average (root mean square), where rounding explains {allowed.rms:.1e}"
    )


def _blank(array: Array) -> bool:
    return bool(array.size) and bool(np.isnan(array.astype(np.float64)).all())


def weaknesses(array: Array) -> tuple[str, ...]:
    """What makes an output a poor witness."""
    wide = array.astype(np.float64) if array.size else np.ones(1)
    nans = int(np.isnan(wide).sum())
    if nans:
        return (f"{nans} of {array.size} elements are NaN on both sides",)
    if not wide.any():
        return ("all elements are 0: these inputs show little",)
    return ()
