"""Strings in Python code that name something of the library, and the part each plays where it stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import Enum

from .analysis.context import FileContext
from .analysis.scopes import Text, Use
from .folders import folder_pattern
from .patterns import pattern
from .trees import last_name

PATCHERS = {"patch", "setattr", "delattr", "multiple", "stub", "spy"}
_PROBES = {"find_spec", "importorskip"}
_DOTTED = pattern(r"[A-Za-z_]\w*(?:\.\w+)*(?::[A-Za-z_]\w*(?:\.\w+)*)?\.?")
_ENTRY = pattern(r"[\w.-]+ ?= ?[A-Za-z_]\w*(?:\.\w+)+:[A-Za-z_]\w*(?:\.\w+)*")
_TEMPLATE = pattern(r"(?:[\w.:*-]|\{\w*\}|%s|%\(\w+\)s)+")
_PLACE = pattern(r"(?:\S+ ?@ ?)?\S+")
_LENGTH = 400


class Part(Enum):
    """What a string that is a path is there for; a template is a path with gaps to fill."""

    VALUE = "value"
    PROBE = "probe"
    PATCH = "patch"
    ANNOTATION = "annotation"
    ENTRY = "entry point"
    TEMPLATE = "template"


def path_strings(ctx: FileContext) -> Iterator[tuple[Text, Part]]:
    """String constants that are a dotted path under a root of the library, and annotations that hold one."""
    tops = {ctx.release.root, *ctx.release.legacy_tops}
    for text in ctx.module.texts:
        if len(text.value) > _LENGTH or isinstance(text.inside, ast.Expr | ast.JoinedStr):
            continue
        if not any(top in text.value for top in tops):
            continue
        if _is_annotation(text):
            yield text, Part.ANNOTATION
        elif _ENTRY.fullmatch(text.value):
            yield text, Part.ENTRY
        elif re.split(r"[.:]", text.value, maxsplit=1)[0] not in tops:
            continue
        elif _DOTTED.fullmatch(text.value):
            yield text, _part(text)
        elif _TEMPLATE.fullmatch(text.value):
            yield text, Part.TEMPLATE


def _part(text: Text) -> Part:
    call = text.inside
    if not isinstance(call, ast.Call):
        return Part.VALUE
    name = last_name(call.func)
    if name in _PROBES:
        return Part.PROBE
    target = call.args[:1] or [k.value for k in call.keywords if k.arg in {"target", "name"}]
    return Part.PATCH if name in PATCHERS and text.node in target else Part.VALUE


def _is_annotation(text: Text) -> bool:
    inside = text.inside
    if isinstance(inside, ast.arg):
        return True
    if isinstance(inside, ast.AnnAssign):
        return inside.annotation is text.node
    return isinstance(inside, ast.FunctionDef | ast.AsyncFunctionDef) and inside.returns is text.node


def folder_strings(ctx: FileContext) -> Iterator[Text]:
    """String constants that name a folder of the product's source tree, or its repository; no prose."""
    repository = ctx.release.repository or "\0"
    names = (repository, *ctx.release.folders)
    for text in ctx.module.texts:
        value = text.value
        if any(name in value for name in names) and _is_place(text):  # noqa: SIM102  # cheapest first
            if repository in value or folder_pattern(ctx.release).search(value):
                yield text


def _is_place(text: Text) -> bool:
    """Whether a string is one word, or a requirement such as ``name @ address``."""
    plain = not isinstance(text.inside, ast.Expr | ast.JoinedStr)
    return plain and len(text.value) <= _LENGTH and bool(_PLACE.fullmatch(text.value))


def taken_apart(ctx: FileContext, text: Text) -> bool:
    """Whether the constant gets a name on which string methods are used, so that it may be no import path."""
    if not isinstance(text.inside, ast.Assign) or text.inside.value is not text.node:
        return False
    names = {target.id for target in text.inside.targets if isinstance(target, ast.Name)}
    uses = [use for name in names for use in ctx.module.by_name.get(name, ())]
    return any(
        _method(use) not in {"", "format", "join", "startswith"} for use in uses if _same(ctx, use, text)
    )


def _method(use: Use) -> str:
    link = use.links[1] if len(use.links) > 1 else None
    return link.attr if isinstance(link, ast.Attribute) else ""


def _same(ctx: FileContext, use: Use, text: Text) -> bool:
    owner = ctx.module.lookup(use.name, use.scope)
    return owner is not None and owner[0] is text.scope
