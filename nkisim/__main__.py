"""``python -m nkisim script.py [arguments]``: run a script, ``import nki`` in it being the simulator."""

from __future__ import annotations

import os
import runpy
import sys
from importlib.util import find_spec

from .install import install

USAGE = """usage: python -m nkisim [--strict] [--races] script.py [arguments]
       python -m nkisim [--strict] [--races] -m module [arguments]

Runs a script or a module with `import nki` served by the simulator, whether or not a real nki is there.
--strict  kernels are checked as NKISIM_STRICT=1 does; --races  as NKISIM_RACES=1 does.
NEURON_PLATFORM_TARGET_OVERRIDE chooses the target (trn1, trn2, trn3); trn2 is the default."""

SWITCHES = {"--strict": "NKISIM_STRICT", "--races": "NKISIM_RACES"}
"""Option → the environment variable that it sets, for this process and those that it starts."""


def main(arguments: list[str]) -> int:
    """Exit code 0 after the script (whose own exit passes through), 2 for wrong usage."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    while arguments[:1] and arguments[0] in SWITCHES:
        os.environ[SWITCHES[arguments[0]]] = "1"
        arguments = arguments[1:]
    by_name = arguments[:1] == ["-m"]
    rest = arguments[1:] if by_name else arguments
    if not rest or (rest[0].startswith("-") and not by_name):
        print(USAGE, file=sys.stderr)
        return 2
    install(always=True)
    sys.argv = rest
    if by_name:
        sys.path.insert(0, os.getcwd())
        if not _exists(rest[0]):
            print(f"python -m nkisim: no module {rest[0]}", file=sys.stderr)
            return 2
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        return 0
    if not os.path.exists(rest[0]):
        print(f"python -m nkisim: no file {rest[0]}", file=sys.stderr)
        return 2
    sys.path[0] = os.path.dirname(os.path.abspath(rest[0]))
    runpy.run_path(rest[0], run_name="__main__")
    return 0


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError as error:  # one that it lies in, or that this one imports
        if error.name and f"{module}.".startswith(f"{error.name}."):
            return False
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
