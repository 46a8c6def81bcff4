"""Code that migrates, compiles and means something else: each trap of docs/traps.md, walked into.

A test runs the old kernel under ``nkisim.beta1`` and the new one strictly under nkisim and wants the same bits
(the trap is impossible), or wants a finding with a code of the language step at the line (it is noted).
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from helpers import migrate
from migrated import HEAD, migrated, module
from migrated import check_same_strictly as same

import nkisim
from nkimigrate.codemods.analysis.context import FileContext
from nkimigrate.codemods.language.lowering.messages import MESSAGES
from nkimigrate.codemods.language.migrate import migrated as work_of
from nkimigrate.codemods.source import Source
from nkimigrate.releases import load_language

RNG = np.random.default_rng(11)


def floats(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


def kernel(body: str, parameters: str = "x") -> str:
    """A kernel ``k`` with this body, in a file."""
    return f"{HEAD}@nki.jit\ndef k({parameters}):\n{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n"


def said(text: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What stands in the way, and what is noted: codes, and the first lines of their places."""
    step = load_language("2.27", "2.28")
    assert step is not None
    source = Source.decode(text.encode())
    work = work_of(FileContext("app.py", source, ast.parse(text), step.resolution, "app"), step)
    lines = text.splitlines()
    reasons, notes = (
        [(MESSAGES[each.message].code, lines[each.node.lineno - 1].strip()) for each in found]  # type: ignore[attr-defined]
        for found in (work.reasons, work.notes)
    )
    return reasons, notes


def refused(text: str, code: str, line: str) -> None:
    reasons, _ = said(text)
    assert (code, line) in reasons


def noted(text: str, code: str, line: str) -> None:
    reasons, notes = said(text)
    assert reasons == []
    assert (code, line) in notes


OUT = "out = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.shared_hbm)\n"


# -- loops and PSUM -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["affine_range", "sequential_range"])
@pytest.mark.parametrize(
    ("before", "inside"),
    [
        ("n = 0", "n += 1"),
        ("first = True", "first = False if first else first"),
        ("t = nl.load(x)", "t = nl.multiply(t, 0.5)"),
        ("t = nl.load(x)\nprevious = t", "previous = nl.add(t, previous)"),
        ("tiles = []", "tiles.append(nl.load(x))"),
        ("sizes = {}", "sizes['last'] = i"),
    ],
)
def test_01_loop_bodies_run_every_time(loop: str, before: str, inside: str) -> None:
    text = kernel(
        f"{OUT}{before}\nfor i in nl.{loop}(4):\n    {inside}\nnl.store(out, nl.load(x))\nreturn out"
    )
    refused(text, "NKL401", inside)


def test_01_branches_on_a_loop_are_noted() -> None:
    text = kernel(
        f"""
{OUT}
acc = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
for i in nl.affine_range(4):
    t = nl.load(x[0:128, nl.ds(i * 64, 64)])
    if i == 0:
        acc[...] = nl.copy(t)
    else:
        acc[...] = nl.maximum(acc, t)
nl.store(out, acc)
return out"""
    )
    noted(text, "NKL401", "if i == 0:")


def test_01_unrolled_loops_count_in_both_languages() -> None:
    same(
        kernel(
            """
            out = nl.ndarray((128, 256), dtype=nl.float32, buffer=nl.shared_hbm)
            first = 0
            for i in nl.static_range(4):
                t = nl.load(x[0:128, first:first + 64])
                nl.store(out[0:128, first:first + 64], nl.exp(t))
                first += 64
            return out"""
        ),
        floats(128, 256),
    )


MATRICES = (floats(256, 128), floats(256, 64))
PARTS = "a = nl.load(x[nl.ds(i * 128, 128), 0:128])\n    b = nl.load(y[nl.ds(i * 128, 128), 0:64])"


def test_02_products_overwrite_where_they_did() -> None:
    same(
        kernel(
            f"""
out = nl.ndarray((2, 128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
ps = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.psum)
for i in nl.static_range(2):
    {PARTS}
    ps[...] = nisa.nc_matmul(a, b)
    nl.store(out[i], ps)
return out""",
            "x, y",
        ),
        *MATRICES,
    )


