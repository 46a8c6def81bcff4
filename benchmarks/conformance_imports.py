"""What a checkout's tests import, served from nkisim: a simulator of another name, names of the compiler.

Also the choice whose kernels are tested: the checkout's, or those of ``nkilib`` here under their names.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np

from nkisim.core.dtypes import DType, dtype_of

SIMULATOR = {
    "nki.collectives": "nkisim.collectives",
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
DTYPES = "neuronxcc.starfish.support.dtype"
TRACER = "test.utils.kernel_tracer"
UNUSED = (
    "aws_embedded_metrics",
    "boto3",
    "botocore",
    "fabric2",
    "paramiko",
    "plotext",
    "neuronxcc.nki_standalone",
)
"""Reporting, remote hosts and the compiler: imported, but no part of a simulation."""
LIBRARY = "nkilib_src.nkilib"
GOLDEN = "_torch"


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


class OwnKernels(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """``nkilib`` under the name that the tests import; goldens (``…_torch``) stay the checkout's.

    A module that ``nkilib`` lacks is an ImportError that names it: no kernel is ever taken from the checkout.
    """

    def __init__(self, checkout: Path) -> None:
        self.sources = checkout / "src"

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != LIBRARY and not fullname.startswith(LIBRARY + "."):
            return None
        if fullname.endswith(GOLDEN):
            file = self.sources.joinpath(*fullname.split(".")).with_suffix(".py")
            return importlib.util.spec_from_file_location(fullname, file)
        own = fullname.removeprefix("nkilib_src.")
        if importlib.util.find_spec(own) is None:
            raise ModuleNotFoundError(f"our nkilib has no module {own}", name=own)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        module = importlib.import_module(spec.name.removeprefix("nkilib_src."))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """The import system has put the other name's spec on the module: give it its own again."""
        alias = module.__spec__
        assert alias is not None
        module.__spec__ = alias.loader_state


def _numpy_type(dtype: Any) -> np.dtype[Any]:
    return dtype_of(dtype).numpy if isinstance(dtype, DType | str) else np.dtype(dtype)


def _static_cast(array: Any, dtype: Any) -> Any:
    """The values in another type. Packed types hold four values in an element along the last dimension."""
    array = np.asarray(array)
    if array.dtype.names:
        array = _unpacked(array)
    target = _numpy_type(dtype)
    return _packed(array, target) if target.names else array.astype(target)


def _element(packed: np.dtype[Any]) -> np.dtype[Any]:
    (name,) = packed.names or ("",)
    return np.dtype(getattr(ml_dtypes, name.removesuffix("_x4")))


def _packed(array: Any, target: np.dtype[Any]) -> Any:
    data = np.ascontiguousarray(array.astype(_element(target))).view(np.uint8)
    if target.itemsize == 2:  # 4-bit values: the first of two in the lower half of a byte
        data = data[..., 0::2] & 15 | data[..., 1::2] << 4
    return np.ascontiguousarray(data).view(target)


def _unpacked(array: Any) -> Any:
    element = _element(array.dtype)
    data = np.ascontiguousarray(array).view(np.uint8)
    if array.dtype.itemsize == 2:
        data = np.stack([data & 15, data >> 4], axis=-1).reshape(*data.shape[:-1], -1)
    return data.view(element).astype(np.float32)


def _dtype_helpers() -> ModuleType:
    """Conversions of arrays by name of type."""
    module = ModuleType(DTYPES)
    vars(module).update(
        static_cast=_static_cast,
        is_float_type=lambda dtype: "float" in str(dtype_of(dtype)),
        sizeinbytes=lambda dtype: _numpy_type(dtype).itemsize,
        finfo=lambda dtype: ml_dtypes.finfo(_numpy_type(dtype)),
    )
    return module


def _trace_kernel(kernel_under_test: Any, mode: Any, output_directory: str) -> None:
    """Tests ask of the compiler that it takes the kernel; here, of the simulator that it runs it."""
    from test.utils.simulation_setup import simulate_kernel  # type: ignore[import-not-found]

    cores = kernel_under_test.compiler_input.logical_nc_config
    simulate_kernel(kernel_under_test.kernel_func, kernel_under_test.kernel_input or {}, cores)


def _refuse_uint32() -> None:
    """Let ``torch.from_numpy`` refuse uint32 as torch did before 2.3: the tests then hand over int32.

    Later ones make tensors that can neither be added nor be used as indices, where goldens do both.
    """
    if importlib.util.find_spec("torch") is None:
        return
    torch: Any = importlib.import_module("torch")
    convert = torch.from_numpy

    def from_numpy(array: Any) -> Any:
        if array.dtype == np.uint32:
            raise TypeError("uint32 is not taken")
        return convert(array)

    torch.from_numpy = from_numpy


def _package(name: str, **members: Any) -> ModuleType:
    module = sys.modules.setdefault(name, ModuleType(name))
    module.__dict__.setdefault("__path__", [])
    vars(module).update(members)
    return module


def _serve_modules() -> None:
    for name in (
        "neuronxcc",
        "neuronxcc.nki",
        "neuronxcc.starfish",
        "neuronxcc.starfish.support",
        "nki_cpu_simulator",
    ):
        _package(name)
    sys.modules[DTYPES] = _dtype_helpers()
    for served, own in SIMULATOR.items():
        sys.modules[served] = importlib.import_module(own)
    lang = SimpleNamespace(shared_constant=sys.modules["nkisim.language"].shared_constant)
    sys.modules["nki_cpu_simulator.nki.builtin"] = _package("nki_cpu_simulator.builtin", lang=lang)
    # Goldens cast with the legacy language, which this one no longer does.
    legacy = sys.modules["neuronxcc.nki.language"] = ModuleType("neuronxcc.nki.language")
    vars(legacy).update(vars(sys.modules["nkisim.language"]), static_cast=_static_cast)
    for served in (*SIMULATOR, "nki_cpu_simulator.nki.builtin", DTYPES):
        parent, _, child = served.rpartition(".")
        if parent.startswith(("neuronxcc", "nki_cpu_simulator")):
            setattr(sys.modules[parent], child, sys.modules[served])


def serve(checkout: Path, kernels: str) -> None:
    """Make the checkout's tests importable, with its own (``upstream``) kernels or with ``ours``."""
    importlib.import_module("nkisim").install(always=True)  # it refuses once the names below are taken
    _serve_modules()
    _refuse_uint32()
    sys.modules[TRACER] = tracer = ModuleType(TRACER)
    tracer.trace_kernel = _trace_kernel  # type: ignore[attr-defined]
    missing = [name for name in UNUSED if "." in name or importlib.util.find_spec(name) is None]
    sys.meta_path.append(Anythings(missing))
    if kernels == "ours":
        sys.meta_path.insert(0, OwnKernels(checkout))
