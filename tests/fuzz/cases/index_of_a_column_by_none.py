import neuronxcc.nki.language as nl
def k(x, ids):
    rows = nl.load(ids)
    t = nl.load(x[rows[None], iy])