def summed(start: str, inside: str, parameters: str = "x, y") -> str:
    return kernel(
        f"{OUT}ps = {start}\nfor i in nl.affine_range(2):\n    {PARTS}\n    {inside}\n"
        "nl.store(out, ps)\nreturn out",
        parameters,
    )


ADDED = "ps += nl.matmul(a, b, transpose_x=True)"
ZEROS = "nl.zeros((128, 64), dtype=nl.float32, buffer=nl.psum)"


def test_03_zeros_go_where_products_surely_come() -> None:
    new = same(summed(ZEROS, ADDED), *MATRICES)
    assert "memset" not in new


def test_03_zeros_stay_where_a_product_may_be_missing() -> None:
    text = summed(ZEROS, f"if wanted:\n        {ADDED}", "x, y, wanted")
    assert "nisa.memset(dst=ps, value=0.0)" in same(text, *MATRICES, True)
    new, _ = migrated(text)
    with nkisim.strict():
        assert not np.asarray(module(new).k(*MATRICES, False)).any()


@pytest.mark.parametrize(
    ("columns", "zeros"), [("0:64", False), (":", False), ("0:32", True), ("32:64", True), ("32:", True)]
)
def test_03_zeros_stay_where_products_go_to_a_part(columns: str, zeros: bool) -> None:
    part = "b[0:128, 0:64]" if columns in ("0:64", ":") else "b[0:128, 0:32]"
    new = same(summed(ZEROS, f"ps[:, {columns}] += nl.matmul(a, {part}, transpose_x=True)"), *MATRICES)
    assert ("memset" in new) is zeros


@pytest.mark.parametrize(
    "start",
    [
        "nl.full((128, 64), 2.0, dtype=nl.float32, buffer=nl.psum)",
        "nl.ones((128, 64), dtype=nl.float32, buffer=nl.psum)",
        "nl.zeros((128, 64), dtype=nl.bfloat16, buffer=nl.psum)",
    ],
)
def test_03_other_starts_are_added_to(start: str) -> None:
    same(summed(start, ADDED), *MATRICES)


def test_03_functions_add_to_zeros_only() -> None:
    added = "def added(ps, a, b):\n    ps += nl.matmul(a, b, transpose_x=True)\n\n\n@nki.jit"
    text = summed(ZEROS, "added(ps, a, b)").replace("@nki.jit", added)
    same(text, *MATRICES)
    assert migrated(text.replace("nl.zeros(", "nl.ones("))[1] == ["M-ARGUMENT"]


def test_04_tiles_are_allocated_in_the_loop_that_makes_them() -> None:
    new = same(
        kernel(
            """
            out = nl.ndarray((128, 256), dtype=nl.float32, buffer=nl.shared_hbm)
            for i in nl.affine_range(4):
                t = nl.load(x[0:128, nl.ds(i * 64, 64)])
                nl.store(out[0:128, nl.ds(i * 64, 64)], nl.exp(t))
            return out"""
        ),
        floats(128, 256),
    )
    assert len(re.findall(r"^        \w+ = nl\.ndarray\(", new, re.MULTILINE)) == 2


# -- parts, masks, bounds -----------------------------------------------------------------------------


def test_05_what_a_mask_leaves_out_is_never_read() -> None:
    same(
        kernel(
            """
            R, C = x.shape
            out = nl.ndarray((R, 1), dtype=nl.float32, buffer=nl.shared_hbm)
            ix, iy = nl.mgrid[0:128, 0:128]
            total = nl.zeros((128, 1), dtype=nl.float32, buffer=nl.sbuf)
            for j in nl.affine_range((C + 127) // 128):
                m = (ix < R) & (j * 128 + iy < C)
                t = nl.load(x[ix, j * 128 + iy], mask=m)
                e = nl.exp(t, mask=m)
                s = nl.sum(e, axis=1, keepdims=True, mask=m)
                total[ix, 0] = nl.add(total[ix, 0], s, mask=(ix < R))
            i0, i1 = nl.mgrid[0:128, 0:1]
            nl.store(out[i0, i1], total, mask=(i0 < R))
            return out"""
        ),
        floats(100, 300),
    )


