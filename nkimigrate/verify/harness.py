"""What a kernel's own ``__main__`` block or test calls it with, found by reading.

A small interpreter walks through the harness: assignments, loops, branches, calls of its own functions. It
knows how arrays are made (NumPy, torch, jax, ``nl``), keeps their shape, type and kind of values, and
remembers each call of a kernel. What it does not know is :data:`UNKNOWN`, which spreads. Nothing is run.
"""

from __future__ import annotations

import ast
import contextlib
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any

from .discover import Kernel, SourceFile, makes_kernels

STEPS, DEPTH, ROUNDS, LONGEST = 20_000, 12, 8, 256
"""Statements looked at, calls inside of each other, rounds of a loop, and items of a list, at most."""


class _Unknown:
    """A value that reading does not give."""

    def __repr__(self) -> str:
        return "?"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Array:
    """An array that would be made. ``values``: further keys of a spec file's table, such as its generator."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    values: tuple[tuple[str, Any], ...] = ()

    def table(self) -> dict[str, Any]:
        """As a spec file has it."""
        return {"shape": list(self.shape), "dtype": self.dtype, **dict(self.values)}


@dataclass(frozen=True)
class Expression:
    """A value that only running gives, whose source text means the same in the kernel's module."""

    text: str


@dataclass(frozen=True)
class Called:
    """A call of a kernel: parameter → value as a spec file has it, or :data:`UNKNOWN`; its grid and line."""

    kernel: str
    inputs: dict[str, Any]
    grid: tuple[Any, ...]
    line: int

    @property
    def complete(self) -> bool:
        return not any(value is UNKNOWN for value in (*self.inputs.values(), *self.grid))

    @property
    def elements(self) -> int:
        """Elements of all arrays: the smaller, the sooner it is run."""
        return sum(prod(v["shape"]) for v in self.inputs.values() if isinstance(v, dict) and "shape" in v)


