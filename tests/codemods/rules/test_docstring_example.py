"""NKM113: interactive examples in docstrings."""

from __future__ import annotations

from helpers import check_noop, check_reported, migrate

EXAMPLE = '''\
from nkilib.core.qkv.qkv import qkv


def project(x, w):
    """Project.

    >>> {}
    """
'''


def test_the_new_lines_are_in_the_step() -> None:
    text = '''\
class A:
    """A class.

        >>> from nkilib.core.mlp.mlp import mlp_kernel
        >>> for _ in range(2):
        ...     mlp_kernel(x, g, u, d)
        1
        >>> 1 + 1
    """
'''
    found = check_reported(text, "NKM113", 4, "code of 2.27: `mlp_kernel` is `mlp` now")
    assert "`from nkilib.core.mlp.mlp import mlp`, `for _ in range(2):`, `    mlp(x, g, u, d)`" in found.step


def test_an_example_sees_what_the_file_imports() -> None:
    found = check_reported(
        EXAMPLE.format("qkv(x, w, None, None, True)"), "NKM113", 7, "`fused_residual_add` by keyword"
    )
    assert found.step == "Write `qkv(x, w, None, None, fused_residual_add=True)`."


def test_new_imports_are_named() -> None:
    text = EXAMPLE.replace("qkv.qkv import qkv", "mlp.mlp import mlp").format(
        "mlp(x, g, u, d, activation_fn='gelu')"
    )
    found = check_reported(text, "NKM113", 7, "`activation_fn`")
    assert "activation_fn=ActFnType.GELU" in found.step
    assert "`from nkilib.core.utils.common_types import ActFnType`" in found.step


def test_what_a_person_must_decide_is_said_as_of_code() -> None:
    found = check_reported(EXAMPLE.format("qkv(*arguments)"), "NKM113", 7, "the starred argument may reach")
    assert found.step.startswith("Pass everything from position 4 on")


def test_examples_of_several_runs_share_their_names() -> None:
    text = EXAMPLE.format("k = qkv\n    1\n    >>> k(x, w, None, None, True)")
    check_reported(text, "NKM113", 9, "`fused_residual_add` by keyword")


def test_the_code_around_is_rewritten_all_the_same() -> None:
    text = EXAMPLE.format("qkv(x, w, None, None, True)") + "    return qkv(x, w, None, None, True)\n"
    result = migrate({"app.py": text})
    assert result.text("app.py") == text[: -len("True)\n")] + "fused_residual_add=True)\n"
    assert [f.code for f in result.findings if f.outcome.value != "noted"] == ["NKM113", "NKM201"]


def test_others_are_left_alone() -> None:
    check_noop(EXAMPLE.format("qkv(x, w, None, None, fused_residual_add=True)"))
    check_noop(EXAMPLE.format("qkv(x, w, None, None,"))
    check_noop(EXAMPLE.format("other(x, w, None, None, True)"))
    check_noop(EXAMPLE.replace(">>>", "$").format("qkv(x, w, None, None, True)"))
    check_noop('def f():\n    """nkilib\n\n    >>> qkv(x, w, None, None, True)\n    """\n')
