"""Changes Python programs at random, as no author would: what comes out usually still parses.

A mutation works on spans of bytes that :mod:`ast` gives, so that layout, comments and odd spacing stay; some
change the layout alone. The same seed gives the same program.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Sequence

import soundness

Span = tuple[int, int]


class Program:
    """A text that parses, with the spans of its parts (bytes)."""

    def __init__(self, text: str) -> None:
        self.data = text.encode("utf-8", "surrogatepass")
        self.tree = soundness.tree_of(text)
        self._starts = [0]
        for line in self.data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> Span:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = min([node, *getattr(node, "decorator_list", ())], key=lambda n: n.lineno)
        at = start.col_offset - (1 if start is not node else 0)  # with the @
        return self._starts[start.lineno - 1] + at, self._starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.expr | ast.stmt) -> bytes:
        start, end = self.span(node)
        return self.data[start:end]

    def nodes(self, kind: type[ast.AST]) -> list[ast.AST]:
        return [node for node in ast.walk(self.tree) if isinstance(node, kind)]

    def replaced(self, span: Span, new: bytes) -> bytes:
        return self.data[: span[0]] + new + self.data[span[1] :]


def mutant(text: str, donors: Sequence[str], rng: random.Random, count: int | None = None) -> str:
    """``text`` after one to six mutations (or ``count``); the last valid one where one breaks the syntax.

    ``donors`` are programs whose statements and expressions may appear in it.
    """
    for _ in range(rng.randint(1, 6) if count is None else count):
        try:
            changed = rng.choice(MUTATIONS)(Program(text), rng, donors).decode("utf-8", "surrogatepass")
            soundness.tree_of(changed)
        except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
            continue
        text = changed
    return text


Mutation = Callable[[Program, random.Random, Sequence[str]], bytes]

# -- expressions --------------------------------------------------------------------------------------

_FRAGMENTS = (
    "None", "0", "-1", "1 << 70", "...", "()", "[]", "{}", "x", "f'{x!r:>{w}}'", "b''", "lambda *a, **k: a",
    "(yield)", "(await x)", "[*x]", "{**x}", "x if y else z", "x[::2]", "x[..., None]", "(y := x)", "not x",
    "'nkilib.core.qkv.qkv'", "x.y.z", "x()()", "x[0](1)[2]", "[i for i in x if i]", "x @ y", "a < b < c", "print",
    "nl.arange(128)[:, None]", "nl.mgrid[0:128, 0:512]", "x.shape", "nl.float32", "getattr(x, 'sizes')", "1j",
)  # fmt: skip


def _expressions(program: Program) -> list[ast.expr]:
    """Expressions in positions that take any other; those of f-strings have no trustworthy spans."""
    inside = {id(n) for joined in program.nodes(ast.JoinedStr) for n in ast.walk(joined)}
    loaded = (n for n in program.nodes(ast.expr) if isinstance(getattr(n, "ctx", ast.Load()), ast.Load))
    return [n for n in loaded if id(n) not in inside and isinstance(n, ast.expr)]


def replace_expression(program: Program, rng: random.Random, donors: Sequence[str]) -> bytes:
    new = rng.choice(_FRAGMENTS).encode()
    if rng.random() < 0.5:
        donor = Program(rng.choice([*donors, program.data.decode("utf-8", "surrogatepass")]))
        new = donor.text(rng.choice(_expressions(donor)))
    new = new if rng.random() < 0.5 else b"(" + new + b")"
    return program.replaced(program.span(rng.choice(_expressions(program))), new)


def wrap_expression(program: Program, rng: random.Random, _donors: Sequence[str]) -> bytes:
    forms = ("({})", "(\n{}\n)", "{}[0]", "{}.T", "f({})", "[{}]", "*{}", "-{}", "(w := {})", "{} or x", "({},)",
             "(lambda: {})()", "{}  # why\n", "str({})", "functools.partial({})", "{}[2]", "{} + 1")  # fmt: skip
    node = rng.choice(_expressions(program))
    new = rng.choice(forms).encode().replace(b"{}", program.text(node))
    return program.replaced(program.span(node), new)


def change_arguments(program: Program, rng: random.Random, _donors: Sequence[str]) -> bytes:
    call = rng.choice(program.nodes(ast.Call))
    assert isinstance(call, ast.Call)
    arguments = [program.text(a) for a in call.args]
    arguments += [(k.arg.encode() + b"=" if k.arg else b"**") + program.text(k.value) for k in call.keywords]
    kind = rng.randrange(5)
    if kind == 0 and arguments:
        del arguments[rng.randrange(len(arguments))]
    elif kind == 1 and arguments:
        arguments.insert(rng.randrange(len(arguments) + 1), rng.choice(arguments))
    elif kind == 2:
        rng.shuffle(arguments)
    elif kind == 3:
        arguments.insert(
            rng.randrange(len(arguments) + 1), rng.choice((b"*rest", b"**more", b"k=1", b"None"))
        )
    else:
        arguments = [a.partition(b"=")[2] if b"=" in a[:20] else a for a in arguments]
    separator = rng.choice((b", ", b",", b",\n ", b" , # c\n"))
    return program.replaced(
        program.span(call), program.text(call.func) + b"(" + separator.join(arguments) + b")"
    )


def change_name(program: Program, rng: random.Random, _donors: Sequence[str]) -> bytes:
    """One use of a name becomes another name of the program, or all of them a new one."""
    names = [n for n in program.nodes(ast.Name) if isinstance(n, ast.Name)]
    one = rng.choice(names)
    if rng.random() < 0.5:
        return program.replaced(program.span(one), rng.choice(names).id.encode())
    new = rng.choice(("é", "nl", "nki", "self", "_", "match", "list", "x" * 200, "ｎｌ"))
    spans = sorted((program.span(n) for n in names if n.id == one.id), reverse=True)
    data = program.data
    for start, end in spans:
        data = data[:start] + new.encode() + data[end:]
    return data


def change_attribute(program: Program, rng: random.Random, _donors: Sequence[str]) -> bytes:
    attributes = [n for n in program.nodes(ast.Attribute) if isinstance(n, ast.Attribute)]
    one, other = rng.choice(attributes), rng.choice(attributes)
    return program.replaced(program.span(one), program.text(one.value) + b"." + other.attr.encode())


# -- statements ---------------------------------------------------------------------------------------


def _statements(program: Program) -> list[ast.stmt]:
    return [n for n in program.nodes(ast.stmt) if isinstance(n, ast.stmt)]


def _lines(program: Program, node: ast.stmt) -> tuple[bytes, bytes]:
    """A statement's indentation and its text as it would stand at column 0."""
    start, _ = program.span(node)
    line = program.data.rfind(b"\n", 0, start) + 1
    indent = program.data[line:start]
    return (indent if not indent.strip() else b""), program.text(node).replace(b"\n" + indent, b"\n")


