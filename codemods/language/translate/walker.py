"""The state of one walk through a function, and what every part of the walk needs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from ...record import fresh, record
from ...source import Source
from ..analysis import values as v
from ..analysis.access import Access
from ..analysis.refusal import Refused
from ..analysis.symbols import Sym
from ..reasons import Once, Reason
from .body import Lines
from .environment import Environment
from .iterations import HandedOn
from .layout import flat
from .names import Names
from .plan import Function, LanguageModule
from .values import VIRTUAL, Blocks, Grid, Lost, Named, Value
from .writer import Goal, Shared, Writer

if TYPE_CHECKING:
    from ..analysis.blocks import Placing
    from .blocks import Block

NO_INDEX = "an index tile is used outside of an index"
"""Why a place is refused that wants data."""


class Skipped(Exception):
    """The place uses a value that was lost before; there is nothing new to report."""


@record(frozen=False)
class Walker:
    """One walk through one function.

    Attributes:
        module, function: what is walked. env: what names stand for at the present place.
        writer: takes the lines of the present statement.
        sums: names of tiles to which nothing but products is written, and whether one surely is.
        preceded: targets of products, by their ids, that something else may have written to before.
        blocks, placings: tiles with block dimensions, and where they are taken to belong.
        twins: those that a branch allocates → what its other arm allocates under the same name.
        reasons, notes: what came up so far. skipped: statements, by id, that use what was lost.
        views: how parts of tensors came about, by their text.
        handed_on: what iterations of loops hand to the next ones, as far as it is known.
        destinations: names of tensors that names are stored to (see :mod:`.sinks`).
    """

    module: LanguageModule
    function: Function
    shared: Shared
    env: Environment
    lines: Lines
    unit: str
    writer: Writer
    sums: Mapping[str, bool] = fresh(factory=dict)
    preceded: frozenset[int] = frozenset()
    reasons: Once = fresh(factory=Once)
    notes: Once = fresh(factory=Once)
    skipped: dict[int, bool] = fresh(factory=dict)
    calls: list[tuple[str, dict[str, Value]]] = fresh(factory=list)
    returned: list[Value] = fresh(factory=list)
    programs: tuple[str, ...] = ()
    blocks: dict[int, Block] = fresh(factory=dict)
    placings: dict[int, Placing] = fresh(factory=dict)
    twins: dict[int, int] = fresh(factory=dict)
    views: dict[str, Access] = fresh(factory=dict)
    handed_on: dict[ast.For, HandedOn] = fresh(factory=dict)
    destinations: dict[str, tuple[str, ...]] = fresh(factory=dict)

    @property
    def names(self) -> Names:
        return self.module.names

    @property
    def source(self) -> Source:
        return self.module.ctx.source

    def start(self, goal: Goal) -> Writer:
        """A new statement begins."""
        self.writer = Writer(self.shared, self.env, goal)
        return self.writer

    def again(self, placings: dict[int, Placing]) -> Walker:
        """The start of a walk from here, with these places of tiles with block dimensions."""
        env = self.env.copy()
        writer = Writer(self.shared, env, Goal("tile"))
        given = self.module, self.function, self.shared, env, self.lines, self.unit, writer
        return Walker(*given, self.sums, self.preceded, placings=placings)

    def attempt(self) -> Attempt:
        """A mark to come back to, should the lines written from here on be thrown away."""
        counts = {name: len(getattr(self, name)) for name in ("reasons", "notes", "returned", "calls")}
        return Attempt(self, counts, self.shared.taken.given)

    def refused(self, node: ast.AST, refusal: Refused) -> None:
        """Keep a reason; the same one at the same place once."""
        self.reasons.add(Reason(node, refusal.message, refusal.fields))

    def noted(self, node: ast.AST, writer: Writer) -> None:
        """Keep what is to be known about a statement; the same thing once."""
        for message, fields in writer.notes:
            self.notes.add(Reason(node, message, fields))

    # -- text ---------------------------------------------------------------------------------------

    def segment(self, node: ast.AST) -> str:
        """The expression as it stands, on one line."""
        text = self.module.texts.get(node)
        if text is None:
            start, end = self.source.span(node)
            text = self.module.texts[node] = flat(self.source.utf8[start:end].decode("utf-8"))
        return text

    def respelled(self, node: ast.AST, parts: Iterable[tuple[ast.expr, str]]) -> str:
        """The expression with other text for some of its parts."""
        changed = [(child, new) for child, new in parts if new != self.segment(child)]
        if not changed:
            return self.segment(node)
        start, end = self.source.span(node)
        pieces, position = [], start
        for child, new in sorted(changed, key=lambda pair: self.source.span(pair[0])):
            first, last = self.source.span(child)
            pieces += [self.source.utf8[position:first].decode("utf-8"), _operand(node, child, new)]
            position = last
        return flat("".join([*pieces, self.source.utf8[position:end].decode("utf-8")]))


@record
class Attempt:
    """See :meth:`Walker.attempt`."""

    walker: Walker
    counts: dict[str, int]
    given: int

    @property
    def refused(self) -> bool:
        """Whether something was refused since."""
        return len(self.walker.reasons) > self.counts["reasons"]

    def undo(self) -> None:
        """Forget what came up since."""
        for name, count in self.counts.items():
            del getattr(self.walker, name)[count:]
        self.walker.shared.taken.give_back(self.given)


_LOOSE = (ast.BinOp, ast.BoolOp, ast.Compare, ast.UnaryOp, ast.IfExp, ast.Lambda)


def _operand(parent: ast.AST, old: ast.expr, new: str) -> str:
    """New text for a part of an expression, in parentheses where it would fall apart."""
    if isinstance(parent, ast.BinOp | ast.UnaryOp | ast.BoolOp | ast.Compare | ast.Attribute | ast.Subscript):
        kind = _loose(new)
        return f"({new})" if kind and kind != _kind(old) else new
    return new


@lru_cache(maxsize=4096)
def _loose(code: str) -> str:
    """The kind of an expression of loose parts; "" for any other."""
    if code.isidentifier():
        return ""
    try:
        node = ast.parse(code, mode="eval").body
    except SyntaxError:
        return ""
    return _kind(node) if isinstance(node, _LOOSE) else ""


def _kind(node: ast.expr) -> str:
    """What binds the parts of an expression."""
    return f"{type(node).__name__} {type(getattr(node, 'op', None)).__name__}"


def text(value: Value) -> str:
    """The new code for a value. Raises Refused for an index tile, which has none of its own."""
    if isinstance(value, VIRTUAL) and not isinstance(value, Grid):
        raise Refused("M-IDX", reason=NO_INDEX)
    if isinstance(value, Blocks):
        raise Refused("M-IDX", expr=value.text, reason="a tile with block dimensions is used as a whole")
    if isinstance(value, Named) and value.gone:
        raise Refused("M-INTERNAL", name=value.name)
    return value.code if isinstance(value, v.Token) else str(value.text)


def integer(w: Walker, value: Value) -> Sym | None:
    """The value as an integer, where one is needed: what is not understood is taken as it is spelled."""
    if isinstance(value, v.Scalar) and value.sym is not None:
        return value.sym
    return w.env.atom(value.text) if isinstance(value, v.Scalar | v.Unknown) else None


def known(value: Value) -> Value:
    """The value, unless it was lost."""
    if isinstance(value, Lost):
        raise Skipped
    return value
