"""NKM205: outputs that the caller of a norm kernel allocates now.

The shape and the place of the output are those of the templates T1 and T2 in the list of differences.
"""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed, migrate

RMS = "from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg\n"
LAYER = "from nkilib.core.subkernels.layernorm_tkg import layernorm_tkg\n"
NL = "import nki.language as nl\n"


def shape(x: str, nl: str = "nl") -> str:
    return f"({nl}.tile_size.pmax, {x}.shape[0] * {x}.shape[1], {x}.shape[2] // {nl}.tile_size.pmax)"


def hbm(name: str, x: str = "x", nl: str = "nl") -> str:
    return f"{name} = {nl}.ndarray({shape(x, nl)}, dtype={x}.dtype, buffer={nl}.shared_hbm)\n"


def function(body: str, imports: str = NL + RMS, parameters: str = "x, g, b, sbm, out, eps") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"{imports}\n\ndef f({parameters}):\n{lines}"


CHANGED = {
    "annotated": ("y: b = rmsnorm_tkg(x, g)", hbm("y_output") + "y: b = rmsnorm_tkg(x, g, output=y_output)"),
    "two targets": (
        "y = z = rmsnorm_tkg(x, g)",
        hbm("y_output") + "y = z = rmsnorm_tkg(x, g, output=y_output)",
    ),
    "item": ("b[0] = rmsnorm_tkg(x, g)", hbm("norm_output") + "b[0] = rmsnorm_tkg(x, g, output=norm_output)"),
    "attribute of the input": (
        "y = rmsnorm_tkg(b.x, g)",
        hbm("y_output", "b.x") + "y = rmsnorm_tkg(b.x, g, output=y_output)",
    ),
    "one after the other": (
        "y = rmsnorm_tkg(x, g)\ny = rmsnorm_tkg(y, b)",
        f"{hbm('y_output')}y = rmsnorm_tkg(x, g, output=y_output)\n"
        f"{hbm('y_output_2', 'y')}y = rmsnorm_tkg(y, b, output=y_output_2)",
    ),
    "in a branch": (
        "if b:\n    y = rmsnorm_tkg(x, g)\n    return y",
        f"if b:\n    {hbm('y_output')}    y = rmsnorm_tkg(x, g, output=y_output)\n    return y",
    ),
    "eps by a telling name": (
        "return rmsnorm_tkg(x, g, eps)",
        hbm("norm_output") + "return rmsnorm_tkg(x, g, eps=eps, output=norm_output)",
    ),
    "explicit False": (
        "y = rmsnorm_tkg(x, g, output_in_sbuf=False, sbm=None)",
        hbm("y_output") + "y = rmsnorm_tkg(x, g, sbm=None, output=y_output)",
    ),
    "an alias": (
        "norm = rmsnorm_tkg\ny = norm(x, g)",
        "norm = rmsnorm_tkg\n" + hbm("y_output") + "y = norm(x, g, output=y_output)",
    ),
    "over several lines": (
        "y = rmsnorm_tkg(\n    x,\n    g,  # gamma\n    1e-6,\n)",
        f"{hbm('y_output')}y = rmsnorm_tkg(\n    x,\n    g,  # gamma\n    eps=1e-6,\n    output=y_output,\n)",
    ),
    "in SBUF without a manager": (
        "y = rmsnorm_tkg(x, g, output_in_sbuf=True, sbm=None)",
        f"y_output = nl.ndarray({shape('x')}, dtype=x.dtype, buffer=nl.sbuf)\n"
        "y = rmsnorm_tkg(x, g, sbm=None, output=y_output)",
    ),
    "heap, by keyword": (
        "y = rmsnorm_tkg(x, g, sbm=sbm, use_heap_memory=True, output_in_sbuf=True)",
        f"y_output = sbm.alloc_heap({shape('x')}, dtype=x.dtype, buffer=nl.sbuf)\n"
        "y = rmsnorm_tkg(x, g, sbm=sbm, use_heap_memory=True, output=y_output)",
    ),
    "manager as an attribute": (
        "y = rmsnorm_tkg(x, g, output_in_sbuf=True, sbm=b.sbm)",
        f"y_output = b.sbm.alloc_stack({shape('x')}, dtype=x.dtype, buffer=nl.sbuf)\n"
        "y = rmsnorm_tkg(x, g, sbm=b.sbm, output=y_output)",
    ),
    "input in SBUF": (
        "x = nl.ndarray(b, dtype=g, buffer=nl.sbuf)\ny = rmsnorm_tkg(x, g)",
        "x = nl.ndarray(b, dtype=g, buffer=nl.sbuf)\n"
        "y_output = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n"
        "y = rmsnorm_tkg(x, g, output=y_output)",
    ),
    "input of a call": (
        "return rmsnorm_tkg(b(x), g)",
        f"norm_input = b(x)\n{hbm('norm_output', 'norm_input')}"
        "return rmsnorm_tkg(norm_input, g, output=norm_output)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), CHANGED.values(), ids=CHANGED)
def test_rewritten(old: str, new: str) -> None:
    check_transformed(function(old), function(new), code="NKM205")


def test_an_input_that_changes_too() -> None:
    imports = NL + RMS + "from nkilib.core.utils.tensor_view import TensorView\n"
    new = (
        f"norm_input = b(list(TensorView(x).shape))\n{hbm('norm_output', 'norm_input')}"
        "return rmsnorm_tkg(norm_input, g, output=norm_output)"
    )
    before = function("return rmsnorm_tkg(b(TensorView(x).sizes), g)", imports)
    check_transformed(before, function(new, imports), code="NKM205")


LANGUAGES = {
    "import nki.language": ("import nki.language\n", "nki.language"),
    "from": ("from nki import language\n", "language"),
    "ladder": (
        "try:\n    import nki.language as nl\nexcept ImportError:\n    import neuronxcc.nki.language as nl\n",
        "nl",
    ),
}


@pytest.mark.parametrize(("line", "name"), LANGUAGES.values(), ids=LANGUAGES)
def test_the_language_as_the_file_calls_it(line: str, name: str) -> None:
    before = function("y = rmsnorm_tkg(x, g)", line + RMS)
    after = function(hbm("y_output", nl=name) + "y = rmsnorm_tkg(x, g, output=y_output)", line + RMS)
    check_transformed(before, after, code="NKM205")


def test_the_language_of_the_older_package_moves() -> None:
    old, new = "import neuronxcc.nki.language as lang\n", "import nki.language as lang\n"
    before = function("y = rmsnorm_tkg(x, g)", old + RMS)
    call = hbm("y_output", nl="lang") + "y = rmsnorm_tkg(x, g, output=y_output)"
    check_transformed(before, function(call, new + RMS), code="NKM205")


def test_the_language_under_another_name_when_the_usual_one_is_taken() -> None:
    before = function("y = rmsnorm_tkg(x, g)\nreturn nl", RMS, "x, g, nl")
    new = f"{hbm('y_output', nl='nki_language')}y = rmsnorm_tkg(x, g, output=y_output)\nreturn nl"
    after = function(new, RMS + "import nki.language as nki_language\n", "x, g, nl")
    check_transformed(before, after, code="NKM205")


REPORTED = {
    "unknown third argument": ("y = rmsnorm_tkg(x, g, b)", "may be `eps` or already `output`"),
    "bare expression": ("rmsnorm_tkg(x, g)", "output"),
    "shared line": ("y = rmsnorm_tkg(x, g); z = 1", "shares its line"),
    "launched": ("y = rmsnorm_tkg[2](x, g)", "launch"),
    "flag that is a variable": ("y = rmsnorm_tkg(x, g, output_in_sbuf=b)", "`output_in_sbuf` is not"),
    "manager from a call": ("y = rmsnorm_tkg(x, g, output_in_sbuf=True, sbm=b())", "`sbm` is not"),
    "allocation before a call": ("y = rmsnorm_tkg(x, b(), output_in_sbuf=True, sbm=sbm)", "order"),
    "no input": ("y = rmsnorm_tkg(gamma=g)", "misses inp"),
    "compared later": ("y = rmsnorm_tkg(x, g)\nreturn x if y is None else y", "None"),
    "in a table": ("t = {'a': rmsnorm_tkg}\ny = t['a'](x, g)", "container"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "why"), REPORTED.values(), ids=REPORTED)
def test_reported(body: str, why: str) -> None:
    line = 6 if body.startswith("t =") else 5
    finding = check_reported(function(body), "NKM205", line + 1, why)
    assert "output" in finding.step


def test_a_norm_of_a_norm_is_left_as_a_whole() -> None:
    """Rewritten alone, the outer one would take the inner one apart, which a second run would then change."""
    result = migrate({"app.py": function("return rmsnorm_tkg(rmsnorm_tkg(x, g), b)")})
    assert not result.changed
    assert [f.outcome.value for f in result.findings if f.code == "NKM205"] == ["needs-you", "needs-you"]


def test_a_partial_is_reported_where_it_is_made_and_called() -> None:
    body = "import functools\nn = functools.partial(rmsnorm_tkg, eps=1e-6)\ny = n(x, g)"
    result = migrate({"app.py": function(body)})
    assert [(f.code, f.line) for f in result.findings if f.code == "NKM205"] == [("NKM205", 7), ("NKM205", 8)]


NEW = {
    "keyword": "y = rmsnorm_tkg(x, g, output=out)",
    "all keywords": "y = rmsnorm_tkg(input=x, gamma=g, output=out, hidden_dim_tp=True)",
    "third position, allocated": "o = nl.ndarray(b, dtype=b, buffer=nl.sbuf)\ny = rmsnorm_tkg(x, g, o)",
    "third position, by its name": "y = rmsnorm_tkg(x, g, out)",
    "third and fourth position": "y = rmsnorm_tkg(x, g, b, 1e-6)",
    "with options": "y = rmsnorm_tkg(x, g, output=out, **b)",
}


@pytest.mark.parametrize("body", NEW.values(), ids=NEW)
def test_calls_of_the_new_release_are_left_alone(body: str) -> None:
    check_noop(function(body))


@pytest.mark.parametrize("call", ["layernorm_tkg(x, g, out, b)", "layernorm_tkg(x, g, out, b, 1e-6, False)"])
def test_new_calls_of_the_other_norm(call: str) -> None:
    check_noop(function(f"y = {call}", NL + LAYER))


def test_the_third_position_of_the_other_norm_is_beta() -> None:
    after = function(
        f"{hbm('y_output')}y = layernorm_tkg(x, g, beta=b, eps=1e-6, output=y_output)", NL + LAYER
    )
    check_transformed(function("y = layernorm_tkg(x, g, b, 1e-6)", NL + LAYER), after, code="NKM205")


def test_two_norms_leave_both_closes() -> None:
    call = "rmsnorm_tkg(x, g, output_in_sbuf=True, sbm=sbm)"
    body = f"y = {call}\nz = {call}\nsbm.close_scope()\nsbm.close_scope()"
    result = migrate({"app.py": function(body)})
    assert result.text("app.py").count("sbm.close_scope()") == 2
    assert all("close_scope" in f.step for f in result.findings if f.code == "NKM205")


def test_a_norm_that_closes_nothing_is_told_so() -> None:
    result = migrate({"app.py": function("y = rmsnorm_tkg(x, g, output_in_sbuf=True, sbm=sbm)\nreturn y")})
    (finding,) = [f for f in result.findings if f.code == "NKM205"]
    assert "elsewhere" in finding.step
