"""``import nki`` in a process of its own: served, not served, refused, and taken back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNEL = """
import numpy as np
import nki
import nki.isa as nisa
import nki.language as nl

@nki.jit
def double(x):
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=tile, src=x)
    nisa.dma_compute(out, [tile, tile], [1.0, 1.0], nl.add)
    return out

print(double(np.array([[1.5, 2.0]], np.float32)).tolist())
"""
DOUBLED = "[[3.0, 4.0]]"


def run(*arguments: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    places = [str(place) for place in (path, ROOT) if place]
    clean = {name: value for name, value in os.environ.items() if name != "NKI_SIMULATOR"}
    env = {**clean, "PYTHONPATH": os.pathsep.join(places), **environment}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env, check=False)


def output(code: str, path: Path | None = None, **environment: str) -> str:
    done = run("-c", code, path=path, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A folder with an ``nki`` that has a language, as the real one."""
    (tmp_path / "nki" / "language").mkdir(parents=True)
    (tmp_path / "nki" / "__init__.py").write_text("real = True\n")
    (tmp_path / "nki" / "language" / "__init__.py").write_text("real = True\n")
    return tmp_path


@pytest.fixture
def placeholder(tmp_path: Path) -> Path:
    """A folder with an ``nki`` that has nothing, as the one on PyPI."""
    (tmp_path / "nki").mkdir()
    (tmp_path / "nki" / "__init__.py").write_text("__version__ = '0.0.1'\n")
    return tmp_path


def test_not_there_unless_asked_for() -> None:
    done = run("-c", "import nkisim, nki")
    assert "No module named 'nki'" in done.stderr


def test_install() -> None:
    assert output("import nkisim\nprint(nkisim.install())\n" + KERNEL) == f"True\n{DOUBLED}"


def test_every_module() -> None:
    names = "language isa isa.constants tensor typing collectives compiler dtype language.dtypes"
    code = "import nkisim; nkisim.install()\n" + "".join(f"import nki.{name}\n" for name in names.split())
    code += "from nki.isa.constants import oob_mode\nfrom nki.language import NKIObject\nimport nki.isa\n"
    code += "print(nki.isa.oob_mode is oob_mode, nki.language.__name__, nki.tensor.identity(1).tolist())"
    assert output(code) == "True nkisim.language [[1.0]]"


def test_served_modules_are_the_package_s_own() -> None:
    code = "import nkisim; nkisim.install(); import nki.isa, nkisim.isa; print(nki.isa is nkisim.isa)\n"
    code += "print(nkisim.isa.__spec__.name)"
    assert output(code) == "True\nnkisim.isa"


@pytest.mark.parametrize(
    "statement", ["import nki.nothing", "import nki.isa.dma", "from nki.isa import nothing"]
)
def test_what_is_not_served(statement: str) -> None:
    done = run("-c", f"import nkisim; nkisim.install(); {statement}")
    assert "Error" in done.stderr
    assert "nothing" in done.stderr or "nki.isa.dma" in done.stderr


def test_a_placeholder_does_not_count(placeholder: Path) -> None:
    assert output("import nkisim; nkisim.install()\n" + KERNEL, placeholder) == DOUBLED


def test_an_imported_placeholder_is_displaced_and_comes_back(placeholder: Path) -> None:
    code = "import nki, nkisim; nkisim.install()\n" + KERNEL
    code += "nkisim.uninstall()\nimport nki\nprint(nki.__version__)"
    assert output(code, placeholder) == f"{DOUBLED}\n0.0.1"


def test_a_real_one_wins(real: Path) -> None:
    code = "import nkisim; print(nkisim.install()); import nki.language; print(nki.real, nki.language.real)"
    assert output(code, real) == "False\nTrue True"


def test_a_real_one_that_is_imported_wins(real: Path) -> None:
    assert output("import nki, nkisim; print(nkisim.install(), nki.real)", real) == "False True"


def test_the_environment_prefers_the_simulator(real: Path) -> None:
    assert output("import nkisim; nkisim.install()\n" + KERNEL, real, NKI_SIMULATOR="1") == DOUBLED


def test_refused_when_a_real_one_is_imported(real: Path) -> None:
    done = run("-c", "import nki, nkisim; nkisim.install()", path=real, NKI_SIMULATOR="1")
    assert done.returncode != 0
    assert f"nki is imported already, from {real / 'nki' / '__init__.py'}" in done.stderr


def test_uninstall() -> None:
    code = "import nkisim; nkisim.install(); import nki.isa; nkisim.uninstall()\nprint(nkisim.installed())\n"
    code += "try:\n    import nki\nexcept ModuleNotFoundError:\n    print('gone')\n"
    code += "nkisim.install(); import nki.isa; print('back')"
    assert output(code) == "False\ngone\nback"


