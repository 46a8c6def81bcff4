"""What of release 2.28 nkilib lacks; ``python tests/support/missing.py`` writes the list anew.

``tests/data/nkilib-missing.json`` holds ``modules`` that are not here, and ``names`` (functions, classes and constants
without a leading underscore) that other modules lack. ``tests/nkilib/test_signatures.py`` compares.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from snapshots import DATA, Snapshot

FILE = DATA / "nkilib-missing.json"
RELEASE = Snapshot("2.28")


def public(names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if not name.startswith("_"))


def names_of(content: Mapping[str, Any]) -> set[str]:
    """Public names that a module of the release defines."""
    return {name for kind in ("functions", "classes", "constants") for name in public(content.get(kind, {}))}


def exists(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        return False
    return True


def missing() -> dict[str, Any]:
    """The list as it should be."""
    here = {module: content for module, content in RELEASE.modules.items() if exists(module)}
    names = {}
    for module, content in here.items():
        made = importlib.import_module(module)
        names[module] = sorted(name for name in names_of(content) if not hasattr(made, name))
    return {
        "modules": [module for module in RELEASE.modules if module not in here],
        "names": {module: lacking for module, lacking in names.items() if lacking},
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(missing(), indent=1) + "\n", encoding="utf-8")