ROWS = """
R, C = x.shape
out = nl.ndarray((R, C), dtype=nl.float32, buffer=nl.shared_hbm)
ix = nl.arange(64)[:, None]
iy = nl.arange(C)[None, :]
for i in nl.affine_range(n):
    t = nl.load(x[i * 64 + ix, iy], mask=(i * 64 + ix < R))
    e = nl.tanh(t, mask=(i * 64 + ix < R))
    nl.store(out[i * 64 + ix, iy], e, mask=(i * 64 + ix < R))
return out"""


@pytest.mark.parametrize("tiles", [2, 3])
def test_06_tiles_that_are_empty_are_skipped(tiles: int) -> None:
    same(kernel(ROWS, "x, n"), floats(128, 32), tiles)


def test_07_bounds_are_clipped() -> None:
    assert "min(64, R - i * 64)" in same(kernel(ROWS, "x, n"), floats(100, 32), 2)


# -- numbers ------------------------------------------------------------------------------------------


def test_08_results_have_the_promoted_dtype() -> None:
    new = same(
        kernel(
            f"""
{OUT}
a = nl.load(x, dtype=nl.float16)
b = nl.load(y, dtype=nl.bfloat16)
nl.store(out, (a + b) * 1.2 - a * 3.0)
return out""",
            "x, y",
        ),
        floats(128, 64),
        floats(128, 64),
    )
    assert "dtype=nl.float32, buffer=nl.sbuf" in new


@pytest.mark.parametrize("line", ["c = nl.multiply(a, a)", "c = a + a", "c = a - 3"])
def test_09_integer_arithmetic_is_noted(line: str) -> None:
    text = f"{OUT}a = nl.load(x, dtype=nl.int32)\n{line}\nnl.store(out, c)\nreturn out"
    noted(kernel(text), "NKL502", line)


def test_10_truth_values_are_bytes() -> None:
    new = same(
        kernel(
            f"{OUT}t = nl.load(x[0:128, 0:64])\nc = nl.greater(t, 0.0)\n"
            "nl.store(out, nl.where(c, t, -1.0))\nreturn out"
        ),
        floats(128, 64),
    )
    assert "dtype=nl.uint8" in new


def test_11_a_transpose_keeps_its_dtype() -> None:
    new = same(
        kernel(
            """
            out = nl.ndarray((64, 128), dtype=nl.bfloat16, buffer=nl.shared_hbm)
            t = nl.load(x[0:128, 0:64])
            nl.store(out, nisa.nc_transpose(t, dtype=nl.bfloat16))
            return out"""
        ),
        floats(128, 64),
    )
    assert "nisa.tensor_copy" in new


def test_12_a_copy_has_the_dtype_of_its_tile() -> None:
    new = same(
        kernel(
            f"{OUT}t = nl.load(x[0:128, 0:64])\nu = nisa.tensor_copy(t, dtype=nl.bfloat16)\n"
            "nl.store(out, u)\nreturn out"
        ),
        floats(128, 64),
    )
    assert not re.search(r"tensor_copy\([^)]*dtype", new)


def test_13_loads_cast_without_descriptors_of_the_hardware() -> None:
    new = same(
        kernel(f"{OUT}t = nl.load(x[0:128, 0:64], dtype=nl.bfloat16)\nnl.store(out, t)\nreturn out"),
        floats(128, 64),
    )
    assert "dge_mode" not in new


def test_14_divisions_are_noted() -> None:
    text = kernel(f"{OUT}t = nl.load(x)\nu = 1.5 / nl.exp(t)\nnl.store(out, u)\nreturn out")
    noted(text, "NKL501", "u = 1.5 / nl.exp(t)")
    same(text, floats(128, 64), rtol=1e-6)


