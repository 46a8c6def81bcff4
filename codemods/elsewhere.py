"""What files tell each other about their kernels: what became of them, and how they are launched."""

from __future__ import annotations

from .record import record

Grid = tuple[str, ...] | None
"""The extents of a launch's grid of programs, as code in terms of the arguments (see :func:`argument`).

No extents for a call without a grid; None where they are not known.
"""


@record
class Seen:
    """A launch of a kernel, as the kernel's file needs to know it.

    Attributes:
        grid: its grid of programs.
        brackets: what stands in them: ``cores``, ``programs``, or ``mixed`` when only a person can move them,
            since there are cores among programs; ``none`` where there are no brackets.
        own: arguments that are variables which nobody else has the tensor of, with their names: they can take
            what the kernel returns. None where that is somebody else's matter.
    """

    grid: Grid
    brackets: str = ""
    own: frozenset[tuple[str, str]] | None = frozenset()


UNSEEN = Seen(None)
"""A use of a kernel that may be a launch of any kind."""


@record
class Kernel:
    """What became of a kernel, as far as other files' launches change with it.

    Attributes:
        migrated: whether it is in the new language.
        looped: whether the programs of its launch grid are loops inside it now.
        outputs: parameters that it writes to and returns now, each with its position.
    """

    migrated: bool
    looped: bool = False
    outputs: tuple[tuple[int, str], ...] = ()


ARGUMENT = "_argument_"
"""What names of arguments in a :data:`Grid` start with."""


def argument(place: int | str) -> str:
    """What an argument is called in a :data:`Grid`: the one at a position, or of a name."""
    return f"{ARGUMENT}{place}"
