"""A 2.27 call gives the same through compat as it does migrated: to the last bit, for each form of the table.

The text of the call comes from the release table. It runs as it is with compat; nkimigrate rewrites the same
text; what comes out runs on the kernels alone.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import oldcode
import pytest
from equality import check_equal
from helpers import migrate
from kernels import cast, check_close
from missing import exists
from oldcalls import HOST, QKV, OldCall, old_calls
from oldtexts import TEXTS

from nkimigrate.codemods.model import Outcome
from nkimigrate.codemods.signature import first_break
from nkimigrate.releases import load

RELEASE = load("2.27", "2.28")
CALLS = list(old_calls(RELEASE))


def skip_missing(call: OldCall) -> None:
    package = call.form.name.rsplit(".", 2)[0]
    for module in (call.change.name.rpartition(".")[0], package):
        if not exists(module):
            pytest.skip(f"nkilib lacks {module}, see tests/data/nkilib-missing.json")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.id)
def test_old_call_and_migrated_call_agree(call: OldCall) -> None:
    skip_missing(call)
    old = oldcode.run(call.source, first=call.root)
    assert old.error == ""
    result = migrate({"old.py": call.source})
    needs = [f for f in result.findings if f.outcome is Outcome.NEEDS_YOU]
    assert not needs, result.text("old.py")
    assert result.text("old.py") != call.source
    new = oldcode.run(result.text("old.py"), first="nkilib")
    assert (new.error, new.warnings) == ("", []), result.text("old.py")
    check_equal(old.result, new.result)


def test_every_form_with_a_rule_is_called() -> None:
    """Each form of what nkilib has is among the calls, or among the pieces of code of ``oldtexts.py``."""
    called = {(call.form.name, call.form.dialect) for call in CALLS}
    for change in RELEASE.calls:
        for form in change.old:
            breaks = first_break(form.signature, change.signature, form.renamed) is not None
            changes = breaks or form.renamed or form.added or form.dropped or form.flags
            if changes and form.rewrite != "human" and defined(change.name):
                words = f"{change.name.rpartition('.')[2]}("
                in_a_text = any(words in text for text in TEXTS.values())
                assert (form.name, form.dialect) in called or in_a_text, (form.name, form.dialect)


def defined(name: str) -> bool:
    """Whether nkilib has what a new qualified name stands for."""
    module, _, last = name.rpartition(".")
    if module.rpartition(".")[2][:1].isupper():
        return defined(module)
    return exists(module) and hasattr(importlib.import_module(module), last)


QKV_CALL = f"""{HOST.replace("{root}", "nkilib")}from nkilib.core.qkv.qkv import qkv
{QKV}
result = qkv(hidden, weights, QKVOutputLayout.BSD, bias, True, before, attention)
"""
QKV_TKG_CALL = f"""{HOST.replace("{root}", "nkilib")}from nkilib.core.qkv.qkv_tkg import qkv_tkg
{QKV}

@nki.jit
def kernel(hidden, weights, gamma):
    return qkv_tkg(hidden, weights, gamma, False, None, None, 128, QKVOutputLayout.NBSd)


result = kernel(hidden, weights, gamma)
"""


def drawn() -> list[Any]:
    """What QKV draws: hidden, weights, bias, the two residuals, gamma."""
    draw = np.random.default_rng(7)
    shapes = ((1, 4, 256), (256, 384), (1, 384), (1, 4, 256), (1, 4, 256), (1, 256))
    return [bf16(draw.normal(size=shape) * 0.25) for shape in shapes]


def bf16(values: Any) -> Any:
    return cast(values, "bfloat16").astype(np.float32)


def test_an_unmigrated_call_is_refused_without_compat() -> None:
    """2.28 reads the output layout as a number of heads, where the release itself says nothing."""
    alone, compat = oldcode.run(QKV_TKG_CALL, "nkilib"), oldcode.run(QKV_TKG_CALL)
    assert "num_kv_heads must be an int, it is QKVOutputLayout.NBSd" in alone.error
    assert (alone.warnings, compat.error) == ([], "")
    hidden, weights, *_, gamma = drawn()
    factor = 1 / np.sqrt((hidden.astype(np.float64) ** 2).mean(-1, keepdims=True) + 1e-6)
    want = bf16(hidden * factor * gamma) @ weights
    check_close(compat.result, want.reshape(1, 4, 3, 128).transpose(2, 0, 1, 3), 2e-2)


def test_the_residual_survives_with_compat_alone() -> None:
    """2.28 reads the flag as a quantization type, which nkilib refuses."""
    alone, compat = oldcode.run(QKV_CALL, "nkilib"), oldcode.run(QKV_CALL)
    assert "quantization_type must be one of" in alone.error
    assert compat.error == ""
    hidden, weights, bias, before, attention, _ = drawn()
    projected, added = compat.result
    residual = hidden + before + attention
    check_close(added, residual, 2e-2)
    check_close(projected, residual @ weights + bias, 2e-2)
