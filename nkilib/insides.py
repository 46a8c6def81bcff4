"""What importing an inside of the original kernels says: that it is none of this library's, and what to use.

Modules of 2.27 and 2.28 hold functions that work on the tiles, buffers and plans of one kernel. The kernels
here are composed of :mod:`nkilib.blocks` and have no such steps. The release table lists these names under
``[insides]``, with the next step for each module.
"""

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

TABLE = "nkilib_2_27_to_2_28.toml"
_OWN = "nkilib"
# Code between the user's line and this module.
_BETWEEN = frozenset({_OWN, "importlib"})
_read: list[dict[str, Any]] = []


def table() -> dict[str, Any]:
    """The release table, read when first asked for."""
    if not _read:
        from importlib import resources

        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        text = resources.files("nkimigrate.releases").joinpath(TABLE).read_text(encoding="utf-8")
        _read.append(tomllib.loads(text))
    return _read[0]


def said(qualified: str) -> str | None:
    """What to say of a name or module of 2.27; None when it is no inside."""
    insides: Mapping[str, Mapping[str, Any]] = table()["insides"]
    owner, _, name = qualified.rpartition(".")
    held = insides.get(qualified) or insides.get(owner)
    if held is None or (qualified not in insides and name not in held["names"]):
        return None
    return (
        f"{qualified} is not here: it is an inside of a kernel of releases 2.27 and 2.28, and this library's "
        f"kernels are made of other parts. {held['step']} docs/compat.md lists all of them."
    )


def named(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that had insides."""

    def missing(name: str) -> Any:
        qualified = f"{module}.{name}"
        text = None if name.startswith("__") else said(qualified)
        raise absent(name, module, text or f"module {module!r} has no attribute {name!r}", plain=text is None)

    return missing


def absent(name: str, module: str, text: str, plain: bool = False) -> Exception:
    """The error for a name that a module lacks: an ImportError for ``from module import name``.

    Python itself raises that one without the text of an AttributeError; ``plain`` leaves it to Python.
    """
    if not plain and _is_from_import(sys._getframe(1)):
        return ImportError(text, name=module)
    return AttributeError(text, name=name, obj=sys.modules.get(module))


def _is_from_import(frame: FrameType | None) -> bool:
    """Whether the user's line that runs now is ``from … import …``, at one of its names."""
    while frame is not None and _root(frame) == _OWN:
        frame = frame.f_back
    if frame is None or _root(frame) == "importlib":
        return False
    from dis import opmap

    return frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


class Finder:
    """Comes last among the finders: nobody knows the module."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname.startswith(f"{_OWN}."):
            refuse(fullname, fullname)


def refuse(qualified: str, spelled: str) -> None:
    """Raise ImportError for a module that was an inside, unless somebody only looks whether it is there.

    Args:
        qualified: the module's name below ``nkilib``. spelled: the name that is imported.
    """
    frames = list(_importing(sys._getframe(1)))
    if any(frame.f_globals.get("__name__") == "importlib.util" for frame in frames):
        return
    text = said(qualified)
    if text is None:
        return
    # `from package import module` passes over a ModuleNotFoundError, and over its text.
    from_list = any(frame.f_code.co_name == "_handle_fromlist" for frame in frames)
    raise (ImportError if from_list else ModuleNotFoundError)(text, name=spelled)


def _importing(frame: FrameType | None) -> Any:
    """The frames up to the line that imports."""
    while frame is not None and _root(frame) in _BETWEEN:
        yield frame
        frame = frame.f_back


def install() -> None:
    """Put the finder in its place, once."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.append(Finder())
