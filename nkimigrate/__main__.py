"""``python -m nkimigrate`` and the console script. ``--version`` is answered before anything is imported."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    if sys.argv[1:] == ["--version"]:
        from nkimigrate import __version__

        print(f"nkimigrate {__version__}")
        return 0
    from nkimigrate.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
