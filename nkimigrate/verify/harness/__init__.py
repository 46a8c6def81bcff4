"""What a kernel's own ``__main__`` block or tests call it with, found by reading them.

Nothing is run: a small interpreter (:mod:`.interpreter`) walks through the file and notes each call of a
kernel. It computes with shapes and element types instead of arrays (:mod:`.values`, :mod:`.arrays`); whatever
it cannot know is :data:`UNKNOWN`, and so is everything computed from that.
"""

from .interpreter import calls
from .values import UNKNOWN, Called

__all__ = ["UNKNOWN", "Called", "calls"]
