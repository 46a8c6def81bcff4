"""Finds the kernels of a file by reading it: nothing is imported or run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .model import CURRENT, LEGACY

_MAKERS = frozenset({"jit", "trace", "baremetal", "benchmark", "profile", "simulate_kernel", "simulate"})
_BRIDGES = frozenset({"nki_jit", "nki_call", "wrap_nki", "nki_op"})
_ROOTS = ("neuronxcc", "nki")
_PROGRAMS = re.compile(r"\b(program_id|num_programs|get_(verified_)?program_sharding_info|program_ndim)\b")


@dataclass(frozen=True)
class Parameter:
    """A parameter: its default and annotation as source text, "" for none."""

    name: str
    default: str = ""
    annotation: str = ""

    @property
    def mutable(self) -> bool:
        """Whether the legacy annotation says that it is written."""
        return "mutable" in self.annotation


@dataclass(frozen=True)
class Kernel:
    """A function of a module.

    Attributes:
        line, last: of its definition.
        jit: whether a decorator or a wrapping call makes a kernel of it.
        inner: whether it is only for other kernels, by ``mode="trace"`` or because they call it.
        target: platform that the decorator names.
        programs: whether it asks which program or core it is.
    """

    name: str
    line: int
    last: int
    parameters: tuple[Parameter, ...]
    jit: bool = False
    inner: bool = False
    target: str = ""
    programs: bool = False


@dataclass
class SourceFile:
    """A parsed file; ``error`` says why it could not be parsed, and there is nothing in it then."""

    text: str
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    error: str = ""

    @classmethod
    def parsed(cls, data: bytes) -> SourceFile:
        """Never raises: what does not parse has an error."""
        try:
            tree = ast.parse(data)
        except SyntaxError as error:
            return cls("", error=f"does not parse: {error.msg} (line {error.lineno})")
        except (ValueError, RecursionError, MemoryError) as error:
            return cls("", error=f"does not parse: {error}")
        return cls(data.decode("utf-8", "replace"), tree)

    @cached_property
    def imports(self) -> dict[str, str]:
        """Local name → the dotted path that an import gives it, wherever in the file."""
        return dict(_imported(self.tree))

    @cached_property
    def language(self) -> str:
        """:data:`LEGACY` if anything of ``neuronxcc`` is imported or mentioned, else :data:`CURRENT`."""
        return LEGACY if re.search(r"\bneuronxcc\b|\bnki_jit\b", self.text) else CURRENT

    def language_of(self, name: str) -> str:
        """The language of a function, which is :data:`LEGACY` where the file has both only if the function,
        or one that it calls, uses a name of that.
        """
        if self.language == CURRENT or not any(f"{p}.".startswith("nki.") for p in self.imports.values()):
            return self.language
        function = self.functions[name]
        bodies = [function, *(self.functions[callee] for callee in self._calls(function))]
        used = {n.id for body in bodies for n in ast.walk(body) if isinstance(n, ast.Name)}
        paths = [self.imports.get(name, name) for name in used]
        legacy = any(p.partition(".")[0] == "neuronxcc" or p.endswith("nki_jit") for p in paths)
        return LEGACY if legacy else CURRENT

    def dotted(self, node: ast.expr) -> str:
        """The dotted path that a name or a chain of attributes stands for; "" for anything else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.imports.get(node.id, node.id), *reversed(parts)])

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """The functions of the module, also those inside of ``if`` and ``try``; the last one of a name."""
        return {node.name: node for node in _top(self.tree.body) if isinstance(node, ast.FunctionDef)}

    @cached_property
    def kernels(self) -> dict[str, Kernel]:
        """All functions of the module, with what makes kernels of some."""
        wrapped = self._wrapped()
        makers = {name: self._maker(node) for name, node in self.functions.items()}
        jitted = {name for name, made in makers.items() if made is not None} | wrapped
        called = {c for name in jitted for c in self._calls(self.functions[name]) if c != name}
        return {
            name: Kernel(
                name,
                node.lineno,
                node.end_lineno or node.lineno,
                _parameters(node),
                name in jitted,
                makers[name] == "trace" or (name in called and name not in wrapped),
                self._target(node),
                bool(_PROGRAMS.search(ast.get_source_segment(self.text, node) or "")),
            )
            for name, node in self.functions.items()
        }

    def makes_kernels(self, node: ast.expr) -> bool:
        """Whether an expression is ``nki.jit`` or one of its kin."""
        return makes_kernels(self.dotted(node))

    def _maker(self, node: ast.FunctionDef) -> str | None:
        """``trace`` for a sub-kernel's decorator, another text for a kernel's, None for none."""
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            name = call.func if call else decorator
            if self.makes_kernels(name):
                mode = _keyword(call, "mode")
                return mode or ("trace" if self.dotted(name).endswith(".trace") else "auto")
        return None

    def _target(self, node: ast.FunctionDef) -> str:
        calls = [d for d in node.decorator_list if isinstance(d, ast.Call)]
        return next((t for t in (_keyword(call, "platform_target") for call in calls) if t), "")

    def _wrapped(self) -> set[str]:
        """Functions that ``nki.jit(f)``, ``nki.baremetal()(f)``, ``simulate_kernel(f, …)`` launch."""
        found = set()
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            maker = node.func.func if isinstance(node.func, ast.Call) else node.func
            argument = node.args[0]
            if isinstance(argument, ast.Subscript):
                argument = argument.value
            if isinstance(argument, ast.Name) and self.makes_kernels(maker) and argument.id in self.functions:
                found.add(argument.id)
        return found

    def _calls(self, function: ast.FunctionDef) -> set[str]:
        """Functions of the module that a function calls, itself and through others."""
        seen: set[str] = set()
        pending = [function]
        while pending:
            for node in ast.walk(pending.pop()):
                name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
                if name in self.functions and name not in seen:
                    seen.add(name)
                    pending.append(self.functions[name])
        return seen


def makes_kernels(path: str) -> bool:
    """Whether a dotted path is that of ``nki.jit`` or one of its kin."""
    last = path.rpartition(".")[2]
    return last in _BRIDGES or (path.partition(".")[0] in _ROOTS and last in _MAKERS)


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module, also those inside of its ``if``, ``try`` and ``with``."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            for name in ("body", "orelse", "finalbody"):
                yield from _top(getattr(node, name, []))
            for handler in getattr(node, "handlers", []):
                yield from _top(handler.body)


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{'.' * node.level}{node.module or ''}.{alias.name}"


def _keyword(call: ast.Call | None, name: str) -> str:
    """A keyword's text, if it is one."""
    values = [k.value for k in call.keywords if k.arg == name] if call else []
    literal = values[0] if values else None
    return literal.value if isinstance(literal, ast.Constant) and isinstance(literal.value, str) else ""


def _parameters(node: ast.FunctionDef) -> tuple[Parameter, ...]:
    """All but ``*args`` and ``**kwargs``, in order."""
    given = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(given) - len(node.args.defaults))
    pairs = [*zip(given, [*defaults, *node.args.defaults], strict=True)]
    pairs += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return tuple(
        Parameter(
            arg.arg,
            ast.unparse(default) if default else "",
            ast.unparse(arg.annotation) if arg.annotation else "",
        )
        for arg, default in pairs
    )
