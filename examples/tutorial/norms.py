"""A kernel of our own, in the language of Neuron 2.27."""

import numpy as np
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def rms_norm(x, weight):
    """x [rows, width] over the root of its mean square, times weight [width]."""
    rows, width = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    ip = nl.arange(128)[:, None]
    ix = nl.arange(width)[None, :]

    gain = nl.load(weight.reshape((1, width)))
    for tile in nl.affine_range((rows + 127) // 128):
        # The last tile may have fewer rows.
        xs = nl.load(x[tile * 128 + ip, ix], mask=(tile * 128 + ip < rows))
        mean = nl.sum(nl.square(xs), axis=[1]) / width
        ys = nl.multiply(xs, nl.rsqrt(mean))
        ys = nl.multiply(ys, gain.broadcast_to((128, width)))
        nl.store(out[tile * 128 + ip, ix], ys, mask=(tile * 128 + ip < rows))
    return out


if __name__ == "__main__":
    x = np.random.rand(200, 512).astype(np.float32)
    weight = np.random.rand(512).astype(np.float32)
    print(rms_norm(x, weight))
