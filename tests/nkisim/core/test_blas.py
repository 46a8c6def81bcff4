"""The number of BLAS threads while kernels run."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from nkisim.core import blas


@pytest.fixture(autouse=True)
def _forget() -> Any:
    blas._controller.cache_clear()
    yield
    blas._controller.cache_clear()


def test_threadpoolctl_sets_one_thread_and_sets_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = [8]

    class Limit:
        def __enter__(self) -> None:
            threads.append(1)

        def __exit__(self, *_: object) -> None:
            threads.append(8)

    class ThreadpoolController:
        def limit(self, limits: int, user_api: str) -> Limit:
            assert (limits, user_api) == (1, "blas")
            return Limit()

    module = ModuleType("threadpoolctl")
    module.ThreadpoolController = ThreadpoolController  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "threadpoolctl", module)
    with blas.one_thread():
        assert threads[-1] == 1
    assert threads == [8, 1, 8]


def test_nothing_happens_without_threadpoolctl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with blas.one_thread() as given:
        assert given is None
