"""Kernels migrated by the language step, run before it under ``nkisim.beta1`` and after it under nkisim."""

from __future__ import annotations

import ast
import linecache
from itertools import count
from types import ModuleType
from typing import Any

import numpy as np

import nkisim
from nkimigrate.codemods.analysis.context import FileContext
from nkimigrate.codemods.dialect import Module, check_function
from nkimigrate.codemods.edit.apply import apply
from nkimigrate.codemods.language.migrate import migrated as work_of
from nkimigrate.codemods.source import Source
from nkimigrate.releases import load_language

HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import numpy as np


"""
_NUMBERS = count()


def migrated(text: str) -> tuple[str, list[str]]:
    """The file after the step, and the keys of what stands in the way."""
    source, step = Source.decode(text.encode()), load_language("2.27", "2.28")
    assert step is not None
    ctx = FileContext("app.py", source, ast.parse(text), step.resolution, "app")
    work = work_of(ctx, step)
    edits = [edit for change in work.changes for edit in change.edits]
    return apply(source, edits), [reason.message for reason in work.reasons]


def breaches(text: str) -> list[str]:
    """What the functions of a file have that is not in the new language."""
    tree = ast.parse(text)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [
        f"{breach.line}: {breach.text}"
        for function in functions
        for breach in check_function(function, Module(tree))
        if breach.is_error
    ]


def module(text: str) -> ModuleType:
    """The code as a module; kernels find their source."""
    nkisim.install()
    name = f"<migrated {next(_NUMBERS)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    found = ModuleType(name)
    found.__file__ = name
    exec(compile(text, name, "exec", dont_inherit=True), found.__dict__)
    return found


def both(text: str, kernel: str, *arguments: Any) -> tuple[Any, Any, str]:
    """What a kernel returns before and after, and the new code. ``text`` is without :data:`HEAD`."""
    new, reasons = migrated(HEAD + text)
    assert reasons == []
    assert breaches(new) == []
    copies = [[a.copy() if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2)]
    was = getattr(module(HEAD + text), kernel)(*copies[0])
    now = getattr(module(new), kernel)(*copies[1])
    return was, now, new


def check_same(text: str, kernel: str, *arguments: Any) -> str:
    """The kernel gives the same before and after the step; the new code."""
    was, now, new = both(text, kernel, *arguments)
    np.testing.assert_array_equal(np.asarray(now), np.asarray(was))
    return new


def _arrays(value: Any) -> list[np.ndarray]:
    return [np.asarray(each) for each in (value if isinstance(value, tuple | list) else (value,))]


def check_same_strictly(text: str, *arguments: Any, name: str = "k", rtol: float = 0.0) -> str:
    """Both kernels give the same bits, or within ``rtol``; the new one strictly. ``text``: the whole file."""
    new, reasons = migrated(text)
    assert reasons == []
    copies = [[a.copy() if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2)]
    was = _arrays(getattr(module(text), name)(*copies[0]))
    with nkisim.strict():
        now = _arrays(getattr(module(new), name)(*copies[1]))
    assert len(was) == len(now)
    for old, got in zip(was, now, strict=True):
        assert (got.shape, got.dtype) == (old.shape, old.dtype)
        assert np.abs(old.astype(np.float64)).max() > 0, "the old kernel gives zeros: nothing is compared"
        if rtol:
            np.testing.assert_allclose(got.astype(np.float64), old.astype(np.float64), rtol=rtol)
        else:
            assert got.tobytes() == old.tobytes(), new
    return new
