"""Paths into the old language in strings."""

from __future__ import annotations

import pytest
from hosted import HEAD, NEW_HEAD, check, hosted

LIBRARIES = "import importlib\nimport pytest\nfrom unittest import mock\n\n"
KERNEL = "\n\n@nki.jit\ndef k(x):\n    nl.device_print('x', x)\n    return x\n\n\n"


@pytest.mark.parametrize(
    ("call", "new"),
    [
        ("importlib.import_module('neuronxcc.nki.isa')", "importlib.import_module('nki.isa')"),
        ('pytest.importorskip("neuronxcc.nki", reason="x")', 'pytest.importorskip("nki", reason="x")'),
        ("importlib.util.find_spec('neuronxcc.nki.language')", "importlib.util.find_spec('nki.language')"),
        ("mock.patch('neuronxcc.nki.language.program_id')", "mock.patch('nki.language.program_id')"),
        ("run.monkeypatch.setattr('neuronxcc.nki.jit', 1)", "run.monkeypatch.setattr('nki.jit', 1)"),
    ],
)
def test_what_is_imported_by_its_path(call: str, new: str) -> None:
    found = check(f"{HEAD}{LIBRARIES}{KERNEL}{call}\n", f"{NEW_HEAD}{LIBRARIES}{KERNEL}{new}\n")
    assert not found.notes


@pytest.mark.parametrize(
    "text",
    [
        "paths = {'language': 'neuronxcc.nki.language'}",
        "mock.patch('neuronxcc.nki.language.load')",  # has no successor
        "importlib.import_module(name='neuronxcc.nki.isa')",
        "__import__('neuronxcc.nki.isa')",  # gives the package
    ],
)
def test_paths_of_which_it_is_not_clear_what_they_are_for(text: str) -> None:
    found = hosted(f"{HEAD}{LIBRARIES}{KERNEL}{text}\n")
    assert found.text == f"{NEW_HEAD}{LIBRARIES}{KERNEL}{text}\n"
    assert found.notes == [(15, "M-STRING")]


def test_files_that_have_both_languages_or_none_of_their_own() -> None:
    loads = "importlib.import_module('neuronxcc.nki.isa')\n"
    both = f"{HEAD}{LIBRARIES}{KERNEL}importlib.import_module('nki.isa')\n{loads}"
    assert hosted(both).notes == [(16, "M-STRING")]
    alone = hosted(f"{LIBRARIES}{loads}")
    assert (alone.text, alone.notes) == (f"{LIBRARIES}{loads}", [(5, "M-STRING")])


def test_prose_is_not_meant() -> None:
    text = '"""neuronxcc.nki.language"""\n\nprint("see neuronxcc.nki")\n'
    found = hosted(f"{HEAD}{LIBRARIES}{KERNEL}def f():\n    {text}")
    assert not found.notes
