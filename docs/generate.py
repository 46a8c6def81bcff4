"""Prints docs/rules.md: the documentation of every rule, as ``nkimigrate --explain`` gives it.

Usage: python docs/generate.py > docs/rules.md (or ``make docs``)
"""

from __future__ import annotations

from collections.abc import Iterator

from nkimigrate.ruledocs import Documented, as_markdown, everything

HEAD = """\
# Rules

Generated from the code by `make docs`; `nkimigrate --explain CODE` prints the same. Codes that start with
NKM9 are no rules: they say why a file could not be handled.

| code | name | |
|---|---|---|
"""


def page() -> Iterator[str]:
    """The page in pieces."""
    items = everything()
    yield HEAD
    for item in items:
        yield f"| [{item.code}](#{anchor(item)}) | {item.name} | {item.summary} |\n"
    for item in items:
        yield f"\n## {item.code} {item.name}\n\n{as_markdown(item, level=3)}"


def anchor(item: Documented) -> str:
    """Where the heading of an item is linked to."""
    return f"{item.code.lower()}-{item.name}"


if __name__ == "__main__":
    print("".join(page()), end="")
