"""What rules look at: one file's imports, references, calls, attributes and texts, resolved once.

Only chains that can lead to something affected are evaluated: starting from imports of affected packages
(and of project modules that export affected things), names are followed through bindings by spelling alone,
which over-approximates and costs one set look-up each; evaluation then decides.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from operator import attrgetter

from ..model import Edit, Finding, Outcome
from ..patterns import pattern
from ..record import cached_property, fresh, record
from ..release import Release
from ..trees import last_name
from . import values as v
from .affected import spread
from .collect import collect
from .evaluate import Evaluator
from .scopes import Binding, Module, Text, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from ..source import Source

    Made = TypeVar("Made")

_ALWAYS = frozenset({"getattr", "hasattr", "__import__", "vars"})
_NAMING = frozenset((ast.Name, ast.Attribute))
_LOADING = frozenset({"import_module", "__import__", "importorskip", "run_module"})
_LOADERS = frozenset({"importlib", "pkgutil", "typing", "operator", "sys"})


@record
class Import:
    """One imported name: ``target`` is its absolute dotted path as spelled (legacy roots kept)."""

    node: ast.Import | ast.ImportFrom
    alias: ast.alias
    target: str
    binding: Binding

    @property
    def local(self) -> str:
        return self.binding.name


@record
class Reference:
    """A name or attribute that denotes a known symbol.

    ``owner`` is the value an attribute is looked up on (None for names); ``index`` the place in the use's
    links.
    """

    node: ast.Name | ast.Attribute
    symbol: str
    owner: v.Value
    use: Use
    index: int


@record
class Call:
    """A call whose callee's value is (partly) known."""

    node: ast.Call
    callee: v.Value
    use: Use
    index: int


@record
class Attribute:
    """An attribute read or written on a value that is (partly) known."""

    node: ast.Attribute
    owner: v.Value
    use: Use
    index: int


