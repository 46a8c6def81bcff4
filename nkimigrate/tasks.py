"""The units of work, pure functions that a process pool can run: analyse one file, edit one file."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial

from .codemods.analyse import Analysis, Place, World, analyse, parse
from .codemods.model import LANGUAGE, Edit, EditImport, Finding, Outcome
from .codemods.patterns import pattern
from .codemods.record import fresh, record, replace
from .codemods.release import Release
from .codemods.rule import Check, Rule
from .codemods.rules import checks
from .codemods.skim import Signs, named
from .codemods.source import Source
from .garbage import paused
from .releases import load, load_language
from .report.model import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .codemods.edit import EditRefused
    from .codemods.language.step import LanguageStep

DIALECT = ("NKL601", "NKL602", "NKL603")
"""The codes of the dialect check."""
_ROUNDS = 4
"""How often a file's result is looked at again at most."""
_FROM_TOP = pattern(rb"from(?<!\wfrom)\s+neuronxcc\s+import\b")


@record
class Setting:
    """What is the same for every file of a run."""

    step: tuple[str, str]
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    all_keywords: bool = False
    partial: bool = False

    def wants(self, code: str) -> bool:
        chosen = not self.select or any(code.startswith(p) for p in self.select)
        return chosen and not any(code.startswith(p) for p in self.ignore)

    def may_want(self, group: str) -> bool:
        """Whether a code that begins with ``group`` can be among the chosen ones."""
        chosen = not self.select or any(p.startswith(group) or group.startswith(p) for p in self.select)
        return chosen and not any(group.startswith(p) for p in self.ignore)


@record
class Task:
    """One file to analyse. ``kind`` is python, text, notebook or document.

    ``survey``: of a file with kernels only what others see of it is wanted.
    """

    data: bytes
    place: Place
    kind: str = "python"
    world: World = fresh(factory=World)
    survey: bool = False


@record
class Job:
    """One file to edit."""

    task: Task
    findings: tuple[Finding, ...]


@record
class Edited:
    """A file after its edits: ``data`` is None when nothing changed; findings whose edits were refused need
    you.
    """

    findings: tuple[Finding, ...]
    data: bytes | None


@cache
def _signs(step: tuple[str, str]) -> Signs:
    return Signs(load(*step))


@cache
def _rules(setting: Setting, library: bool = True) -> tuple[Rule, ...]:
    """The chosen rules; without those about the library where it is out of sight."""
    return tuple(r for r in checks() if setting.wants(r.code) and (library or not r.library))


def prepare(setting: Setting, pooled: bool = False) -> None:
    """Load what every file needs, once: before a pool's processes are forked and before the first file.

    ``pooled``: with what some files need, which each process would load for itself.
    """
    _signs(setting.step)
    rules = _rules(setting)
    for rule in rules if pooled else ():
        _ = rule.module


