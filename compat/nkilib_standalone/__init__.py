"""The root of release 2.27: ``nkilib_standalone.nkilib.X`` is ``nkilib.X``, see :mod:`nkilib.compat`."""

from nkilib.compat import alias_root

alias_root(f"{__name__}.nkilib")
