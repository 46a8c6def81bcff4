"""Legacy private kernels by name: which entry of the release table a path falls under, and how to say so."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from .analysis import values as v
from .analysis.context import Call, FileContext, once
from .analysis.scopes import Use
from .dotted import prefixes
from .record import record
from .release import PrivateKernel, Release
from .sites import PARTIAL

_TELLING = 12
_ONLY_LOOK = {"print", "repr", "str", "isinstance", "hasattr", "getattr", "setattr", "type", "id", "callable"}


def home(release: Release, name: str) -> PrivateKernel | None:
    """The entry for a path; an entry without a home for an unlisted one of a private package; else None."""
    if name.partition(".")[0] not in release.roots:
        return None
    known = release.once(_homes)
    if name not in known:
        known[name] = _home(release, name)
    return known[name]


def _homes(_: Release) -> dict[str, PrivateKernel | None]:
    """What :func:`home` has found, by path."""
    return {}


def _home(release: Release, name: str) -> PrivateKernel | None:
    known = release.private_by_name
    found = next((known[prefix] for prefix in prefixes(name) if prefix in known), None)
    if found is not None:
        return found
    package = next((p for p in release.private_packages if name == p or name.startswith(p + ".")), "")
    return _unknown(release, name) if package else None


def _unknown(release: Release, name: str) -> PrivateKernel:
    step = f"No home in {release.product} is known: look for its kind there, or keep it until one comes."
    return PrivateKernel((name,), "", False, {}, step, "")


def is_enumeration(entry: PrivateKernel) -> bool:
    """Whether an entry stands for a class, by its name."""
    return entry.new.rpartition(".")[2][:1].isupper()


def inside(release: Release, module: str) -> Mapping[str, PrivateKernel]:
    """Name → entry, of what is listed directly below a module."""
    return release.once(_by_module).get(module, {})


def _by_module(release: Release) -> Mapping[str, Mapping[str, PrivateKernel]]:
    table: dict[str, dict[str, PrivateKernel]] = {}
    for qualified, entry in release.private_by_name.items():
        module, _, name = qualified.rpartition(".")
        table.setdefault(module, {})[name] = entry
    return table


@record
class PrivateCall:
    """A call of private kernels that are called differently now, or are gone: whichever it may reach."""

    node: ast.Call
    kernels: tuple[tuple[str, PrivateKernel], ...]


@once
def private_calls(ctx: FileContext) -> list[PrivateCall]:
    """Every call of such a kernel, ``partial`` included; not where the library's own may be called too."""
    return list(_calls(ctx))


def uses_private_kernels(ctx: FileContext) -> bool:
    """Whether the file calls or imports a kernel that is called differently now."""
    names = (i.target for i in ctx.imports if not inside(ctx.release, i.target))
    entries = (home(ctx.release, name) for name in names)
    return bool(private_calls(ctx)) or any(e and not e.exact and not e.helper for e in entries)


def is_free(ctx: FileContext, entry: PrivateKernel) -> bool:
    """Whether an import of it can change alone.

    Enumerations go with the kernels that take their members, functions with the language of their callers.
    """
    if is_enumeration(entry):
        return entry.exact and not uses_private_kernels(ctx) and not _handed_on(ctx, entry)
    return entry.exact and not (in_old_language(ctx) and _used_in_functions(ctx, entry))


def _used_in_functions(ctx: FileContext, entry: PrivateKernel) -> bool:
    """Whether functions, which may be kernels, use it; an import that none uses calls nothing."""
    return any(use.scope.kind not in ("module", "class") for use in _uses(ctx, entry))


def _handed_on(ctx: FileContext, entry: PrivateKernel) -> bool:
    """Whether a member is given to a function that may hand it to a private kernel: to any but the library's
    own, and those of Python that only look at it.
    """
    return any(use.outer is not None and not _keeps(ctx, use.outer) for use in _uses(ctx, entry))


def _uses(ctx: FileContext, entry: PrivateKernel) -> Iterator[Use]:
    return (r.use for r in ctx.references if home(ctx.release, r.symbol) is entry)


