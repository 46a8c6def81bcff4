"""Reference functions that are called as kernels are: ``reference[lnc](…)``. For the host only."""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import linecache
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Generic, TypeVar, cast

from .kernel_assert import kernel_assert

TorchRefProtocolT = TypeVar("TorchRefProtocolT")
TorchRefProtocolType = type[TorchRefProtocolT]


class LncSubscriptable(Generic[TorchRefProtocolT]):
    """Gives a function the call form of a kernel.

    Made at the top level of a module, and assigned to a name that is annotated, there or before. Below the
    annotation a docstring documents what the protocol does::

        reference: LncSubscriptable[Reference] = LncSubscriptable(_reference, Reference)
        \"\"\"…the docstring of Reference.__call__…\"\"\"

    Raises AssertionError unless ``func`` has the parameters and annotations of ``protocol.__call__`` and the
    docstrings agree (indentation aside); RuntimeError when the assignment or its docstring is not found.
    """

    def __init__(self, func: Callable[..., Any], protocol: TorchRefProtocolType[TorchRefProtocolT]) -> None:
        _check_signature(func, protocol)
        _check_docstring(sys._getframe(1), protocol)
        self._func = func
        self._lnc = 0

    def __getitem__(self, lnc: int) -> TorchRefProtocolT:
        """The function; while it runs, and afterwards, :attr:`lnc` is this value."""

        @functools.wraps(self._func)
        def launched(*args: Any, **kwargs: Any) -> Any:
            self._lnc = lnc
            return self._func(*args, **kwargs)

        return cast(TorchRefProtocolT, launched)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises TypeError: a launch needs its number of cores."""
        name = getattr(self._func, "__name__", repr(self._func))
        raise TypeError(f"{name} must be subscripted with an LNC value before it is called: {name}[lnc](…)")

    @property
    def lnc(self) -> int:
        """Of the last launch; 0 before the first."""
        return self._lnc


def _check_signature(func: Callable[..., Any], protocol: Any) -> None:
    own, wanted = inspect.signature(func), inspect.signature(protocol.__call__)
    names, others = list(own.parameters), list(wanted.parameters)[1:]
    kernel_assert(names == others, f"parameters {names} differ from the protocol's {others}")
    for name in names:
        mine, theirs = own.parameters[name].annotation, wanted.parameters[name].annotation
        kernel_assert(mine == theirs, f"annotation {mine!r} of {name} differs from the protocol's {theirs!r}")
    mine, theirs = own.return_annotation, wanted.return_annotation
    kernel_assert(mine == theirs, f"return annotation {mine!r} differs from the protocol's {theirs!r}")


def _check_docstring(frame: FrameType, protocol: Any) -> None:
    """Compare the docstring of the assignment that ``frame`` is at with the protocol's."""
    text = _docstring_at(
        "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals)), frame.f_lineno
    )
    found, wanted = inspect.cleandoc(text), inspect.cleandoc(protocol.__call__.__doc__ or "")
    difference = difflib.unified_diff(
        wanted.splitlines(), found.splitlines(), "protocol", "assignment", lineterm=""
    )
    kernel_assert(found == wanted, "docstring differs from the protocol's:\n" + "\n".join(difference))


def _docstring_at(source: str, line: int) -> str:
    """The docstring of the name that a line of the module's top level assigns to.

    It stands below the annotation of that name, which is the assignment itself or a declaration of its own.
    Raises RuntimeError when there is no assignment, no annotation or no string.
    """
    body = ast.parse(source).body
    name = _assigned_at(body, line)
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and _named(statement.target, name):
            value = following.value if isinstance(following, ast.Expr) else None
            text = value.value if isinstance(value, ast.Constant) else None
            if isinstance(text, str):
                return text
    raise RuntimeError(f"line {line}: {name} needs an annotation, and a docstring below it")


def _assigned_at(body: list[ast.stmt], line: int) -> str:
    for statement in body:
        if not statement.lineno <= line <= (statement.end_lineno or 0):
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if isinstance(statement, ast.AnnAssign):
            target = statement.target
        if isinstance(target, ast.Name):
            return target.id
    raise RuntimeError(
        f"line {line}: LncSubscriptable must be assigned to a name at the top level of a module"
    )


def _named(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name
