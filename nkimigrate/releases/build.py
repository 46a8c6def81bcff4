"""The step of this package's build that writes the release tables down in JSON beside their TOML.

Reading JSON takes a fiftieth of the time. Loaded by setuptools alone, which does not have this package yet.
"""

from __future__ import annotations

import json
import sys
import zlib
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
                write_json(table)


def write_json(table: Path) -> None:
    """Write ``<table>.json``: the check sum of the TOML text, and what that says."""
    text = table.read_bytes()
    content = [zlib.crc32(text), tomllib.loads(text.decode("utf-8"))]
    table.with_suffix(".json").write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
