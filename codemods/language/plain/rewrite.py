"""All rules applied to a file until none has anything to do."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

from ...trees import children, walk
from ..translate.inside import is_made, taken
from ..translate.layout import WIDTH, laid_out
from ..translate.parameters import Uses
from ..translate.plan import LanguageModule
from . import captured, comprehensions, functions, imports, inline, loops, scopes, stars
from .file import File, Part
from .lines import Edit, Text
from .spellings import Spellings

_ROUNDS = 40
_ODD = frozenset(
    (ast.FunctionDef, *inline.ODD, *stars.ODD, *scopes.COMPREHENSIONS, ast.Import, ast.ImportFrom)
)
_FOLDS = ("sum", "any", "all", "prod", "reduce")
_SEVERAL = ("zip", "enumerate", "reversed")


def plainer(module: LanguageModule) -> Text | None:
    """The file in plainer Python; None when its kernels are plain already."""
    spellings = Spellings(module)
    functions = {name: f for name, f in module.functions.items() if not f.inner}
    chosen = {name for name, f in functions.items() if _odd(f.nodes.every, spellings)}
    chosen |= {f"{name}.{inner}" for name in module.functions for inner in _of_host(module, name)}
    if not chosen or "\f" in module.ctx.source.text:
        return None
    start = Text.of(module.ctx.source.text, module.ctx.tree)
    if len(start.lines) != len(ast_lines(module)):
        return None  # the interpreter counts lines in another way than text does
    file = File.of(start, module.unit, spellings)
    known = frozenset(file.parts)
    _rewrite(file, chosen)
    if known.issuperset(file.parts):
        return None
    written = {line for line, _ in start.lines}
    texts = (part.text if part in known else _laid_out(part.text, written, file.unit) for part in file.parts)
    return Text(tuple(line for text in texts for line in text.lines))


def _of_host(module: LanguageModule, name: str) -> set[str]:
    """The kernels that a function of the host defines and that take no tensor from around them."""
    found: set[str] = set()
    for kernel in module.functions[name].inner:
        uses = Uses(kernel, module.names, module.functions)
        if not is_made(kernel, module.names) or any(uses.is_tensor(ast.arg(n)) for n in taken(kernel)):
            return set()
        found.add(kernel.node.name)
    return found


def _rewrite(file: File, chosen: set[str]) -> None:
    """Apply the rules to the chosen functions, and to those that come out of them."""
    before, hosts = _functions(file), _hosts(chosen)
    finished: set[Part] = set()
    for _ in range(_ROUNDS):
        names = chosen | (_functions(file) - before)
        looked_for = names | hosts.keys()
        parts = enumerate(file.parts)
        left = [i for i, part in parts if part not in finished and not looked_for.isdisjoint(part.defined)]
        if not left:
            return
        for index in left[::-1]:  # a change of one part leaves those above it where they are
            part = file.parts[index]
            if not _changed(file, index, names, hosts):
                finished.add(part)


def _hosts(chosen: Set[str]) -> Mapping[str, Set[str]]:
    """Functions of the host, and the chosen kernels that they define."""
    hosts: dict[str, set[str]] = {}
    for name, _, kernel in (each.partition(".") for each in chosen):
        if kernel:
            hosts.setdefault(name, set()).add(kernel.partition("@")[0])
    return hosts


def _functions(file: File) -> set[str]:
    return {name for part in file.parts for name in part.functions}


def _changed(file: File, index: int, chosen: Set[str], hosts: Mapping[str, Set[str]]) -> bool:
    """Say things of a part of the file more plainly; False when nothing is left."""
    text = file.parts[index].text
    found = [*_definitions(text.tree, chosen, file.spellings)][::-1]
    if any(imports.moved_up(file, index, outer) for outer, _ in found):
        return True
    edits = [edit for outer, _ in found for edit in _plainly(file, text, outer)]
    new = text.edited(edits) if edits else functions.moved_out(file, index, found)
    new = new or _in_hosts(file, text, hosts)
    if new is not None:
        file.replace(index, new)
    return new is not None


_RULES = (stars.written_out, inline.spelled_out, comprehensions.unrolled, loops.one_variable)


def _plainly(file: File, text: Text, function: ast.FunctionDef) -> list[Edit]:
    """What the first rule that finds something in a function says more plainly where it stands."""
    found = ([*rule(file, text, function)] for rule in _RULES)
    return next((edits for edits in found if edits), [])


def _in_hosts(file: File, text: Text, hosts: Mapping[str, Set[str]]) -> Text | None:
    """The same for the chosen kernels that functions of the host define."""
    for host, _ in [*_definitions(text.tree, hosts.keys(), None)] if hosts else ():
        names = hosts[host.name]
        new = captured.taken_in(text, host, names, file.spellings.grids, file.imported)
        for *_around, kernel_ in captured.kernels(host, names) if new is None else ():
            edits = _plainly(file, text, kernel_) if new is None else []
            new = text.edited(edits) if edits else new
        if new is not None:
            return new
    return None


def _laid_out(text: Text, written: Set[str], unit: str) -> Text:
    """With the statements broken that have become too long for a line; comments behind them come above.

    Args:
        written: lines that stay as they are.
    """
    for node in sorted(_statements(text.tree), key=lambda n: -n.lineno):
        line = text.line(node.lineno)
        if len(line) <= WIDTH or line in written or line.lstrip().startswith("#"):
            continue
        raw = line.encode()
        indent, rest = raw[: node.col_offset], raw[node.end_col_offset :].strip()
        code = raw[node.col_offset : node.end_col_offset]
        if indent.strip() or (rest and not rest.startswith(b"#")):
            continue
        lines = [(indent + rest).decode()] if rest else []
        lines += laid_out(code.decode(), indent.decode(), unit)
        text = text.replaced(node.lineno, node.lineno, [(each, text.origin(node.lineno)) for each in lines])
    return text


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Those without a body, on one line."""
    for node in walk(tree):
        if isinstance(node, ast.stmt) and not hasattr(node, "body") and node.lineno == node.end_lineno:
            yield node


