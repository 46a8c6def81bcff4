"""Classes whose objects kernels make or get.

What it does
    Derives them from ``nl.NKIObject``, drops the options of ``@dataclass``, and turns exceptions in their
    methods into assertions. Reports what such a class may not have: other bases, properties and class
    methods, ``field(default_factory=…)``, and methods with Python that kernels do not have.

Why
    The compiler reads the source of these classes, as it reads that of kernels, and takes none that derives
    from anything else. Their objects cross into the kernel with the values of their fields.

Before
        from dataclasses import dataclass

        import neuronxcc.nki as nki
        import neuronxcc.nki.language as nl


        @dataclass(frozen=True)
        class Tiling:
            size: int = 128

            def count(self, rows):
                if rows % self.size != 0:
                    raise ValueError("rows do not fill the tiles")
                return rows // self.size


        @nki.jit
        def count(x, tiling: Tiling):
            return tiling.count(x.shape[0])

After
        from dataclasses import dataclass

        import nki
        import nki.language as nl


        @dataclass
        class Tiling(nl.NKIObject):
            size: int = 128

            def count(self, rows):
                if rows % self.size != 0:
                    assert False, "rows do not fill the tiles"
                return rows // self.size


        @nki.jit
        def count(x, tiling: Tiling):
            return tiling.count(x.shape[0])

When it stays silent
    For classes that only the host uses, enumerations, and those of other files.
"""

CODE = "NKL111"
