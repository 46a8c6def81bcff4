"""``nki.typing``: annotations of kernel parameters."""

from __future__ import annotations

from typing import Any


class tensor:
    """A tensor parameter; ``tensor[shape]`` may state its shape, which nothing checks."""

    def __class_getitem__(cls, shape: Any) -> type[tensor]:
        return cls


class mutable_tensor(tensor):
    """A tensor parameter that the kernel writes; the caller's array is updated in place."""