@dataclass(frozen=True)
class _Kernel:
    name: str
    grid: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _Dotted:
    """A name of another module."""

    path: str

    @property
    def last(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class _Method:
    array: Array
    name: str


@dataclass(frozen=True)
class _Function:
    node: ast.FunctionDef | ast.Lambda
    scope: dict[str, Any] = field(compare=False)


@dataclass(frozen=True)
class _Options:
    """An ``argparse`` parser, or what it gives: the defaults by name."""

    values: dict[str, Any] = field(default_factory=dict)
    method: str = ""


class _Wrapper:
    """``nki.jit(…)`` and its kin, before they get their kernel."""


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Over(Exception):
    """Enough was looked at."""


def calls(file: SourceFile, kernels: dict[str, Kernel], local: dict[str, str]) -> list[Called]:
    """The calls of kernels that a file's harness makes.

    Args:
        file: the file with the harness. kernels: those that count, by name.
        local: name in this file → the kernel's name; for imported ones.
    """
    reader = _Reader(file, kernels, local)
    with contextlib.suppress(_Over, RecursionError):
        reader.whole()
    return reader.found


LARGEST = 2**63
"""The largest integer that is followed."""


def _power(base: Any, exponent: Any) -> Any:
    """``**`` of numbers, unless the result would be huge."""
    if isinstance(exponent, int) and abs(exponent) > 64:
        raise OverflowError
    return base**exponent


def _times(left: Any, right: Any) -> Any:
    """``*``; a container is not repeated without end."""
    if not all(isinstance(value, int | float) for value in (left, right)):
        items, count = (left, right) if isinstance(right, int) else (right, left)
        if len(items) * count > LONGEST:
            raise OverflowError
    return left * right


_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_PLAIN = (int, float, str, bool, type(None))
_BUILTINS: dict[str, Callable[..., Any]] = {
    "range": lambda *a: list(range(*a)[:LONGEST]),
    "len": len,
    "int": int,
    "float": float,
    "min": min,
    "max": max,
    "tuple": tuple,
    "list": list,
    "zip": lambda *a: list(zip(*a, strict=False)),
    "enumerate": lambda a: list(enumerate(a)),
    "str": str,
    "bool": bool,
    "abs": abs,
    "sum": sum,
}


class _Reader:
    def __init__(self, file: SourceFile, kernels: dict[str, Kernel], local: dict[str, str]) -> None:
        self.file = file
        self.kernels = kernels
        self.local = local
        self.found: list[Called] = []
        self.steps = 0
        self.depth = 0
        self.scope: dict[str, Any] = {}

    # -- statements -----------------------------------------------------------------------------------

    def whole(self) -> None:
        """The module, its ``__main__`` block, and its tests."""
        self.block(self.file.tree.body, self.scope)
        for node in self.file.tree.body:
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name.startswith("test"):
                        self.test(method)
            elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
                self.test(node)

    def test(self, node: ast.FunctionDef) -> None:
        """A test function, once for each of its first parameter sets."""
        for given in _parameter_sets(node, lambda e: self.value(e, self.scope))[:ROUNDS]:
            self.call(_Function(node, self.scope), [], given, node)

    def block(self, body: Sequence[ast.stmt], scope: dict[str, Any]) -> None:
        for node in body:
            self.steps += 1
            if self.steps > STEPS:
                raise _Over
            self.statement(node, scope)

    def statement(self, node: ast.stmt, scope: dict[str, Any]) -> None:
        if isinstance(node, ast.FunctionDef):
            if node.name not in self.local:
                scope[node.name] = _Function(node, scope)
        elif isinstance(node, ast.Assign):
            value = self.value(node.value, scope)
            for target in node.targets:
                _bind(target, value, scope)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                _bind(node.target, self.value(node.value, scope), scope)
        elif isinstance(node, ast.AugAssign):
            _bind(node.target, self.value(ast.BinOp(_loaded(node.target), node.op, node.value), scope), scope)
        elif isinstance(node, ast.Expr):
            self.value(node.value, scope)
        elif isinstance(node, ast.Return):
            raise _Return(self.value(node.value, scope) if node.value else None)
        elif isinstance(node, ast.If):
            self.branch(node, scope)
        elif isinstance(node, ast.For):
            self.loop(node, scope)
        elif isinstance(node, ast.While | ast.With):
            self.block(node.body, scope)
        elif isinstance(node, ast.Try):
            self.block([*node.body, *node.orelse, *node.finalbody], scope)
        elif isinstance(node, ast.Assert):
            self.value(node.test, scope)

    def branch(self, node: ast.If, scope: dict[str, Any]) -> None:
        test = True if _is_main(node.test) else self.value(node.test, scope)
        if test is UNKNOWN or not isinstance(test, _PLAIN):
            self.block([*node.body, *node.orelse], scope)
        else:
            self.block(node.body if test else node.orelse, scope)

    def loop(self, node: ast.For, scope: dict[str, Any]) -> None:
        items = self.value(node.iter, scope)
        for item in items[:ROUNDS] if isinstance(items, list | tuple) else [UNKNOWN]:
            _bind(node.target, item, scope)
            self.block(node.body, scope)

    # -- expressions ----------------------------------------------------------------------------------

    def value(self, node: ast.expr, scope: dict[str, Any]) -> Any:
        handler = getattr(self, f"_{type(node).__name__}", None)
        if handler is None:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.value(child, scope)
            return UNKNOWN
        return handler(node, scope)

    def _Constant(self, node: ast.Constant, _scope: dict[str, Any]) -> Any:
        return node.value if isinstance(node.value, _PLAIN) else UNKNOWN

    def _Name(self, node: ast.Name, scope: dict[str, Any]) -> Any:
        if node.id in scope:
            return scope[node.id]
        if node.id in self.local:
            return _Kernel(self.local[node.id])
        if node.id in self.scope:
            return self.scope[node.id]
        if node.id in self.file.imports:
            return _Dotted(self.file.imports[node.id])
        return _Dotted(node.id) if node.id in _BUILTINS else UNKNOWN

    def _Attribute(self, node: ast.Attribute, scope: dict[str, Any]) -> Any:
        owner = self.value(node.value, scope)
        if isinstance(owner, _Dotted):
            return _Dotted(f"{owner.path}.{node.attr}")
        if isinstance(owner, _Kernel):
            return node.value if node.attr == "__wrapped__" else UNKNOWN
        if isinstance(owner, _Options):
            known = owner.values.get(node.attr, UNKNOWN)
            return replace(owner, method=node.attr) if node.attr in _PARSER else known
        if isinstance(owner, Array):
            if node.attr == "shape":
                return owner.shape
            if node.attr == "dtype":
                return owner.dtype
            if node.attr == "T":
                return replace(owner, shape=owner.shape[::-1])
            return _Method(owner, node.attr)
        return UNKNOWN

    def _Tuple(self, node: ast.Tuple | ast.List, scope: dict[str, Any]) -> Any:
        return tuple(self.value(item, scope) for item in node.elts)

    def _List(self, node: ast.List, scope: dict[str, Any]) -> Any:
        return [self.value(item, scope) for item in node.elts]

    def _IfExp(self, node: ast.IfExp, scope: dict[str, Any]) -> Any:
        test = self.value(node.test, scope)
        if test is UNKNOWN:
            return UNKNOWN
        return self.value(node.body if test else node.orelse, scope)

    def _UnaryOp(self, node: ast.UnaryOp, scope: dict[str, Any]) -> Any:
        value = self.value(node.operand, scope)
        if isinstance(node.op, ast.Not):
            return UNKNOWN if value is UNKNOWN else not value
        if isinstance(value, Array):
            return value
        return -value if isinstance(node.op, ast.USub) and isinstance(value, int | float) else UNKNOWN

    def _BinOp(self, node: ast.BinOp, scope: dict[str, Any]) -> Any:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        if isinstance(left, Array) or isinstance(right, Array):
            return _arithmetic(type(node.op), left, right)
        apply = _BINARY.get(type(node.op))
        return UNKNOWN if apply is None else _tried(apply, left, right)

    def _Compare(self, node: ast.Compare, scope: dict[str, Any]) -> Any:
        if len(node.ops) != 1:
            return UNKNOWN
        left, right = self.value(node.left, scope), self.value(node.comparators[0], scope)
        return _tried(_COMPARE[type(node.ops[0])], left, right)

    def _BoolOp(self, node: ast.BoolOp, scope: dict[str, Any]) -> Any:
        values = [self.value(item, scope) for item in node.values]
        if any(value is UNKNOWN for value in values):
            return UNKNOWN
        return all(values) if isinstance(node.op, ast.And) else any(values)

    def _JoinedStr(self, node: ast.JoinedStr, scope: dict[str, Any]) -> Any:
        return UNKNOWN

    def _Lambda(self, node: ast.Lambda, scope: dict[str, Any]) -> Any:
        return _Function(node, scope)

    def _Subscript(self, node: ast.Subscript, scope: dict[str, Any]) -> Any:
        owner = self.value(node.value, scope)
        key = self.value(node.slice, scope)
        if isinstance(owner, _Kernel):
            extents = key if isinstance(key, tuple | list) else (key,)
            return _Kernel(owner.name, tuple(self._extent(item) for item in extents))
        if isinstance(owner, _Dotted) and owner.path.endswith("typing.tensor") and isinstance(key, tuple):
            return _array(key[0], key[1] if len(key) > 1 else None) or UNKNOWN
        if isinstance(owner, tuple | list | str) and isinstance(key, int):
            return _tried(operator.getitem, owner, key)
        return UNKNOWN

    @staticmethod
    def _extent(item: Any) -> Any:
        """An extent of a launch grid, as a spec file has it."""
        if isinstance(item, int):
            return item
        return item.text if isinstance(item, Expression) and item.text.startswith("nc(") else UNKNOWN

    # -- calls ----------------------------------------------------------------------------------------

    def _Call(self, node: ast.Call, scope: dict[str, Any]) -> Any:
        callee = self.value(node.func, scope)
        args: list[Any] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                items = self.value(argument.value, scope)
                args += items if isinstance(items, list | tuple) else [UNKNOWN]
            else:
                args.append(self.value(argument, scope))
        named = {k.arg: self.value(k.value, scope) for k in node.keywords if k.arg}
        if isinstance(callee, _Wrapper) or (isinstance(callee, _Dotted) and makes_kernels(callee.path)):
            simulated = isinstance(callee, _Dotted) and callee.last in ("simulate_kernel", "nki_call")
            return self._wrapped(args, named, node, simulated)
        return self.call(callee, args, named, node)

    def _wrapped(self, args: list[Any], named: dict[str, Any], node: ast.Call, simulated: bool) -> Any:
        """``nki.jit(f)``, ``nki.benchmark(warmup=5)``, ``simulate_kernel(f[grid], x)``."""
        if not args or not isinstance(args[0], _Kernel):
            return _Wrapper() if not args else UNKNOWN
        if simulated:
            self.record(args[0], args[1:], named, node.lineno)
            return UNKNOWN
        return args[0]

    def call(self, callee: Any, args: list[Any], named: dict[str, Any], node: ast.AST) -> Any:
        if isinstance(callee, _Kernel):
            self.record(callee, args, named, getattr(node, "lineno", 0))
            return UNKNOWN
        if isinstance(callee, _Function):
            return self.enter(callee, args, named)
        if isinstance(callee, _Method):
            return _method(callee.array, callee.name, args, named)
        if isinstance(callee, _Options):
            return _option(callee, args, named)
        if isinstance(callee, _Dotted):
            if callee.path == "argparse.ArgumentParser":
                return _Options()
            if callee.path in _BUILTINS:
                return _tried(_BUILTINS[callee.path], *args)
            return _made(callee, args, named, node)
        return UNKNOWN

    def enter(self, function: _Function, args: list[Any], named: dict[str, Any]) -> Any:
        """Walk through one of the harness's own functions."""
        if self.depth >= DEPTH:
            return UNKNOWN
        node = function.node
        scope = {**function.scope, **self._arguments(function, args, named)}
        if isinstance(node, ast.Lambda):
            return self.value(node.body, scope)
        self.depth += 1
        try:
            self.block(node.body, scope)
        except _Return as found:
            return found.value
        finally:
            self.depth -= 1
        return None

    def _arguments(self, function: _Function, args: list[Any], named: dict[str, Any]) -> dict[str, Any]:
        spec = function.node.args
        names = [arg.arg for arg in (*spec.posonlyargs, *spec.args)]
        bound = dict.fromkeys([*names, *(arg.arg for arg in spec.kwonlyargs)], UNKNOWN)
        if spec.defaults:
            for name, default in zip(names[-len(spec.defaults) :], spec.defaults, strict=True):
                bound[name] = self.value(default, function.scope)
        for arg, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
            if value is not None:
                bound[arg.arg] = self.value(value, function.scope)
        bound.update(zip(names, args, strict=False))
        bound.update((name, value) for name, value in named.items() if name in bound)
        return bound

    def record(self, kernel: _Kernel, args: list[Any], named: dict[str, Any], line: int) -> None:
        """Remember a call of a kernel."""
        parameters = [parameter.name for parameter in self.kernels[kernel.name].parameters]
        given = {**dict(zip(parameters, args, strict=False)), **named}
        inputs = {name: _said(given[name]) for name in parameters if name in given}
        self.found.append(Called(kernel.name, inputs, kernel.grid, line))


_PARSER = ("add_argument", "parse_args", "add_argument_group")


def _option(parser: _Options, args: list[Any], named: dict[str, Any]) -> Any:
    """``add_argument`` keeps a default, or the first choice without one; ``parse_args`` gives them."""
    if parser.method != "add_argument":
        return replace(parser, method="")
    flags = [flag for flag in args if isinstance(flag, str)]
    if flags:
        name = named.get("dest", flags[-1].lstrip("-").replace("-", "_"))
        choices = named.get("choices")
        first = choices[0] if isinstance(choices, list | tuple) and choices else UNKNOWN
        default = False if named.get("action") == "store_true" else first
        parser.values[name] = named.get("default", default)
    return UNKNOWN


def _said(value: Any) -> Any:
    """A value as a spec file has it."""
    if isinstance(value, Array):
        return value.table()
    if isinstance(value, bool | int | float | str):
        return value
    if value is None:
        return {"python": "None"}
    if isinstance(value, Expression):
        return {"python": value.text}
    if isinstance(value, tuple | list):
        items = [_said(item) for item in value]
        if any(item is UNKNOWN for item in items):
            return UNKNOWN
        return items if isinstance(value, tuple) else {"items": items}
    if isinstance(value, _Dotted):
        short = _short(value.path)
        return {"python": short} if short else UNKNOWN
    return UNKNOWN


_SHORT = {
    "neuronxcc.nki.language": "nl",
    "nki.language": "nl",
    "neuronxcc.nki.isa": "nisa",
    "nki.isa": "nisa",
    "numpy": "np",
}


def _short(path: str) -> str:
    """``nl.bfloat16`` for a name that expressions in spec files know."""
    module, _, name = path.rpartition(".")
    return f"{_SHORT[module]}.{name}" if module in _SHORT else ""


def _is_main(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == "__name__"


def _loaded(target: ast.expr) -> ast.expr:
    return ast.Name(target.id, ast.Load()) if isinstance(target, ast.Name) else target


def _bind(target: ast.expr, value: Any, scope: dict[str, Any]) -> None:
    if isinstance(target, ast.Name):
        scope[target.id] = value
    elif isinstance(target, ast.Tuple | ast.List):
        known = isinstance(value, list | tuple) and len(value) == len(target.elts)
        for index, item in enumerate(target.elts):
            _bind(item, value[index] if known else UNKNOWN, scope)


def _tried(apply: Callable[..., Any], *values: Any) -> Any:
    """The result for plain values and containers of them; unknown for anything else, or when it fails."""
    if not all(isinstance(value, (*_PLAIN, list, tuple, _Kernel, _Dotted)) for value in values):
        return UNKNOWN
    try:
        found = apply(*values)
    except Exception:
        return UNKNOWN
    if isinstance(found, int) and abs(found) > LARGEST:
        return UNKNOWN
    return found if isinstance(found, (*_PLAIN, list, tuple)) else UNKNOWN


def _parameter_sets(node: ast.FunctionDef, value: Callable[[ast.expr], Any]) -> list[dict[str, Any]]:
    """What ``@pytest.mark.parametrize`` gives a test: one dictionary for each set; one empty one without."""
    choices: list[list[dict[str, Any]]] = []
    for decorator in node.decorator_list:
        if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)):
            continue
        if decorator.func.attr != "parametrize" or len(decorator.args) < 2:
            continue
        names, rows = value(decorator.args[0]), _rows(decorator.args[1], value)
        keys = [n.strip() for n in names.split(",")] if isinstance(names, str) else names
        if isinstance(keys, list | tuple):
            choices.append([dict(zip(keys, row, strict=False)) for row in _as_rows(rows, len(keys))])
    return [{k: v for part in parts for k, v in part.items()} for parts in product(*choices)]


