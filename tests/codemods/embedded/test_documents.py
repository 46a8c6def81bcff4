"""Code blocks of documents, behind ``--docs``."""

from __future__ import annotations

import pytest
from helpers import migrate
from hypothesis import assume, given
from hypothesis import strategies as st

from nkimigrate.codemods.embedded.documents import Document

OLD = "from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel"
NEW = "from nkilib.core.mlp.mlp import mlp"

MARKDOWN = f"""# Title about mlp_kernel

```python
{OLD}
```

> quoted
> ```py
> y = mlp_kernel(x, g, u, d)
> ```

1. In a list:

   ~~~python title="a.py"
   def f(x):

       return mlp_kernel(x, g, u, d)
   ~~~

```
mlp_kernel is text here
```

```bash
pip install nkilib
```
"""

RST = f"""Title
=====

.. code-block:: python
   :linenos:

   {OLD}

   y = mlp_kernel(x, g, u, d)

Text with mlp_kernel::

   mlp_kernel

.. code-block:: bash

   echo mlp_kernel
"""


@pytest.mark.parametrize(("name", "text"), [("a.md", MARKDOWN), ("a.rst", RST), ("a.markdown", MARKDOWN)])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_python_blocks_change_and_nothing_else(name: str, text: str, end: str) -> None:
    before = text.replace("\n", end)
    result = migrate({name: before.encode()}, docs=True)
    calls = before.replace("y = mlp_kernel(", "y = mlp(").replace("return mlp_kernel(", "return mlp(")
    assert result.after[name].decode() == calls.replace(OLD, NEW)
    assert not migrate({name: result.after[name]}, docs=True).changed


def test_findings_name_the_line_of_the_document() -> None:
    result = migrate({"a.md": MARKDOWN}, docs=True)
    lines = MARKDOWN.split("\n")
    for finding in (f for f in result.findings if f.edits):
        assert "mlp_kernel" in lines[finding.line - 1][finding.column - 1 :]


def test_documents_are_left_alone_without_the_option() -> None:
    assert not migrate({"a.md": MARKDOWN, "a.rst": RST}).findings


def test_a_block_that_does_not_parse_is_reported_if_it_names_the_library() -> None:
    text = "```python\nnkilib.x = (\n```\n\n```python\nprint 1\n```\n"
    (finding,) = migrate({"a.md": text}, docs=True).findings
    assert (finding.code, finding.line) == ("NKM905", 2)


@pytest.mark.parametrize(
    "text", ["```python", "```python\n", "```python\nnkilib", "~~~py\n```\nimport nkilib\n~~~"]
)
def test_odd_fences(text: str) -> None:
    result = migrate({"a.md": text}, docs=True)
    assert not result.changed
    assert not result.problems


ODD = {
    "a line separator in a comment": f"```python\n{OLD}\n# a\u2028b\nx = 1\n```\n",
    "a form feed between lines": f"```python\n{OLD}\nx = 1\n\x0c\ny = 2\n```\n",
    "a vertical tab in a string": f"```python\n{OLD}\nx = '\x0b'\n```\n",
    "white space at ends and on empty lines": f"  ```python\n  {OLD}\n   \n  x = 1  \n \t\n```\n",
    "no newline at the end": f"```python\n{OLD}\nx = 1",
    "no newline at the end of what changes": f"```python\nx = 1\n{OLD}",
    "several kinds of newlines": f"```python\r\n{OLD}\nx = 1\r\ny = 2\n```\n",
    "old newlines": f"```python\r{OLD}\rx = 1\r```\r",
    "a byte order mark": f"\ufeff```python\n{OLD}\n```\n",
    "no Markdown newline": f"a\x85b\n```python\n{OLD}\n```\n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_other_lines_keep_every_byte(text: str) -> None:
    """Form feeds and separators became newlines, newlines those of the first line, white space was lost."""
    result = migrate({"a.md": text.encode()}, docs=True)
    assert result.after["a.md"].decode() == text.replace(OLD, NEW)


LINES = st.lists(
    st.sampled_from(["a = 1", "", "   ", "# \u2028é\x0c", "if a:", "    b = 2  ", "\tc", '"""']),
    min_size=1,
    max_size=6,
)


@given(
    LINES,
    LINES,
    st.sampled_from(["", "  ", "> ", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_any_code_can_be_put_in_place(
    old: list[str], new: list[str], indent: str, end: str, closed: bool
) -> None:
    before = f"Text.\u2029{end}{indent}```py{end}"
    behind = f"{end}{indent}```{end}more" if closed else ""
    text = before + end.join(indent + line for line in old) + behind
    container = Document(text.encode(), "a.md", ())
    pieces = container.joined.split(container.joined.text)
    assert container.restored(pieces).decode() == text
    assume(pieces == ["\n".join(old)])  # it parses, and is not indented as a whole
    restored = container.restored(["\n".join(new)]).decode()
    assert restored.startswith(before)
    assert restored.endswith(behind)
    inside = restored[len(before) : len(restored) - len(behind)].split(end)
    assert [bare(line, indent) for line in inside] == [bare(line, "") for line in new]


def bare(line: str, indent: str) -> str:
    """What counts of a line: empty ones may have lost their indentation."""
    code = line.removeprefix(indent.rstrip() if line == indent.rstrip() else indent)
    return code if code.strip() else ""


SESSIONS = {
    "Markdown": ("a.md", "```pycon\n{0}>>> f(\n...     {1})\nmlp_kernel\n>>> {2}\n```\n"),
    "Markdown, called Python": ("a.md", "```python\n{0}>>> f(\n...     {1})\n\n>>> {2}\n```\n"),
    "Markdown, quoted": ("a.md", "> ```\n> {0}> >>> f(\n> ...     {1})\n> 3\n> >>> {2}\n> ```\n"),
    "reStructuredText": ("a.rst", "Text:\n\n{0}>>> f(\n...     {1})\n3\n>>> {2}\n\nText.\n"),
    "doctest": ("a.rst", ".. doctest::\n\n   {0}   >>> f(\n   ...     {1})\n   >>> {2}\n"),
    "code block": ("a.rst", ".. code-block:: python\n\n   {0}   >>> f(\n   ...     {1})\n   >>> {2}\n"),
}


@pytest.mark.parametrize(("name", "text"), SESSIONS.values(), ids=SESSIONS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_interactive_sessions(name: str, text: str, end: str) -> None:
    call = "mlp_kernel(x, g, u, d)"
    before = text.format(f">>> {OLD}\n", call, call).replace("\n", end)
    result = migrate({name: before.encode()}, docs=True)
    after = before.replace(OLD, NEW).replace("mlp_kernel(", "mlp(")
    assert result.after[name].decode() == after
    assert not migrate({name: after.encode()}, docs=True).changed


def test_prompts_outside_of_code_in_markdown_are_quotations() -> None:
    assert not migrate({"a.md": f"Text\n\n>>> {OLD}\n"}, docs=True).findings


@pytest.mark.parametrize("kind", ["{code-block} python", "{code-cell} ipython3", "{python}"])
def test_directives_of_myst(kind: str) -> None:
    options = ":linenos:\n:caption: a\n" if " " in kind else ""
    before = f"```{kind}\n{options}{OLD}\nmlp_kernel(x, g, u, d)\n```\n"
    result = migrate({"a.md": before}, docs=True)
    assert result.text("a.md") == before.replace(OLD, NEW).replace("mlp_kernel(", "mlp(")
