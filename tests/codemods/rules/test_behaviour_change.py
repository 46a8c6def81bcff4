"""Notes on what behaves differently (NKM501)."""

from __future__ import annotations

from textwrap import dedent

import pytest
from helpers import check_sound, migrate

from nkimigrate.codemods.model import Finding

MLP = "from nkilib.core.mlp.mlp import mlp\nfrom nkilib.core.utils.common_types import ActFnType\n"
VIEW = "from nkilib.core.utils.tensor_view import TensorView"
HONOURED = "activation_fn takes effect"


def notes(text: str) -> list[Finding]:
    """The notes of a file; the file must be fine in every other respect."""
    result = migrate({"app.py": dedent(text)})
    check_sound(result)
    return [f for f in result.at("app.py") if f.code == "NKM501"]


def at(text: str, said: str) -> list[tuple[int, str]]:
    """Line and outcome of the notes whose message contains ``said``."""
    return [(f.line, f.outcome.value) for f in notes(text) if said in f.message]


@pytest.mark.parametrize(
    ("call", "lines"),
    [
        pytest.param("mlp(x, g, u, d, activation_fn=ActFnType.GELU)", [3], id="another member"),
        pytest.param("mlp(x, g, u, d, activation_fn=act)", [3], id="not known"),
        pytest.param("mlp[2](x, g, u, d, activation_fn=ActFnType(cfg['act']))", [3], id="computed, launched"),
        pytest.param("mlp(x, g, u, d, activation_fn=ActFnType.SiLU)", [], id="what 2.27 computed"),
        pytest.param("mlp(x, g, u, d)", [], id="not passed"),
        pytest.param("mlp(x, g, u, d, **options)", [], id="may be passed"),
        pytest.param("mlp(x, g, u, d, a, b, c, e, f, i, False, ActFnType.GELU)", [3], id="by position"),
        pytest.param("mlp(*xs, ActFnType.GELU)", [], id="behind a splat"),
        pytest.param("partial(mlp, activation_fn=ActFnType.GELU)", [3], id="in a partial"),
        pytest.param("other(x, activation_fn=ActFnType.GELU)", [], id="of something else"),
    ],
)
def test_an_argument_that_is_not_a_given_value(call: str, lines: list[int]) -> None:
    text = f"{MLP}y = {call}\nfrom functools import partial\n"
    assert at(text, HONOURED) == [(line, "noted") for line in lines]


def test_a_member_through_names_and_branches() -> None:
    text = f"{MLP}A = ActFnType.SiLU\nB = A if flag else ActFnType.SiLU\nC = A if flag else ActFnType.GELU\n"
    text += "mlp(x, g, u, d, activation_fn=B)\nmlp(x, g, u, d, activation_fn=C)\n"
    assert at(text, HONOURED) == [(7, "noted")]


def test_the_old_name_and_its_old_positions() -> None:
    text = """\
    from nkilib.core.mlp.mlp import mlp_kernel
    from nkilib.core.utils.common_types import ActFnType
    def run(x, g, u, d):
        return mlp_kernel(x, g, u, d, None, None, None, None, None, None, False, ActFnType.GELU)
    """
    assert at(text, HONOURED) == [(4, "noted")]


def test_an_argument_that_is_missing() -> None:
    text = """\
    from functools import partial
    from nkilib.core.attention.attention_tkg import AttnTKGConfig
    A = AttnTKGConfig(bs=1, block_len=16)
    B = AttnTKGConfig(bs=1, block_len=16, full_sprior=2048)
    C = AttnTKGConfig(bs=1)
    D = AttnTKGConfig(1, 8, 1, 1024, 2048, 128, 16)
    E = AttnTKGConfig(**options, block_len=16)
    F = partial(AttnTKGConfig, block_len=16)
    G = F(full_sprior=8)
    H = F(bs=1)
    """
    assert at(text, "full_sprior") == [(3, "needs-you"), (10, "needs-you")]


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("v.slice(0, 0, n)", True),
        ("v.slice(0, start=0, end=n + 1)", True),
        ("TensorView.slice(v, 0, 0, n)", True),
        ("v.permute(p).slice(0, 0, n)", True),
        ("v.slice(0, n, 128)", False),
        ("TensorView.slice(v, 0, n, 128)", False),
        ("other.slice(0, 0, n)", False),
        ("v.broadcast(0, 4)", True),
        ("v.broadcast(1, 4)", False),
    ],
)
def test_methods_of_a_proven_receiver(call: str, found: bool) -> None:
    text = f"{VIEW}\ndef f(v: TensorView, n, p, other):\n    {call}\n"
    said = "broadcast refuses" if "broadcast" in call else "slice clamps an end beyond the dimension instead"
    assert at(text, said) == ([(3, "noted")] if found else [])


