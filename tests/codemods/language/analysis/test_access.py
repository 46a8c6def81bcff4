"""Subscripts with index tiles as slices and access patterns, against NumPy's fancy indexing."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from subscripted import Array, evaluated, numbered

from nkimigrate.codemods.language.analysis.access import (
    Dynamic,
    Layout,
    subscript,
    within,
)
from nkimigrate.codemods.language.analysis.emission import flat, slice_text, stop_of
from nkimigrate.codemods.language.analysis.facts import Facts
from nkimigrate.codemods.language.analysis.index import WHOLE, Index, Window, mgrid
from nkimigrate.codemods.language.analysis.refusal import Refused
from nkimigrate.codemods.language.analysis.symbols import Sym
from nkimigrate.codemods.language.analysis.values import Space, Tensor

FACTS = Facts()
K = Sym.atom("k")
TILE = Sym.constant(128, "TILE")
VALUES = {"k": 2, "m": 3, "TILE": 128}


def tensor(*shape, space=Space.HBM, text="x"):
    return Tensor(text, tuple(map(size, shape)), None, space)


def size(value):
    return value if isinstance(value, Sym) else Sym.constant(value)


def tile(count, axis, rank=2, start=0):
    """``nl.arange(start, start + count)[None, :]``, its elements along ``axis``."""
    keys = [None] * rank
    keys[axis] = ":"
    return Index.arange(size(start), size(start) + size(count)).placed(keys)


def span(start, stop, step=None, text=None):
    return Window(*(None if bound is None else size(bound) for bound in (start, stop, step)), text=text)


P, F = tile(128, 0), tile(512, 1)


@pytest.mark.parametrize(
    ("shape", "items", "want"),
    [
        ((256, 512), [P, F], "x[0:128, 0:512]"),
        ((256, 512), [P.plus(K * 128, FACTS), F], "x[k * 128 : (k + 1) * 128, 0:512]"),
        ((256, 512), [P.plus(K * TILE, FACTS), F], "x[k * TILE : (k + 1) * TILE, 0:512]"),
        ((256, 512), [tile(TILE, 0).plus(K * TILE, FACTS), F], "x[k * TILE : (k + 1) * TILE, 0:512]"),
        ((256, 200), [P, tile(64, 1).times(2, FACTS).plus(8, FACTS)], "x[0:128, 8:135:2]"),
        ((128, 64), [P, tile(32, 1).times(2, FACTS)], "x[0:128, 0:64:2]"),
        ((128, 64), [P, tile(32, 1).times(2, FACTS).plus(1, FACTS)], "x[0:128, 1:64:2]"),
        ((128, 1024), [P, 0], "x[0:128, 0:1]"),
        ((128, 1024), [P, K], "x[0:128, k : k + 1]"),
        ((4, 128, 512), [K, P, F], "x[k, 0:128, 0:512]"),
        ((4, 128, 512), [K, 0, F], "x[k, 0:1, 0:512]"),
        ((4, 128, 512), [K, WHOLE, 3], "x[k, :, 3:4]"),
        ((128, 512), [K], "x[k : k + 1]"),
        ((128, 512), [K, 5], "x[k : k + 1, 5:6]"),
        ((128, 512), [-1], "x[127:128]"),
        ((128, 512), [span(-8, None), span(None, -1)], "x[120:128, 0:511]"),
        ((128, 512), [span(0, 128, text="0:128"), span(0, K, text="0:k")], "x[0:128, 0:k]"),
        ((128, 512), [WHOLE, Window.of_size(K * 8, size(8), "nl.ds(k * 8, 8)")], "x[:, nl.ds(k * 8, 8)]"),
        ((128, 512), [Ellipsis], "x"),
        ((128, 4, 64), [Ellipsis, K], "x[:, :, k]"),
        ((4, 128, 64), [K, Ellipsis], "x[k]"),
    ],
)
def test_slices(shape, items, want):
    items = [size(item) if isinstance(item, int) else item for item in items]
    assert subscript(tensor(*shape), items, FACTS).code() == want


def test_index_tiles_that_run_through_one_dimension_keep_their_axes():
    p, i, j = tile(128, 0, 3), tile(4, 1, 3), tile(64, 2, 3)
    through = i.times(64, FACTS).plus(j, FACTS)
    whole = subscript(tensor(128, 256), [p, through], FACTS).emitted()
    assert (whole.text, whole.whole) == ("x.reshape((128, 4, 64))", True)
    part = subscript(tensor(128, 512), [p, through.plus(64, FACTS)], FACTS)
    assert part.code() == "x.ap(pattern=[[512, 128], [64, 4], [1, 64]], offset=64)"
    assert part.new_shape == part.shape == (size(128), size(4), size(64))


def test_where_axes_do_not_matter_they_are_one_slice():
    p, i, j = tile(128, 0, 3), tile(4, 1, 3), tile(64, 2, 3)
    merged = flat(subscript(tensor(128, 512), [p, i.times(64, FACTS).plus(j, FACTS)], FACTS))
    assert merged.text == "x[0:128, 0:256]"
    assert merged.shape == (size(128), size(256))
    assert merged.access.narrowed({-1: (size(64), size(96))}).code() == "x[0:128, 64:96]"
    permuted = subscript(tensor(128, 256), [p, j.times(4, FACTS).plus(i, FACTS)], FACTS)
    assert flat(permuted) == permuted.emitted()


def test_permuted_index_tiles_become_an_access_pattern():
    p, i, j = tile(128, 0, 3), tile(4, 1, 3), tile(64, 2, 3)
    found = subscript(tensor(128, 256), [p, j.times(4, FACTS).plus(i, FACTS)], FACTS)
    assert found.code() == "x.ap(pattern=[[256, 128], [1, 4], [4, 64]], offset=0)"


def test_a_transposing_access():
    found = subscript(tensor(Sym.atom("rows"), 64), [tile(128, 1).plus(K * 128, FACTS), tile(64, 0)], FACTS)
    assert found.code() == "x.ap(pattern=[[1, 64], [64, 128]], offset=k * 8192)"


def test_sizes_keep_their_names_in_patterns():
    rows, columns = Sym.atom("rows"), Sym.atom("columns")
    p, i, j = tile(rows, 0, 3), tile(TILE, 1, 3), tile(columns, 2, 3)
    found = subscript(tensor(4, rows, columns * TILE), [K, p, j.times(TILE, FACTS).plus(i, FACTS)], FACTS)
    assert (
        found.code()
        == "x.ap(pattern=[[columns * TILE, rows], [1, TILE], [TILE, columns]], offset=k * rows * (columns * TILE))"
    )


def test_a_tile_that_is_used_as_a_whole_keeps_its_bare_name():
    whole = tensor(128, 512, space=Space.SBUF, text="t")
    assert subscript(whole, [P, F], FACTS).code() == "t"
    assert subscript(whole, [P, tile(256, 1)], FACTS).code() == "t[0:128, 0:256]"
    assert subscript(whole, [WHOLE, WHOLE], FACTS).code() == "t[:, :]"


def test_on_chip_the_partition_dimension_stays():
    t = tensor(128, 512, space=Space.SBUF, text="t")
    assert subscript(t, [size(3), F], FACTS).code() == "t[3:4, 0:512]"
    assert subscript(t, [size(3)], FACTS).code() == "t[3:4]"
    assert subscript(t, [WHOLE, K], FACTS).code() == "t[:, k : k + 1]"
    assert subscript(t, [size(3), K], FACTS).code() == "t[3:4, k : k + 1]"


def test_block_dimensions_as_lists():
    blocks = tensor(4, 2, 128, 512, space=Space.SBUF, text="w")
    layout = Layout(lists=(0, 1))
    assert subscript(blocks, [K, size(1), P, F], FACTS, 2, layout).code() == "w[k][1]"
    assert subscript(blocks, [K, size(1), P, size(0)], FACTS, 2, layout).code() == "w[k][1][0:128, 0:1]"
    assert subscript(blocks, [K, size(1), WHOLE, WHOLE], FACTS, 2, layout).code() == "w[k][1][:, :]"
    assert subscript(blocks, [K, size(1)], FACTS, 2, layout).code() == "w[k][1]"
    with pytest.raises(Refused):
        subscript(blocks, [WHOLE, size(1), P, F], FACTS, 2, layout).code()


def test_lists_are_handed_over():
    blocks = tensor(4, 2, 128, 512, space=Space.SBUF, text="w")
    layout = Layout(lists=(0, 1))
    assert subscript(blocks, [K], FACTS, 2, layout).handed() == "w[k]"
    assert subscript(blocks, [Ellipsis], FACTS, 2, layout).handed() == "w"
    assert subscript(blocks, [K, size(1), P, F], FACTS, 2, layout).handed() == "w[k][1]"
    for items in [WHOLE, K], [span(0, 2)], [K, WHOLE, P, tile(8, 1)]:
        with pytest.raises(Refused, match="M-IDX"):
            subscript(blocks, items, FACTS, 2, layout).handed()


def test_block_dimensions_behind_the_partitions():
    blocks = tensor(4, 128, 512, space=Space.SBUF, text="w")
    layout = Layout(order=(1, 0, 2))
    assert subscript(blocks, [K, P, F], FACTS, 1, layout).code() == "w[0:128, k, 0:512]"
    assert subscript(blocks, [K, P, size(0)], FACTS, 1, layout).code() == "w[0:128, k, 0:1]"


def test_block_dimensions_of_all_kinds():
    blocks = tensor(4, 2, 8, 128, 512, space=Space.SBUF, text="w")
    layout = Layout(dropped=(1,), lists=(0,), order=(3, 2, 4))
    items = [K, Sym.atom("m"), WHOLE, span(0, 64), F]
    with pytest.raises(Refused):
        subscript(blocks, items, FACTS, 3, layout).code()
    items = [K, Sym.atom("m"), WHOLE, span(0, 64), span(0, 8)]
    with pytest.raises(Refused):
        subscript(blocks, items, FACTS, 3, layout).code()


def test_an_index_from_a_tile():
    rows = Sym.atom("rows")
    idx = subscript(tensor(1, 1, space=Space.SBUF, text="idx"), [size(0), size(0)], FACTS)
    found = subscript(tensor(8, rows, 512), [Dynamic(idx), P.plus(K * 128, FACTS), F], FACTS)
    assert (
        found.code() == "x.ap(pattern=[[512, 128], [1, 512]], offset=k * 65536, "
        "scalar_offset=idx, indirect_dim=0)"
    )


def test_a_place_from_a_tile_in_the_middle():
    start = subscript(tensor(1, 4, space=Space.SBUF, text="start"), [size(0), K], FACTS)
    want = "x.ap(pattern=[[512, 64], [1, 8]], offset={}, scalar_offset=start[0:1, k : k + 1], indirect_dim=1)"
    lanes = Dynamic(start, tile(8, 1).plus(2, FACTS))
    assert subscript(tensor(64, 512), [tile(64, 0), lanes], FACTS).code() == want.format(2)
    window = Dynamic(start, size=size(8))
    assert subscript(tensor(64, 512), [WHOLE, window], FACTS).code() == want.format(0)
    single = subscript(tensor(64, 32, 16), [WHOLE, Dynamic(start), span(0, 8)], FACTS)
    assert single.shape == (size(64), size(8))
    assert single.code() == want.format(0)


def test_rows_picked_by_a_tile():
    ids = tensor(64, 4, space=Space.SBUF, text="ids")
    picked = Dynamic(subscript(ids, [tile(64, 0), K], FACTS))
    found = subscript(tensor(1000, 512), [picked, F], FACTS)
    assert (
        found.code() == "x.ap(pattern=[[512, 64], [1, 512]], offset=0, "
        "vector_offset=ids[0:64, k : k + 1], indirect_dim=0)"
    )
    short = found.narrowed({-2: (size(0), Sym.atom("n"))})
    assert (
        short.code() == "x.ap(pattern=[[512, n], [1, 512]], offset=0, "
        "vector_offset=ids[0:n, k : k + 1], indirect_dim=0)"
    )


def test_rows_of_a_part_picked_by_a_tile():
    ids = tensor(64, 1, space=Space.SBUF, text="ids")
    picked = Dynamic(subscript(ids, [tile(64, 0), size(0)], FACTS))
    found = subscript(tensor(8, 1000, 512), [K, picked, F], FACTS)
    assert (
        found.code() == "x.reshape((8000, 512)).ap(pattern=[[512, 64], [1, 512]], offset=k * 512000, "
        "vector_offset=ids, indirect_dim=0)"
    )


def test_the_end_of_a_dimension_is_written_shortly():
    half = Sym.atom("d") // 2
    facts = Facts()
    facts.divisible(Sym.atom("d"), 2)
    x = tensor(Sym.atom("d"), 8)
    items = [tile(half, 0).plus(half, FACTS), tile(8, 1)]
    assert subscript(x, items, facts).code() == "x[d // 2 : d, 0:8]"
    assert subscript(x, items, FACTS).code() == "x[d // 2 : d // 2 + d // 2, 0:8]"


def test_axes_of_size_1_are_kept():
    column = subscript(tensor(256), [tile(64, 0)], FACTS)
    assert column.code() == "x.ap(pattern=[[1, 64], [1, 1]], offset=0)"
    assert subscript(tensor(64), [tile(64, 0)], FACTS).code() == "x.reshape((64, 1))"
    assert subscript(tensor(128, 512), [WHOLE, None, WHOLE], FACTS).code() == "x.reshape((128, 1, 512))"
    rows = subscript(tensor(256, 8), [tile(64, 0)], FACTS)
    assert rows.shape == rows.new_shape == (size(64), size(1), size(8))
    assert flat(rows).text == "x[0:64]"


def test_narrowed():
    n = Sym.atom("n")
    x = subscript(tensor(Sym.atom("rows"), 512), [P.plus(K * 128, FACTS), F], FACTS)
    assert x.narrowed({-2: (size(0), n)}).code() == "x[k * 128 : k * 128 + n, 0:512]"
    assert x.narrowed({-1: (size(2), n)}).code() == "x[k * 128 : (k + 1) * 128, 2:n]"
    column = subscript(tensor(128, 512), [WHOLE, WHOLE], FACTS).narrowed({-1: (size(0), n)})
    assert column.code() == "x[:, 0:n]"


def test_stops():
    assert stop_of(K * TILE, TILE).text == "(k + 1) * TILE"
    assert stop_of((K + 1) * TILE, TILE).text == "(k + 2) * TILE"
    assert stop_of((K - 1) * TILE, TILE).text == "k * TILE"
    assert stop_of(TILE * K, TILE).text == "TILE * (k + 1)"
    assert stop_of(Sym.atom("m") + K * 8, size(8)).text == "m + (k + 1) * 8"
    assert stop_of(K * 8 + 2, size(8)).text == "k * 8 + 10"
    assert stop_of(-TILE * K, size(1)).text == "-TILE * k + 1"
    assert slice_text(K + 1, Sym.atom("x.stop")) == "k + 1 : x.stop"


@pytest.mark.parametrize(
    ("items", "space", "contains"),
    [
        ([P, P], Space.SBUF, "mixes"),
        ([F, P], Space.SBUF, "free axis"),
        ([size(0), F.plus(P, FACTS)], Space.SBUF, "mixes"),
        ([tile(128, 0), tile(64, 1).plus(tile(128, 0), FACTS)], Space.SBUF, "mixes"),
        ([P.times(0, FACTS), F], Space.SBUF, "one partition"),
        ([P, F, F], Space.HBM, "2 dimensions"),
        ([P, None, F], Space.HBM, "None"),
    ],
)
def test_what_has_no_slices_nor_pattern(items, space, contains):
    with pytest.raises(Refused) as refusal:
        subscript(tensor(512, 512, space=space), items, FACTS).code()
    assert refusal.value.message == "M-IDX"
    assert contains in refusal.value.fields["reason"]


def test_a_slice_has_no_access_pattern():
    part = Tensor("x[0:64, :]", (size(64), size(64)), None, Space.HBM, whole=False)
    with pytest.raises(Refused, match="M-IDX"):
        subscript(part, [tile(64, 1), tile(64, 0)], FACTS).code()


def test_a_shape_in_its_own_terms():
    x = Tensor("x", tuple(Sym.atom(f"x.shape[{dim}]") for dim in range(3)), None, Space.HBM)
    found = subscript(x, [K, tile(4, 1), tile(8, 0)], FACTS)
    assert found.code() == "x.ap(pattern=[[1, 8], [x.shape[2], 4]], offset=k * x.shape[1] * x.shape[2])"


# ---- Against NumPy

COUNTS = st.integers(1, 4)


@st.composite
def accesses(draw, space):
    """A tensor's shape, the items of a subscript, and the same for NumPy."""
    counts = draw(st.lists(COUNTS, min_size=1, max_size=3))
    rank = len(counts)
    lanes = np.indices(counts)
    items, keys, shape, free = [], [], [], list(range(rank))
    dims = draw(st.integers(1, 3))
    for dim in range(dims):
        if space is Space.SBUF:
            axes = [0] if dim == 0 else [axis for axis in free if axis]
        else:
            axes = free
        chosen = draw(st.lists(st.sampled_from(axes), unique=True, max_size=2)) if axes else []
        free = [axis for axis in free if axis not in chosen] if draw(st.booleans()) else free
        name = draw(st.sampled_from(["k", "m", ""]))
        start = draw(st.integers(0, 3))
        base = Sym.atom(name) * draw(st.integers(1, 2)) + start if name else size(start)
        index, key = Index(base), np.full(counts, eval(base.text, {}, VALUES))
        for axis in chosen:
            step = draw(st.sampled_from([1, 1, counts[-1], 2]))
            index = index.plus(tile(counts[axis], axis, rank).times(step, FACTS), FACTS)
            key = key + lanes[axis] * step
        items.append(index if chosen else base)
        keys.append(key)
        shape.append(int(key.max()) + draw(st.integers(1, 3)))
    return shape, items, keys


