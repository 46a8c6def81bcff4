"""jit in all its forms, launches, and arrays in and out."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkisim import isa as nisa
from nkisim import language as nl
from nkisim.core.errors import SimulationError
from nkisim.kernel import Kernel, jit, simulate

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def doubled(x: Any) -> Any:
    """Twice the input."""
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_compute(out, [x, x], [1.0, 1.0], nl.add)
    return out


@pytest.mark.parametrize(
    "decorate",
    [jit, jit(), jit(mode="jax"), jit(mode="trace", platform_target="trn2"), jit(debug=True), simulate],
)
def test_forms(decorate: Any) -> None:
    kernel = decorate(doubled)
    assert np.array_equal(kernel(X), 2 * X)
    assert (kernel.__name__, kernel.__doc__, kernel.__wrapped__) == ("doubled", "Twice the input.", doubled)


def test_jit_of_a_kernel_keeps_the_function() -> None:
    again = jit(jit(doubled, platform_target="trn3"), mode="trace")
    assert (again.function, again.platform) == (doubled, "trn3")


@pytest.mark.parametrize("grid", [1, 2, (1,), (2,), nl.nc(2), np.int64(2)])
def test_subscripts(grid: Any) -> None:
    kernel = jit(doubled)
    assert np.array_equal(kernel[grid](X), 2 * X)
    assert kernel.grid == ()


@pytest.mark.parametrize("grid", [0, 3, (1, 2), (), -1])
def test_refused_subscripts(grid: Any) -> None:
    with pytest.raises(ValueError, match="a launch takes one number of cores, 1 to 2"):
        jit(doubled)[grid]


@pytest.mark.parametrize(
    ("target", "version"), [("trn1", "gen2"), ("trn2", "gen3"), ("trn3", "gen4"), ("gen4", "gen4")]
)
def test_target(target: str, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def kernel() -> None:
        seen.append(nisa.get_nc_version().name)

    jit(kernel, platform_target=target)()
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", target)
    jit(kernel)()
    jit(kernel, platform_target="trn1")()
    assert seen == [version, version, "gen2"]


def test_unknown_target() -> None:
    with pytest.raises(ValueError, match="unknown platform target 'trn9'"):
        jit(doubled, platform_target="trn9")(X)


def test_nested_kernels_run_inline() -> None:
    cores = []

    @jit(platform_target="trn1")
    def inner(x: Any) -> Any:
        cores.append((nl.program_id(0), nl.num_programs()))
        assert isinstance(x, nl.ndarray)
        return doubled(x)

    @jit
    def outer(x: Any) -> Any:
        return inner[2](inner(x))

    assert np.array_equal(outer[2](X), 4 * X)
    assert sorted(cores) == [(0, 2), (0, 2), (1, 2), (1, 2)]


def test_method() -> None:
    class Model:
        @jit
        def kernel(self, x: Any) -> Any:
            return doubled(x)

    assert np.array_equal(Model().kernel(X), 2 * X)


def test_simulate_takes_what_others_wrapped() -> None:
    def foreign(x: Any) -> Any:
        raise RuntimeError("on a device only")

    foreign.__wrapped__ = doubled  # type: ignore[attr-defined]
    assert isinstance(simulate(foreign), Kernel)
    assert np.array_equal(simulate(foreign)[2](X), 2 * X)


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int32, np.uint8, ml_dtypes.bfloat16])
def test_numpy_in_and_out(kind: Any) -> None:
    result = jit(doubled)(X.astype(kind))
    assert isinstance(result, np.ndarray)
    assert (result.dtype, result.tolist()) == (np.dtype(kind), (2 * X).tolist())


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("turn", [False, True])
def test_parameters_are_updated_in_place(cores: int, kind: Any, turn: bool) -> None:
    """Also those that could not be shared: other types, and arrays that are not contiguous."""

    def kernel(cache: Any, new: Any) -> Any:
        nisa.dma_copy(cache[1:2], new)
        return cache

    cache = np.zeros((3, 4), kind).T if turn else np.zeros((4, 3), kind)
    result = jit(kernel)[cores](cache, np.full((1, 3), 5, kind))
    expected = [[0] * 3, [5] * 3, [0] * 3, [0] * 3]
    assert cache.tolist() == expected
    assert np.asarray(result).tolist() == expected


def test_results_keep_their_structure() -> None:
    def kernel(x: Any, options: dict[str, Any]) -> Any:
        return [doubled(x), (doubled(options["y"]), None)], {"z": doubled(x)}

    (first, (second, nothing)), named = jit(kernel)(X, {"y": X + 1})
    assert nothing is None
    assert [first.tolist(), second.tolist(), named["z"].tolist()] == [
        (2 * X).tolist(),
        (2 * X + 2).tolist(),
        (2 * X).tolist(),
    ]


def test_each_core_has_its_own_objects() -> None:
    class Config(nl.NKIObject):
        marks = 0

    seen = []

    def kernel(config: Any) -> None:
        config.marks += 1
        seen.append(config.marks)

    config = Config()
    jit(kernel)[2](config)
    assert (seen, config.marks) == ([1, 1], 0)


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int32"])
def test_torch_in_and_out(kind: str) -> None:
    torch = pytest.importorskip("torch")

    def kernel(cache: Any, x: Any) -> Any:
        nisa.dma_copy(cache, x)
        return doubled(x)

    x, cache = (
        torch.arange(6).reshape(2, 3).to(getattr(torch, kind)),
        torch.zeros(2, 3, dtype=getattr(torch, kind)),
    )
    result = jit(kernel)(cache, x)
    assert isinstance(result, torch.Tensor)
    assert result.dtype is x.dtype
    assert torch.equal(result, 2 * x)
    assert torch.equal(cache, x)


def test_error_names_the_kernel_s_line() -> None:
    def kernel(x: Any) -> None:
        nisa.dma_copy(nl.ndarray((2, 2), nl.float32), x)

    with pytest.raises(SimulationError) as caught:
        jit(kernel)(X)
    assert str(caught.value).startswith(f"{__file__}:{kernel.__code__.co_firstlineno + 1}: nisa.dma_copy: ")


def test_annotations_and_decorators() -> None:
    import nkisim.compiler as ncc
    import nkisim.dtype as dt
    import nkisim.typing as nt

    @ncc.enable_stack_allocator
    @ncc.skip_middle_end_transformations()
    def kernel(x: nt.mutable_tensor[2, 3], kind: dt | None = None) -> Any:  # type: ignore[valid-type]
        return doubled(x)

    assert np.array_equal(jit(kernel)(X), 2 * X)
    assert (dt | None) == (None | dt)  # type: ignore[operator]
    assert dt.bfloat16 is nl.bfloat16


class Model:
    """A class whose method is a kernel."""

    factor = 3.0

    @jit
    def scaled(self, x: Any) -> Any:
        tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=tile, src=x)
        nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=self.factor)
        out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
        nisa.dma_copy(dst=out, src=tile)
        return out


def test_kernels_as_methods_and_their_names() -> None:
    x = np.ones((2, 3), np.float32)
    assert Model().scaled(x).tolist() == [[3.0] * 3] * 2
    assert simulate(Model().scaled)[1](x).tolist() == [[3.0] * 3] * 2
    assert isinstance(Model.scaled, Kernel)
    assert repr(Model.scaled[2]) == "<kernel Model.scaled[2]>"
    assert repr(Model.scaled) == "<kernel Model.scaled>"
