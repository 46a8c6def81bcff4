"""Inputs that reach new code of nkimigrate, found by atheris (libFuzzer); `make fuzz-coverage`.

An input is one byte that says what kind of file the others are. Half of the mutations are libFuzzer's, on bytes; the
others change programs as :mod:`mutations` does, so that they still parse. The corpus starts with the project's own
programs. atheris has wheels for Python 3.11 to 3.13 on Linux.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

with atheris.instrument_imports(include=["nkimigrate"]):
    import soundness

    from nkimigrate import discovery  # noqa: F401
    from nkimigrate.codemods import suppress  # noqa: F401
    from nkimigrate.codemods.edit import apply  # noqa: F401
    from nkimigrate.codemods.embedded import documents, magics, notebooks  # noqa: F401
    from nkimigrate.codemods.language import findings  # noqa: F401
    from nkimigrate.codemods.rules import all_rules
    from nkimigrate.gitignore import Patterns, lines_of
    from nkimigrate.releases import BadTable, load, own_step

    all_rules()

import mutations  # noqa: E402
import seeds  # noqa: E402

KINDS: tuple[tuple[str, dict[str, object]], ...] = (
    ("app.py", {}),
    ("app.py", {"partial": True}),
    ("app.ipynb", {}),
    ("app.md", {"docs": True}),
    ("app.rst", {"docs": True}),
    ("app.toml", {}),
    ("app.json", {}),
    (".gitignore", {}),
    ("table.toml", {}),
)
TEXTS = seeds.all_seeds()


def one_input(data: bytes) -> None:
    """One file; a failure ends the run, and libFuzzer keeps the input."""
    if not data:
        return
    name, options = KINDS[data[0] % len(KINDS)]
    if name == ".gitignore":
        rules = Patterns(lines_of(data[1:]))
        assert rules is not None
    elif name == "table.toml":
        _table(data[1:])
    else:
        soundness.check(data[1:], name, **options)


def _table(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(BadTable):
            load.__wrapped__(*own_step(file.name))


def mutated(data: bytes, limit: int, seed: int) -> bytes:
    """libFuzzer's own mutation, or one that keeps the syntax."""
    numbers = random.Random(seed)
    if not data or numbers.random() < 0.5:
        return bytes(atheris.Mutate(data, limit))
    try:
        text = data[1:].decode()
        return data[:1] + mutations.mutant(text, TEXTS, numbers, 2).encode()[: limit - 1]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return bytes(atheris.Mutate(data, limit))


def starting_corpus(folder: Path) -> None:
    """The project's programs as inputs of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    as_kind = {"app.ipynb": soundness.as_notebook, "app.md": soundness.as_document}
    table = (
        '[release]\nproduct = "a"\nfrom = "1"\nto = "2"\nroot = "a"\nlegacy_roots = []\n[symbols]\n"a.b" = "a.c"\n'
        '[[calls]]\nname = "a.f"\nsignature = "(x, y=None)"\n[[calls.old]]\ndialect = "1"\nsignature = "(y, x)"\n'
    )
    fixed = {
        ".gitignore": "*.py\n!a/**/b\n/x[a-z]?\\ \n",
        "table.toml": table,
        "app.json": '{"a": "nkilib.core.mlp.mlp"}',
    }
    for number, text in enumerate(TEXTS):
        kind = number % len(KINDS)
        name = KINDS[kind][0]
        made = fixed[name] if name in fixed else as_kind.get(name, str)(text)
        (folder / f"seed-{number}").write_bytes(bytes([kind]) + made.encode("utf-8", "surrogatepass"))


def main() -> None:
    folder = ROOT / "build/fuzz/coverage"
    starting_corpus(folder / "corpus")
    found = f"-artifact_prefix={folder}{os.sep}"
    atheris.Setup(
        [sys.argv[0], found, "-timeout=60", *sys.argv[1:], str(folder / "corpus")],
        one_input,
        custom_mutator=mutated,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
