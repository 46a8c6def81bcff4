"""Every name of the former language is seen to, and what the texts say."""

from __future__ import annotations

import ast
import string

import pytest
from lowered import PlainEmitter, check_language, helper_sources

from nkimigrate.codemods.language.analysis.values import Scalar, Token
from nkimigrate.codemods.language.lowering import operators, refusals
from nkimigrate.codemods.language.lowering.emitter import Refused
from nkimigrate.codemods.language.lowering.helpers import HELPERS
from nkimigrate.codemods.language.lowering.messages import MESSAGES
from nkimigrate.codemods.language.lowering.registry import LOWERINGS, lower
from nkimigrate.codemods.language.lowering.tokens import language_token, numpy_token
from nkimigrate.releases import load_language

SHORT = {"language": "nl", "isa": "nisa", "compiler": "ncc", "typing": "nt"}
ELSEWHERE = frozenset(
    (
        *("nl.affine_range", "nl.sequential_range", "nl.static_range", "nl.ds", "nl.arange", "nl.mgrid"),
        *("nl.par_dim", "nl.nc", "nl.program_id", "nl.num_programs", "nl.program_ndim", "nl.finfo"),
        *("nl.fp32", "nl.bfp16", "nisa.fp32", "nki.tensor", "nki.tensor.ndim", "nki.tensor.itemsize"),
        *("ncc.sbuf", "ncc.psum", "ncc.sbuf.auto_alloc", "ncc.psum.auto_alloc", "ncc.no_reorder"),
        *("ncc.sbuf.mod_alloc", "ncc.psum.mod_alloc", "ncc.enable_stack_allocator"),
        *("ncc.force_auto_alloc", "ncc.skip_middle_end_transformations"),
        *("nt.tensor", "nt.mutable_tensor", "nt.mutable", "nki.jit", "nki.baremetal", "nki.benchmark"),
        *("nki.profile", "nki.simulate_kernel"),
    )
)
"""Names that are no operations: loops, indexes, programs, allocations, decorators, launches, constants."""


def short(name):
    rest = name.removeprefix("neuronxcc.nki.")
    head, _, tail = rest.partition(".")
    return f"{SHORT[head]}.{tail}" if head in SHORT else f"nki.{rest}"


def step():
    return load_language("2.27", "2.28")


def test_every_name_has_an_answer():
    names = {short(name): entry for name, entry in step().names.items()}
    assert len(names) == 205
    unchanged = {name for name, entry in names.items() if entry.status == "same"}
    assert names.keys() - unchanged - ELSEWHERE == LOWERINGS.keys() - unchanged - ELSEWHERE
    assert not LOWERINGS.keys() & (unchanged | ELSEWHERE)


@pytest.mark.parametrize("name", refusals.MESSAGES)
def test_refusals_say_what_the_release_table_says(name):
    full = next(full for full in step().names if short(full) == name)
    table = step().names[full].message
    assert refusals.MESSAGES[name] == table or (table == "" and name == "nl.loop_reduce")
    with pytest.raises(Refused) as caught:
        lower(name, PlainEmitter(), {"factor": Scalar("4")})
    MESSAGES[caught.value.message].text.format(**caught.value.fields)


def test_messages_of_the_release_table_exist():
    assert {entry.message for entry in step().names.values() if entry.message} <= MESSAGES.keys()


def test_codes_have_one_form():
    codes = [message.code for message in MESSAGES.values()]
    assert all(code.startswith("NKL") and code[3:].isdigit() and len(code) == 6 for code in codes)


def test_fields_of_messages_are_names():
    for message in MESSAGES.values():
        fields = [field for _, field, _, _ in string.Formatter().parse(message.text) if field is not None]
        assert all(field.isidentifier() for field in fields)


def test_operators_are_functions_with_a_lowering():
    for table in (operators.BINARY, operators.UNARY, operators.COMPARISON):
        assert set(table.values()) <= LOWERINGS.keys()
    assert ast.MatMult not in operators.BINARY


@pytest.mark.parametrize("name", HELPERS)
def test_helpers_are_in_the_language(name):
    source = helper_sources({name})
    check_language(source)
    documented = ast.parse(HELPERS[name].source).body[0]
    assert isinstance(documented, ast.FunctionDef)
    assert documented.name == name
    assert ast.get_docstring(documented)


def test_tokens_of_numpy_and_of_the_language():
    assert numpy_token("max") == numpy_token("amax") == language_token("max") == Token("nl.maximum")
    assert numpy_token("add") == language_token("sum") == Token("nl.add")
    assert numpy_token("float32") == numpy_token("float64") == Token("nl.float32")
    assert numpy_token("bool_") == Token("nl.uint8")
    assert numpy_token("random") is None
    assert language_token("exp") == Token("nl.exp")
