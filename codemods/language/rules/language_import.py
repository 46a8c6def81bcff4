"""Imports and names of the old language.

What it does
    Modules and names that the new language has are imported from it, under the local names they had; what
    is not used any more goes; what new code needs is added beside them. Arms that stand in where an import
    fails stay. Names with a number's meaning become the number, reductions as operations their new name.
    Strings by which modules are imported or patched get the new path; other paths in strings are noted, and
    so is ``logging.OFF``, which is there because the old language is imported.

Why
    ``neuronxcc.nki`` is not supported from release 2.28 on, and a kernel cannot use both languages.

Before
        from neuronxcc import nki
        from neuronxcc.nki import language as nl
        from neuronxcc.nki.isa.constants import oob_mode
        from neuronxcc.nki.language import par_dim

        LOWEST = nl.fp32.min
        REDUCTION = nl.max

After
        import nki
        import nki.language as nl
        from nki.isa import oob_mode

        LOWEST = -3.4028235e38
        REDUCTION = nl.maximum

When it stays silent
    In code that is held in strings, for the compiler's other packages, and where a kernel of the file
    cannot be migrated: both languages in one file do not work.
"""

CODE = "NKL106"
