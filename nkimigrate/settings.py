"""From a command line and a configuration file to what a run is asked to do."""

from __future__ import annotations

import os

from . import configfile
from .arguments import parts
from .config import Options
from .errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .configfile import ConfigFile

STDIN = "-"
_RULES = ("select", "ignore")
_LISTS = (*_RULES, "exclude", "extend_exclude", "tables")


class Settings:
    """The merged values of command line and file. ``file.path`` is empty when there is no configuration file.

    Raises UsageError for whatever cannot be meant.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        given.update({key: parts(given[key]) for key in _LISTS if key in given})
        _check_combination(given)
        self.file = _file(given)
        self.values: dict[str, Any] = {**self.file.values, **given}
        self.values["paths"] = given["paths"] or tuple(map(self._inside, self.file.values.get("paths", ())))
        if "tables" in self.file.values and "tables" not in given:
            self.values["tables"] = tuple(map(self._from_file, self.file.values["tables"]))
        if "baseline" in self.file.values and "baseline" not in given:
            self.values["baseline"] = self._from_file(self.file.values["baseline"])
        if given.get("quiet") or given.get("verbose"):  # either of them takes the other one back
            self.values |= {"quiet": bool(given.get("quiet")), "verbose": bool(given.get("verbose"))}
        elif self.flag("quiet") and self.flag("verbose"):
            raise UsageError(f"{configfile.shown(self.file.path)}: `quiet` and `verbose` exclude each other")

    def _from_file(self, path: str) -> str:
        """A path that the configuration gives, relative to its folder, as it is from here."""
        return os.path.normpath(os.path.join(_relative(self.file.folder), path))

    def _inside(self, path: str) -> str:
        """One of the file's ``paths`` as it is from here. Code that somebody checked out must not choose what
        else is rewritten: UsageError for a path that leads out of its repository, also through links.
        """
        found = self._from_file(path)
        if "\0" in found:  # no path at all, as whoever looks for it will say
            return found
        top, target = _repository(self.file.folder), os.path.realpath(found)
        if os.path.commonpath((top, target)) != top:
            raise UsageError(
                f"{configfile.shown(self.file.path)}: `paths`: {path} leads out of {top}, to {target}; "
                "name it on the command line if it is meant"
            )
        return found

    def flag(self, key: str) -> bool:
        """Whether an option is set, on the command line or in the configuration."""
        return bool(self.values.get(key))

    def text(self, key: str, default: str = "") -> str:
        """The value of an option that is text; the default when nobody gave one."""
        return str(self.values.get(key, default))

    @property
    def mode(self) -> str:
        return "diff" if self.flag("diff") else "check" if self.flag("check") else "write"

    @property
    def stdin(self) -> bool:
        return STDIN in self.values["paths"]


def options(settings: Settings, given: dict[str, Any]) -> Options:
    """What the engine is asked to do. Raises UsageError for unknown rules and releases."""
    values = settings.values
    chosen: dict[str, Any] = {
        "paths": (".",) if settings.stdin else values["paths"],
        "mode": settings.mode,
        **_releases(settings, given),
        **_rules(settings, given),
        **_patterns(settings, given),
        "jobs": values.get("jobs", 0),
        "executor": settings.text("executor"),
        "all_keywords": settings.flag("all_keywords"),
        "partial": settings.flag("partial"),
        "respect_gitignore": not settings.flag("no_gitignore"),
        "cache": not settings.flag("no_cache"),
        "tables": _tables(settings),
        "docs": settings.flag("docs"),
        "only": _only(settings),
        "texts": bool(settings.text("report")),
    }
    if settings.stdin:
        chosen["stdin_filename"] = values.get("stdin_filename", "<stdin>")
    return Options(**chosen)


def _tables(settings: Settings) -> tuple[str, ...]:
    """The team's own release tables. Raises UsageError for one that cannot be used."""
    paths: tuple[str, ...] = tuple(settings.values.get("tables", ()))
    if paths:
        from .releases import BadTable, load, own_step

        for path in paths:
            try:
                load(*own_step(path))
            except BadTable as error:
                raise UsageError(f"release table {path}: {error}") from None
    return paths


def _only(settings: Settings) -> frozenset[str] | None:
    """The files that count, if not all do. Raises UsageError when git cannot say."""
    if "since" not in settings.values:
        return None
    from .gitfiles import changed_since

    found: dict[str, frozenset[str]] = {}
    for path in settings.values["paths"]:
        folder = os.path.realpath(path if os.path.isdir(path) else os.path.dirname(path))
        known = any(f"{folder}/".startswith(f"{top}/") for top in found)
        if not known and os.path.isdir(folder):  # a PATH that is not there is told by whoever looks for it
            top, files = changed_since(settings.text("since"), folder)
            found[top] = files
    return frozenset().union(*found.values())


