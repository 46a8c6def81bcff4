"""Kernels of these tests are in the NKI language: they are launched strictly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import nkisim


@pytest.fixture(autouse=True)
def strict_launches() -> Iterator[None]:
    with nkisim.strict():
        yield
