"""``neuronxcc.nki.typing``: annotations of kernel parameters and of tiles."""

from ..typing import mutable_tensor as mutable_tensor
from ..typing import tensor as tensor


class mutable:
    """``nt.tensor[nt.mutable]``: a parameter that the kernel writes."""