def _check_combination(given: dict[str, Any]) -> None:
    paths = given["paths"]
    if given.get("write_baseline") and not ("baseline" in given and given.get("check")):
        raise UsageError("--write-baseline needs --check and --baseline FILE")
    if "baseline" in given and not given.get("check"):
        raise UsageError("--baseline is for --check; rewriting takes files, rules and `# nkimigrate: skip`")
    if "since" in given and STDIN in paths:
        raise UsageError("--since is about files, not about standard input")
    if given.get("check") and given.get("diff"):
        raise UsageError("--check and --diff exclude each other; --diff exits like --check")
    if given.get("interactive") and (given.get("check") or given.get("diff") or STDIN in paths):
        raise UsageError("--interactive asks and writes files: it goes with neither --check, --diff nor -")
    if given.get("verify") and (given.get("check") or given.get("interactive") or STDIN in paths):
        raise UsageError(
            "--verify compares files before and after: use it when rewriting them, or with --diff"
        )
    if given.get("quiet") and given.get("verbose"):
        raise UsageError("--quiet and --verbose exclude each other")
    if given.get("config") and given.get("isolated"):
        raise UsageError("--config and --isolated exclude each other")
    if STDIN in paths and len(paths) > 1:
        raise UsageError("- (standard input) cannot be combined with other paths")
    if "stdin_filename" in given and STDIN not in paths:
        raise UsageError(
            "--stdin-filename needs - as PATH: nkimigrate --stdin-filename model.py - < model.py"
        )
    if "" in paths:
        raise UsageError("a PATH is empty; the current folder is .")


def _file(given: dict[str, Any]) -> ConfigFile:
    if given.get("isolated"):
        return configfile.ConfigFile()
    if "config" in given:
        return configfile.named(given["config"])
    paths = given["paths"] or (".",)
    start = given.get("stdin_filename", ".") if paths[0] == STDIN else paths[0]
    return configfile.nearest(start)


def _relative(folder: str) -> str:
    """The folder as a user would type it here."""
    relative = os.path.relpath(folder)
    return folder if relative.startswith(os.pardir) else relative


def _repository(folder: str) -> str:
    """The root of the git repository that holds a folder, or else the folder itself; a real path."""
    start = top = os.path.realpath(folder)
    while not os.path.lexists(os.path.join(top, ".git")):
        top, below = os.path.dirname(top), top
        if top == below:
            return start
    return top


def _releases(settings: Settings, given: dict[str, Any]) -> dict[str, str]:
    """The releases that were named, if tables lead from one to the other."""
    if "from" not in settings.values and "to" not in settings.values:
        return {}
    from .releases import UnknownStep, path_between

    old, new = settings.text("from", Options.release_from), settings.text("to", Options.release_to)
    try:
        path_between(old, new)
    except UnknownStep as error:
        raise UsageError(f"{_origin(settings, given, 'from', 'to')}{error}") from None
    return {"release_from": old, "release_to": new}


def _rules(settings: Settings, given: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """``select`` and ``ignore``. Raises UsageError for unknown ones, and where they leave nothing."""
    chosen = {key: _codes(settings, given, key) for key in _RULES if settings.values.get(key)}
    if "ignore" in chosen:
        from .codemods.rules import all_rules

        left = (r.code for r in all_rules() if not r.code.startswith(chosen["ignore"]))
        if not any(code.startswith(chosen.get("select", ("",))) for code in left):
            where = _origin(settings, given, *_RULES)
            raise UsageError(f"{where}`select` and `ignore` leave no rule: nothing would ever be found")
    return chosen


def _codes(settings: Settings, given: dict[str, Any], key: str) -> tuple[str, ...]:
    from .ruledocs import UnknownCode, prefix

    try:
        return tuple(map(prefix, settings.values[key]))
    except UnknownCode as error:
        where = f"--{key}: " if key in given else f"{_origin(settings, given, key)}`{key}`: "
        raise UsageError(f"{where}{error}") from None


def _origin(settings: Settings, given: dict[str, Any], *keys: str) -> str:
    """The configuration file, if that is where the values come from."""
    return "" if any(key in given for key in keys) else f"{configfile.shown(settings.file.path)}: "


def _patterns(settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
    """What to leave out. The file's patterns are relative to its folder, given ones to the current one."""
    here, there = os.getcwd(), os.path.abspath(settings.file.folder)
    root = os.path.commonpath((here, there))
    chosen: dict[str, Any] = {"root": os.path.relpath(root)}
    extend: tuple[str, ...] = ()
    for values, folder in ((settings.file.values, there), (given, here)):
        if "exclude" in values:
            chosen["exclude"] = _from_root(values["exclude"], folder, root)
        extend += _from_root(values.get("extend_exclude", ()), folder, root)
    for key in ("output", "report"):  # or the next run would look for things to migrate in the report
        if key in given:
            extend += _from_root((f"./{_literal(given[key])}",), here, root)
    return {**chosen, "extend_exclude": extend}


def _from_root(patterns: tuple[str, ...], folder: str, root: str) -> tuple[str, ...]:
    """Patterns relative to ``folder``, made relative to ``root`` above it if they name folders."""
    below = os.path.relpath(folder, root)
    start = "/" if below == "." else f"/{_literal(below)}/"
    found = []
    for pattern in patterns:
        sign, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
        free = "/" not in body.rstrip("/") or body.startswith(("**/", f"{root.rstrip('/')}/"))
        found.append(pattern if free else sign + start + body.removeprefix("./").lstrip("/"))
    return tuple(found)


def _literal(path: str) -> str:
    """The pattern that matches this path only."""
    return "".join(f"\\{char}" if char in "\\*?[" else char for char in path)
