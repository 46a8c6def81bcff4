"""The ``NKM9xx`` codes: files that could not be handled. No rules: nothing selects or ignores them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One reason why a file could not be handled, documented like a rule."""

    code: str
    name: str
    summary: str
    doc: str


def all_problems() -> tuple[ProblemKind, ...]:
    """Every kind of problem, sorted by code."""
    return _PROBLEMS


def _kind(code: str, name: str, doc: str) -> ProblemKind:
    return ProblemKind(code, name, doc.partition("\n")[0], doc.strip())


_PROBLEMS = (
    _kind(
        "NKM901",
        "cannot-be-parsed",
        """The file does not parse, or cannot be decoded.

What it means
    The file mentions the library, but Python cannot read it: a syntax error, Python 2 code, a template, an
    unknown encoding cookie, bytes that the encoding does not have, or syntax newer than the Python that
    runs nkimigrate. The file was not changed.

What to do
    Repair the file, or run nkimigrate with the Python that the file is written for. A file that is no Python
    on purpose, such as a template, goes into ``exclude``.
""",
    ),
    _kind(
        "NKM902",
        "cannot-be-read",
        """The file or folder cannot be read.

What it means
    The operating system refused: no permission, a folder or device where a file was expected, a file that
    disappeared, a failing disk. Nobody knows whether there is something to migrate in it.

What to do
    Give read permission and run nkimigrate again, or exclude the path.
""",
    ),
    _kind(
        "NKM903",
        "not-analysed",
        """The file mentions the library but is binary or too large.

What it means
    Files with NUL bytes (UTF-16 has them, too) and files above the size limit (5 MiB for Python and
    notebooks, 1 MiB for configuration) are not analysed. The file was not changed.

What to do
    Save a text in UTF-16 as UTF-8 and run nkimigrate again. Look at the places by hand if the file is source
    code; put generated data into ``exclude``.
""",
    ),
    _kind(
        "NKM904",
        "given-up",
        """The analysis of the file was given up.

What it means
    The file is nested too deeply, or the process that handled it died or took too long. Only this file is
    affected: it was not changed, and all others were handled.

What to do
    Split the expression that is so long or so deep (often a generated table), or exclude the file. If the
    file is an ordinary one, please report it as a bug.
""",
    ),
    _kind(
        "NKM906",
        "rewrite-rejected",
        """The rewritten file failed its check, so it was left as it was.

What it means
    Every rewritten file is parsed, and encoded in its own encoding, before it is written. One of the two
    failed, and the old text stays.

What to do
    Make the changes by hand (``--check --verbose`` lists them). Please report the file as a bug.
""",
    ),
    _kind(
        "NKM907",
        "not-written",
        """The rewritten file could not be written.

What it means
    No permission, no space, or the file was changed by somebody else after it was read. The file on disk is
    the one that was there before; no file is ever half written.

What to do
    Remove the cause and run nkimigrate again; files that are already migrated stay as they are.
""",
    ),
    _kind(
        "NKM908",
        "defect",
        """The file made nkimigrate fail.

What it means
    A rule met code that it was not written for. Only this file is affected: it was not changed, and all
    others were handled.

What to do
    Please report it as a bug, with the piece of code if you can. Until then ``--ignore`` the rule, or
    exclude the file.
""",
    ),
)
