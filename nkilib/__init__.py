"""The NKI Library of release 2.28: kernels and their utilities, at its paths and signatures.

Importing it makes ``import nki`` work: where no real ``nki`` is installed, :mod:`nkisim` serves it. A real
one is always used, unless ``NKI_SIMULATOR=1`` asks for the simulator. Where the Neuron SDK is installed, its
own ``nkilib`` is the one to use.
"""

from . import insides

NKILIB_FORCE_BUNDLED_LIBRARY_ENV_VAR_KEY = "NKILIB_FORCE_BUNDLED_LIBRARY"
"""Environment variable that keeps the Neuron SDK's ``nkilib`` from being replaced; this one never is."""


def _serve_nki() -> None:
    """Nothing to do where nkisim is not installed: then nki must be the real one."""
    try:
        import nkisim
    except ModuleNotFoundError as error:
        if error.name != "nkisim":
            raise
        return
    nkisim.install()


_serve_nki()
insides.install()
