"""Norm kernels whose output the caller allocates now.

What it does
    Allocates the output in the line before the call and passes it as ``output``: in HBM where
    ``output_in_sbuf`` was False or missing, in SBUF (from the same ``sbm``, stack or heap as before)
    where it was True. Arguments from the third position on get their keywords. A ``close_scope`` that made
    up for the scope which 2.27 left open goes when the function is unbalanced by exactly that one.

Why
    2.28 requires ``output`` and has no ``output_in_sbuf``; ``inp`` is ``input``; and it closes its scope.

Before
        import nki.language as nl
        from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg

        x = nl.ndarray((128, 8, 64), dtype=nl.bfloat16, buffer=nl.sbuf)
        y = rmsnorm_tkg(x, gamma, 1e-6)

After
        import nki.language as nl
        from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg

        x = nl.ndarray((128, 8, 64), dtype=nl.bfloat16, buffer=nl.sbuf)
        y_output = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        y = rmsnorm_tkg(x, gamma, eps=1e-6, output=y_output)

When it stays silent
    When the call passes ``output`` already. Where no line can be put before the call, or the place of the
    output is decided at run time, the call is reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis.context import FileContext
from ..evidence import in_buffer
from ..fresh_names import fresh_name
from ..model import AddImport, EditCall, Finding, InsertBefore, Move, Outcome, RemoveStatement
from ..norms import Norm, is_plain, problem, targets
from ..record import record
from ..scope_balance import surplus_close
from ..signature import first_break, positional_from, prove
from ..templates import template_calls
from ..visible import visible_module

CODE = "NKM205"
_LANGUAGE = ("nki.language", "neuronxcc.nki.language")


@record
class _Line:
    """The statement that allocates the output, and what it takes."""

    name: str
    code: str
    moves: tuple[Move, ...]
    imports: tuple[AddImport, ...]


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each call, and one for each statement that goes with it."""
    calls = [Norm.of(call) for call in template_calls(ctx, "norm-output")]
    for norm in calls:
        why = problem(ctx, norm, calls)
        edit = None if why else _arguments(ctx, norm)
        if edit is None:
            yield _reported(ctx, norm, why or "its arguments cannot be proven to stay the same")
        else:
            yield from _rewritten(ctx, norm, edit, calls)


def _reported(ctx: FileContext, norm: Norm, why: str) -> Finding:
    message = f"`{norm.call.name}` takes its {norm.output} from the caller now, and {why}"
    return ctx.needs_you(CODE, norm.call.node, message, norm.call.form.step)


def _arguments(ctx: FileContext, norm: Norm) -> EditCall | None:
    """The change of the argument list, without the output; None when it cannot be proven."""
    call = norm.call
    old, new, renamed = call.form.signature, call.change.signature, call.form.renamed
    start = 0 if ctx.all_keywords else first_break(old, new, renamed) or 0
    named = positional_from(call.shape, start, old.positional)
    place = call.index(norm.place)
    keywords = tuple((index, renamed.get(name, name)) for index, name in named if index != place)
    renames = tuple((k, renamed[k]) for k in call.shape.keywords if k and k in renamed)
    dropped: tuple[str | int, ...] = (
        () if norm.place not in call.given else (norm.place if place is None else place,)
    )
    edit = EditCall(ctx.source.span(call.node), keywords, renames, dropped, ((norm.output, "output"),))
    return None if prove(old, new, call.shape, edit, renamed) else edit


def _rewritten(ctx: FileContext, norm: Norm, edit: EditCall, calls: list[Norm]) -> Iterator[Finding]:
    line = _allocation(ctx, norm)
    span = ctx.source.span(norm.use.stmt)
    change = EditCall(edit.span, edit.keywords, edit.renamed, edit.dropped, ((norm.output, line.name),))
    close = surplus_close(ctx, norm, [other for other in calls if other.in_sbuf])
    group = f"{CODE}:{span[0]}" if close.statement is not None else ""
    yield ctx.finding(
        CODE,
        norm.call.node,
        f"`{norm.call.name}` takes its {norm.output} from the caller now: `{line.name}`",
        outcome=Outcome.NOTED,
        step=_note(ctx, norm, close.note),
        edits=[*line.moves, InsertBefore(span, (line.code,)), change, *line.imports],
        group=group,
    )
    if close.statement is not None:
        yield ctx.finding(
            CODE,
            close.statement,
            f"`{ctx.segment(close.statement)}` made up for the scope that `{norm.call.name}` left open",
            outcome=Outcome.NOTED,
            step="The kernel closes its scope itself now.",
            edits=[RemoveStatement(ctx.source.span(close.statement))],
            group=group,
        )


def _allocation(ctx: FileContext, norm: Norm) -> _Line:
    language = visible_module(ctx, norm.use, _LANGUAGE, "nl")
    source, moves = _source(ctx, norm)
    shape = _shape(ctx, norm, source, language.text)
    buffer = "sbuf" if norm.in_sbuf else "shared_hbm"
    maker = f"{language.text}.ndarray"
    keyword = ""
    if norm.in_sbuf and norm.manager is not None:
        maker = f"{ctx.segment(norm.manager)}.{'alloc_heap' if norm.on_heap else 'alloc_stack'}"
        keyword = "shape=" if ctx.all_keywords else ""
    name = fresh_name(ctx, norm.use.scope, f"{_base(norm)}_output")
    code = f"{name} = {maker}({keyword}{shape}, dtype={source}.dtype, buffer={language.text}.{buffer})"
    return _Line(name, code, moves, language.imports)


def _source(ctx: FileContext, norm: Norm) -> tuple[str, tuple[Move, ...]]:
    """The input as it may be repeated, and how it gets a name when it has none."""
    node = norm.call.given[norm.source]
    text = ctx.segment(node)
    if is_plain(node) and "\n" not in text and not _renamed(ctx, node):
        return text, ()
    name = fresh_name(ctx, norm.use.scope, f"{_base(norm)}_input")
    return name, (Move(ctx.source.span(node), name, ctx.source.span(norm.use.stmt)),)


def _renamed(ctx: FileContext, node: ast.expr) -> bool:
    """Whether the input is an attribute that another rule may rename."""
    names = {name for kind in ctx.release.types.values() for name in kind.attributes}
    return any(isinstance(part, ast.Attribute) and part.attr in names for part in ast.walk(node))


def _shape(ctx: FileContext, norm: Norm, source: str, language: str) -> str:
    if in_buffer(ctx, norm.use, norm.call.given[norm.source], "sbuf"):
        return f"{source}.shape"
    partitions = f"{language}.tile_size.pmax"
    return f"({partitions}, {source}.shape[0] * {source}.shape[1], {source}.shape[2] // {partitions})"


def _base(norm: Norm) -> str:
    """What new variables are called after."""
    found = targets(norm.use.stmt)
    if found and isinstance(found[0], ast.Name):
        return found[0].id
    return found[0].attr if found and isinstance(found[0], ast.Attribute) else "norm"


def _note(ctx: FileContext, norm: Norm, closing: str) -> str:
    text = ctx.segment(norm.call.given[norm.source])
    if in_buffer(ctx, norm.use, norm.call.given[norm.source], "sbuf"):
        shape = f"`{text}` lies in SBUF, so the output has its shape"
    else:
        shape = f"The shape takes `{text}` for a tensor [B, S, H] in HBM; for one in SBUF use its own shape"
    if not norm.in_sbuf:
        return f"{shape}. The output in HBM belongs to the caller."
    return f"{shape}. {closing}"
