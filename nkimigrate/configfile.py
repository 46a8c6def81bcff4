"""The configuration: ``[tool.nkimigrate]`` of the nearest pyproject.toml, or a file named by ``--config``."""

from __future__ import annotations

import os

from .arguments import ARGUMENTS
from .errors import UsageError
from .reading import Unreadable, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .arguments import Argument

_TABLE = "tool.nkimigrate"
_NAMES = {
    bool: "true or false",
    str: "a string",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}
_TYPES: dict[str, type] = {"flag": bool, "text": str, "number": int}
_EXPECTED = {
    "flag": "true or false",
    "text": "a string",
    "number": "a whole number, 0 or more",
    "list": "a list of strings",
}


class ConfigFile:
    """What a file says: ``values`` by option key, with paths and patterns relative to ``folder``."""

    def __init__(self, path: str = "", values: dict[str, Any] | None = None) -> None:
        self.path = path
        self.folder = os.path.dirname(path) or "."
        self.values = values or {}


def named(path: str) -> ConfigFile:
    """The configuration file at ``path``. Outside a pyproject.toml, the keys may stand on their own.

    Raises UsageError for whatever is wrong with the file.
    """
    try:
        data = read(path)
    except Unreadable as error:
        raise UsageError(f"--config {path}: {error.message}") from None
    content = _parse(path, data)
    table = _table(content)
    if table is not None:
        return ConfigFile(path, _checked(path, table, _TABLE))
    if os.path.basename(path) == "pyproject.toml":
        raise UsageError(f"--config {path}: the file has no table [{_TABLE}]")
    return ConfigFile(path, _checked(path, content, ""))


def nearest(start: str) -> ConfigFile:
    """What the nearest pyproject.toml with ``[tool.nkimigrate]`` at or above ``start`` says, if there is one.

    Raises UsageError for whatever is wrong with it.
    """
    folder = os.path.abspath(start)
    if not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    while True:
        path = os.path.join(folder, "pyproject.toml")
        table = _table_in(path)
        if table is not None:
            return ConfigFile(path, _checked(path, table, _TABLE))
        above = os.path.dirname(folder)
        if above == folder:
            return ConfigFile()
        folder = above


def _table_in(path: str) -> Any:
    try:
        data = read(path)
    except Unreadable as error:
        if os.path.isfile(path):  # what it says would be missed
            raise UsageError(f"{shown(path)}: {error.message}; --isolated does without") from None
        return None
    return _table(_parse(path, data)) if b"nkimigrate" in data else None


def _parse(path: str, data: bytes) -> dict[str, Any]:
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content: dict[str, Any] = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{shown(path)}: not a valid TOML file: {error}") from None
    return content


def _table(content: dict[str, Any]) -> Any:
    tool = content.get("tool")
    return tool.get("nkimigrate") if isinstance(tool, dict) else None


def _checked(path: str, table: Any, name: str) -> dict[str, Any]:
    where = f"{shown(path)}: [{name}]" if name else f"{shown(path)}:"
    if not isinstance(table, dict):
        raise UsageError(f"{where} must be a table, not {_type_name(table)}")
    known = {argument.name: argument for argument in ARGUMENTS}
    values = {}
    for key, value in table.items():
        if key == "paths":
            values["paths"] = _paths(where, value)
        elif key not in known or not known[key].in_file:
            raise UsageError(f"{where} {_unknown(key, known)}")
        else:
            values[known[key].key] = _value(where, known[key], value)
    return values


def _paths(where: str, value: Any) -> tuple[str, ...]:
    paths = _strings(where, "paths", value)
    if "-" in paths:
        raise UsageError(
            f"{where} `paths`: - (standard input) belongs on the command line, not into the file"
        )
    return paths


def _unknown(key: str, known: dict[str, Argument]) -> str:
    if key in known:
        return f"`{key}` belongs on the command line, not into the file"
    from difflib import get_close_matches

    names = ["paths", *(name for name, argument in known.items() if argument.in_file)]
    close = get_close_matches(key.replace("_", "-"), names, 1)
    return f"has no key `{key}`" + (
        f"; did you mean `{close[0]}`?" if close else f"; its keys: {', '.join(names)}"
    )


def _value(where: str, argument: Argument, value: Any) -> Any:
    if argument.kind == "list":
        return _strings(where, argument.name, value)
    negative = isinstance(value, int) and value < 0
    if type(value) is not _TYPES[argument.kind] or negative:
        example = ', such as "2.28"' if argument.kind == "text" and isinstance(value, float) else ""
        raise _wrong(where, argument.name, _EXPECTED[argument.kind] + example, value)
    if value == "":
        raise UsageError(f"{where} `{argument.name}`: the string is empty")
    if argument.choices and value not in argument.choices:
        raise _wrong(where, argument.name, f"one of {', '.join(argument.choices)}", value)
    return value


def _strings(where: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(where, key, _EXPECTED["list"], value)
    if "" in value:
        raise UsageError(f"{where} `{key}`: one of the strings is empty")
    return tuple(value)


def _wrong(where: str, key: str, expected: str, value: Any) -> UsageError:
    return UsageError(f"{where} `{key}`: expected {expected}, not {_type_name(value)} ({value!r})")


def _type_name(value: Any) -> str:
    return _NAMES.get(type(value), f"a {type(value).__name__}")


def shown(path: str) -> str:
    """The path as short as it can be said."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative
