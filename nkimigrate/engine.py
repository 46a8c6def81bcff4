"""Runs the codemods over files: find, analyse with what the project's modules export, edit in memory, write.

Every file that contains a marker is analysed on its own; what its module exports (a re-exported kernel, a
class that holds one) makes other files relevant (:mod:`.project`). Only then are edits made, and only when
all of them are made is anything written.
"""

from __future__ import annotations

import os
import time

from . import __version__, discovery, reading
from .cache import CleanFiles

TYPE_CHECKING = False  # typing stays unloaded on the path of a tree without a hit
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from .codemods.analyse import Analysis
    from .config import Options
    from .project import Candidate
    from .report.model import Problem
    from .report.result import Report
    from .tasks import Setting, Task
    from .workers import Workers

    Progress = Callable[[str, int, int], None]

MARKERS = (b"nkilib", b"neuronxcc", b"import nki", b"from nki")


def run(options: Options, progress: Progress | None = None) -> Report:
    """Migrate, or only report on, everything the options name.

    Raises :class:`~nkimigrate.discovery.PathError` for a path that does not exist and
    :class:`~nkimigrate.releases.UnknownStep` for releases there is no table for. Everything that is wrong
    with single files is in the report.
    """
    from .report.result import Report

    started = time.perf_counter()
    report = Report(release_from=options.release_from, release_to=options.release_to)
    candidates, others = _candidates(options, report)
    if candidates:
        from .garbage import paused
        from .workers import opened

        with opened(options.executor) as workers, paused(0):
            _migrate(options, candidates, others, report, Crew(workers, options.jobs, progress or _silent))
    report.candidates = len(candidates)
    if options.mode == "write" and options.stdin is None and report.changes:
        _write(report, options.paths)
    report.seconds = time.perf_counter() - started
    return report


def _silent(_stage: str, _done: int, _total: int) -> None:
    """No progress is shown."""


# -- which files --------------------------------------------------------------------------------------


def _candidates(options: Options, report: Report) -> tuple[list[Candidate], list[str]]:
    """Files with a marker (read), and the paths of all other Python files."""
    if options.stdin is not None:
        return _given(options, report), []
    markers = _markers(options)
    key = f"{__version__} {b'+'.join(markers).decode()}"
    clean = CleanFiles.load(_cache_root(options.paths), key) if options.cache else None
    found, others = _scan(options, markers, report, clean)
    if clean is not None:
        clean.save()
    return found, others


def _cache_root(paths: Sequence[str]) -> str:
    """The current folder when it holds all the paths, else the folder that does."""
    folders = [os.path.abspath(p if os.path.isdir(p) else os.path.dirname(p)) for p in paths]
    here = os.getcwd()
    inside = all(folder == here or folder.startswith(here.rstrip(os.sep) + os.sep) for folder in folders)
    return "." if inside else folders[0]


def _markers(options: Options) -> tuple[bytes, ...]:
    """What a file must hold to be looked at more closely."""
    if not options.tables:
        return MARKERS
    from .releases import load, own_step

    own = (load(*own_step(path)) for path in options.tables)
    return (*MARKERS, *sorted({name.encode() for release in own for name in release.spelled}))


def _scan(
    options: Options, markers: tuple[bytes, ...], report: Report, clean: CleanFiles | None
) -> tuple[list[Candidate], list[str]]:
    candidates: list[Candidate] = []
    others: list[str] = []
    files = discovery.discover(
        options.paths,
        exclude=options.exclude,
        extend_exclude=options.extend_exclude,
        respect_gitignore=options.respect_gitignore,
        root=options.root,
        documents=options.docs,
        on_error=lambda path, message: _problem(report, "NKM902", path, message),
    )
    for found in files:
        report.files += 1
        if options.overlay and (text := options.overlay.get(os.path.realpath(found.path))) is not None:
            if reading.has_marker(text, markers):
                _add_candidate(candidates, found.path, found.kind, text, report)
            else:
                others.append(found.path)
            continue
        if clean is not None and clean.knows(found):
            others.append(found.path)
            continue
        try:
            data = reading.read_marked(found.path, markers, reading.LIMITS[found.kind], found.size)
        except reading.TooLarge as error:
            _problem(report, "NKM903", found.path, error.message)
        except reading.Unreadable as error:
            _problem(report, "NKM902", found.path, error.message)
        else:
            if data is not None:
                _add_candidate(candidates, found.path, found.kind, data, report)
                continue
            others.append(found.path)
            if clean is not None:
                clean.remember(found)
    return candidates, others


def _given(options: Options, report: Report) -> list[Candidate]:
    """The candidate that code from standard input is, if it has a marker."""
    candidates: list[Candidate] = []
    path, data = options.stdin_filename or "<stdin>", options.stdin or b""
    kind = discovery.kind_of(os.path.basename(path), options.docs) or "python"
    report.files = 1
    if reading.has_marker(data, _markers(options)):
        _add_candidate(candidates, path, kind, data, report)
    return candidates


def _add_candidate(
    candidates: list[Candidate], path: str, kind: discovery.Kind, data: bytes, report: Report
) -> None:
    from .project import Candidate

    unfit = reading.unfit(data, kind)
    if unfit:
        _problem(report, "NKM903", path, unfit)
    else:
        candidates.append(Candidate(path, kind, data))


def _problem(report: Report, code: str, path: str, message: str) -> None:
    from .report.model import Problem

    report.problems.append(Problem(code, path, message))


