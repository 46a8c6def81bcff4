"""Adapters: who meets them, what they look like, and that code of 2.28 does not notice them."""

from __future__ import annotations

import oldcode
import pytest
from missing import exists
from oldcalls import HOST, MLP
from snapshots import Snapshot

from nkimigrate.releases import load

HEAD = HOST.replace("{root}", "nkilib")
NEW_CALLS = {
    "mlp by keyword": (
        "mlp.mlp import mlp",
        f"{MLP}result = mlp(hidden, gate, up, down, output_dtype=nl.float32, activation_fn=ActFnType.GELU)",
    ),
    "mlp by position": (
        "mlp.mlp import mlp",
        f"{MLP}nothing = [None] * 6\n"
        "result = mlp(hidden, gate, up, down, *nothing, False, ActFnType.SiLU, NormType.NO_NORM, QuantizationType.NONE)",
    ),
    "output projection by position": (
        "output_projection.output_projection_tkg import output_projection_tkg",
        "a, w, b = bf16(128, 1, 2, 4), bf16(256, 512), bf16(1, 512)\n"
        "result = output_projection_tkg[2](a, w, b, QuantizationType.NONE, None, None, True)",
    ),
    "a norm's output by position": (
        "subkernels.layernorm_tkg import layernorm_tkg",
        "def kernel(x, g):\n"
        "    out = nl.ndarray((128, 4, 2), dtype=x.dtype, buffer=nl.shared_hbm)\n"
        "    return layernorm_tkg(x, g, out)\n"
        "result = nki.jit(kernel)(bf16(1, 4, 256), bf16(1, 256))",
    ),
    "rmsnorm's output by position": (
        "subkernels.rmsnorm_tkg import rmsnorm_tkg",
        "def kernel(x, g):\n"
        "    out = nl.ndarray((128, 4, 2), dtype=x.dtype, buffer=nl.shared_hbm)\n"
        "    return rmsnorm_tkg(x, g, out, 1e-3, 200)\n"
        "result = nki.jit(kernel)(bf16(1, 4, 256), bf16(1, 256))",
    ),
    "a scope": (
        "utils.allocator import Scope",
        "result = [vars(Scope(0, 1, 'n')), vars(Scope(0, 1, 'n', 2))]",
    ),
    "a tile": (
        "utils.tiled_range import TiledRangeIterator",
        "result = vars(TiledRangeIterator(4, 1, 8, 10))",
    ),
    "arguments of a kernel": (
        "rmsnorm.rmsnorm_quant import RmsNormQuantKernelArgs",
        "result = vars(RmsNormQuantKernelArgs(0.0, NormType.NO_NORM, QuantizationType.ROW, 1e-3))",
    ),
    "a logger": ("utils.logging import Logger, LogLevel", "result = vars(Logger('q', LogLevel.WARN))"),
    "a view": (
        "utils.tensor_view import TensorView",
        "v = TensorView(nl.ndarray((4, 16), dtype=nl.float32, buffer=nl.hbm))\n"
        "result = [v.reshape_dim(1, shape=(2, 8)).shape, TensorView.get_trivial_strides((2, 3))]",
    ),
}


@pytest.mark.parametrize(("imported", "text"), NEW_CALLS.values(), ids=NEW_CALLS)
def test_calls_of_the_new_release_pass_unchanged_and_in_silence(imported: str, text: str) -> None:
    source = f"{HEAD}from nkilib.core.{imported}\n{text}\nresult = repr(result)\n"
    here, there = oldcode.run(source), oldcode.run(source, "nkilib")
    assert (here.error, here.warnings) == ("", [])
    assert here.result == there.result


def test_the_library_itself_never_meets_an_adapter() -> None:
    ran = oldcode.run(f"""{HEAD}import sys
from nkilib.core.mlp.mlp import mlp_kernel
from nkilib.compat.adapters import Adapter
{MLP}mlp_kernel(hidden, gate, up, down)
modules = [m for name, m in sys.modules.items() if name.startswith("nkilib.") and "compat" not in name]
result = [f"{{m.__name__}}.{{n}}" for m in modules for n, v in vars(m).items() if isinstance(v, Adapter)]
""")
    assert (ran.error, ran.result) == ("", [])


def test_launches_partials_and_jit_go_through() -> None:
    ran = oldcode.run(f"""{HEAD}import functools, copy, pickle
from nkilib.core.mlp.mlp import mlp_kernel, mlp
{MLP}tail = [None] * 6 + [False, ActFnType.SiLU, NormType.NO_NORM, nl.float32]
wanted = mlp[2](hidden, gate, up, down, output_dtype=nl.float32)[0]
calls = [
    mlp_kernel[2], mlp_kernel[(2,)], copy.copy(mlp_kernel)[2], nki.jit(mlp_kernel)[2],
    functools.partial(mlp_kernel[2], hidden),
]
made = [calls[0](hidden, gate, up, down, *tail), calls[1](hidden, gate, up, down, *tail),
        calls[2](hidden, gate, up, down, *tail), calls[3](hidden, gate, up, down, *tail),
        calls[4](gate, up, down, *tail)]
result = [m[0].dtype == np.float32 and m[0].tobytes() == wanted.tobytes() for m in made]
assert pickle.loads(pickle.dumps(mlp_kernel)) is mlp_kernel
assert pickle.loads(pickle.dumps(mlp)) is mlp
""")
    assert (ran.error, ran.result) == ("", [True] * 5)


