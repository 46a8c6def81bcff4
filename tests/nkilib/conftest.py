"""Importing nkilib makes ``import nki`` work, also for tests that import nki first. Launches are strict."""

from __future__ import annotations

from collections.abc import Iterator

import expected_errors
import pytest

import nkilib  # noqa: F401
import nkisim
from nkisim.checks import session


@pytest.fixture(autouse=True)
def seen_errors(request: pytest.FixtureRequest) -> None:
    expected_errors.begin(request.node.nodeid)


@pytest.fixture(autouse=True)
def strict_launches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No launch reads what nothing wrote, or leaves a range that the hardware has.

    Kernels of tests may be any Python; that nkilib's are in the NKI language is in ``test_language.py``.
    """
    monkeypatch.setattr(session, "check_source", lambda function: None)
    with nkisim.strict():
        yield
