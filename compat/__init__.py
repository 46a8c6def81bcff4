"""Reserved for the 2.27 names and signatures as thin adapters over 2.28; there is nothing in it yet.

Installed as ``nkilib.compat``. It needs the 2.28 kernels of :mod:`nkilib`, which come first.
"""
