"""Output projection for context encoding."""

from ...utils.common_types import QuantizationType
from .output_projection_cte import output_projection_cte

__all__ = ["QuantizationType", "output_projection_cte"]