def analyse_task(setting: Setting, task: Task) -> Analysis | Problem:
    """Analyse one file; whatever is wrong with the file comes back as a problem."""
    with paused(len(task.data)), _without_warnings():
        return _analysed(setting, task)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """What the compiler has to say about the user's code is not for this report, and stops nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _analysed(setting: Setting, task: Task) -> Analysis | Problem:
    release = load(*setting.step)
    try:
        if task.kind == "python":
            return _python(setting, task, release)
        from .codemods.embedded import EMBEDDED
        from .codemods.texts import analyse_text, named_paths

        if task.kind in EMBEDDED:
            return _embedded(setting, task, release)
        texts = analyse_text(task.data, task.place.path, release)
        found = tuple(finding for finding in texts if setting.wants(finding.code))
        named = named_paths(task.data)
        return Analysis(found, 0, {}, named, frozenset(key for key in task.world.outside if key in named))
    except SyntaxError as error:
        line, column = error.lineno or 1, error.offset or 1
        return Problem(
            "NKM901", task.place.path, f"does not parse: {_told(error)}", max(line, 1), max(column, 1)
        )
    except UnicodeError as error:
        return Problem("NKM901", task.place.path, f"cannot be decoded: {error}")
    except (RecursionError, MemoryError):
        return Problem("NKM904", task.place.path, "is nested too deeply to be analysed")
    except Exception as error:
        return _defect(task, error)


def _told(error: SyntaxError) -> str:
    """What is wrong, and where a newer Python may see nothing wrong, that one may."""
    text = error.msg.replace("f-string: f-string:", "f-string:")
    if sys.version_info >= (3, 12) or not text.startswith("f-string"):
        return text
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{text} (this is Python {running}; run nkimigrate with 3.12 or newer if the file is for that)"


def _python(setting: Setting, task: Task, release: Release) -> Analysis:
    if task.survey and (step := _old_step(setting, task)):
        return _surveyed(task, release, step)
    library, language = _in_sight(setting, task), tuple(_language(setting, task))
    named_here = library or _signs(setting.step).within(task.data)
    if not named_here and not language:
        return _skimmed(task)
    rules = _rules(setting, library) if named_here else ()
    return analyse(task.data, task.place, release, rules, task.world, setting.all_keywords, language)


def _surveyed(task: Task, release: Release, step: LanguageStep) -> Analysis:
    """What others see of a file with kernels, without a word on what becomes of it."""
    from .codemods.elsewhere import Kernel
    from .codemods.language.findings import language_survey

    look = partial(language_survey, step=step, elsewhere=task.world.kernels)
    found = analyse(task.data, task.place, release, (), task.world, language=[look])
    return replace(found, kernels=dict.fromkeys(found.kernels, Kernel(True)), surveyed=True)


def _language(setting: Setting, task: Task) -> Iterator[Check]:
    """For a file that seems to import the old language its step, for the new one the dialect check."""
    if old := _old_step(setting, task):
        from .codemods.language.findings import language_findings

        yield partial(
            language_findings,
            step=old,
            wants=setting.wants,
            elsewhere=task.world.kernels,
            launches=task.world.launches,
            partial=setting.partial,
        )
    new = _wants_dialect(setting) and _imports_new(task.data)
    if new and (step := load_language(*setting.step)):
        from .codemods.dialect.findings import dialect_findings

        yield partial(dialect_findings, step=step, wants=setting.wants)


@cache
def _wants_dialect(setting: Setting) -> bool:
    return any(map(setting.wants, DIALECT))


def _imports_new(data: bytes) -> bool:
    """Whether a line seems to import the new language."""
    named = data.replace(b"\t", b" ").split(b" nki")[1:]
    if all(_goes_on(behind) for behind in named):
        return False
    return any(_is_new_import(line.split(None, 2)) for line in data.split(b"\n") if b"nki" in line)


def _is_new_import(words: Sequence[bytes]) -> bool:
    if len(words) < 2 or words[0] not in (b"import", b"from") or not words[1].startswith(b"nki"):
        return False
    return not _goes_on(words[1][3:])


def _goes_on(text: bytes) -> bool:
    """Whether a word goes on with a text."""
    return text[:1].isalnum() or text[:1] == b"_"


def _old_step(setting: Setting, task: Task) -> LanguageStep | None:
    """The language's step, where a file seems to import the old one and somebody would hear of it."""
    if not setting.may_want(LANGUAGE):
        return None
    old = _imports_old(task.data) or bool(task.world.kernels)
    return load_language(*setting.step) if old else None


def _imports_old(data: bytes) -> bool:
    """Whether a line seems to import the old language."""
    return b"neuronxcc" in data and (b"neuronxcc.nki" in data or _FROM_TOP.search(data) is not None)


