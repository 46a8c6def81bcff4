"""Two import roots of the library in one file.

What it does
    Notes that the file used two copies of the library, which the rewrite unifies.

Why
    Each root has its own enum classes; members of one are not equal to members of the other, and dispatch
    on them takes the wrong branch in silence. Results may change for the better once there is one root.

Before
        from nkilib.core.utils.common_types import NormType
        from nkilib_src.nkilib.core.qkv.qkv import qkv

After
        from nkilib.core.utils.common_types import NormType
        from nkilib.core.qkv.qkv import qkv

When it stays silent
    When the file uses one root only, and in import ladders that try one root after the other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis.context import FileContext
from ..ladders import guarding, kept_for_old_release
from ..model import Finding, Outcome

CODE = "NKM111"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding at the first import that uses another root than the file's first one."""
    roots = _roots(ctx) if ctx.near_legacy else []
    other = next((pair for pair in roots if pair[1] != roots[0][1]), None)
    if other is not None:
        yield ctx.finding(
            CODE,
            other[0],
            f"the file mixed `{roots[0][1]}` and `{other[1]}`, which are separate copies",
            outcome=Outcome.NOTED,
            step="Enum classes of the two copies never compared equal: check results that depended on it.",
        )


def _roots(ctx: FileContext) -> list[tuple[ast.alias, str]]:
    """What the file imports outside of ladders, in order, with the root it is imported from."""
    found = [(i.node, i.alias, i.target) for i in ctx.imports]
    found += [(node, node.names[0], path) for node, path in ctx.stars]
    plain = (f for f in found if not guarding(ctx, f[0]) and not kept_for_old_release(ctx, f[0]))
    pairs = [(alias, _root(ctx, target)) for _, alias, target in plain]
    return sorted((p for p in pairs if p[1]), key=lambda p: (p[0].lineno, p[0].col_offset))


def _root(ctx: FileContext, target: str) -> str:
    legacy = ctx.release.legacy_root(target)
    if legacy:
        return legacy
    own = target == ctx.release.root or target.startswith(ctx.release.root + ".")
    return ctx.release.root if own else ""