def _compared(shape, items, keys, space):
    assume(any(isinstance(item, Index) for item in items))
    found = subscript(tensor(*shape, space=space), items, FACTS)
    values = numbered(*shape)
    want = values[tuple(keys)]
    broadcast_shape = tuple(count.value for count in found.shape)
    covered = [slice(None) if count > 1 else slice(1) for count in broadcast_shape]
    want = want[(slice(1),) * (want.ndim - len(covered)) + tuple(covered)]
    for emitted in found.emitted(), flat(found):
        got = evaluated(emitted.text, x=Array(values), **VALUES)
        assert got.values.shape == tuple(count.value for count in emitted.shape)
        assert got.values.reshape(-1).tolist() == want.reshape(-1).tolist()
        assert emitted.access.code() == emitted.text or emitted.whole
        if space is Space.SBUF:
            assert got.shape[0] == broadcast_shape[0]
    without_ones = [count for count in broadcast_shape if count != 1]
    assert [count.value for count in found.new_shape if count.value != 1] == without_ones


@given(accesses(Space.HBM))
def test_every_affine_access_to_hbm_can_be_said(case):
    _compared(*case, Space.HBM)


@given(accesses(Space.SBUF))
def test_accesses_on_chip_are_said_rightly_or_not_at_all(case):
    with suppress(Refused):
        _compared(*case, Space.SBUF)


