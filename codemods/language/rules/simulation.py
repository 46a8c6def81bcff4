"""Kernels that are run by ``nki.simulate_kernel``.

What it does
    Reports the call, and with ``--partial`` marks it. The kernel is migrated all the same.

Why
    NKI 0.2 has no simulator. From NKI 0.3 on it is ``nki.simulate(kernel)(…)``; until then a test of this
    kind has to be left out, or run on a device.

Before
        from neuronxcc.nki import simulate_kernel

        from kernels import copied

        result = simulate_kernel(copied, 1)

After
    Unchanged, with a finding at the call.

When it stays silent
    For functions of that name that are not from ``neuronxcc.nki``.
"""

CODE = "NKL102"
