"""Extents of a grid of programs in terms of a launch's arguments, so that the kernel can compute them.

A variable is followed to what it is bound to: ``x.shape[0]`` of an argument, arithmetic on such, or a size
that an argument was made with, as in ``x = torch.zeros(n, m)``. Tensors are followed through calls that keep
their shape, and through ``permute``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...analysis.scopes import Binding
from ...elsewhere import ARGUMENT, Grid, argument
from ...trees import walk
from ..translate.names import BETA1
from .grids import bindings
from .kernels import Kernels, Launch

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Div)
_FUNCTIONS = frozenset({"math.ceil", "math.floor", "builtins.min", "builtins.max", "builtins.int"})
# What makes a tensor of the given shape, listed or as one tuple.
_FACTORIES = frozenset(
    f"{module}.{name}"
    for module, names in {
        "torch": ("empty", "ones", "rand", "randn", "zeros"),
        "numpy": ("empty", "ones", "zeros", "random.rand", "random.randn", "random.random_sample"),
        "jax.numpy": ("empty", "ones", "zeros"),
    }.items()
    for name in names
)
_SAME_SHAPE = frozenset({"astype", "bfloat16", "contiguous", "cpu", "detach", "float", "half", "to"})
_CASTS = frozenset({f"{BETA1}.language.static_cast"})
_DEPTH = 8
_RANK = 8  # more dimensions than any tensor has

_Dimension = tuple[Binding, int]
"""An axis of what a variable was bound to."""


class _Unknown(Exception):
    """An expression that does not follow from the arguments."""


def extents(kernels: Kernels, launch: Launch, programs: tuple[ast.expr, ...]) -> Grid:
    """Code for the extents of a grid in terms of the arguments; None when one does not follow from them."""
    translation = _Translation(kernels, _arguments(launch.call))
    try:
        return tuple(ast.unparse(translation.visit(item)) for item in programs)
    except _Unknown:
        return None


def passes(kernels: Kernels, launch: Launch, name: ast.Name) -> int | None:
    """At which position a launch passes what a variable holds."""
    translation = _Translation(kernels, _arguments(launch.call))
    wanted = translation.dimension(name, 0)
    for index, given in enumerate(launch.call.args):
        if wanted is not None and isinstance(given, ast.Name) and translation.dimension(given, 0) == wanted:
            return index
    return None


def inside(node: ast.FunctionDef, grid: Grid) -> Grid:
    """The extents in terms of a kernel's parameters; None when an argument is none of them."""
    positional = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    names = {argument(i): name for i, name in enumerate(positional)}
    names |= {argument(a.arg): a.arg for a in (*node.args.args, *node.args.kwonlyargs)}
    try:
        return None if grid is None else tuple(ast.unparse(_renamed(code, names)) for code in grid)
    except KeyError:
        return None


def _renamed(code: str, names: dict[str, str]) -> ast.AST:
    tree = ast.parse(code, mode="eval")
    for inner in walk(tree):
        if isinstance(inner, ast.Name) and inner.id.startswith(ARGUMENT):
            inner.id = names[inner.id]
    return tree


def _arguments(call: ast.Call) -> list[tuple[ast.Name, str]]:
    """Variables that the host passes, with what a grid calls them."""
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return []
    pairs = [(a, argument(i)) for i, a in enumerate(call.args)]
    pairs += [(k.value, argument(k.arg)) for k in call.keywords if k.arg]
    return [(a, p) for a, p in pairs if isinstance(a, ast.Name)]


