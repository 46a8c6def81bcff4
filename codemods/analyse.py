"""The analysis of one file as a pure function: bytes and what other files export in, findings and exports
out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from .analysis import values as v
from .analysis.context import FileContext
from .analysis.exports import exports, pins
from .elsewhere import Kernel, Seen
from .model import LANGUAGE, Finding
from .record import fresh, record
from .release import Release
from .rule import Check, Rule
from .rules.vendored_copy import CODE as VENDORED
from .source import Source
from .suppress import Suppressions


@record
class Place:
    """Where a file stands in its project: its path as named, its dotted module name, whether it is a
    package.
    """

    path: str
    module: str = ""
    package: bool = False


@record
class World:
    """What the rest of the project contributes.

    Attributes:
        outside: values that other modules export. pinned: names of this module that others use.
        kernels: kernels of other modules, as this one spells them.
        launches: for each of this module's own kernels that others use, how they launch it.
    """

    outside: Mapping[str, v.Value] = fresh(factory=dict)
    pinned: frozenset[str] = frozenset()
    kernels: Mapping[str, Kernel] = fresh(factory=dict)
    launches: Mapping[str, frozenset[Seen]] = fresh(factory=dict)


@record
class Analysis:
    """What analysis found in one file.

    Attributes:
        findings: in order of position. suppressed: how many were silenced by comments.
        exports: qualified names of this module that denote something affected.
        imports: absolute dotted paths this file imports or spells in strings (project modules among them).
        pins: qualified names of other modules that this file refers to by name or string.
        kernels: qualified names of its functions that were written in the old language.
        launches: kernels of other modules, as this one spells them → how it launches them.
        surveyed: what becomes of the kernels is not known yet; all are taken to be migrated.
    """

    findings: tuple[Finding, ...]
    suppressed: int
    exports: Mapping[str, v.Value]
    imports: frozenset[str]
    pins: frozenset[str]
    kernels: Mapping[str, Kernel] = fresh(factory=dict)
    launches: Mapping[str, frozenset[Seen]] = fresh(factory=dict)
    surveyed: bool = False


def analyse(
    data: bytes,
    place: Place,
    release: Release,
    rules: Iterable[Rule],
    world: World,
    all_keywords: bool = False,
    language: Iterable[Check] = (),
) -> Analysis:
    """Find every affected place of a Python file.

    Args:
        language: what is to be said of the kernels of a file that imports the language.

    Raises SyntaxError, ValueError or UnicodeDecodeError when the file is not Python, RecursionError or
    MemoryError when it is nested absurdly deep.
    """
    source = Source.decode(data)
    context = FileContext(
        place.path,
        source,
        parse(source),
        release,
        place.module,
        place.package,
        world.outside,
        world.pinned,
        all_keywords,
    )
    module = context.module
    try:
        return _analysed(context, rules, language)
    finally:
        module.forget()


def _analysed(context: FileContext, rules: Iterable[Rule], language: Iterable[Check]) -> Analysis:
    found = dict.fromkeys(
        f for rule in rules if not context.vendored or rule.code == VENDORED for f in rule.check(context)
    )
    if not context.vendored:
        found |= dict.fromkeys(finding for check in language for finding in check(context))
    silenced = Suppressions.read(context.source)
    groups = {f.group for f in found if f.group and silenced.covers(f)}
    heard = (f for f in found if f.group not in groups and not silenced.covers(f))
    kept = sorted(heard, key=lambda f: (f.line, f.column, f.code))
    named = context.all_imports | context.named_paths
    return Analysis(
        tuple(kept),
        len(found) - len(kept),
        exports(context),
        named,
        pins(context),
        _kernels(context, kept),
        context.memory.get("language launches", {}),
    )


def _kernels(context: FileContext, kept: Iterable[Finding]) -> Mapping[str, Kernel]:
    """What other files can launch; migrated only when all that its file takes is heard."""
    names = context.memory.get("language kernels", {})
    assert isinstance(names, dict)
    heard = any(f.group == LANGUAGE for f in kept)
    found = {name: kernel if heard else Kernel(False) for name, kernel in names.items()}
    return {f"{context.name}.{name}": kernel for name, kernel in found.items()} if context.name else {}


def parse(source: Source) -> ast.Module:
    """The syntax tree. What the compiler warns of in the user's code is the caller's to silence."""
    return ast.parse(source.text)