def test_15_a_bias_is_a_tile() -> None:
    same(
        kernel(
            f"{OUT}t = nl.load(x[0:128, 0:64])\n"
            "nl.store(out, nisa.activation(op=nl.exp, data=t, bias=0.5, scale=0.25))\nreturn out"
        ),
        floats(128, 64),
    )


@pytest.mark.parametrize(
    "predicate", ["p >= q", "p > q", "q >= p", "p + q < 3", "2 * p - q <= 1", "p == q", "1 + p > 2 * q"]
)
def test_16_predicates_say_how_they_compare(predicate: str) -> None:
    new = same(
        kernel(
            f"""
out = nl.ndarray((3, 3), dtype=nl.float32, buffer=nl.shared_hbm)
p = nl.arange(3)[:, None]
q = nl.arange(3)[None, :]
t = nl.load(x[0:3, 0:3])
nl.store(out, nisa.affine_select({predicate}, t, -1.0))
return out"""
        ),
        floats(3, 3),
    )
    assert "cmp_op=" in new


def test_17_patterns_are_in_the_order_of_the_tile() -> None:
    same(
        kernel(
            """
            out = nl.ndarray((8, 3, 4), dtype=nl.float32, buffer=nl.shared_hbm)
            p = nl.arange(8)[:, None, None]
            a = nl.arange(3)[None, :, None]
            c = nl.arange(4)[None, None, :]
            t = nl.ndarray((8, 3, 4), dtype=nl.float32, buffer=nl.sbuf)
            t[p, a, c] = nl.load(x[p, 4 * a + c])
            kept = nisa.affine_select(pred=(c + 2 * a - p > 0), on_true_tile=t[p, a, c], on_false_value=9.0)
            nl.store(out, kept)
            return out"""
        ),
        floats(8, 12),
    )


def selected(more: str) -> str:
    return kernel(
        f"""
{OUT}
t = nl.load(x[0:128, 0:64])
a = nl.load(low[0:128, 0:1])
b = nl.load(high[0:128, 0:1])
r = nisa.range_select(on_true_tile=t, comp_op0=np.greater_equal, comp_op1=np.less, bound0=a, bound1=b{more})
nl.store(out, r)
return out""",
        "x, low, high",
    )


def test_18_what_range_select_ignores_is_reported() -> None:
    low = np.full((128, 1), 5, np.float32)
    same(selected(""), floats(128, 64), low, low + 20)
    text = selected(", on_false_value=-1.0")
    reasons, _ = said(text)
    assert [code for code, _ in reasons] == ["NKL209"]


@pytest.mark.parametrize(("axes", "shape"), [("2", "(128, 6)"), ("[1, 2]", "(128, 1)"), ("1", "(128, 5)")])
def test_19_the_reduced_axes_are_those_that_were(axes: str, shape: str) -> None:
    same(
        kernel(
            f"""
out = nl.ndarray({shape}, dtype=nl.float32, buffer=nl.shared_hbm)
t = nl.load(x[0:128, 0:6, 0:5])
nl.store(out, nl.max(t, axis={axes}))
return out"""
        ),
        floats(128, 6, 5),
    )


@pytest.mark.parametrize(
    "call", ["nl.sum(t, axis=1, keepdims=True)", "nisa.tensor_reduce(np.add, t, axis=[1])"]
)
def test_19_axis_1_of_a_tensor_whose_rank_nothing_tells(call: str) -> None:
    """Of (8, 1, 6) the old language reduces the axis of one element, the new one the last."""
    text = kernel(
        "out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n"
        f"t = nl.load(x)\ns = {call}\nnl.store(out, t * s)\nreturn out"
    )
    noted(text, "NKL504", f"s = {call}")
    known = text.replace("    t = nl", "    assert len(x.shape) == 2\n    t = nl")
    assert "NKL504" not in [code for code, _ in said(known)[1]]
    last = text.replace("axis=1", "axis=-1").replace("[1]", "[-1]")
    assert "NKL504" not in [code for code, _ in said(last)[1]]


