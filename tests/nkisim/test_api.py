"""The names, signatures and values that release 2.28.1 documents, against the simulator's.

``tests/data/nki-api-2.28.1.json`` holds them, and for each signature that is another one on purpose ours and why.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
from pathlib import Path

import pytest

import nkisim.language as nl
from nkisim.core.operators import Operator
from nkisim.core.tensor import Tensor

API = json.loads((Path(__file__).parents[1] / "data" / "nki-api-2.28.1.json").read_text(encoding="utf-8"))
DEVIATIONS = API["deviations"]


def found(qualified: str) -> object:
    """The simulator's object of a name under ``nki``."""
    module, _, name = qualified.rpartition(".")
    inside = module.removeprefix("nki").removeprefix(".") or "nki"
    return getattr(importlib.import_module(f"nkisim.{inside}"), name)


def spelled(function: object) -> str:
    """A signature as the data spells it: names and defaults, no annotations."""
    return ", ".join(map(_parameter, inspect.signature(function).parameters.values()))


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    default = parameter.default
    if default is inspect.Parameter.empty:
        return parameter.name
    text = f"{type(default).__name__}.{default.name}" if isinstance(default, enum.Enum) else repr(default)
    return f"{parameter.name}={text}"


@pytest.mark.parametrize("name", API["functions"])
def test_signature(name: str) -> None:
    expected = DEVIATIONS[name]["ours"] if name in DEVIATIONS else API["functions"][name]
    assert spelled(found(name)) == expected


@pytest.mark.parametrize("name", DEVIATIONS)
def test_deviations_take_what_is_documented(name: str) -> None:
    """Ours has the documented parameters in their order; it only adds some, or defaults."""
    assert DEVIATIONS[name]["ours"] != API["functions"][name]
    assert DEVIATIONS[name]["why"]
    ours = iter(p.partition("=")[0] for p in DEVIATIONS[name]["ours"].split(", "))
    documented = [p.partition("=")[0] for p in API["functions"][name].split(", ")]
    assert all(parameter in ours for parameter in documented)


@pytest.mark.parametrize("name", API["enums"])
def test_enum(name: str) -> None:
    assert {member.name: member.value for member in found(name)} == API["enums"][name]  # type: ignore[attr-defined]


def test_generations_are_ordered() -> None:
    version = found("nki.isa.nc_version")
    assert version.gen2 < version.gen3 < version.gen4  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "value"), API["constants"].items())
def test_constant(name: str, value: str) -> None:
    ours = found(name)
    if isinstance(ours, enum.Enum):
        assert f"{type(ours).__name__}.{ours.name}" == value
    else:
        assert str(ours) == value
        assert ours == value


@pytest.mark.parametrize("name", API["operators"])
def test_operator(name: str) -> None:
    operator = getattr(nl, name)
    assert isinstance(operator, Operator)
    assert repr(operator) == f"nl.{name}"


@pytest.mark.parametrize("name", API["tile_size"])
def test_tile_size(name: str) -> None:
    assert getattr(nl.tile_size, name) > 0


@pytest.mark.parametrize("name", [*API["classes"], *API["guide"]["functions"]])
def test_name(name: str) -> None:
    assert callable(found(name))


@pytest.mark.parametrize("name", API["guide"]["tensor"])
def test_tensor_has(name: str) -> None:
    assert hasattr(Tensor((128, 4), nl.float32), name)


def test_counts_of_the_index() -> None:
    """So that no entry is lost from the data: 48 instructions, 4 enums and 2 target names are indexed."""
    instructions = [name for name in API["functions"] if name.startswith("nki.isa.")]
    assert len(instructions) == 48 + 1
    assert len(API["enums"]) == 4 + 1 + 1
