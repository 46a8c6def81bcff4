"""Functions that have no successor: a person must decide."""

from __future__ import annotations

from typing import NoReturn

from .call import Call, Lowering

MESSAGES = {
    "nl.all_reduce": "M-COLL",
    "nl.ceil": "M-MATH",
    "nl.floor": "M-MATH",
    "nl.fmod": "M-MATH",
    "nl.gemm_grid": "M-INTERNAL",
    "nl.gemm_stationary_grid": "M-INTERNAL",
    "nl.loop_reduce": "M-CARRIED",
    "nl.mod": "M-MATH",
    "nl.rand": "M-RAND",
    "nl.random_seed": "M-RAND",
    "nl.spmd_dim": "M-GRID",
    "nl.tan": "M-MATH",
    "nl.trunc": "M-MATH",
    "nisa.builtin_custom_op": "M-INTERNAL",
    "nki.FrameworkKernel": "M-INTERNAL",
    "ncc.allocation_scope": "M-ALLOC",
    "ncc.multi_buffer": "M-MULTIBUF",
    "ncc.psum.alloc": "M-ALLOC",
    "ncc.sbuf.alloc": "M-ALLOC",
}
"""What each call of these is told."""


def refused(message: str) -> Lowering:
    """A lowering that only refuses."""

    def lower(call: Call) -> NoReturn:
        bare = call.name.rpartition(".")[2]
        count = call.arguments.get("factor")
        fields = {"M-MULTIBUF": {"n": getattr(count, "text", "2")}, "M-GRID": {"grid": call.name}}
        call.refuse(message, fn=bare, name=call.name, **fields.get(message, {}))

    return lower


LOWERINGS: dict[str, Lowering] = {name: refused(message) for name, message in MESSAGES.items()}
