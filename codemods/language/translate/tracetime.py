"""Functions of a file carried out while it is migrated, so that it is known what they give to a kernel.

Numbers are integer expressions, which may have loop variables in them; besides there are tuples,
dictionaries, functions and what Python itself has for these. Nothing of the file runs: anything else is
:class:`Unclear`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial, reduce
from typing import Any

from ...analysis.context import FileContext
from ...record import fresh, record
from ...trees import walk
from ..analysis.symbols import Sym, as_sym
from .arithmetic import combined
from .names import Names

_STEPS = 20_000
_DEPTH = 40

Known = Any
"""A Sym, bool, str, None, a tuple or dictionary of these, or a function of them."""


UNKNOWN = object()
"""What a name of the kernel means that is not followed."""


class Unclear(Exception):
    """What a function gives is not known before a kernel is compiled."""


class _Returned(Exception):
    """A return statement was reached."""

    def __init__(self, value: Known) -> None:
        super().__init__()
        self.value = value


class _Once(tuple[Known, ...]):
    """What an iterator gives, which can be asked once only: it gets no name."""


@record(frozen=False)
class Trace:
    """A file whose functions are carried out.

    Attributes:
        ctx: the file. names: resolves what it imports. steps: how much was done so far. depth: of calls.
    """

    ctx: FileContext
    names: Names
    steps: int = 0
    depth: int = 0

    def value(
        self, node: ast.expr, known: Mapping[str, Known], functions: Iterable[ast.FunctionDef] = ()
    ) -> Known:
        """What an expression is where names mean what is ``known``, or ``functions`` are defined.

        Raises Unclear.
        """
        frame = _Frame(self, dict(known))
        for function in functions:
            frame.definition(function)
        return frame.value(node)

    def top(self, name: str) -> Known:
        """What a name at the top of the file means, which is bound once."""
        bindings = self.ctx.module.top.bindings.get(name, [])
        binding = bindings[0] if len(bindings) == 1 else None
        if binding is None or name in _rebound(self.ctx.tree):
            raise Unclear
        if isinstance(binding.node, ast.FunctionDef):
            return _Frame(self).function(binding.node)
        if binding.kind != "assign" or binding.path or binding.value is None:
            raise Unclear
        return _Frame(self).value(binding.value)


def _rebound(tree: ast.Module) -> frozenset[str]:
    """Names of the file that functions bind."""
    return frozenset(name for node in walk(tree) if isinstance(node, ast.Global) for name in node.names)


@record(frozen=False)
class _Frame:
    """A call that is carried out; ``outer``: the one that its function was defined in; ``each``: an item of a
    comprehension in it.
    """

    trace: Trace
    own: dict[str, Known] = fresh(factory=dict)
    outer: _Frame | None = None
    each: bool = False

    # -- expressions --------------------------------------------------------------------------------

    def value(self, node: ast.expr | None) -> Known:
        self.trace.steps += 1
        handler = _EXPRESSIONS.get(type(node))
        if handler is None or self.trace.steps > _STEPS:
            raise Unclear
        return handler(self, node)

    def constant(self, node: ast.Constant) -> Known:
        if isinstance(node.value, bool | str) or node.value is None:
            return node.value
        if isinstance(node.value, int):
            return Sym.constant(node.value)
        raise Unclear

    def name(self, node: ast.Name) -> Known:
        frame: _Frame | None = self
        while frame is not None:
            if node.id in frame.own:
                if frame.own[node.id] is UNKNOWN:
                    raise Unclear
                return frame.own[node.id]
            frame = frame.outer
        found = _LIBRARY.get(self.trace.names.qualified(node))
        return found if found is not None else self.trace.top(node.id)

    def attribute(self, node: ast.Attribute) -> Known:
        found = _LIBRARY.get(self.trace.names.qualified(node))
        if found is None:
            raise Unclear
        return found

    def display(self, node: ast.Tuple | ast.List) -> Known:
        return tuple(self.value(item) for item in node.elts)

    def mapping(self, node: ast.Dict) -> Known:
        return {_key(self.value(k)): self.value(v) for k, v in zip(node.keys, node.values, strict=True) if k}

    def binary(self, node: ast.BinOp) -> Known:
        return _operate(node.op, self.value(node.left), self.value(node.right))

    def unary(self, node: ast.UnaryOp) -> Known:
        if isinstance(node.op, ast.Not):
            return not self.truth(node.operand)
        operand = self.value(node.operand)
        if not isinstance(node.op, ast.USub) or not isinstance(operand, Sym):
            raise Unclear
        return -operand

    def compare(self, node: ast.Compare) -> Known:
        values = [self.value(each) for each in (node.left, *node.comparators)]
        return all(map(_compare, node.ops, values, values[1:]))

    def boolean(self, node: ast.BoolOp) -> Known:
        stops = isinstance(node.op, ast.Or)
        found: Known = None
        for each in node.values:
            found = self.value(each)
            if _truth(found) is stops:
                break
        return found

    def choice(self, node: ast.IfExp) -> Known:
        return self.value(node.body if self.truth(node.test) else node.orelse)

    def subscript(self, node: ast.Subscript) -> Known:
        base = self.value(node.value)
        if isinstance(base, _Once):
            raise Unclear
        if isinstance(node.slice, ast.Slice) and isinstance(base, tuple):
            parts = (node.slice.lower, node.slice.upper, node.slice.step)
            return base[slice(*(None if part is None else _number(self.value(part)) for part in parts))]
        key = self.value(node.slice)
        try:
            return base[_key(key)] if isinstance(base, dict) else base[_number(key)]
        except (KeyError, IndexError, TypeError):
            raise Unclear from None

    def function(self, node: ast.FunctionDef | ast.Lambda) -> Known:
        if self.each:  # it would see the last item only
            raise Unclear
        return partial(self.called, node, self._defaults(node.args))

    def call(self, node: ast.Call) -> Known:
        function = self.value(node.func)
        if not callable(function) or any(isinstance(a, ast.Starred) for a in node.args):
            raise Unclear
        named = {k.arg: self.value(k.value) for k in node.keywords if k.arg}
        given = [self._given(a) for a in node.args]
        own = function not in _LIBRARY.values()
        if len(named) < len(node.keywords) or (own and any(isinstance(a, _Once) for a in given)):
            raise Unclear
        try:
            return function(*given, **named)
        except (TypeError, ValueError):
            raise Unclear from None

    def _given(self, node: ast.expr) -> Known:
        if isinstance(node, ast.GeneratorExp):
            return _Once(frame.value(node.elt) for frame in self._each(node.generators))
        return self.value(node)

    def comprehension(self, node: ast.ListComp) -> Known:
        return tuple(frame.value(node.elt) for frame in self._each(node.generators))

    def _each(self, generators: Sequence[ast.comprehension]) -> Iterator[_Frame]:
        if not generators:
            yield self
            return
        for item in _items(self.value(generators[0].iter)):
            inner = _Frame(self.trace, {}, self, True)
            inner.assign(generators[0].target, item)
            if all(inner.truth(test) for test in generators[0].ifs):
                yield from inner._each(generators[1:])

    def truth(self, node: ast.expr) -> bool:
        return _truth(self.value(node))

    # -- functions ----------------------------------------------------------------------------------

    def _defaults(self, arguments: ast.arguments) -> dict[str, Known]:
        names = [*arguments.posonlyargs, *arguments.args]
        last = names[len(names) - len(arguments.defaults) :]
        pairs = [*zip(last, arguments.defaults, strict=True)]
        pairs += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d]
        return {a.arg: self.value(d) for a, d in pairs}

    def called(
        self, node: ast.FunctionDef | ast.Lambda, defaults: dict[str, Known], *given: Known, **named: Known
    ) -> Known:
        """What a function, defined in this frame, gives."""
        arguments = node.args
        positional = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        known = {*positional, *(a.arg for a in arguments.kwonlyargs)}
        own = {**defaults, **dict(zip(positional, given, strict=False)), **named}
        twice = set(positional[: len(given)]) & set(named)
        odd = arguments.vararg or arguments.kwarg or getattr(node, "decorator_list", None)
        if odd or twice or len(given) > len(positional) or set(own) != known or self.trace.depth > _DEPTH:
            raise Unclear
        frame = _Frame(self.trace, own, self)
        self.trace.depth += 1
        try:
            if isinstance(node, ast.Lambda):
                return frame.value(node.body)
            frame.run(node.body)
        except _Returned as returned:
            return returned.value
        finally:
            self.trace.depth -= 1
        return None

    # -- statements ---------------------------------------------------------------------------------

    def run(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.trace.steps += 1
            handler = _STATEMENTS.get(type(statement))
            if handler is None or self.trace.steps > _STEPS:
                raise Unclear
            handler(self, statement)

    def assign(self, target: ast.expr, value: Known) -> None:
        if isinstance(value, _Once):
            raise Unclear
        if isinstance(target, ast.Name):
            self.own[target.id] = value
            return
        items = _items(value)
        if not isinstance(target, ast.Tuple | ast.List) or len(items) != len(target.elts):
            raise Unclear
        for each, item in zip(target.elts, items, strict=True):
            self.assign(each, item)

    def assignment(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self.assign(target, value)

    def augmented(self, node: ast.AugAssign) -> None:
        if not isinstance(node.target, ast.Name) or node.target.id not in self.own:
            raise Unclear
        if not isinstance(self.own[node.target.id], Sym):  # others may see how a list changes
            raise Unclear
        self.own[node.target.id] = _operate(node.op, self.own[node.target.id], self.value(node.value))

    def definition(self, node: ast.FunctionDef) -> None:
        self.own[node.name] = self.function(node)

    def branch(self, node: ast.If) -> None:
        self.run(node.body if self.truth(node.test) else node.orelse)

    def loop(self, node: ast.For) -> None:
        for item in _items(self.value(node.iter)):
            self.assign(node.target, item)
            self.run(node.body)
        self.run(node.orelse)

    def expression(self, node: ast.Expr) -> None:
        self.value(node.value)

    def returns(self, node: ast.Return) -> None:
        raise _Returned(None if node.value is None else self.value(node.value))

    def nothing(self, node: ast.stmt) -> None:
        """``pass``, and what is asserted: it holds, or the kernel never was compiled."""


_EXPRESSIONS: Mapping[type, Callable[[_Frame, Any], Known]] = {
    ast.Constant: _Frame.constant,
    ast.Name: _Frame.name,
    ast.Attribute: _Frame.attribute,
    ast.Tuple: _Frame.display,
    ast.List: _Frame.display,
    ast.Dict: _Frame.mapping,
    ast.BinOp: _Frame.binary,
    ast.UnaryOp: _Frame.unary,
    ast.Compare: _Frame.compare,
    ast.BoolOp: _Frame.boolean,
    ast.IfExp: _Frame.choice,
    ast.Subscript: _Frame.subscript,
    ast.Lambda: _Frame.function,
    ast.Call: _Frame.call,
    ast.ListComp: _Frame.comprehension,
}
_STATEMENTS: Mapping[type, Callable[[_Frame, Any], None]] = {
    ast.Assign: _Frame.assignment,
    ast.AugAssign: _Frame.augmented,
    ast.FunctionDef: _Frame.definition,
    ast.If: _Frame.branch,
    ast.For: _Frame.loop,
    ast.Expr: _Frame.expression,
    ast.Return: _Frame.returns,
    ast.Assert: _Frame.nothing,
    ast.Pass: _Frame.nothing,
}


# -- Python's operations ------------------------------------------------------------------------------


def _operate(op: ast.operator, left: Known, right: Known) -> Known:
    if isinstance(left, tuple) and isinstance(right, tuple) and isinstance(op, ast.Add):
        return left + right
    if isinstance(left, tuple) and isinstance(op, ast.Mult):
        return left * _number(right)
    if not isinstance(left, Sym) or not isinstance(right, Sym):
        raise Unclear
    found = combined(op, left, right)
    if found is None:
        raise Unclear
    return found


def _compare(op: ast.cmpop, left: Known, right: Known) -> bool:
    if isinstance(op, ast.Is | ast.IsNot):
        if left is not None and right is not None:
            raise Unclear
        return (left is right) is isinstance(op, ast.Is)
    if isinstance(op, ast.Eq | ast.NotEq) and not (isinstance(left, Sym) and isinstance(right, Sym)):
        return (_key(left) == _key(right)) is isinstance(op, ast.Eq)
    if not isinstance(left, Sym) or not isinstance(right, Sym) or type(op) not in _ORDERS:
        raise Unclear
    return _ORDERS[type(op)](_number(left - right))


_ORDERS: Mapping[type, Callable[[int], bool]] = {
    ast.Eq: lambda difference: difference == 0,
    ast.NotEq: lambda difference: difference != 0,
    ast.Lt: lambda difference: difference < 0,
    ast.LtE: lambda difference: difference <= 0,
    ast.Gt: lambda difference: difference > 0,
    ast.GtE: lambda difference: difference >= 0,
}


def _number(value: Known) -> int:
    """A number that is known. Raises Unclear."""
    found = value.value if isinstance(value, Sym) else None
    if found is None:
        raise Unclear
    return int(found)


def _truth(value: Known) -> bool:
    return bool(_number(value)) if isinstance(value, Sym) else bool(value)


def _key(value: Known) -> Known:
    """What tells a value from others: its numbers as Python's. Raises Unclear for unknown numbers."""
    if isinstance(value, tuple):
        return tuple(_key(each) for each in value)
    if isinstance(value, Sym):
        return _number(value)
    if isinstance(value, str) or value is None:
        return value
    raise Unclear


