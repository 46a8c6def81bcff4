"""Imports of the old language, once everything else of a file is rewritten.

Modules and names that the new language has are imported from it under the local names they had; the others
go when nothing uses them any more. New code that needs a module gets its import beside the others.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from ...analysis.scopes import Binding, Use
from ...model import AddImport, Edit, EditImport, ReplaceCode, ReplaceLines
from ...naming import dotted_prefixes, imported, spelled
from ...record import fresh, record, replace
from ...trees import walk
from ..reasons import Change, Reason, Work
from ..step import LanguageStep
from ..translate.kernels import MAKERS
from ..translate.names import BETA1
from ..translate.plan import LanguageModule, Staying
from .kernels import SIMULATE, TORCH_JITS, Kernels
from .remains import Remains

CODE = "NKL106"
_ALIASES = {"nl": "nki.language", "nisa": "nki.isa"}
_MODULES = frozenset({"nki", *_ALIASES.values()})
_KERNELS = tuple(
    f"{BETA1}.{name}." for name in ("_pre_prod_kernels", "_pre_prod_nkl", "_private_kernels", "kernels")
)
_OTHERS = frozenset({"numpy"})


@record(frozen=False)
class _Statement:
    """What becomes of one import statement.

    Attributes:
        names: ``(old, new)`` as in :class:`EditImport`. lines: statements to put behind it.
        moved: names that are imported from the new module, in a statement that keeps others.
    """

    node: ast.Import | ast.ImportFrom
    names: list[tuple[str, str]] = fresh(factory=list)
    lines: list[str] = fresh(factory=list)
    moved: dict[str, list[str]] = fresh(factory=dict)
    said: list[str] = fresh(factory=list)


def imports(kernels: Kernels, step: LanguageStep, before: Work) -> Work:
    """What becomes of a file's imports, given all that is to be done to the rest of it."""
    remains = Remains(edit for change in before.changes for edit in change.edits)
    work = Work(reasons=tuple(_undecided(kernels)))
    statements: dict[ast.stmt, _Statement] = {}
    for binding in kernels.ctx.module.imports:
        target = kernels.ctx.target(binding)
        assert isinstance(binding.node, ast.Import | ast.ImportFrom)
        statement = statements.setdefault(binding.node, _Statement(binding.node))
        if is_kernel(target) or _staying(kernels, binding) is Staying.KEPT:
            continue
        if _is_old(target) or _leads(kernels, binding, target):
            work += _old(kernels, step, binding, target, remains, statement)
        elif target in _OTHERS | TORCH_JITS and _unused(kernels, binding, remains):
            statement.names.append((spelled(_alias(binding)), ""))
            statement.said.append(f"`{binding.name}` is not used any more")
    if before.reasons:  # kernels stay as they are, and use what they used
        work = replace(work, reasons=tuple(r for r in work.reasons if not kernels.in_language(r.node)))
    hoisted = {s.node for s in statements.values() if kernels.in_language(s.node) and s.said}
    work += _needed(kernels, statements, hoisted)
    changes = [_changed(kernels, s) for s in statements.values() if s.said and s.node not in hoisted]
    changes += [_taken_out(kernels, statements[node], hoisted) for node in hoisted]
    return work + Work(tuple(changes))


def _is_old(target: str) -> bool:
    return target == BETA1 or target.startswith(f"{BETA1}.")


def is_kernel(target: str) -> bool:
    """Whether an import is of what came with the compiler as kernels, which the library's rules are about."""
    return f"{target}.".startswith(_KERNELS)


def _leads(kernels: Kernels, binding: Binding, target: str) -> bool:
    """Whether it is a plain ``import neuronxcc`` through which the language is used."""
    if target != BETA1.partition(".")[0] or not isinstance(binding.node, ast.Import):
        return False
    return any(text.startswith(BETA1) for use in _uses(kernels, binding) for _, text in dotted_prefixes(use))


def _staying(kernels: Kernels, binding: Binding) -> Staying | None:
    return kernels.module.staying.get((binding.name, _alias(binding).name))


def _alias(binding: Binding) -> ast.alias:
    assert binding.alias is not None
    return binding.alias


def _uses(kernels: Kernels, binding: Binding) -> list[Use]:
    """Uses of an imported name that may mean this import."""
    found = []
    for use in kernels.ctx.module.by_name.get(binding.name, ()):
        owner = kernels.ctx.module.lookup(use.name, use.scope)
        if owner is not None and binding in owner[1]:
            found.append(use)
    return found


def _left(kernels: Kernels, binding: Binding, remains: Remains) -> list[Use]:
    """The uses of an imported name that no edit takes away."""
    span = kernels.ctx.source.span
    return [use for use in _uses(kernels, binding) if not remains.gone(span(use.links[0]))]