def test_19_an_element_of_a_tensor_whose_rank_nothing_tells() -> None:
    text = kernel(
        "out = nl.ndarray((1, 1), dtype=x.dtype, buffer=nl.shared_hbm)\nt = nl.load(x[2, 3])\nnl.store(out, t)\n"
        "return out"
    )
    noted(text, "NKL504", "t = nl.load(x[2, 3])")
    known = text.replace("    t = nl", "    n, m = x.shape\n    t = nl")
    assert said(known) == ([], [])


def test_20_a_reduction_keeps_its_partitions() -> None:
    new = same(
        kernel(
            """
            out = nl.ndarray((128, 4), dtype=nl.float32, buffer=nl.shared_hbm)
            largest = nl.ndarray((128, 4), dtype=nl.float32, buffer=nl.sbuf)
            for i in nl.affine_range(4):
                t = nl.load(x[0:128, nl.ds(i * 64, 64)])
                largest[:, i] = nl.max(t, axis=1)
            nl.store(out, largest)
            return out"""
        ),
        floats(128, 256),
    )
    assert "i : i + 1" in new


def test_21_reductions_are_named_by_what_they_combine_with() -> None:
    new = same(
        kernel(
            """
            out = nl.ndarray((128, 1), dtype=nl.float32, buffer=nl.shared_hbm)
            t = nl.load(x[0:128, 0:64])
            nl.store(out, nisa.tensor_reduce(np.max, data=t, axis=[1]))
            return out"""
        ),
        floats(128, 64),
    )
    assert "op=nl.maximum" in new


def test_22_none_in_an_index_becomes_a_shape() -> None:
    new = same(
        kernel(
            """
            out = nl.ndarray((128, 1, 64), dtype=nl.float32, buffer=nl.shared_hbm)
            t = nl.load(x[0:128, 0:64])
            nl.store(out, t[:, None, :])
            return out"""
        ),
        floats(128, 64),
    )
    assert "None" not in new


def test_23_views_are_of_whole_tensors() -> None:
    body = "t = nl.load(x[0:128, 0:64], dtype=nl.float32)\nnl.store(out, {})\nreturn out"
    out = "out = nl.ndarray((128, {}), dtype=nl.uint16, buffer=nl.shared_hbm)\n"
    same(kernel(out.format(128) + body.format("t.view(nl.uint16)")), floats(128, 64))
    part = "t[:, 32:64].view(nl.uint16)"
    refused(kernel(out.format(64) + body.format(part)), "NKL212", f"nl.store(out, {part})")


def test_24_shapes_have_as_many_elements() -> None:
    same(
        kernel(
            """
            out = nl.ndarray((128, 8, 8), dtype=nl.float32, buffer=nl.shared_hbm)
            t = nl.load(x[0:128, 0:64])
            nl.store(out, t.reshape((128, 8, 8)))
            return out"""
        ),
        floats(128, 64),
    )


# -- memory and results -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "big = nl.ndarray((128, 49153), dtype=nl.float32, buffer=nl.sbuf)",
        "big = nl.zeros((128, 8193), dtype=nl.bfloat16, buffer=nl.psum)",
        "big = nl.ndarray((9, nl.par_dim(128), 512), dtype=nl.float32, buffer=nl.psum)",
    ],
)
def test_25_what_does_not_fit_is_noted(line: str) -> None:
    uses = "for i in nl.affine_range(9):\n    big[{0}] = nl.exp(t)\nfor i in nl.affine_range(9):\n    nl.store(out, big[{0}])"
    place = "i, 0:128, 0:64" if "par_dim" in line else "0:128, 0:64"
    body = f"{OUT}t = nl.load(x[0:128, 0:64])\n{line}\n{uses.format(place)}\nreturn out"
    noted(kernel(body), "NKL206", line)
    fits = body.replace("49153", "49152").replace("8193", "8192").replace("(9, nl.par", "(8, nl.par")
    assert "NKL206" not in [code for code, _ in said(kernel(fits))[1]]


