"""nkilib.compat.legacy_behaviour(): what 2.27 computed, where that is known, for as long as it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import oldcode
import pytest
from kernels import cast, check_close
from oldcalls import HOST, MLP, NORM

from nkimigrate.releases import load

HEAD = HOST.replace("{root}", "nkilib") + "import nkilib.compat\n"
RELEASE = load("2.27", "2.28")


def test_every_row_is_one_of_the_table() -> None:
    ran = oldcode.run("""
from nkilib.compat.behaviour import LEGACY
from nkilib.compat.methods import LEGACY_METHODS
result = {*LEGACY, *(row for row, _ in LEGACY_METHODS.values())}
""")
    assert ran.result
    assert ran.result <= {behaviour.id for behaviour in RELEASE.behaviours}


def mlp_of(act: Any) -> Any:
    """``(act(x·G) · (x·U)) · D`` of what MLP draws, in float64 with bf16 between."""
    draw = np.random.default_rng(7)
    shapes = ((1, 4, 256), (256, 128), (256, 128), (128, 256))
    hidden, gate, up, down = (
        cast(draw.normal(size=shape) * 0.25, "bfloat16").astype(np.float64) for shape in shapes
    )
    return (act(hidden @ gate) * (hidden @ up)) @ down


def gelu(x: Any) -> Any:
    return x * 0.5 * (1 + np.vectorize(__import__("math").erf)(x / np.sqrt(2)))


def silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


@pytest.mark.parametrize("call", ["mlp_kernel(hidden, gate, up, down, activation_fn=ActFnType.GELU)[0]",
                                  "mlp_kernel(hidden, gate, up, down, *[None] * 6, False, 'gelu')[0]"])  # fmt: skip
def test_the_activation_counts_unless_legacy_behaviour_is_asked_for(call: str) -> None:
    ran = oldcode.run(f"""{HEAD}from nkilib.core.mlp.mlp import mlp_kernel
{MLP}now = {call}
with nkilib.compat.legacy_behaviour():
    before = {call}
result = [now, before, {call}]
""")
    assert ran.error == ""
    check_close(ran.result[0], mlp_of(gelu), 2e-2)
    check_close(ran.result[1], mlp_of(silu), 2e-2)
    check_close(ran.result[2], mlp_of(gelu), 2e-2)
    said = [text for _, _, text in ran.warnings if "2.27 ran SiLU whatever was passed" in text]
    assert len(said) == 2


VALUES = {
    "activation-lookup": (
        "kernel_helpers import get_nl_act_fn_from_type",
        "str(get_nl_act_fn_from_type(ActFnType.GELU))",
        ["nl.gelu", "nl.silu"],
    ),
    "max-positive-value": (
        "kernel_helpers import get_max_positive_value_for_dtype as most",
        "[most('float8e4'), most(nl.float8_e5m2)]",
        [[240.0, 57344.0], [None, 57344.0]],
    ),
}


@pytest.mark.parametrize("row", VALUES)
def test_helpers(row: str) -> None:
    name, call, (now, before) = VALUES[row]
    ran = oldcode.run(f"""{HEAD}from nkilib.core.utils.{name}
result = [{call}]
with nkilib.compat.legacy_behaviour():
    result += [{call}]
result += [{call}]
""")
    assert (ran.error, ran.warnings) == ("", [])
    assert ran.result == [now, before, now]


def test_heads_larger_than_the_partitions() -> None:
    ran = oldcode.run(f"""{HEAD}from nkilib.core.output_projection.output_projection_utils import *
with nkilib.compat.legacy_behaviour():
    result = [calculate_head_packing(4, 256, 128), calculate_head_packing(4, 64, 128)]
""")
    assert (ran.error, ran.result) == ("", [(4, 256, 1), (2, 128, 2)])


def test_tp_broadcast_is_put_where_it_was() -> None:
    ran = oldcode.run(f"""{HEAD}from unittest import mock
from nkilib.compat.adaptation import Adaptation
call = Adaptation("nkilib.core.utils.tp_broadcast.tp_broadcast").call
given = lambda src, dst, src_offset, psum_address=None: psum_address
result = [call(given, (1, 2, 3), {{}})]
with nkilib.compat.legacy_behaviour():
    result += [call(given, (1, 2, 3), {{}}), call(given, (1, 2, 3, (2, 0)), {{}})]
""")
    assert (ran.error, ran.result) == ("", [None, (0, 0), (2, 0)])


def test_a_norm_leaves_its_scope_open_to_the_caller() -> None:
    source = f"""{HEAD}from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg
from nkilib.core.utils.allocator import SbufManager
{NORM}
open_scopes = []

@nki.jit
def kernel(x, gamma):
    manager = SbufManager(0, 128 * 1024)
    manager.open_scope()
    output = rmsnorm_tkg(x, gamma, output_in_sbuf=True, use_heap_memory=True, sbm=manager)
    open_scopes.append((len(manager.scopes), len(manager.heap)))
    stored = nl.ndarray(output.shape, dtype=output.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=stored, src=output)
    return stored

now = kernel(x, gamma)
with nkilib.compat.legacy_behaviour():
    before = kernel(x, gamma)
result = [open_scopes, now.tobytes() == before.tobytes()]
"""
    ran = oldcode.run(source)
    assert (ran.error, ran.result) == ("", [[(1, 1), (2, 1)], True])


def test_slices_end_inside_their_dimension() -> None:
    ran = oldcode.run(f"""{HEAD}from nkilib.core.utils.tensor_view import TensorView
view = TensorView(tensor(4, 16))
result = [view.slice(1, 8, 99).shape]
with nkilib.compat.legacy_behaviour():
    result += [view.slice(1, 8, 16).shape, view.slice(dim=1, start=0, end=9, step=2).shape]
    try:
        view.slice(1, 8, 17)
    except AssertionError as error:
        result += ["17" in str(error)]
result += [view.slice(1, 8, 17).shape]
""")
    assert (ran.error, ran.result) == ("", [(4, 8), (4, 8), (4, 5), True, (4, 8)])


def test_what_asks_for_no_alignment_gets_none() -> None:
    ran = oldcode.run(f"""{HEAD}from nkilib.core.utils.allocator import SbufManager
def addresses():
    manager = SbufManager(0, 4096)
    manager.open_scope()
    manager.alloc_stack((128, 3), dtype=nl.int8)
    manager.alloc((128, 2), dtype=nl.float32)
    first = manager.get_stack_curr_addr()
    manager.alloc_stack((128, 2), nl.float32, align=32)
    return [first, manager.get_stack_curr_addr()]
@nki.jit
def kernel(x):
    found.append(addresses())
    return x
found = []
kernel(bf16(1, 1))
with nkilib.compat.legacy_behaviour():
    kernel(bf16(1, 1))
result = found
""")
    assert (ran.error, ran.result) == ("", [[12, 40], [11, 40]])