def _rows(node: ast.expr, value: Callable[[ast.expr], Any]) -> list[Any]:
    """The rows of a parameter table; ``pytest.param(a, b, marks=…)`` is the row of its arguments."""
    if not isinstance(node, ast.List | ast.Tuple):
        found = value(node)
        return list(found) if isinstance(found, list | tuple) else []
    return [
        tuple(value(a) for a in item.args) if isinstance(item, ast.Call) and item.args else value(item)
        for item in node.elts
    ]


def _as_rows(rows: list[Any], width: int) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        if isinstance(row, list | tuple) and len(row) == width:
            yield tuple(row)
        elif width == 1:
            yield (row,)


# -- arrays -------------------------------------------------------------------------------------------

_TYPES = {
    "float64": "float32",
    "double": "float32",
    "float": "float32",
    "single": "float32",
    "half": "float16",
    "long": "int32",
    "int": "int32",
    "int64": "int32",
    "bool_": "bool",
    "uint64": "uint32",
}
"""Names of element types that kernels see as another one."""
_KNOWN = frozenset(
    {"float32", "float16", "bfloat16", "int8", "int16", "int32", "uint8", "uint16", "uint32", "bool"}
    | {"float8_e4m3", "float8_e5m2", "float8_e4m3fn"}
)


def _type(value: Any, default: str = "float32") -> str:
    """The element type that a value names; "" when it names none."""
    if value is None:
        return default
    name = value.last if isinstance(value, _Dotted) else value if isinstance(value, str) else ""
    name = _TYPES.get(name, name)
    return name if name in _KNOWN else ""