def test_26_psum_is_stored_through_sbuf() -> None:
    text = summed(ZEROS, ADDED)
    new = same(text, *MATRICES)
    (stored,) = re.findall(r"nisa\.dma_copy\(dst=out, src=(\w+)\)", new)
    assert f"{stored} = nl.ndarray(ps.shape, dtype=nl.float32, buffer=nl.sbuf)" in new


def test_27_what_is_written_in_place_is_reported_or_returned() -> None:
    head = HEAD + "import neuronxcc.nki.typing as nt\n\n\n"
    text = "@nki.jit\ndef k(x, cache: nt.tensor[nt.mutable]):\n    nl.store(cache, nl.load(x))\n{}"
    same(head + text.format("    return cache\n"), floats(128, 64), floats(128, 64))
    other = text.format(
        "    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n    return out\n"
    )
    reasons, _ = said(head + other)
    assert "NKL104" in [code for code, _ in reasons]


def test_28_outputs_are_shared() -> None:
    new = same(
        kernel(
            """
            out = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.hbm)
            nl.store(out, nl.exp(nl.load(x[0:128, 0:64])))
            return out"""
        ),
        floats(128, 64),
    )
    assert "buffer=nl.shared_hbm" in new


GRID = """
out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
rows = x.shape[0] // nl.num_programs({})
i = nl.program_id(0)
t = nl.load(x[nl.ds(i * rows, rows), 0:64])
nl.store(out[nl.ds(i * rows, rows), 0:64], nl.exp(t))
return out"""


@pytest.mark.parametrize("launch", ["k[nl.nc(2)](x)", "k[(nl.nc(2),)](x)"])
def test_29_cores_stay_as_many(launch: str) -> None:
    text = kernel(GRID.format("0")) + f"\n\ndef run(x):\n    return {launch}\n"
    assert "return k[2](x)" in same(text, floats(256, 64), name="run")


def test_29_programs_become_loops() -> None:
    body = GRID.format("0").replace("x.shape[0] // nl.num_programs(0)", "128")
    text = kernel(body) + "\n\ndef run(x):\n    return k[x.shape[0] // 128](x)\n"
    assert "return k(x)" in same(text, floats(512, 64), name="run")


def test_30_the_number_of_programs_is_that_of_the_only_axis() -> None:
    text = kernel(GRID.format("")) + "\n\ndef run(x):\n    return k[nl.nc(2)](x)\n"
    same(text, floats(256, 64), name="run")


def test_31_engines_that_were_chosen_stay() -> None:
    new = same(
        kernel(
            f"{OUT}t = nl.load(x[0:128, 0:64])\n"
            "u = nisa.tensor_tensor(t, t, op=np.add, engine=nisa.gpsimd_engine)\n"
            "nl.store(out, nisa.tensor_copy(u, engine=nisa.engine.scalar))\nreturn out"
        ),
        floats(128, 64),
    )
    assert "engine=nisa.gpsimd_engine" in new
    assert "engine=nisa.engine.scalar" in new


def test_32_functions_that_another_engine_computes_are_noted() -> None:
    text = kernel(f"{OUT}t = nl.load(x)\nr = nl.rsqrt(t)\nnl.store(out, r)\nreturn out")
    noted(text, "NKL505", "r = nl.rsqrt(t)")
    own = text.replace("nl.rsqrt(t)", "nisa.activation(op=nl.rsqrt, data=t)")
    assert said(own)[1] == []


def test_33_constants_of_numpy_are_reported() -> None:
    line = "c = nl.shared_constant(np.tri(128, 64), dtype=nl.float32)"
    text = f"{OUT}{line}\nnl.store(out, nl.load(c))\nreturn out"
    refused(kernel(text), "NKL203", line)


def test_34_device_print_has_its_new_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{OUT}t = nl.load(x[0:128, 0:64])\nnl.device_print(prefix='t', x=t)\nnl.store(out, t)\nreturn out"
    assert "nl.device_print(print_prefix='t', tensor=t)" in same(kernel(text), floats(128, 64))
    assert capsys.readouterr().out.count("t [[") == 2


