"""Tests that rules make of a node: False, or True, or what was found."""

from __future__ import annotations

import ast
import builtins
from typing import Any

from .positional import SAFE_POSITIONAL
from .rule import Scope

ABSENT = frozenset((
    "all", "any", "ascii", "breakpoint", "bytearray", "bytes", "classmethod", "compile", "complex", "delattr",
    "enumerate", "eval", "exec", "filter", "frozenset", "globals", "input", "iter", "locals", "map",
    "memoryview", "next", "object", "open", "property", "reversed", "round", "set", "setattr", "sorted",
    "sum", "super", "vars", "zip",
))  # fmt: skip
"""Python's functions that the language does not have."""
KNOWN = frozenset((
    "abs", "bool", "dict", "divmod", "float", "getattr", "hasattr", "int", "isinstance", "len", "list", "max",
    "min", "pow", "print", "range", "slice", "str", "tuple", "type",
))  # fmt: skip
"""Python's functions that kernels in use call, and their nearest kin."""
OF_TENSORS = frozenset(("ap", "reshape", "view"))
CONTEXTS = frozenset(("nki.language.no_reorder",))
"""What a ``with`` may name."""
RESULTS = ("items", "values", "keys")


def is_slice(node: ast.AST) -> bool:
    """Whether an expression is an index with a slice, ``...`` or several parts: that of a tensor."""
    if not isinstance(node, ast.Subscript):
        return False
    return isinstance(node.slice, ast.Tuple | ast.Slice) or _is_ellipsis(node.slice)


def _is_ellipsis(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _parts(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def enters_other(node: ast.With, scope: Scope) -> bool:
    """Whether it enters anything but ``nl.no_reorder()``."""
    entered = [item.context_expr for item in node.items]
    return not all(isinstance(e, ast.Call) and scope.qualified(e.func) in CONTEXTS for e in entered)


def _of_dict(node: ast.For) -> bool:
    """Whether the loop is over ``d.items()`` or its like."""
    source = node.iter
    return (
        isinstance(source, ast.Call)
        and isinstance(source.func, ast.Attribute)
        and source.func.attr in RESULTS
    )


def unpacks(node: ast.For, scope: Scope) -> bool:
    """Whether the loop binds several names, other than from a dict."""
    return not isinstance(node.target, ast.Name) and not _of_dict(node)


def unpacks_dict(node: ast.For, scope: Scope) -> bool:
    """Whether the loop binds several names from ``d.items()`` or its like."""
    return not isinstance(node.target, ast.Name) and _of_dict(node)


def has_else(node: ast.For | ast.While, scope: Scope) -> bool:
    """Whether the loop has an ``else``."""
    return bool(node.orelse)


def _builtin(node: ast.Call, scope: Scope) -> str:
    """The name of the Python function that is called, "" when the name is somebody's own."""
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    own = name in scope.bound or name in scope.imports
    return name if name and hasattr(builtins, name) and not own else ""


def absent(node: ast.Call, scope: Scope) -> bool | str:
    """The name of a Python function that the language does not have, if one is called."""
    name = _builtin(node, scope)
    return name if name in ABSENT else False


def doubtful(node: ast.Call, scope: Scope) -> bool | str:
    """The name of a Python function of which it is not known whether the language has it."""
    name = _builtin(node, scope)
    return name if name and name not in ABSENT | KNOWN else False


def is_matmul(node: ast.BinOp | ast.AugAssign, scope: Scope) -> bool:
    """Whether it is ``@`` or ``@=``."""
    return isinstance(node.op, ast.MatMult)


def odd_key(node: ast.Dict, scope: Scope) -> bool:
    """Whether a key is seen to be no string; a variable's value is not known."""
    return any(map(is_odd_key, node.keys))


def is_odd_key(key: ast.expr | None) -> bool:
    """Whether what is written as a key is no string."""
    return isinstance(key, ast.Tuple) or (isinstance(key, ast.Constant) and not isinstance(key.value, str))


def has_format(node: ast.FormattedValue, scope: Scope) -> bool:
    """Whether a value in an f-string has a format behind a colon."""
    return node.format_spec is not None


def odd_constant(node: ast.Constant, scope: Scope) -> bool | str:
    """The type of a literal that the language has not: bytes or a complex number."""
    return type(node.value).__name__ if isinstance(node.value, bytes | complex) else False


def wide_constant(node: ast.Constant, scope: Scope) -> bool | str:
    """An integer literal that does not fit 32 bits."""
    value = node.value
    return str(value) if type(value) is int and value >= 1 << 32 else False


def too_many(node: ast.Call, scope: Scope) -> bool | str:
    """Whether positional arguments reach where the compiler's order is not the documented one."""
    owner, _, name = scope.qualified(node.func).rpartition(".")
    safe = SAFE_POSITIONAL.get(name) if owner == "nki.isa" else None
    if safe is None or len(node.args) <= safe:
        return False
    return f"nisa.{name} takes {safe} by position, {len(node.args)} are given"


def unpacked_call(node: ast.Call, scope: Scope) -> bool:
    """Whether the call has a ``**`` argument."""
    return any(keyword.arg is None for keyword in node.keywords)


def none_index(node: ast.Subscript, scope: Scope) -> bool:
    """Whether ``None`` stands in the index."""
    return any(isinstance(part, ast.Constant) and part.value is None for part in _parts(node))


def negative_index(node: ast.Subscript, scope: Scope) -> bool | str:
    """A negative integer among several parts; a single one may count from the end of a list."""
    negative = [p for p in _parts(node) if isinstance(p, ast.UnaryOp) and isinstance(p.op, ast.USub)]
    return ast.unparse(negative[0]) if negative and isinstance(node.slice, ast.Tuple) else False


def assigns_tile(node: ast.Assign | ast.AugAssign, scope: Scope) -> bool:
    """Whether a part of a tensor is assigned to."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(is_slice(target) for target in targets)


def of_slice(node: ast.Call, scope: Scope) -> bool | str:
    """``t[0:64].ap(...)``, or of a name that holds such a slice."""
    function = node.func
    if not isinstance(function, ast.Attribute) or function.attr not in OF_TENSORS:
        return False
    owner = function.value
    held = isinstance(owner, ast.Name) and owner.id in scope.sliced
    return function.attr if held or is_slice(owner) else False


def starred(node: Any, scope: Scope) -> bool:
    """Whether the function has ``*args``."""
    return node.args.vararg is not None


def double_starred(node: Any, scope: Scope) -> bool:
    """Whether the function has ``**kwargs``."""
    return node.args.kwarg is not None


def foreign_base(node: ast.ClassDef, scope: Scope) -> bool | str:
    """Another base than one NKIObject, or an enumeration's."""
    bases = [ast.unparse(base) for base in node.bases]
    last = [base.rpartition(".")[2] for base in bases]
    return False if last in (["NKIObject"], ["Enum"], ["IntEnum"]) else ", ".join(bases) or "none"