def _shape(value: Any) -> tuple[int, ...] | None:
    items = value if isinstance(value, list | tuple) else (value,)
    whole = all(type(item) is int and item >= 0 for item in items)
    return tuple(items) if whole else None


def _array(shape: Any, dtype: Any, default: str = "float32", **values: Any) -> Any:
    """An array, or unknown when its shape or type is."""
    size, kind = _shape(shape), _type(dtype, default)
    if size is None or not kind:
        return UNKNOWN
    return Array(size, kind, tuple(values.items()))


_UNIFORM = {"values": "uniform"}
_BY_SHAPE: dict[str, dict[str, Any]] = {
    "zeros": {"values": "zeros"},
    "empty": {"values": "zeros"},
    "ones": {"values": "ones"},
    "ndarray": {"values": "zeros"},
    "random_sample": _UNIFORM,
    "random": _UNIFORM,
    "rand": _UNIFORM,
    "randn": {},
    "standard_normal": {},
}
"""Makers whose arguments are a shape (one tuple, or the extents) → what they fill it with."""
_FRAMEWORKS = ("numpy", "torch", "jax", "neuronxcc", "nki")


def _made(callee: _Dotted, args: list[Any], named: dict[str, Any], node: ast.AST) -> Any:
    """The result of another module's function."""
    name, path = callee.last, callee.path
    if name == "nc" and args and isinstance(args[0], int):
        return Expression(f"nc({args[0]})")
    if path.partition(".")[0] not in _FRAMEWORKS:
        return UNKNOWN
    dtype = named.get("dtype")
    if name in _TAKEN_OVER and args and isinstance(args[0], Array):
        kind = _type(dtype if "dtype" in named else args[1] if name == "static_cast" else None, args[0].dtype)
        return replace(args[0], dtype=kind) if kind else UNKNOWN
    if name.endswith("_like") and args and isinstance(args[0], Array):
        filling = _BY_SHAPE.get(name.removesuffix("_like"))
        return UNKNOWN if filling is None else _array(args[0].shape, dtype, args[0].dtype, **filling)
    if path.startswith("jax.random") and name in ("normal", "uniform") and len(args) > 1:
        return _array(
            args[1],
            args[2] if len(args) > 2 else dtype,
            **_BY_SHAPE["rand" if name == "uniform" else "randn"],
        )
    if name in _BY_SHAPE:
        return _by_shape(name, args, named)
    maker = _MAKERS.get(name)
    return UNKNOWN if maker is None else maker(args, named)