def ast_lines(module: LanguageModule) -> tuple[int, ...]:
    """Where the interpreter's lines start, without an empty one at the end."""
    starts = module.ctx.source.line_starts
    return starts[:-1] if starts[-1] == len(module.ctx.source.utf8) else starts


def _odd(nodes: Sequence[ast.AST], spellings: Spellings) -> bool:
    """Whether there may be something to be said more plainly in a function, the first of the nodes."""
    for node in nodes[1:]:
        kind = node.__class__
        if kind in _ODD or (kind in _MAY_BE_ODD and _MAY_BE_ODD[kind](node, spellings)):
            return True
    return False


def _may_fold(node: ast.Call, spellings: Spellings) -> bool:
    """Whether a function called ``sum`` or the like may be Python's; that of the language is another one."""
    if isinstance(node.func, ast.Name):
        return node.func.id in _FOLDS
    named = isinstance(node.func, ast.Attribute) and node.func.attr in _FOLDS
    return named and ast.unparse(node.func) in spellings.products | spellings.folds


def _is_several(node: ast.For, _: Spellings) -> bool:
    """Whether a loop has several variables, or runs over several things."""
    call = node.iter.func if isinstance(node.iter, ast.Call) else None
    return not isinstance(node.target, ast.Name) or (isinstance(call, ast.Name) and call.id in _SEVERAL)


_MAY_BE_ODD: Mapping[type, Callable[[Any, Spellings], bool]] = {
    ast.keyword: lambda node, _: stars.has_mapping(node),
    ast.Assign: lambda node, _: inline.is_parallel(node),
    ast.Call: _may_fold,
    ast.For: _is_several,
}
"""Kinds of nodes some of which can be said more plainly, and which."""


def _definitions(
    tree: ast.Module, chosen: Set[str], spellings: Spellings | None
) -> Iterator[tuple[ast.FunctionDef, ast.stmt]]:
    """The chosen functions, with ``spellings`` those that have something to be said more plainly, and the
    statements at the top of the file that they are in.
    """
    for top in tree.body:
        pending = [top]
        while pending:
            node = pending.pop()
            if isinstance(node, ast.FunctionDef):
                if node.name in chosen and (spellings is None or _odd(scopes.within(node), spellings)):
                    yield node, top
            elif isinstance(node, ast.If | ast.Try | ast.ClassDef | ast.With):
                pending += [n for n in children(node) if isinstance(n, ast.stmt)]