def _items(value: Known) -> tuple[Known, ...]:
    if not isinstance(value, tuple):
        raise Unclear
    return value


def _numbers(*bounds: Known) -> tuple[Sym, ...]:
    return tuple(Sym.constant(n) for n in range(*map(_number, bounds)))


def _total(values: Known, start: Known = 0) -> Known:
    return reduce(lambda a, b: _operate(ast.Add(), a, b), _items(values), as_sym(start))


def _product(values: Known) -> Known:
    return reduce(lambda a, b: _operate(ast.Mult(), a, b), _items(values), Sym.constant(1))


def _folded(function: Callable[[Known, Known], Known], values: Known, *start: Known) -> Known:
    return reduce(function, _items(values), *start)


def _zipped(*values: Known) -> Known:
    return _Once(zip(*map(_items, values), strict=False))


def _counted(values: Known, start: Known = 0) -> Known:
    return _Once((as_sym(start) + n, each) for n, each in enumerate(_items(values)))


def _listed(values: Known = ()) -> Known:
    return tuple(_items(values))


def _length(values: Known) -> Known:
    if isinstance(values, _Once):
        raise Unclear
    return Sym.constant(len(_items(values)))


_LIBRARY: Mapping[str, Callable[..., Known]] = {
    "builtins.len": _length,
    "builtins.range": _numbers,
    "builtins.zip": _zipped,
    "builtins.enumerate": _counted,
    "builtins.tuple": _listed,
    "builtins.list": _listed,
    "builtins.sum": _total,
    "functools.reduce": _folded,
    "functools.partial": partial,
    "operator.add": lambda a, b: _operate(ast.Add(), a, b),
    "operator.mul": lambda a, b: _operate(ast.Mult(), a, b),
    "math.prod": _product,
}
"""Functions of Python by their qualified names."""
