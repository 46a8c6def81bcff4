"""Kernels of one body: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
import pytest

import nkisim.beta1 as nki
import nkisim.beta1.language as nl


@pytest.fixture
def run():
    """``run(body, *arrays)``: what ``body`` makes of the arrays' tiles, stored to HBM."""

    def launch(body, *arrays, kernel=None):
        def function(*tensors):
            result = body(*(nl.load(tensor) for tensor in tensors))
            out = nl.ndarray(result.shape, dtype=result.dtype, buffer=nl.shared_hbm)
            nl.store(out, result)
            return out

        return nki.jit(kernel or function)(*arrays)

    return launch


@pytest.fixture
def rng():
    return np.random.default_rng(11)
