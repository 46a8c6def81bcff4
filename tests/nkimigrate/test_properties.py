"""Call rewrites against Python itself: whatever the signatures and the call, both calls do the same.

Hypothesis invents a release (parameters inserted, renamed, reordered, added) and a call. The oracle is the
interpreter: functions with the old and the new signature report what each of their parameters received, and
arguments report when they were evaluated. A second property invents programs in which names are bound,
shadowed and rebound, and compares which calls really reach the kernel with which calls were rewritten.
"""

from __future__ import annotations

import functools
import re
import sys
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from types import ModuleType
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from nkimigrate.codemods.analyse import Place, World, analyse
from nkimigrate.codemods.model import Finding, Outcome
from nkimigrate.codemods.release import Release
from nkimigrate.codemods.rules import all_rules
from nkimigrate.tasks import Edited, Job, Setting, Task, edit_task

ROOT = "fakelib"
MODULE = "fakelib.core.up"
PATIENT = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@dataclass(frozen=True)
class Change:
    """An old and a new signature of one function, and the release table that describes them."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    old_name: str
    new_name: str
    renamed: dict[str, str]
    required: frozenset[str]
    new_required: frozenset[str]
    added: dict[str, str]

    def release(self) -> Release:
        form: dict[str, Any] = {"dialect": "1", "signature": text(self.old, self.required)}
        if self.old_name != self.new_name:
            form["name"] = f"{MODULE}.{self.old_name}"
        form |= {"renamed": self.renamed, "added": self.added, "rewrite": "keywords"}
        call = {
            "name": f"{MODULE}.{self.new_name}",
            "signature": text(self.new, self.new_required),
            "old": [form],
        }
        head = {"product": ROOT, "from": "1", "to": "2", "root": ROOT, "legacy_roots": [f"old.{ROOT}"]}
        return Release.from_dict({"release": head, "calls": [call]})


def text(names: tuple[str, ...], required: frozenset[str]) -> str:
    return "(" + ", ".join(n if n in required else f"{n}=None" for n in names) + ")"


@st.composite
def changes(draw: st.DrawFn, added: bool = False) -> Change:
    """A signature of up to eight parameters; up to three inserted, some renamed, perhaps two swapped."""
    count = draw(st.integers(1, 8))
    required_count = draw(st.integers(0, (count + 1) // 2))
    old = tuple(f"p{i}" for i in range(count))
    renamed = {n: f"r{n[1:]}" for n in draw(st.sets(st.sampled_from(old), max_size=2))}
    new = [renamed.get(n, n) for n in old]
    if draw(st.booleans()) and count - required_count > 1:
        i = draw(st.integers(required_count, count - 2))
        new[i], new[i + 1] = new[i + 1], new[i]
    required = frozenset(old[:required_count])
    extra: dict[str, str] = {}
    if added and required_count:
        sources = draw(st.lists(st.sampled_from(old[:required_count]), min_size=1, max_size=2))
        extra["end"] = " + ".join(f"{{{n}}}" for n in sources)
        new.insert(required_count, "end")
    for i in range(draw(st.integers(0 if extra else 1, 3))):
        new.insert(draw(st.integers(required_count + len(extra), len(new))), f"q{i}")
    new_required = frozenset(renamed.get(n, n) for n in required) | frozenset(extra)
    names = draw(st.sampled_from([("kernel", "kernel"), ("kernel", "core")]))
    return Change(old, tuple(new), *names, renamed, required, new_required, extra)


# -- calls --------------------------------------------------------------------------------------------

EXPRESSIONS = (
    "e({0})",
    "x{0}",
    "'s{0}'",
    "(e({0}))",
    "(w{0} := e({0}))",
    "[e({0}), e('i{0}')]",
    "e({0}) if e('c{0}') else e('d{0}')",
    "(lambda: x{0})()",
    "{{'k': e({0})}}",
    "tuple(e({0}) for _ in (1, 2))",
    "f'{{e({0})}}'",
    "not e({0})",
)
SEPARATORS = (", ", ",", " , ", ",\n        ", ",  # note {0}\n        ", ",\n        # above {0}\n        ")
PURE = ("x{0}", "'s{0}'")


@dataclass(frozen=True)
class CallText:
    """The source of a call, with what decides how much can be proven about it.

    ``stars`` holds the positions ``(first, end)`` that each starred literal fills.
    """

    source: str
    unknown: bool
    stars: tuple[tuple[int, int], ...]


@st.composite
def calls(draw: st.DrawFn, change: Change, pure: bool = False) -> CallText:
    """Any way to write a call: positions, keywords in any order, literal and unknown stars, any layout."""
    positional = max(0, len(change.old) - draw(st.integers(0, 4)))
    later = [n for n in change.old[positional:] if n in change.required or draw(st.booleans())]
    keywords = draw(st.permutations(later))
    kinds = PURE if pure else EXPRESSIONS
    expression = st.sampled_from(kinds)
    arguments: list[str] = []
    stars: list[tuple[int, int]] = []
    i = 0
    while i < positional:
        width = draw(st.sampled_from([1, 1, 1, 1, 0, 2, 3]))
        items = [draw(expression).format(n) for n in range(i, min(i + width, positional))]
        arguments.append(items[0] if width == 1 else f"*[{', '.join(items)}]")
        stars += [] if width == 1 else [(i, i + len(items))]
        i += width
    unknown = not pure and draw(st.integers(0, 5)) == 0
    if unknown:
        arguments.insert(draw(st.integers(0, len(arguments))), "*tail")
    spaces = draw(st.sampled_from(["=", "=", "=", " = "]))
    arguments += [f"{n}{spaces}{draw(expression).format(100 + k)}" for k, n in enumerate(keywords)]
    if draw(st.integers(0, 7)) == 0:
        arguments.append("**more")
    separator = draw(st.sampled_from(SEPARATORS))
    inside = "".join(
        a + (separator.format(k) if k < len(arguments) - 1 else "") for k, a in enumerate(arguments)
    )
    end = draw(st.sampled_from(["", ",", " ", "\n    ", ",\n    ", ",  # last\n    "])) if arguments else ""
    callee = draw(st.sampled_from(["{0}", "{0}[2]", "({0})", "{0}[n, 2]", "alias", "launched"]))
    return CallText(f"{callee.format(change.old_name)}({inside}{end})", unknown, tuple(stars))


def program(change: Change, call: str) -> str:
    return (
        f"from {MODULE} import {change.old_name}\n\n"
        f"alias = {change.old_name}\nlaunched = alias[2]\n\n\n"
        f"def run():\n    return {call}  # the call\n"
    )


def rewrite(source_text: str, release: Release) -> tuple[str, tuple[Finding, ...]]:
    """One file through analysis and editing."""
    data = source_text.encode()
    findings = analyse(data, Place("app.py"), release, all_rules(), World()).findings
    edited = edit_task(Setting(("1", "2")), Job(Task(data, Place("app.py")), findings))
    assert isinstance(edited, Edited), edited
    return (source_text if edited.data is None else edited.data.decode()), edited.findings


# -- the oracle: Python ---------------------------------------------------------------------------------


class Kernel:
    """A function that can be launched with a grid, as kernels are."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        functools.update_wrapper(self, function)

    def __getitem__(self, _grid: object) -> Kernel:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def function(name: str, signature: str, body: str, **scope: Any) -> Kernel:
    """A kernel of this signature; parameters that are not given are ``_NOT``."""
    scope["_NOT"] = object()
    exec(f"def {name}{signature.replace('=None', '=_NOT')}:\n    {body}\n", scope)
    return Kernel(scope[name])