def _embedded(setting: Setting, task: Task, release: Release) -> Analysis:
    """The Python in another file; what others import is never from there."""
    from .codemods.embedded import opened

    try:
        container = opened(task.data, task.place.path, task.kind, release.spelled)
    except UnicodeError:
        raise
    except ValueError as error:
        raise SyntaxError(f"not a notebook: {error}") from None
    world = replace(task.world, pinned=task.world.pinned | container.pinned)
    inside = replace(task, data=container.joined.text.encode(), kind="python", world=world)
    found = _python(setting, inside, release)
    others = [f for f in container.others() if setting.wants(f.code)]
    findings = (*map(container.placed, found.findings), *others)
    return replace(found, findings=findings, exports={})


def _in_sight(setting: Setting, task: Task) -> bool:
    """Whether the library can be meant in a Python file: by what others export, by name, or as a copy."""
    signs = _signs(setting.step)
    return bool(task.world.outside) or signs.library(task.data) or signs.library(task.place.module.encode())


def _skimmed(task: Task) -> Analysis:
    source = Source.decode(task.data)
    names = named(parse(source), source.text, task.place.module, task.place.package)
    return Analysis((), 0, {}, names, frozenset())


def _defect(task: Task, error: Exception) -> Problem:
    """A bug of nkimigrate costs the file that shows it, not the run."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f" ({frame.tb_frame.f_code.co_name}:{frame.tb_lineno})" if frame else ""
    text = f"made nkimigrate fail, please report it: {type(error).__name__}: {error}{where}"
    return Problem("NKM908", task.place.path, text)


def lost(task: Task, why: str) -> Problem:
    """What is reported for a file whose worker crashed or hung."""
    return Problem("NKM904", task.place.path, f"was given up: {why}")


def edit_task(setting: Setting, job: Job) -> Edited | Problem:
    """Carry out the edits of a file's findings; a finding whose edit is refused becomes one for a person."""
    with _without_warnings(), paused(len(job.task.data)):
        result = _carried_out(setting, job)
        if isinstance(result, Problem) or result.data is None:
            return result
        return _settled(setting, job.task, result) if goes_on(setting, job) else result


def goes_on(setting: Setting, job: Job) -> bool:
    """Whether the edits of a file may allow more than was found before them."""
    return _concerns_both(setting, job) or any(map(_moves_names, job.findings))


def _carried_out(setting: Setting, job: Job) -> Edited | Problem:
    result = _edited(job)
    refused = isinstance(result, Edited) and result.findings != job.findings
    return (_in_turn(setting, job) if refused else None) or result


def _concerns_both(setting: Setting, job: Job) -> bool:
    """Whether a file has to do with the library and the old language: what is done for one of them may allow
    what could not be done for the other.
    """
    if job.task.kind == "text" or _old_step(setting, job.task) is None:
        return False
    return _in_sight(setting, job.task) or any(not f.code.startswith(LANGUAGE) for f in job.findings)


def _moves_names(finding: Finding) -> bool:
    """Whether names mean something else in the new text than where they stand: of two copies of the library
    one is left, or an import binds another root (``import a.b``).
    """
    from .codemods.rules.mixed_roots import CODE as MIXED

    imports = (pair for edit in finding.edits if isinstance(edit, EditImport) for pair in edit.names)
    dotted = ((old, new) for old, new in imports if "." in new and " as " not in new)
    return finding.code == MIXED or any(old.split(".")[0] != new.split(".")[0] for old, new in dotted)


def _settled(setting: Setting, task: Task, result: Edited) -> Edited:
    """A result after further rounds, each over the text of the one before, until there is nothing to do: a
    second run changes nothing.
    """
    from .rounds import Places, together, with_left

    for _ in range(_ROUNDS):
        assert result.data is not None
        now = replace(task, data=result.data, world=_afterwards(task.world))
        found = _analysed(setting, now)
        if not isinstance(found, Analysis):
            break
        edits = tuple(f for f in found.findings if f.edits)
        again = _carried_out(setting, Job(now, edits)) if edits else None
        places = Places(task.data, result.data, task.place.path, task.kind)
        if not isinstance(again, Edited) or again.data is None:
            return replace(result, findings=with_left(result.findings, found.findings, places))
        made = [f for f in again.findings if f.edits]
        result = Edited(together(result.findings, made, places), again.data)
    return result


