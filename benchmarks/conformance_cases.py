"""Which cases of a checkout's tests are run: families, short names, a random sample that a seed repeats."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from pathlib import Path

VARIANTS = ("_model_config", "_sweep")
"""Files of tests for the same kernel as the file without this ending."""


def family(case: str) -> str:
    """Name of the tested kernel: the test file without folders, prefix and variant."""
    name = Path(case.partition("::")[0]).stem.removeprefix("test_")
    for variant in VARIANTS:
        name = name.removesuffix(variant)
    return name


def chosen(name: str, wanted: Iterable[str]) -> bool:
    """Whether a family is asked for: by its name, or by a part of it that is no family's whole name."""
    return any(part == name or part in name for part in wanted) or not list(wanted)


def left_out(name: str) -> str:
    """Why a family is not run at all, or ""."""
    return "its tests need several devices; simulated is one" if name == "collectives" else ""


def short(case: str) -> str:
    """Eight digits for a case, easier to repeat than its whole name."""
    return hashlib.sha256(case.encode()).hexdigest()[:8]


def sample(cases: Iterable[str], large: set[str], number: int, seed: str) -> list[str]:
    """``number`` cases of each family, the test functions in turn; large ones only when there are no others.

    A larger number keeps the cases of a smaller one, so that runs can be continued. The first cases of all
    families come first.
    """
    families: dict[str, dict[str, list[str]]] = {}
    for case in cases:
        function = case.partition("[")[0]
        families.setdefault(family(case), {}).setdefault(function, []).append(case)
    kept: list[list[str]] = []
    for name in sorted(families):
        small = _in_turn(
            [[case for case in group if case not in large] for group in families[name].values()], seed
        )
        rest = _in_turn(
            [[case for case in group if case in large] for group in families[name].values()], seed
        )
        kept.append([*small, *rest][:number])
    return _rounds(kept)


def _in_turn(groups: list[list[str]], seed: str) -> list[str]:
    """The cases of all groups, shuffled, one of each group after the other."""
    shuffled = [random.Random(f"{seed} {group[0]}").sample(group, len(group)) for group in groups if group]
    random.Random(seed).shuffle(shuffled)
    return _rounds(shuffled)


def _rounds(groups: list[list[str]]) -> list[str]:
    longest = max(map(len, groups), default=0)
    return [group[index] for index in range(longest) for group in groups if index < len(group)]
