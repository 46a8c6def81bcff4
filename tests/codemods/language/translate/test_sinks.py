"""Results that are only stored: which dtype they get, and what is said of a statement that was rewritten."""

from __future__ import annotations

import ast

import pytest

from nkimigrate.codemods.analysis.context import FileContext
from nkimigrate.codemods.edit.apply import apply
from nkimigrate.codemods.language.migrate import migrated
from nkimigrate.codemods.source import Source
from nkimigrate.releases import load_language

KERNEL = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def kernel(a, b):
    out = nl.ndarray(a.shape, dtype={dtype}, buffer=nl.shared_hbm)
    other = nl.ndarray(a.shape, dtype=b.dtype, buffer=nl.shared_hbm)
    x = nl.load(a)
    y = nl.load(b)
    z = x + y
    {uses}
    return out
"""


def work_of(text):
    source, step = Source.decode(text.encode()), load_language("2.27", "2.28")
    return source, migrated(FileContext("app.py", source, ast.parse(text), step.resolution, "app"), step)


def new_text(text):
    source, work = work_of(text)
    assert not work.reasons
    return apply(source, [edit for change in work.changes for edit in change.edits])


@pytest.mark.parametrize("uses", ["nl.store(out, z)", "nl.store(out[...], value=z)"])
@pytest.mark.parametrize("dtype", ["a.dtype", "b.dtype"])
def test_a_result_that_is_only_stored_has_the_dtype_it_is_stored_as(uses, dtype):
    text = new_text(KERNEL.format(dtype=dtype, uses=uses))
    assert f"z = nl.ndarray(x.shape, dtype={dtype}, buffer=nl.sbuf)" in text
    assert "promoted_dtype" not in text


@pytest.mark.parametrize(
    ("uses", "dtype"),
    [
        ("nl.store(out, z)\n    nl.store(other, z)", "a.dtype"),
        ("nl.store(out, nl.exp(z))", "a.dtype"),
        ("nl.store(out, z)\n    w = nl.exp(z)", "a.dtype"),
        ("nl.store(out, z)", "nl.float16"),
    ],
)
def test_a_result_that_is_used_otherwise_is_promoted(uses, dtype):
    text = new_text(KERNEL.format(dtype=dtype, uses=uses))
    assert "z = nl.ndarray(x.shape, dtype=promoted_dtype(a.dtype, b.dtype), buffer=nl.sbuf)" in text


def test_a_tensor_that_is_allocated_further_down():
    text = KERNEL.format(dtype="a.dtype", uses="nl.store(out, z)")
    line = "    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)\n"
    text = text.replace(line, "").replace("    nl.store", f"{line}    nl.store")
    assert "z = nl.ndarray(x.shape, dtype=a.dtype, buffer=nl.sbuf)" in new_text(text)


def test_what_is_to_be_known_is_said_once_at_its_statement():
    text = KERNEL.format(dtype="a.dtype", uses="nl.store(out, z / z / z)")
    notes = [note for note in work_of(text)[1].notes if note.message == "M-DIVIDE"]
    assert [note.node.lineno for note in notes] == [12]


NUMBERS = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl

HALF = 0.5
TWO = 2


@nki.jit
def kernel(a, scale: float, epsilon=1e-6, count=1):
    out = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
    x = nl.load(a[0:128, 0:64])
    weight = 1 / 4
    y = nl.exp(x * ({number}))
    nl.store(out, y)
    return out
"""


@pytest.mark.parametrize(
    "number", ["scale", "epsilon", "HALF", "weight", "weight ** 2", "3 * weight", "-scale"]
)
def test_numbers_that_are_meant_to_be_floats_give_float32(number):
    assert "product = nl.ndarray(x.shape, dtype=nl.float32, buffer=nl.sbuf)" in new_text(
        NUMBERS.format(number=number)
    )


@pytest.mark.parametrize("number", ["count", "TWO", "TWO * count"])
def test_numbers_that_may_be_integers_are_promoted_when_traced(number):
    assert "dtype=promoted_dtype(a.dtype, " in new_text(NUMBERS.format(number=number))


@pytest.mark.parametrize(
    "above", ['"""What the kernel does."""\n', "# What the kernel does.\n", '"""a"""\n\n"""b"""\n']
)
def test_helpers_come_above_what_describes_the_kernel(above):
    described = KERNEL.replace("@nki.jit", f"{above}@nki.jit").format(
        dtype="nl.float16", uses="nl.store(out, z)"
    )
    text = new_text(described)
    assert text.index("def promoted_dtype") < text.index(above) < text.index("@nki.jit")
    assert f"{above}@nki.jit\ndef kernel" in text