def _keeps(ctx: FileContext, outer: Use) -> bool:
    before = zip(outer.links[1:], ctx.evaluator.steps(outer), strict=False)
    called = [value for link, value in before if isinstance(link, ast.Call)]
    names = [o.name if isinstance(o, v.Symbol) else "" for value in called for o in v.options(value)]
    return all(only_looks(n) or ctx.release.canonical(n).startswith(f"{ctx.release.root}.") for n in names)


def only_looks(name: str) -> bool:
    """Whether a name is that of a function of Python that neither calls what it is given nor passes it on."""
    return name.startswith("builtins.") and name.removeprefix("builtins.") in _ONLY_LOOK


def in_old_language(ctx: FileContext) -> bool:
    """Whether the file imports the old compiler's NKI: its kernels cannot call the library's functions."""
    packages = {name.rpartition(".")[0] for name in ctx.release.private_packages}
    targets = (ctx.target(binding) for binding in ctx.module.imports)
    return any(
        home(ctx.release, target) is None and not packages.isdisjoint(prefixes(target)) for target in targets
    )


def _calls(ctx: FileContext) -> Iterator[PrivateCall]:
    for call in ctx.calls:
        names = sorted(_names(ctx, call))
        entries = {id(entry): (name, entry) for name in names if (entry := home(ctx.release, name))}
        changed = tuple(
            (name, entry)
            for name, entry in entries.values()
            if not (entry.exact or entry.helper or entry.new in names)
        )
        if changed:
            yield PrivateCall(call.node, changed)


def _names(ctx: FileContext, call: Call) -> set[str]:
    target = call.callee
    if target == PARTIAL and call.node.args:
        target = ctx.evaluator.at(call.node.args[0], call.use)
    return {callee.name for option in v.options(target) for callee in v.callees(option) or ()}


def summary(release: Release, name: str, entry: PrivateKernel) -> str:
    """One sentence on where a kernel went."""
    short = name.rpartition(".")[2]
    if entry.helper:
        return f"{release.product}'s kernels take no `{short}`"
    if not entry.new:
        return f"`{short}` has no home in {release.product} {release.new}"
    if entry.exact:
        return f"`{short}` is `{entry.new}` now"
    return f"`{short}` is `{entry.new}` now, which is called differently"


def step(entry: PrivateKernel, snippet: bool) -> str:
    """What a person does: a sentence, the parameters, and ready code where it is wanted, line by line."""
    lines = [entry.step, *_parameters(entry)]
    if snippet and entry.snippet:
        lines += ["", *entry.snippet.strip("\n").splitlines()]
    return "\n".join(lines)


def _parameters(entry: PrivateKernel) -> Iterator[str]:
    renamed = [f"{old} → {new}" for old, new in entry.parameters.items() if new and new != old]
    gone = [old for old, new in entry.parameters.items() if not new]
    if renamed:
        yield f"Parameters: {', '.join(renamed)}."
    if gone:
        yield f"No longer parameters: {', '.join(gone)}."


def telling_names(release: Release) -> Mapping[str, tuple[str, PrivateKernel]]:
    """Last part → path and entry, of kernels whose name alone tells what they are."""
    changed = [(n, e) for n, e in release.private_by_name.items() if not (e.exact or e.helper)]
    found = {name.rpartition(".")[2]: (name, entry) for name, entry in changed}
    return {name: pair for name, pair in found.items() if len(name) >= _TELLING}


def module_summary(release: Release, module: str, names: Mapping[str, PrivateKernel]) -> str:
    """One sentence on a module whose kernels went to several places."""
    return f"the kernels of `{module}` live in {release.product} now: {', '.join(f'`{n}`' for n in names)}"


def module_step(names: Mapping[str, PrivateKernel]) -> str:
    """What to do about each kernel of such a module, a line for each."""
    return "\n".join(f"{name}: {entry.new or 'no home'}. {entry.step}" for name, entry in names.items())
