"""Scales of static quantisation."""

import nki.language as nl

from .... import insides
from ....blocks.quantize import invert

__getattr__ = insides.named(__name__)


def invert_static_scales(scales_sbuf: nl.ndarray) -> nl.ndarray:
    """``scales = 1 / scales`` in place, SBUF fp32 ``[P, …]``; returns them."""
    invert(scales_sbuf, scales_sbuf)
    return scales_sbuf
