"""Pytest plugin: a test tree written for a simulator package of another name runs on nkisim.

It serves that package and the few names of the compiler that the tests import, replaces reporting libraries
that are not installed, keeps a random sample of the cases of each test function, limits the time of each, and
writes a line of JSON for each result. Options come as environment variables, which workers inherit.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nkisim.core.dtypes import DType, dtype_of

SAMPLE = int(os.environ.get("CONFORMANCE_SAMPLE", "1"))
SEED = os.environ.get("CONFORMANCE_SEED", "0")
SECONDS = int(os.environ.get("CONFORMANCE_SECONDS", "60"))
RESULTS = os.environ.get("CONFORMANCE_RESULTS", "")

SIMULATOR = {
    "nki_cpu_simulator.nki": "nkisim.nki",
    "nki_cpu_simulator.nki.compiler": "nkisim.compiler",
    "nki_cpu_simulator.nki.isa": "nkisim.isa",
    "nki_cpu_simulator.nki.isa.constants": "nkisim.isa.constants",
    "nki_cpu_simulator.nki.language": "nkisim.language",
    "nki_cpu_simulator.nki.language.dtypes": "nkisim.dtype",
    "nki_cpu_simulator.nki.tensor": "nkisim.tensor",
    "nki_cpu_simulator.nki.typing": "nkisim.typing",
    "neuronxcc.nki.language": "nkisim.language",
    "neuronxcc.nki.typing": "nkisim.typing",
}
REPORTING = (
    "aws_embedded_metrics",
    "boto3",
    "botocore",
    "fabric2",
    "paramiko",
    "plotext",
    "neuronxcc.nki_standalone",
)


class Anything(ModuleType):
    """A module with every name, for imports whose use is not part of a simulation."""

    __path__ = ()  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {"__module__": self.__name__})


class Anythings(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves modules below the given names."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if not any(fullname == name or fullname.startswith(name + ".") for name in self.names):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        return Anything(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def _numpy_type(dtype: Any) -> np.dtype[Any]:
    return dtype.numpy if isinstance(dtype, DType) else np.dtype(dtype)


def _dtype_helpers() -> ModuleType:
    """Conversions of arrays by name of type."""
    import ml_dtypes

    module = ModuleType("neuronxcc.starfish.support.dtype")
    module.static_cast = lambda array, dtype: np.asarray(array).astype(_numpy_type(dtype))  # type: ignore[attr-defined]
    module.is_float_type = lambda dtype: "float" in str(dtype_of(dtype))  # type: ignore[attr-defined]
    module.sizeinbytes = lambda dtype: _numpy_type(dtype).itemsize  # type: ignore[attr-defined]
    module.finfo = lambda dtype: ml_dtypes.finfo(_numpy_type(dtype))  # type: ignore[attr-defined]
    return module


def _package(name: str, **members: Any) -> ModuleType:
    module = sys.modules.setdefault(name, ModuleType(name))
    module.__dict__.setdefault("__path__", [])
    vars(module).update(members)
    return module


def _serve() -> None:
    for name in (
        "neuronxcc",
        "neuronxcc.nki",
        "neuronxcc.starfish",
        "neuronxcc.starfish.support",
        "nki_cpu_simulator",
    ):
        _package(name)
    sys.modules["neuronxcc.starfish.support.dtype"] = _dtype_helpers()
    for served, own in SIMULATOR.items():
        sys.modules[served] = importlib.import_module(own)
    language = sys.modules["nki_cpu_simulator.nki.language"]
    lang = SimpleNamespace(shared_constant=getattr(language, "shared_constant", None))
    sys.modules["nki_cpu_simulator.nki.builtin"] = _package("nki_cpu_simulator.builtin", lang=lang)
    for served in (*SIMULATOR, "nki_cpu_simulator.nki.builtin", "neuronxcc.starfish.support.dtype"):
        parent, _, child = served.rpartition(".")
        if parent in sys.modules and parent.startswith(("neuronxcc", "nki_cpu_simulator")):
            setattr(sys.modules[parent], child, sys.modules[served])
    # Goldens cast with the legacy language, which this one no longer does.
    legacy = sys.modules["neuronxcc.nki.language"] = ModuleType("neuronxcc.nki.language")
    vars(legacy).update(
        vars(language), static_cast=sys.modules["neuronxcc.starfish.support.dtype"].static_cast
    )
    sys.modules["neuronxcc.nki"].language = legacy  # type: ignore[attr-defined]
    missing = [name for name in REPORTING if "." in name or importlib.util.find_spec(name) is None]
    sys.meta_path.append(Anythings(missing))


_serve()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep ``SAMPLE`` cases of each test function, the same ones for one seed."""
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        if not any(mark.name == "skip" for mark in item.iter_markers()):
            groups.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept: list[pytest.Item] = []
    for name, group in sorted(groups.items()):
        kept += random.Random(f"{SEED} {name}").sample(group, min(SAMPLE, len(group)))
    chosen = set(kept)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = kept


class Late(BaseException):
    """A case that took longer than its time."""


def _late(*_: Any) -> None:
    raise Late(f"longer than {SECONDS} s")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Stop a case after ``SECONDS``."""
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Write the result of the call, or of a set-up that failed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if RESULTS and (report.when == "call" or (report.when == "setup" and not report.passed)):
        with open(RESULTS, "a", encoding="utf-8") as file:
            file.write(json.dumps(_result(item, call, report)) + "\n")


def _result(item: pytest.Item, call: pytest.CallInfo[Any], report: Any) -> dict[str, Any]:
    """The case, how it ended (``late`` and ``memory`` are not the simulator's), and an error's first line."""
    error = call.excinfo.value if call.excinfo and not report.skipped else None
    ended = report.outcome
    if isinstance(error, Late):
        ended = "late"
    elif isinstance(error, MemoryError):
        ended = "memory"
    return {
        "case": item.nodeid,
        "outcome": ended,
        "seconds": round(call.duration, 2),
        "error": f"{type(error).__name__}: {error}"[:600] if error else "",
        "at": time.strftime("%H:%M:%S"),
    }
