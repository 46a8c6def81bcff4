"""nkimigrate beside other tools that check or rewrite code, on the same trees in the same run.

``peers.py [--tree FOLDER] [--files N] [--only NAME …]`` prints a Markdown table for each of three trees of
the same number of files: none with a hit, one in ten, all of them. ``make bench-peers`` runs it. CPU seconds
(user and system, child processes included), medians. Each peer is installed by pip into an environment of
its own and runs one cheap rule, only checking where it can; what rewrites has nothing left to do. The first
row is what no program in Python can be faster than that parses each file with a hit: one that does only that.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import corpus
from measure import cost, tool
from speed import PARSE


@dataclass(frozen=True)
class Peer:
    """A tool.

    Attributes:
        requirement: for pip. command: in its environment; ``FILES`` stands for all files.
        rewrites: whether it cannot but rewrite, so that it is run once before it is measured.
    """

    name: str
    requirement: str
    command: str
    rewrites: bool = False


_RUFF = "ruff check --no-cache --quiet --isolated --select NPY201 ."
PEERS = (
    Peer("ruff", "ruff==0.17.6", _RUFF),
    Peer("ast-grep", "ast-grep-cli==0.51.1", "ast-grep run -l python -p mlp($$$A) ."),
    Peer("django-upgrade", "django-upgrade==1.33.0", "django-upgrade --check --target-version 5.0 FILES"),
    Peer("pyupgrade", "pyupgrade==3.22.0", "pyupgrade --py310-plus FILES", rewrites=True),
    Peer("torchfix", "torchfix==0.7.0", "torchfix --select ALL ."),
    Peer("fixit", "fixit==2.2.1", "fixit --rules fixit.rules.no_inherit_from_object lint ."),
)
HIT = '''\
"""A layer that uses the library."""

import torch
from nkilib.core.mlp.mlp import mlp_kernel


class Layer{number}(torch.nn.Module):
    def __init__(self, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.gate = torch.nn.Parameter(torch.zeros(hidden, intermediate))
        self.up = torch.nn.Parameter(torch.zeros(hidden, intermediate))
        self.down = torch.nn.Parameter(torch.zeros(intermediate, hidden))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return mlp_kernel[2](x, self.gate, self.up, self.down)[0]
'''
"""A file that has something to rewrite."""


def installed(peer: Peer, folder: Path) -> Path:
    """The folder of a peer's commands, in an environment that is made where it is missing."""
    place = folder / peer.name
    if not (place / "complete").exists():
        venv.create(place, with_pip=True, clear=True)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, peer.requirement], check=True)
        (place / "complete").touch()
    return place / "bin"


def planted(sources: list[Path], folder: Path, every: int) -> Path:
    """The files, of which each so manieth is one with a hit; 0 for none."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, source in enumerate(sources):
        target = folder / f"f{number:05}.py"
        if every and number % every == 0:
            target.write_text(HIT.format(number=number))
        else:
            shutil.copyfile(source, target)
    return folder


def rows(tree: Path, environments: Path, work: Path, only: list[str], runs: int) -> Iterator[str]:
    """A line for each tool: seconds, and how many times nkimigrate's."""
    files = sorted(map(str, tree.glob("*.py")))
    hits = [path for path in files if corpus.has_marker(Path(path).read_bytes())]
    floor = cost([sys.executable, "-c", PARSE, *hits], runs=runs).seconds
    ours = cost([tool("nkimigrate"), "--check", "--isolated", "--no-cache", "."], str(tree), runs).seconds
    yield f"| `ast.parse` of the files with a hit | {floor:.3f} s | {floor / ours:.1f} |"
    yield f"| nkimigrate --check | {ours:.3f} s | 1.0 |"
    for peer in PEERS:
        if only and peer.name not in only:
            continue
        here = tree
        if peer.rewrites:
            here = work / "rewritten"
            shutil.rmtree(here, ignore_errors=True)
            shutil.copytree(tree, here)
        program, *arguments = peer.command.split()
        named = sorted(map(str, here.glob("*.py")))
        whole = [str(installed(peer, environments) / program)]
        for argument in arguments:
            whole += named if argument == "FILES" else [argument]
        if peer.rewrites:
            cost(whole, str(here), 1)
        theirs = cost(whole, str(here), runs).seconds
        yield f"| {peer.name} | {theirs:.3f} s | {theirs / ours:.1f} |"
    if not only or "libcst" in only:
        script = str(Path(__file__).parent / "stock_codemod.py")
        theirs = cost([sys.executable, script, *files], runs=1).seconds
        yield f"| a stock libcst codemod | {theirs:.3f} s | {theirs / ours:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/bench"))
    parser.add_argument("--tree", type=Path, help="Python files without a hit; unpacked wheels by default")
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--environments", type=Path, default=Path("build/peers"))
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    options = parser.parse_args()
    work = options.work.resolve()
    every = sorted(p for p in (options.tree or corpus.no_hits(work)).rglob("*.py") if p.is_file())
    sources = every[:: max(1, len(every) // options.files)][: options.files]
    for what, share in (("no file with a hit", 0), ("one in ten with a hit", 10), ("all with a hit", 1)):
        # Not in this repository, which ignores its build folder: fixit would find no file.
        tree = planted(sources, Path(tempfile.gettempdir(), "nkimigrate-peers"), share)
        count, size = corpus.size(tree)
        print(f"\n{count} files ({size / 1e6:.1f} MB), {what}:\n\n| tool | CPU | times |\n|---|---|---|")
        for row in rows(tree, options.environments.resolve(), work, options.only, options.runs):
            print(row, flush=True)


if __name__ == "__main__":
    main()
