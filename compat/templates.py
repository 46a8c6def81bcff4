"""Calls with a template in the release table: outputs that callers allocate, views made in parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .modes import is_legacy
from .release import Form


def norm_output(target: Callable[..., Any], form: Form, given: Mapping[str, Any]) -> Any:
    """A norm whose output the caller allocates now: in SBUF or HBM, as the old flag says.

    Its shape is that of an input in SBUF, and ``[128, B·S, H/128]`` for one ``[B, S, H]`` in HBM.
    """
    import nki.language as nl

    kept = {form.renamed.get(name, name) for name in form.parameters.names}
    (output,) = (n for n in form.new.names if n not in form.new.defaults and n not in kept)
    (place,) = (n for n in form.parameters.names if form.renamed.get(n, n) not in form.new.names)
    rest = {form.renamed.get(name, name): value for name, value in given.items() if name != place}
    source = given[form.parameters.positional[0]]
    in_sbuf = bool(given.get(place, False))
    manager = given.get("sbm")
    shape = _norm_shape(source, nl)
    if not in_sbuf:
        made = nl.ndarray(shape, dtype=source.dtype, buffer=nl.shared_hbm)
    elif manager is None:
        made = nl.ndarray(shape, dtype=source.dtype, buffer=nl.sbuf)
    else:
        if is_legacy():
            manager.open_scope()  # as 2.27 left it to the caller
        alloc = manager.alloc_heap if given.get("use_heap_memory") else manager.alloc_stack
        made = alloc(shape, dtype=source.dtype, buffer=nl.sbuf)
    return target(**rest, **{output: made})


def _norm_shape(source: Any, nl: Any) -> tuple[int, ...]:
    base = getattr(source, "base_tensor", source)
    if getattr(base, "buffer", None) == nl.sbuf:
        return tuple(source.shape)
    partitions = nl.tile_size.pmax
    batch, sequence, hidden = source.shape
    return (partitions, batch * sequence, hidden // partitions)


def view_copy(target: Callable[..., Any], form: Form, given: Mapping[str, Any]) -> Any:
    """A view with a shape, strides and an offset of its own; trivial strides where only a shape is given."""
    base, *names = form.parameters.positional
    view = target(given[base])
    shape, strides, offset = (given.get(name) for name in names)
    if shape is not None and strides is None:
        strides = view.get_trivial_strides(tuple(shape))
    as_tuple = [None if part is None else tuple(part) for part in (shape, strides)]
    return view._copy(as_tuple[0], as_tuple[1], offset or 0)


TEMPLATES: Mapping[str, Callable[[Callable[..., Any], Form, Mapping[str, Any]], Any]] = {
    "norm-output": norm_output,
    "view-copy": view_copy,
}