@pytest.mark.parametrize("columns", [64, 300])
def test_35_chains_of_comparisons_are_of_numbers(columns: int) -> None:
    text = """
    P, F = x.shape
    out = nl.ndarray((P, F), dtype=nl.float32, buffer=nl.shared_hbm)
    scale = 2.0 if 0 < F <= 128 and P == 128 or F > 512 else 3.0
    nl.store(out, nl.multiply(nl.load(x), scale))
    return out"""
    same(kernel(text), floats(128, columns))


def test_36_wide_numbers_are_noted() -> None:
    line = "m = nl.bitwise_and(t, 0xFFFFFF00)"
    out = OUT.replace("float32", "uint32")
    text = kernel(f"{out}t = nl.load(x, dtype=nl.uint32)\n{line}\nnl.store(out, m)\nreturn out")
    noted(text, "NKL506", line)
    assert said(text.replace("0xFFFFFF00", "0x7FFFFF00"))[1] == []


@pytest.mark.parametrize(("number", "written"), [("3.0", "3"), ("-2.0", "-2"), ("7", "7")])
def test_37_tiles_of_integers_are_filled_with_integers(number: str, written: str) -> None:
    new = same(
        kernel(
            f"""
out = nl.ndarray((128, 64), dtype=nl.int32, buffer=nl.shared_hbm)
t = nl.full((128, 64), {number}, dtype=nl.int32, buffer=nl.sbuf)
nl.store(out, t)
return out"""
        ),
        floats(128, 64),
    )
    assert f"value={written})" in new


def test_38_places_of_maxima_are_unsigned() -> None:
    new = same(
        kernel(
            """
            out = nl.ndarray((128, 8), dtype=nl.uint32, buffer=nl.shared_hbm)
            t = nl.load(x[0:128, 0:64])
            places = nisa.nc_find_index8(data=t, vals=nisa.max8(src=t))
            nl.store(out, places)
            return out"""
        ),
        floats(128, 64),
    )
    assert re.search(r"places = nl\.ndarray\([^)]*\), dtype=nl\.uint32", new)


def test_39_products_are_float32() -> None:
    new = same(
        kernel(
            """
            out = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
            a = nl.load(x[0:128, 0:128], dtype=nl.bfloat16)
            b = nl.load(y[0:128, 0:64], dtype=nl.bfloat16)
            product = nl.matmul(a, b, transpose_x=True)
            nl.store(out, product)
            return out""",
            "x, y",
        ),
        floats(128, 128),
        floats(128, 64),
    )
    assert "dtype=nl.float32, buffer=nl.psum" in new


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_40_intermediate_results_are_rounded_as_they_were(dtype: str) -> None:
    body = f"""
out = nl.ndarray((128, 64), dtype=nl.{dtype}, buffer=nl.shared_hbm)
t = nl.load(x[0:128, 0:64])
u = nl.load(y[0:128, 0:64])
nl.store(out, nl.exp(t) * u - nl.tanh(u) * 1.1 + t)
return out"""
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.float16
    same(kernel(body, "x, y"), floats(128, 64, dtype=kind), floats(128, 64, dtype=kind))


def test_41_parts_of_parts_are_parts() -> None:
    same(
        kernel(
            """
            out = nl.ndarray((128, 8), dtype=nl.float32, buffer=nl.shared_hbm)
            t = nl.load(x[0:128, 0:64])
            ix, iy = nl.mgrid[0:128, 0:8]
            part = t[:, 8:40]
            nl.store(out, part[:, 4:20][ix, 2 * iy])
            return out"""
        ),
        floats(128, 64),
    )


def test_42_globals_that_change_are_noted() -> None:
    text = kernel(f"{OUT}t = nl.load(x)\nu = nl.multiply(t, scale)\nnl.store(out, u)\nreturn out")
    text += "\n\nscale = 1.0\n{}"
    changed = text.format("\n\ndef rescale(value):\n    global scale\n    scale = value\n")
    noted(changed, "NKL403", "u = nl.multiply(t, scale)")
    assert "NKL403" not in [code for code, _ in said(text.format(""))[1]]


