"""Records behave as the frozen data classes that they stand for."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys

import pytest

from nkimigrate.codemods.record import cached_property, fresh, record, replace


@record
class Point:
    """A point."""

    x: int
    y: int = 2
    seen: list[int] = fresh(factory=list)

    @property
    def sum(self) -> int:
        return self.x + self.y


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    x: int
    y: int = 2
    seen: list[int] = dataclasses.field(default_factory=list)


@record
class Named:
    name: str

    @cached_property
    def loud(self) -> str:
        return self.name.upper()


@record(aside=("place",))
class Word:
    text: str
    place: int


@record
class Folded:
    """Equal to others but for upper and lower case."""

    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Folded) and self.text.lower() == other.text.lower()

    def __hash__(self) -> int:
        return hash(self.text.lower())

    def __repr__(self) -> str:
        return f"<{self.text}>"


@record
class Empty:
    pass


@record
class Other:
    name: str


@pytest.mark.parametrize("made", [((1,), {}), ((1, 5), {}), ((), {"y": 7, "x": 3}), ((1,), {"seen": [4]})])
def test_is_constructed_and_shown_as_a_data_class(made: tuple[tuple[int, ...], dict[str, object]]) -> None:
    args, kwargs = made
    ours, theirs = Point(*args, **kwargs), Peer(*args, **kwargs)  # type: ignore[arg-type]
    assert dataclasses.astuple(ours) == dataclasses.astuple(theirs)  # type: ignore[call-overload]
    assert repr(ours) == repr(theirs).replace("Peer", "Point")


@pytest.mark.parametrize("args", [(), (1, 2, [], 4)])
def test_refuses_the_arguments_that_a_data_class_refuses(args: tuple[object, ...]) -> None:
    for made in (Peer, Point, Point):
        with pytest.raises(TypeError, match="argument"):
            made(*args)  # type: ignore[arg-type]


def test_a_fresh_default_is_made_for_each_object() -> None:
    one, two = Point(1), Point(1)
    one.seen.append(1)
    assert (one.seen, two.seen) == ([1], [])


def test_equality_and_hash_are_by_class_and_fields() -> None:
    assert Named("a") == Named("a") != Named("b")
    assert hash(Named("a")) == hash(Named("a"))
    assert Named("a") != Other("a")
    assert len({Named("a"), Named("a"), Other("a"), Empty(), Empty()}) == 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point(1))


def test_fields_left_aside_are_neither_compared_nor_shown() -> None:
    assert Word("a", 1) == Word("a", 2) != Word("b", 1)
    assert len({Word("a", 1), Word("a", 2)}) == 1
    assert repr(Word("a", 1)) == "Word(text='a')"
    assert replace(Word("a", 1), text="b").place == 1
    assert pickle.loads(pickle.dumps(Word("a", 3))).place == 3


def test_methods_of_a_class_stay() -> None:
    assert len({Folded("a"), Folded("A")}) == 1
    assert repr(Folded("a")) == "<a>"


def test_only_what_caches_has_a_dictionary() -> None:
    assert not hasattr(Point(1), "__dict__")
    named = Named("a")
    assert (named.loud, named.__dict__) == ("A", {"loud": "A"})
    assert named == Named("a")
    with pytest.raises(AttributeError):
        Point(1).z = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [Point(1, 3, [2]), Named("a"), Empty()])
def test_survives_pickling_and_copying(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.deepcopy(value) == value == copy.copy(value)


def test_is_replaced_by_either_function() -> None:
    for function in (replace, dataclasses.replace):
        assert function(Point(1, 3, [2]), y=4) == Point(1, 4, [2])  # type: ignore[operator]
    with pytest.raises(TypeError, match="argument"):
        replace(Point(1), z=1)


def test_matches_patterns_by_position() -> None:
    match Point(1, 5):
        case Point(x, y):
            assert (x, y) == (1, 5)
        case _:
            raise AssertionError


def test_keeps_what_the_class_says_of_itself() -> None:
    assert (Point.__doc__, Point.__qualname__, Point.__module__) == ("A point.", "Point", __name__)
    assert Point(1).sum == 3


def test_defining_a_record_imports_no_dataclasses() -> None:
    code = (
        "import sys\nfrom nkimigrate.codemods.record import record\n"
        "@record\nclass A:\n    x: int\n"
        "A(1)\nsys.exit('dataclasses' in sys.modules or 'inspect' in sys.modules)"
    )
    code = "from __future__ import annotations\n" + code
    assert subprocess.run([sys.executable, "-I", "-c", code], check=False).returncode == 0
