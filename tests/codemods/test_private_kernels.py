"""Which names of the compiler's private packages can be imported from the library on their own."""

from __future__ import annotations

import pytest
from helpers import check_reported, check_sound, check_transformed, migrate

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


OWN = """

@nki.jit
def copied(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.load(x))
    return out
"""
CUMSUM = (
    "import neuronxcc.nki as nki\nimport neuronxcc.nki.language as nl\n"
    "from neuronxcc.nki.kernels.cumsum import cumsum\n"
)


def test_what_only_the_host_uses_does_not_hold_kernels_up() -> None:
    host = "\n\ndef summed(x):\n    return cumsum(x, axis=1)\n"
    result = migrate({"app.py": CUMSUM + OWN + host})
    found = result.text("app.py")
    assert found.startswith("import nki\nimport nki.language as nl\n")
    assert "nisa.dma_copy(dst=out, src=" in found
    assert found.endswith(host)
    assert "from neuronxcc.nki.kernels.cumsum import cumsum\n" in found
    check_sound(result)


def test_what_a_kernel_uses_holds_it_up() -> None:
    text = CUMSUM + OWN.replace("nl.load(x)", "cumsum(nl.load(x), axis=1)")
    assert migrate({"app.py": text}).text("app.py") == text