_TAKEN_OVER = (
    "static_cast",
    "array",
    "asarray",
    "ascontiguousarray",
    "copy",
    "device_put",
    "from_numpy",
    "tensor",
)


def _by_shape(name: str, args: list[Any], named: dict[str, Any]) -> Any:
    shape = named.get("size", named.get("shape"))
    rest = list(args)
    if shape is None and rest:
        if isinstance(rest[0], list | tuple):
            shape = rest.pop(0)
        else:  # extents one by one, for some with the type behind them
            shape = [item for item in rest if isinstance(item, int)]
            rest = [item for item in rest if not isinstance(item, int)]
    dtype = named.get("dtype", rest[0] if rest else None)
    return _array(shape, dtype, **_BY_SHAPE[name])


def _uniform(args: list[Any], named: dict[str, Any]) -> Any:
    low, high, size = _positional(args, named, ("low", 0.0), ("high", 1.0), ("size", ()))
    numbers = isinstance(low, int | float) and isinstance(high, int | float)
    return _array(size, None, values="uniform", low=low, high=high) if numbers else UNKNOWN


def _normal(args: list[Any], named: dict[str, Any]) -> Any:
    _, scale, size = _positional(args, named, ("loc", 0.0), ("scale", 1.0), ("size", ()))
    return _array(size, None, scale=scale) if isinstance(scale, int | float) else UNKNOWN