def _unused(kernels: Kernels, binding: Binding, remains: Remains) -> bool:
    """Whether a module was used, and is not any more."""
    if binding.name in kernels.ctx.pinned or binding.scope is not kernels.ctx.module.top:
        return False
    before = _uses(kernels, binding)
    return bool(before) and not _left(kernels, binding, remains) and not remains.mentions(binding.name)


def _is_spelled(kernels: Kernels, name: str) -> bool:
    """Whether a string of the file is a name, as in ``__all__``."""
    return any(text.value == name for text in kernels.ctx.module.texts)


def _undecided(kernels: Kernels) -> Iterator[Reason]:
    """Star imports, which hide the names that are used."""
    for node, path in kernels.ctx.stars:
        if _is_old(path):
            yield Reason(node, "M-STAR", {"module": path})


def both(module: LanguageModule) -> list[Reason]:
    """Names that are imported from either language, as in ladders that serve several releases."""
    ctx = module.ctx
    new = {b.name for b in ctx.module.imports if _is_new(ctx.target(b))}
    found = [b for b in ctx.module.imports if b.name in new and _is_old(ctx.target(b))]
    return [Reason(_alias(binding), "M-BOTH", {"name": binding.name}) for binding in found]


def _is_new(target: str) -> bool:
    return target in _MODULES or target.startswith(("nki.language.", "nki.isa."))


# -- one imported name --------------------------------------------------------------------------------


def _old(
    kernels: Kernels,
    step: LanguageStep,
    binding: Binding,
    target: str,
    remains: Remains,
    statement: _Statement,
) -> Work:
    alias = _alias(binding)
    left = _left(kernels, binding, remains)
    plain = isinstance(binding.node, ast.Import) and alias.asname is None
    if _staying(kernels, binding) is Staying.OTHER_NAME and not left and not remains.mentions(binding.name):
        statement.names.append((spelled(alias), ""))
        statement.said.append(f"`{binding.name}` is used by code that stays only, under another name")
        return Work()
    new = step.successor(target if not plain else alias.name)
    if plain:
        return _plain(kernels, step, binding, left, remains, statement)
    if not new:
        return _without_successor(kernels, step, binding, target, left, remains, statement)
    if _unused(kernels, binding, remains) and not _is_spelled(kernels, binding.name):
        statement.names.append((spelled(alias), ""))
        statement.said.append(f"`{binding.name}` is not used any more")
    elif _again(kernels, step, binding, target):
        statement.names.append((spelled(alias), ""))
        statement.said.append(f"`{binding.name}` is imported already")
    else:
        _moved(binding, target, new, statement)
    return _through(kernels, step, left, remains)


def _again(kernels: Kernels, step: LanguageStep, binding: Binding, target: str) -> bool:
    """Whether the name means the same from an earlier import in the same block."""
    same = binding.scope.bindings[binding.name]
    earlier = [b for b in same if b.order < binding.order and b.block is binding.block and b.kind == "import"]
    return any(step.successor(kernels.ctx.target(b)) == step.successor(target) for b in earlier)


def _moved(binding: Binding, target: str, new: str, statement: _Statement) -> None:
    alias, local = _alias(binding), binding.name
    statement.said.append(f"`{target}` is `{new}` now")
    if isinstance(statement.node, ast.Import):
        statement.names.append((spelled(alias), imported(new, local)))
        return
    module, _, name = new.rpartition(".")
    if new in _MODULES and (local != name or not module):
        statement.names.append((spelled(alias), ""))
        statement.lines.append(f"import {imported(new, local)}")
    else:
        statement.moved.setdefault(module, []).append(spelled(alias))


def _without_successor(
    kernels: Kernels,
    step: LanguageStep,
    binding: Binding,
    target: str,
    left: list[Use],
    remains: Remains,
    statement: _Statement,
) -> Work:
    """A name that the new language does not have: it goes, unless something uses it still or nobody knows
    what importing it does.
    """
    alias = _alias(binding)
    kept = binding.name in kernels.ctx.pinned or remains.mentions(binding.name)
    known = step.entry(target) is not None or target in _modules(step)
    aliases = [_only_an_alias(kernels, use, remains) for use in left]
    work = Work()
    if known and not kept and all(aliases):
        work, left = Work(tuple(_alias_gone(kernels, each) for each in aliases if each)), []
    understood = known or target in MAKERS or _unused(kernels, binding, remains)
    if not left and not kept and understood:
        statement.names.append((spelled(alias), ""))
        statement.said.append(f"`{binding.name}` is not used any more")
        return work
    entry = step.entry(target)
    message = "M-GONE" if known else "M-INTERNAL"
    if entry is not None and entry.message:
        message = entry.message
    place = left[0].links[0] if left else alias
    reason = Reason(place, message, {"name": target})
    if any(kernels.in_language(use.links[0]) for use in left):
        return Work(reasons=(reason,))
    silent = target == SIMULATE or (not left and (kept or _is_private(target)))
    return Work() if silent else Work(left=(reason,))


