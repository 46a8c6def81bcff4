"""The root of open-source wheels: ``nkilib_src.nkilib.X`` is ``nkilib.X``, see :mod:`nkilib.compat`."""

from nkilib.compat import alias_root

alias_root(f"{__name__}.nkilib")
