"""What the parameters and variables of a function are, judged by how its body uses them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence

from ...record import cached_property
from ..analysis import values as v
from .names import Names
from .plan import Function
from .values import Value

_OF_TENSORS = frozenset(
    (
        "shape",
        "dtype",
        "ndim",
        "reshape",
        "broadcast_to",
        "astype",
        "view",
        "expand_dims",
        "assert_shape",
        "itemsize",
    )
)
_SCALARS = frozenset(("int", "float", "bool", "str"))
_PLAIN = (ast.Add, ast.Sub, ast.Mult)
_COUNTING = frozenset(
    [
        "builtins.range",
        "nl.affine_range",
        "nl.sequential_range",
        "nl.static_range",
        "nl.arange",
        "nl.ds",
        "nl.par_dim",
        "nl.program_id",
    ]
)
_SHAPED = frozenset(["nl.ndarray", "nl.zeros", "nl.ones", "nl.full", "nl.broadcast_to"])
_OF_MATRICES = frozenset(
    ["nl.matmul", "nl.transpose", "nl.load_transpose2d", "nisa.nc_matmul", "nisa.nc_transpose"]
)
"""Operations whose operands have two dimensions at least."""


class Uses:
    """How a function uses its names."""

    def __init__(self, function: Function, names: Names, functions: Mapping[str, Function]) -> None:
        self._function = function
        self._names = names
        self._functions = functions
        self._parents = function.nodes.parents
        self.node = function.node
        self.by_name = function.nodes.loads

    def integers(self) -> frozenset[str]:
        """Names that are integers, since they count, divide with a remainder, or index."""
        return frozenset(name for name, uses in self.by_name.items() if any(map(self._counts, uses)))

    def ranks(self) -> dict[str, int]:
        """How many dimensions of each name the function speaks of."""
        found = {name: self._rank_of(name) for name in self.by_name}
        for name, values in self._function.nodes.assignments.items():
            like = self._shaped_like(values[0]) if len(values) == 1 else ""
            if like in found and name in found:
                found[name] = found[like] = max(found[name], found[like])
        return found

    def _shaped_like(self, value: ast.expr) -> str:
        """The name of the tensor that another one is allocated with the shape of; "" for any other value."""
        if not isinstance(value, ast.Call) or self._names.short(value.func) not in _SHAPED or not value.args:
            return ""
        shape = value.args[0]
        of = shape.value if isinstance(shape, ast.Attribute) and shape.attr == "shape" else None
        return of.id if isinstance(of, ast.Name) else ""

    def _rank_of(self, name: str, depth: int = 3) -> int:
        return max((self._rank(use, depth) for use in self.by_name.get(name, ())), default=0)

    def _rank(self, use: ast.expr, depth: int) -> int:
        parent = self._parents.get(use)
        if isinstance(parent, ast.Attribute) and parent.attr == "shape":
            return self._shape_rank(parent)
        if not isinstance(parent, ast.Subscript) or parent.value is not use:
            return self._rank_inside(use, depth)
        keys = parent.slice.elts if isinstance(parent.slice, ast.Tuple) else [parent.slice]
        constants = [key.value for key in keys if isinstance(key, ast.Constant)]
        rank = 0 if Ellipsis in constants else len(keys) - constants.count(None)
        if not depth:
            return rank
        windows = [key for key in keys if self._is_window(key)]
        if rank == len(keys) and all(key in windows or self._is_number(key) for key in keys):
            return rank - len(windows) + max(len(windows), self._rank_loaded(parent, depth - 1))
        if any(isinstance(key, ast.Slice | ast.Call) for key in keys):
            return rank
        outer = self._parents.get(parent)  # of a part that is indexed further
        if isinstance(outer, ast.Assign) and isinstance(outer.targets[0], ast.Name):
            return rank + self._rank_of(outer.targets[0].id, depth - 1)
        return rank + self._rank_inside(parent, depth)

    def _is_window(self, key: ast.expr) -> bool:
        """Whether a part of a subscript keeps the dimension."""
        ds = isinstance(key, ast.Call) and self._names.short(key.func) == "nl.ds"
        return ds or isinstance(key, ast.Slice)

    def _is_number(self, key: ast.expr, depth: int = 3) -> bool:
        """Whether a part of a subscript is one integer, and no index tile."""
        if isinstance(key, ast.Constant):
            return isinstance(key.value, int)
        if isinstance(key, ast.UnaryOp | ast.BinOp):
            parts = [key.operand] if isinstance(key, ast.UnaryOp) else [key.left, key.right]
            return all(self._is_number(part, depth) for part in parts)
        if isinstance(key, ast.Call):
            return self._names.short(key.func) == "nl.program_id"
        if not isinstance(key, ast.Name):
            return False
        given = self._function.nodes.assignments.get(key.id, [])
        if not given or not depth:
            return key.id in self._variables
        return all(self._is_number(value, depth - 1) for value in given)

    @cached_property
    def _variables(self) -> frozenset[str]:
        """Variables of loops over ranges."""
        loops = (n for n in self._function.nodes.every if isinstance(n, ast.For))
        ranges = (
            n for n in loops if isinstance(n.iter, ast.Call) and self._names.short(n.iter.func) in _COUNTING
        )
        return frozenset(n.target.id for n in ranges if isinstance(n.target, ast.Name))

    def _rank_loaded(self, part: ast.expr, depth: int) -> int:
        """How many dimensions are spoken of, of a part that numbers and slices leave or the tile it fills."""
        outer = self._parents.get(part)
        if isinstance(outer, ast.Call) and self._names.short(outer.func) == "nl.load":
            part, outer = outer, self._parents.get(outer)
        if isinstance(outer, ast.Assign) and isinstance(outer.targets[0], ast.Name):
            uses = self.by_name.get(outer.targets[0].id, ())
            return max((self._rank_of_tile(use, depth) for use in uses), default=0)
        return max(self._rank_as_operand(part), self._rank_inside(part, depth))

    def _rank_of_tile(self, use: ast.expr, depth: int) -> int:
        parent = self._parents.get(use)
        index = parent.slice if isinstance(parent, ast.Subscript) and parent.value is use else None
        keys = index.elts if isinstance(index, ast.Tuple) else [index]
        if all(isinstance(key, ast.Constant) and key.value == 0 for key in keys):
            return 0  # a single element is indexed so, too
        return max(self._rank_as_operand(use), self._rank(use, depth))

    def _rank_as_operand(self, node: ast.expr) -> int:
        """How many dimensions an operation needs of its operand."""
        outer = self._parents.get(node)
        call = self._parents.get(outer) if isinstance(outer, ast.keyword) else outer
        name = self._names.short(call.func) if isinstance(call, ast.Call) else ""
        return 2 if name in _OF_MATRICES else 0

    def _rank_inside(self, argument: ast.expr, depth: int) -> int:
        """How many dimensions of an argument a function of the file speaks of."""
        found = self._target(argument) if depth else None
        return Uses(found[0], self._names, self._functions)._rank_of(found[1], depth - 1) if found else 0

    def _target(self, argument: ast.expr) -> tuple[Function, str] | None:
        """The function of the file that gets an argument, and its parameter."""
        parent = self._parents.get(argument)
        call = self._parents.get(parent) if isinstance(parent, ast.keyword) else parent
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            return None
        function = self._functions.get(call.func.id)
        if function is None or argument is call.func or function.node is self.node:
            return None
        if isinstance(parent, ast.keyword):
            return (function, parent.arg) if parent.arg else None
        names, index = [a.arg for a in arguments(function.node)], call.args.index(argument)
        return (function, names[index]) if index < len(names) else None

    def _shape_rank(self, shape: ast.Attribute) -> int:
        outer = self._parents.get(shape)
        if isinstance(outer, ast.Assign) and isinstance(outer.targets[0], ast.Tuple):
            return len(outer.targets[0].elts)
        index = outer.slice if isinstance(outer, ast.Subscript) else None
        number = index.value if isinstance(index, ast.Constant) else None
        return number + 1 if isinstance(number, int) and number >= 0 else 0

    def _counts(self, use: ast.expr) -> bool:
        node: ast.AST = use
        parent = self._parents.get(node)
        while isinstance(parent, ast.BinOp) and isinstance(parent.op, _PLAIN):
            node, parent = parent, self._parents.get(parent)
        if isinstance(parent, ast.BinOp):
            return isinstance(parent.op, ast.FloorDiv | ast.Mod)
        if isinstance(parent, ast.Slice):
            return True
        if isinstance(parent, ast.Subscript):
            return node is parent.slice and not isinstance(node, ast.Name)
        if isinstance(parent, ast.Call):
            return node is not parent.func and self._names.short(parent.func) in _COUNTING
        if isinstance(parent, ast.Tuple | ast.List):
            outer = self._parents.get(parent)
            return (isinstance(outer, ast.Call) and self._names.short(outer.func) in _SHAPED) or (
                isinstance(outer, ast.Subscript) and not isinstance(node, ast.Name)
            )
        return False

    def beside_tiles(self) -> frozenset[str]:
        """Names that are operands."""
        return frozenset(
            name
            for name, uses in self.by_name.items()
            if any(isinstance(self._parents.get(use), ast.BinOp | ast.UnaryOp) for use in uses)
        )

    def is_dtype(self, name: str) -> bool:
        """Whether it is given as ``dtype=`` somewhere."""
        parents = (self._parents.get(use) for use in self.by_name.get(name, ()))
        return any(isinstance(parent, ast.keyword) and parent.arg == "dtype" for parent in parents)

    def operations(self) -> frozenset[str]:
        """Parameters that are operations of instructions."""
        return frozenset(a.arg for a in arguments(self.node) if self._is_used(a, Uses._as_operation))

    def _as_operation(self, use: ast.Name) -> bool | None:
        parent = self._parents.get(use)
        call = self._parents.get(parent) if isinstance(parent, ast.keyword) else parent
        if not isinstance(call, ast.Call) or use is call.func:
            return False
        name = self._names.short(call.func)
        if not name.startswith("nisa."):
            return None
        if isinstance(parent, ast.keyword):
            return parent.arg in _OPERATIONS
        return call.args.index(use) in _OPERATION_AT.get(name, ())

    def tensors(self) -> frozenset[str]:
        """Parameters that are tensors."""
        return frozenset(a.arg for a in arguments(self.node) if self.is_tensor(a))

    def is_tensor(self, argument: ast.arg) -> bool:
        """Whether a parameter, or another name like one, is a tensor."""
        return self._is_used(argument, Uses._as_tensor)

    def _as_tensor(self, use: ast.Name) -> bool | None:
        parent = self._parents.get(use)
        if isinstance(parent, ast.Attribute):
            return parent.attr in _OF_TENSORS
        if isinstance(parent, ast.Subscript):
            return use is parent.value and (self._indexes(parent.slice) or self._is_operand(parent))
        return self._is_operand(use) or None

    def _is_operand(self, use: ast.expr) -> bool:
        """Whether it is what an operation of the language works on."""
        parent = self._parents.get(use)
        call = self._parents.get(parent) if isinstance(parent, ast.keyword) else parent
        if not isinstance(call, ast.Call) or use is call.func:
            return False
        name = self._names.short(call.func)
        if not name.startswith(("nl.", "nisa.")) or name in _COUNTING or name in _MAKES:
            return False
        first = bool(call.args) and call.args[0] is use and 0 not in _OPERATION_AT.get(name, ())
        return first or (isinstance(parent, ast.keyword) and parent.arg in _OPERANDS)

    def _indexes(self, index: ast.expr) -> bool:
        """Whether the subscript is one of a tensor, not of a dict or a list of Python's."""
        return isinstance(index, ast.Tuple | ast.Slice)

    def _is_used(self, argument: ast.arg, use: Use) -> bool:
        """Whether an argument is used in one way, here or in functions of the file that it is passed on to.

        What is found out of each is remembered, so that all of them together are looked at once.
        """
        found: list[tuple[Uses, ast.arg, int]] = [(self, argument, -1)]
        met = {(id(self.node), argument.arg)}
        for number, (uses, name, _) in enumerate(found):
            known = uses._function.used.get((use, name.arg))
            if known or (known is None and uses._is_used_here(name, use)):
                while number >= 0:
                    uses, name, number = found[number]
                    uses._function.used[use, name.arg] = True
                return True
            for inner, parameter in uses._passed_on(name, use) if known is None else ():
                if (id(inner.node), parameter.arg) not in met:
                    met.add((id(inner.node), parameter.arg))
                    found.append((inner, parameter, number))
        for uses, name, _ in found:
            uses._function.used[use, name.arg] = False
        return False

    def _is_used_here(self, argument: ast.arg, use: Use) -> bool:
        if use is Uses._as_tensor and not self._has_literal(argument) and _annotated(argument, self._names):
            return True
        return any(use(self, each) for each in self._asked(argument, use))

    def _passed_on(self, argument: ast.arg, use: Use) -> Iterator[tuple[Uses, ast.arg]]:
        """The parameters of functions of the file that get an argument."""
        for each in self._asked(argument, use):
            target = self._target(each) if use(self, each) is None else None
            if target is not None:
                inner = Uses(target[0], self._names, self._functions)
                yield from ((inner, a) for a in arguments(inner.node) if a.arg == target[1])

    def _asked(self, argument: ast.arg, use: Use) -> Sequence[ast.Name]:
        """The places that tell how an argument is used: none when its default tells that it is no tensor."""
        literal = use is Uses._as_tensor and self._has_literal(argument)
        return () if literal else self.by_name.get(argument.arg, ())

    def _has_literal(self, argument: ast.arg) -> bool:
        return any(name == argument.arg and _is_literal(default) for name, default in defaults(self.node))


