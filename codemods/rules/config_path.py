"""Paths of the library in configuration and packaging files.

What it does
    Rewrites dotted paths (``package.module.symbol``, ``package.module:symbol``) in TOML, YAML, JSON, INI,
    ``.env``, requirements and Docker files when they resolve to something of the old release, the import
    name in linters' and type checkers' settings, and the folders of a checkout (``src/nkilib_standalone``).
    All other bytes stay as they are.

Why
    Entry points, Hydra targets and dispatch tables import by such a path at run time; the old root is gone.

Before
    In ``conf/model.yaml``:

        _target_: nkilib_standalone.nkilib.core.qkv.qkv.qkv

After
    In ``conf/model.yaml``:

        _target_: nkilib.core.qkv.qkv.qkv

When it stays silent
    In comments, and for names of your own. A bare name such as ``kernel: mlp_kernel``, a vendored folder and
    a URL that names the old release are reported, because only you know what they stand for.
"""

from __future__ import annotations

CODE = "NKM110"
