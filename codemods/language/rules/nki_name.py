"""Names and modules that ``nki`` of the release does not have.

What it does
    Reports attributes of ``nki.language``, ``nki.isa`` and ``nki.collectives`` that the release does not
    have, and imports of such names and of modules that are not there (``nki.language.constants``), with what
    does the work now.

Why
    Code that was moved to the new import root by hand keeps calls such as ``nl.load``: the import succeeds,
    and the kernel fails when it is compiled. A module that is not there fails where the file is imported.

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
    Inside ``try``, where code tests which names there are, and for modules of another package that is called
    ``nki``: one that has none of the language's.
"""

CODE = "NKL602"