def test_signatures_names_and_documentation() -> None:
    ran = oldcode.run("""
import inspect
from nkilib.core.mlp.mlp import mlp_kernel, mlp
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg
def shown(thing):
    parameters = inspect.signature(thing).parameters.values()
    listed = [p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters]
    return [thing.__name__, thing.__doc__ == thing.__wrapped__.__doc__, listed]
result = [shown(mlp_kernel), shown(mlp), shown(rmsnorm_tkg)]
""")
    assert ran.error == ""
    recorded = {release: Snapshot(release).signature for release in ("2.27", "2.28")}
    assert ran.result == [
        ["mlp_kernel", True, recorded["2.27"]("nkilib.core.mlp.mlp.mlp_kernel")],
        ["mlp", True, recorded["2.28"]("nkilib.core.mlp.mlp.mlp")],
        ["rmsnorm_tkg", True, recorded["2.28"]("nkilib.core.subkernels.rmsnorm_tkg.rmsnorm_tkg")],
    ]


def test_every_changed_callable_can_be_inspected() -> None:
    """Under its own name it has the signature of 2.28, under a name that is gone that of 2.27."""
    old, new = Snapshot("2.27"), Snapshot("2.28")
    kernels = {
        form.name: change.name
        for change in load("2.27", "2.28").calls
        for form in change.old
        if form.rewrite != "human" and not change.name.split(".")[-2][:1].isupper() and form.dialect == "2.27"
    }
    names = {name: now for name, now in kernels.items() if exists(now.rpartition(".")[0])}
    ran = oldcode.run(f"""
import inspect
result = {{}}
for name in {list(names)!r}:
    module, _, last = name.rpartition(".")
    space = {{}}
    try:
        exec(f"from {{module}} import {{last}} as found", space)
    except ImportError as error:
        assert "inside" in str(error)
        continue
    found = space["found"]
    if not isinstance(found, type):
        result[name] = [p.name for p in inspect.signature(found).parameters.values()]
""")
    assert ran.error == ""
    assert len(ran.result) >= 16
    for name, found in ran.result.items():
        same = names[name].rpartition(".")[2] == name.rpartition(".")[2]
        recorded = new.signature(names[name]) if same else old.signature(name)
        assert found == [text.partition("=")[0] for text in recorded], name


def test_objects_are_of_the_library_s_own_classes() -> None:
    ran = oldcode.run(f"""{HEAD}import copy, dataclasses, pickle
from nkilib.core.utils.tiled_range import TiledRange, TiledRangeIterator
from nkilib.core.rmsnorm.rmsnorm_quant import RmsNormQuantKernelArgs
from nkilib.core.utils.tensor_view import TensorView
x = nl.ndarray((4, 16), dtype=nl.float32, buffer=nl.hbm)
class Mine(TensorView):
    def __init__(self, base, extra):
        super().__init__(base)
        self.extra = extra
class Plain(TensorView):
    pass
class Old(TensorView):
    def __init__(self, base, sizes):
        super().__init__(base, sizes=sizes, offset=2)
def matched(thing):
    match thing:
        case TensorView():
            return True
args = RmsNormQuantKernelArgs(0.5, NormType.NO_NORM, 1e-3)
mine = Mine(x, 3)
result = [
    isinstance(TiledRange(8, 4)[0], TiledRangeIterator), type(TiledRangeIterator(4, 0, 0)) == TiledRangeIterator,
    dict([(TiledRangeIterator, 1)])[type(TiledRange(8, 4)[0])] == 1, matched(TensorView(x)),
    pickle.loads(pickle.dumps(TensorView)) is TensorView, copy.deepcopy(args) == args,
    issubclass(Mine, TensorView), issubclass(type(TensorView(x)), TensorView), not isinstance(x, TensorView),
    not isinstance(TensorView(x), Mine), dataclasses.replace(args, eps=1.0).eps == 1.0,
    pickle.loads(pickle.dumps(args)) == args, isinstance(mine, TensorView), mine.extra == 3,
    Plain(x, [2, 8], [8, 1]).sizes == [2, 8], type(Plain(x)) is Plain,
    (Old(x, [2, 4]).shape, Old(x, [2, 4]).offset, type(Old(x, [8]))) == ((2, 4), 2, Old),
]
""")
    assert (ran.error, ran.result) == ("", [True] * 17)


