"""What kernels take and give, taken apart: containers into leaves, leaves into arrays."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any


def leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """What a result is made of, with names such as ``result[1]``. None counts only inside of containers."""
    if value is None and name == "result":
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(item, f"{name}[{index}]")
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        for key in value.__dataclass_fields__:
            yield from leaves(getattr(value, key), f"{name}.{key}")
    else:
        yield name, value


def arrays(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The arrays in a value, each with the path to it, such as ``weights[1]``; ``name``: the value's."""
    import numpy as np

    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from arrays(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from arrays(item, f"{name}[{index}]")


def as_array(item: Any) -> Any:
    """A NumPy array for what is one in any framework, and for numbers; None for anything else."""
    import numpy as np

    if isinstance(item, np.ndarray):
        return np.ascontiguousarray(item).reshape(item.shape)
    if isinstance(item, bool | int | float | np.generic):
        return np.asarray(item)
    if type(item).__module__.partition(".")[0] == "torch" and hasattr(item, "detach"):
        from nkisim.core.arguments import from_torch

        return np.ascontiguousarray(from_torch(item))
    if hasattr(item, "__array__"):
        return np.ascontiguousarray(np.asarray(item))
    return None


def digest(item: Any) -> str:
    """Equal for equal inputs: of arrays their type, shape and bytes; "" for what has no bytes to compare."""
    import numpy as np

    found = [
        f"{name}:{a.dtype.name}{list(a.shape)}{zlib.crc32(np.ascontiguousarray(a).tobytes())}"
        for name, a in arrays(item, "")
    ]
    return " ".join(found)
