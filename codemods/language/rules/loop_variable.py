"""Python variables that change inside a loop.

What it does
    Reports names, lists and dictionaries in which one iteration of ``nl.affine_range`` or
    ``nl.sequential_range`` leaves something to the next: ``n = n + 1``, ``acc = nl.add(acc, x)``,
    ``tiles.append(x)``, a flag that is set. Notes branches that depend on such a loop's variable, and numbers
    that only count the addresses of tiles: these start again in each iteration, as they did.

Why
    The old language ran the body of these loops once, to trace it: such a name kept its first value, and a
    list got one item. The new language runs the body for every iteration. Both are valid, with other numbers.

Before
        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @nki.jit
        def kernel(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            n = 0
            for i in nl.affine_range(4):
                nl.store(out[i], nl.load(x[n]))
                n = n + 1
            return out

After
    Unchanged, with the place reported.

When it stays silent
    For tiles that are written in place, for names that an iteration binds before it reads them, and for
    ``nl.static_range`` and ``range``, whose body ran every iteration in Beta 1 too.
"""

CODE = "NKL401"