@record
class FileContext:
    """One file under analysis; see the module docstring.

    Args:
        path: as the user named it. name: dotted module name or "". package: whether it is ``__init__.py``.
        outside: qualified names of other project modules → values. pinned: this module's names others rely
        on.
        all_keywords: whether every argument of an affected call gets its keyword.
        memory: what several rules share; what :func:`once` keeps, by the function that computes it.
    """

    path: str
    source: Source
    tree: ast.Module
    release: Release
    name: str = ""
    package: bool = False
    outside: Mapping[str, v.Value] = fresh(factory=dict)
    pinned: frozenset[str] = frozenset()
    all_keywords: bool = False
    memory: dict[object, Any] = fresh(factory=dict)

    @cached_property
    def module(self) -> Module:
        return collect(self.tree)

    @cached_property
    def vendored(self) -> bool:
        """Whether the file is part of a copy of the library itself, by its module path. Tests may lie in
        folders called like the library's, below one called ``test`` or ``tests``.
        """
        dotted, own = f".{self.name}.", f".{self.release.root}.core."
        if any(f".{root}." in dotted for root in self.release.legacy_roots):
            return True
        return own in dotted and not self._tests_it(own)

    def _tests_it(self, own: str) -> bool:
        """Whether a file in folders called like the library's is no module of it, and lies below tests."""
        folders = re.split(r"[/\\]", self.path)
        above = folders[: folders.index(self.release.root)] if self.release.root in folders else []
        module = f"{own[1:]}{f'.{self.name}'.rpartition(own)[2]}"
        return module not in self.release.known and not {"test", "tests"}.isdisjoint(above)

    @cached_property
    def evaluator(self) -> Evaluator:
        return Evaluator(self.module, self.release, self.name, self.package, self.outside)

    @cached_property
    def imports(self) -> list[Import]:
        """All imports of affected packages and of project modules that export something affected."""
        found = []
        for binding in self.module.imports:
            target = self.target(binding)
            if target and self._relevant(target):
                assert binding.alias is not None
                found.append(Import(binding.node, binding.alias, target, binding))  # type: ignore[arg-type]
        return found

    @cached_property
    def all_imports(self) -> frozenset[str]:
        """Absolute dotted paths of everything imported; star imports as their module."""
        named = {self.target(binding) for binding in self.module.imports}
        return frozenset(named | {self.evaluator.absolute(node) for node in self.module.stars}) - {""}

    @cached_property
    def named_paths(self) -> frozenset[str]:
        """Dotted paths that strings spell, which may be those of project modules and their names."""
        texts = self.module.texts
        dotted = (t.value for t in texts if "." in t.value)
        found = (_DOTTED.fullmatch(text) for text in dotted if " " not in text or "=" in text)
        tops = (t.value for t in texts if t.value.isidentifier() and _is_loaded(t))
        return frozenset((*(match["path"].replace(":", ".") for match in found if match), *tops))

    def target(self, binding: Binding) -> str:
        """The absolute dotted path that an import binding stands for; "" when it is not known."""
        assert binding.alias is not None
        if isinstance(binding.node, ast.ImportFrom):
            module = self.evaluator.absolute(binding.node)
            return f"{module}.{binding.alias.name}" if module else ""
        return binding.alias.name

    @cached_property
    def legacy_roots(self) -> frozenset[str]:
        """The legacy roots that the file imports from."""
        return frozenset(root for i in self.imports if (root := self.release.legacy_root(i.target)))

    @cached_property
    def stars(self) -> list[tuple[ast.ImportFrom, str]]:
        """Star imports of affected modules, with their absolute path as spelled."""
        pairs = [(node, self.evaluator.absolute(node)) for node in self.module.stars]
        return [(node, path) for node, path in pairs if path and self._relevant(path)]

    def _relevant(self, target: str) -> bool:
        return self.release.concerns(target) or self.leads_outside(target)

    def leads_outside(self, name: str) -> bool:
        """Whether a qualified name is what other files export, or a module or class that holds such."""
        return name in self._outside_prefixes

    @cached_property
    def _outside_prefixes(self) -> frozenset[str]:
        found: set[str] = set()
        for key in self.outside:
            parts = key.split(".")
            found.update(".".join(parts[:i]) for i in range(1, len(parts) + 1))
        return frozenset(found)

    @cached_property
    def texts(self) -> list[Text]:
        """String constants that are a dotted path or name (docstrings and prose are not)."""
        return [t for t in self.module.texts if " " not in t.value and _PATH.fullmatch(t.value)]

    @cached_property
    def affected_names(self) -> frozenset[str]:
        """Spellings of local names that may lead to something affected."""
        names = {i.local for i in self.imports} | _ALWAYS
        names |= {f".{i.local}" for i in self.imports if i.binding.scope.kind == "class"}
        names |= {n for node, path in self.stars for n in self._star_names(path)}
        roots = any(t.value.partition(".")[0] in self.release.roots for t in self.texts)
        if roots or any(map(self.leads_outside, self.named_paths)):
            names |= {b.name for b in self.module.imports if self.target(b).partition(".")[0] in _LOADERS}
        else:
            names |= {b.name for b in self.module.imports if self.target(b) == "typing.cast"}
        return spread(names, self.module, self.evaluator)

    def _star_names(self, path: str) -> Iterable[str]:
        listed = self.release.stars.get(self.release.real(self.release.canonical(path)), ())
        prefix = path + "."
        return (*listed, *(k[len(prefix) :] for k in self.outside if k.startswith(prefix)))

    @cached_property
    def uses(self) -> list[Use]:
        """The uses worth evaluating: of an affected name or attribute, or with such a use in their
        arguments.
        """
        hits = {use for name in self.affected_names for use in self.module.spelling(name)}
        wanted: dict[Use, None] = {}
        for use in sorted(hits, key=attrgetter("order")):
            around = [use]
            while (outer := around[-1].outer) is not None:
                around.append(outer)
            wanted.update(dict.fromkeys(reversed(around)))
        return list(wanted)

    @cached_property
    def around(self) -> list[Use]:
        """Those of them in whose arguments, or whose base, another one stands."""
        outer = {use.outer for use in self.uses}
        return [use for use in self.uses if use in outer]

    @cached_property
    def near_legacy(self) -> bool:
        """Whether an import is of a package that a legacy root lies in."""
        paths = (*(i.target for i in self.imports), *(path for _, path in self.stars))
        return any(path.partition(".")[0] in self.release.legacy_tops for path in paths)

    @cached_property
    def _resolved(self) -> tuple[list[Reference], list[Call], list[Attribute]]:
        references: list[Reference] = []
        calls: list[Call] = []
        attributes: list[Attribute] = []
        for use in self.uses:
            values = self.evaluator.steps(use)
            before: v.Value = None
            for index, link in enumerate(use.links):
                value, kind = values[index], link.__class__
                if kind is ast.Call:
                    if before is not None:
                        calls.append(Call(link, before, use, index))  # type: ignore[arg-type]
                elif kind in _NAMING:
                    for name in _symbols(value) if value is not None else ():
                        references.append(Reference(link, name, before, use, index))  # type: ignore[arg-type]
                    if kind is ast.Attribute:
                        attributes.append(Attribute(link, before, use, index))  # type: ignore[arg-type]
                before = value
        return references, calls, attributes

    @property
    def references(self) -> list[Reference]:
        return self._resolved[0]

    @property
    def calls(self) -> list[Call]:
        return self._resolved[1]

    @property
    def attributes(self) -> list[Attribute]:
        return self._resolved[2]

    # -- what rules report --------------------------------------------------------------------------

    def finding(
        self,
        code: str,
        node: ast.AST,
        message: str,
        *,
        outcome: Outcome = Outcome.REWRITTEN,
        step: str = "",
        edits: Iterable[Edit] = (),
        group: str = "",
    ) -> Finding:
        """A finding at ``node``; nodes of one file give positions in its text."""
        start, end = self.source.span(node)
        line, column = self.source.position(start)
        end_line, end_column = self.source.position(end)
        return Finding(
            code,
            self.path,
            line,
            column,
            end_line,
            end_column,
            outcome,
            message,
            step,
            tuple(edits),
            group=group,
        )

    def needs_you(self, code: str, node: ast.AST, message: str, step: str) -> Finding:
        """A finding about something that a person must decide; ``step``: what to do."""
        return self.finding(code, node, message, outcome=Outcome.NEEDS_YOU, step=step)

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that a use's outermost link or a compound expression stands in."""
        return self.module.parents.get(node)

    def segment(self, node: ast.AST) -> str:
        """The source text of a node."""
        start, end = self.source.span(node)
        return self.source.utf8[start:end].decode("utf-8")


