"""Programs that nobody would write, through the whole tool; see :mod:`soundness` for what must be true."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import fuzzing
import pytest
import seeds
import soundness
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mutations import Program

hypothesmith = pytest.importorskip("hypothesmith")

FOUND = seeds.found()
PATIENT = settings(max_examples=25, suppress_health_check=list(HealthCheck), database=None)
HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl
from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel
from nkilib.core.qkv.qkv import qkv
"""
TAIL = "\nmlp_kernel(1, 2, 3, 4), qkv(1, 2, 3, 4, True)\n"
NAMES = ("mlp_kernel", "qkv", "nl", "nki", "nkilib", "x")


@pytest.mark.parametrize(
    "form", range(len(fuzzing.FORMS)), ids=[f"{f[0]}{f[2] or ''}" for f in fuzzing.FORMS]
)
@pytest.mark.parametrize("path", FOUND, ids=[p.stem for p in FOUND])
def test_what_once_went_wrong(path: Path, form: int) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        assert fuzzing.tried(file.read(), form) == ""


def test_mutated_programs() -> None:
    texts = seeds.all_seeds()
    failures = [f for seed in range(150) if (f := fuzzing.one_round(seed, texts))]
    assert not failures, failures[0].story


@pytest.mark.slow
def test_many_mutated_programs() -> None:
    texts = seeds.all_seeds()
    failures = [f for seed in range(150, 6000) if (f := fuzzing.one_round(seed, texts))]
    assert not failures, failures[0].story


def disguised(program: str, numbers: random.Random) -> str:
    """A program with some of its names replaced by those of the libraries."""
    parsed = Program(program)
    names = [n for n in parsed.nodes(ast.Name) if isinstance(n, ast.Name) and numbers.random() < 0.5]
    data = parsed.data
    for start, end in sorted(map(parsed.span, names), reverse=True):
        data = data[:start] + numbers.choice(NAMES).encode() + data[end:]
    return data.decode()


def between_calls(program: str, number: int) -> str:
    try:
        text = HEAD + disguised(program, random.Random(number)) + TAIL
        ast.parse(text)
    except (SyntaxError, ValueError, IndexError):
        assume(False)
    return text


@PATIENT
@given(hypothesmith.from_grammar(), st.integers(0, 1000))
def test_programs_of_the_grammar(program: str, number: int) -> None:
    soundness.check(between_calls(program, number))


@pytest.mark.slow
@settings(PATIENT, max_examples=300)
@given(hypothesmith.from_node(), st.integers(0, 1000), st.sampled_from(range(len(fuzzing.FORMS))))
def test_programs_of_nodes(program: str, number: int, form: int) -> None:
    assert fuzzing.tried(between_calls(program, number), form) == ""


# -- the checks themselves ------------------------------------------------------------------------------


def test_a_mutation_gives_the_same_program_for_the_same_number() -> None:
    texts = seeds.all_seeds()
    assert len(texts) > 500
    one, two = (fuzzing.mutant(texts[7], texts, random.Random(3), 20) for _ in range(2))
    assert one == two != texts[7]


def test_an_edit_that_no_finding_names_is_unsound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check would see an edit that goes further than its finding."""
    from nkimigrate import tasks

    real = tasks._apply

    def careless(source: object, edits: object) -> str:
        return real(source, edits).replace("kept = 1", "kept = 2")  # type: ignore[arg-type]

    monkeypatch.setattr(tasks, "_apply", careless)
    with pytest.raises(soundness.Unsound, match="no finding says"):
        soundness.check(HEAD + "kept = 1\n" + TAIL)
