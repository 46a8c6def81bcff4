"""``--template``: a spec file for the kernels that were found, filled in with what their harnesses say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .discover import Parameter
from .harness import UNKNOWN, Called
from .harness_calls import with_calls
from .pairs import Pair, Side, compares, pairs
from .trees import Tree

_HEAD = """\
# Inputs for `nkimigrate verify`. docs/verify.md has all keys.
# `?` stands where nothing could be read: write what the kernel takes.
"""


def template(old: Tree, new: Tree) -> Iterator[str]:
    """The lines of a spec file for all kernels that both trees have."""
    sides = Side(old), Side(new)
    found = [pair for pair in pairs(*sides, []) if compares(pair)]
    yield from _HEAD.splitlines()
    for pair in with_calls(found, sides[0]):
        yield ""
        yield from _entry(pair)


def _entry(pair: Pair) -> Iterator[str]:
    file, call = pair.called[0] if pair.called else ("", None)
    if call is not None:
        yield f"# from {file}:{call.line}; smaller shapes run sooner"
    yield "[[kernel]]"
    yield f"name = {_text(pair.old.name)}"
    yield f"file = {_text(pair.old_file)}"
    if call is not None and call.grid:
        yield f"grid = {_toml([n if n is not UNKNOWN else '?' for n in call.grid])}"
    elif pair.old.programs:
        yield "# it asks for its program: grid = [2] for a legacy kernel, lnc = [1, 2] for a newer one"
    yield "[kernel.inputs]"
    for parameter in pair.old.parameters:
        yield _input(parameter, call)


def _input(parameter: Parameter, call: Called | None) -> str:
    said = call.inputs.get(parameter.name, None) if call is not None else None
    if said is not None and said is not UNKNOWN:
        return f"{parameter.name} = {_toml(said)}"
    if parameter.default:
        return f"# {parameter.name} = …  # {parameter.default} without an entry"
    if parameter.mutable:
        return f'{parameter.name} = {{ shape = ["?"], values = "zeros" }}  # written by the kernel'
    return f'{parameter.name} = {{ shape = ["?"], dtype = "float32" }}'


def _toml(value: Any) -> str:
    """A value of a spec file as inline TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