def _integers(args: list[Any], named: dict[str, Any]) -> Any:
    low, high, size = _positional(args, named, ("low", 0), ("high", None), ("size", ()))
    low, high = (0, low) if high is None else (low, high)
    if not isinstance(low, int) or not isinstance(high, int):
        return UNKNOWN
    return _array(size, named.get("dtype"), "int32", values="integers", low=low, high=high)


def _full(args: list[Any], named: dict[str, Any]) -> Any:
    shape, value, dtype = _positional(args, named, ("shape", ()), ("fill_value", 0), ("dtype", None))
    known = isinstance(value, int | float)
    return _array(shape, dtype, values="constant", value=value) if known else UNKNOWN


def _arange(args: list[Any], named: dict[str, Any]) -> Any:
    if len(args) != 1 or not isinstance(args[0], int):
        return UNKNOWN
    return _array(args[0], named.get("dtype"), "int32", values="arange")


def _eye(args: list[Any], named: dict[str, Any]) -> Any:
    size = args[0] if args else None
    return _array((size, size), named.get("dtype"), values="identity")


def _tri(args: list[Any], named: dict[str, Any]) -> Any:
    """``np.tril(np.ones(…))``."""
    whole = args and isinstance(args[0], Array) and dict(args[0].values).get("values") == "ones"
    return replace(args[0], values=(("values", "causal"),)) if whole else UNKNOWN


