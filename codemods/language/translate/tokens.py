"""Names of the former language, and of NumPy, that stand for values of the new one."""

from __future__ import annotations

from ..analysis.dtypes import NAMES, SIZES
from ..analysis.symbols import Sym
from ..analysis.values import Dtype, Scalar, Token
from ..lowering.tokens import language_token, numpy_token

SPACES = frozenset(("sbuf", "psum", "hbm", "shared_hbm", "private_hbm"))
TILE_SIZES = {
    "pmax": 128,
    "psum_fmax": 512,
    "gemm_stationary_fmax": 128,
    "gemm_moving_fmax": 512,
    "bn_stats_fmax": 512,
}
"""Limits of ``nl.tile_size`` that are the same on every target."""
LIMITS = {
    "nl.fp32.min": "-3.4028235e38",
    "nisa.fp32.min": "-3.4028235e38",
    "nl.bfp16.min": "-3.3895314e38",
}
_BUFFERS = {
    "ncc.sbuf": "nl.sbuf",
    "ncc.psum": "nl.psum",
    "ncc.sbuf.auto_alloc": "nl.sbuf",
    "ncc.psum.auto_alloc": "nl.psum",
}
_ENUMS = tuple(
    f"nisa.{name}." for name in ("engine", "dge_mode", "reduce_cmd", "nc_version", "oob_mode", "dma_engine")
)
_ENGINES = frozenset(
    f"nisa.{name}_engine" for name in ("dma", "gpsimd", "scalar", "tensor", "unknown", "vector")
)
"""Engines by names of their own, which are not documented; both languages have them."""


def value(short: str, text: str) -> Dtype | Scalar | Token | None:
    """What a name stands for as an argument; ``text`` is how the file spells it.

    Functions that are operations as arguments (``nl.exp``) are tokens, whether or not they are called here.
    """
    if short in LIMITS:
        return Scalar(LIMITS[short])
    if short in _BUFFERS:
        return Token(_BUFFERS[short])
    head, _, name = short.rpartition(".")
    if head == "nl.tile_size":
        size = TILE_SIZES.get(name)
        return Scalar(text, Sym.atom(text) if size is None else Sym.constant(size, text))
    if head == "nl":
        return _language(name)
    if _is_size(short):
        size = SIZES[head.removeprefix("nl.")]
        return Scalar(str(size), Sym.constant(size))
    if head == "numpy":
        return _numpy(name)
    if short.startswith(_ENUMS) or short in _ENGINES:
        return Token(short)
    return None


def _is_size(short: str) -> bool:
    """Whether it is the size of an element of a type: ``nl.float32.itemsize``."""
    module, _, kind = short.removesuffix(".itemsize").partition(".")
    return short.endswith(".itemsize") and module == "nl" and kind in SIZES


def _language(name: str) -> Dtype | Token:
    if name in NAMES:
        return Dtype(f"nl.{name}", name)
    return language_token(name)


def _numpy(name: str) -> Dtype | Token | None:
    found = numpy_token(name)
    last = found.name.rpartition(".")[2] if found else ""
    return Dtype(f"nl.{last}", last) if last in NAMES else found


def is_ours(qualified: str) -> bool:
    """Whether a qualified name is one of the former language."""
    return qualified.startswith("neuronxcc.nki.")


def is_member(qualified: str) -> bool:
    """Whether it is a module of the language, or a member of one of its classes that stays."""
    plain = qualified.replace(".constants", "")
    short = {"language": "nl", "isa": "nisa", "compiler": "ncc"}
    parts = plain.removeprefix("neuronxcc.nki").lstrip(".").split(".")
    name = ".".join([short.get(parts[0], parts[0]), *parts[1:]])
    kept = name in LIMITS or name in _BUFFERS or _is_size(name)
    return len(parts) < 2 or kept or name.startswith((*_ENUMS, "nl.tile_size."))


_LIBRARIES = frozenset(
    ("builtins", "math", "numpy", "torch", "jax", "functools", "operator", "itertools", "nki", "neuronxcc")
)


def is_of_project(short: str) -> bool:
    """Whether a name is imported from another file of the user's, which has its own migration."""
    root = short.partition(".")[0]
    return bool(root) and root not in (*_LIBRARIES, "nl", "nisa", "ncc", "nt")
