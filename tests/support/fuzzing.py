"""Mutated programs through the whole tool: one round, and a smaller input where it fails."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import soundness
from mutations import mutant

FORMS: tuple[tuple[str, Callable[[str], str], dict[str, object]], ...] = (
    ("app.py", str, {}),
    ("app.py", str, {}),
    ("app.py", str, {"partial": True}),
    ("app.py", str, {"all_keywords": True}),
    ("app.pyi", str, {}),
    ("app.ipynb", soundness.as_notebook, {}),
    ("app.md", soundness.as_document, {"docs": True}),
    ("app.ipynb", soundness.as_marked_notebook, {}),
    ("app.md", soundness.as_list_item, {"docs": True}),
)
"""File name, what makes the file of a program, options."""


@dataclass(frozen=True)
class Failure:
    """An input that nkimigrate handles wrongly, and the last line of what was said about it."""

    seed: int
    text: str
    form: int
    story: str


def one_round(seed: int, seeds: Sequence[str]) -> Failure | None:
    """Mutate one of the programs and check what nkimigrate makes of it; the number decides everything."""
    rng = random.Random(seed)
    text = mutant(rng.choice(seeds), seeds, rng)
    form = rng.randrange(len(FORMS))
    story = tried(text, form)
    return Failure(seed, text, form, story) if story else None


def tried(text: str, form: int) -> str:
    """What goes wrong with a text in one of the :data:`FORMS`; nothing: an empty string."""
    name, made, options = FORMS[form]
    try:
        soundness.check(made(text), name, **options)
    except soundness.Unsound as error:
        return str(error)
    except Exception:
        return traceback.format_exc()
    return ""


def smaller(failure: Failure, tries: int = 400) -> Failure:
    """The failure with as few lines as a short search finds that fail in the same way."""
    same = kind(failure.story)
    lines = failure.text.splitlines(keepends=True)
    size = max(len(lines) // 2, 1)
    while size and tries > 0:
        at = 0
        while at < len(lines) and tries > 0:
            rest = lines[:at] + lines[at + size :]
            text = "".join(rest)
            tries -= 1
            if _parses(text) and kind(story := tried(text, failure.form)) == same:
                lines, failure = rest, Failure(failure.seed, text, failure.form, story)
            else:
                at += size
        size //= 2
    return failure


def kind(story: str) -> str:
    """What two stories of one mistake have in common: the first words, or the exception and its place."""
    if story.startswith("Traceback"):
        return story.rstrip().splitlines()[-1].partition(":")[0]
    first = story.partition("\n")[0]
    return first.rpartition("(")[2] if first.startswith("NKM908") else first.partition(":")[0]


def _parses(text: str) -> bool:
    try:
        soundness.tree_of(text)
    except (SyntaxError, ValueError):
        return False
    return True
