"""NKIObject classes as the compiler makes them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from nkisim.core.objects import NKIObject


class Plain(NKIObject):
    rows: int
    columns: int = 4
    names = ["a"]  # noqa: RUF012 - what the test is about
    kind = "plain"

    def area(self):
        return self.rows * self.columns


@dataclass
class Decorated(NKIObject):
    rows: int
    columns: int
    parts: list = field(default_factory=list)
    extra = 7


class Child(Plain):
    depth: int = 2
    columns = 5


class Own(NKIObject):
    total: int

    def __init__(self, a, b):
        self.total = a + b


@dataclass(frozen=True)
class Frozen(NKIObject):
    rows: int
    half: int = 0

    def __post_init__(self):
        object.__setattr__(self, "half", self.rows // 2)


def test_names_without_annotation_are_fields():
    made = Plain(2, kind="other")
    assert (made.rows, made.columns, made.kind, made.area()) == (2, 4, "other", 8)


def test_a_class_may_change_between_its_objects():
    class Tuned(Plain):
        limit = 1

    assert Tuned().limit == 1
    Tuned.limit = 2
    Plain.columns = 9
    try:
        assert (Tuned().limit, Tuned().columns) == (2, 9)
    finally:
        Plain.columns = 4
    del Tuned.limit
    assert not hasattr(Tuned(), "limit")


def test_missing_arguments_are_none():
    assert Plain().rows is None
    assert Decorated(rows=1).columns is None


def test_mutable_defaults_are_copied():
    one, other = Plain(1), Plain(2)
    one.names.append("b")
    assert other.names == ["a"] == Plain.names
    first, second = Decorated(1), Decorated(2)
    first.parts.append(1)
    assert second.parts == []


def test_under_dataclass_too():
    made = Decorated(1, 2, [3], 8)
    assert (made.rows, made.columns, made.parts, made.extra) == (1, 2, [3], 8)
    assert Decorated(1, 2).extra == 7


def test_fields_are_inherited():
    made = Child(1, depth=9)
    assert (made.rows, made.columns, made.depth) == (1, 5, 9)


def test_an_own_init_is_respected():
    assert Own(1, b=2).total == 3
    with pytest.raises(TypeError):
        Own(1)


def test_frozen_with_post_init():
    assert Frozen(9).half == 4
    with pytest.raises(AttributeError):
        Frozen(9).rows = 1


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Frozen(1, 2, 3), "takes 2 arguments, 3 were given"),
        (lambda: Plain(nothing=1), "no field 'nothing'"),
        (lambda: Plain(1, rows=2), "got 'rows' twice"),
    ],
)
def test_wrong_arguments(make, text):
    with pytest.raises(TypeError, match=text):
        make()


def test_equality_is_structural():
    assert Plain(2) == Plain(2)
    assert Plain(2) != Plain(3)
    assert Plain(2) != Child(2)
    assert len({Plain(2), Plain(2)}) == 2  # the hash stays that of the object
