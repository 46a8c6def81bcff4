"""Interactive examples (``>>>``) in docstrings.

What it does
    Reports each run of lines with prompts in a docstring that is affected as code is, with the code that it
    becomes, where all of it can be rewritten. It sees what its docstring and the file import.

Why
    ``doctest`` and ``pytest --doctest-modules`` run them, and readers copy them.

Before
        def project(x, w):
            \"\"\"Project.

            >>> from nkilib.core.mlp.mlp import mlp_kernel
            >>> mlp_kernel(x, gate, up, down)
            \"\"\"

After
    Unchanged, with the new lines: a docstring is text, which nothing but a person can prove.

When it stays silent
    For code that has no prompts, and in files that neither import nor spell the library.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from ..analysis.context import FileContext
from ..analysis.scopes import Text
from ..model import AddImport, Finding, Outcome

CODE = "NKM113"
_PROMPT = ">>>"


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each run of lines that is affected."""
    names = {*ctx.release.spelled, *(found.local for found in ctx.imports)}
    for text in ctx.module.texts:
        if (
            isinstance(text.inside, ast.Expr)
            and _PROMPT in text.value
            and any(n in text.value for n in names)
        ):
            yield from _examples(ctx, text)


def _examples(ctx: FileContext, text: Text) -> Iterator[Finding]:
    from ..embedded.documents import sessions
    from ..embedded.joined import Joined

    blocks = [
        block for block in sessions(ctx.segment(text.node).splitlines(keepends=True)) if not block.error
    ]
    joined = Joined([_imports(ctx), *(block.code for block in blocks)])
    found = _found(ctx, joined.text)
    new = _rewritten(joined.text, found)
    pieces = joined.split(new) if new else []
    for number, block in enumerate(blocks, start=1):
        own = [f for f in found if joined.place(f.line)[0] == number and f.outcome is not Outcome.NOTED]
        if own:
            piece = pieces[number] if pieces else ""
            ready = "" if any(f.outcome is Outcome.NEEDS_YOU for f in own) else piece
            line = text.node.lineno + block.first
            yield _finding(ctx, line, own, ready.splitlines())


def _finding(ctx: FileContext, line: int, found: Sequence[Finding], ready: Sequence[str]) -> Finding:
    first = next((f for f in found if f.outcome is Outcome.NEEDS_YOU), found[0])
    said = f"an example in this docstring is code of {ctx.release.old}: {first.message}"
    added = {(e.module, e.name) for f in found for e in f.edits if isinstance(e, AddImport)}
    lines = [f"`{each}`" for each in ready if each.strip()]
    lines += [f"`from {module} import {name}`" for module, name in sorted(added)]
    step = f"Write {', '.join(lines)}." if ready else first.step
    return Finding(CODE, ctx.path, line, 1, line, 1, Outcome.NEEDS_YOU, said, step)


def _imports(ctx: FileContext) -> str:
    """The file's own imports, which its examples can use."""
    nodes = dict.fromkeys(f.node for f in ctx.imports if f.binding.scope is ctx.module.top)
    return "\n".join(map(ast.unparse, nodes))


def _found(ctx: FileContext, code: str) -> Sequence[Finding]:
    from ..analyse import Place, World, analyse
    from . import checks

    rules = [rule for rule in checks() if rule.code != CODE]
    world = World(outside=ctx.outside)
    try:
        return analyse(code.encode(), Place(ctx.path), ctx.release, rules, world).findings
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def _rewritten(code: str, found: Sequence[Finding]) -> str:
    from ..edit.apply import apply
    from ..edit.refusal import EditRefused
    from ..source import Source

    edits = [edit for finding in found for edit in finding.edits if not isinstance(edit, AddImport)]
    try:
        return apply(Source.decode(code.encode()), edits)
    except EditRefused:
        return ""
