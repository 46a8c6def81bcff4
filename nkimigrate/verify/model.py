"""What is compared with what, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

Verdict = Literal["identical", "close", "different", "not-run"]
IDENTICAL: Final = "identical"
CLOSE: Final = "close"
DIFFERENT: Final = "different"
NOT_RUN: Final = "not-run"
VERDICTS: tuple[Verdict, ...] = (IDENTICAL, CLOSE, DIFFERENT, NOT_RUN)
"""From best to worst."""

LEGACY, CURRENT = "neuronxcc.nki", "nki"
"""The languages of a file: Beta 1, and everything newer."""


@dataclass(frozen=True)
class Place:
    """A callable in a tree.

    Attributes:
        root: the tree's folder. file: relative to it, with slashes. name: of the function.
        language: :data:`LEGACY` or :data:`CURRENT`.
        jit: whether it is launched as a kernel; otherwise it is called as it is.
        target: platform that the decorator names, or "".
        inner: whether nothing in its file launches it: other kernels call it, which see what it writes.
    """

    root: str
    file: str
    name: str
    language: str
    jit: bool = True
    target: str = ""
    inner: bool = False


@dataclass(frozen=True)
class Case:
    """One kernel with one set of inputs.

    Attributes:
        old, new: where it is on both sides.
        label: tells cases of one kernel apart; "" for a single one.
        inputs: parameter → value as :mod:`.inputs` reads it, in the order of the call.
        grid: launch grid of a legacy kernel: numbers, ``nc(2)``, ``lnc``; empty for a plain call.
        lnc: numbers of cores that the launch is compared on.
        tolerance: largest error allowed, relative to the largest value; None: by element types.
        timeout: seconds for each run. seed: of random inputs. target: platform, or "".
        paths: folders to import from, relative to the tree.
        source: where the inputs come from, for the report.
        why_not: why it cannot be run; "" when it can.
    """

    old: Place
    new: Place
    label: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    grid: tuple[Any, ...] = ()
    lnc: tuple[int, ...] = (1,)
    tolerance: float | None = None
    timeout: float = 120.0
    seed: int = 0
    target: str = ""
    paths: tuple[str, ...] = ()
    source: str = ""
    why_not: str = ""

    @property
    def title(self) -> str:
        """How the report names it."""
        return f"{self.new.file}::{self.new.name}" + (f" [{self.label}]" if self.label else "")


@dataclass(frozen=True)
class Output:
    """How one output compares.

    Attributes:
        name: ``result``, ``result[1]``, or the parameter that was written.
        verdict: never ``not-run``. reason: in words, what is different.
        largest: largest difference. relative: the same divided by the old output's largest value.
        allowed: what ``relative`` may be; None where bits must be equal.
        blank: whether it is NaN throughout, on both sides: nothing was compared.
        notes: what weakens the comparison, such as an output of zeros.
    """

    name: str
    verdict: Verdict
    dtype: str = ""
    shape: tuple[int, ...] = ()
    largest: float = 0.0
    relative: float = 0.0
    allowed: float | None = None
    reason: str = ""
    blank: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What came of one case on one number of cores.

    Attributes:
        case, lnc: what was run. verdict: the worst of its outputs'.
        reason: why it is different as a whole, or could not run; side: which of ``old`` and ``new`` did not.
        outputs: what was compared. traces: work of ``old`` and ``new`` with ``--trace``.
        printed: what the code printed, by side. seconds: by side.
        notes: how it was run. weak: why the result says little, "" if it does not.
    """

    case: Case
    lnc: int
    verdict: Verdict
    reason: str = ""
    side: str = ""
    outputs: tuple[Output, ...] = ()
    traces: dict[str, dict[str, Any]] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    weak: str = ""


def worst(verdicts: list[Verdict]) -> Verdict:
    """The last of :data:`VERDICTS` that occurs; identical for none."""
    return max(verdicts, key=VERDICTS.index, default="identical")
