"""What iterating, indexing and the methods of containers give."""

from __future__ import annotations

from . import values as v

_KEYED = {"get", "pop", "setdefault"}


def element(value: v.Value) -> v.Value:
    """What a loop over ``value`` sees."""
    if isinstance(value, v.OneOf):
        return v.one_of([element(option) for option in value.options])
    if isinstance(value, v.Row):
        return v.one_of(list(value.items))
    return value.element if isinstance(value, v.Sequence) else None


def item(value: v.Value, index: int | None) -> v.Value:
    """What ``value[index]`` or unpacking gives; None stands for an unknown place."""
    if isinstance(value, v.OneOf):
        return v.one_of([item(option, index) for option in value.options])
    if isinstance(value, v.Row) and index is not None and -len(value.items) <= index < len(value.items):
        return value.items[index]
    return element(value) if index is not None or isinstance(value, v.Sequence) else None


def sliced(value: v.Value) -> v.Value:
    """What ``value[a:b]`` gives."""
    if isinstance(value, v.FormerList):
        return copied(value)
    return v.Sequence(element(value)) if isinstance(value, v.Row) else value


def mapping_method(value: v.Mapping, name: str) -> v.Value:
    """A dict's bound method, as far as its result is known."""
    anything = v.one_of([kept for _, kept in value.items])
    if name in _KEYED:
        return v.Function(f"dict.{name}", anything)
    if name == "values":
        return v.Function("dict.values", v.Sequence(anything))
    return v.Function("dict.items", v.Sequence(v.Row((None, anything)))) if name == "items" else None


def copied(value: v.Value) -> v.Value:
    """A shallow or deep copy."""
    if isinstance(value, v.OneOf):
        return v.one_of([copied(option) for option in value.options])
    return v.FormerList(False, value.era) if isinstance(value, v.FormerList) else value


def converted(value: v.Value) -> v.Value:
    """What ``list``, ``tuple`` and their like make of an iterable."""
    if isinstance(value, v.OneOf):
        return v.one_of([converted(option) for option in value.options])
    if isinstance(value, v.FormerList):
        return None
    return v.Sequence(element(value)) if isinstance(value, v.Row) else value


def is_former(value: v.Value) -> bool:
    """Whether a value is in all cases a list of the old release that is a tuple now."""
    return all(isinstance(option, v.FormerList) for option in v.options(value))


def joined(left: v.Value, right: v.Value) -> v.Value:
    """``left + right`` of two such lists."""
    if not is_former(left) or not is_former(right):
        return None
    return v.FormerList(False, era(*v.options(left), *v.options(right)))


def era(*values: v.Value) -> str:
    """The release whose code it is, when one of the lists is found in that release alone."""
    eras = {value.era for value in values if isinstance(value, v.FormerList)} - {"either"}
    return min(eras) if len(eras) == 1 else "either"
