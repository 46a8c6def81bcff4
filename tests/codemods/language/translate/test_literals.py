"""Comments and strings are found as Python's tokenizer finds them."""

from __future__ import annotations

import io
import sys
import tokenize
from pathlib import Path

import pytest

from nkimigrate.codemods.language.translate.body import Lines, literals

TEXT = """\
x = 'a # b'  # one
y = "it's \\" # no" + '''three # no
lines'''  # two
z = r'\\\\'#three
w = f"{x!r:#>4}"  # four
t = 'goes \\
on'
\"\"\"" # no '''
\"\"\"
# five
"""


def test_the_text_is_python() -> None:
    compile(TEXT, "text.py", "exec")


def test_comments_and_the_lines_inside_of_strings() -> None:
    lines = Lines(TEXT)
    assert lines.comments == {1: "# one", 3: "# two", 4: "#three", 5: "# four", 10: "# five"}
    assert lines.in_strings == {3, 7, 9}


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_other_line_ends(end: str) -> None:
    assert list(literals(TEXT.replace("\n", end))) == list(literals(TEXT))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the tokenizer itself is used")
@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].rglob("test_*.py")), ids=lambda p: p.stem)
def test_as_the_tokenizer_does(path: Path) -> None:
    text = path.read_text()
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    wanted = [
        (t.string if t.type == tokenize.COMMENT else "", t.start[0], t.end[0])
        for t in tokens
        if t.type in (tokenize.COMMENT, tokenize.STRING)
    ]
    assert list(literals(text)) == wanted