def test_views_have_sizes_and_methods_take_them() -> None:
    ran = oldcode.run(f"""{HEAD}from nkilib.core.utils.tensor_view import TensorView
x = nl.ndarray((4, 16), dtype=nl.float32, buffer=nl.hbm)
v = TensorView(x).slice(1, 0, 8)
result = [v.sizes, v.sizes + [1], v.reshape_dim(dim=1, sizes=[2, 4]).sizes, v.reshape_dim(1, sizes=(4, 2)).shape,
          TensorView.get_trivial_strides(sizes=(2, 3)), TensorView.reshape_dim(v, 1, sizes=[8]).sizes]
""")
    assert (ran.error, ran.result) == ("", [[4, 8], [4, 8, 1], [4, 2, 4], (4, 4, 2), (3, 1), [4, 8]])
    assert "TensorView.sizes is shape in nkilib 2.28." in ran.said()


def test_numpy_s_integers_select_as_python_s_do() -> None:
    ran = oldcode.run(f"""{HEAD}from nkilib.core.utils.tensor_view import TensorView
view = TensorView(tensor(4, 16))
wanted = view.select(1, 3)
made = [view.select(1, np.int64(3)), view.select(dim=1, index=np.uint8(3))]
result = [(m.shape, m.offset, m.has_dynamic_access()) == (wanted.shape, wanted.offset, False) for m in made]
""")
    assert (ran.error, ran.result) == ("", [True, True])
    assert "index that is known only when it runs; write int(…)." in ran.said()


def test_loggers() -> None:
    ran = oldcode.run("""
import nkilib.core.utils.logging as log
before = log.GLOBAL_LOG_LEVEL
child = log.Logger("q", log.LogLevel.ERROR).create_child("cte")
other = log.Logger("q").create_child("tkg", log.LogLevel.DEBUG)
log.GLOBAL_LOG_LEVEL = log.LogLevel.OFF
levels = [log.Logger("a").level, log.Logger("a", None).level, log.get_logger("b").level, log.logger.level]
kept = log.Logger("a", log.LogLevel.WARN).level
result = [before.name, child.name, child.level.name, other.level.name, kept.name, {level.name for level in levels}]
log.GLOBAL_LOG_LEVEL = before
""")
    assert (ran.error, ran.result) == ("", ["INFO", "q.cte", "ERROR", "DEBUG", "WARN", {"OFF"}])


def test_a_form_without_a_rule_says_what_to_do() -> None:
    ran = oldcode.run("""
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg_llama_impl
rmsnorm_tkg_llama_impl(inp=1, gamma=2, result=3, bs_lb=0, bs_count=1, lnc=1, hidden_actual=0, eps=0.1,
                       use_heap_memory=False, sbm=None)
""")
    assert ran.error.startswith("TypeError: ")
    assert "Call rmsnorm_tkg; this implementation works on TensorViews now" in ran.error
    ran = oldcode.run("""
from nkilib.core.output_projection.output_projection_utils import calculate_head_packing as pack
result = pack(4, 64, 128, None)
pack(4, 64, 128, object())
""")
    assert "Drop quant_config; the quantized path packs its heads itself." in ran.error
    assert ran.result == (2, 128, 2)


def test_a_call_that_fits_no_release_fails_as_in_the_new_one() -> None:
    ran = oldcode.run(
        "from nkilib.core.utils.tiled_range import TiledRangeIterator\nTiledRangeIterator(1, nope=2)\n"
    )
    assert "TypeError" in ran.error
    assert "nope" in ran.error


def test_a_class_with_an_ordinary_metaclass_has_a_facade_as_well() -> None:
    ran = oldcode.run("""
from nkilib.compat.adaptation import Adaptation
from nkilib.compat.classes import facade_of, make_facade
class Tile:
    def __init__(self, tile_size, tile_index, start_offset, end_offset):
        self.all = [tile_size, tile_index, start_offset, end_offset]
make_facade(Tile, Adaptation("nkilib.core.utils.tiled_range.TiledRangeIterator"))
Old = facade_of(Tile)
result = [Old(4, 1, 8).all, Old(4, 1, 8, 10).all, type(Old(4, 1, 8)) is Tile, facade_of(int) is int]
""")
    assert (ran.error, ran.result) == ("", [[4, 1, 8, 12], [4, 1, 8, 10], True, True])


def test_kernels_that_call_adapters_are_accepted_by_strict_launches() -> None:
    ran = oldcode.run(f"""{HEAD}import nkisim
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg
from nkilib.core.utils.tensor_view import TensorView
from nkilib.core.utils.tiled_range import TiledRangeIterator
from nkilib.core.mlp.mlp import mlp_kernel
{MLP}
@nki.jit
def kernel(x, gamma):
    view = TensorView(x, [4, 256])
    tile = TiledRangeIterator(2, 1, 2)
    rows = view.reshape_dim(dim=1, sizes=[2, 128]).slice(0, tile.start_offset, tile.end_offset)
    output = rmsnorm_tkg(x, gamma, 1e-3)
    return output, rows.sizes[1]

with nkisim.strict():
    output, count = kernel(hidden, gamma)
    mlp_kernel[2](hidden, gate, up, down)
result = [output.shape, count]
""")
    assert (ran.error, ran.result) == ("", [(128, 4, 2), 2])
