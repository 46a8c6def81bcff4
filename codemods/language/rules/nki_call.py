"""Calls of instructions that do not fit the release, or compute something else than they seem to.

What it does
    Binds calls of ``nki.isa`` in kernels to the release's signatures and reports those that do not fit: a
    result without ``dst``, ``mask=``, an unknown keyword. And it reports calls that fit and mislead:
    ``affine_select`` without ``cmp_op`` compares for equality, ``range_select`` ignores ``on_false_value``
    and ``reduce_cmd``, functions of NumPy are no operations, and lists of axes count in another way. Launch
    grids of several dimensions and modes of ``nki.jit`` belong to the former language, too.

Why
    Instructions returned their result in the former language; the new one fails late, or not at all.

Before
        import nki
        import nki.isa as nisa
        import nki.language as nl


        @nki.jit
        def kernel(a, b):
            total = nisa.tensor_tensor(a, b, nl.add)
            return total

After
    Unchanged, with a finding that names the missing parameters.

When it stays silent
    For calls with ``*`` or ``**``, whose arguments cannot be seen.
"""

CODE = "NKL603"
