"""What the site has beside this folder's pages: one for each rule and kernel, and the repository's own files.

mkdocs calls these functions. For the kernels' pages nothing of the library is imported: its sources are read.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

from nkimigrate import ruledocs

ROOT = Path(__file__).resolve().parent.parent
OWN = {"README.md": "readme.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
OWN["benchmarks/README.md"] = "benchmarks.md"
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made here."""
    for name, text in (*_own_files(), *_rules(), *_library()):
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links from docs/ to files of the repository lead to their pages here."""
    if page.file.src_uri in OWN.values() or page.file.src_uri.startswith(("rules/", "library/")):
        return markdown
    return _LINK.sub(lambda m: _link(m, ROOT / "docs"), markdown)


def _own_files() -> Iterator[tuple[str, str]]:
    for name, page in OWN.items():
        path = ROOT / name
        folder = path.parent
        yield page, _LINK.sub(lambda m, folder=folder: _link(m, folder), path.read_text("utf-8"))


def _link(match: re.Match[str], folder: Path) -> str:
    """A link of a file in ``folder`` as it is on the site; plain text where the site has no such page."""
    text, target, anchor = match[1], (folder / match[2]).resolve(), match[3] or ""
    relative = target.relative_to(ROOT).as_posix() if target.is_relative_to(ROOT) else ""
    if relative in OWN:
        return f"[{text}]({OWN[relative]}{anchor})"
    if relative.startswith("docs/"):
        return f"[{text}]({relative.removeprefix('docs/')}{anchor})"
    return f"{text} (`{relative}`)" if relative else text


# -- rules --------------------------------------------------------------------------------------------


def _rules() -> Iterator[tuple[str, str]]:
    for item in ruledocs.everything():
        silence = ruledocs.silencing(item)
        end = f"\n## {ruledocs.SILENCE}\n\n{silence}\n\n{_MORE}" if silence else ""
        yield f"rules/{item.code}.md", f"# {item.code} {item.name}\n\n{ruledocs.as_markdown(item)}{end}"


_MORE = """See the [configuration](../command.md#configuration) and
[baselines](../ci.md#adopting-it-in-a-large-code-base).
"""


# -- kernels ------------------------------------------------------------------------------------------


def _library() -> Iterator[tuple[str, str]]:
    """A page for each module with public functions of the release, and the list of all of them."""
    listed = []
    for module, functions in _public().items():
        path = ROOT / Path(*module.split(".")).with_suffix(".py")
        if not path.exists():
            continue
        tree = ast.parse(path.read_text("utf-8"))
        shown = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in functions]
        shown = [node for node in shown if ast.get_docstring(node)]
        if shown:
            listed.append((module, shown))
            yield f"library/{module}.md", _module_page(module, ast.get_docstring(tree) or "", shown)
    rows = [
        f"| [`{n.name}`](library/{m}.md#{n.name.lower()}) | `{m}` | {_summary(n)} |"
        for m, ns in listed
        for n in ns
    ]
    head = "# The library\n\nFunctions of `nkilib` at their paths of release 2.28, from their sources.\n\n"
    yield "library.md", head + "| function | module | |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _public() -> dict[str, set[str]]:
    """Module → public functions of the release."""
    recorded = json.loads((ROOT / "tests" / "data" / "signatures-2.28.json").read_text("utf-8"))
    return {name: set(module.get("functions", ())) for name, module in sorted(recorded["modules"].items())}


def _module_page(module: str, about: str, functions: list[ast.FunctionDef]) -> str:
    parts = [f"# {module}", f"```text\n{about}\n```" if about else ""]
    for node in functions:
        parts += [
            f"## {node.name}",
            f"```python\n{_signature(node)}\n```",
            f"```text\n{ast.get_docstring(node)}\n```",
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _signature(node: ast.FunctionDef) -> str:
    bare = ast.FunctionDef(node.name, node.args, [ast.Expr(ast.Constant(...))], [], node.returns)
    line = ast.unparse(ast.fix_missing_locations(ast.Module([bare], []))).splitlines()[0].rstrip(":")
    if len(line) <= 100:
        return line
    arguments = ast.unparse(node.args)
    inner = ",\n    ".join(_split(arguments))
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"def {node.name}(\n    {inner},\n){returns}"


def _split(arguments: str) -> list[str]:
    """The parameters of a list, at commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(arguments):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append(arguments[start:at].strip())
            start = at + 1
    return [*parts, arguments[start:].strip()]


def _summary(node: ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0].replace("``", "`").replace("|", "\\|")