def execute(source_text: str, scope: dict[str, Any], **symbols: Any) -> None:
    """Run a program that finds ``symbols`` in the made-up library's module."""
    parts = MODULE.split(".")
    modules = {".".join(parts[: i + 1]): ModuleType(".".join(parts[: i + 1])) for i in range(len(parts))}
    modules[MODULE].__dict__.update(symbols)
    with mock.patch.dict(sys.modules, modules):
        exec(compile(source_text, "app.py", "exec", dont_inherit=True), scope)


@dataclass(frozen=True)
class Run:
    """What a call did: what the parameters received (None for a TypeError), in which order."""

    bound: dict[str, Any] | None
    order: tuple[Any, ...] = ()


def run(change: Change, source_text: str, new: bool, tail: list[str]) -> Run:
    """Run a program against the old or the new function, with ``tail`` as its unknown star."""
    name, signature = (
        (change.new_name, text(change.new, change.new_required))
        if new
        else (change.old_name, text(change.old, change.required))
    )
    kernel = function(name, signature, "return {k: v for k, v in locals().items() if v is not _NOT}")
    order: list[Any] = []

    def e(value: Any) -> str:
        order.append(value)
        return f"v{value}"

    scope: dict[str, Any] = {"e": e, "n": 1, "tail": tail, "more": {}} | {
        f"x{i}": f"x{i}" for i in range(200)
    }
    execute(source_text, scope, **{name: kernel})
    try:
        bound = scope["run"]()
    except TypeError:
        return Run(None)
    return Run(bound, tuple(order))