def _is_private(target: str) -> bool:
    """Whether other rules have a say in an import: kernels that came with the compiler."""
    return any(part.startswith("_") or part == "kernels" for part in target.split("."))


def _modules(step: LanguageStep) -> frozenset[str]:
    return frozenset(name.rpartition(".")[0] for name in step.names)


def _plain(
    kernels: Kernels,
    step: LanguageStep,
    binding: Binding,
    left: list[Use],
    remains: Remains,
    statement: _Statement,
) -> Work:
    """``import neuronxcc.nki.language``, and the dotted paths that start with it."""
    alias = _alias(binding)
    new = step.successor(alias.name)
    if not new:
        return Work()
    statement.names.append((spelled(alias), new))
    statement.said.append(f"`{alias.name}` is `{new}` now")
    work = Work()
    if remains.mentions(binding.name):
        work += Work(reasons=(Reason(alias, "M-PATH", {"module": alias.name}),))
    for use in left:
        longest = [(node, text) for node, text in dotted_prefixes(use) if step.successor(text)]
        if not longest:
            reason = Reason(use.links[0], "M-INTERNAL", {"name": kernels.ctx.segment(use.top)})
            work += Work(reasons=(reason,))
            continue
        node, text = longest[-1]
        edit = ReplaceCode(kernels.ctx.source.span(node), kernels.ctx.segment(node), step.successor(text))
        work += Work((Change(node, CODE, f"`{text}` is `{edit.new}` now", (edit,)),))
    return work


# -- names behind an imported module ------------------------------------------------------------------


def _through(kernels: Kernels, step: LanguageStep, left: list[Use], remains: Remains) -> Work:
    """The host's uses of names behind a module: most have a successor, some have another name."""
    work = Work()
    launching = {id(inner) for subscript in kernels.subscripts for inner in walk(subscript.slice)}
    for use in left:
        if not kernels.in_language(use.links[0]) and id(use.links[0]) not in launching:
            work += _host_use(kernels, step, use, remains)
    return work


def _host_use(kernels: Kernels, step: LanguageStep, use: Use, remains: Remains) -> Work:
    found = _first_gone(kernels, step, use)
    if found is None or found[1] == SIMULATE:
        return Work()
    index, qualified = found
    link, entry = use.links[index], step.entry(qualified)
    following = use.links[index + 1] if index + 1 < len(use.links) else None
    if entry is not None and isinstance(following, ast.Attribute) and following.attr in entry.literals:
        return _written_as(kernels, following, entry.literals[following.attr])
    if entry is not None and entry.token and not isinstance(following, ast.Call):
        return _token(kernels, link, qualified, entry.token)
    alias = _only_an_alias(kernels, use, remains)
    if alias is not None:
        return Work((_alias_gone(kernels, alias),))
    message = (entry.message or "M-GONE") if entry is not None else "M-INTERNAL"
    reason = Reason(link, message, {"name": qualified, "grid": kernels.ctx.segment(use.top)})
    return Work(left=(reason,)) if message == "M-HARNESS" else Work(reasons=(reason,))


def _first_gone(kernels: Kernels, step: LanguageStep, use: Use) -> tuple[int, str] | None:
    """The first link of a chain that the new language does not have, and its name."""
    for index, qualified in enumerate(map(kernels.names.qualified, use.links)):
        entry = step.entry(qualified)
        if entry is not None and entry.status in ("same", "signature", "renamed"):
            return None
        if qualified and _is_old(qualified) and not step.successor(qualified):
            return index, qualified
    return None


def _only_an_alias(kernels: Kernels, use: Use, remains: Remains) -> ast.Assign | None:
    """``name = nki.trace``, when nothing uses that name any more."""
    statement = use.inside
    if not isinstance(statement, ast.Assign) or statement.value is not use.top or len(statement.targets) != 1:
        return None
    if not all(isinstance(link, ast.Attribute) for link in use.links[1:]):
        return None
    target = statement.targets[0]
    if not isinstance(target, ast.Name) or target.id in kernels.ctx.pinned or remains.mentions(target.id):
        return None
    span = kernels.ctx.source.span
    uses = [u for u in kernels.ctx.module.by_name.get(target.id, ()) if u.links[0] is not target]
    return statement if all(remains.gone(span(u.links[0])) for u in uses) else None


