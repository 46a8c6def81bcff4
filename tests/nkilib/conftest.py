"""Importing nkilib makes ``import nki`` work, also for tests that import nki first."""

from __future__ import annotations

import nkilib  # noqa: F401