# -- calls: same binding, same order, same formatting, idempotent -----------------------------------------


def check(change: Change, call: CallText) -> None:
    before = program(change, call.source)
    tails = [[f"t{i}" for i in range(length)] for length in range(len(change.old) + 1)]
    old = [run(change, before, False, tail) for tail in tails]
    assume(any(one.bound is not None for one in old))
    release = change.release()
    after, findings = rewrite(before, release)
    if any(f.outcome is Outcome.NEEDS_YOU for f in findings):
        event("left to a person")
        assert may_be_left(change, call), f"{before}\n{release.calls}\n{findings}"
        return
    event("rewritten" if after != before else "untouched")
    for one, tail in zip(old, tails, strict=True):
        if one.bound is not None:
            two = run(change, after, True, tail)
            assert two == Run(translated(change, one.bound), one.order), after
    assert comments(after) == comments(before)
    assert change.added or plain(change, after) == plain(change, before)
    again, more = rewrite(after, release)
    assert again == after
    assert not [f for f in more if f.edits]


def may_be_left(change: Change, call: CallText) -> bool:
    """An unknown star, unknown keys of which some changed, or a star over the break needs a person."""
    unknown_keys = "**more" in call.source and (change.renamed or change.added)
    moved = (i for i, old in enumerate(change.old) if change.new[i] != change.renamed.get(old, old))
    start = next(moved, len(change.old))
    over = any(end > start for _, end in call.stars)
    return bool(call.unknown or unknown_keys or over or (change.added and call.stars))


def translated(change: Change, bound: dict[str, Any]) -> dict[str, Any]:
    """What the new function must receive when the old one received ``bound``."""
    values = {
        name: eval(template.format(**{k: repr(v) for k, v in bound.items()}))
        for name, template in change.added.items()
    }
    return {change.renamed.get(k, k): v for k, v in bound.items()} | values


def comments(source_text: str) -> list[str]:
    tokens = tokenize.generate_tokens(StringIO(source_text).readline)
    return [t.string for t in tokens if t.type == tokenize.COMMENT]


def plain(change: Change, source_text: str) -> str:
    """The text without keywords and with the old name: what a rewrite must not change."""
    keywords = "|".join({*change.old, *change.new})
    bare = re.sub(rf"(?<![\w'])(?:{keywords}) ?= ?", "", source_text)
    return re.sub(rf"\b{change.new_name}\b", change.old_name, bare)


@PATIENT
@given(st.data())
def test_a_rewritten_call_binds_the_same_values_in_the_same_order(data: st.DataObject) -> None:
    change = data.draw(changes())
    check(change, data.draw(calls(change)))


@PATIENT
@given(st.data())
def test_an_added_argument_has_the_value_that_the_table_says(data: st.DataObject) -> None:
    change = data.draw(changes(added=True))
    assume(change.added)
    check(change, data.draw(calls(change, pure=True)))


# -- programs: every call that reaches the kernel, and no other ---------------------------------------------

OLD, NEW = "(p0, p1=None, p2=None)", "(p0, q0=None, p1=None, p2=None)"
NAMES = ("kernel", "f", "g")
RECORD = "log.append(('kernel', p0, p1, p2))"


