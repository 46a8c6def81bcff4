"""NKM209: literals where a member of an enumeration is required now."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed

TYPES = "nkilib.core.utils.common_types"
MLP = "from nkilib.core.mlp.mlp import mlp\n"
ENUM = f"from {TYPES} import ActFnType\n"
SAME = {
    "upper case": ("'SILU'", "ActFnType.SiLU"),
    "longer name": ("'gelu_tanh_approx'", "ActFnType.GELU_Tanh_Approx"),
    "number": ("3", "ActFnType.Swish"),
    "either": ("'silu' if t else 'gelu'", "ActFnType.SiLU if t else ActFnType.GELU"),
    "either member": ("ActFnType.SiLU if t else 1", "ActFnType.SiLU if t else ActFnType.GELU"),
}


@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=SAME)
def test_member(old: str, new: str) -> None:
    text = f"{MLP}{ENUM}\n\ndef f(t):\n    return mlp(t, t, t, t, activation_fn={{}}), ActFnType\n"
    check_transformed(text.format(old), text.format(new), code="NKM209")


CALLS = {
    "positional": "mlp(t, t, t, t, None, None, None, None, None, None, False, {})",
    "partial": "functools.partial(mlp, activation_fn={})",
    "launched": "mlp[2](t, t, t, t, activation_fn={})",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_calls(call: str) -> None:
    text = f"import functools\n\n{MLP}{ENUM}\n\ndef f(t):\n    return {call}, ActFnType\n"
    check_transformed(text.format("'silu'"), text.format("ActFnType.SiLU"), code="NKM209")


SPELLINGS = {
    "module": (f"import {TYPES} as ct\n", "ct.ActFnType"),
    "package": ("from nkilib.core.utils import common_types\n", "common_types.ActFnType"),
    "other name": (f"from {TYPES} import ActFnType as Act\n", "Act"),
}


@pytest.mark.parametrize(("line", "name"), SPELLINGS.values(), ids=SPELLINGS)
def test_spelling(line: str, name: str) -> None:
    text = f"{MLP}{line}\n\ndef f(t):\n    return mlp(t, t, t, t, activation_fn={{}}), {name}.SiLU\n"
    check_transformed(text.format("'silu'"), text.format(f"{name}.SiLU"), code="NKM209")


def test_star_import() -> None:
    text = "{}\n\ndef f(t):\n    return mlp(t, t, t, t, activation_fn={}), ActFnType\n"
    before = text.format(f"{MLP}from {TYPES} import *\n", "'silu'")
    check_transformed(before, text.format(MLP + ENUM, "ActFnType.SiLU"), code="NKM209")


def test_other_class() -> None:
    head = f"from nkilib.core.mlp.mlp_parameters import MLPParameters\n{ENUM}\n\n"
    text = head + "def f(t):\n    return MLPParameters(t, t, t, t, activation_fn={}), ActFnType\n"
    check_transformed(text.format("'gelu'"), text.format("ActFnType.GELU"), code="NKM209")


REPORTED = {
    "variable": ("A = 'gelu'\nmlp(t, t, t, t, activation_fn=A)\n", "ActFnType.GELU"),
    "dictionary": ("opts = {'activation_fn': 'gelu'}\nmlp(t, t, t, t, **opts)\n", "ActFnType.GELU"),
    "no member": ("\nmlp(t, t, t, t, activation_fn='relu')\n", "ActFnType.Swish"),
    "number of none": ("\nmlp(t, t, t, t, activation_fn=4)\n", "ActFnType.Swish"),
    "bool": ("\nmlp(t, t, t, t, activation_fn=True)\n", "ActFnType.Swish"),
    "None": ("\nmlp(t, t, t, t, activation_fn=None)\n", "ActFnType.Swish"),
    "other callee": ("k = mlp if t else f\nk(t, t, t, t, activation_fn='gelu')\n", "ActFnType.GELU"),
}


@pytest.mark.parametrize(("body", "contains"), REPORTED.values(), ids=REPORTED)
def test_reported(body: str, contains: str) -> None:
    check_reported(f"from app import f, t\n{MLP}{body}", "NKM209", 4, contains)


def test_taken_name_is_reported() -> None:
    text = f"{MLP}from app import ActFnType\n\nmlp(1, 1, 1, 1, activation_fn='silu')\nprint(ActFnType)\n"
    check_reported(text, "NKM209", 4, TYPES)


UNTOUCHED = {
    "member": "mlp(t, t, t, t, activation_fn=ActFnType.GELU)",
    "unknown": "mlp(t, t, t, t, activation_fn=t)",
    "by its value": "mlp(t, t, t, t, activation_fn=ActFnType(1))",
    "other parameter": "mlp(t, t, t, t, output_dtype='silu')",
    "other function": "t(activation_fn='silu')",
}


@pytest.mark.parametrize("call", UNTOUCHED.values(), ids=UNTOUCHED)
def test_untouched(call: str) -> None:
    check_noop(f"{MLP}{ENUM}\n\ndef f(t):\n    return {call}, ActFnType, mlp\n")


@pytest.mark.parametrize("part", ["value", "name"])
def test_what_a_member_holds_is_no_member(part: str) -> None:
    before = f"{MLP}{ENUM}\n\ndef f(t):\n    return mlp(t, t, t, t, activation_fn=ActFnType.GELU.{part})\n"
    check_transformed(before, before.replace(f".GELU.{part}", ".GELU"), code="NKM209")
    later = before.replace("    return", f"    act = ActFnType.GELU.{part}\n    return")
    later = later.replace(f"=ActFnType.GELU.{part})", "=act)")
    check_reported(later, "NKM209", later.count("\n"), "`act` is not one")
