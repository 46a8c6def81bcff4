"""The k largest elements of each row."""

from .rotational_topk import topk

__all__ = ["topk"]
