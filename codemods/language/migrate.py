"""The language step of one file: everything that it does, or every reason why it does nothing."""

from __future__ import annotations

from collections.abc import Callable

from ..analysis.context import FileContext
from . import bridges, host
from .plain import carry
from .plain.lines import Text
from .plain.rewrite import plainer
from .reasons import Work
from .split import split
from .step import LanguageStep
from .translate.module import language_module, translated
from .translate.plan import LanguageModule


def migrated(ctx: FileContext, step: LanguageStep) -> Work:
    """Everything that the step does to a file; ``ctx`` resolves names as ``step.resolution`` says."""
    return of_module(language_module(ctx, step))


def of_module(module: LanguageModule) -> Work:
    """Everything that the step does to a file whose kernels are known: to all of it, or to the parts of it
    that nothing stands in the way of.
    """
    both = host.both(module)
    if both:
        kernels = any(function.kernel for function in module.functions.values())
        return Work(reasons=tuple(both) if kernels else ())
    whole = _whole(module)
    if not whole.reasons or module.partial or module.marked_before:
        return whole
    return split(module, whole, _of_copy) or whole


def _of_copy(module: LanguageModule) -> Work:
    """What the step does to a file that is only looked at for this."""
    work = _whole(module)
    _forget(module)
    return work


def _whole(module: LanguageModule) -> Work:
    """What the step does to a file, or every reason why it cannot do it to all of it."""
    text = bridges.returning(module)
    if text is not None:
        return _said_otherwise(module, text, _whole)
    text = plainer(module)
    return _of_plain(module) if text is None else _said_otherwise(module, text, _of_plain)


def _said_otherwise(module: LanguageModule, text: Text, step: Callable[[LanguageModule], Work]) -> Work:
    """What a step does to a file, by way of other code that means the same."""
    ctx = carry.plainer_context(module.ctx, text)
    other = language_module(ctx, module.step)
    other.elsewhere, other.staying, other.launches = module.elsewhere, module.staying, module.launches
    work = carry.back(module.ctx, ctx, text, step(other))
    _forget(other)
    return work


def _forget(module: LanguageModule) -> None:
    """Free a file that was only looked at for what the step does to it."""
    host.forget(module)
    module.ctx.module.forget()


def _of_plain(module: LanguageModule) -> Work:
    """What the step does to a file whose kernels are in plain Python, or have what has no plain form."""
    work = host.before(module)
    work += translated(module)
    return host.after(module, work)
