"""Spec files: what they may say, what is wrong with others, and the values that come of them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nkimigrate.errors import UsageError
from nkimigrate.verify import inputs, spec
from nkimigrate.verify.inputs import GENERATORS, Unusable


def read(tmp_path: Path, text: str) -> spec.Spec:
    path = tmp_path / "x.toml"
    path.write_text(text)
    return spec.read(str(path))


def test_everything(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        seed = 3
        paths = ["src"]
        [[kernel]]
        name = "k"
        grid = [2, "nc(2)"]
        lnc = [1, 2]
        tolerance = 1e-3
        [kernel.inputs]
        a = { shape = [4], dtype = "bfloat16", values = "uniform", low = -1 }
        b = [1, 2]
        c = { items = [{ shape = [2] }, 3] }
        [[kernel]]
        name = "m"
        skip = "slow"
        """,
    )
    first, second = found.entries
    assert (found.seed, found.paths, first.grid, first.lnc, first.tolerance) == (
        3,
        ("src",),
        (2, "nc(2)"),
        (1, 2),
        1e-3,
    )
    assert list(first.inputs) == ["a", "b", "c"]
    assert (second.name, second.skip, second.grid) == ("m", "slow", None)


WRONG = {
    "x = 1": "unknown key `x`",
    "kernel = 3": "with two brackets",
    "[[kernel]]\n": "`name`, the function, is missing",
    "[[kernel]]\nname = 3": "`name` must be a text",
    "[[kernel]]\nname = 'k'\nlnc = [3]": "`lnc` is a list of 1 and 2",
    "[[kernel]]\nname = 'k'\ngrid = [1.5]": "`grid` is a list of numbers and of texts",
    "[[kernel]]\nname = 'k'\njit = 1": "`jit` must be true or false",
    "[[kernel]]\nname = 'k'\ninputs.a = {}": "[[kernel]] 1 (k): input `a`: needs `shape`",
    "[[kernel]]\nname = 'k'\ninputs.a = {shape = ['?']}": "needs `shape`",
    "[[kernel]]\nname = 'k'\ninputs.a = {shape = [2], values = 'nomal'}": "no values 'nomal'",
    "[[kernel]]\nname = 'k'\ninputs.a = {shape = [2], values = 'causal'}": "needs two dimensions",
    "[[kernel]]\nname = 'k'\ninputs.a = {shape = [2], values = 'ones', low = 3}": "`low` does not go with",
    "[[kernel]]\nname = 'k'\ninputs.a = {old = 3}": "says `old` but not `new`",
    "[[kernel]]\nname = 'k'\ninputs.a = {python = 3}": "`python` must be a str",
    "[[kernel]]\nname = 'k'\ninputs.a = {items = [{shap = [2]}]}": "needs `shape`",
    "seed = 'x'": "`seed` must be a whole number",
    "timeout = true": "`timeout` must be a number",
    "timeout = 0": "`timeout` must be a number of seconds above 0",
    "timeout = nan": "`timeout` must be a number of seconds above 0",
    "timeout = inf": "`timeout` must be a number of seconds above 0",
    "[[kernel]]\nname = 'k'\ntimeout = -1": "`timeout` must be a number of seconds above 0",
    "tolerance = -0.1": "`tolerance` must be a number, 0 or more",
    "tolerance = nan": "`tolerance` must be a number, 0 or more",
    "seed = -1": "`seed` must be a whole number from 0 to 2^32 - 1",
    "seed = 4294967296": "`seed` must be a whole number from 0 to 2^32 - 1",
    "paths = [3]": "`paths` is a list of folders",
    "[[kernel]]\nname = 'k'\nlnc = [true]": "`lnc` is a list of 1 and 2",
    "[[kernel]]\nname = 'k'\ninputs.a = {shape = [2], values = []}": "no values []",
    "[[kernel]]\nname = 'k'\ninputs.a = {shape = [2], scale = 'big'}": "`scale` must be a number",
    "[[kernel]": "x.toml: Expected",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(WRONG[text])) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "x.toml") in str(caught.value)