def _reexporting(
    others: Iterable[str], exported: Mapping[str, Any], overlay: Mapping[str, bytes]
) -> list[Candidate]:
    """Files without a marker that name a module which exports something affected, and one of its exports."""
    from .mentions import Mentions
    from .project import Candidate

    mentions = Mentions(exported)
    found = []
    for path in others:
        kind = discovery.kind_of(os.path.basename(path))
        if kind not in ("python", "text"):
            continue
        try:
            text = overlay.get(os.path.realpath(path)) if overlay else None
            data = reading.read(path, reading.LIMITS[kind]) if text is None else text
        except reading.Unreadable:
            continue
        if mentions.within(data):
            found.append(Candidate(path, kind, data))
    return found


# -- what changes -------------------------------------------------------------------------------------


class Crew:
    """Who does the work on files: where, how many at the same time, and who hears how far it is."""

    def __init__(self, workers: Workers, jobs: int, progress: Progress) -> None:
        self.workers = workers
        self.jobs = jobs
        self.progress = progress


def _migrate(
    options: Options, candidates: list[Candidate], others: list[str], report: Report, crew: Crew
) -> None:
    """Take the candidates over every step between the two releases, in memory."""
    from .project import analyse_all
    from .releases import own_step, path_between
    from .report.model import Problem
    from .tasks import Setting

    roots = tuple(os.path.abspath(p) for p in options.paths)
    before = {c.path: c.data for c in candidates}
    steps = path_between(options.release_from, options.release_to) + [own_step(p) for p in options.tables]
    for step in steps:
        setting = Setting(step, options.select, options.ignore, options.all_keywords, options.partial)
        analyse_all(
            candidates,
            roots,
            lambda tasks, setting=setting: _analyse(setting, tasks, crew),  # type: ignore[misc]
            lambda exported: _reexporting(_rest(others, candidates), exported, options.overlay or {}),
            alone=len(before) == 1 and not others,
        )
        before.update({c.path: c.data for c in candidates if c.path not in before})
        _leave_out(candidates, options.only)
        report.problems += [c.result for c in candidates if isinstance(c.result, Problem)]
        if options.mode == "check" and not options.texts and step == steps[-1]:
            _report_only(candidates, report)
        else:
            _edit(setting, candidates, crew, report)
    _collect_changes(candidates, before, report)
    if options.texts:
        report.texts = {finding.path: before[finding.path] for finding in report.findings}


def _leave_out(candidates: Iterable[Candidate], only: frozenset[str] | None) -> None:
    """What was analysed for others' sake alone has no result of its own."""
    for candidate in candidates:
        if only is not None and os.path.realpath(candidate.path) not in only:
            candidate.result = None


def _rest(others: Iterable[str], candidates: Iterable[Candidate]) -> list[str]:
    taken = {c.path for c in candidates}
    return [path for path in others if path not in taken]


def _analyse(setting: Setting, tasks: Sequence[Task], crew: Crew) -> list[Analysis | Problem]:
    from .pool import spread
    from .tasks import analyse_task, lost, prepare

    sizes = [len(task.data) for task in tasks]
    count = crew.workers.wanted(sizes, crew.jobs)
    prepare(setting)
    results: list[Analysis | Problem] = []
    for result in spread(analyse_task, setting, tasks, count, lost, crew.workers, sizes):
        results.append(result)
        crew.progress("analysing", len(results), len(tasks))
    return results


def _edit(setting: Setting, candidates: Sequence[Candidate], crew: Crew, report: Report) -> None:
    """Make the edits of all findings; the candidates then hold the new text."""
    from .codemods.analyse import Analysis
    from .pool import spread
    from .tasks import Edited, Job, edit_task, lost

    analysed = [c for c in candidates if isinstance(c.result, Analysis)]
    jobs = [Job(c.task(), c.result.findings) for c in analysed if isinstance(c.result, Analysis)]
    count = crew.workers.wanted(
        [len(j.task.data) for j in jobs if any(f.edits for f in j.findings)], crew.jobs
    )
    sizes = [len(job.task.data) for job in jobs]
    results = spread(
        edit_task, setting, jobs, count, lambda job, why: lost(job.task, why), crew.workers, sizes
    )
    for done, (candidate, result) in enumerate(zip(analysed, results, strict=True), start=1):
        crew.progress("rewriting", done, len(analysed))
        assert isinstance(candidate.result, Analysis)
        report.suppressed += candidate.result.suppressed
        if isinstance(result, Edited):
            report.findings.extend(result.findings)
            candidate.data = candidate.data if result.data is None else result.data
        else:
            report.problems.append(result)
        candidate.result = None


def _report_only(candidates: Iterable[Candidate], report: Report) -> None:
    """A check ends with the analysis: what would be rewritten is known without the new text."""
    from .codemods.analyse import Analysis

    for candidate in candidates:
        if isinstance(candidate.result, Analysis):
            report.suppressed += candidate.result.suppressed
            report.findings.extend(candidate.result.findings)


def _collect_changes(candidates: Iterable[Candidate], before: Mapping[str, bytes], report: Report) -> None:
    from .report.model import Change

    for candidate in candidates:
        if candidate.data != before[candidate.path]:
            report.changes.append(Change(candidate.path, before[candidate.path], candidate.data))
    report.findings.sort(key=lambda f: (f.path, f.cell or 0, f.line, f.column, f.code))
    report.changes.sort(key=lambda c: c.path)


def _write(report: Report, paths: Sequence[str]) -> None:
    from . import writer

    def problem(path: str, message: str) -> None:
        _problem(report, "NKM907", path, message)

    written = set(writer.write_all(report.changes, problem, within=paths))
    report.written = bool(written)
    report.changes = [change for change in report.changes if change.path in written]
