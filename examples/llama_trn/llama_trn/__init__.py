"""A Llama-like decoder whose blocks run as NKI Library kernels on Trainium."""

from .config import ModelConfig
from .decoder import Decoder

__all__ = ["Decoder", "ModelConfig"]
