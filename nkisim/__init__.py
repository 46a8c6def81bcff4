"""The NKI programming model on NumPy: kernels for Trainium and Inferentia run on any machine.

``nkisim.install()`` makes ``import nki`` give this simulator where there is no real ``nki``;
``python -m nkisim script.py`` runs a script with it; :func:`simulate` runs one kernel.
"""

from .install import InstallError as InstallError
from .install import install as install
from .install import installed as installed
from .install import uninstall as uninstall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .checks import StrictWarning as StrictWarning
    from .checks import interleave as interleave
    from .checks import races as races
    from .checks import strict as strict
    from .core.errors import SimulationError as SimulationError
    from .core.replay import replay as replay
    from .core.trace import trace as trace
    from .kernel import jit as jit
    from .kernel import simulate as simulate

_LATER = {
    "SimulationError": "core.errors",
    "StrictWarning": "checks",
    "interleave": "checks",
    "jit": "kernel",
    "races": "checks",
    "replay": "core.replay",
    "simulate": "kernel",
    "strict": "checks",
    "trace": "core.trace",
}


def __getattr__(name: str) -> object:
    """What needs NumPy is imported when asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
