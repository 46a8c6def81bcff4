"""NKM210: calls of inner functions that a person has to adjust."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, migrate

DOWN = "from nkilib.core.mlp.mlp_cte.mlp_cte_projection import perform_down_projection as down\n\n"

CALLS = {
    "positional": "down(a, b, c)",
    "star": "down(*a)",
    "alias": "f = down\nf(a, b)",
    "partial": "import functools\nfunctools.partial(down, a)",
    "attribute": "import nkilib.core.mlp.mlp_cte.mlp_cte_projection as m\nm.perform_down_projection(a)",
    "through another module": "from nkilib.core.mlp.mlp_cte.mlp_cte import perform_down_projection as d\nd(a)",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_reported_with_the_new_parameters(call: str) -> None:
    text = f"{DOWN}{call}\n"
    found = check_reported(text, "NKM210", text.count("\n"), "static_scales_sbuf")
    assert "row scales" in found.step


def test_a_legacy_root_is_rewritten_all_the_same() -> None:
    result = migrate({"app.py": f"{DOWN}down(a, b, c)\n".replace("from nkilib.", "from nkilib_src.nkilib.")})
    assert result.text("app.py") == f"{DOWN}down(a, b, c)\n"
    assert [f.code for f in result.findings if f.outcome.value == "needs-you"] == ["NKM210"]


NOOP = {
    "only imported": "print(down)",
    "new arguments": "down(1, 2, 3, 4, 5, 6, 7, 8, static_scales_sbuf=9, source_row_scales_sbuf_list=10)",
    "all by their new names": (
        "down(mlp_params=a, tile_info=a, constants=a, indices=a, source_tile_sbuf_list=a, weights_tensor_hbm=a, "
        "weights_sbuf_list=a, bias_tensor_sbuf=a, static_scales_sbuf=a, source_row_scales_sbuf_list=a, "
        "output_tile_sbuf_list=a, sbm=a)"
    ),
    "a function of your own": "def perform_down_projection(a): ...\n\n\nperform_down_projection(1)",
    "a parameter": "def f(down):\n    return down(1)",
}


@pytest.mark.parametrize("call", NOOP.values(), ids=NOOP)
def test_left_alone(call: str) -> None:
    check_noop(f"{DOWN}{call}\n")
