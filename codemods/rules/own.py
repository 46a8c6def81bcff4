"""Rules that other installed packages bring: entry points of the group ``nkimigrate.rules``.

Each names a module like those in this folder. Installing a package is what makes its rules count: nothing in
a project that is migrated can name code to run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType

from ..patterns import pattern
from ..rule import BadRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "nkimigrate.rules"
_CODE = pattern(r"(?!NK[ML]\d)[A-Z]{2,8}\d{2,4}")


def own_modules(taken: Iterable[str]) -> Iterator[ModuleType]:
    """The modules, by name of their entry points; ``taken`` are the codes of the project's rules.

    Raises:
        BadRule: one that cannot be imported, is no rule, or has a code that another one has.
    """
    if not named_anywhere():
        return
    from importlib.metadata import entry_points

    codes = set(taken)
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        module = _loaded(point)
        code = getattr(module, "CODE", None)
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise BadRule(
                f"{_name(point)}: CODE is {code!r}; it must be like ACM101, and not begin with NKM or NKL"
            )
        if code in codes:
            raise BadRule(f"{_name(point)}: another rule has the code {code}")
        if not callable(getattr(module, "check", None)) or not (module.__doc__ or "").strip():
            raise BadRule(f"{_name(point)}: a rule has a function `check` and a docstring")
        codes.add(code)
        yield module


def named_anywhere() -> bool:
    """Whether any installed package names the group: a look that costs a tenth of ``entry_points``."""
    for folder in dict.fromkeys(sys.path):
        try:
            with os.scandir(folder or ".") as entries:
                metadata = [e.path for e in entries if e.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        if any(map(_names_group, metadata)):
            return True
    return False


def _names_group(metadata: str) -> bool:
    try:
        with open(os.path.join(metadata, "entry_points.txt"), "rb") as file:
            return GROUP.encode() in file.read()
    except OSError:
        return False


def _loaded(point: EntryPoint) -> ModuleType:
    try:
        module = point.load()
    except Exception as error:  # whatever a package does when it is imported
        raise BadRule(f"{_name(point)}: cannot be imported: {type(error).__name__}: {error}") from None
    if not isinstance(module, ModuleType):
        raise BadRule(f"{_name(point)}: is no module")
    return module


def _name(point: EntryPoint) -> str:
    package = f" of {point.dist.name}" if point.dist is not None else ""
    return f"entry point {point.name!r}{package} ({point.value})"
