"""Calls that no declaration of the old release takes: Python itself says which these are."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import pytest
import soundness

from nkimigrate import releases
from nkimigrate.codemods.model import Outcome
from nkimigrate.codemods.release import CallChange, OldForm

RELEASE = releases.load("2.27", "2.28")


def declared(signature: str) -> Callable[..., object]:
    """A function with these parameters; what their defaults are does not matter."""
    function = ast.parse(f"def declared{signature}: pass")
    arguments = function.body[0].args  # type: ignore[attr-defined]
    arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
    arguments.kw_defaults = [default and ast.Constant(None) for default in arguments.kw_defaults]
    names: dict[str, Callable[..., object]] = {}
    exec(compile(ast.fix_missing_locations(function), "declared", "exec"), names)
    return names["declared"]


def takes(signature: str, arguments: list[str]) -> bool:
    """Whether a call with these arguments succeeds."""
    names = {f"a{i}": i for i in range(99)} | {"declared": declared(signature)}
    try:
        eval(f"declared({', '.join(arguments)})", names)
    except TypeError:
        return False
    return True


def calls(form: OldForm) -> Iterator[list[str]]:
    """Argument lists: none, too few and too many by position, starred, and parameters that get two."""
    count, names = len(form.signature.positional), form.signature.positional
    every = [f"a{i}" for i in range(count + 3)]
    yield from (every[:k] for k in (0, 1, count + 1, count + 2, count + 3))
    yield [*every[:count], "*(1, 2)"]
    yield ["*(1, 2)", *every[:count]]
    for place in range(0, count, max(count // 6, 1)):
        yield [*every[: place + 1], f"{names[place]}=a0"]
        yield [*every[:count], f"{names[place]}=a0"]


def impossible() -> Iterator[tuple[str, CallChange, list[str]]]:
    """(old name, change, arguments) of such calls."""
    for change in RELEASE.calls:
        for form in change.old:
            module, _, _ = form.name.rpartition(".")
            old = [other.signature.text for _, other in RELEASE.forms[form.name]]
            if not module.rpartition(".")[2][:1].isupper():
                for arguments in calls(form):
                    if not any(takes(signature, arguments) for signature in old):
                        yield form.name, change, arguments


@pytest.mark.parametrize("root", ["nkilib", "nkilib_standalone.nkilib", "nkilib_src.nkilib"])
def test_a_call_that_cannot_have_run_is_never_rewritten(root: str) -> None:
    seen = 0
    for name, change, arguments in impossible():
        module, _, function = name.rpartition(".")
        text = (
            f"from {root}{module[len('nkilib') :]} import {function}\n\n{function}({', '.join(arguments)})\n"
        )
        report = soundness.check(text)
        after = report.changes[0].new.decode() if report.changes else text
        assert after.partition("(")[2] == text.partition("(")[2], text
        silent = name == change.name and takes(change.signature.text, arguments)
        assert silent or any(f.outcome is Outcome.NEEDS_YOU for f in report.findings), text
        seen += 1
    assert seen > 500
