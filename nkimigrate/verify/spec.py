"""``nkimigrate_verify.toml``: which kernels to compare, and with what.

    [[kernel]]
    name = "tensor_add"                     # the function
    file = "kernels/add.py"                 # needed where several files have one of this name
    [kernel.inputs]                         # by parameter
    a = { shape = [128, 512], dtype = "bfloat16" }
    eps = 1e-6

docs/verify.md has every key. Read here: checked, not run.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import Any

from .. import reading
from ..errors import UsageError

NAME = "nkimigrate_verify.toml"
GENERATOR_KEYS = {
    "normal": {"scale"},
    "uniform": {"low", "high"},
    "integers": {"low", "high"},
    "zeros": set(),
    "ones": set(),
    "constant": {"value"},
    "arange": {"low", "step"},
    "permutation": {"low"},
    "causal": set(),
    "identity": set(),
    "mask": {"share"},
}
"""Generator → what else its table may say. :data:`.inputs.GENERATORS` makes the values."""
_ARRAY = {"shape", "dtype", "values"}
_KINDS: tuple[tuple[str, set[str]], ...] = (
    ("python", {"python"}),
    ("file", {"file", "dtype"}),
    ("items", {"items"}),
    ("fields", {"fields"}),
)


@dataclass(frozen=True)
class Entry:
    """One ``[[kernel]]``; see :class:`.model.Case` for what the fields mean.

    ``lnc`` and ``grid`` are None when the entry does not say; ``new_name`` and ``new_file`` are "" then.
    ``jit``: whether the function is launched as a kernel; None: if it is one.
    """

    name: str
    file: str = ""
    new_name: str = ""
    new_file: str = ""
    case: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    grid: tuple[Any, ...] | None = None
    lnc: tuple[int, ...] | None = None
    tolerance: float | None = None
    timeout: float | None = None
    seed: int | None = None
    target: str = ""
    jit: bool | None = None
    skip: str = ""


@dataclass(frozen=True)
class Spec:
    """A spec file; ``path`` is "" when there is none."""

    path: str = ""
    entries: tuple[Entry, ...] = ()
    seed: int = 0
    timeout: float | None = None
    tolerance: float | None = None
    target: str = ""
    paths: tuple[str, ...] = ()


_NUMBER = (int, float)
_TOP: dict[str, Any] = {"seed": int, "timeout": _NUMBER, "tolerance": _NUMBER, "target": str, "paths": list}
_ENTRY: dict[str, Any] = {
    "name": str,
    "file": str,
    "new_name": str,
    "new_file": str,
    "case": str,
    "inputs": dict,
    "grid": list,
    "lnc": list,
    "tolerance": _NUMBER,
    "timeout": _NUMBER,
    "seed": int,
    "target": str,
    "jit": bool,
    "skip": str,
}
_RANGES: dict[str, tuple[float, float, str]] = {
    "timeout": (1e-3, 1e9, "a number of seconds above 0"),
    "tolerance": (0, 1e300, "a number, 0 or more"),
    "seed": (0, 2**32 - 1, "a whole number from 0 to 2^32 - 1"),
}
"""Key → from what to what it may be (which no NaN is), and how to say so."""


def nearest(folders: list[str]) -> Spec:
    """The spec file in the first of the folders that has one; an empty spec when none has."""
    for folder in folders:
        path = os.path.join(folder, NAME)
        if os.path.exists(path):
            return read(path)
    return Spec()


def read(path: str) -> Spec:
    """The spec file at a path. Raises UsageError for whatever is wrong with it."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content = tomllib.loads(reading.read(path).decode())
    except reading.Unreadable as error:
        raise UsageError(f"{path}: {error.message}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    return from_dict(content, path)


def from_dict(content: dict[str, Any], path: str) -> Spec:
    """A spec file's content. Raises UsageError for unknown keys, wrong types and unusable inputs."""
    given = {**content}
    kernels = given.pop("kernel", [])
    if not isinstance(kernels, list) or not all(isinstance(item, dict) for item in kernels):
        raise UsageError(f"{path}: kernels stand under [[kernel]], with two brackets")
    _checked(given, _TOP, path)
    entries = tuple(_entry(item, f"{path}: [[kernel]] {i}") for i, item in enumerate(kernels, 1))
    paths = tuple(given.pop("paths", ()))
    if not all(isinstance(folder, str) for folder in paths):
        raise UsageError(f"{path}: `paths` is a list of folders")
    return Spec(path, entries, paths=paths, **given)


def _checked(given: dict[str, Any], known: dict[str, Any], where: str) -> None:
    for key, value in given.items():
        if key not in known:
            raise UsageError(f"{where}: unknown key `{key}`; known are {', '.join(known)}")
        wanted = known[key]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            names = {
                list: "a list",
                dict: "a table",
                str: "a text",
                int: "a whole number",
                bool: "true or false",
            }
            raise UsageError(f"{where}: `{key}` must be {names.get(wanted, 'a number')}")
        if key in _RANGES:
            least, most, said = _RANGES[key]
            if not least <= value <= most:
                raise UsageError(f"{where}: `{key}` must be {said}")


def _entry(given: dict[str, Any], where: str) -> Entry:
    _checked(given, _ENTRY, where)
    if not given.get("name"):
        raise UsageError(f"{where}: `name`, the function, is missing")
    where = f"{where} ({given['name']})"
    for name, said in given.get("inputs", {}).items():
        _check_value(said, f"{where}: input `{name}`")
    lnc = given.get("lnc")
    if lnc is not None and (not lnc or not all(type(n) is int and n in (1, 2) for n in lnc)):
        raise UsageError(f"{where}: `lnc` is a list of 1 and 2")
    if not all(isinstance(n, int | str) for n in given.get("grid", ())):
        raise UsageError(f'{where}: `grid` is a list of numbers and of texts such as "nc(2)"')
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return Entry(**values)


def _check_value(said: Any, where: str) -> None:
    """Raises UsageError unless :class:`.inputs.Maker` can read it."""
    if isinstance(said, list):
        for item in said:
            _check_value(item, where)
        return
    if not isinstance(said, dict):
        return
    if said.keys() & {"old", "new"}:
        _only(said, {"old", "new"}, where)
        for side in ("old", "new"):
            if side not in said:
                raise UsageError(f"{where}: says `{'new' if side == 'old' else 'old'}` but not `{side}`")
            _check_value(said[side], where)
        return
    for kind, keys in _KINDS:
        if kind in said:
            _only(said, keys, where)
            for item in _inside(said[kind], kind, where):
                _check_value(item, where)
            return
    _check_array(said, where)


def _inside(said: Any, kind: str, where: str) -> list[Any]:
    wanted: type = {"items": list, "fields": dict}.get(kind, str)
    if not isinstance(said, wanted):
        raise UsageError(f"{where}: `{kind}` must be a {wanted.__name__}")
    return list(said.values()) if isinstance(said, dict) else said if isinstance(said, list) else []


def _check_array(said: dict[str, Any], where: str) -> None:
    shape = said.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise UsageError(
            f"{where}: needs `shape`, a list of whole numbers (or `python`, `file`, `items`, `fields`)"
        )
    values = said.get("values")
    if "values" in said and not (isinstance(values, str) and values in GENERATOR_KEYS):
        raise UsageError(f"{where}: no values {values!r}; there are {', '.join(GENERATOR_KEYS)}")
    if values in ("causal", "identity") and len(shape) < 2:
        raise UsageError(f"{where}: {values} needs two dimensions or more")
    own = GENERATOR_KEYS[values] if values else {"scale", "low", "high"}
    _only(said, _ARRAY | own, where)
    for key in own & said.keys():
        if type(said[key]) not in _NUMBER and key != "value":
            raise UsageError(f"{where}: `{key}` must be a number")


def _only(said: dict[str, Any], keys: set[str], where: str) -> None:
    unknown = sorted(said.keys() - keys)
    if unknown:
        raise UsageError(
            f"{where}: `{unknown[0]}` does not go with {', '.join(sorted(said.keys() & keys)) or 'it'}"
        )
