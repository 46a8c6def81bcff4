"""What a rule is: a code, a module with its documentation, a function from a file's context to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from .analysis.context import FileContext
from .model import Finding
from .record import cached_property, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


class BadRule(Exception):
    """A rule of another package that cannot be used; the text says which and why."""


Check = Callable[[FileContext], Iterable[Finding]]


@record
class Rule:
    """One kind of change.

    Attributes:
        code: stable, what users write in configuration and suppressions.
        path: the full name of its module, which is imported when the rule has something to look at, or say.
        sight: whether a file has anything for it to look at; None for a rule that looks at every file.
        library: whether it finds nothing where neither the file nor what it imports names the library.
    """

    code: str
    path: str
    sight: Callable[[FileContext], bool] | None = None
    library: bool = True

    @cached_property
    def module(self) -> ModuleType:
        """Its docstring has the headings that ``CONTRIBUTING.md`` lists."""
        return import_module(self.path)

    @property
    def name(self) -> str:
        """The module's name with dashes."""
        return self.path.rpartition(".")[2].replace("_", "-")

    @property
    def doc(self) -> str:
        return (self.module.__doc__ or "").strip()

    @property
    def summary(self) -> str:
        """One sentence."""
        return self.doc.partition("\n")[0]

    def check(self, ctx: FileContext) -> Iterable[Finding]:
        """One finding for each affected place."""
        if self.sight is not None and not self.sight(ctx):
            return ()
        found: Iterable[Finding] = self.module.check(ctx)
        return found
