# A file was split for ever: what stayed behind remained a reason against the rest.
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl

simulate = nki.simulate_kernel


@nki.jit(mode="simulation")
def kept(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    mask = (await x)
    nl.store(out, nl.exp(nl.load(x)))
    ...


@nki.jit(mode="simulation")
def moved(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.exp(nl.load(x)))
    return out


def test(x):
    return simulate(kept, x), simulate(moved, x)
