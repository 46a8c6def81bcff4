"""A core to allocate on, as inside a kernel."""

from __future__ import annotations

import pytest

from nkisim.core.context import Core, state


@pytest.fixture(autouse=True)
def core(request):
    """Core 0 of 1; some modules launch their own."""
    if request.module.__name__.rpartition(".")[2] in {
        "test_launch",
        "test_arguments",
        "test_trace",
        "test_precision",
        "test_repeated",
        "test_replay",
        "test_lending",
    }:
        yield None
        return
    state.core = Core(0, 1, ())
    yield state.core
    state.core = None
