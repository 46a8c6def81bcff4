"""``nkimigrate verify``: kernels before and after their migration, run on the CPU with the same inputs.

The only part of nkimigrate that runs the user's code; each run has a process of its own (:mod:`.child`).
Everything else only reads: finding kernels (:mod:`.discover`) and what their own tests call them with
(:mod:`.harness`).
"""