@dataclass
class Program:
    """Statements under construction; every call carries a number of its own, which it logs when it runs."""

    draw: st.DrawFn
    calls: int = 0
    functions: int = 0
    flags: int = 0

    def name(self) -> str:
        return self.draw(st.sampled_from(NAMES))

    def call(self, callee: str) -> str:
        self.calls += 1
        return f"{callee}({self.calls}, 'a', 'b')"

    def flag(self) -> str:
        self.flags += 1
        return f"flag({self.flags - 1})"

    def block(self, depth: int) -> list[str]:
        count = self.draw(st.integers(1, 4))
        return [line for _ in range(count) for line in self.statement(depth)]

    def body(self, depth: int) -> list[str]:
        return [f"    {line}" for line in self.block(depth - 1)]

    def statement(self, depth: int) -> list[str]:
        kinds = [self.plain_call, self.plain_call, self.assignment, self.expression]
        if depth:
            kinds += [self.branch, self.loop, self.attempt, self.definition, self.definition, self.klass]
        return self.draw(st.sampled_from(kinds))(depth)

    def plain_call(self, _depth: int) -> list[str]:
        return [self.call(self.name())]

    def assignment(self, _depth: int) -> list[str]:
        one, two = self.name(), self.name()
        forms = (
            f"{one} = other",
            f"{one} = {two}",
            f"{one}: object = {two}",
            f"{one}, {two} = {two}, other",
            f"{one} = {two} if {self.flag()} else other",
            f"from {MODULE} import kernel as {one}",
            f"{one} = {two} = other",
        )
        return [self.draw(st.sampled_from(forms))]

    def expression(self, _depth: int) -> list[str]:
        one, two = self.name(), self.name()
        forms = (
            f"(lambda {one}: {self.call(one)})(other)",
            f"(lambda: {self.call(one)})()",
            f"[{self.call(one)} for {one} in (other,)]",
            f"[{self.call(one)} for _ in (1, 2)]",
            self.call(f"({one} := {two})"),
            self.call(f"({one} if {self.flag()} else {two})"),
            self.call(f"[{one}, {two}][0]"),
        )
        return [self.draw(st.sampled_from(forms))]

    def branch(self, depth: int) -> list[str]:
        lines = [f"if {self.flag()}:", *self.body(depth)]
        return [*lines, "else:", *self.body(depth)] if self.draw(st.booleans()) else lines

    def loop(self, depth: int) -> list[str]:
        head = self.draw(st.sampled_from(["for _ in (1, 2):", f"for {self.name()} in (other, other):"]))
        return [head, *self.body(depth)]

    def attempt(self, depth: int) -> list[str]:
        middle = [f"    if {self.flag()}:", "        raise ValueError"]
        return ["try:", *self.body(depth), *middle, "except ValueError:", *self.body(depth)]

    def definition(self, depth: int) -> list[str]:
        self.functions += 1
        name = f"function{self.functions}"
        parameter = self.draw(st.sampled_from(["", "", *NAMES]))
        scoping = [f"    global {self.name()}"] if not parameter and self.draw(st.integers(0, 3)) == 0 else []
        default = self.draw(st.sampled_from(["", " = other"])) if parameter else ""
        head = f"def {name}({parameter}{default}):"
        called = f"{name}({'other' if parameter and not default else ''})"
        return [head, *scoping, *self.body(depth), *self.block(0), called]

    def klass(self, depth: int) -> list[str]:
        self.functions += 1
        name = f"Class{self.functions}"
        method = ["    def method(self):", *(f"    {line}" for line in self.body(depth))]
        return [f"class {name}:", *self.body(depth), *method, f"{name}().method()"]


@st.composite
def programs(draw: st.DrawFn) -> str:
    lines = Program(draw).block(3)
    return "\n".join([f"from {MODULE} import kernel", "", "f = g = other", *lines, ""])


def log_of(source_text: str, name: str, signature: str, mask: int) -> list[tuple[Any, ...]]:
    """Which calls reached what with which arguments, when flag ``i`` is bit ``i`` of ``mask``."""
    log: list[tuple[Any, ...]] = []
    kernel = function(name, signature, RECORD, log=log)

    def other(*args: Any, **kwargs: Any) -> None:
        log.append(("other", *args, kwargs))

    scope = {"other": other, "flag": lambda i: bool(mask >> (i % 16) & 1)}
    try:
        execute(source_text, scope, **{name: kernel})
    except (NameError, ValueError) as error:
        log.append(("error", type(error).__name__))
    return log


def is_valid(source_text: str) -> bool:
    try:
        compile(source_text, "app.py", "exec")
    except SyntaxError:
        return False
    return True


@PATIENT
@given(programs(), st.sampled_from(["kernel", "core"]), st.integers(0, 2**16 - 1))
def test_every_call_of_the_kernel_is_rewritten_or_reported_and_no_other(
    before: str, new_name: str, mask: int
) -> None:
    assume(is_valid(before))
    change = Change(
        ("p0", "p1", "p2"),
        ("p0", "q0", "p1", "p2"),
        "kernel",
        new_name,
        {},
        frozenset({"p0"}),
        frozenset({"p0"}),
        {},
    )
    after, findings = rewrite(before, change.release())
    left = {f.line for f in findings if f.outcome is Outcome.NEEDS_YOU}
    numbers = {
        int(n)
        for line, code in enumerate(before.splitlines(), 1)
        if line in left
        for n in re.findall(r"\((\d+), 'a'", code)
    }
    event(f"left to a person: {bool(left)}")
    for flags in (mask, 0, 2**16 - 1):
        old = log_of(before, "kernel", OLD, flags)
        new = log_of(after, new_name, NEW, flags)
        assert len(old) == len(new), after
        for one, two in zip(old, new, strict=True):
            assert one == two or one[1] in numbers, f"{one} became {two} in\n{after}"
    again, more = rewrite(after, change.release())
    assert again == after
    assert not [f for f in more if f.edits]
