"""Reserved for the NKI Library kernels of release 2.28; there is nothing in it yet.

No kernel, utility or name of the real ``nkilib`` is here today. The kernels come in a later milestone, at
their 2.28 import paths, once :mod:`nkisim` can run them. Until then nothing should import this package,
and where the Neuron SDK is installed its own ``nkilib`` is the one to use.
"""
