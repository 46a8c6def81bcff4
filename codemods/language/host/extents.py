"""Sizes that the host computes, in terms of a kernel's parameters.

A variable is followed to what it is bound to: ``x.shape[0]`` of an argument, arithmetic on such, or a size
that an argument was made with, as in ``x = torch.zeros(n, m)``.
"""

from __future__ import annotations

import ast

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
_DEPTH = 8


class _Unknown(Exception):
    """An expression that is not one of the kernel's parameters."""


def extents(
    kernels: Kernels, launch: Launch, node: ast.FunctionDef, programs: tuple[ast.expr, ...]
) -> tuple[str, ...] | None:
    """Code for the extents of a grid inside the kernel; None when one does not follow from its arguments."""
    translation = _Translation(kernels, _arguments(launch.call, node))
    try:
        return tuple(ast.unparse(translation.visit(item)) for item in programs)
    except _Unknown:
        return None


def _arguments(call: ast.Call, node: ast.FunctionDef) -> list[tuple[ast.Name, str]]:
    """Variables that the host passes, with the parameters that get them."""
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return []
    parameters = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    pairs = [*zip(call.args, parameters, strict=False)]
    pairs += [(k.value, k.arg) for k in call.keywords if k.arg]
    return [(a, p) for a, p in pairs if isinstance(a, ast.Name)]


class _Translation:
    """From the host's variables to the kernel's parameters."""

    def __init__(self, kernels: Kernels, passed: list[tuple[ast.Name, str]]) -> None:
        self._kernels = kernels
        self._passed = passed
        self._arguments = {name.id: parameter for name, parameter in passed}

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
        """``x.shape[i]`` of an argument."""
        tensor = shape.value if isinstance(shape, ast.Attribute) and shape.attr == "shape" else None
        if not isinstance(tensor, ast.Name) or not self._stays(tensor):
            raise _Unknown
        if not isinstance(index, ast.Constant) or type(index.value) is not int or index.value < 0:
            raise _Unknown
        parameter = ast.Name(self._argument(tensor.id), ast.Load())
        return ast.Subscript(ast.Attribute(parameter, "shape", ast.Load()), index, ast.Load())

    def _argument(self, name: str) -> str:
        if name not in self._arguments:
            raise _Unknown
        return self._arguments[name]

    def _stays(self, name: ast.Name) -> bool:
        """Whether a variable has the same value throughout."""
        place = self._kernels.place(name)
        owner = self._kernels.ctx.module.lookup(name.id, place[0].scope) if place else None
        return owner is not None and len(owner[1]) == 1

    def _name(self, node: ast.Name, depth: int) -> ast.expr:
        if not self._stays(node):
            raise _Unknown
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
        if node.id in self._arguments:
            return ast.Name(self._arguments[node.id], ast.Load())
        return self._made_with(node)

    def _made_with(self, size: ast.Name) -> ast.expr:
        """A size of the argument that was made with it."""
        for name, parameter in self._passed:
            for index, item in enumerate(self._shape(name, _DEPTH)):
                if isinstance(item, ast.Name) and item.id == size.id:
                    tensor = ast.Attribute(ast.Name(parameter, ast.Load()), "shape", ast.Load())
                    return ast.Subscript(tensor, ast.Constant(index), ast.Load())
        raise _Unknown

    def _shape(self, name: ast.Name, depth: int) -> list[ast.expr]:
        """What a variable's tensor is made with; empty when it is not known."""
        sole = bindings(self._kernels, name)
        if len(sole) != 1 or sole[0].kind != "assign" or sole[0].path or depth == 0:
            return []
        value = sole[0].value
        while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            if self._kernels.names.qualified(value.func) in _FACTORIES:
                listed = value.args[0] if len(value.args) == 1 else None
                return listed.elts if isinstance(listed, ast.Tuple | ast.List) else value.args
            if value.func.attr not in _SAME_SHAPE:
                return []
            value = value.func.value
        return self._shape(value, depth - 1) if isinstance(value, ast.Name) else []
