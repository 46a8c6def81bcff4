"""Code that has nothing to do with the library, by the ten thousand files; `make no-harm`.

Source distributions come from PyPI by pip, into build/no-harm. They hold no NKI code, so that nkimigrate must change
nothing and report nothing:

1. as its users run it, on everything, documents included;
2. with every rule, the language step and the language check run on every Python file, although no file names the
   library: what usually keeps them out is not asked;
3. on files to which one call of the library is added: that call changes and nothing else;
4. on files whose own functions, classes, attributes and keywords are called like the library's, beside an import from it.

--steps chooses. Steps 2 to 4 can take every Nth file only, and run in this process or in several.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import keyword
import subprocess
import sys
import tarfile
import time
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

import soundness  # noqa: E402

from nkimigrate import pool  # noqa: E402
from nkimigrate.codemods.analyse import Place, World, analyse  # noqa: E402
from nkimigrate.codemods.dialect.findings import dialect_findings  # noqa: E402
from nkimigrate.codemods.language.findings import language_findings  # noqa: E402
from nkimigrate.codemods.rules import all_rules  # noqa: E402
from nkimigrate.releases import load, load_language  # noqa: E402
from nkimigrate.workers import Machine  # noqa: E402

PACKAGES = (
    "ansible-core==2.19.14", "django==5.2.19", "kubernetes==37.0.2", "networkx==3.6.1", "sphinx==9.0.4",
    "sympy==1.14.0", "transformers==5.24.0",
)  # fmt: skip
STEP = ("2.27", "2.28")
OLD = b"\n\nfrom nkilib.core.mlp.mlp import mlp_kernel as nkimigrate_test\nnkimigrate_test(1, 2, 3, 4)\n"

IMPORTED = b"\n\nfrom nkilib.core.utils.common_types import NormType as nkimigrate_test\n"
VIEWED = b"\n\nfrom nkilib.core.utils.tensor_view import TensorView as nkimigrate_test\n"
LOOK_ALIKES = {
    "def": (
        "mlp_kernel",
        "qkv",
        "rmsnorm_quant_kernel",
        "output_projection_tkg",
        "attention_cte",
        "gen_mask_tkg",
    ),
    "class": ("TensorView", "TiledRangeIterator", "SbufManager", "Logger", "MLPParameters"),
    "attribute": ("sizes", "strides", "alloc_stack", "create_child"),
    "keyword": ("inp", "fused_residual_add", "hidden_tensor", "ln_w"),
}
"""What a name is in a file → names of the library that the most frequent ones get."""


def downloaded(folder: Path) -> Path:
    """The packages' files, in one folder."""
    sdists, tree = folder / "sdists", folder / "tree"
    sdists.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        name, _, number = package.partition("==")
        if not list(sdists.glob(f"{name.replace('-', '_')}-{number}.tar.gz")):
            options = [
                "-q",
                "--disable-pip-version-check",
                "--no-deps",
                "--no-binary",
                ":all:",
                "-d",
                str(sdists),
            ]
            subprocess.run([sys.executable, "-m", "pip", "download", *options, package], check=True)
    for sdist in sorted(sdists.glob("*.tar.gz")):
        if not (tree / sdist.name.removesuffix(".tar.gz")).exists():
            with tarfile.open(sdist) as archive:
                archive.extractall(tree, filter="data")
    return tree


