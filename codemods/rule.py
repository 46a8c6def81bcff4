"""What a rule is: a code, a documentation, and a function from a file's context to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .analysis.context import FileContext
from .model import Finding
from .record import record


class BadRule(Exception):
    """A rule of another package that cannot be used; the text says which and why."""


Check = Callable[[FileContext], Iterable[Finding]]


@record
class Rule:
    """One kind of change.

    Attributes:
        code: stable, what users write in configuration and suppressions.
        name: the module's name with dashes.
        summary: one sentence.
        doc: the module's docstring, with the headings that ``CONTRIBUTING.md`` lists.
        check: pure; yields one finding for each affected place.
        library: whether it finds nothing where neither the file nor what it imports names the library.
    """

    code: str
    name: str
    summary: str
    doc: str
    check: Check
    library: bool = True
