"""A set that takes little memory: it never loses a name, and seldom takes one for another."""

from __future__ import annotations

from pathlib import Path

import pytest

from nkimigrate import engine
from nkimigrate.config import Options
from nkimigrate.met import Met


def test_nothing_is_met_at_first() -> None:
    assert "a.b" not in Met()


def test_what_was_added_is_always_met_and_others_seldom() -> None:
    names = [f"package_{number % 97}.module_{number}" for number in range(50_000)]
    own = Met()
    for name in names:
        own.add(name)
    assert all(name in own for name in names)
    # 150,000 of 16.8 million bits: three of them at once are set for one name in a million.
    assert sum(f"other.module_{number}" in own for number in range(50_000)) <= 5


TREE = {
    "shared.py": "from nkilib.core.mlp.mlp import mlp_kernel as own\n",
    "again.py": "from shared import own as mine\nfrom nkilib.core.qkv.qkv import qkv_kernel\n",
    "user.py": "import again\nfrom shared import own\n\nown(1, 2, 3, 4, 5)\nagain.mine(1, 2, 3, 4, 5)\n",
    "kernels.py": "import neuronxcc.nki as nki\nimport neuronxcc.nki.language as nl\n\n\n@nki.jit\ndef double(a):\n"
    "    out = nl.ndarray((128, 512), dtype=a.dtype, buffer=nl.shared_hbm)\n"
    "    nl.store(out, nl.load(a) * 2)\n    return out\n",
    "launch.py": "from kernels import double\n\n\ndef run(a):\n    return double[4](a)\n",
    "alone.py": "from nkilib.core.mlp.mlp import mlp_kernel\n\nmlp_kernel(1, 2, 3, 4, 5)\n",
}


def test_names_that_are_met_by_mistake_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in TREE.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def found() -> list[object]:
        return list(engine.run(Options(paths=(".",), mode="check", jobs=1, cache=False)).findings)

    usual = found()
    assert {"user.py", "launch.py", "kernels.py"} <= {finding.path for finding in usual}  # type: ignore[attr-defined]
    monkeypatch.setattr(Met, "__contains__", lambda *_: True)
    assert found() == usual
    monkeypatch.setattr(Met, "__contains__", lambda *_: False)
    assert found() != usual