def _indented(text: bytes, indent: bytes) -> bytes:
    return text.replace(b"\n", b"\n" + indent)


def remove_statement(program: Program, rng: random.Random, _donors: Sequence[str]) -> bytes:
    return program.replaced(program.span(rng.choice(_statements(program))), rng.choice((b"pass", b"...")))


def insert_statement(program: Program, rng: random.Random, donors: Sequence[str]) -> bytes:
    """A statement of this program or of a donor comes to stand before another one."""
    donor = program if rng.random() < 0.5 else Program(rng.choice(donors))
    _, text = _lines(donor, rng.choice(_statements(donor)))
    place = rng.choice(_statements(program))
    start, _ = program.span(place)
    indent, _ = _lines(program, place)
    end = b"\n" + indent if b"\n" in text or rng.random() < 0.9 else b"; "
    return program.replaced((start, start), _indented(text, indent) + end)


def swap_statements(program: Program, rng: random.Random, _donors: Sequence[str]) -> bytes:
    one, two = sorted(rng.sample(_statements(program), 2), key=program.span)
    (start, end), (other, last) = program.span(one), program.span(two)
    if other < end:
        raise ValueError("one is in the other")
    first, second = _lines(program, one), _lines(program, two)
    middle = program.data[end:other]
    new = _indented(second[1], first[0]) + middle + _indented(first[1], second[0])
    return program.replaced((start, last), new)


def wrap_statement(program: Program, rng: random.Random, _donors: Sequence[str]) -> bytes:
    heads = (
        "if x:",
        "for i in range(3):",
        "while True:",
        "with x as y:",
        "try:",
        "def f(x):",
        "class C:",
        "else_",
    )
    node = rng.choice(_statements(program))
    indent, text = _lines(program, node)
    head = rng.choice(heads)
    step = rng.choice((b"    ", b"  ", b"\t", b" "))
    if head == "else_":
        head, text = "if x:", b"pass\nelse:\n" + step + _indented(text, step)
    new = head.encode() + b"\n" + step + _indented(text, step)
    new += b"\nfinally:\n" + step + b"pass" if head == "try:" else b""
    return program.replaced(program.span(node), _indented(new, indent))


# -- layout -------------------------------------------------------------------------------------------


def change_layout(program: Program, rng: random.Random, _donors: Sequence[str]) -> bytes:
    data = program.data
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    kind = rng.randrange(9)
    if kind == 0:
        return data.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n")))
    if kind == 1:
        return data.replace(b"    ", rng.choice((b"\t", b"  ", b" ", b"        ")))
    if kind == 2:
        lines.insert(
            at,
            rng.choice((b"# note\n", b"\n\n", b"\x0c\n", b"   \n", b"# nkimigrate: skip\n", b"# fmt: off\n")),
        )
    elif kind == 3:
        lines[at] = lines[at].rstrip(b"\r\n") + rng.choice(
            (b"  # why\n", b"  # nkimigrate: skip\n", b" ;\n", b" \t\n")
        )
    elif kind == 4:
        return data.replace(b", ", rng.choice((b" , ", b",", b", \\\n ")), rng.randint(1, 3))
    elif kind == 5:
        return data.replace(b" = ", rng.choice((b"=", b" =\\\n ", b"  =  ")), rng.randint(1, 3))
    elif kind == 6:
        return data.rstrip() + rng.choice((b"", b"\n\n\n", b"\n# end", b"\n\x0c", b"\\\n"))
    elif kind == 7:
        lines.insert(
            at, rng.choice(('"""é\u2028ß"""\n', "x = '\u00a0\U0001f600'\n", "s = '''\n  a\n'''\n")).encode()
        )
    else:
        lines[at] = lines[at].replace(b"(", b"(  # open\n ", 1)
    return b"".join(lines)


MUTATIONS: tuple[Mutation, ...] = (
    replace_expression, replace_expression, wrap_expression, change_arguments, change_name, change_attribute,
    remove_statement, insert_statement, insert_statement, swap_statements, wrap_statement, change_layout,
)  # fmt: skip