def test_constant_of_the_compiler() -> None:
    code = "import nkisim, numpy; nkisim.install()\n"
    code += "print(builtin.lang.shared_constant(numpy.ones(2)).shape)\nnkisim.uninstall()\n"
    code += "try:\n    builtin\nexcept NameError:\n    print('gone')"
    assert output(code) == "(2,)\ngone"


def test_package_imports_fast_without_numpy() -> None:
    assert output("import sys, nkisim; print('numpy' in sys.modules)") == "False"


def test_python_m(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("value = 7\n")
    script = tmp_path / "script.py"
    script.write_text(
        KERNEL + "import sys, helper\nprint(sys.argv[1:], __name__, helper.value)\nsys.exit(5)\n"
    )
    done = run("-m", "nkisim", str(script), "--flag", "x")
    assert (done.stdout, done.returncode) == (f"{DOUBLED}\n['--flag', 'x'] __main__ 7\n", 5)


def test_python_m_of_a_module(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(KERNEL + "import sys\nprint(sys.argv[1:])\n")
    done = run("-m", "nkisim", "-m", "module", "x", path=tmp_path)
    assert done.stdout == f"{DOUBLED}\n['x']\n"


def test_python_m_goes_before_a_real_one(real: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(KERNEL)
    assert run("-m", "nkisim", str(script), path=real).stdout.strip() == DOUBLED


def test_python_m_strict(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(KERNEL.replace("    return out", "    [n for n in x.shape]\n    return out"))
    assert run("-m", "nkisim", str(script)).stdout.strip() == DOUBLED
    done = run("-m", "nkisim", "--strict", str(script))
    assert done.returncode != 0
    assert f"{script}:13: comprehensions and generators are not in the language" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 2, "usage"),
        (("--help",), 0, "usage"),
        (("no.py",), 2, "no file no.py"),
        (("-m", "no_such"), 2, "no module no_such"),
        (("-m", "no_such.module"), 2, "no module no_such.module"),
        (("--strict",), 2, "usage"),
    ],
)
def test_python_m_usage(arguments: tuple[str, ...], code: int, text: str) -> None:
    done = run("-m", "nkisim", *arguments)
    assert done.returncode == code
    assert text in done.stdout + done.stderr


LEGACY = """
import numpy as np
from neuronxcc import nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
from neuronxcc.nki.typing import tensor

@nki.jit
def double(x: tensor):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.load(x) * 2)
    return out

print(double(np.array([[1.5, 2.0]], np.float32)).tolist())
"""


@pytest.fixture
def real_legacy(tmp_path: Path) -> Path:
    """A folder with a ``neuronxcc.nki`` that has a language, as the real one."""
    (tmp_path / "neuronxcc" / "nki" / "language").mkdir(parents=True)
    for place in ("neuronxcc", "neuronxcc/nki", "neuronxcc/nki/language"):
        (tmp_path / place / "__init__.py").write_text("real = True\n")
    (tmp_path / "neuronxcc" / "other.py").write_text("other = True\n")
    return tmp_path


def test_the_legacy_language_is_served_too() -> None:
    assert output("import nkisim\nprint(nkisim.install())\n" + LEGACY) == f"True\n{DOUBLED}"
    names = "language language.constants isa isa.constants typing compiler"
    code = "import nkisim; nkisim.install()\n" + "".join(f"import neuronxcc.nki.{n}\n" for n in names.split())
    code += "import nkisim.beta1; print(neuronxcc.nki is nkisim.beta1, nkisim.beta1.__spec__.name)"
    assert output(code) == "True nkisim.beta1"


def test_a_real_legacy_language_wins(real_legacy: Path) -> None:
    code = "import nkisim; print(nkisim.install()); import nki, neuronxcc.nki; print(neuronxcc.nki.real)"
    assert output(code, path=real_legacy) == "True\nTrue"


def test_unless_the_simulator_is_asked_for(real_legacy: Path) -> None:
    code = "import nkisim; nkisim.install()\nimport neuronxcc.other; print(neuronxcc.real)\n" + LEGACY
    assert output(code, path=real_legacy, NKI_SIMULATOR="1") == f"True\n{DOUBLED}"


def test_an_imported_legacy_language_is_refused(real_legacy: Path) -> None:
    done = run("-c", "import neuronxcc.nki, nkisim; nkisim.install(always=True)", path=real_legacy)
    assert "neuronxcc.nki is imported already" in done.stderr


def test_the_legacy_language_is_taken_back() -> None:
    code = """
import sys, nkisim
nkisim.install()
import neuronxcc.nki.language
nkisim.uninstall()
print([name for name in sys.modules if name.startswith("neuronxcc")])
import neuronxcc
"""
    done = run("-c", code)
    assert done.stdout.strip() == "[]"
    assert "No module named 'neuronxcc'" in done.stderr


def test_other_modules_of_the_legacy_package_are_not_served() -> None:
    done = run("-c", "import nkisim; nkisim.install(); import neuronxcc.nki.kernels")
    assert "nkisim has no module 'neuronxcc.nki.kernels'" in done.stderr
