"""What expressions stand for that only the walker sees: things that the new code has no object for, and
Python's own.
"""

from __future__ import annotations

import ast

from ...record import record
from ..analysis import values as v
from ..analysis.access import Dynamic, Layout
from ..analysis.addresses import Place
from ..analysis.index import Index, Window
from ..analysis.masks import Mask
from ..analysis.refusal import Refused


class Absent(v.Unknown):
    """None, or a name that holds None."""


class Partitions(v.Scalar):
    """A size that ``nl.par_dim`` marks as that of the partitions."""


@record
class Axes:
    """The shape of a tensor whose rank is not known; ``x.shape[i]`` still is a size."""

    text: str
    of: str


@record
class Grid:
    """``nl.mgrid[...]``: its components are index tiles."""

    text: str
    components: tuple[Index, ...]

    def component(self, name: str) -> Index:
        """``.p``, ``.x``, ``.y``, ``.z``. Raises Refused when there is none of this name."""
        names = "pxyzw"[: len(self.components)]
        if name not in names:
            raise Refused("M-IDX", expr=f"{self.text}.{name}", reason=f"an index grid has no .{name}")
        return self.components[names.index(name)]


@record
class Choice:
    """One of two index tiles, masks or the like, by a condition of trace time.

    ``test`` is the condition, see :meth:`.environment.Environment.decided`.
    """

    text: str
    test: str
    one: Value
    two: Value


@record
class Whole:
    """``...`` in an index."""

    text: str = "..."


@record
class NewAxis:
    """``None`` in an index."""

    text: str = "None"


@record
class Named:
    """A name of a library: a function, module or object that is not a value of the language by itself.

    ``gone``: the new language has nothing by this name; it can only be called, where that is rewritten.
    """

    text: str
    name: str
    gone: bool = False


@record
class UserFunction:
    """A function of the file that is written in the language."""

    text: str
    node: ast.FunctionDef


@record
class PlacingFunction:
    """A function inside of a kernel that only says where tiles lie."""

    text: str
    node: ast.FunctionDef


@record
class Lost:
    """The value of a statement that needs a person; whatever uses it is not reported again."""

    text: str


@record
class Address:
    """Where a kernel places the tiles of a tensor: code for the address of one that has no block dimensions,
    or how blocks take turns.
    """

    space: v.Space
    place: Place | str


@record
class Blocks:
    """A tile with dimensions in front of its partitions, which the new language does not have.

    Attributes:
        text: its name. key: tells its allocation from others.
        whole: the tile as the old code sees it. partition: the dimension on the partitions.
        layout: how the new code keeps it. handed: it is a parameter.
    """

    text: str
    key: int
    whole: v.Tensor
    partition: int
    layout: Layout
    handed: bool = False

    def tile(self, name: str) -> str:
        """The code for one of its tiles, where the list is called ``name``."""
        return name + "[0]" * len(self.layout.lists)

    def sizes(self, name: str) -> tuple[str, ...]:
        """The code for its dimensions, where the list is called ``name``."""
        rank, lists = len(self.whole.shape or ()), self.layout.lists
        kept = {dim: f"{self.tile(name)}.shape[{at}]" for at, dim in enumerate(self.layout.kept(rank))}
        outer = {dim: f"len({name}{'[0]' * depth})" for depth, dim in enumerate(lists)}
        return tuple(kept.get(dim) or outer.get(dim, "1") for dim in range(rank))


@record
class Tiles:
    """A list of tiles that a kernel fills one by one. ``item``: what all of them are like."""

    text: str
    item: v.Tensor


Value = (
    v.Tensor
    | v.Scalar
    | v.Dtype
    | v.Token
    | v.Unknown
    | v.Items
    | Axes
    | Window
    | Index
    | Dynamic
    | Grid
    | Choice
    | Mask
    | Whole
    | NewAxis
    | Named
    | UserFunction
    | PlacingFunction
    | Lost
    | Blocks
    | Tiles
)

VIRTUAL = (Index, Grid, Mask, Dynamic, Choice)
"""Values that the new code has no object for: written out where they are used."""
NOTHING = v.Unknown("None")
"""What a call gives that is made for what it does."""