def _positional(args: list[Any], named: dict[str, Any], *spec: tuple[str, Any]) -> list[Any]:
    return [args[i] if i < len(args) else named.get(name, default) for i, (name, default) in enumerate(spec)]


_MAKERS: dict[str, Callable[[list[Any], dict[str, Any]], Any]] = {
    "uniform": _uniform,
    "normal": _normal,
    "randint": _integers,
    "integers": _integers,
    "full": _full,
    "arange": _arange,
    "eye": _eye,
    "identity": _eye,
    "tril": _tri,
}
_SAME = frozenset({"copy", "contiguous", "cpu", "cuda", "detach", "clone", "numpy", "requires_grad_"})


def _method(array: Array, name: str, args: list[Any], named: dict[str, Any]) -> Any:
    """The result of an array's method."""
    if name in _SAME:
        return array
    if name in ("astype", "to", "type"):
        given = named.get("dtype", args[0] if args else None)
        kind = _type(given, array.dtype)
        return replace(array, dtype=kind) if kind else array if name == "to" else UNKNOWN
    if name in ("bfloat16", "half", "float", "int"):
        return replace(array, dtype=_type(name))
    if name in ("reshape", "view"):
        shape = _shape(args[0] if len(args) == 1 and isinstance(args[0], list | tuple) else args)
        return replace(array, shape=shape) if shape and prod(shape) == prod(array.shape) else UNKNOWN
    if name in ("transpose", "permute"):
        axes = (
            args[0]
            if len(args) == 1 and isinstance(args[0], list | tuple)
            else args or range(len(array.shape))[::-1]
        )
        whole = sorted(axes) == list(range(len(array.shape))) if all(type(a) is int for a in axes) else False
        return replace(array, shape=tuple(array.shape[a] for a in axes)) if whole else UNKNOWN
    return UNKNOWN


def _arithmetic(kind: type, left: Any, right: Any) -> Any:
    """An array and a number: the range or scale of its values follows. Two of one shape: the left one."""
    array, other = (left, right) if isinstance(left, Array) else (right, left)
    if isinstance(other, Array):
        return replace(array, values=()) if array.shape == other.shape else UNKNOWN
    if not isinstance(other, int | float) or kind not in (ast.Add, ast.Sub, ast.Mult, ast.Div):
        return UNKNOWN
    said = dict(array.values)
    if said.get("values") == "uniform":
        ends = [
            _tried(_BINARY[kind], *((e, other) if array is left else (other, e)))
            for e in (said.get("low", 0.0), said.get("high", 1.0))
        ]
        if UNKNOWN not in ends:
            return replace(array, values=(("values", "uniform"), ("low", min(ends)), ("high", max(ends))))
    if not said.get("values") and kind in (ast.Mult, ast.Div) and array is left and other:
        scale = abs(_BINARY[kind](said.get("scale", 1.0), other))
        return replace(array, values=(("scale", scale),))
    return array
