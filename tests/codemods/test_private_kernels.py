"""Which names of the compiler's private packages can be imported from the library on their own."""

from __future__ import annotations

import pytest
from helpers import check_reported, check_transformed

HELPER = "from neuronxcc.nki._pre_prod_kernels.util.kernel_helpers import get_program_sharding_info\n"
NEW = "from nkilib.core.utils.kernel_helpers import get_program_sharding_info\n"
KERNEL = "\n\n@nki.jit\ndef kernel(x):\n    _, number, index = get_program_sharding_info()\n"


def test_a_function_goes_with_kernels_in_the_new_language() -> None:
    check_transformed("import nki\n" + HELPER + KERNEL, "import nki\n" + NEW + KERNEL)


@pytest.mark.parametrize(
    "line",
    [
        "import neuronxcc.nki as nki\n",
        "from neuronxcc import nki\n",
        "import neuronxcc.nki.language as nl\n",
        "from neuronxcc.nki.language import par_dim\n",
    ],
)
def test_it_stays_for_kernels_in_the_old_language(line: str) -> None:
    check_reported(line + HELPER + KERNEL, "NKM401", 2, "when they are written with `nki`")


def test_an_enumeration_has_no_language() -> None:
    old = "import neuronxcc.nki.language as nl\nfrom neuronxcc.nki._pre_prod_kernels import NormType\n"
    new = "import nki.language as nl\nfrom nkilib.core.utils.common_types import NormType\n"
    check_transformed(old, new)
