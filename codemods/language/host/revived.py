"""Code that stayed in the old language under names of its own, once it can be migrated: it gets the clean
names that the rest of its file has.
"""

from __future__ import annotations

import re

from ...analysis.scopes import Binding
from ...model import Edit, EditImport, Rename, ReplaceCode, ReplaceLines, ReplaceStatement, Wrap
from ...record import replace
from ..reasons import Change, Work
from .kernels import Kernels
from .remains import Remains

CODE, PREFIX = "NKL110", "legacy_"
_MODULES = frozenset({"nki", "nki.language", "nki.isa"})


def clean(kernels: Kernels, work: Work) -> Work:
    """The work on a file with clean names in new code, and without the imports of the others."""
    names = {
        b.name: b.name.removeprefix(PREFIX) for b in kernels.ctx.module.imports if _is_double(kernels, b)
    }
    if not names or work.reasons:
        return work
    remains = Remains(edit for change in work.changes for edit in change.edits)
    changes = [replace(c, edits=tuple(_renamed(edit, names) for edit in c.edits)) for c in work.changes]
    span = kernels.ctx.source.span
    renames = []
    for old, new in names.items():
        for use in kernels.ctx.module.by_name.get(old, ()):
            if not remains.gone(span(use.links[0])):
                edit = Rename(span(use.links[0]), old, new)
                renames.append(Change(use.links[0], CODE, f"`{old}` is `{new}`", (edit,)))
    return replace(work, changes=(*changes, *renames))


def _is_double(kernels: Kernels, binding: Binding) -> bool:
    """Whether the file has the new language's module under the clean name, and only there."""
    ctx, step = kernels.ctx, kernels.module.step
    own = binding.name.removeprefix(PREFIX)
    same = ctx.module.top.bindings.get(own, [])
    wanted = step.successor(ctx.target(binding))
    elsewhere = (scope for scope in ctx.module.scope_of.values() if scope is not ctx.module.top)
    return (
        binding.name.startswith(PREFIX)
        and wanted in _MODULES
        and [b.kind == "import" and ctx.target(b) for b in same] == [wanted]
        and len(binding.scope.bindings[binding.name]) == 1
        and not any(own in scope.bindings or own in scope.declared for scope in elsewhere)
    )


def _renamed(edit: Edit, names: dict[str, str]) -> Edit:
    """An edit whose new code has the clean names."""
    if isinstance(edit, EditImport):
        gone = tuple(f" as {name}" for name in names)
        pairs = tuple((old, "" if new.endswith(gone) else new) for old, new in edit.names)
        return replace(edit, names=pairs, also=tuple(line for line in edit.also if not line.endswith(gone)))
    if isinstance(edit, ReplaceLines | ReplaceStatement):
        return replace(edit, code=_worded(edit.code, names))
    if isinstance(edit, ReplaceCode):
        return replace(edit, new=_worded(edit.new, names))
    return replace(edit, template=_worded(edit.template, names)) if isinstance(edit, Wrap) else edit


def _worded(code: str, names: dict[str, str]) -> str:
    words = "|".join(map(re.escape, names))
    return re.sub(rf"(?<![\w.])(?:{words})\b", lambda match: names[match[0]], code)
