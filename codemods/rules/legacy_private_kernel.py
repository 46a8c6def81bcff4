"""Private kernels of the compiler package that have a home in the library.

What it does
    Rewrites the import of what is the same in the library: enumerations and helpers. Kernels are
    called differently there: their imports, calls and paths in strings are reported with the new home, what
    became of each parameter, and ready code to paste.

Why
    ``neuronxcc.nki._private_kernels``, ``_pre_prod_kernels`` and ``neuronxcc.nki.kernels`` are what code of
    that time mostly calls; they end with the old compiler's NKI.

Before
        from neuronxcc.nki._pre_prod_kernels.common_types import QKVOutputLayout

After
        from nkilib.core.utils.common_types import QKVOutputLayout

When it stays silent
    For ``neuronxcc.nki`` itself, its language and its instructions. Enumerations stay, reported, in a file
    that still calls private kernels, since those kernels do not recognise the library's members; so do
    helpers in a file that imports ``neuronxcc.nki``, whose kernels cannot call the library's functions. A
    fallback for older releases beside an import from the library is only noted.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..analysis.context import FileContext
from ..analysis.scopes import Text
from ..joined_strings import joined_strings
from ..model import Finding, ReplaceString
from ..patterns import pattern
from ..private_imports import private_imports
from ..private_kernels import (
    home,
    in_old_language,
    inside,
    is_enumeration,
    is_free,
    module_step,
    module_summary,
    private_calls,
    step,
    summary,
    telling_names,
)
from ..trees import last_name

CODE = "NKM401"
_REGISTRY = pattern(r"import|load|register|registry|kernel", re.IGNORECASE)


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each import, call and string."""
    calls = private_calls(ctx)
    yield from private_imports(ctx, CODE, {id(entry) for call in calls for _, entry in call.kernels})
    for node, path in ctx.stars:
        if home(ctx.release, path):
            names = inside(ctx.release, path)
            yield ctx.needs_you(CODE, node, module_summary(ctx.release, path, names), module_step(names))
    for call in calls:
        message = "; ".join(summary(ctx.release, name, entry) for name, entry in call.kernels)
        advice = "\n\n".join(step(entry, snippet=True) for _, entry in call.kernels)
        yield ctx.needs_you(CODE, call.node, message, advice)
    yield from _strings(ctx)


def _strings(ctx: FileContext) -> Iterator[Finding]:
    known = ctx.release.once(telling_names)
    for text in ctx.texts:
        if text.value in known and _registers(text):
            name, entry = known[text.value]
            yield ctx.needs_you(
                CODE, text.node, summary(ctx.release, name, entry), step(entry, snippet=False)
            )
        elif not isinstance(text.inside, ast.Expr | ast.JoinedStr | ast.BinOp):
            yield from _string(ctx, text)
    for joined in joined_strings(ctx, ctx.release.private_packages):
        message = "which private kernel is loaded is decided at run time"
        advice = f"Look for the kernels that may be meant in {ctx.release.product}, and import them there."
        yield ctx.needs_you(CODE, joined.node, message, advice)


def _registers(text: Text) -> bool:
    """Whether a kernel's name, not that of a module, is handed to something that loads or keeps kernels."""
    if not isinstance(text.inside, ast.Call) or not _REGISTRY.search(last_name(text.inside.func)):
        return False
    return not any(k.value is text.node and "module" in (k.arg or "") for k in text.inside.keywords)


def _string(ctx: FileContext, text: Text) -> Iterator[Finding]:
    """A path that is imported or patched by its name."""
    path = text.value.replace(":", ".")
    entry = home(ctx.release, path)
    if entry is None:
        return
    names = {} if path in ctx.release.private_by_name else inside(ctx.release, path)
    if names:
        yield ctx.needs_you(CODE, text.node, module_summary(ctx.release, path, names), module_step(names))
    elif is_free(ctx, entry) and (is_enumeration(entry) or not in_old_language(ctx)):
        new = entry.new if ":" not in text.value else ":".join(entry.new.rsplit(".", 1))
        edit = ReplaceString(ctx.source.span(text.node), text.value, new)
        yield ctx.finding(CODE, text.node, f"`{text.value}` is `{new}` now", edits=[edit])
    elif not entry.helper:
        yield ctx.needs_you(CODE, text.node, summary(ctx.release, path, entry), step(entry, snippet=False))
