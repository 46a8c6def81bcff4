"""Output projection for context encoding."""

from .... import insides
from ...utils.common_types import QuantizationType
from .output_projection_cte import output_projection_cte

__getattr__ = insides.named(__name__)

__all__ = ["QuantizationType", "output_projection_cte"]
