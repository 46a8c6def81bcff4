"""Enumerations that callers of several kernels use."""

from enum import Enum


class QKVOutputLayout(Enum):
    """Layout of a QKV projection's output: d is the size of a head, S the sequence."""

    BSD = 0
    """``[B, S, (Nq + 2·Nkv)·d]``"""
    NBSd = 1
    """``[heads, B, S, d]``"""
    NBdS = 2
    """``[heads, B, d, S]``"""


class NormType(Enum):
    """Normalization that is fused before a projection."""

    NO_NORM = 0
    RMS_NORM = 1
    LAYER_NORM = 2
    RMS_NORM_SKIP_GAMMA = 3


class ActFnType(Enum):
    """Activation of an MLP's gate."""

    SiLU = 0
    GELU = 1
    """The exact form, with the error function."""
    GELU_Tanh_Approx = 2
    Swish = 3
    """``x · sigmoid(1.702·x)``"""


class RouterActFnType(Enum):
    """Activation of a router's logits."""

    SIGMOID = 0
    SOFTMAX = 1

    def __str__(self) -> str:
        return self.name.lower()


class ExpertAffinityScaleMode(Enum):
    """Where an expert's affinity scales: nowhere, its output, or its input."""

    NO_SCALE = 0
    POST_SCALE = 1
    PRE_SCALE = 2
    PRE_SCALE_DELAYED = 3


class QuantizationType(Enum):
    """How weights (and activations) are quantised: by one scale, by row, or in MX blocks."""

    NONE = 0
    STATIC = 1
    ROW = 2
    MX = 3


class GateUpDim(Enum):
    """Index of the gate and of the up projection in fused weights."""

    GATE = 0
    UP = 1
