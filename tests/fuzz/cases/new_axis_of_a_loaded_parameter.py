import neuronxcc.nki.language as nl
def kernel(a, b):
    x = nl.load(a)
    if x:
        y = x[..., None].load(b)
