# No finding covered a method's function that moved out.
class A:
    def k(self, q):
        def plain(x):
            return nl.load(x)


import neuronxcc.nki.language as nl

again = nki.jit(plain, mode="torchxla")
