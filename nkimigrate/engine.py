"""Runs the codemods over files: find, analyse with what the project's modules export, edit in memory, write.

Every file that contains a marker is analysed on its own; what its module exports (a re-exported kernel, a
class that holds one) makes other files relevant (:mod:`.project`). Only then are edits made, and only when
all of them are made is anything written.
"""

from __future__ import annotations

import os
import time

from . import __version__, discovery, reading
from .names import Names

TYPE_CHECKING = False  # typing stays unloaded on the path of a tree without a hit
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .cache import CleanFiles
    from .candidates import Candidates
    from .codemods.analyse import Analysis
    from .config import Options
    from .project import Tasks
    from .report.model import Problem
    from .report.result import Report
    from .results import Results
    from .tasks import Edited, Setting
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
    if hits.candidates is not None:
        from .garbage import paused
        from .workers import opened

        with opened(options.executor) as workers, paused(0):
            crew = Crew(workers, options.jobs, progress or _silent)
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
    """Files with a marker; what keeps them is loaded with the first of them."""

    def __init__(self) -> None:
        self.candidates: Candidates | None = None

    def add(self, path: str, kind: discovery.Kind, data: bytes, report: Report) -> None:
        from .candidates import Candidates
        from .spool import Spool

        if self.candidates is None:
            self.candidates = Candidates(Spool())
        unfit = reading.unfit(data, kind)
        if unfit:
            _problem(report, "NKM903", path, unfit)
        else:
            self.candidates.add(path, kind, data)


def _hits(options: Options, report: Report) -> tuple[_Hits, Others]:
    """Files with a marker (read), and all other Python files."""
    if options.stdin is not None:
        return _given(options, report), Others({})
    markers = _markers(options)
    key = f"{__version__} {b'+'.join(markers).decode()}"
    clean = _clean_files(options.paths, key) if options.cache else None
    found, others = _scan(options, markers, report, clean)
    if clean is not None:
        clean.save()
    return found, others


def _clean_files(paths: Sequence[str], key: str) -> CleanFiles:
    """What former runs saw nothing in."""
    from .cache import CleanFiles

    return CleanFiles.load(_cache_root(paths), key)


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
) -> tuple[_Hits, Others]:
    hits = _Hits()
    others = Others(options.overlay or {})
    other = others.paths.append
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
                other(found.path)
            continue
        if clean is not None and clean.knows(found):
            other(found.path)
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
            other(found.path)
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


class Others:
    """Files without a marker; ``overlay`` has texts by real path that count instead of what is on disk."""

    def __init__(self, overlay: Mapping[str, bytes]) -> None:
        self.paths = Names()
        self._overlay = overlay
        self._taken: set[int] = set()

    def naming(self, exported: Iterable[str], files: Candidates) -> None:
        """Make candidates of those that name a module which exports something affected, and one of its
        exports.
        """
        from .mentions import Mentions

        mentions = Mentions(exported)
        for number, path in enumerate(self.paths):
            kind = discovery.kind_of(os.path.basename(path))
            if kind not in ("python", "text") or number in self._taken:
                continue
            try:
                text = self._overlay.get(os.path.realpath(path)) if self._overlay else None
                data = reading.read(path, reading.LIMITS[kind]) if text is None else text
            except reading.Unreadable:
                continue
            if mentions.within(data, os.path.basename(path) == "__init__.py"):
                self._taken.add(number)
                files.add(path, kind, data)


# -- what changes -------------------------------------------------------------------------------------


class Crew:
    """Who works on files, how many at a time, and who hears how far it is."""

    def __init__(self, workers: Workers, jobs: int, progress: Progress) -> None:
        self.workers = workers
        self.jobs = jobs
        self.progress = progress


def _migrate(options: Options, files: Candidates, others: Others, report: Report, crew: Crew) -> None:
    """Take the candidates over every step between the two releases, without writing them."""
    from .project import analyse_all
    from .releases import own_step, path_between
    from .report.found import Changes, Found, Texts
    from .tasks import Setting

    roots = tuple(os.path.abspath(p) for p in options.paths)
    alone = len(files) == 1 and not others.paths
    steps = path_between(options.release_from, options.release_to) + [own_step(p) for p in options.tables]
    results = _results(options)
    for step in steps:
        # A check does without the edits, which are not remembered, but they lead to the next step.
        known = results if step == steps[-1] else None
        setting = Setting(step, options.select, options.ignore, options.all_keywords, options.partial)
        analyse_all(
            files,
            roots,
            lambda tasks, setting=setting, known=known: _analyse(setting, tasks, crew, known),  # type: ignore[misc]
            (lambda exported: others.naming(exported, files)) if others.paths else None,
            alone,
        )
        _leave_out(files, options.only)
        report.problems += [files.problems[number] for number in sorted(files.problems)]
        # A check ends with the analysis: what would be rewritten is known without the new text, other than
        # where edits may allow what needs a person now.
        if options.mode != "check" or options.texts or step != steps[-1]:
            _edit(setting, files, crew, report)
        elif files.mixed:
            _foresee(setting, files, crew)
        report.suppressed += files.suppressed
    if results is not None:
        results.save()
    findings, changes = Found(files), Changes.of(files)
    report.findings = findings if files.spilled else list(findings)
    report.changes = changes if files.spilled else list(changes)
    if options.texts:
        report.texts = Texts(files)


