"""What a trace counts, against numbers worked out by hand from the shapes."""

from __future__ import annotations

import gc
import io
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import nkisim
import nkisim.isa as nisa
from nkisim.core.context import state
from nkisim.core.operators import Operator
from nkisim.core.running import run
from nkisim.core.tensor import Tensor
from nkisim.isa.common import instruction

ADD = Operator("add", np.add, 2, reduction=np.add, identity=0.0)


def product(a, b):
    """[64, 32]ᵀ · [64, 48], loaded, multiplied, added to itself, stored."""
    left, right = Tensor((64, 32), "bfloat16"), Tensor((64, 48), "bfloat16")
    nisa.dma_copy(dst=left, src=a, name="load left")
    nisa.dma_copy(dst=right, src=b)
    acc = Tensor((32, 48), "float32", "psum")
    nisa.nc_matmul(acc, left, right)
    result = Tensor((32, 48), "float32")
    nisa.tensor_copy(dst=result, src=acc)
    nisa.tensor_tensor(dst=result, data1=result, data2=result, op=ADD)
    out = Tensor((32, 48), "float32", "shared_hbm")
    nisa.dma_copy(dst=out, src=result)
    return out


@pytest.fixture
def traced():
    import ml_dtypes

    a = np.ones((64, 32), ml_dtypes.bfloat16)
    b = np.ones((64, 48), ml_dtypes.bfloat16)
    with nkisim.trace() as trace:
        result = run(product, (), [a, b], {})
    assert (result == 128).all()
    return trace


def test_instructions_by_engine(traced):
    assert traced.instructions() == {
        "tensor": {"nc_matmul": 1},
        "vector": {"tensor_copy": 1, "tensor_tensor": 1},
        "dma": {"dma_copy": 3},
    }


def test_bytes_moved(traced):
    loaded, stored = 64 * 32 * 2 + 64 * 48 * 2, 32 * 48 * 4
    assert traced.dma_bytes() == {"hbm→sbuf": loaded, "sbuf→hbm": stored}
    assert (traced.hbm_read, traced.hbm_written) == (loaded, stored)


def test_multiply_adds(traced):
    assert traced.macs == 64 * 32 * 48


def test_estimated_cycles(traced):
    # matmul max(min(64, 32), 48); copy max(64, 48); float32 SBUF addition max(64, 2 · 48)
    assert traced.cycles() == {"tensor": 48, "vector": 64 + 96, "dma": 0}
    assert traced.busy()["tensor"] == pytest.approx(48 / 2400)
    assert traced.busy()["vector"] == pytest.approx(160 / 960)


def test_high_water(traced):
    assert traced.high_water == {"sbuf": 32 * 2 + 48 * 2 + 48 * 4, "psum": 48 * 4}


def test_events_say_where(traced):
    first = traced.events[0]
    assert (first.name, first.label, first.core) == ("dma_copy", "load left", 0)
    assert first.file == __file__
    assert "load left" in Path(__file__).read_text(encoding="utf-8").splitlines()[first.line - 1]


def test_instructions_wait_for_their_operands(traced):
    times = [(event.start, event.start + event.duration) for event in traced.events]
    for (_, before), (after, _) in pairwise(times[1:]):
        assert after >= before
    assert traced.span == max(end for _, end in times)


def test_json(traced, tmp_path):
    found = json.loads(traced.to_json(tmp_path / "trace.json", events=True))
    assert found["macs"] == 64 * 32 * 48
    assert len(found["events"]) == 6
    assert json.loads((tmp_path / "trace.json").read_text(encoding="utf-8")) == found
    assert "events" not in traced.to_dict()


def test_table(traced):
    from rich.console import Console

    console = Console(width=120, record=True, file=io.StringIO())
    console.print(traced.table())
    text = console.export_text()
    assert "nc_matmul 1" in text
    assert re.search(r"vector\s*│?\s*2", text)
    assert "98,304 multiply-adds" in text
    assert "not measured" in text


