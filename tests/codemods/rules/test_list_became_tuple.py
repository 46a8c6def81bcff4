"""NKM303: tuples that were lists, where a list is needed."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed

VIEW = (
    "from nkilib.core.utils.tensor_view import TensorView\n\n\ndef f(v: TensorView, w: TensorView, x, s):\n"
)

WRAPPED = {
    "list behind": ("v.strides + [1]", "list(v.strides) + [1]"),
    "list before": ("[1] + v.strides", "[1] + list(v.strides)"),
    "comprehension": ("v.strides + [i for i in x]", "list(v.strides) + [i for i in x]"),
    "repeated list": ("v.strides + [1] * 3", "list(v.strides) + [1] * 3"),
    "slice": ("v.strides[:-1] + [1]", "list(v.strides[:-1]) + [1]"),
    "sum of two": ("v.sizes + w.sizes + [1]", "list(v.shape + w.shape) + [1]"),
    "between lists": ("[1] + v.strides + [1]", "[1] + list(v.strides) + [1]"),
    "conditional": ("(v.strides if x else w.strides) + [1]", "(list(v.strides if x else w.strides)) + [1]"),
    "comparison": ("v.strides == [1, 2]", "list(v.strides) == [1, 2]"),
    "comparison, other way": ("[1, 2] != v.strides", "[1, 2] != list(v.strides)"),
    "order": ("v.strides < [1, 2]", "list(v.strides) < [1, 2]"),
    "among lists": ("v.strides in ([1], [2])", "list(v.strides) in ([1], [2])"),
    "old name among unknown ones": ("v.sizes in x", "list(v.shape) in x"),
    "one of two lists behind": ("v.strides + ([1] if x else [2])", "list(v.strides) + ([1] if x else [2])"),
    "a list or another behind": ("v.strides + (x or [2])", "list(v.strides) + (x or [2])"),
    "in a display beside one of lists": ("[v.strides, 1] == [[2], 1]", "[list(v.strides), 1] == [[2], 1]"),
    "formatted": ("'%s' % v.strides", "'%s' % list(v.strides)"),
    "copy": ("v.strides.copy()", "list(v.strides).copy()"),
    "old name beside the unknown": ("v.sizes + x", "list(v.shape) + x"),
    "old name compared with the unknown": ("v.sizes == x", "list(v.shape) == x"),
    "static method": (
        "TensorView.get_trivial_strides(s) + [1]",
        "list(TensorView.get_trivial_strides(s)) + [1]",
    ),
    "method": ("v.get_trivial_strides(s) == [1]", "list(v.get_trivial_strides(s)) == [1]"),
    "new name": ("v.shape + [1]", "list(v.shape) + [1]"),
    "unittest": ("x.assertEqual(v.strides, [1])", "x.assertEqual(list(v.strides), [1])"),
    "a function of somebody else": ("x(v.sizes)", "x(list(v.shape))"),
    "by keyword": ("x.build(dims=v.sizes)", "x.build(dims=list(v.shape))"),
    "serialised": ("x.dumps(v.strides)", "x.dumps(list(v.strides))"),
}


@pytest.mark.parametrize(("old", "new"), WRAPPED.values(), ids=WRAPPED)
def test_wrapped(old: str, new: str) -> None:
    check_transformed(f"{VIEW}    return {old}\n", f"{VIEW}    return {new}\n", code="NKM303")


def test_through_a_name() -> None:
    before = f"{VIEW}    d = v.sizes\n    return d + [1], d[0], d\n"
    after = f"{VIEW}    d = v.shape\n    return list(d) + [1], d[0], d\n"
    check_transformed(before, after, code="NKM303")


COPIES = {
    "append": "    d = v.strides[1:]\n    d.append(1)\n    return d + [2]\n",
    "item": "    d = v.get_trivial_strides(s)\n    d[0] = 1\n    return d\n",
    "added to": "    d = v.strides[1:]\n    d += [1]\n    return d\n",
    "deep copy": "    import copy\n\n    d = copy.deepcopy(v.strides)\n    d.insert(0, 1)\n    return d\n",
}


@pytest.mark.parametrize("body", COPIES.values(), ids=COPIES)
def test_a_copy_that_is_changed_becomes_a_list_where_it_is_made(body: str) -> None:
    line = next(line for line in body.splitlines() if " d = " in line)
    value = line.partition(" = ")[2]
    check_transformed(VIEW + body, VIEW + body.replace(value, f"list({value})", 1), code="NKM303")


IN_PLACE = {
    "item": "v.strides[0] = 1",
    "slice": "v.strides[:] = [1]",
    "deletion": "del v.strides[0]",
    "append": "v.strides.append(1)",
    "through a name": "(d := v.strides).append(1)",
    "extended": "v.strides += [1]",
    "replaced": "v.strides = [1]",
    "sorted": "w.strides.sort()",
}


@pytest.mark.parametrize("statement", IN_PLACE.values(), ids=IN_PLACE)
def test_changes_of_the_view_are_reported(statement: str) -> None:
    check_reported(f"{VIEW}    {statement}\n", "NKM303", 5, "tuple")


DOUBTFUL = {
    "sum": "v.strides + x",
    "comparison": "v.strides == x",
    "type": "isinstance(v.strides, list)",
}


@pytest.mark.parametrize("expression", DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_may_be_either_is_reported(expression: str) -> None:
    check_reported(f"{VIEW}    return {expression}\n", "NKM303", 5, "list(v.strides)")


FINE = {
    "index": "v.strides[0] + 1",
    "tuple beside": "v.strides + (1,)",
    "made a tuple": "v.strides == tuple(x)",
    "made a list": "list(v.strides) + [1]",
    "both views": "v.strides == w.strides",
    "membership": "3 in v.strides",
    "identity": "v.strides is x",
    "star": "[*v.strides, 1]",
    "extended by": "x.extend(v.strides)",
    "call": "x(v.strides, len(v.strides), sum(v.strides))",
    "new name beside the unknown": "v.shape + x, v.shape == x",
    "among unknown ones": "v.strides in x",
    "old and new alike": "v.shape in x",
    "other type": "isinstance(v.strides, (list, tuple))",
    "something else": "x.strides + [1], x.strides == s",
}


@pytest.mark.parametrize("expression", FINE.values(), ids=FINE)
def test_untouched(expression: str) -> None:
    check_noop(f"{VIEW}    return {expression}\n")


RENAMED = [
    "len(v.sizes)",
    "sum(v.sizes)",
    "tuple(v.sizes)",
    "w.reshape_dim(0, v.sizes)",
    "TensorView(v.sizes)",
]


@pytest.mark.parametrize("expression", [*RENAMED, "x.extend(v.sizes)", "x(*v.sizes)", "x(v.sizes[0])"])
def test_a_tuple_will_do_for_the_library_and_for_python(expression: str) -> None:
    before = f"{VIEW}    return {expression}\n"
    check_transformed(before, before.replace("sizes", "shape"), code="NKM301")


@pytest.mark.parametrize("statement", ["a, b = v.strides", "for d in v.strides: print(d)", "x += v.strides"])
def test_statements_untouched(statement: str) -> None:
    check_noop(f"{VIEW}    {statement}\n")
