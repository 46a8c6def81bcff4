"""Random calls of kernels: what is drawn, how it is run, and what it should give."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from kernels import PREFIX, check_close, launch

from nkisim.core.objects import fields_of

EXACT = (0.0, 0.0)
BF16_STEPS = (2e-2, 1e-5)
"""What the pages of most kernels allow, relative to the largest value."""


class Choose:
    """Decisions, each made by ``pick(lowest, highest)``."""

    def __init__(self, pick: Callable[[int, int], int]) -> None:
        self._pick = pick

    def int(self, lowest: int, highest: int) -> int:
        return self._pick(lowest, highest)

    def of(self, *options: Any) -> Any:
        """One of the options; the first is the simplest."""
        return options[self._pick(0, len(options) - 1)]

    def flag(self) -> bool:
        return bool(self._pick(0, 1))

    def some(self, *names: str) -> set[str]:
        """Any of the names."""
        return {name for name in names if self.flag()}

    def random(self) -> np.random.Generator:
        return np.random.default_rng(self._pick(0, 9999))


def by_seed(seed: int) -> Choose:
    """Decisions of a generator of random numbers."""
    random = np.random.default_rng(seed)
    return Choose(lambda lowest, highest: int(random.integers(lowest, highest + 1)))


def step_of_fp8(values: Any) -> Any:
    """How far the next float8_e4m3 is: what is rounded a little differently before may become that one."""
    sizes = np.maximum(np.abs(np.asarray(values, np.float64)), 2.0**-6)
    return np.exp2(np.floor(np.log2(sizes)) - 3)


@dataclass
class Call:
    """One call of a kernel.

    Attributes:
        kernel: the kernel, or a function that calls it. arguments: by the kernel's names.
        want: number of cores → expected results. tolerances: (rtol, atol) of each; atol may be one for each
            element.
        dtypes: of the results, where given. lnc: numbers of cores. shown: result of a launch → its parts.
        arguments_on: the arguments where they depend on the number of cores.
        subscripted: whether it is a function that launches a kernel, ``f[lnc](…)``.
    """

    kernel: Any
    arguments: dict[str, Any]
    want: Callable[[int], Sequence[Any]]
    tolerances: Sequence[tuple[float, Any]] = (BF16_STEPS,)
    dtypes: Sequence[Any] = ()
    lnc: tuple[int, ...] = (1, 2)
    target: str = "trn2"
    shown: Callable[[Any], Sequence[Any]] | None = None
    arguments_on: Callable[[int], dict[str, Any]] | None = None
    subscripted: bool = False

    def given(self, lnc: int) -> dict[str, Any]:
        return self.arguments_on(lnc) if self.arguments_on else self.arguments

    def run(self, lnc: int, without: str = "", **changes: Any) -> list[Any]:
        """The results as arrays; arguments are copied, since kernels write to some of them."""
        arguments = {**self.given(lnc), **changes}
        arguments.pop(without, None)
        arguments = {name: _copied(value) for name, value in arguments.items()}
        if self.subscripted:
            got = self.kernel[lnc](**arguments)
        else:
            got = launch(self.kernel, lnc=lnc, target=self.target, **arguments)
        if self.shown is not None:
            got = self.shown(got)
        return [np.asarray(part) for part in (got if isinstance(got, list | tuple) else [got])]

    def tried(self, lnc: int, **changes: Any) -> tuple[list[Any] | None, str]:
        """The results, or None and the words of the kernel's own error; any other error is raised."""
        try:
            return self.run(lnc, **changes), ""
        except AssertionError as error:
            if PREFIX in str(error):
                return None, str(error).partition(PREFIX)[2]
            raise

    def tolerance(self, index: int) -> tuple[float, Any]:
        """(rtol, atol) of a result; the last that is given is also that of those behind."""
        return self.tolerances[min(index, len(self.tolerances) - 1)]

    def check(self, got: Sequence[Any], lnc: int) -> None:
        """Fail unless results and their types are as expected."""
        want = self.want(lnc)
        assert len(got) == len(want), f"{len(got)} results, expected {len(want)}"
        for index, (found, wanted) in enumerate(zip(got, want, strict=True)):
            check_close(found, wanted, *self.tolerance(index), f"result {index} on {lnc} cores")
        for found, dtype in zip(got, self.dtypes, strict=False):
            assert found.dtype == dtype, f"{found.dtype}, expected {dtype}"


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


@dataclass(frozen=True)
class Family:
    """Calls of one public kernel.

    Attributes:
        name: its qualified name. draw: makes a call. classes: of arguments whose fields are parameters, too.
        made: parameters that the calling function makes itself, and checks.
        idle: parameters without effect on results, by their documentation → what they say instead.
        refused: parameters that have one value → another one, which is an error.
        shown_by: parameters that no drawn call shows → the test that does, as ``file::function``.
        free: of tensors, dimensions whose size no other tensor or number says.
        bits: whether one and two cores give the same bits; otherwise sums are added in another order, and
            results differ by roundings, within the tolerances.
    """

    name: str
    draw: Callable[[Choose], Call]
    classes: tuple[str, ...] = ()
    made: frozenset[str] = frozenset()
    idle: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, Any] = field(default_factory=dict)
    shown_by: Mapping[str, str] = field(default_factory=dict)
    free: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    bits: bool = False

    @property
    def id(self) -> str:
        return self.name.rpartition(".")[2]

    def parameters(self) -> dict[str, inspect.Parameter]:
        """Of the kernel, and the fields of its arguments' classes."""
        found: dict[str, inspect.Parameter] = {}
        for qualified in (self.name, *self.classes):
            module, _, name = qualified.rpartition(".")
            made = getattr(importlib.import_module(module), name)
            kernel = qualified == self.name
            found |= inspect.signature(made).parameters if kernel else fields_as_parameters(made)
        return found


def fields_as_parameters(made: Any) -> dict[str, inspect.Parameter]:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    pairs = fields_of(made).items()
    return {name: inspect.Parameter(name, kind, default=default) for name, default in pairs}
