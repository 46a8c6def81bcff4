"""Python that kernels cannot use.

What it does
    Reports ``try``, ``lambda`` and other constructs, and calls of what is not known to be usable in a
    kernel. Functions inside of kernels become functions of the file, which are handed what they take from
    around them; comprehensions, ``zip``, ``enumerate``, ``reversed``, ``sum``, ``any``, ``all`` and
    ``math.prod`` become loops; arguments from a tuple or a mapping that is spelled in the kernel are written
    out; imports move to the top. Where that is not certain to be the same, it is reported, too.
    A kernel that a function of the host defines stays where it is: index tiles and constants that it takes
    from there are made in it, and other values become parameters, which its launches hand over. It is
    reported where it is given away together with what it takes, and where it takes tensors or objects.

Why
    The new language is compiled from a subset of Python, and looks up a kernel's names in its module only.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            try:
                nl.store(out, nl.load(x))
            except ValueError:
                pass
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For host code, and for constructs that have an equivalent, which are rewritten.
"""

CODE = "NKL402"
