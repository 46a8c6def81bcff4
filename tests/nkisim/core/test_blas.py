"""The number of BLAS threads while kernels run."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from nkisim.core import blas


def _threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_blas_has_one_thread_within_and_what_it_had_afterwards() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    if not _threads():
        pytest.skip("NumPy was built with a BLAS that threadpoolctl does not know")
    with threadpool_limits(limits=2, user_api="blas"):
        before = _threads()
        with blas.OneThread():
            assert _threads() == {1}
        assert _threads() == before
