"""``nl.shared_constant``: NumPy arrays that the new language makes itself when it compiles."""

from __future__ import annotations

import ast

from ..analysis.dtypes import dtype_of, named
from ..analysis.symbols import Sym
from ..analysis.values import Dtype, Scalar, Shape, Space, Tensor
from .call import Call, Lowering, code, shape_code
from .tokens import numpy_token

_PARAMETERS = {
    "eye": ("N", "M", "k", "dtype"),
    "identity": ("n", "dtype"),
    "zeros": ("shape", "dtype"),
    "arange": ("start", "stop", "step", "dtype"),
}
"""NumPy's functions that ``nki.tensor`` has a like of, and their parameters by position."""
Given = dict[str, ast.expr]


def shared_constant(call: Call) -> Tensor:
    """``np.identity(n)`` and its like become ``ntensor.identity(n)``, a constant in HBM."""
    given, name = _array(call)
    dtype = _dtype(call, given, "int32" if name == "arange" else "float32")
    if name in ("eye", "identity"):
        return _identity(call, _size(call, given, "N" if name == "eye" else "n"), dtype)
    if name == "zeros" and "shape" in given:
        node = given["shape"]
        sizes = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
        shape = tuple(_sym(call, each) for each in sizes)
        return _constant(call, "zeros", shape_code(shape), shape, dtype)
    if set(given) - {"start", "dtype"}:
        call.refuse("M-CONST")
    size = _size(call, given, "start")
    return _constant(call, "arange", f"0, {size.text}", (size,), dtype)


def _array(call: Call) -> tuple[Given, str]:
    """The arguments of NumPy's function, by parameter, and its name."""
    try:
        node = ast.parse(code(call.value("constant")), mode="eval").body
    except SyntaxError:
        call.refuse("M-CONST")
    function = node.func if isinstance(node, ast.Call) else None
    name = function.attr if isinstance(function, ast.Attribute) else ""
    numpy = isinstance(function, ast.Attribute) and ast.unparse(function.value) in ("np", "numpy", "jnp")
    if not isinstance(node, ast.Call) or not numpy or name not in _PARAMETERS:
        call.refuse("M-CONST")
    given = dict(zip(_PARAMETERS[name], node.args, strict=False))
    given.update({keyword.arg: keyword.value for keyword in node.keywords if keyword.arg})
    if not set(given) <= set(_PARAMETERS[name]) or set(given) & {"M", "k"}:
        call.refuse("M-CONST")
    return given, name


def _dtype(call: Call, given: Given, default: str) -> Dtype:
    """What the call says, else NumPy's function, else NumPy's default in 32 bits."""
    said = call.dtype()
    if said is not None:
        return said
    if "dtype" not in given:
        return named(default)
    token = numpy_token(ast.unparse(given["dtype"]).rpartition(".")[2])
    return (dtype_of(token) if token else None) or call.refuse("M-CONST")


def _size(call: Call, given: Given, parameter: str) -> Sym:
    return _sym(call, given[parameter]) if parameter in given else call.refuse("M-CONST")


def _sym(call: Call, node: ast.expr) -> Sym:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Sym.constant(node.value)
    return Sym.atom(ast.unparse(node))


def _identity(call: Call, size: Sym, dtype: Dtype) -> Tensor:
    return _constant(call, "identity", size.text, (size, size), dtype)


def _constant(call: Call, function: str, sizes: str, shape: Shape, dtype: Dtype) -> Tensor:
    array = f"{call.out.module('nki.tensor')}.{function}({sizes}, dtype={dtype.text})"
    made = Tensor(f"nl.shared_constant({array})", shape, dtype, Space.SHARED_HBM)
    return call.out.named(function, made)


def shared_identity_matrix(call: Call) -> Tensor:
    """``nl.shared_identity_matrix(n)``: the same constant."""
    value = call.value("n")
    size = value.sym if isinstance(value, Scalar) and value.sym is not None else call.unreadable("n")
    return _identity(call, size, call.dtype() or named("uint8"))


LOWERINGS: dict[str, Lowering] = {
    "nl.shared_constant": shared_constant,
    "nl.shared_identity_matrix": shared_identity_matrix,
}
