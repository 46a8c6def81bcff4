"""Code blocks of documents, behind ``--docs``."""

from __future__ import annotations

import pytest
from helpers import migrate

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
    text = "```python\n>>> nkilib.x\n```\n\n```python\nprint 1\n```\n"
    (finding,) = migrate({"a.md": text}, docs=True).findings
    assert (finding.code, finding.line) == ("NKM905", 2)


@pytest.mark.parametrize(
    "text", ["```python", "```python\n", "```python\nnkilib", "~~~py\n```\nimport nkilib\n~~~"]
)
def test_odd_fences(text: str) -> None:
    result = migrate({"a.md": text}, docs=True)
    assert not result.changed
    assert not result.problems
