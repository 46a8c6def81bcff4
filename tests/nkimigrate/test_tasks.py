"""What is done for a file, by what was chosen."""

from __future__ import annotations

import itertools

import pytest

from nkimigrate.codemods.analyse import Analysis, Place
from nkimigrate.codemods.rules import all_rules
from nkimigrate.releases import load_language
from nkimigrate.tasks import Setting, Task, analyse_task

PREFIXES = ("", "N", "NKL", "NKM", "NKL1", "NKL6", "NKL601", "NKM401", "ACM101")
STEP = ("2.27", "2.28")
BOTH = b"""\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl
from nkilib.core.mlp.mlp import mlp_kernel


@nki.jit
def double(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.load(x) * 2.0)
    return out


def f(*args):
    return mlp_kernel(*args)
"""


@pytest.mark.parametrize("group", ["NKL", "NKM"])
def test_a_group_without_a_chosen_code_is_known_beforehand(group: str) -> None:
    codes = [rule.code for rule in all_rules() if rule.code.startswith(group)]
    known = 0
    for select, ignore in itertools.product(PREFIXES, PREFIXES):
        setting = Setting(STEP, select=(select,) if select else (), ignore=(ignore,) if ignore else ())
        wanted = any(map(setting.wants, codes))
        assert setting.may_want(group) or not wanted
        known += not setting.may_want(group)
    assert known > len(PREFIXES)


def test_the_language_step_only_runs_when_it_may_be_heard() -> None:
    def found(*ignore: str) -> list[str]:
        result = analyse_task(Setting(STEP, ignore=ignore), Task(BOTH, Place("a.py", "a")))
        assert isinstance(result, Analysis)
        return [finding.code for finding in result.findings]

    load_language.cache_clear()
    without = found("NKL")
    assert load_language.cache_info().currsize == 0
    assert without == [code for code in found() if code.startswith("NKM")]
    assert without
    assert load_language.cache_info().currsize == 1