def digests(tree: Path) -> dict[str, str]:
    """What every file holds."""
    files = (path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def as_users_run_it(tree: Path) -> list[str]:
    """The command on the whole tree, nothing left out."""
    before = digests(tree)
    options = ["--docs", "--no-gitignore", "--exclude", "nothing/", "--no-cache", "--isolated"]
    command = [sys.executable, "-m", "nkimigrate", *options, "--output-format", "json", str(tree)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(
        f"the command: {len(before)} files in {time.perf_counter() - started:.1f} s, exit code {done.returncode}"
    )
    wrong = [f"exit code {done.returncode}: {done.stderr[-2000:]}"] if done.returncode or done.stderr else []
    said = json.loads(done.stdout)
    wrong += [json.dumps(entry) for entry in (*said["findings"], *said["problems"])]
    return wrong + [f"{path} changed" for path, digest in digests(tree).items() if before.get(path) != digest]


def with_everything_on(_setting: None, path: str) -> str:
    """What is wrong when all rules look at a file: findings, or an exception."""
    data = Path(path).read_bytes()
    if not soundness.parses(data):
        return ""
    language = load_language(*STEP)
    assert language is not None
    checks = (
        partial(language_findings, step=language, wants=lambda code: True),
        partial(dialect_findings, step=language, wants=lambda code: True),
    )
    try:
        found = analyse(data, Place(path, "somewhere"), load(*STEP), all_rules(), World(), True, checks)
    except (RecursionError, MemoryError):
        return ""  # reported as NKM904
    except Exception as error:
        return f"{path}: {type(error).__name__}: {error}"
    return "".join(f"{path}:{f.line}: {f.code} {f.message}\n" for f in found.findings)


def with_a_call(_setting: None, path: str) -> str:
    """What is wrong when one call of the library is added to a file."""
    data = Path(path).read_bytes()
    if not soundness.parses(data + OLD):
        return ""
    try:
        report = soundness.check(data + OLD)
    except Exception as error:
        return f"{path}: {type(error).__name__}: {str(error)[:500]}"
    if report.problems:
        deep_or_large = {"NKM903", "NKM904"}
        return "" if {p.code for p in report.problems} <= deep_or_large else f"{path}: {report.problems}"
    expected = OLD.replace(b"mlp_kernel", b"mlp")
    newline = b"\r\n" in data
    changed = report.changes[0].new if report.changes else b""
    if changed != data + expected and not newline:
        return f"{path}: something else changed than the call"
    extra = [f for f in report.findings if f.line <= data.count(b"\n")]
    return "".join(f"{path}:{f.line}: {f.code} {f.message}\n" for f in extra)


def disguised(text: str) -> str:
    """A file whose own names are those of the library, wherever they stand outside of strings."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text, newline="").readline))
    new = _disguises(tokens)
    lines = io.StringIO(text, newline="").readlines()
    for token in reversed(tokens):
        if token.type == tokenize.NAME and token.string in new:
            row, at = token.start
            lines[row - 1] = (
                lines[row - 1][:at] + new[token.string] + lines[row - 1][at + len(token.string) :]
            )
    return "".join(lines)


def _disguises(tokens: Sequence[tokenize.TokenInfo]) -> dict[str, str]:
    """Name of the file → name of the library."""
    counts = {kind: Counter[str]() for kind in LOOK_ALIKES}
    words = [t for t in tokens if t.type in (tokenize.NAME, tokenize.OP)]
    for before, token, after in zip(words, words[1:], words[2:], strict=False):
        if token.type == tokenize.NAME and not token.string.startswith("__"):
            kind = before.string if before.string in ("def", "class") else ""
            kind = kind or ("attribute" if before.string == "." else "")
            kind = kind or ("keyword" if before.string in "(," and after.string == "=" else "")
            counts.get(kind, Counter())[token.string] += 1
    new: dict[str, str] = {}
    for kind, names in LOOK_ALIKES.items():
        frequent = (name for name, _ in counts[kind].most_common() if not keyword.iskeyword(name))
        new = {**dict(zip(frequent, names, strict=False)), **new}
    return new


def with_look_alikes(_setting: None, path: str) -> str:
    """What is wrong when a file's names are those of the library, and it does import something else from it."""
    try:
        text = disguised(Path(path).read_bytes().decode()).encode()
    except (SyntaxError, ValueError, tokenize.TokenError):
        return ""
    return _unharmed(path, text + IMPORTED, False) + _unharmed(path, text + VIEWED, True)


def _unharmed(path: str, data: bytes, may_say: bool) -> str:
    """What is wrong when a look-alike changes, or is spoken of unless that is right: of ``.sizes`` in a file that
    imports TensorView, whose receiver nobody knows.
    """
    if not soundness.parses(data):
        return ""
    try:
        report = soundness.check(data)
    except Exception as error:
        return f"{path}: {type(error).__name__}: {str(error)[:500]}"
    said = () if may_say else report.findings
    return "".join(f"{path}:{f.line}: {f.code} {f.message}\n" for f in said) + (
        f"{path} changed\n" if report.changes else ""
    )


def spread(name: str, function: object, paths: Sequence[str], jobs: int) -> Iterator[str]:
    """The function over the files; what is wrong."""
    started, used = time.perf_counter(), time.process_time()
    count = Machine().wanted([1 << 20] * len(paths), jobs)
    results = pool.spread(function, None, paths, count, lambda path, why: f"{path}: {why}")  # type: ignore[arg-type, misc]
    wrong = []
    for number, result in enumerate(results, 1):
        if result:
            wrong.append(result)
            print(result, flush=True)
        if number % 1000 == 0:
            print(f"  {number} of {len(paths)}", flush=True)
    spent = f"{time.perf_counter() - started:.0f} s"
    spent += f" ({time.process_time() - used:.0f} CPU s)" if count == 1 else ""
    print(f"{name}: {len(paths)} files in {spent}, {len(wrong)} wrong", flush=True)
    yield from wrong


STEPS = {
    "2": ("with every rule", with_everything_on),
    "3": ("with a call", with_a_call),
    "4": ("with look-alikes", with_look_alikes),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/no-harm")
    parser.add_argument("--every", type=int, default=1, help="take every Nth Python file in steps 2 to 4")
    parser.add_argument("--steps", default="1234")
    parser.add_argument("--jobs", type=int, default=0, help="processes, 0: as many as there are cores")
    asked = parser.parse_args()
    tree = downloaded(asked.folder)
    python = sorted(str(path) for path in tree.rglob("*.py") if path.is_file())
    wrong = as_users_run_it(tree) if "1" in asked.steps else []
    for line in wrong[:50]:
        print(line, flush=True)
    for step, (name, function) in STEPS.items():
        if step in asked.steps:
            wrong += spread(name, function, python[:: asked.every], asked.jobs)
    print(f"{len(python)} Python files, {len(wrong)} wrong")
    return 1 if wrong or len(python) < 10_000 else 0


if __name__ == "__main__":
    sys.exit(main())
