"""Speed of the language step, beside libcst reading the same files.

``language_speed.py [NAME=CHECKOUT@REVISION …]`` prints a Markdown table: a generated file with 1 to 1000
kernels, a long public file with its functions once to 100 times, then the files of each checkout that import
the legacy language. CPU seconds in one process, the least of several runs that take turns with the peer's;
nothing is written. ``make bench-language-speed`` runs it.
"""

from __future__ import annotations

import argparse
import ast
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import corpus
import libcst
from timing import compared

from nkimigrate import engine
from nkimigrate.config import Options

HEAD = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
"""
KERNEL = '''

@nki.jit
def scaled_rows_{number}(x, scale):
    """Rows of x times a number, each divided by the root of its mean square."""
    rows, columns = x.shape
    out = nl.ndarray((rows, columns), dtype=x.dtype, buffer=nl.shared_hbm)
    for i in nl.affine_range(rows // 128):
        i_p = nl.arange(128)[:, None]
        i_f = nl.arange(columns)[None, :]
        tile = nl.load(x[i * 128 + i_p, i_f])  # one row in each partition
        squares = nl.multiply(tile, tile)
        mean = nl.sum(squares, axis=1, keepdims=True) / columns
        root = nl.rsqrt(mean)
        result = nl.multiply(tile, root) * scale
        nl.store(out[i * 128 + i_p, i_f], value=result)
    return out
'''
COPIES = (1, 10, 100, 1000)
LONG = "src/nki_samples/tutorials/fused_mamba/mamba_nki_kernels.py"
"""A file with three kernels of which each has more statements than the one before, of nki-samples."""
LONG_COPIES = (1, 10, 100)
_LEGACY = b"neuronxcc.nki"


def generated(kernels: int) -> str:
    """A file with so many kernels."""
    return HEAD + "".join(KERNEL.format(number=number) for number in range(kernels))


def copied(text: str, count: int) -> str:
    """A file with its functions so many times, each time under other names."""
    tree, lines = ast.parse(text), text.splitlines(keepends=True)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    names = re.compile(rf"\b({'|'.join(node.name for node in functions)})\b")
    once = "\n\n".join("".join(_lines(lines, node)) for node in functions)
    rest = "".join("".join(_lines(lines, node)) for node in tree.body if node not in functions)
    copies = (names.sub(lambda found, n=n: f"{found[0]}_{n}", once) for n in range(count))  # type: ignore[misc]
    return "\n\n".join([rest, *copies])


def _lines(lines: list[str], node: ast.stmt) -> list[str]:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return lines[min([node.lineno, *(d.lineno for d in decorators)]) - 1 : node.end_lineno]


def kernels_in(files: Iterable[Path]) -> int:
    """How many functions have a decorator of the language's module ``nki``."""
    return sum(
        any(ast.unparse(decorator).startswith("nki.") for decorator in node.decorator_list)
        for file in files
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.FunctionDef)
    )


def migrating(files: list[Path], check: bool) -> Callable[[], object]:
    """Migrating files in memory, or only reporting what would be."""
    mode = "check" if check else "diff"
    options = Options(paths=tuple(map(str, files)), mode=mode, jobs=1, cache=False)
    return lambda: engine.run(options)


def reading(files: list[Path]) -> Callable[[], object]:
    """The peer: parsing files with libcst, and visiting every node with a visitor that does nothing."""

    def read() -> None:
        for file in files:
            libcst.parse_module(file.read_bytes()).visit(libcst.CSTTransformer())

    return read


def row(what: str, files: list[Path], rounds: int) -> str:
    """One line of the table."""
    rounds = 1 if sum(file.stat().st_size for file in files) > 500_000 else rounds
    calls = [migrating(files, check=False), migrating(files, check=True), reading(files)]
    whole, check, peer = compared(calls, 0, rounds)
    count = kernels_in(files)
    cells = (what, str(count), f"{whole:.3f} s", f"{1000 * whole / max(count, 1):.1f} ms", f"{check:.3f} s")
    return f"| {' | '.join(cells)} | {peer:.3f} s | {whole / peer:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", metavar="NAME=CHECKOUT@REVISION")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| what | kernels | rewriting | a kernel | `--check` | libcst parses and visits | ratio |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for copies in COPIES:
            file = Path(folder, f"kernels_{copies}.py")
            file.write_text(generated(copies))
            print(row("a generated file", [file], options.rounds), flush=True)
        for given in options.checkouts:
            name, path, at = corpus.parse_spec(given)
            tree = corpus.checkout(path, at, Path(folder, name))
            files = [f for f in sorted(tree.rglob("*.py")) if _LEGACY in f.read_bytes()]
            print(row(f"{name} {at}, {len(files)} files", files, options.rounds), flush=True)
            for copies in LONG_COPIES if (tree / LONG).exists() else ():
                file = Path(folder, f"long_{copies}.py")
                file.write_text(copied((tree / LONG).read_text(), copies))
                print(row(f"a long public file, {copies} times", [file], options.rounds), flush=True)


if __name__ == "__main__":
    main()
