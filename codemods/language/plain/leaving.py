"""The text of functions that leave the function they are in, and of their calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from ...record import record
from ...trees import walk
from ..translate.layout import laid_out
from . import scopes
from .lines import Line, Text, first_line, in_strings, moved, spliced


@record
class Inner:
    """A function inside of others.

    Attributes:
        node: its definition. around: the functions around it, the outermost first.
        calls: of it. name: what it is called as a function of the file.
        copied: statements of the outer function whose names it reads, which it gets itself.
        handed: names that calls hand over from now on.
    """

    node: ast.FunctionDef
    around: tuple[ast.FunctionDef, ...]
    calls: tuple[ast.Call, ...]
    name: str
    copied: tuple[ast.stmt, ...]
    handed: tuple[str, ...]


def written(text: Text, leaving: Sequence[tuple[Inner, ast.stmt]]) -> Text:
    """A part of the file with functions that leave others in front of statements at its top.

    Those that nothing calls are left out: what they would be handed is not known.
    """
    remains = _Remains(with_calls(text, [inner for inner, _ in leaving]), text.tree)
    new: dict[int, list[Line]] = {}
    for inner, top in leaving:
        if inner.calls:
            base = text.line(first_line(top))[: top.col_offset]
            end = ("", text.origin(inner.node.end_lineno or 0))
            lines = new.setdefault(text.above(first_line(top)), [])
            lines += [*_definition(text, remains, inner, base), end, end]
        remains.leave(inner)
    every = remains.between(1, len(text.lines))
    return Text(tuple(line for number, old in every for line in (*new.get(number, ()), old)))


class _Remains:
    """What remains of the lines of a text, those of ``tree``, while functions in it leave others."""

    def __init__(self, text: Text, tree: ast.Module) -> None:
        self._text = text
        self._instead: dict[int, Line] = {}
        self._above: dict[int, int] = {}  # a line that is gone → one above it that may be there
        self._below: dict[int, int] = {}
        blocks = [block for node in walk(tree) for block in scopes.blocks(node)]
        self._block = {id(statement): id(block) for block in blocks for statement in block}
        self._statements = {id(block): len(block) for block in blocks}

    def line(self, number: int) -> Line:
        return self._instead.get(number) or self._text.lines[number - 1]

    def between(self, first: int, last: int) -> Iterator[tuple[int, Line]]:
        """The numbers of lines that are there, and the lines."""
        return ((n, self.line(n)) for n in range(first, last + 1) if n not in self._above)

    def leave(self, inner: Inner) -> None:
        """Without a function, the comments above it, and blank lines below it where there are some above."""
        node, size = inner.node, len(self._text.lines)
        begin, end = self._text.above(node.lineno), node.end_lineno or node.lineno
        gone = [*range(begin, end + 1)]
        place = _jumped(begin - 1, self._above)
        above = self.line(place)[0].rstrip() if place else ""
        blank = not above or (bool(inner.calls) and above[-1] == ":")
        below = _jumped(end + 1, self._below)
        while blank and below <= size and not self.line(below)[0].strip():
            gone.append(below)
            below = _jumped(below + 1, self._below)
            blank = not inner.calls
        block = self._block[id(node)]
        if self._statements[block] == 1:
            self._instead[begin] = (f"{self._text.indentation(node)}pass", self._text.origin(node.lineno))
            gone.remove(begin)
        self._statements[block] -= 1
        self._above.update((number, number - 1) for number in gone)
        self._below.update((number, number + 1) for number in gone)


def _jumped(number: int, jumps: dict[int, int]) -> int:
    """The next line that is there; the lines in between will lead to it at once."""
    passed = []
    while number in jumps:
        passed.append(number)
        number = jumps[number]
    jumps.update(dict.fromkeys(passed, number))
    return number


def _definition(text: Text, remains: _Remains, inner: Inner, base: str) -> list[Line]:
    """The function's lines where it moves to, with its new parameters."""
    node, origin = inner.node, text.origin(inner.node.lineno)
    old, still = text.indentation(node), in_strings(node)
    head_end, last = header_end(text, node), node.end_lineno or 0
    found = moved(remains.between(text.above(node.lineno), node.lineno - 1), old, base, still)
    if node.body[0].lineno > head_end:
        unit = text.indentation(node.body[0])[len(old) :]
        said = [f"{base}{unit}{comment}" for comment in comments(text, node.lineno, head_end)]
        rest = moved(remains.between(head_end + 1, last), old, base, still)
    else:
        first, start = node.body[0].lineno, node.body[0].col_offset
        unit, said = "    ", []
        body = remains.line(first)[0].encode()[start:].decode()
        rest = [(f"{base}{unit}{body}", origin), *moved(remains.between(first + 1, last), old, base, still)]
    found += [(line, origin) for line in [*laid_out(header(text, inner), base, unit or "    "), *said]]
    docstring = ast.get_docstring(node) is not None
    split = (node.body[0].end_lineno or 0) - head_end if docstring and node.body[0].lineno > head_end else 0
    copies = [
        (line, text.origin(s.lineno))
        for s in inner.copied
        for line in laid_out(" ".join(ast.unparse(s).split()), base + (unit or "    "), unit or "    ")
    ]
    return found + rest[:split] + copies + rest[split:]