@given(st.data())
def test_indexes_from_tiles(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    at = data.draw(st.integers(0, len(shape) - 1))
    rows = data.draw(st.integers(1, 4))
    ids = np.array(data.draw(st.lists(st.integers(0, shape[at] - 1), min_size=rows, max_size=rows)))
    ids = ids[:, None]
    single = rows == 1 or data.draw(st.booleans())
    count = 1 if single else rows
    picked = subscript(tensor(rows, 1, space=Space.SBUF, text="ids"), [span(0, count), size(0)], FACTS)
    lanes = np.arange(count)[:, None]
    items, keys = [], []
    for dim, length in enumerate(shape):
        if dim == at:
            items.append(Dynamic(picked))
            keys.append(ids[:count])
        elif dim < at:
            place = data.draw(st.integers(0, length - 1))
            items.append(size(place))
            keys.append(place)
        elif dim == len(shape) - 1:
            items.append(tile(length, 1))
            keys.append(np.arange(length)[None, :])
        else:
            items.append(size(length - 1))
            keys.append(length - 1)
    values = numbered(*shape)
    code = subscript(tensor(*shape), items, FACTS).code()
    want = values[tuple(np.broadcast_arrays(*keys, lanes)[:-1])]
    got = evaluated(code, x=Array(values), ids=Array(ids))
    assert got.values.ravel().tolist() == want.ravel().tolist()


@given(st.data())
def test_windows_and_integers(data):
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    items, keys = [], []
    for length in shape:
        if data.draw(st.booleans()):
            at = data.draw(st.integers(-length, length - 1))
            items.append(size(at))
            keys.append(at)
        else:
            start, stop = sorted(data.draw(st.lists(st.integers(0, length), min_size=2, max_size=2)))
            step = data.draw(st.integers(1, 3))
            assume(start < stop)
            items.append(span(start, stop, step))
            keys.append(slice(start, stop, step))
    values = numbered(*shape)
    for space in Space.HBM, Space.SBUF:
        got = evaluated(subscript(tensor(*shape, space=space), items, FACTS).code(), x=Array(values))
        assert got.values.reshape(-1).tolist() == values[tuple(keys)].reshape(-1).tolist()


@given(accesses(Space.HBM), st.data())
def test_a_part_of_a_part(case, data):
    shape, items, _ = case
    assume(any(isinstance(item, Index) for item in items))
    outer = subscript(tensor(*shape), items, FACTS)
    values = numbered(*shape)
    part = evaluated(outer.code(), x=Array(values), **VALUES).values.reshape(
        [count.value for count in outer.shape]
    )
    inner, picked = [], []
    for length in part.shape:
        start = data.draw(st.integers(0, length - 1))
        stop = data.draw(st.integers(start + 1, length))
        inner.append(span(start, stop))
        picked.append(slice(start, stop))
    got = evaluated(within(outer, inner).code(), x=Array(values), **VALUES)
    assert got.values.reshape(-1).tolist() == part[tuple(picked)].reshape(-1).tolist()


def test_parts_keep_what_was_written():
    outer = subscript(tensor(4, 256, 512), [K], FACTS)
    assert within(outer, [P, F]).code() == "x[k, 0:128, 0:512]"
    window = subscript(tensor(256, 512), [span(0, 128, text="0:128"), WHOLE], FACTS)
    assert within(window, [WHOLE, span(K, K + 4, text="k:k+4")]).code() == "x[0:128, k:k+4]"


def test_mgrid():
    p, f = mgrid([span(0, 128), span(64, 512)])
    assert subscript(tensor(128, 512), [p, f], FACTS).code() == "x[0:128, 64:512]"
