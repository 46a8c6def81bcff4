"""Code that uses a view's lists gives with the new class, once migrated, what it gave with the old one.

Both classes are small stand-ins with the attributes, types and constructors of the list of differences.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from nkimigrate.codemods.analyse import Analysis, Place, World, analyse
from nkimigrate.codemods.edit.apply import apply
from nkimigrate.codemods.model import Outcome
from nkimigrate.codemods.rules import all_rules
from nkimigrate.codemods.source import Source
from nkimigrate.releases import load

IMPORT = "from nkilib.core.utils.tensor_view import TensorView\n"


class Tensor:
    shape = (8, 4)


def strides_of(sizes: Any) -> list[int]:
    found = [1]
    for size in reversed(list(sizes)[1:]):
        found.insert(0, found[0] * size)
    return found


class Old:
    """A view as 2.27 has it: lists, given to the constructor."""

    def __init__(self, base_tensor: Any, sizes: Any = None, strides: Any = None, offset: int = 0) -> None:
        self.base_tensor, self.offset = base_tensor, offset
        self.sizes = list(base_tensor.shape) if sizes is None else sizes
        self.strides = strides_of(self.sizes) if strides is None else strides

    get_trivial_strides = staticmethod(strides_of)

    def parts(self) -> list[Any]:
        return [list(self.sizes), list(self.strides), self.offset]


class New:
    """A view as 2.28 has it: tuples, set with ``_copy``."""

    def __init__(self, base_tensor: Any) -> None:
        self.base_tensor, self.offset = base_tensor, 0
        self.shape = tuple(base_tensor.shape)
        self.strides = tuple(strides_of(self.shape))

    @staticmethod
    def get_trivial_strides(shape: Any) -> tuple[int, ...]:
        return tuple(strides_of(shape))

    def _copy(self, shape: Any = None, strides: Any = None, offset: int | None = None) -> New:
        assert type(shape) in (tuple, type(None))
        assert type(strides) in (tuple, type(None))
        found = New(self.base_tensor)
        found.shape = self.shape if shape is None else shape
        found.strides = self.strides if strides is None else strides
        found.offset = self.offset if offset is None else offset
        return found

    def parts(self) -> list[Any]:
        return [list(self.shape), list(self.strides), self.offset]


ATOMS = ["v.sizes", "w.sizes", "v.strides", "[2, 3]", "[8, 4]", "d", "e", "TensorView(t).sizes"]
AROUND = [
    "({})[1:]", "({})[:]", "({} + {})", "({}) * 2", "list({})", "[i for i in {}]", "v.get_trivial_strides({})",
    "({} if c else {})", "sorted({})", "({}).copy()", "(q := {})", "({} or {})", "[*{}, 1]",
]  # fmt: skip
RESULTS = [
    "{}", "{} == {}", "{} != {}", "{} <= {}", "len({})", "sum({})", "2 in {}", "{} in ([2, 3], [4], {})",
    "needs_list({})", "needs_list(x={})", "'%s' % ({})", "json.dumps({})", "max({}, {})",
    "TensorView(t, {}, {}, 3).parts()", "TensorView(base_tensor=t, sizes=d).parts()",
]  # fmt: skip
FIRST = ["v.sizes", "v.sizes[1:]", "[4]", "v.strides[:]", "TensorView.get_trivial_strides(v.sizes)"]
CHANGES = ["pass", "d.append(7)", "d += [7]", "d[0] = 5"]


def filled(templates: list[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(templates).flatmap(
        lambda text: st.tuples(*[inner] * text.count("{}")).map(lambda parts: text.format(*parts))
    )


LISTS = st.recursive(st.sampled_from(ATOMS), lambda inner: filled(AROUND, inner), max_leaves=4)
PROGRAMS = st.builds(
    lambda first, change, second, results: (
        f"import json\n{IMPORT}def run(v: TensorView, w: TensorView, t, c, needs_list):\n"
        f"    q = v.sizes\n    d = {first}\n    e = {second}\n    {change}\n    return [{', '.join(results)}]\n"
    ),
    st.sampled_from(FIRST),
    st.sampled_from(CHANGES),
    st.sampled_from(["w.sizes", "v.strides", "d", "[3] + v.sizes"]),
    st.lists(filled(RESULTS, LISTS), min_size=1, max_size=3),
)


def needs_list(x: Any) -> Any:
    assert type(x) is list
    return [*x, 9]


def result(program: str, view: type) -> Any:
    """What the program gives; tuples and lists are told apart only where the program itself does so."""
    names: dict[str, Any] = {"TensorView": view}
    exec(program.replace(IMPORT, ""), names)
    return json.loads(json.dumps(names["run"](view(Tensor()), view(Tensor()), Tensor(), True, needs_list)))


def analysed(program: str) -> Analysis:
    return analyse(program.encode(), Place("app.py", "app"), load("2.27", "2.28"), all_rules(), World())


@given(PROGRAMS)
def test_the_result_stays_the_same(program: str) -> None:
    try:
        expected = result(program, Old)
    except (SyntaxError, TypeError, IndexError, ValueError):
        assume(False)
    found = analysed(program)
    assume(all(f.outcome is not Outcome.NEEDS_YOU for f in found.findings))
    migrated = apply(Source.decode(program.encode()), [edit for f in found.findings for edit in f.edits])
    assert result(migrated, New) == expected
    again = analysed(migrated).findings
    assert not [f for f in again if f.edits or f.outcome is Outcome.NEEDS_YOU]
