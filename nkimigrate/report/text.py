"""The report for people: what changed, what is good to know, what needs a person, and a sum that adds up."""

from __future__ import annotations

from itertools import groupby

from ..terminal import clean, clean_line, painter
from .view import KINDS, NEEDS_YOU, NOTED, REWRITTEN, REWRITTEN_NOTED, by_code, by_path, counts, kind, label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ..codemods.model import Finding
    from .model import Problem
    from .view import View

    Paint = Callable[[str, str], str]

_COLOUR_OF = {REWRITTEN: "green", REWRITTEN_NOTED: "yellow", NOTED: "yellow", NEEDS_YOU: "red"}
_STEP_OF = {REWRITTEN: "note", REWRITTEN_NOTED: "note", NOTED: "note", NEEDS_YOU: "next"}


def render(view: View) -> Iterator[str]:
    """The report, line by line without newlines."""
    paint = painter(view.colour)
    for heading, lines in _sections(view, paint):
        empty = True
        for line in lines:
            if empty and not view.quiet:
                yield paint("bold", heading)
            empty = False
            yield line
        if not empty and not view.quiet:
            yield ""
    if not view.quiet:
        yield from _summary(view, paint)


def summary(view: View) -> Iterator[str]:
    """The last lines of the report alone."""
    return _summary(view, painter(view.colour))


def _sections(view: View, paint: Paint) -> Iterator[tuple[str, Iterable[str]]]:
    rewritten = (f for f in view.findings if kind(f) == REWRITTEN)
    notes = (f for f in view.findings if kind(f) in (REWRITTEN_NOTED, NOTED))
    yield "Rewritten" if view.mode == "write" else "To rewrite", _rewritten(view, rewritten, paint)
    yield "Notes", _findings((f for f in notes if view.fails(f) or not view.quiet), paint)
    yield "Needs you", _findings((f for f in view.findings if kind(f) == NEEDS_YOU), paint)
    yield "Could not be handled", (_problem(p, paint) for p in view.report.problems)
    if view.statistics:
        yield "Rules", _statistics(view)


def _rewritten(view: View, findings: Iterable[Finding], paint: Paint) -> Iterable[str]:
    """Place by place for a check, a line for each file once done; nothing where a diff says it better."""
    if view.mode == "check" or view.verbose:
        return _findings(findings, paint)
    if view.mode == "diff" or view.quiet:
        return ()
    return (_file(path, found, paint) for path, found in by_path(findings))


def _file(path: str, findings: list[Finding], paint: Paint) -> str:
    numbers = ((code, sum(found.values())) for code, found in by_code(findings).items())
    rules = ", ".join(f"{code} ×{number}" if number > 1 else code for code, number in numbers)
    return f"{paint('bold', clean(path))}: {plural(len(findings), 'place')} ({rules})"


def _findings(findings: Iterable[Finding], paint: Paint) -> Iterator[str]:
    """The findings, each with its next step. What is good to know about many places is said at the first."""
    said = set()
    for finding in findings:
        kind_ = kind(finding)
        code = paint(_COLOUR_OF[kind_], finding.code)
        yield f"{_place(finding, paint)} {code} {clean(finding.message)}"
        if finding.step.strip() and (kind_ == NEEDS_YOU or finding.step not in said):
            said.add(finding.step)
            yield from _step(_STEP_OF[kind_], finding.step, paint)


def _step(label: str, step: str, paint: Paint) -> Iterator[str]:
    """The next step, indented; a step may hold a ready snippet of several lines."""
    first, *more = step.rstrip().splitlines()
    yield f"    {paint('cyan', label + ':')} {clean(first)}"
    for line in more:
        yield f"          {clean_line(line)}".rstrip()


def _place(finding: Finding, paint: Paint) -> str:
    return f"{paint('bold', clean(finding.path))}:{position(finding)}"


def position(finding: Finding) -> str:
    """``line:column``, after the cell in a notebook."""
    cell = "" if finding.cell is None else f"cell {finding.cell}:"
    return f"{cell}{finding.line}:{finding.column}"


def _problem(problem: Problem, paint: Paint) -> str:
    place = f"{paint('bold', clean(problem.path))}:{problem.line}:{problem.column}"
    return f"{place} {paint('red', problem.code)} {clean(problem.message)}"


def _statistics(view: View) -> Iterator[str]:
    names = _names()
    rows = [
        (str(sum(found.values())), code, names.get(code, ""), _parts(found, view.mode))
        for code, found in by_code(view.findings).items()
    ]
    width = max((len(row[2]) for row in rows), default=0)
    for count, code, name, parts in rows:
        yield f"{count:>6}  {code}  {name:<{width}}  {parts}"


def _names() -> dict[str, str]:
    from ..codemods.rules import all_rules

    return {rule.code: rule.name for rule in all_rules()}


def _summary(view: View, paint: Paint) -> Iterator[str]:
    report, findings = view.report, view.findings
    if findings:
        files = sum(1 for _ in groupby(findings, key=lambda finding: finding.path))
        found = counts(findings)
        places = f"{plural(sum(found.values()), 'place')} affected in {plural(files, 'file')}"
        yield paint("bold", f"{places}: {_parts(found, view.mode)}{_suppressed(view)}")
    elif not report.files:
        yield "No files to look at: nothing matches, or all of it is excluded or ignored by git."
    elif not report.problems:
        yield f"Nothing to migrate in {plural(report.files, 'file')}{_suppressed(view)}."
    if report.problems:
        failed = len({problem.path for problem in report.problems})
        yield paint("red", f"{plural(failed, 'file')} could not be handled")
    if report.gone:
        entries = plural(report.gone, "entry").replace("entrys", "entries")
        yield f"{entries} of the baseline found nothing any more; --write-baseline brings it up to date."
    if view.mode == "check" and any(f.edits for f in findings):
        yield "Run without --check to rewrite, or with --diff to see the changes."
    if code := next((f.code for f in findings if kind(f) == NEEDS_YOU), ""):
        yield f"More about a rule: nkimigrate --explain {code}"
    if view.verbose:
        yield (
            f"{report.release_from} to {report.release_to}: {plural(report.files, 'file')} looked at, "
            f"{report.candidates} parsed, {report.seconds:.2f} s"
        )


def _parts(found: Mapping[str, int], mode: str) -> str:
    return ", ".join(f"{found[k]} {label(k, mode, found[k])}" for k in KINDS if found[k])


def _suppressed(view: View) -> str:
    kept = ((view.report.suppressed, "suppressed"), (view.report.known, "in the baseline"))
    said = ", ".join(f"{number} {how}" for number, how in kept if number)
    return f" ({said})" if said else ""


def plural(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
