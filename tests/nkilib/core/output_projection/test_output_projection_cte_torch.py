"""The torch reference of the output projection beside the NumPy one."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import check_close, rejected

from nkilib.core.output_projection.output_projection_cte.output_projection_cte_torch import (
    output_projection_cte_torch_ref,
)
from nkilib.core.utils.common_types import QuantizationType

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("scales", [None, (0.02, -0.25), (1e-4, 0.5)])
def test_reference(scales: tuple[float, float] | None, biased: bool) -> None:
    """The smallest scale clips everything."""
    draw = np.random.default_rng(3)
    attention = draw.standard_normal((2, 3, 16, 20)).astype(np.float32)
    weight = draw.integers(-8, 9, (48, 40)).astype(np.float32)
    bias = draw.standard_normal((1, 40)).astype(np.float32)
    values, factor, options = attention.astype(np.float64), 1.0, []
    if scales:
        clipped = torch.from_numpy(np.clip(attention / np.float32(scales[0]), -240, 240))
        values = clipped.to(torch.float8_e4m3fn).double().numpy()
        factor = scales[0] * scales[1]
        options = [torch.full((128, 1), scale) for scale in scales] + [QuantizationType.STATIC]
    want = np.zeros((2, 20, 40))
    for head in range(3):
        want += np.swapaxes(values[:, head], 1, 2) @ weight[16 * head : 16 * head + 16]
    want = want * factor + (bias if biased else 0)
    given = [torch.from_numpy(attention), torch.from_numpy(weight)]
    got = output_projection_cte_torch_ref(*given, torch.from_numpy(bias) if biased else None, *options)
    assert got.dtype == torch.float32
    check_close(got.numpy(), want, 1e-6)


def test_dtype_and_quantisation() -> None:
    tensors = torch.ones(1, 1, 2, 3), torch.ones(2, 5)
    assert output_projection_cte_torch_ref(*tensors, dtype=torch.bfloat16).dtype == torch.bfloat16
    with rejected("quantization_type must be NONE or STATIC"):
        output_projection_cte_torch_ref(*tensors, quantization_type=QuantizationType.ROW)