def _afterwards(world: World) -> World:
    """What of other files' facts is certain to hold when they are migrated, too."""
    kernels = {name: kernel for name, kernel in world.kernels.items() if not kernel.migrated}
    return replace(world, outside={}, kernels=kernels)


def _in_turn(setting: Setting, job: Job) -> Edited | None:
    """The library's edits, and then the language's in what those make: where both concern one statement, they
    do not fit into one text. None when that does not carry out all of them, either.
    """
    parts = [
        tuple(f for f in job.findings if f.edits and (f.group == LANGUAGE) is own) for own in (False, True)
    ]
    if not all(parts):
        return None
    first = _edited(Job(job.task, parts[0]))
    if not isinstance(first, Edited) or first.data is None or first.findings != parts[0]:
        return None
    task = replace(job.task, data=first.data)
    analysed = _analysed(setting, task)
    if not isinstance(analysed, Analysis):
        return None
    found = tuple(f for f in analysed.findings if f.edits and f.group == LANGUAGE)
    second = _edited(Job(task, found))
    if not found or not isinstance(second, Edited) or second.findings != found:
        return None
    return Edited(job.findings, second.data)


def _edited(job: Job) -> Edited | Problem:
    from .codemods.edit import EditRefused

    task, findings = job.task, job.findings
    while True:
        edits = _unique(findings)
        if not edits:
            return Edited(findings, None)
        try:
            new = _new(task, edits)
            return Edited(findings, new if new != task.data else None)
        except EditRefused as refusal:
            findings = _without(findings, refusal)
        except UnicodeError as error:
            return Problem("NKM906", task.place.path, f"cannot hold the rewritten text: {error}")
        except (RecursionError, MemoryError):
            return Problem("NKM904", task.place.path, "is nested too deeply to be rewritten")
        except Exception as error:
            return _defect(task, error)


def edited_alone(path: str, kind: str, data: bytes, findings: tuple[Finding, ...]) -> bytes | None:
    """A text after the edits of some of its findings; None when they cannot be made."""
    with _without_warnings(), paused(len(data)):
        result = _edited(Job(Task(data, Place(path), kind), findings))
    return result.data if isinstance(result, Edited) else None


def _new(task: Task, edits: list[Edit]) -> bytes:
    from .codemods.edit import EditRefused
    from .codemods.embedded import EMBEDDED, Torn, opened
    from .codemods.texts import edit_text

    if task.kind == "python":
        source = Source.decode(task.data)
        return source.encode(_apply(source, edits))
    if task.kind not in EMBEDDED:
        return edit_text(task.data, edits)
    container = opened(task.data, task.place.path, task.kind, ())
    text = _apply(Source.decode(container.joined.text.encode()), edits)
    try:
        new = container.restored(container.joined.split(text))
    except Torn:
        raise EditRefused(edits[-1], "it would reach across cells or lose a magic") from None
    if opened(new, task.place.path, task.kind, ()).joined.text != text:
        raise EditRefused(edits[-1], "it would not come back out of the file as it was put in")
    return new


def _apply(source: Source, edits: list[Edit]) -> str:
    from .codemods.edit.apply import apply

    return apply(source, edits)


def _unique(findings: tuple[Finding, ...]) -> list[Edit]:
    return list(dict.fromkeys(edit for finding in findings for edit in finding.edits))


def _without(findings: tuple[Finding, ...], refusal: EditRefused) -> tuple[Finding, ...]:
    """The findings, with those that own the refused edit turned over to a person."""
    step = f"Make this change by hand; it was not made because {refusal.reason}."
    owners = [f for f in findings if refusal.edit in f.edits]
    groups = {f.group for f in owners if f.group}
    turned = tuple(
        replace(f, outcome=Outcome.NEEDS_YOU, edits=(), step=step) if f in owners or f.group in groups else f
        for f in findings
    )
    if turned == findings:
        raise ValueError(f"an edit that no finding owns was refused: {refusal}")
    return turned
