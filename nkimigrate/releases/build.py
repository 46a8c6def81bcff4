"""The step of this package's build that writes the release tables down, marshalled, beside their TOML.

Reading that takes a hundredth of the time. Loaded by setuptools alone, which does not have this package yet.
"""

from __future__ import annotations

import marshal
import sys
from pathlib import Path

from setuptools.command.build_py import build_py

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class BuildTables(build_py):
    """``build_py``, and the tables; an editable installation reads the TOML."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for table in Path(self.build_lib, "nkimigrate", "releases").glob("*.toml"):
                write_built(table)


def write_built(table: Path) -> None:
    """Write ``<table>.built``: the TOML text, and what that says.

    In the form that all Pythons read, and that has the same bytes for the same text.
    """
    text = table.read_bytes()
    content = (text, tomllib.loads(text.decode("utf-8")))
    table.with_suffix(".built").write_bytes(marshal.dumps(content, 2))
