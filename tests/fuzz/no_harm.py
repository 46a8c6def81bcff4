"""Code that has nothing to do with the library, by the ten thousand files; `make no-harm`.

Source distributions come from PyPI by pip, into build/no-harm. They hold no NKI code, so that nkimigrate must change
nothing and report nothing:

1. as its users run it, on everything, documents included;
2. with every rule, the language step and the language check run on every Python file, although no file names the
   library: what usually keeps them out is not asked;
3. on files to which one call of the library is added: that call changes and nothing else (every tenth file).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import time
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
        return "" if {p.code for p in report.problems} == {"NKM904"} else f"{path}: {report.problems}"
    expected = OLD.replace(b"mlp_kernel", b"mlp")
    newline = b"\r\n" in data
    changed = report.changes[0].new if report.changes else b""
    if changed != data + expected and not newline:
        return f"{path}: something else changed than the call"
    extra = [f for f in report.findings if f.line <= data.count(b"\n")]
    return "".join(f"{path}:{f.line}: {f.code} {f.message}\n" for f in extra)


def spread(name: str, function: object, paths: Sequence[str]) -> Iterator[str]:
    """The function over the files, on all cores; what is wrong."""
    started = time.perf_counter()
    count = Machine().wanted([1 << 20] * len(paths), 0)
    results = pool.spread(function, None, paths, count, lambda path, why: f"{path}: {why}")  # type: ignore[arg-type, misc]
    wrong = [result for result in results if result]
    print(f"{name}: {len(paths)} files in {time.perf_counter() - started:.1f} s, {len(wrong)} wrong")
    yield from wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/no-harm")
    parser.add_argument("--every", type=int, default=10, help="of which one gets a call (3.)")
    asked = parser.parse_args()
    tree = downloaded(asked.folder)
    python = sorted(str(path) for path in tree.rglob("*.py") if path.is_file())
    wrong = as_users_run_it(tree)
    wrong += spread("every rule on every file", with_everything_on, python)
    wrong += spread("with a call", with_a_call, python[:: asked.every])
    for line in wrong[:50]:
        print(line)
    print(f"{len(python)} Python files, {len(wrong)} wrong")
    return 1 if wrong or len(python) < 10_000 else 0


if __name__ == "__main__":
    sys.exit(main())