Use = Callable[[Uses, ast.Name], "bool | None"]
"""Whether an argument is used in some way at a place; None where it is passed on, perhaps."""


_MAKES = frozenset(("nisa.memset", "nl.full", "nl.ndarray", "nl.zeros", "nl.ones", "nl.rand"))
"""Their operands are shapes and numbers."""
_OPERATIONS = frozenset(("op", "op0", "op1", "comp_op0", "comp_op1", "reduce_op"))
_OPERATION_AT = {
    "nisa.activation": (0,),
    "nisa.activation_reduce": (0,),
    "nisa.tensor_partition_reduce": (0,),
    "nisa.tensor_reduce": (0,),
    "nisa.tensor_scalar": (1, 4),
    "nisa.tensor_tensor": (2,),
    "nisa.tensor_tensor_scan": (3, 4),
}
"""Instructions → the places of their operations among positional arguments."""
_OPERANDS = frozenset(("src", "dst", "data", "data1", "data2", "value", "x", "y", "stationary", "moving"))


def arguments(node: ast.FunctionDef) -> list[ast.arg]:
    """All named parameters in order."""
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _annotated(argument: ast.arg, names: Names) -> bool:
    """Whether it is declared as a tensor."""
    node = argument.annotation
    inner = node.value if isinstance(node, ast.Subscript) else node
    return inner is not None and names.short(inner) in (
        "nt.tensor",
        "nt.mutable_tensor",
        "nki.tensor",
        "nl.tensor",
    )


