"""All rules applied to a file until none has anything to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set

from ...trees import children, last_name, walk
from ..translate.inside import is_made, taken
from ..translate.layout import WIDTH, laid_out
from ..translate.parameters import Uses
from ..translate.plan import LanguageModule
from . import captured, comprehensions, functions, imports, inline, loops, scopes, stars
from .file import File, Part, Spellings
from .lines import Text

_GRIDS = ("nl.arange", "nl.mgrid")
_PRODUCTS = ("math.prod", "numpy.prod")
_FOLDS = ("sum", "any", "all", "prod", "reduce")
_ROUNDS = 40
_FOLDED = ("functools.reduce",)
_OPERATORS = {f"operator.{name}": sign for name, sign in inline.SIGNS.items()}
_ODD = (ast.FunctionDef, *inline.ODD, *stars.ODD, *scopes.COMPREHENSIONS, ast.Import, ast.ImportFrom)


def plainer(module: LanguageModule) -> Text | None:
    """The file in plainer Python; None when its kernels are plain already."""
    functions = {name: f.node for name, f in module.functions.items() if not f.inner}
    inside = {f"{name}.{inner}" for name in module.functions for inner in _of_host(module, name)}
    if not inside and not any(_odd(node) for node in functions.values()):
        return None
    spellings = _spellings(module)
    folds = {*spellings.products, *spellings.folds}
    chosen = {name for name, node in functions.items() if _odd(node, folds)} | inside
    if not chosen or "\f" in module.ctx.source.text:
        return None
    start = Text.of(module.ctx.source.text)
    if len(start.lines) != len(ast_lines(module)):
        return None  # the interpreter counts lines in another way than text does
    file = File.of(start, _unit(start), spellings)
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
    before = _functions(file)
    finished: set[Part] = set()
    for _ in range(_ROUNDS):
        names = chosen | (_functions(file) - before)
        parts = enumerate(file.parts)
        hosts = {name.partition(".")[0] for name in names}
        left = [i for i, part in parts if part not in finished and not hosts.isdisjoint(part.names.given)]
        if not left:
            return
        for index in left[::-1]:  # a change of one part leaves those above it where they are
            part = file.parts[index]
            if not _once(file, index, names):
                finished.add(part)


def _functions(file: File) -> set[str]:
    return {name for part in file.parts for name in part.functions}


def _once(file: File, index: int, chosen: Set[str]) -> bool:
    """Say one thing of a part of the file more plainly; False when nothing is left."""
    text, spellings = file.parts[index].text, file.spellings
    folds = {*spellings.products, *spellings.folds}
    for outer, top in [*_definitions(text.tree, chosen, folds)][::-1]:
        if imports.moved_up(file, index, outer):
            return True
        new = _plainly(file, text, outer) or functions.moved_out(file, index, outer, top)
        if new is not None:
            file.replace(index, new)
            return True
    new = _in_hosts(file, text, chosen)
    if new is not None:
        file.replace(index, new)
    return new is not None


_RULES = (stars.written_out, inline.spelled_out, comprehensions.unrolled, loops.one_variable)


def _plainly(file: File, text: Text, function: ast.FunctionDef) -> Text | None:
    """What one of the rules finds in a function said more plainly where it stands."""
    for rule in _RULES:
        edits = [*rule(file, text, function)]
        if edits:
            return text.edited(edits)
    return None


def _in_hosts(file: File, text: Text, chosen: Set[str]) -> Text | None:
    """The same for the chosen kernels that functions of the host define."""
    hosts: dict[str, set[str]] = {}
    for name, _, kernel in (each.partition(".") for each in chosen):
        if kernel:
            hosts.setdefault(name, set()).add(kernel.partition("@")[0])
    for host, _ in [*_definitions(text.tree, hosts.keys())]:
        names = hosts[host.name]
        new = captured.taken_in(text, host, names, file.spellings.grids, file.imported)
        for *_around, kernel_ in captured.kernels(host, names) if new is None else ():
            new = new or _plainly(file, text, kernel_)
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


def _unit(text: Text) -> str:
    """What the file indents by."""
    for node in ast.walk(text.tree):  # which stops where it is left
        if isinstance(node, ast.FunctionDef) and node.body[0].lineno > node.lineno:
            return " " * (node.body[0].col_offset - node.col_offset) or "    "
    return "    "


def ast_lines(module: LanguageModule) -> tuple[int, ...]:
    """Where the interpreter's lines start, without an empty one at the end."""
    starts = module.ctx.source.line_starts
    return starts[:-1] if starts[-1] == len(module.ctx.source.utf8) else starts


def _odd(node: ast.FunctionDef, folds: Set[str] | None = None) -> bool:
    """Whether there may be something to be said more plainly; ``folds``: how the file spells those of
    libraries, where that is known.
    """
    return any(
        isinstance(n, _ODD)
        or stars.has_mapping(n)
        or (isinstance(n, ast.Assign) and inline.is_parallel(n))
        or (isinstance(n, ast.Call) and last_name(n.func) in _FOLDS and _may_fold(n.func, folds))
        or (isinstance(n, ast.For) and (not isinstance(n.target, ast.Name) or _several(n.iter)))
        for n in scopes.within(node)
        if n is not node
    )


def _may_fold(func: ast.expr, folds: Set[str] | None) -> bool:
    """Whether a function called ``sum`` or the like may be Python's; that of the language is another one."""
    return folds is None or isinstance(func, ast.Name) or ast.unparse(func) in folds


def _several(node: ast.expr) -> bool:
    name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    return name in ("zip", "enumerate", "reversed")


def _definitions(
    tree: ast.Module, chosen: Set[str], folds: Set[str] | None = None
) -> Iterator[tuple[ast.FunctionDef, ast.stmt]]:
    """The chosen functions, with ``folds`` those that have something to say more plainly, and the statements
    at the top of the file they are in.
    """
    for top in tree.body:
        pending = [top]
        while pending:
            node = pending.pop()
            if isinstance(node, ast.FunctionDef):
                if node.name in chosen and (folds is None or _odd(node, folds)):
                    yield node, top
            elif isinstance(node, ast.If | ast.Try | ast.ClassDef | ast.With):
                pending += [n for n in children(node) if isinstance(n, ast.stmt)]


def _spellings(module: LanguageModule) -> Spellings:
    """How the file spells functions of libraries."""
    found: dict[str, set[str]] = {name: set() for name in (*_GRIDS, *_PRODUCTS, *_FOLDED, *_OPERATORS)}
    last = {name.rpartition(".")[2] for name in found}
    for link in (link for use in module.ctx.module.uses for link in use.links):
        named = link.attr in last if isinstance(link, ast.Attribute) else isinstance(link, ast.Name)
        if named and (name := module.names.short(link)) in found:
            found[name].add(ast.unparse(link))
    grids, products, folds = (
        frozenset().union(*(found[name] for name in names)) for names in (_GRIDS, _PRODUCTS, _FOLDED)
    )
    operators = {code: sign for name, sign in _OPERATORS.items() for code in found[name]}
    return Spellings(grids, products, folds, operators)
