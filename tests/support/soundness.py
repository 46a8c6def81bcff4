"""What must be true of nkimigrate whatever text it is given; :class:`Unsound` where it is not.

* No exception, and no defect that the report admits.
* What comes out parses, compiles if the input did, and a second run changes nothing.
* Each statement that no finding with an edit covers is there afterwards, with the same syntax tree.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from importlib.util import decode_source
from itertools import pairwise

from nkimigrate import engine
from nkimigrate.codemods.embedded import opened
from nkimigrate.codemods.model import AddImport, Finding
from nkimigrate.config import Options
from nkimigrate.report.result import Report

HONEST = {"NKM901", "NKM903", "NKM904"}
"""Problems that texts may have: they do not parse, are binary, or too deep. Others are defects."""


class Unsound(AssertionError):
    """What is wrong, and with which text."""


def check(text: str | bytes, name: str = "app.py", **options: object) -> Report:
    """Migrate a text in memory and check everything that must be true. Returns the report of the first run."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    report = _run(data, name, options)
    new = report.changes[0].new if report.changes else data
    if not report.changes:
        return report
    if name.endswith(".py"):
        _check_code(data, new, report.findings)
    elif name.endswith((".ipynb", ".md", ".rst")):
        _check_container(data, new, name)
    again = _run(new, name, options)
    if again.changes:
        raise Unsound(
            f"a second run changes something:\n{_shown(new)}\n--- becomes\n{_shown(again.changes[0].new)}"
        )
    return report


def _run(data: bytes, name: str, options: dict[str, object]) -> Report:
    report = engine.run(Options(stdin=data, stdin_filename=name, mode="diff", jobs=1, **options))
    for problem in report.problems:
        if problem.code not in HONEST or (problem.code == "NKM901" and name.endswith(".py") and parses(data)):
            raise Unsound(f"{problem.code}: {problem.message}\n{_shown(data)}")
    return report


def parses(data: bytes, compiled: bool = False) -> bool:
    """Whether Python takes a file of these bytes: all of it must decode, which ``compile`` alone does not ask."""
    try:
        decode_source(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(data, "app.py", "exec", 0 if compiled else ast.PyCF_ONLY_AST, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def tree_of(code: str | bytes) -> ast.Module:
    """``ast.parse`` without the compiler's warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code)


def _check_code(old: bytes, new: bytes, findings: Iterable[Finding]) -> None:
    if not parses(new):
        raise Unsound(f"the result does not parse:\n{_shown(old)}\n--- becomes\n{_shown(new)}")
    if parses(old, compiled=True) and not parses(new, compiled=True):
        raise Unsound(f"the result does not compile:\n{_shown(old)}\n--- becomes\n{_shown(new)}")
    findings = list(findings)
    extended = {edit.module for f in findings for edit in f.edits if isinstance(edit, AddImport)}
    missing = Counter(_untouched(old, findings, extended)) - Counter(_dumps(new, extended))
    if missing:
        raise Unsound(
            f"no finding says that this changes: {next(iter(missing))}\n{_shown(old)}\n--- becomes\n{_shown(new)}"
        )


def _check_container(old: bytes, new: bytes, name: str) -> None:
    """Outside of its code a notebook or document stays as it was; its code still parses."""
    if not parses(_inside(new, name)):
        raise Unsound(f"the code inside does not parse:\n{_shown(old)}\n--- becomes\n{_shown(new)}")
    if _around(old, name) != _around(new, name):
        raise Unsound(f"what is around the code changes:\n{_shown(old)}\n--- becomes\n{_shown(new)}")


def _inside(data: bytes, name: str) -> bytes:
    return opened(data, name, "notebook" if name.endswith(".ipynb") else "document", ()).joined.text.encode()


def _around(data: bytes, name: str) -> object:
    """A notebook without the sources of its code cells, a document's lines before its first code and behind its
    last.
    """
    if not name.endswith(".ipynb"):
        text = data.decode()
        first, last = text.find("```"), text.rfind("```")
        return text[: max(first, 0)], text[last:] if last > first else ""
    content = json.loads(data.decode("utf-8-sig"))
    for sheet in content.get("worksheets") or [content]:
        for cell in sheet["cells"]:
            if cell.get("cell_type") == "code":
                cell.pop("source", None) or cell.pop("input", None)
    return content


def _untouched(data: bytes, findings: Iterable[Finding], extended: Set[str]) -> Iterator[str]:
    """The trees of all statements on whose lines nothing is edited."""
    edited = {line for f in findings if f.edits for line in range(f.line, f.end_line + 1)}
    for node in ast.walk(tree_of(data)):
        if isinstance(node, ast.stmt):
            first = min(n.lineno for n in (node, *getattr(node, "decorator_list", ())))
            if edited.isdisjoint(range(first, (node.end_lineno or first) + 1)):
                yield from _dump(node, extended)


def _dumps(data: bytes, extended: Set[str]) -> Iterator[str]:
    nodes = (node for node in ast.walk(tree_of(data)) if isinstance(node, ast.stmt))
    return (text for node in nodes for text in _dump(node, extended))


def _dump(node: ast.stmt, extended: Set[str]) -> list[str]:
    """A statement's tree; of an import that a finding elsewhere may extend, that of each name alone."""
    if isinstance(node, ast.ImportFrom) and node.module in extended:
        return [ast.dump(ast.ImportFrom(node.module, [alias], node.level)) for alias in node.names]
    return [ast.dump(node)]


def as_notebook(text: str) -> str:
    """The statements of a program as cells of a notebook."""
    lines = text.splitlines(keepends=True)
    starts = [n.lineno - 1 for n in tree_of(text).body] or [0]
    cuts = sorted({0, *starts[:: max(len(starts) // 4, 1)], len(lines)})
    cells = [
        {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": lines[a:b]}
        for a, b in pairwise(cuts)
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def as_document(text: str) -> str:
    """A program as a code block of a Markdown document."""
    return f"# Title\n\n```python\n{text}\n```\n\nEnd.\n"


def as_marked_notebook(text: str) -> str:
    """The same behind a byte order mark."""
    return "\ufeff" + as_notebook(text)


def as_list_item(text: str) -> str:
    """A program as an indented code block that the document's end closes."""
    return "\ufeff* Item\r\n\r\n  ```python\r\n  " + re.sub(r"(\r\n?|\n)", r"\1  ", text)


def _shown(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