def defaults(node: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """Parameters with a default, and that."""
    positional = [*node.args.posonlyargs, *node.args.args]
    yield from zip(
        [a.arg for a in positional[len(positional) - len(node.args.defaults) :]],
        node.args.defaults,
        strict=True,
    )
    yield from ((a.arg, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d)


def values(node: ast.FunctionDef, uses: Uses, kernel: bool) -> dict[str, Value]:
    """What the parameters stand for at the start, without a look at calls."""
    tensors, operations = uses.tensors(), uses.operations()
    given = dict(defaults(node))
    found: dict[str, Value] = {}
    for argument in arguments(node):
        name = argument.arg
        if name in tensors:
            dtype = v.Dtype(f"{name}.dtype", None, name)
            found[name] = v.Tensor(name, None, dtype, v.Space.HBM if kernel else None)
        elif _is_number(argument, given.get(name)):
            found[name] = v.Scalar(name, real=_is_real(argument, given.get(name)))
        elif name in operations:
            found[name] = v.Token("", name)
        elif uses.is_dtype(name):
            found[name] = v.Dtype(name, None, name)
        elif kernel and name in uses.beside_tiles():
            found[name] = v.Scalar(name)
        else:
            found[name] = v.Unknown(name)
    return found


def _is_number(argument: ast.arg, default: ast.expr | None) -> bool:
    declared = isinstance(argument.annotation, ast.Name) and argument.annotation.id in _SCALARS
    return declared or (isinstance(default, ast.Constant) and isinstance(default.value, int | float))


def _is_literal(default: ast.expr) -> bool:
    """Whether a default is a number, or a string."""
    node = default.operand if isinstance(default, ast.UnaryOp) else default
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float | str)


def _is_real(argument: ast.arg, default: ast.expr | None) -> bool:
    """Whether it is declared as a float, or has one as its default."""
    declared = isinstance(argument.annotation, ast.Name) and argument.annotation.id == "float"
    return declared or (isinstance(default, ast.Constant) and isinstance(default.value, float))