def value(
    said: Any, name: str = "a", side: str = "old", seed: int = 0, folder: str = ".", **names: Any
) -> Any:
    return inputs.Maker(side, seed, {"np": np, **names}, folder).value(said, name)


def test_plain_values() -> None:
    assert value(3) == 3
    assert value([1, [2, 3]]) == (1, (2, 3))
    assert value({"items": [1, {"python": "None"}]}) == [1, None]
    assert value({"fields": {"x": 1, "y": [2]}}) == {"x": 1, "y": (2,)}
    assert value({"python": "n + 1"}, n=2) == 3
    assert [value({"old": 1, "new": 2}, side=side) for side in ("old", "new")] == [1, 2]


def test_arrays() -> None:
    array = value({"shape": [200, 300], "dtype": "bfloat16", "scale": 2.0})
    assert (array.shape, array.dtype) == ((200, 300), ml_dtypes.bfloat16)
    assert abs(array.astype(np.float64).std() - 2) < 0.05
    wide = value({"shape": [1000], "values": "uniform", "low": -3, "high": -1})
    assert (wide.dtype, -3 <= wide.min() < -2.9, -1.1 < wide.max() <= -1) == (np.float32, True, True)
    whole = value({"shape": [1000], "dtype": "int32", "low": 5, "high": 8})
    assert (whole.dtype, sorted(set(whole.tolist()))) == (np.int32, [5, 6, 7])
    np.testing.assert_array_equal(
        value({"shape": [2, 3], "values": "arange", "low": 4, "step": 2}), [[4, 6, 8], [10, 12, 14]]
    )
    np.testing.assert_array_equal(
        np.sort(value({"shape": [9], "dtype": "uint32", "values": "permutation"})), np.arange(9)
    )
    np.testing.assert_array_equal(value({"shape": [1, 2, 3], "values": "causal"}), [[[1, 0, 0], [1, 1, 0]]])
    np.testing.assert_array_equal(value({"shape": [2, 2], "values": "identity"}), [[1, 0], [0, 1]])
    np.testing.assert_array_equal(value({"shape": [2], "values": "constant", "value": 7}), [7, 7])
    mask = value({"shape": [10000], "dtype": "bool", "values": "mask", "share": 0.2})
    assert (mask.dtype, 0.18 < mask.mean() < 0.22) == (np.bool_, True)


def test_random_values_depend_on_name_and_seed_alone() -> None:
    table = {"shape": [8]}
    one = value(table)
    np.testing.assert_array_equal(value(table, side="new"), one)
    assert (value(table, name="b") != one).any()
    assert (value(table, seed=1) != one).any()


def test_every_generator_is_known_to_the_reader() -> None:
    assert set(GENERATORS) == set(spec.GENERATOR_KEYS)


def test_arrays_from_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(3.0))
    found = value({"file": "x.npy", "dtype": "bfloat16"}, folder=str(tmp_path))
    assert (found.dtype, found.tolist()) == (ml_dtypes.bfloat16, [0, 1, 2])
    with pytest.raises(Unusable, match=r"a: y\.npy cannot be read"):
        value({"file": "y.npy"}, folder=str(tmp_path))


def test_values_that_cannot_be_made() -> None:
    with pytest.raises(Unusable, match="a: no element type 'float31'"):
        value({"shape": [2], "dtype": "float31"})
    with pytest.raises(Unusable, match="a: `1 / 0` fails: ZeroDivisionError"):
        value({"python": "1 / 0"})


def test_the_page_has_every_key_and_generator(repository: Path) -> None:
    page = (repository / "docs" / "verify.md").read_text(encoding="utf-8")
    for name in (*GENERATORS, *spec._ENTRY, *spec._TOP):
        assert f"`{name}`" in page or f"`{name} =" in page, name


@pytest.mark.parametrize("name", ["samples", "tutorials", "api", "nxdi"])
def test_the_benchmark_s_spec_files_can_be_read(repository: Path, name: str) -> None:
    found = spec.read(os.path.join(repository, "benchmarks", "language_specs", f"{name}.toml"))
    assert found.entries
    assert all(entry.inputs or entry.skip for entry in found.entries)
