"""Projects side by side: of several modules of one name, an import means the nearest."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import migrate

from nkimigrate.modules import module_name
from nkimigrate.nearest import Nearest

EXPORT = "from nkilib.core.qkv.qkv import qkv\n"
OWN = "def qkv(*given):\n    return given\n"
CALL = "from utils import qkv\n\ny = qkv(1, 2, 3, 4, True, 5)\n"
NEW = "from utils import qkv\n\ny = qkv(1, 2, 3, 4, fused_residual_add=True, mlp_prev=5)\n"


@pytest.mark.parametrize("module", ["utils.py", "utils/__init__.py", "src/utils.py", "src/utils/__init__.py"])
def test_each_project_has_a_module_of_its_own(module: str) -> None:
    files = {f"a/{module}": EXPORT, f"b/{module}": OWN, "a/pyproject.toml": "", "b/pyproject.toml": ""}
    result = migrate({**files, "a/tests/test_x.py": CALL, "b/tests/test_x.py": CALL})
    assert result.changed == {"a/tests/test_x.py"}
    assert result.text("a/tests/test_x.py") == NEW


def test_two_projects_export_different_functions_by_one_name() -> None:
    mlp = "from nkilib.core.mlp.mlp import mlp as qkv\n"
    result = migrate(
        {"a/utils/__init__.py": EXPORT, "a/m.py": CALL, "b/utils/__init__.py": mlp, "b/m.py": CALL}
    )
    assert result.text("a/m.py") == NEW
    assert "mlp_prev" not in result.text("b/m.py")


def test_a_package_s_own_module_is_not_found_without_the_package() -> None:
    files = {"app/__init__.py": "", "app/utils.py": OWN, "app/m.py": CALL, "utils.py": EXPORT}
    assert migrate(files).text("app/m.py") == NEW


def test_a_script_finds_the_module_beside_it() -> None:
    assert not migrate({"tools/utils.py": OWN, "tools/m.py": CALL, "utils.py": EXPORT}).changed


@pytest.mark.parametrize("sources", ["src/", ""])
@pytest.mark.parametrize("marker", ["pyproject.toml", "setup.py", "setup.cfg"])
def test_a_namespace_goes_on_in_another_project(sources: str, marker: str) -> None:
    use = CALL.replace("from utils", "from acme.kernels.entry")
    files = {f"{name}/{marker}": "" for name in ("first", "second")}
    files |= {f"first/{sources}acme/kernels/entry.py": EXPORT, f"second/{sources}acme/model/m.py": use}
    result = migrate(files)
    assert result.changed == {f"second/{sources}acme/model/m.py"}


def test_names_start_at_the_nearest_sources(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "pyproject.toml").touch()
    roots = (str(tmp_path),)
    names = {path: module_name(str(tmp_path / path), roots)[0] for path in ("one/a/b.py", "two/src/a/b.py")}
    assert names == {"one/a/b.py": "a.b", "two/src/a/b.py": "a.b"}
    assert module_name(str(tmp_path / "three/a/b.py"), roots)[0] == "three.a.b"


def test_what_hides_a_module(tmp_path: Path) -> None:
    for path in ("a/utils/__init__.py", "b/utils.py", "c/utils/other.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    root = str(tmp_path / "a")
    hidden = {name for name in "abcd" if Nearest().hides(str(tmp_path / name / "deep"), root, "utils")}
    assert hidden == {"b"}  # c's folder is a namespace, which goes on in a
