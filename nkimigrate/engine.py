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
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from .codemods.analyse import Analysis
    from .codemods.model import Finding
    from .config import Options
    from .project import Candidate, Tasks
    from .report.model import Problem
    from .report.result import Report
    from .spool import Kept, Spool
    from .tasks import Setting
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
    hits, others = _hits(options, report)
    if hits.spool is not None:
        from .garbage import paused
        from .workers import opened

        with opened(options.executor) as workers, paused(0):
            crew = Crew(workers, options.jobs, progress or _silent, hits.spool)
            _migrate(options, hits.candidates, others, report, crew)
    report.candidates = len(hits.candidates)
    if options.mode == "write" and options.stdin is None and report.changes:
        _write(report, options.paths)
    report.seconds = time.perf_counter() - started
    return report


def _silent(_stage: str, _done: int, _total: int) -> None:
    """No progress is shown."""


# -- which files --------------------------------------------------------------------------------------


class _Hits:
    """Files with a marker, and what keeps their texts; that is loaded with the first of them."""

    def __init__(self) -> None:
        self.candidates: list[Candidate] = []
        self.spool: Spool | None = None

    def add(self, path: str, kind: discovery.Kind, data: bytes, report: Report) -> None:
        from .project import Candidate
        from .spool import Spool

        self.spool = self.spool or Spool()
        unfit = reading.unfit(data, kind)
        if unfit:
            _problem(report, "NKM903", path, unfit)
        else:
            self.candidates.append(Candidate(path, kind, self.spool.keep(data, len(data))))


def _hits(options: Options, report: Report) -> tuple[_Hits, list[str]]:
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
) -> tuple[_Hits, list[str]]:
    hits = _Hits()
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
                hits.add(found.path, found.kind, text, report)
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
                hits.add(found.path, found.kind, data, report)
                continue
            others.append(found.path)
            if clean is not None:
                clean.remember(found)
    return hits, others


def _given(options: Options, report: Report) -> _Hits:
    """The candidate that code from standard input is, if it has a marker."""
    hits = _Hits()
    path, data = options.stdin_filename or "<stdin>", options.stdin or b""
    kind = discovery.kind_of(os.path.basename(path), options.docs) or "python"
    report.files = 1
    if reading.has_marker(data, _markers(options)):
        hits.add(path, kind, data, report)
    return hits


def _problem(report: Report, code: str, path: str, message: str) -> None:
    from .report.model import Problem

    report.problems.append(Problem(code, path, message))