def test_43_parts_given_to_functions_stay_inside() -> None:
    text = kernel(
        """
        out = nl.ndarray((128, 32), dtype=nl.float32, buffer=nl.shared_hbm)
        t = nl.load(x[0:128, 0:64])
        nl.store(out, half(t[:, 32:64]))
        return out"""
    )
    text = text.replace("@nki.jit", "def half(t):\n    return nl.exp(t)\n\n\n@nki.jit")
    same(text, floats(128, 64))


@pytest.mark.parametrize("decorator", ['@nki.jit(mode="trace")', "@nki.trace", "@nki.jit"])
def test_44_what_kernels_call_is_a_plain_function(decorator: str) -> None:
    text = kernel(f"{OUT}t = nl.load(x[0:128, 0:64])\nnl.store(out, doubled(t))\nreturn out")
    text = text.replace(
        "@nki.jit", f"{decorator}\ndef doubled(t):\n    return nl.multiply(t, 2.0)\n\n\n@nki.jit"
    )
    new = same(text, floats(128, 64))
    assert new.count("@nki") == 1


def test_45_hints_for_several_buffers_are_reported() -> None:
    line = "for i in nl.sequential_range(2, directives=ncc.multi_buffer(2)):"
    text = kernel(f"{OUT}{line}\n    nl.store(out, nl.load(x))\nreturn out")
    text = text.replace("import numpy as np", "import neuronxcc.nki.compiler as ncc\nimport numpy as np")
    refused(text, "NKL205", line)


def test_46_what_is_known_to_fail_is_not_written() -> None:
    """``nl.zeros(buffer=)`` and ``dma_transpose`` of two dimensions fail in 0.2.0."""
    new = same(
        kernel(
            f"""
{OUT}
t = nl.load_transpose2d(x[0:64, 0:128])
z = nl.zeros((128, 64), dtype=nl.float32, buffer=nl.sbuf)
nl.store(out, t + z)
return out"""
        ),
        floats(64, 128),
    )
    assert "nl.zeros" not in new
    assert "dma_transpose" not in new


# -- the page -----------------------------------------------------------------------------------------


def test_the_page_and_the_tests_are_in_step(repository: Path) -> None:
    page = (repository / "docs" / "traps.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 47))
    tested: dict[int, str] = {}
    for name, function in globals().items():
        match = re.match(r"test_(\d\d)_", name)
        if match:
            text = Path(__file__).read_text(encoding="utf-8").split(f"def {function.__name__}(")[1]
            tested[int(match[1])] = tested.get(int(match[1]), "") + text.split("\n\n\n")[0]
    assert sorted(tested) == list(range(1, 47))
    for number, _, outcome, _ in rows:
        codes = re.findall(r"NKL\d{3}", outcome)
        assert codes or outcome == "impossible", number
        assert set(codes) == set(re.findall(r"NKL\d{3}", tested[int(number)])), number


ROUNDED = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def k(x):
    out = nl.ndarray(x.shape, dtype=nl.float32, buffer=nl.shared_hbm)
    t = nl.ndarray((32, 24), dtype={tile}, buffer=nl.sbuf)
    t[...] = nl.multiply(nl.load(x[0:32, 0:24]), 1.1, dtype={said})
    nl.store(out, t)
    return out
"""


@pytest.mark.parametrize(
    ("tile", "said", "noted"),
    [
        ("nl.float32", "nl.bfloat16", True),
        ("x.dtype", "nl.bfloat16", True),
        ("nl.float32", "nl.float32", False),
        ("nl.bfloat16", "nl.float32", False),
        ("nl.bfloat16", "nl.bfloat16", False),
    ],
)
def test_a_result_that_is_rounded_once_now_is_told_of(tile: str, said: str, noted: bool) -> None:
    text = ROUNDED.format(tile=tile, said=said)
    notes = [f for f in migrate({"app.py": text}).findings if f.code == "NKL505"]
    assert [f.line for f in notes] == ([9] if noted else [])
    if not noted:
        same(text, np.random.default_rng(5).normal(size=(32, 24)).astype(np.float32))
