"""NKM108: module paths that only documents printed."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_transformed

FORMS = {
    "from": (
        "from nkilib.core.attention_cte import attention_cte\n",
        "from nkilib.core.attention.attention_cte import attention_cte\n",
    ),
    "legacy root": (
        "from nkilib_standalone.nkilib.core.attention_tkg import attention_tkg as a\n",
        "from nkilib.core.attention.attention_tkg import attention_tkg as a\n",
    ),
    "alias": (
        "import nkilib.core.attention_tkg as t\nt.attention_tkg\n",
        "import nkilib.core.attention.attention_tkg as t\nt.attention_tkg\n",
    ),
    "plain": (
        "import nkilib.core.attention_cte\nnkilib.core.attention_cte.attention_cte(q, k, v)\n",
        "import nkilib.core.attention.attention_cte\n"
        "nkilib.core.attention.attention_cte.attention_cte(q, k, v)\n",
    ),
    "module": (
        "def f():\n    from nkilib.core import attention_cte as a\n\n    return a.attention_cte\n",
        "def f():\n    from nkilib.core.attention import attention_cte as a\n\n    return a.attention_cte\n",
    ),
    "the longer path": (
        "from nkilib.core.rmsnorm_quant.rmsnorm_quant import rmsnorm_quant_kernel\n",
        "from nkilib.core.rmsnorm.rmsnorm_quant import rmsnorm_quant_kernel\n",
    ),
    "the shorter path": (
        "from nkilib.core.rmsnorm_quant import rmsnorm_quant_kernel\n",
        "from nkilib.core.rmsnorm.rmsnorm_quant import rmsnorm_quant_kernel\n",
    ),
    "star": (
        "from nkilib.core.attention_cte import *\nattention_cte(q, k, v)\n",
        "from nkilib.core.attention.attention_cte import attention_cte\nattention_cte(q, k, v)\n",
    ),
    "what it names changed too": (
        "import nki\nfrom nkilib.core.attention_cte import attention_cte\n\ncte = nki.jit(attention_cte)\n",
        "import nki\nfrom nkilib.core.attention.attention_cte import attention_cte\n\ncte = attention_cte\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), FORMS.values(), ids=FORMS)
def test_the_real_module_takes_its_place(before: str, after: str) -> None:
    check_transformed(before, after, code="NKM108")


NOOP = {
    "the real module": "from nkilib.core.attention.attention_cte import attention_cte\n",
    "a longer name": "from nkilib.core.attention_cte_extra import x\n",
    "a package of your own": "from app.nkilib.core.attention_cte import attention_cte\n",
    "a relative import": "from .core.attention_cte import attention_cte  # nkilib\n",
}


@pytest.mark.parametrize("text", NOOP.values(), ids=NOOP)
def test_left_alone(text: str) -> None:
    check_noop(text)
