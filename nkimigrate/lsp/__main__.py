"""``nkimigrate-lsp``: serves one editor over standard input and output."""

from __future__ import annotations

import sys

_USAGE = """\
usage: nkimigrate-lsp

A language server for editors: it speaks the Language Server Protocol over standard input and output, takes
its options from [tool.nkimigrate] of the workspace's pyproject.toml, and writes nothing to disk.
"""


def main() -> int:
    """Serve until the editor leaves; the exit code."""
    if sys.argv[1:]:
        print(_USAGE, end="", file=sys.stdout if sys.argv[1] in ("-h", "--help") else sys.stderr)
        return 0 if sys.argv[1] in ("-h", "--help") else 2
    try:
        from .server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("pygls", "lsprotocol"):
            raise
        print(
            "nkimigrate-lsp: pygls is missing; install nkimigrate with its extra: nkimigrate[lsp]",
            file=sys.stderr,
        )
        return 2
    serve()
    return 0


if __name__ == "__main__":
    from nkimigrate.__main__ import leave_current_folder

    leave_current_folder()
    raise SystemExit(main())
