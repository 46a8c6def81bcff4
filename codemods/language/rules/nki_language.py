"""Python that the NKI language does not have, in kernels on ``nki``.

What it does
    Looks at functions with ``@nki.jit``, at functions that call an instruction of ``nki.isa``, and at what
    those call in their module, and reports what the language of the release rejects: comprehensions, inner
    functions, ``try``, ``raise``, ``zip``, unpacking, negative or ``None`` indices, assignments to tiles,
    positional arguments beyond the compiler's hidden parameters, and the like. What the sources do not
    settle is a note.

Why
    The simulator runs kernels as Python; the compiler reads a subset of it, and says so only on a machine
    that has it.

Before
        import nki
        import nki.isa as nisa
        import nki.language as nl


        @nki.jit
        def kernel(x):
            sizes = [size for size in x.shape]
            return x

After
    Unchanged, with a finding for the comprehension.

When it stays silent
    In functions that no kernel of the module calls and that call no instruction; in files that do not import
    ``nki``.
"""

CODE = "NKL601"
