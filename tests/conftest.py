"""What all tests share: the root of the repository, and hypothesis settings that no machine influences."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine must not fail a property, and a failure must come back on the next run.
settings.register_profile("repository", deadline=None, derandomize=True)
settings.load_profile("repository")

# A shell starts what runs in its background with interrupts ignored, and so would the tests of interrupts be.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def hangups() -> Iterator[None]:
    """What a test starts ends when its terminal does, also where ``nohup`` started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
