"""How often the kernels of a file are walked through when other files import them."""

from __future__ import annotations

from collections import Counter

import pytest
from helpers import migrate

from nkimigrate.codemods.language import findings
from nkimigrate.codemods.language.reasons import Work
from nkimigrate.codemods.language.translate.plan import LanguageModule

KERNEL = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
{imported}

@nki.jit
def kernel_{number}(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=x)
    return out


def run_{number}(x):
    return {used}[nl.nc(2)](x)
"""


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file, by its name, has been walked through."""
    counted: Counter[str] = Counter()
    whole = findings.of_module

    def counting(module: LanguageModule) -> Work:
        counted[module.ctx.path.rpartition("/")[2]] += 1
        return whole(module)

    monkeypatch.setattr(findings, "of_module", counting)
    return counted


def files(count: int, circle: bool = False) -> dict[str, str]:
    """Files of which each launches the kernel of the one before; in a ``circle`` the first that of the last."""
    found = {}
    for number in range(count):
        used = (number - 1) % count if circle or number else None
        imported = f"from app.file_{used} import kernel_{used}\n" if used is not None else ""
        kernel = KERNEL.format(number=number, imported=imported, used=f"kernel_{used or 0}")
        found[f"app/file_{number}.py"] = kernel
    return found


@pytest.mark.parametrize("backwards", [False, True])
def test_each_file_of_a_chain_once(walks: Counter[str], backwards: bool) -> None:
    chain = files(20)
    result = migrate(dict(sorted(chain.items(), reverse=backwards)))
    assert walks == {f"file_{number}.py": 1 for number in range(20)}
    assert result.changed == set(chain)


def test_what_stays_is_known_before_what_uses_it(walks: Counter[str]) -> None:
    chain = files(15)
    chain["app/file_0.py"] = chain["app/file_0.py"].replace("return out", "return nl.floor(out)")
    result = migrate(chain)
    assert "app/file_0.py" not in result.changed
    (waiting,) = [f for f in result.findings if "its file is not migrated" in f.message]
    assert waiting.path == "app/file_1.py"
    assert set(walks.values()) == {1}


def test_files_that_use_each_other(walks: Counter[str]) -> None:
    ring = files(4, circle=True)
    assert migrate(ring).changed == set(ring)
    assert set(walks.values()) == {1}
    ring["app/file_2.py"] = ring["app/file_2.py"].replace("return out", "return nl.floor(out)")
    (waiting,) = [f for f in migrate(ring).findings if "its file is not migrated" in f.message]
    assert waiting.path == "app/file_3.py"


def test_a_file_alone_is_not_looked_at_twice(walks: Counter[str]) -> None:
    assert migrate(files(1)).changed
    assert walks == {"file_0.py": 1}