class _Translation:
    """From the host's variables to the launch's arguments."""

    def __init__(self, kernels: Kernels, passed: list[tuple[ast.Name, str]]) -> None:
        self._kernels = kernels
        self._passed = passed
        self._arguments = {name.id: place for name, place in passed}

    def visit(self, node: ast.expr, depth: int = _DEPTH) -> ast.expr:
        if depth == 0:
            raise _Unknown
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value > 0:
            return node
        if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
            return ast.BinOp(self.visit(node.left, depth - 1), node.op, self.visit(node.right, depth - 1))
        if isinstance(node, ast.Name):
            return self._name(node, depth)
        if isinstance(node, ast.Subscript):
            return self._size(node.value, node.slice)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        raise _Unknown

    def _call(self, node: ast.Call, depth: int) -> ast.expr:
        """``x.size(0)`` of a PyTorch tensor, and arithmetic that kernels can do as well."""
        if isinstance(node.func, ast.Attribute) and node.func.attr == "size" and len(node.args) == 1:
            return self._size(ast.Attribute(node.func.value, "shape", ast.Load()), node.args[0])
        if self._kernels.names.qualified(node.func) not in _FUNCTIONS or node.keywords:
            raise _Unknown
        return ast.Call(node.func, [self.visit(a, depth - 1) for a in node.args], [])

    def _size(self, shape: ast.expr, index: ast.expr) -> ast.expr:
        """``x.shape[i]`` of an argument, or of what an argument is a permutation of."""
        tensor = shape.value if isinstance(shape, ast.Attribute) and shape.attr == "shape" else None
        if not isinstance(tensor, ast.Name):
            raise _Unknown
        if not isinstance(index, ast.Constant) or type(index.value) is not int or index.value < 0:
            raise _Unknown
        wanted = self.dimension(tensor, index.value)
        for name, place in self._passed:
            for axis in range(_RANK):
                if wanted is not None and self.dimension(name, axis) == wanted:
                    return _shape_of(place, axis)
        raise _Unknown

    def _stays(self, name: ast.Name) -> bool:
        """Whether a variable has the same value throughout."""
        place = self._kernels.place(name)
        owner = self._kernels.ctx.module.lookup(name.id, place[0].scope) if place else None
        return owner is not None and len(owner[1]) == 1

    def _name(self, node: ast.Name, depth: int) -> ast.expr:
        if not self._stays(node):
            raise _Unknown
        try:
            return self._followed(node, depth)
        except _Unknown:
            if node.id in self._arguments:
                return ast.Name(self._arguments[node.id], ast.Load())
            raise

    def _followed(self, node: ast.Name, depth: int) -> ast.expr:
        """In terms of what a variable is bound to, or of an argument that was made with it."""
        binding = bindings(self._kernels, node)[0]
        value = binding.value
        if binding.kind == "assign" and value is not None:
            if not binding.path:
                return self.visit(value, depth - 1)
            (index, *rest) = binding.path
            if index is not None and not rest:
                if isinstance(value, ast.Tuple) and not any(isinstance(e, ast.Starred) for e in value.elts):
                    return self.visit(value.elts[index], depth - 1)
                return self._size(value, ast.Constant(index))
        return self._made_with(node)

    def _made_with(self, size: ast.Name) -> ast.expr:
        """A size of the argument that was made with it."""
        for name, place in self._passed:
            for axis in range(_RANK):
                found = self.dimension(name, axis)
                made = _shape(self._kernels, _value(found[0])) if found is not None else []
                item = made[found[1]] if found is not None and found[1] < len(made) else None
                if isinstance(item, ast.Name) and item.id == size.id:
                    return _shape_of(place, axis)
        raise _Unknown

    # -- tensors --------------------------------------------------------------------------------------

    def dimension(self, name: ast.Name, axis: int) -> _Dimension | None:
        """The axis that a variable's axis comes from; None where it is not known."""
        found: _Dimension | None = None
        following: tuple[ast.Name, int] | None = (name, axis)
        for _ in range(_DEPTH):
            if following is None:
                return found
            name, axis = following
            binding = self._sole(name)
            if binding is None:
                return None
            found = binding, axis
            value = _value(binding)
            following = _through(self._kernels, value, axis) if value is not None else None
        return None

    def _sole(self, name: ast.Name) -> Binding | None:
        """What a variable is bound to where it stands, if that is one place, and before it."""
        place, seen = self._kernels.place(name), bindings(self._kernels, name)
        if place is None or len(seen) != 1:
            return None
        before = seen[0].order < place[0].order or seen[0].scope is not place[0].scope
        return seen[0] if before else None


def _shape_of(place: str, axis: int) -> ast.expr:
    tensor = ast.Attribute(ast.Name(place, ast.Load()), "shape", ast.Load())
    return ast.Subscript(tensor, ast.Constant(axis), ast.Load())


def _value(binding: Binding) -> ast.expr | None:
    """The expression that a variable is bound to, also as one of several."""
    value, path = binding.value, binding.path
    if binding.kind != "assign":
        return None
    if len(path) == 1 and isinstance(value, ast.Tuple) and path[0] is not None:
        starred = any(isinstance(e, ast.Starred) for e in value.elts)
        return None if starred else value.elts[path[0]]
    return None if path else value


def _through(kernels: Kernels, value: ast.expr, axis: int) -> tuple[ast.Name, int] | None:
    """The variable that an expression has its shape from, and which of its axes one is."""
    for inner in _layers(kernels, value):
        if isinstance(inner, ast.Name):
            return inner, axis
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            order = _permutation(inner) if inner.func.attr == "permute" else None
            if order is not None:
                if axis >= len(order):
                    return None
                axis = order[axis]
    return None


def _layers(kernels: Kernels, value: ast.expr) -> Iterator[ast.expr]:
    """An expression and, from the outside in, those that it has its shape from, except for their order."""
    while True:
        yield value
        if isinstance(value, ast.BinOp) and isinstance(value.right, ast.Constant):
            value = value.left
        elif isinstance(value, ast.Call) and kernels.names.qualified(value.func) in _CASTS and value.args:
            value = value.args[0]
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            if value.func.attr not in _SAME_SHAPE and _permutation(value) is None:
                return
            value = value.func.value
        else:
            return


def _permutation(call: ast.Call) -> list[int] | None:
    """The order of the axes in ``x.permute(0, 2, 1)``."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "permute" or call.keywords:
        return None
    order = [a.value for a in call.args if isinstance(a, ast.Constant) and type(a.value) is int]
    return order if len(order) == len(call.args) and sorted(order) == list(range(len(order))) else None


def _shape(kernels: Kernels, value: ast.expr | None) -> list[ast.expr]:
    """What a tensor is made with; empty when it is not known."""
    for inner in _layers(kernels, value) if value is not None else ():
        if _permutes(inner):
            return []
        if isinstance(inner, ast.Call) and kernels.names.qualified(inner.func) in _FACTORIES:
            listed = inner.args[0] if len(inner.args) == 1 else None
            return listed.elts if isinstance(listed, ast.Tuple | ast.List) else inner.args
    return []


def _permutes(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _permutation(node) is not None
