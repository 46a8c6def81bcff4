"""What gets installed: the right packages under the right names, nothing else, and bounds that are tested."""

from __future__ import annotations

import marshal
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NOT_INSTALLED = ("benchmarks", "build", "docs", "examples", "tests")
SOURCES = ("codemods", "compat", "nkilib", "nkimigrate", "nkisim")
METADATA = ("LICENSE", "README.md", "pyproject.toml")


@pytest.fixture(scope="module")
def settings(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def source(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources: a build leaves files behind, and must not find any."""
    pytest.importorskip("packaging.licenses", reason="setuptools uses the installed packaging")
    copy = tmp_path_factory.mktemp("source")
    for folder in SOURCES:
        shutil.copytree(repository / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in METADATA:
        shutil.copy(repository / file, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source))
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def members(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if ".dist-info/" not in name]


def pip(python: str | Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def package_folders(repository: Path) -> set[str]:
    found = {path.parent.relative_to(repository).as_posix() for path in repository.glob("*/**/__init__.py")}
    return {folder for folder in found if not folder.startswith((".", *NOT_INSTALLED))}


def installed_name(folder: str, mapping: dict[str, str]) -> str:
    owner, root = max(
        ((name, root) for name, root in mapping.items() if f"{folder}/".startswith(f"{root}/")),
        key=lambda item: len(item[1]),
    )
    return owner + folder.removeprefix(root).replace("/", ".")


def test_every_package_in_the_tree_is_installed(repository: Path, settings: dict[str, Any]) -> None:
    setuptools = settings["tool"]["setuptools"]
    names = {installed_name(folder, setuptools["package-dir"]) for folder in package_folders(repository)}
    assert names == set(setuptools["packages"])


def test_lowest_constraints_are_the_lower_bounds(repository: Path, settings: dict[str, Any]) -> None:
    bounds = {}
    for line in settings["project"]["dependencies"]:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == ">="
        bounds[requirement.name] = specifier.version
    text = (repository / "constraints-lowest.txt").read_text(encoding="utf-8")
    assert bounds == dict(re.findall(r"^([\w-]+)==(\S+)$", text, re.MULTILINE))


def test_wheel_has_no_other_top_level_names(members: list[str]) -> None:
    top = {name.partition("/")[0] for name in members}
    assert top == {"nkilib", "nkilib_src", "nkilib_standalone", "nkimigrate", "nkisim"}


def test_wheel_has_every_source_file(repository: Path, settings: dict[str, Any], members: list[str]) -> None:
    mapping = settings["tool"]["setuptools"]["package-dir"]
    expected = set()
    for folder in package_folders(repository):
        name = installed_name(folder, mapping).replace(".", "/")
        files = (repository / folder).iterdir()
        expected |= {
            f"{name}/{f.name}" for f in files if f.suffix in {".py", ".toml", ".json", ".jinja", ".typed"}
        }
    tables = {name.replace(".toml", ".built") for name in expected if name.endswith(".toml")}
    assert set(members) == expected | tables
    assert tables


def test_wheel_has_the_release_tables_as_data(wheel: Path, members: list[str]) -> None:
    """They say what the TOML says, with which they are compared before they are used."""
    with zipfile.ZipFile(wheel) as archive:
        for name in (name for name in members if name.endswith(".toml")):
            text = archive.read(name)
            built = marshal.loads(archive.read(name.replace(".toml", ".built")))
            assert built == (text, tomllib.loads(text.decode("utf-8")))


def test_importing_the_tool_needs_no_dependency(wheel: Path) -> None:
    """The version and the values that findings are made of come without anything but the standard library."""
    code = (
        f"import sys; sys.path.insert(0, {str(wheel)!r});"
        "before = set(sys.modules); import nkimigrate, nkimigrate.codemods.model;"
        "assert nkimigrate.__file__.startswith(sys.path[0]);"
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("nkimigrate\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_works_in_a_clean_environment(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Installed by pip, it migrates, runs a kernel, and shows that both languages agree."""
    venv.create(tmp_path / "env", with_pip=True)
    binaries = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    pip(binaries / "python", "install", str(request.getfixturevalue(kind)))
    model = tmp_path / "model.py"
    model.write_text("from nkilib_standalone.nkilib.core.qkv.qkv import qkv\n", encoding="utf-8")
    run(binaries / "nkimigrate", "model.py", "--report", "report.html", cwd=tmp_path)
    assert model.read_text(encoding="utf-8") == "from nkilib.core.qkv.qkv import qkv\n"
    assert (tmp_path / "report.html").exists()
    run(binaries / "python", "-c", "import nkilib, nki, nkilib.core.mlp.mlp, nkilib.compat", cwd=tmp_path)
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "k.py").write_text(KERNEL, encoding="utf-8")
    run(binaries / "nkimigrate", "new", cwd=tmp_path)
    assert "equal bit by bit" in run(binaries / "nkimigrate", "verify", "old", "new", cwd=tmp_path)


KERNEL = """\
import numpy as np
import neuronxcc.nki as nki
import neuronxcc.nki.language as nl


@nki.jit
def double(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.add(nl.load(x), nl.load(x)))
    return out


if __name__ == "__main__":
    double(np.random.rand(128, 64).astype(np.float32))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
