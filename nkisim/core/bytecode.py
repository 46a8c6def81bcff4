"""Which globals a code object reads, by its instructions, and whether it does what cannot be followed."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator
from typing import Any

CHANGED = "="
"""Behind a name: its attributes are set."""
_READ, _ATTRIBUTE = ("LOAD_GLOBAL", "LOAD_NAME"), ("LOAD_ATTR", "LOAD_METHOD")
_ATTRIBUTES = (*_ATTRIBUTE, "LOAD_SUPER_ATTR", "STORE_ATTR", "DELETE_ATTR")
_SET = ("STORE_ATTR", "DELETE_ATTR")
_REFUSED = {
    "STORE_GLOBAL": "sets a global", "DELETE_GLOBAL": "deletes a global", "IMPORT_NAME": "imports",
    "LOAD_FROM_DICT_OR_GLOBALS": "reads names in a class body",
}  # fmt: skip
_HIDING = frozenset([
    "ag_frame", "cell_contents", "cr_frame", "f_back", "f_builtins", "f_globals", "f_locals", "gi_frame",
    "tb_frame", "dump", "tofile", "array", "before_write", "read", "read_raw", "storage", "write",
    "written_flags",
])  # fmt: skip
"""Attributes by which code reaches what it does not name, writes files, and looks at what tensors hold."""
_SPECIAL = frozenset([
    "__abs__", "__add__", "__and__", "__bool__", "__call__", "__class__", "__contains__", "__delattr__",
    "__delitem__", "__enter__", "__eq__", "__exit__", "__float__", "__floordiv__", "__format__", "__ge__",
    "__get__", "__getattr__", "__getattribute__", "__getitem__", "__gt__", "__index__", "__init__",
    "__init_subclass__", "__int__", "__invert__", "__iter__", "__le__", "__len__", "__lt__", "__mod__",
    "__mul__", "__name__", "__ne__", "__neg__", "__new__", "__next__", "__or__", "__pos__",
    "__post_init__", "__pow__", "__qualname__", "__radd__", "__repr__", "__rmul__", "__round__",
    "__rsub__", "__set__", "__set_name__", "__setattr__", "__setitem__", "__str__", "__sub__",
    "__truediv__", "__xor__",
])  # fmt: skip
"""Special attributes that hide nothing."""


@functools.lru_cache(maxsize=4096)
def named_globals(code: types.CodeType) -> tuple[frozenset[tuple[str, ...]], str]:
    """The globals that code names, and what the code does that cannot be followed, or "".

    A global is a tuple of its name and the attributes that the code reads from it at once: ``np.linalg.norm``
    is ``("np", "linalg", "norm")``. :data:`CHANGED` stands behind them where the last one is set or deleted.
    """
    chains: set[tuple[str, ...]] = set()
    chain: tuple[str, ...] = ()
    refused = next((f"names {text}" for text in _texts(code.co_consts) if _hides(text)), "")
    for instruction in dis.get_instructions(code):
        operation, name = instruction.opname, instruction.argval
        if operation == "EXTENDED_ARG":
            continue
        if operation in _ATTRIBUTES and _hides(name):
            refused = f"uses {name}"
        if operation == "STORE_NAME" and name == "__del__":
            refused = "has __del__"
        refused = refused or _REFUSED.get(operation, "")
        if chain and operation in _ATTRIBUTE:
            chain = (*chain, name)
            continue
        if chain:
            chains.add((*chain, CHANGED) if operation in _SET else chain)
        chain = (name,) if operation in _READ else ()
    return frozenset(chains), refused


def _texts(constants: tuple[Any, ...]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple):
            yield from _texts(constant)


def _hides(name: str) -> bool:
    """Whether an attribute, or a text that may name it, leads to what cannot be followed."""
    return name in _HIDING or (name.startswith("__") and name.endswith("__") and name not in _SPECIAL)
