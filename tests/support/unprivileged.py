"""Permissions as an ordinary user meets them, also when the tests run as root (as in many containers)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root's rights are put down for the block; for any other user nothing changes."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def users_folder() -> Iterator[Path]:
    """A folder that the user of :func:`unprivileged` owns; pytest's own is closed to all but its user."""
    folder = Path(tempfile.mkdtemp(prefix="nkimigrate-test-"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, -1)
        yield folder
    finally:
        os.chmod(folder, 0o700)
        for parent, folders, _ in os.walk(folder):
            for name in folders:  # before the walk enters them
                os.chmod(os.path.join(parent, name), 0o700)
        shutil.rmtree(folder)