def _alias_gone(kernels: Kernels, alias: ast.Assign) -> Change:
    """Without such a statement."""
    edit = ReplaceLines(kernels.whole_lines(alias), "")
    return Change(alias, CODE, f"`{kernels.ctx.segment(alias.targets[0])}` is not used any more", (edit,))


def _written_as(kernels: Kernels, node: ast.expr, code: str) -> Work:
    edit = ReplaceCode(kernels.ctx.source.span(node), kernels.ctx.segment(node), code)
    return Work((Change(node, CODE, f"`{edit.old}` is a number without a name now", (edit,)),))


def _token(kernels: Kernels, node: ast.expr, qualified: str, token: str) -> Work:
    old, new = qualified.rpartition(".")[2], token.rpartition(".")[2]
    if old == new or not isinstance(node, ast.Attribute):
        return Work()
    end = kernels.ctx.source.span(node)[1]
    edit = ReplaceCode((end - len(old.encode()), end), old, new)
    return Work((Change(node, CODE, f"the operation `{old}` is `{new}` now", (edit,)),))


# -- statements ---------------------------------------------------------------------------------------


def _changed(kernels: Kernels, statement: _Statement) -> Change:
    node = statement.node
    span = kernels.ctx.source.span(node)
    moved = [name for names in statement.moved.values() for name in names]
    gone = [old for old, _ in statement.names]
    everything = len(moved) + len([1 for _, new in statement.names if not new]) == len(node.names)
    also = tuple(statement.lines)
    if len(statement.moved) == 1 and everything and not also and isinstance(node, ast.ImportFrom):
        (module,) = statement.moved
        edit = EditImport(span, (node.module or "", module), tuple((old, "") for old in gone))
    else:
        lines = tuple(f"from {module} import {', '.join(n)}" for module, n in statement.moved.items())
        names = (*statement.names, *((name, "") for name in moved))
        edit = EditImport(span, None, names, (*lines, *also))
    return Change(node, CODE, "; ".join(dict.fromkeys(statement.said)), (edit,))


def _taken_out(kernels: Kernels, statement: _Statement, hoisted: Collection[ast.stmt]) -> Change:
    """An import inside a kernel moves to the top of the file."""
    edits: list[Edit] = [
        ReplaceLines(kernels.whole_lines(statement.node), _in_its_place(kernels, statement, hoisted))
    ]
    for alias in statement.node.names:
        local = alias.asname or alias.name
        pairs = [new for old, new in statement.names if old == spelled(alias) and new]
        lines = [line for line in statement.lines if line.endswith(local)]
        for path in (*(p.partition(" as ")[0] for p in pairs), *(line.split()[1] for line in lines)):
            edits.append(AddImport(path, local, whole=True))
    edits += [AddImport(module, name) for module, names in statement.moved.items() for name in names]
    return Change(statement.node, CODE, "kernels import nothing: this stands at the top now", tuple(edits))


def _in_its_place(kernels: Kernels, statement: _Statement, hoisted: Collection[ast.stmt]) -> str:
    """Nothing, or ``pass`` for the first statement of a block that is left with none."""
    node = statement.node
    block = kernels.blocks.get(node)
    if not block or not all(statement in hoisted for statement in block):
        return ""
    return f"{kernels.ctx.source.lines[node.lineno - 1][: node.col_offset]}pass\n"


# -- modules that new code needs ----------------------------------------------------------------------


def _needed(
    kernels: Kernels, statements: dict[ast.stmt, _Statement], hoisted: set[ast.Import | ast.ImportFrom]
) -> Work:
    """Imports of modules that new code spells, beside an import that is rewritten."""
    work = Work()
    for name in sorted(kernels.module.needs, reverse=True):
        path, local = _ALIASES.get(name, name), kernels.module.import_name(name)
        targets = {kernels.ctx.target(b) for b in kernels.ctx.module.imports if b.name == local}
        if targets and targets <= {path, BETA1 + path.removeprefix("nki")}:
            continue
        if local in kernels.ctx.module.names or local in kernels.ctx.module.by_name:
            work += Work(reasons=(Reason(kernels.ctx.tree, "M-NAME", {"name": local, "module": path}),))
            continue
        anchor = _anchor(statements, hoisted)
        if anchor is not None:
            anchor.lines.insert(0, f"import {imported(path, local)}")
            anchor.said.append(f"`{path}` is imported for new code")
    return work


def _anchor(
    statements: dict[ast.stmt, _Statement], hoisted: set[ast.Import | ast.ImportFrom]
) -> _Statement | None:
    """The last import at the top of the file that becomes one of the new language, or goes."""
    shown = [s for s in statements.values() if s.node not in hoisted and s.said]
    found = [s for s in shown if s.moved or s.lines or any(new for _, new in s.names)] or shown
    return found[-1] if found else None
