"""Which file an import means where folders of a project hold several modules of one name: the nearest.

Each project of a monorepo may have a ``utils`` of its own. What Python finds depends on its path, but nobody
expects another project's before the own one. So a module is out of sight where a nearer one has its name.
"""

from __future__ import annotations

import os

_FILES = ("{}.py", "{}/__init__.py")


class Nearest:
    """Looks at folders, at each of them once."""

    def __init__(self) -> None:
        self._hidden: dict[tuple[str, str, str], bool] = {}
        self._held: dict[tuple[str, str], bool] = {}

    def hides(self, folder: str, root: str, module: str) -> bool:
        """Whether code in ``folder`` that imports ``module`` gets another one than that below ``root``.

        Both folders are absolute. Nearer are the folders from the importing one up to the first that ``root``
        lies in, each with its ``src``.
        """
        key = folder, root, module
        if key not in self._hidden:
            self._hidden[key] = self._hides(*key)
        return self._hidden[key]

    def _hides(self, folder: str, root: str, module: str) -> bool:
        for above in _upwards(folder):
            for near in (above, os.path.join(above, "src")):
                if near == root:
                    return False
                if self._holds(near, module):
                    return True
            if root.startswith(os.path.join(above, "")):
                return False
        return False

    def _holds(self, folder: str, module: str) -> bool:
        """Whether a module is importable with this folder on the path, which no folder of a package is."""
        key = folder, module
        if key not in self._held:
            self._held[key] = not _is_file(folder, "__init__.py") and _leads_to_a_file(folder, module)
        return self._held[key]


def _upwards(folder: str) -> list[str]:
    """A folder and those around it, innermost first."""
    found = [folder]
    while (above := os.path.dirname(folder)) != folder:
        found.append(folder := above)
    return found


def _leads_to_a_file(folder: str, module: str) -> bool:
    """Whether the import of a module comes to a file in a folder. Folders alone are namespaces that may go on
    elsewhere, too.
    """
    for name in module.split("."):
        if any(_is_file(folder, file.format(name)) for file in _FILES):
            return True
        folder = os.path.join(folder, name)
        if not os.path.isdir(folder):
            return False
    return False


def _is_file(folder: str, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, name))