@pytest.mark.parametrize(
    "body",
    [
        "with pytest.raises(AssertionError):\n    v.slice(1, 0, 99)",
        "with pytest.raises((ValueError, AssertionError)), open(p):\n    if q:\n        v.slice(1, 0, 99)",
        "with case.assertRaises(AssertionError):\n    v.slice(1, 0, 99)",
        "try:\n    v.slice(1, 0, 99)\nexcept AssertionError:\n    pass",
        "try:\n    if q:\n        v.slice(1, 0, 99)\nexcept (AssertionError, ValueError):\n    pass",
        "case.assertRaises(AssertionError, v.slice, 1, 0, 99)",
    ],
)
def test_where_a_failure_is_expected(body: str) -> None:
    text = f"import pytest\n{VIEW}\ndef test(v: TensorView, case, p, q):\n"
    text += "".join(f"    {line}\n" for line in body.splitlines())
    found = [f for f in notes(text) if "the assertion does not come" in f.message]
    assert [f.outcome.value for f in found] == ["needs-you"]
    assert "slice" in text.splitlines()[found[0].line - 1]


@pytest.mark.parametrize(
    "body",
    [
        "with pytest.raises(ValueError):\n    v.slice(1, 0, 99)",
        "with pytest.raises(AssertionError):\n    other()\nv.slice(1, 0, 99)",
        "try:\n    v.slice(1, 0, 99)\nexcept ValueError:\n    pass",
        "try:\n    pass\nexcept AssertionError:\n    v.slice(1, 0, 99)",
        "case.assertRaises(ValueError, v.slice, 1, 0, 99)",
    ],
)
def test_where_no_such_failure_is_expected(body: str) -> None:
    text = f"import pytest\n{VIEW}\ndef test(v: TensorView, case):\n"
    text += "".join(f"    {line}\n" for line in body.splitlines())
    assert at(text, "the assertion does not come") == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ('match="^End index"', True),
        ('match=r"\\AEnd index"', True),
        ('match="End index"', False),
        ('match=r"^\\[INTERNAL_ERROR\\] .*End index"', False),
        ("match=pattern", False),
    ],
)
def test_patterns_anchored_at_the_start_of_a_message(pattern: str, found: bool) -> None:
    text = f"""\
    import pytest
    from nkilib.core.mlp.mlp import mlp
    def test(x, g, u, d, pattern):
        with pytest.raises(AssertionError, {pattern}):
            mlp(x, g, u, d)
        with pytest.raises(AssertionError, match="^mine"):
            own(x)
    """
    assert at(text, "assertion messages begin") == ([(4, "needs-you")] if found else [])


def test_what_concerns_every_use_is_said_once() -> None:
    text = """\
    import nkilib.core.utils.allocator as alloc
    from nkilib.core.attention.attention_cte import attention_cte
    def f():
        return alloc.SbufManager(0, 1024), alloc.SbufManager(0, 1024), attention_cte, attention_cte
    """
    assert at(text, "attention_cte is decorated") == [(2, "noted")]
    assert at(text, "SbufManager aligns") == [(4, "noted")]


def test_places_that_list_the_members_of_an_enumeration() -> None:
    text = """\
    from nkilib.core.utils.common_types import QuantizationType
    TABLE = {QuantizationType.NONE: 0, QuantizationType.STATIC: 1}
    OTHER = {"a": QuantizationType.NONE, "b": QuantizationType.STATIC}
    def f(kind):
        match kind:
            case QuantizationType.NONE:
                return TABLE[kind]
            case QuantizationType.ROW | QuantizationType.STATIC:
                return OTHER
    """
    assert at(text, "a fourth member") == [(2, "noted"), (6, "noted")]


def test_a_file_that_uses_none_of_it() -> None:
    text = """\
    from nkilib.core.utils.common_types import NormType
    from app import mlp
    def f(x, g, u, d):
        return mlp(x, g, u, d, activation_fn=NormType.NO_NORM)
    """
    assert notes(text) == []
