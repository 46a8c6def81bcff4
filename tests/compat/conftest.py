"""The processes in which 2.27 code runs end with the tests."""

from __future__ import annotations

from collections.abc import Iterator

import oldcode
import pytest


@pytest.fixture(autouse=True, scope="session")
def _processes() -> Iterator[None]:
    yield
    oldcode.stop()
