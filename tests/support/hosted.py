"""The host's side of the language step alone: kernels' bodies stay as they are."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from nkimigrate.codemods.analysis.context import FileContext
from nkimigrate.codemods.edit.apply import apply
from nkimigrate.codemods.language.host import after, before
from nkimigrate.codemods.language.lowering.messages import MESSAGES
from nkimigrate.codemods.language.reasons import Work
from nkimigrate.codemods.language.translate.kernels import functions
from nkimigrate.codemods.language.translate.names import Names
from nkimigrate.codemods.language.translate.plan import LanguageModule, Plan
from nkimigrate.codemods.source import Source
from nkimigrate.releases import load_language

HEAD = "import neuronxcc.nki as nki\nimport neuronxcc.nki.language as nl\n"
NEW_HEAD = "import nki\nimport nki.language as nl\n"


@dataclass(frozen=True)
class Hosted:
    """A file after the step, what is said of it, and what kernels' bodies are to become."""

    text: str
    work: Work
    plans: dict[str, Plan]

    @property
    def reasons(self) -> list[tuple[int, str]]:
        """Line and key of what stands in the way."""
        return _keys(self.work.reasons)

    @property
    def notes(self) -> list[tuple[int, str]]:
        return _keys(self.work.notes)

    @property
    def left(self) -> list[tuple[int, str]]:
        return _keys(self.work.left)


def _keys(reasons: object) -> list[tuple[int, str]]:
    assert isinstance(reasons, tuple)
    for reason in reasons:
        MESSAGES[reason.message].text.format(**reason.fields)
    return [(getattr(reason.node, "lineno", 1), reason.message) for reason in reasons]


def hosted(text: str, needs: tuple[str, ...] = (), pinned: frozenset[str] = frozenset()) -> Hosted:
    """Run the host's side on a file; ``needs`` are the modules that new code in bodies would spell."""
    source, step = Source.decode(text.encode()), load_language("2.27", "2.28")
    assert step is not None
    ctx = FileContext("app.py", source, ast.parse(text), step.resolution, "app", pinned=pinned)
    names = Names(ctx)
    module = LanguageModule(ctx, names, step, functions(ctx, names), needs=set(needs))
    work = before(module)
    work = after(module, work)
    new = apply(source, [edit for change in work.changes for edit in change.edits])
    compile(new, "<migrated>", "exec", dont_inherit=True)
    return Hosted(new, work, {name: function.plan for name, function in module.functions.items()})


def check(before: str, after: str, needs: tuple[str, ...] = ()) -> Hosted:
    """``before`` becomes exactly ``after``, and nothing stands in the way."""
    found = hosted(before, needs)
    assert found.text == after
    assert not found.reasons
    return found


def silent(text: str) -> None:
    """Nothing changes and nothing is said."""
    found = hosted(text)
    assert found.text == text
    assert [*found.reasons, *found.notes, *found.left] == []
