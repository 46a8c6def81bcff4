"""NKM206: a flag that became a member of an enumeration (only the tree of December 2025 had the flag)."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed

KERNEL = "from nkilib.core.output_projection.output_projection_cte import output_projection_cte\n"
ENUM = "from nkilib.core.utils.common_types import QuantizationType\n"
RUN = "\n\ndef run(a, w, b, si, sw, x, y, **kw):\n    return output_projection_cte"

CALLS = {
    "true": ("(a, w, b, True, si)", "(a, w, b, QuantizationType.STATIC, si)"),
    "false, with more behind it": ("(a, w, b, False, si)", "(a, w, b, QuantizationType.NONE, si)"),
    "an expression": (
        "(a, w, b, x == y or not si)",
        "(a, w, b, QuantizationType.STATIC if x == y or not si else QuantizationType.NONE)",
    ),
    "a conditional": (
        "(a, w, b, out_proj_is_static_quantized=x if y else b)",
        "(a, w, b, quantization_type=QuantizationType.STATIC if (x if y else b) else QuantizationType.NONE)",
    ),
    "launched": (
        "[2](a, w, out_proj_is_static_quantized=True)",
        "[2](a, w, quantization_type=QuantizationType.STATIC)",
    ),
}
WITHOUT_ENUM = {
    "false at the end": ("(a, w, b, False)", "(a, w, b)"),
    "false by keyword": ("(a, w, out_proj_is_static_quantized=False, bias=b)", "(a, w, bias=b)"),
    "renamed beside it": ("(a, w, static_quant_weight_scale_hbm=sw)", "(a, w, weight_scales=sw)"),
}


@pytest.mark.parametrize(("old", "new"), CALLS.values(), ids=CALLS)
def test_flag_becomes_a_member(old: str, new: str) -> None:
    check_transformed(f"{KERNEL}{ENUM}{RUN}{old}\n", f"{KERNEL}{ENUM}{RUN}{new}\n", code="NKM206")


@pytest.mark.parametrize(("old", "new"), WITHOUT_ENUM.values(), ids=WITHOUT_ENUM)
def test_without_the_enumeration(old: str, new: str) -> None:
    check_transformed(f"{KERNEL}{RUN}{old}\n", f"{KERNEL}{RUN}{new}\n", code="NKM206")


def test_the_enumeration_is_imported() -> None:
    before = f"{KERNEL}{RUN}(a, w, b, True)\n"
    after = f"{KERNEL}{ENUM}{RUN}(a, w, b, QuantizationType.STATIC)\n"
    check_transformed(before, after, code="NKM206")


def test_the_enumeration_under_another_name() -> None:
    enum = ENUM.replace("QuantizationType\n", "QuantizationType as Q\n")
    check_transformed(
        f"{KERNEL}{enum}{RUN}(a, w, b, True)\n", f"{KERNEL}{enum}{RUN}(a, w, b, Q.STATIC)\n", code="NKM206"
    )


def test_a_taken_name_is_reported() -> None:
    before = f"{KERNEL}QuantizationType = 1{RUN}(a, w, b, True)\n"
    check_reported(before, "NKM206", 5, "QuantizationType")


@pytest.mark.parametrize(
    "call",
    [
        "(a, w, out_proj_is_static_quantized=True, **kw)",
        "(*a, static_quant_input_scale_hbm=si)",
        "(a, w, b, False, input_scale=si)",
        "(a, w, b, x)",
    ],
)
def test_what_cannot_be_bound_is_reported_or_not_touched(call: str) -> None:
    check_reported(f"{KERNEL}{RUN}{call}\n", "NKM2", 5, "output_projection_cte")


@pytest.mark.parametrize(
    "call",
    [
        "(a, w, b)",
        "(a, w, b, **kw)",
        "(a, w, b, x.quantization_type)",
        "(a, w, quantization_type=x, input_scales=si)",
        "(a, w)",
    ],
)
def test_untouched(call: str) -> None:
    check_noop(f"{KERNEL}{RUN}{call}\n")
