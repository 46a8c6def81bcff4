"""Names that ``nki`` of the release does not have.

What it does
    Reports attributes of ``nki.language``, ``nki.isa`` and ``nki.collectives`` that the release does not
    have, with what does the work now.

Why
    Code that was moved to the new import root by hand keeps calls such as ``nl.load``: the import succeeds,
    and the kernel fails when it is compiled.

Before
        import nki
        import nki.language as nl


        @nki.jit
        def kernel(x):
            tile = nl.load(x)
            return tile

After
    Unchanged, with a finding at ``nl.load`` that names ``nki.isa.dma_copy``.

When it stays silent
    Inside ``try``, where code tests which names there are.
"""

CODE = "NKL602"
