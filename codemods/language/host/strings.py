"""Strings that name modules of the old language, as functions get them that import or patch by name."""

from __future__ import annotations

import ast
import re

from ...analysis.scopes import Text
from ...model import ReplaceCode
from ..reasons import Change, Reason, Work
from ..translate.names import BETA1
from .kernels import Kernels

CODE = "NKL106"
_PATH = re.compile(rf"{re.escape(BETA1)}(?:\.\w+)*")
_NEW = re.compile(r"nki(?:\.\w+)*")
_IMPORTERS = frozenset(
    {
        "importlib.import_module",
        "importlib.util.find_spec",
        "pytest.importorskip",
        "unittest.mock.patch",
    }
)
_METHODS = frozenset({"patch", "setattr"})
"""Of pytest's ``mocker`` and ``monkeypatch``."""


def strings(kernels: Kernels) -> Work:
    """What becomes of strings that are paths into the old language."""
    texts = [text for text in kernels.ctx.module.texts if not isinstance(text.inside, ast.Expr)]
    old = [text for text in texts if _PATH.fullmatch(text.value)]
    goes = _goes(kernels) and not any(_NEW.fullmatch(text.value) for text in texts) if old else False
    return sum((_named(kernels, text, goes) for text in old), Work())


def _goes(kernels: Kernels) -> bool:
    """Whether the file has anything of the old language that is migrated with it."""
    imported = (kernels.ctx.target(b) for b in kernels.ctx.module.imports)
    return bool(kernels.functions) or any(_PATH.fullmatch(target) for target in imported)


def _named(kernels: Kernels, text: Text, goes: bool) -> Work:
    """The same path in the new language; noted where it has none, or where it is not known what it is for."""
    new = kernels.module.step.successor(text.value)
    written = kernels.ctx.segment(text.node)
    if not new or not goes or not _imports(kernels, text) or written.count(text.value) != 1:
        return Work(notes=(Reason(text.node, "M-STRING", {"name": text.value}),))
    edit = ReplaceCode(kernels.ctx.source.span(text.node), written, written.replace(text.value, new))
    return Work((Change(text.node, CODE, f"`{text.value}` is `{new}` now", (edit,)),))


def _imports(kernels: Kernels, text: Text) -> bool:
    """Whether it is the first argument of something that looks a module up."""
    call = text.inside
    if not isinstance(call, ast.Call) or not call.args or call.args[0] is not text.node:
        return False
    if kernels.names.qualified(call.func) in _IMPORTERS:
        return True
    return isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS
