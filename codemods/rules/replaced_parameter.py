"""Parameters that another parameter with other values has taken the place of.

What it does
    Gives the new parameter the value that means the same: a flag becomes the member of an enumeration, a
    flag that is only known at run time a choice between two. A flag that said the default goes. Parameters
    that were renamed with it are renamed in the same call.

Why
    The old keyword raises ``TypeError``, and a ``True`` at the old position is no member of the enumeration.

Before
        from nkilib.core.output_projection.output_projection_cte import output_projection_cte

        output_projection_cte(a, w, bias, True, input_scales, weight_scales)

After
        from nkilib.core.output_projection.output_projection_cte import output_projection_cte
        from nkilib.core.utils.common_types import QuantizationType

        output_projection_cte(a, w, bias, QuantizationType.STATIC, input_scales, weight_scales)

When it stays silent
    When the call is written for another form, or leaves these parameters alone. A positional argument that
    may be either the old flag or a member of the enumeration is reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..analysis import values as v
from ..analysis.context import FileContext
from ..model import AddImport, Edit, EditCall, Finding, Wrap
from ..record import fresh, record
from ..release import Flag
from ..signature import Unbindable, first_break, positional_from, prove
from ..templates import TemplateCall, is_partial, template_calls
from ..visible import visible_symbol

CODE = "NKM206"


@record(frozen=False)
class _Rewrite:
    """What becomes of one call's flags, and how to say it."""

    values: list[Edit] = fresh(factory=list)
    dropped: list[str | int] = fresh(factory=list)
    renamed: dict[str, str] = fresh(factory=dict)
    said: list[str] = fresh(factory=list)


def check(ctx: FileContext) -> Iterator[Finding]:
    """One finding for each such call."""
    for call in template_calls(ctx, "flag"):
        if call.given and not {*call.form.flags, *call.form.renamed} & {*call.given}:
            continue
        if any(_is_new(ctx, call, old, flag) for old, flag in call.form.flags.items()):
            continue
        edits, said = _edits(ctx, call)
        if edits:
            yield ctx.finding(CODE, call.node, f"`{call.name}`: {said}", edits=edits)
        else:
            yield ctx.needs_you(CODE, call.node, f"call of `{call.name}`: {said}", call.form.step)


def _is_new(ctx: FileContext, call: TemplateCall, old: str, flag: Flag) -> bool:
    """Whether the argument at the flag's position evidently is of the enumeration already."""
    argument, enum = call.given.get(old), flag.true.rpartition(".")[0]
    if argument is None or call.index(old) is None:
        return False
    options = v.options(ctx.evaluator.at(argument, call.call.use))
    members = {o.name.rpartition(".")[0] for o in options if isinstance(o, v.Symbol)}
    of = {o.of for o in options if isinstance(o, v.Instance)}
    return members | of == {enum} or ctx.segment(argument).endswith(flag.parameter)


def _edits(ctx: FileContext, call: TemplateCall) -> tuple[list[Edit], str]:
    """The edits and what they do; without edits, why there are none."""
    if call.problem or is_partial(call.call):
        return [], call.problem or "a `partial` that freezes a replaced parameter"
    rewrite = _Rewrite(renamed=dict(call.form.renamed))
    for old, flag in call.form.flags.items():
        if call.index(old) is not None and not _boolean(call.given[old]):
            return [], f"`{ctx.segment(call.given[old])}` may be a flag, or the `{flag.parameter}` of today"
        if old in call.given and not _flag(ctx, call, old, flag, rewrite):
            enum = flag.true.rpartition(".")[0]
            return [], f"`{old}` is `{flag.parameter}` now, and the name of `{enum}` is taken in this file"
    edit = _arguments(ctx, call, rewrite)
    if isinstance(edit, str):
        return [], edit
    renames = [f"`{old}` is `{new}` now" for old, new in edit.renamed if old not in call.form.flags]
    return [*rewrite.values, edit], ", ".join(rewrite.said + renames)


def _flag(ctx: FileContext, call: TemplateCall, old: str, flag: Flag, rewrite: _Rewrite) -> bool:
    """Plan the argument of one flag; whether the enumeration can be named in the file."""
    argument, place = call.given[old], call.index(old)
    constant = argument.value if isinstance(argument, ast.Constant) else None
    if constant is False and _is_default(call, flag) and (place is None or _is_last(call, place)):
        rewrite.dropped.append(old if place is None else place)
        rewrite.said.append(f"`{old}` is gone, and `False` is what `{flag.parameter}` says by default")
        return True
    enum = visible_symbol(ctx, call.call.use, flag.true.rpartition(".")[0])
    if enum is None:
        return False
    true, false = (f"{enum.text}.{member.rpartition('.')[2]}" for member in (flag.true, flag.false))
    known = {True: true, False: false}.get(constant) if isinstance(constant, bool) else None
    template = known or f"{true} if {{}} else {false}"
    imports: tuple[AddImport, ...] = enum.imports
    rewrite.values += [Wrap(ctx.source.span(argument), template), *imports]
    rewrite.renamed[old] = flag.parameter
    value = template.format(ctx.segment(argument))
    rewrite.said.append(f"`{old}` is `{flag.parameter}` now: `{value}`")
    return True


def _boolean(node: ast.expr) -> bool:
    """Whether an expression gives True or False and nothing else."""
    if isinstance(node, ast.BoolOp):
        return all(map(_boolean, node.values))
    negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    return negated or isinstance(node, ast.Compare) or isinstance(getattr(node, "value", None), bool)


def _is_default(call: TemplateCall, flag: Flag) -> bool:
    default = call.change.signature.defaults.get(flag.parameter, "")
    return bool(default) and f".{flag.false}".endswith(f".{default}")


def _is_last(call: TemplateCall, place: int) -> bool:
    return place == len(call.node.args) - 1


def _arguments(ctx: FileContext, call: TemplateCall, rewrite: _Rewrite) -> EditCall | str:
    """The change of the argument list, or why it is not proven."""
    old, new, renamed = call.form.signature, call.change.signature, rewrite.renamed
    start = 0 if ctx.all_keywords else first_break(old, new, renamed)
    shift = len(call.node.args) - len(call.arguments)
    relative = tuple(k - shift if isinstance(k, int) else k for k in rewrite.dropped)
    try:
        names = tuple(renamed.get(n, n) for n in old.positional)
        keyed = () if start is None else positional_from(call.shape, start, names)
    except Unbindable as error:
        return str(error)
    keyed = tuple(pair for pair in keyed if pair[0] not in relative)
    renames = tuple((k, renamed[k]) for k in call.shape.keywords if k in renamed and k not in relative)
    span = ctx.source.span(call.node)
    named = tuple((str(k), new_name) for k, new_name in renames)
    reason = prove(old, new, call.shape, EditCall(span, keyed, named, relative), renamed)
    absolute = tuple((index + shift, name) for index, name in keyed)
    return reason or EditCall(span, absolute, named, tuple(rewrite.dropped))