def test_timeline(traced, tmp_path):
    traced.timeline(tmp_path / "timeline.html")
    page = (tmp_path / "timeline.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert list(data) == ["core 0 dma", "core 0 tensor", "core 0 vector"]
    assert [bar[0] for bar in data["core 0 dma"]] == ["load left", "dma_copy", "dma_copy"]
    assert page.count("<canvas") == 3


def test_memory_that_went_does_not_count():
    def kernel():
        for _ in range(5):
            tile = Tensor((128, 100), "float32")
            del tile
            gc.collect()
        kept = [Tensor((128, 10), "float32") for _ in range(3)]
        placed = Tensor((128, 10), "float32", "sbuf", address=(0, 1000))
        return len(kept), placed.shape

    with nkisim.trace() as trace:
        run(kernel, (), [], {})
    assert trace.high_water["sbuf"] == 3 * 40 + 1040


def test_two_cores_are_told_apart():
    def kernel():
        for _ in range(1 + state.core.index):
            nisa.memset(dst=Tensor((128, 640), "float32"), value=0.0)

    with nkisim.trace() as trace:
        run(kernel, (2,), [], {})
    assert [event.core for event in trace.events] == [0, 1, 1]
    assert [event.start for event in trace.events] == [0, 0, pytest.approx(640 / 960)]
    assert trace.to_dict()["cores"] == 2


def test_composed_instructions_count_once():
    @instruction
    def twice(dst):
        nisa.memset(dst=dst, value=1.0)
        nisa.memset(dst=dst, value=2.0)

    with nkisim.trace() as trace:
        twice(Tensor((128, 8), "float32"))
        nisa.memset(dst=Tensor((128, 8), "float32"), value=1.0)
    assert [event.name for event in trace.events] == ["twice", "memset"]


def test_nothing_is_collected_afterwards(traced):
    before = len(traced.events)
    nisa.memset(dst=Tensor((1, 1), "float32"), value=0.0)
    assert len(traced.events) == before
    assert state.listeners == state.allocations == []


def gathered(table, numbers):
    """Rows of a [6, 8] table that four numbers name, into SBUF, and from there to the same rows of another."""
    chosen, rows = Tensor((4, 1), "int32"), Tensor((4, 8), "float32")
    nisa.dma_copy(dst=chosen, src=numbers)
    nisa.memset(dst=rows, value=0.0)
    source = table.ap(pattern=[[8, 4], [1, 8]], offset=0, vector_offset=chosen, indirect_dim=0)
    nisa.dma_copy(dst=rows, src=source, oob_mode=nisa.oob_mode.skip, name="gather")
    out = Tensor((6, 8), "float32", "shared_hbm")
    nisa.dma_copy(dst=out, src=table, name="whole")
    target = out.ap(pattern=[[8, 4], [1, 8]], offset=0, vector_offset=chosen, indirect_dim=0)
    nisa.dma_copy(dst=target, src=rows, oob_mode=nisa.oob_mode.skip, name="scatter")
    sums = Tensor((4, 8), "float32")
    nisa.dma_compute(dst=sums, srcs=[source, source], oob_mode=nisa.oob_mode.skip, name="sum")
    return out


@pytest.mark.parametrize(("numbers", "there"), [([0, 5, -1, 6], 2), ([3, 2, 1, 0], 4), ([7, -9, 6, 99], 0)])
def test_rows_that_are_skipped_do_not_move(numbers, there):
    table = np.arange(48, dtype=np.float32).reshape(6, 8)
    with nkisim.trace() as trace:
        run(gathered, (), [table, np.array(numbers, np.int32)[:, None]], {})
    costs = {event.label: event.cost for event in trace.events}
    row = 8 * 4
    assert (costs["gather"].read, costs["gather"].written) == (there * row, there * row)
    assert (costs["scatter"].read, costs["scatter"].written) == (there * row, there * row)
    assert (costs["sum"].read, costs["sum"].written) == (2 * there * row, 4 * row)
    assert costs["gather"].microseconds(3) == pytest.approx(there * row / (16 * 27 * 1024**3) * 1e6)
    assert trace.hbm_read == 4 * 4 + 3 * there * row + table.nbytes
    assert trace.hbm_written == table.nbytes + there * row


def test_a_row_that_a_scalar_puts_out_of_range_does_not_move():
    def kernel(table, number):
        chosen, row = Tensor((1, 1), "int32"), Tensor((1, 8), "float32")
        nisa.dma_copy(dst=chosen, src=number)
        nisa.memset(dst=row, value=0.0)
        source = table.ap(pattern=[[8, 1], [1, 8]], offset=0, scalar_offset=chosen, indirect_dim=0)
        nisa.dma_copy(dst=row, src=source, oob_mode=nisa.oob_mode.skip)
        out = Tensor((1, 8), "float32", "shared_hbm")
        nisa.dma_copy(dst=out, src=row)
        return out

    for number, moved in ((2, 32), (6, 0)):
        with nkisim.trace() as trace:
            run(kernel, (), [np.ones((6, 8), np.float32), np.array([[number]], np.int32)], {})
        assert trace.hbm_read == 4 + moved
