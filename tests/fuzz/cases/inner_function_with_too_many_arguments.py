import neuronxcc.nki.language as nl
def kernel(a):
    bias = 1.0
    def affine(x, factor=2.0):
        return nl.add(nl.multiply(x, factor), bias)
    nl.store(out, nl.add(affine(nl.load(a)), affine(nl.load(None,
 a) , # c
nl.load(a, None) , # c
3.0)))
