"""``python -m nkimigrate`` and the console script. ``--version`` is answered before anything is imported."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal takes longer to load than --version
import sys

_ALLOCATIONS = 100_000
"""How many objects more than at the last collection lead to another: what modules are made of stays."""


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    try:
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _interrupt)
        return _run()
    except KeyboardInterrupt:  # while modules are loaded
        return 130


def _interrupt(number: int, frame: object) -> None:
    """Ctrl-C ends what is under way. Another one ends the process: Python would only complain of it while it
    frees what is left.
    """
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    raise KeyboardInterrupt


def _run() -> int:
    if sys.argv[1:] == ["--version"]:
        from nkimigrate import __version__

        try:
            print(f"nkimigrate {__version__}", flush=True)
        except OSError as error:
            from nkimigrate.output import unwritten

            return unwritten(sys.stdout, error)
        return 0
    import gc

    gc.set_threshold(_ALLOCATIONS)
    from nkimigrate.cli import main as run

    code = run()
    gc.freeze()  # nothing that is left is worth a look when Python ends
    return code


def leave_current_folder() -> None:
    """``python -m`` looks for modules in the current folder first. Those of the code that is migrated may be
    called like ours, and must not run.
    """
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]


if __name__ == "__main__":
    leave_current_folder()
    sys.exit(main())
