# arange() without a size made the analysis fail.
import neuronxcc.nki.language as nl


def kernel(a):
    tile = nl.load(a[nl.arange()[:, None], nl.arange(16)[None, :]])

    def stored(factor):
        nl.store(out, nl.multiply(tile, factor))