def _reexporting(
    others: Iterable[str], exported: Mapping[str, Any], overlay: Mapping[str, bytes], spool: Spool
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
            found.append(Candidate(path, kind, spool.keep(data, len(data))))
    return found


# -- what changes -------------------------------------------------------------------------------------


class Crew:
    """Who works on files, how many at a time, who hears how far it is, and what keeps things for later."""

    def __init__(self, workers: Workers, jobs: int, progress: Progress, spool: Spool) -> None:
        self.workers = workers
        self.jobs = jobs
        self.progress = progress
        self.spool = spool


def _migrate(
    options: Options, candidates: list[Candidate], others: list[str], report: Report, crew: Crew
) -> None:
    """Take the candidates over every step between the two releases, without writing them."""
    from .codemods.analyse import Analysis
    from .project import analyse_all
    from .releases import own_step, path_between
    from .report.model import Problem
    from .spool import Joined
    from .tasks import Setting

    roots = tuple(os.path.abspath(p) for p in options.paths)
    before = {c.path: c.text for c in candidates}
    found: dict[str, list[Kept[tuple[Finding, ...]]]] = {}
    steps = path_between(options.release_from, options.release_to) + [own_step(p) for p in options.tables]
    for step in steps:
        setting = Setting(step, options.select, options.ignore, options.all_keywords, options.partial)
        analyse_all(
            candidates,
            roots,
            crew.spool,
            lambda tasks, setting=setting: _analyse(setting, tasks, crew),  # type: ignore[misc]
            lambda exported: _reexporting(
                _rest(others, candidates), exported, options.overlay or {}, crew.spool
            ),
            alone=len(before) == 1 and not others,
        )
        before.update({c.path: c.text for c in candidates if c.path not in before})
        _leave_out(candidates, options.only)
        report.problems += [c.result for c in candidates if isinstance(c.result, Problem)]
        if options.mode != "check" or options.texts or step != steps[-1]:
            _edit(setting, candidates, crew, report)
        # A check ends with the analysis: what would be rewritten is known without the new text.
        for candidate in candidates:
            if isinstance(candidate.result, Analysis):
                report.suppressed += candidate.result.suppressed
                found.setdefault(candidate.path, []).append(candidate.findings)
            candidate.result = None
    joined = Joined((found[path] for path in sorted(found)), _position)
    report.findings = joined if crew.spool.spilled else list(joined)
    _collect_changes(candidates, before, report)
    if options.texts:
        report.texts = {path: before[path].get() for path in {finding.path: None for finding in joined}}


def _position(finding: Finding) -> tuple[object, ...]:
    """What the findings of a file are sorted by."""
    return finding.cell or 0, finding.line, finding.column, finding.code


def _leave_out(candidates: Iterable[Candidate], only: frozenset[str] | None) -> None:
    """What was analysed for others' sake alone has no result of its own."""
    for candidate in candidates:
        if only is not None and os.path.realpath(candidate.path) not in only:
            candidate.result = None


def _rest(others: Iterable[str], candidates: Iterable[Candidate]) -> list[str]:
    taken = {c.path for c in candidates}
    return [path for path in others if path not in taken]


def _analyse(setting: Setting, tasks: Tasks, crew: Crew) -> Iterator[Analysis | Problem]:
    from .pool import spread
    from .tasks import analyse_task, lost, prepare

    sizes = tasks.sizes
    count = crew.workers.wanted(sizes, crew.jobs)
    prepare(setting)
    results = spread(analyse_task, setting, tasks, count, lost, crew.workers, sizes)
    for done, result in enumerate(results, start=1):
        crew.progress("analysing", done, len(tasks))
        yield result


def _edit(setting: Setting, candidates: Sequence[Candidate], crew: Crew, report: Report) -> None:
    """Make the edits of all findings; candidates then hold the new text, and what became of each finding."""
    from .codemods.analyse import Analysis
    from .pool import spread
    from .project import jobs, kept
    from .tasks import Edited, edit_task, lost

    analysed = [c for c in candidates if isinstance(c.result, Analysis)]
    made = jobs(analysed)
    count = crew.workers.wanted([c.text.size for c in analysed if c.edited], crew.jobs)
    results = spread(
        edit_task, setting, made, count, lambda job, why: lost(job.task, why), crew.workers, made.sizes
    )
    for done, (candidate, result) in enumerate(zip(analysed, results, strict=True), start=1):
        crew.progress("rewriting", done, len(analysed))
        if not isinstance(result, Edited):
            report.problems.append(result)
            candidate.findings = kept((), crew.spool)
            continue
        candidate.findings = kept(result.findings, crew.spool)
        if result.data is not None:
            candidate.text = crew.spool.keep(result.data, len(result.data))


def _collect_changes(
    candidates: Iterable[Candidate], before: Mapping[str, Kept[bytes]], report: Report
) -> None:
    from .report.model import Change

    for candidate in candidates:
        old = before[candidate.path]
        if candidate.text is not old and candidate.text.get() != old.get():
            report.changes.append(Change(candidate.path, old.get(), candidate.text.get()))
    report.changes.sort(key=lambda c: c.path)


def _write(report: Report, paths: Sequence[str]) -> None:
    from . import writer

    def problem(path: str, message: str) -> None:
        _problem(report, "NKM907", path, message)

    written = set(writer.write_all(report.changes, problem, within=paths))
    report.written = bool(written)
    report.changes = [change for change in report.changes if change.path in written]