def _is_loaded(text: Text) -> bool:
    """Whether a string names a module that is looked up by it."""
    if isinstance(text.inside, ast.Subscript):
        return last_name(text.inside.value) == "modules"
    return isinstance(text.inside, ast.Call) and last_name(text.inside.func) in _LOADING


def _symbols(value: v.Value) -> list[str]:
    """The names of the symbols that a value may be, sorted."""
    if isinstance(value, v.Symbol):
        return [value.name]
    return sorted({option.name for option in v.options(value) if isinstance(option, v.Symbol)})


def once(compute: Callable[[FileContext], Made]) -> Callable[[FileContext], Made]:
    """A function of a file whose result is computed when it is first asked for, and kept with the file."""

    @wraps(compute)
    def kept(ctx: FileContext) -> Made:
        memory = ctx.memory
        if compute not in memory:
            memory[compute] = compute(ctx)
        return memory[compute]  # type: ignore[no-any-return]

    return kept


# A path, also one with a colon before its last parts and a name in front, as entry points are written.
_DOTTED = pattern(r"(?:[\w.-]{1,80} ?= ?)?(?P<path>[A-Za-z_]\w{0,80}(?:[.:][A-Za-z_]\w{0,80}){1,20})")
_PATH = pattern(r"[A-Za-z_][\w.:/\-]{0,300}")
