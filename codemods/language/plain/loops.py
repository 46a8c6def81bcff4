"""Loops over several things at once become loops over indexes or over one of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...fresh_names import Taken
from ...trees import walk
from ..translate.layout import flat, laid_out
from . import scopes
from .file import File
from .lines import Edit, Line, Text

_CHANGING = frozenset(("append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse"))


def one_variable(file: File, text: Text, outer: ast.FunctionDef) -> Iterator[Edit]:
    """A part of the file with loops of a function that have more than one variable, or run over ``zip``,
    ``enumerate`` or ``reversed``, as loops over one.
    """
    for node in scopes.within(outer):
        if not isinstance(node, ast.For) or node.orelse:
            continue
        plain = text.line(node.lineno)[: node.col_offset].strip() == ""
        if not plain or node.iter.end_lineno != node.lineno or node.body[0].lineno == node.lineno:
            continue
        found = _plainer(file, text, node, outer)
        if found is not None:
            yield _written(text, node, *found, file.unit)


def _plainer(file: File, text: Text, node: ast.For, outer: ast.FunctionDef) -> tuple[str, list[str]] | None:
    """The new header without its colon, and the statements that come first in the body."""
    name = (
        node.iter.func.id if isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Name) else ""
    )
    if isinstance(node.iter, ast.Call) and name in ("zip", "enumerate", "reversed"):
        if not file.is_builtin(name):
            return None
        return _together(text, node, node.iter, name, scopes.taken(outer))
    if isinstance(node.target, ast.Tuple) and not isinstance(node.iter, ast.Call):
        each = scopes.taken(outer).fresh("item")
        return f"for {each} in {flat(text.segment(node.iter))}", [f"{_target(text, node.target)} = {each}"]
    return None


def _together(
    text: Text, node: ast.For, call: ast.Call, name: str, taken: Taken
) -> tuple[str, list[str]] | None:
    if call.keywords or not call.args or (name != "zip" and len(call.args) != 1):
        return None
    if name == "enumerate":
        if not isinstance(node.target, ast.Tuple) or len(node.target.elts) != 2:
            return None
        index, target = node.target.elts
        if not isinstance(index, ast.Name) or _stored(node, index.id) > 1:
            return None
        inner = call.args[0]
        named, sources, targets = index.id, [inner], [target]
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "zip":
            if not isinstance(target, ast.Tuple) or inner.keywords:
                return None
            sources, targets = list(inner.args), list(target.elts)
    elif name == "zip":
        if not isinstance(node.target, ast.Tuple):
            return None
        named, sources, targets = "", list(call.args), list(node.target.elts)
    else:
        named, sources, targets = "", [call.args[0]], [node.target]
    if len(sources) != len(targets) or not all(_sequence(node, source) for source in sources):
        return None
    named = named or taken.fresh("index")
    spelled = [flat(text.segment(source)) for source in sources]
    lengths = [f"len({code})" for code in dict.fromkeys(spelled)]
    length = lengths[0] if len(lengths) == 1 else f"min({', '.join(lengths)})"
    key = f"{length} - 1 - {named}" if name == "reversed" else named
    lines = [f"{_target(text, t)} = {code}[{key}]" for t, code in zip(targets, spelled, strict=True)]
    return f"for {named} in range({length})", lines


def _target(text: Text, node: ast.expr) -> str:
    code = flat(text.segment(node))
    return code[1:-1] if isinstance(node, ast.Tuple) and code.startswith("(") else code


def _stored(node: ast.For, name: str) -> int:
    return sum(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in walk(node))


def _sequence(node: ast.For, source: ast.expr) -> bool:
    """Whether it is a variable that can be indexed, and that the loop leaves as it is."""
    if not isinstance(source, ast.Name | ast.Attribute):
        return False
    names = {n.id for n in walk(source) if isinstance(n, ast.Name)}
    if any(_stored(node, name) for name in names):
        return False
    code = ast.unparse(source)
    for inner in walk(node):
        changed = isinstance(inner, ast.Attribute) and inner.attr in _CHANGING
        if changed and ast.unparse(inner.value) == code:  # type: ignore[attr-defined]
            return False
        stored = isinstance(inner, ast.Subscript) and not isinstance(inner.ctx, ast.Load)
        if stored and ast.unparse(inner.value) == code:  # type: ignore[attr-defined]
            return False
    return True


def _written(text: Text, node: ast.For, header: str, statements: list[str], unit: str) -> Edit:
    indent, origin = text.indentation(node), text.origin(node.lineno)
    rest = text.line(node.lineno).encode()[node.iter.end_col_offset :].decode()
    lines: list[Line] = [(f"{indent}{header}{rest}", origin)]
    inner = text.indentation(node.body[0])
    lines += [(line, origin) for code in statements for line in laid_out(code, inner, unit)]
    return node.lineno, node.lineno, lines
