"""A core to allocate on, as inside a kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nkisim.core.context import Core, state


@pytest.fixture
def core() -> Iterator[None]:
    """Core 0 of 1 of a trn3, whose SBUF is the largest; for tests that launch nothing."""
    before, state.generation = state.generation, 4
    state.core = Core(0, 1, ())
    yield
    state.core, state.generation = None, before