def _arguments(node: ast.FunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def header(text: Text, inner: Inner) -> str:
    """``def name(…) -> …:`` on one line. New parameters come before those with defaults."""
    arguments = inner.node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    count = len(positional) - len(arguments.defaults)
    defaults = [None] * count + [text.segment(d) for d in arguments.defaults]
    parts = [_parameter(text, a, d) for a, d in zip(positional, defaults, strict=True)]
    parts[count:count] = list(inner.handed)
    if arguments.kwonlyargs:
        parts.append("*")
        parts += [
            _parameter(text, a, text.segment(d) if d else None)
            for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        ]
    returns = f" -> {text.segment(inner.node.returns)}" if inner.node.returns else ""
    return f"def {inner.name}({', '.join(parts)}){returns}:"


def _parameter(text: Text, argument: ast.arg, default: str | None) -> str:
    annotation = f": {text.segment(argument.annotation)}" if argument.annotation else ""
    if default is None:
        return f"{argument.arg}{annotation}"
    return f"{argument.arg}{annotation}{' = ' if annotation else '='}{default}"


def header_end(text: Text, node: ast.FunctionDef) -> int:
    """The number of the line with the header's colon."""
    arguments: list[ast.arg | ast.expr] = [*_arguments(node), *node.args.defaults]
    arguments += [d for d in node.args.kw_defaults if d]
    if node.returns is not None:
        arguments.append(node.returns)
    ends = [n.end_lineno or 0 for n in arguments]
    line = max([node.lineno, *ends])
    while line < node.body[0].lineno and not text.line(line).partition("#")[0].rstrip().endswith(":"):
        line += 1
    return line


def has_header(text: Text, node: ast.FunctionDef) -> bool:
    """Whether it is clear where the header ends."""
    body, end = node.body[0], header_end(text, node)
    return end < body.lineno or text.line(end)[: body.col_offset].rstrip().endswith(":")


def can_hand_over(node: ast.FunctionDef, calls: Sequence[ast.Call]) -> bool:
    """Whether calls of a function tell which argument each parameter gets, so that they can give it more."""
    stars = any(isinstance(a, ast.Starred) for call in calls for a in call.args)
    stars = stars or any(k.arg is None for call in calls for k in call.keywords)
    count = len(node.args.posonlyargs) + len(node.args.args)
    crowded = node.args.vararg is None and any(len(call.args) > count for call in calls)
    return not stars and not crowded


def comments(text: Text, first: int, last: int) -> list[str]:
    """Comments in a header."""
    found = (text.line(n).partition("#") for n in range(first, last + 1))
    return [f"# {comment.strip()}" for _, sign, comment in found if sign]


def with_calls(text: Text, leaving: Sequence[Inner]) -> Text:
    """The file with what calls of functions hand over from now on, also calls in these functions."""
    pieces: dict[int, list[tuple[int, int, str]]] = {}
    for inner in leaving:
        for line, piece in _pieces(text, inner):
            pieces.setdefault(line, []).append(piece)
    lines = enumerate(text.lines, 1)
    return Text(
        tuple((spliced(line, pieces[n]) if n in pieces else line, origin) for n, (line, origin) in lines)
    )


def _pieces(text: Text, inner: Inner) -> Iterator[tuple[int, tuple[int, int, str]]]:
    """What changes in lines: the arguments that calls get, and the name of what is called."""
    count = len(inner.node.args.posonlyargs) + len(inner.node.args.args) - len(inner.node.args.defaults)
    names = [a.arg for a in (*inner.node.args.posonlyargs, *inner.node.args.args)]
    new = ", ".join(f"{name}={name}" for name in inner.handed)
    for call in inner.calls:
        if new:
            line, column = call.end_lineno or 0, (call.end_col_offset or 0) - 1
            yield line, (column, column, _comma(text, call) + new)
            for name, argument in list(zip(names, call.args, strict=False))[count:]:
                yield argument.lineno, (argument.col_offset, argument.col_offset, f"{name}=")
        if inner.name != inner.node.name:
            func = call.func
            yield func.lineno, (func.col_offset, func.end_col_offset or 0, inner.name)


def _comma(text: Text, call: ast.Call) -> str:
    """What comes between a call's arguments and another one."""
    given = [*call.args, *(k.value for k in call.keywords)]
    if not given:
        return ""
    last = max(given, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0))
    between = _between(text, last, call.end_lineno or 0, (call.end_col_offset or 0) - 1)
    if not between.rstrip().endswith(","):
        return ", "
    return " " if between.endswith(",") else ""


def _between(text: Text, last: ast.expr, line: int, column: int) -> str:
    """The code between a call's last argument and its closing parenthesis, without comments."""
    first, start = last.end_lineno or 0, last.end_col_offset or 0
    parts = []
    for number in range(first, line + 1):
        raw = text.line(number).encode()
        raw = raw[: column if number == line else len(raw)][start if number == first else 0 :]
        parts.append(raw.decode().partition("#")[0])
    return "".join(parts)
