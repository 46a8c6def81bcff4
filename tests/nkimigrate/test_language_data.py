"""The table of the language's step 2.27 → 2.28 says what the documentation's stubs of both releases say."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nkimigrate.releases import load_language

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
TABLE: Mapping[str, Any] = tomllib.loads(
    (ROOT / "nkimigrate" / "releases" / "nki_2_27_to_2_28.toml").read_text(encoding="utf-8")
)
OLD = json.loads((ROOT / "tests" / "data" / "nki-api-2.26.1.json").read_text(encoding="utf-8"))
NEW = json.loads((ROOT / "tests" / "data" / "nki-api-2.28.1.json").read_text(encoding="utf-8"))
NAMES: Mapping[str, Mapping[str, Any]] = TABLE["names"]
NEW_NAMES: Mapping[str, Mapping[str, Any]] = TABLE["new_names"]


def documented() -> set[str]:
    """Every name that release 2.28 documents."""
    operators = {f"nki.language.{name}" for name in NEW["operators"]}
    return {*NEW["functions"], *NEW["constants"], *NEW["enums"], *operators}


def test_every_old_name_is_there_and_no_other() -> None:
    assert set(NAMES) == {*OLD["functions"], *OLD["others"]}


def test_every_documented_new_name_is_there() -> None:
    assert documented() <= set(NEW_NAMES)


@pytest.mark.parametrize("name", sorted(OLD["functions"]))
def test_an_old_signature_is_that_of_the_stub(name: str) -> None:
    assert NAMES[name]["signature"] == f"({OLD['functions'][name]})"


@pytest.mark.parametrize("name", sorted(NEW["functions"]))
def test_a_new_signature_is_that_of_the_stub(name: str) -> None:
    assert NEW_NAMES[name]["signature"] == f"({NEW['functions'][name]})"


def test_what_stays_exists_in_both() -> None:
    moved = {name: name.replace("neuronxcc.nki", "nki") for name in NAMES}
    for name, entry in NAMES.items():
        if entry["status"] in ("same", "signature"):
            assert moved[name] in NEW_NAMES, name
        elif entry["status"] == "gone":
            assert moved[name] not in documented(), name


def test_what_replaces_a_name_exists() -> None:
    for name, entry in NAMES.items():
        for new in (*entry.get("by", ()), *filter(None, [entry.get("token")])):
            assert new in NEW_NAMES, name


def test_what_is_handed_over_as_an_operation_is_one() -> None:
    for name, entry in NAMES.items():
        if "token" in entry:
            assert NEW_NAMES[entry["token"]]["token"], name
    for name in ("reciprocal", "divide", "logical_not"):
        assert "alu_op" not in NEW_NAMES[f"nki.language.{name}"].get("token", ()), name


def test_a_person_is_told_what_to_do() -> None:
    for name, entry in NAMES.items():
        assert ("message" in entry) == (entry["class"] == "C"), name


def test_the_counts_of_the_comparison() -> None:
    """As counted by hand in a comparison of the two documentations."""
    assert Counter(e["class"] for e in NAMES.values()) == {"A": 65, "B": 118, "C": 22}
    assert Counter(e["status"] for e in NAMES.values()) == {
        "same": 38,
        "renamed": 1,
        "signature": 40,
        "replaced": 99,
        "gone": 27,
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("neuronxcc.nki", "nki"),
        ("neuronxcc.nki.language", "nki.language"),
        ("neuronxcc.nki.isa.constants.oob_mode", "nki.isa.oob_mode"),
        ("neuronxcc.nki.language.float32", "nki.language.float32"),
        ("neuronxcc.nki.isa.engine.vector", "nki.isa.engine.vector"),
        ("neuronxcc.nki.language.tile_size.pmax", "nki.language.tile_size.pmax"),
        ("neuronxcc.nki.isa.nc_matmul", "nki.isa.nc_matmul"),
        ("neuronxcc.nki.language.load", ""),
        ("neuronxcc.nki.language.exp", ""),
        ("neuronxcc.nki.language.nc", ""),
        ("neuronxcc.nki.typing", ""),
        ("neuronxcc.nki.compiler", ""),
        ("neuronxcc.nki.tensor", ""),
        ("neuronxcc.nki.benchmark", ""),
        ("neuronxcc.nki._private_kernels.mlp", ""),
        ("neuronxcc.nkilib.language", ""),
        ("other.nki.language", ""),
        ("nki.language.float32", ""),
    ],
)
def test_the_successor_of_a_name(old: str, new: str) -> None:
    step = load_language("2.27", "2.28")
    assert step is not None
    assert step.successor(old) == new


def test_there_is_no_step_of_the_language_without_a_table() -> None:
    assert load_language("2.28", "2.29") is None


def test_every_module_that_holds_a_name_is_there() -> None:
    modules = set(TABLE["release"]["modules"])
    owners = {name.rpartition(".")[0] for name in documented()} - {"nki"}
    assert {"nki.language", "nki.isa", "nki.collectives"} <= owners <= modules
    assert not modules & set(NEW_NAMES)
