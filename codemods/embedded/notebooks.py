"""Notebooks: the code cells of formats 3 and 4, in a file whose every other byte stays as it is."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from json import scanner
from typing import Any

from ..model import Finding, Outcome
from ..record import cached_property
from .joined import Joined, Torn, parted, spelling
from .magics import Hidden, hide

CODE = "NKM905"
_WORD = re.compile(r"[A-Za-z_]\w*")


class _Placed(str):
    """A string of the document, with where its literal stands in the text."""

    start: int
    end: int


@dataclass(frozen=True)
class Cell:
    """A code cell: its number among the code cells from 1, its literals, and its Python."""

    number: int
    literals: tuple[_Placed, ...]
    hidden: Hidden
    error: str = ""

    @property
    def source(self) -> str:
        return "".join(self.literals)

    @property
    def python(self) -> bool:
        return not self.hidden.opaque and not self.error


class Notebook:
    """A notebook as a container of Python; see :class:`~nkimigrate.codemods.embedded.Container`."""

    def __init__(self, data: bytes, path: str, names: tuple[str, ...]) -> None:
        self._mark, self._text = parted(data)
        self._path = path
        self._names = spelling(names)
        self.cells = [_cell(n, source) for n, source in enumerate(_sources(_parsed(self._text)), 1)]
        self._python = [cell for cell in self.cells if cell.python and cell.literals]

    @cached_property
    def joined(self) -> Joined:
        return Joined([cell.hidden.text for cell in self._python])

    @property
    def pinned(self) -> frozenset[str]:
        hidden = (text for cell in self.cells for _, text in cell.hidden.originals)
        others = (cell.source for cell in self.cells if not cell.python)
        return frozenset(_WORD.findall("\n".join([*hidden, *others])))

    def placed(self, finding: Finding) -> Finding:
        index, line = self.joined.place(finding.line)
        last = self.joined.place(finding.end_line)[1]
        return replace(finding, line=line, end_line=last, cell=self._python[index].number)

    def others(self) -> list[Finding]:
        return [
            self._finding(cell) for cell in self.cells if not cell.python and self._names.search(cell.source)
        ]

    def _finding(self, cell: Cell) -> Finding:
        if cell.error:
            message = f"does not parse: {cell.error}"
            step = "Repair the cell, then run nkimigrate again."
        else:
            message = "names the library, but the cell's magic says that it is not Python to run here"
            step = "Change what stands in this cell by hand."
        return Finding(CODE, self._path, 1, 1, 1, 1, Outcome.NEEDS_YOU, message, step, cell=cell.number)

    def restored(self, pieces: list[str]) -> bytes:
        text = self._text
        for cell, piece in reversed(list(zip(self._python, pieces, strict=True))):
            if piece != cell.hidden.text:
                source = cell.hidden.reveal(piece)
                if source is None:
                    raise Torn
                text = _with_source(text, cell.literals, source)
        return f"{self._mark}{text}".encode()


def _cell(number: int, literals: tuple[_Placed, ...]) -> Cell:
    hidden = hide("".join(literals))
    try:
        ast.parse(hidden.text)
    except SyntaxError as error:
        return Cell(number, literals, hidden, f"{error.msg} (line {error.lineno})")
    except (ValueError, RecursionError, MemoryError):
        return Cell(number, literals, hidden, "the parser gave up")
    return Cell(number, literals, hidden)


def _parsed(text: str) -> Any:
    """The document, its strings knowing their places. Raises ValueError for anything but JSON."""
    decoder: Any = json.JSONDecoder()  # what makes its strings is an attribute that types do not know
    plain = decoder.parse_string

    def parse_string(document: str, begin: int, strict: bool = True) -> tuple[str, int]:
        value, end = plain(document, begin, strict)
        placed = _Placed(value)
        placed.start, placed.end = begin - 1, end
        return placed, end

    decoder.parse_string = parse_string
    decoder.scan_once = scanner.py_make_scanner(decoder)  # type: ignore[attr-defined]
    return decoder.decode(text)


def _sources(notebook: Any) -> list[tuple[_Placed, ...]]:
    """The literals of each code cell's source; raises ValueError for what is no notebook."""
    if not isinstance(notebook, dict):
        raise ValueError("it is no JSON object")
    sheets = notebook.get("worksheets") or [notebook]
    try:
        cells = [cell for sheet in sheets for cell in [*sheet["cells"]]]
    except (AttributeError, KeyError, TypeError):
        raise ValueError("it has no list of cells") from None
    return [_literals(n, cell) for n, cell in enumerate(cells, 1) if _is_code(n, cell)]


def _is_code(number: int, cell: Any) -> bool:
    if not isinstance(cell, dict):
        raise ValueError(f"entry {number} of its cells is no cell")
    return cell.get("cell_type") == "code"


def _literals(number: int, cell: dict[str, Any]) -> tuple[_Placed, ...]:
    source = cell.get("source", cell.get("input", []))
    found = [source] if isinstance(source, str) else source
    if not isinstance(found, list) or not all(isinstance(item, _Placed) for item in found):
        raise ValueError(f"the source of its cell {number} is neither a text nor a list of lines")
    return tuple(found)


def _with_source(text: str, literals: Sequence[_Placed], source: str) -> str:
    """The document with another source in a cell that has at least one literal."""
    ascii_only = text.isascii()
    alone = text[: literals[0].start].rstrip().endswith(":")  # a text, and not a list of lines
    one = alone or (len(literals) == 1 and "\n" in literals[0])
    lines = [source] if one else source.splitlines(keepends=True)
    written = [json.dumps(line, ensure_ascii=ascii_only) for line in lines]
    kept = _equal_start(literals, lines)
    behind = _equal_start(literals[kept:][::-1], lines[kept:][::-1])
    between = text[literals[0].end : literals[1].start] if len(literals) > 1 else ", "
    if kept + behind == len(literals) and behind:  # nothing but new lines: they stand before those behind
        at = literals[kept].start
        new = "".join(f"{line}{between}" for line in written[kept : len(written) - behind])
        return text[:at] + new + text[at:]
    start, end = literals[min(kept, len(literals) - 1)].start, literals[len(literals) - 1 - behind].end
    if kept == len(literals):  # new lines behind all others
        return text[:end] + "".join(f"{between}{line}" for line in written[kept:]) + text[end:]
    new = between.join(written[kept : len(written) - behind])
    if not new:  # lines that only go take the comma before or behind them along
        start = literals[kept - 1].end if kept else start
        end = end if kept else literals[len(literals) - behind].start if behind else end
        new = "" if kept or behind else '""'
    return text[:start] + new + text[end:]


def _equal_start(old: Sequence[str], new: Sequence[str]) -> int:
    count = 0
    for a, b in zip(old, new, strict=False):
        if a != b:
            break
        count += 1
    return count
