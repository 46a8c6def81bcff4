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

from collections.abc import Iterator

from ..analysis.context import FileContext, Import
from ..ladders import guarding
from ..model import Finding, Outcome

CODE = "NKM111"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding at the first import that uses another root than the file's first one."""
    plain = [i for i in ctx.imports if not guarding(ctx, i.node) and _root(ctx, i)]
    other = next((i for i in plain if _root(ctx, i) != _root(ctx, plain[0])), None)
    if other is not None:
        yield ctx.finding(
            CODE,
            other.alias,
            f"the file mixed `{_root(ctx, plain[0])}` and `{_root(ctx, other)}`, which are separate copies",
            outcome=Outcome.NOTED,
            step="Enum classes of the two copies never compared equal: check results that depended on it.",
        )


def _root(ctx: FileContext, found: Import) -> str:
    legacy = ctx.release.legacy_root(found.target)
    if legacy:
        return legacy
    own = found.target == ctx.release.root or found.target.startswith(ctx.release.root + ".")
    return ctx.release.root if own else ""
