"""Which kernel is called with what: the calls in all harnesses of a tree, matched to its kernels."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace

from . import harness
from .discover import SourceFile
from .harness import Called
from .pairs import Pair, Side


def with_calls(found: Iterable[Pair], side: Side) -> list[Pair]:
    """The pairs with what the old side's harnesses call them with: their own file's, then those of tests."""
    every = list(found)
    wanted = {(p.old_file, p.old.name) for p in every if p.old.jit or p.new.jit}
    calls: dict[tuple[str, str], list[tuple[str, Called]]] = {}
    for file in _harness_files(side, {file for file, _ in wanted}):
        for where, call in _calls(side, file, wanted):
            calls.setdefault(where, []).append((file, call))
    every = [replace(p, called=_best(calls.get((p.old_file, p.old.name), []))) for p in every]
    return [replace(p, called=p.called or _sibling(p, every)) for p in every]


def _sibling(pair: Pair, pairs: list[Pair]) -> tuple[tuple[str, Called], ...]:
    """What another kernel of the file with the same parameters is called with: versions of one kernel."""
    for other in pairs:
        if other.old_file == pair.old_file and other.old.parameters == pair.old.parameters:
            complete = [(file, call) for file, call in other.called if call.complete]
            if complete and other.old.programs == pair.old.programs:
                return tuple(complete[:1])
    return ()


def _best(calls: list[tuple[str, Called]]) -> tuple[tuple[str, Called], ...]:
    """Complete ones first, of these the smallest."""
    return tuple(sorted(calls, key=lambda item: (not item[1].complete, item[1].elements)))


def _harness_files(side: Side, kernels: set[str]) -> list[str]:
    """The kernels' own files, then all others that are known."""
    others = dict.fromkeys((*side.tree.files.values(), *side.tree.beside))
    return [*sorted(kernels), *(file for file in others if file not in kernels)]


def _calls(side: Side, file: str, wanted: set[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], Called]]:
    """The calls of wanted kernels that one file makes."""
    data = side.data(file)
    if not any(name.encode() in data for _, name in wanted):
        return
    source = side.source(file)
    local = dict(_local_names(source, file, wanted))
    if source.error or not local:
        return
    kernels = {f"{f}::{n}": side.source(f).kernels[n] for f, n in set(local.values())}
    names = {name: f"{f}::{n}" for name, (f, n) in local.items()}
    for call in harness.calls(source, kernels, names):
        place, _, name = call.kernel.rpartition("::")
        yield (place, name), call


def _local_names(
    source: SourceFile, file: str, wanted: set[tuple[str, str]]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Name in a file → the wanted kernel that it stands for."""
    stars = _star_modules(source)
    for kernel_file, name in wanted:
        module = kernel_file.removesuffix(".py").replace("/", ".")
        if kernel_file == file or any(_same_module(module, star) for star in stars):
            yield name, (kernel_file, name)
            continue
        for local, path in source.imports.items():
            package, _, last = path.rpartition(".")
            if last == name and _same_module(module, package):
                yield local, (kernel_file, name)


def _same_module(module: str, imported: str) -> bool:
    """Whether an import can mean a module of the tree: the shorter path is the other one's end."""
    imported = imported.lstrip(".")
    return bool(imported) and (f".{module}".endswith(f".{imported}") or f".{imported}".endswith(f".{module}"))


def _star_modules(source: SourceFile) -> list[str]:
    nodes = [n for n in ast.walk(source.tree) if isinstance(n, ast.ImportFrom)]
    return [n.module or "" for n in nodes if any(alias.name == "*" for alias in n.names)]