def _leave_out(files: Candidates, only: frozenset[str] | None) -> None:
    """What was analysed for others' sake alone has no result of its own."""
    if only is not None:
        for number, path in enumerate(files.paths):
            if os.path.realpath(path) not in only:
                files.leave_out(number)


def _results(options: Options) -> Results | None:
    """What former checks found out, for a check that needs no edits and does not change what it looks at."""
    if options.mode != "check" or options.texts or options.stdin is not None:
        return None
    if not options.cache or options.executor:  # a cluster's workers may have another Python
        return None
    from .results import Results, usable

    return Results(_cache_root(options.paths)) if usable() else None


def _analyse(
    setting: Setting, tasks: Tasks, crew: Crew, known: Results | None
) -> Iterator[Analysis | Problem]:
    from .pool import spread
    from .tasks import analyse_task, lost, prepare

    def analyse(tasks: Tasks) -> Iterator[Analysis | Problem]:
        sizes = tasks.sizes
        count = crew.workers.wanted(sizes, crew.jobs)
        prepare(setting, pooled=count > 1)
        return spread(analyse_task, setting, tasks, count, lost, crew.workers, sizes)

    if known is None:
        results = analyse(tasks)
    else:
        from .results import remembering

        results = remembering(known, setting, tasks, analyse)
    for done, result in enumerate(results, start=1):
        crew.progress("analysing", done, len(tasks))
        yield result


def _foresee(setting: Setting, files: Candidates, crew: Crew) -> None:
    """Find out what a run that writes says of the files that it edits in several rounds.

    Edits of a later round are left out: they are those of another text.
    """
    from .codemods.record import replace
    from .project import jobs
    from .tasks import Edited, goes_on

    mixed = sorted(files.mixed)
    numbers = [n for n, job in zip(mixed, jobs(files, mixed), strict=True) if goes_on(setting, job)]
    for number, result in _edited(setting, files, crew, numbers):
        if isinstance(result, Edited):
            before = files.findings[-1][number]
            files.keep_findings(
                number, tuple(f if f in before else replace(f, edits=()) for f in result.findings)
            )


def _edited(
    setting: Setting, files: Candidates, crew: Crew, numbers: Sequence[int]
) -> Iterator[tuple[int, Edited | Problem]]:
    """What becomes of files when the edits of their findings are made."""
    from .pool import spread
    from .project import jobs
    from .tasks import edit_task, lost

    made = jobs(files, numbers)
    sizes = made.sizes
    count = crew.workers.wanted(sizes, crew.jobs)
    results = spread(
        edit_task, setting, made, count, lambda job, why: lost(job.task, why), crew.workers, sizes
    )
    for done, (number, result) in enumerate(zip(numbers, results, strict=True), start=1):
        crew.progress("rewriting", done, len(numbers))
        yield number, result


def _edit(setting: Setting, files: Candidates, crew: Crew, report: Report) -> None:
    """Make the edits of all findings; the files then have the new text, and what became of each finding."""
    from array import array

    from .candidates import EDITED
    from .tasks import Edited

    for number, result in _edited(setting, files, crew, array("L", files.those(EDITED))):
        if not isinstance(result, Edited):
            report.problems.append(result)
            files.keep_findings(number, ())
            continue
        files.keep_findings(number, result.findings)
        if result.data is not None:
            files.new.put(number, result.data, len(result.data))


def _write(report: Report, paths: Sequence[str]) -> None:
    from . import writer
    from .report.found import without

    refused: set[str] = set()

    def problem(path: str, message: str) -> None:
        refused.add(path)
        _problem(report, "NKM907", path, message)

    report.written = writer.write_all(report.changes, problem, within=paths) > 0
    report.changes = without(report.changes, refused)
