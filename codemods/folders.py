"""Folders of the product's source tree in file-system paths, and URLs of its repository."""

from __future__ import annotations

import re

from .patterns import pattern
from .release import Release

_FOREIGN = pattern(r"(?:^|[/\\])(?:_?vendor(?:ed)?|third[-_]?party)[/\\]", re.IGNORECASE)


def folder_pattern(release: Release) -> re.Pattern[str]:
    """The old folders' names as whole components of a path."""
    return release.once(_folder_pattern)


def _folder_pattern(release: Release) -> re.Pattern[str]:
    names = "|".join(map(re.escape, release.folders)) or r"(?!)"
    return re.compile(rf"(?:(?<=[/\\])(?:{names})(?![\w.-])|(?<![\w.-])(?:{names})(?=[/\\]))")


def is_upstream(word: str, start: int) -> bool:
    """Whether a folder named at ``start`` of a path lies as it does in a checkout of the product."""
    return word[:start].replace("\\", "/").endswith("src/") and not _FOREIGN.search(word)


def renamed_folders(release: Release, word: str) -> str | None:
    """The path with the folders' new names; None when it names none, "" when one may be another folder."""
    found = list(folder_pattern(release).finditer(word))
    if not found:
        return None
    if not all(is_upstream(word, match.start()) for match in found):
        return ""
    return folder_pattern(release).sub(lambda match: release.folders[match[0]], word)


def folder_step(release: Release) -> str:
    """What a person does about a folder that may not be the product's."""
    pairs = ", ".join(f"`{old}` is `{new}`" for old, new in release.folders.items())
    return f"If this is a checkout of {release.product}: in {release.new}, {pairs}."


def pinned(release: Release, url: str) -> bool:
    """Whether a URL names the old release's tag in the product's repository."""
    if not release.repository:
        return False
    reference = rf"(?:\.git)?(?:@|/\w+/(?:refs/tags/)?)v?{re.escape(release.old)}(?!\d)"
    return bool(re.search(re.escape(release.repository) + reference, url))


def url_step(release: Release) -> str:
    """What to do about a URL that names the old release."""
    return f"Point it to {release.new}: the tag, and the folders' new names."
