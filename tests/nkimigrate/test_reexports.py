"""Kernels that reach a file through other modules of the project."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import check_sound, migrate

from nkimigrate import cli
from nkimigrate.candidates import Candidates
from nkimigrate.codemods.analyse import Analysis
from nkimigrate.modules import prefixes

EXPORT = "from nkilib.core.qkv.qkv import qkv\n"
USE = "{}\n\n\ndef f(x, w, layout, b, m, a):\n    return qkv(x, w, layout, b, True, m, a)\n"
NEW = "qkv(x, w, layout, b, fused_residual_add=True, mlp_prev=m, attention_prev=a)"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("app/model.py", "from . import qkv"),
        ("app/sub/model.py", "from .. import qkv"),
        ("app/model.py", "from app import qkv"),
        ("model.py", "from app import *"),
    ],
)
def test_through_a_package(path: str, line: str) -> None:
    files = {"app/__init__.py": EXPORT, "app/sub/__init__.py": "", path: USE.format(line)}
    assert NEW in migrate(files).text(path)


@pytest.mark.parametrize("packages", [(), ("org",), ("org", "org/app"), ("org/app",)])
@pytest.mark.parametrize("module", ["kernels.py", "kernels/__init__.py"])
def test_through_folders_without_init(packages: tuple[str, ...], module: str) -> None:
    files = {f"src/{package}/__init__.py": "" for package in packages}
    files[f"src/org/app/{module}"] = EXPORT
    files["src/org/app/model.py"] = USE.format("from org.app.kernels import qkv")
    files["tests/test_kernels.py"] = USE.format("from org.app.kernels import qkv")
    result = migrate(files)
    assert result.changed == {"src/org/app/model.py", "tests/test_kernels.py"}


def test_paths_of_one_run_say_nothing_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative ones are alike, and mean other files."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        Path("kernels.py").write_text(EXPORT)
        Path("model.py").write_text(USE.format("from kernels import qkv"))
        cli.main(["--isolated", "--no-cache", "-q", "."])
        assert NEW in Path("model.py").read_text()


def test_a_name_others_use_stays() -> None:
    old = "from nkilib.core.mlp.mlp import mlp_kernel\n"
    files = {"src/org/kernels/__init__.py": old, "main.py": "from org.kernels import mlp_kernel\n"}
    result = migrate(files)
    assert result.text("src/org/kernels/__init__.py") == "from nkilib.core.mlp.mlp import mlp as mlp_kernel\n"
    assert result.changed == {"src/org/kernels/__init__.py"}


OFFERED = {
    "a module under another name": ("from . import kernels as ops", "from org import ops", "ops.qkv"),
    "in two steps": ("from . import more as ops", "import org", "org.ops.k.qkv"),
    "a class": ("from .kernels import Layer", "from org import Layer", "Layer().call"),
    "a class's attribute": ("from .kernels import Layer as Block", "from org import Block", "Block.kernel"),
}
KERNELS = """\
from nkilib.core.qkv.qkv import qkv
from nkilib.core.mlp.mlp import mlp_kernel


class Layer:
    kernel = staticmethod(qkv)

    def __init__(self):
        self.call = qkv
"""


@pytest.mark.parametrize(("offer", "taken", "called"), OFFERED.values(), ids=OFFERED)
def test_what_a_package_offers_of_its_modules(offer: str, taken: str, called: str) -> None:
    """Names behind such an import were not followed, and renamed although others rely on them."""
    files = {
        "org/__init__.py": f"{offer}\n",
        "org/kernels.py": KERNELS,
        "org/more/__init__.py": "from .. import kernels as k\n",
        "main.py": f"{taken}\n\n{called}(x, w, L, b, True)\n",
    }
    if "ops" in taken:
        files["main.py"] += "ops.mlp_kernel(x, g, u, d)\n"
    result = migrate(files)
    assert f"{called}(x, w, L, b, fused_residual_add=True)\n" in result.text("main.py")
    renamed = "import mlp as mlp_kernel\n" in result.text("org/kernels.py")
    assert renamed == ("import kernels as" in "".join(files.values()))


LOADED = {
    "imported": "from importlib import import_module\n\nops = import_module('org.kernels')\n",
    "in a table": "import importlib\n\nPATHS = ['org.kernels']\nops = importlib.import_module(PATHS[0])\n",
    "at the top": "import importlib\n\nops = importlib.import_module('kernels')\n",
    "loaded": "import sys\n\nimport kernels\n\nops = sys.modules['kernels']\n",
}


@pytest.mark.parametrize("loaded", LOADED.values(), ids=LOADED)
def test_modules_that_are_named_by_a_string_keep_their_names(loaded: str) -> None:
    kernels = "org/kernels.py" if "org" in loaded else "kernels.py"
    text = "from nkilib.core.mlp.mlp import mlp_kernel\n"
    files = {"org/__init__.py": "", kernels: text, "main.py": f"{loaded}getattr(ops, name)\n"}
    result = migrate(files)
    assert result.text(kernels) == text.replace("mlp_kernel", "mlp as mlp_kernel")


def test_calls_of_what_is_in_them_are_looked_at() -> None:
    call = "from importlib import import_module\n\nimport_module('org.kernels').qkv(x, w, L, b, True)\n"
    result = migrate({"org/__init__.py": "", "org/kernels.py": EXPORT, "main.py": call})
    assert result.text("main.py") == call.replace("True", "fused_residual_add=True")


def test_the_same_name_elsewhere_is_somebody_elses() -> None:
    files = {"org/kernels.py": EXPORT, "main.py": USE.format("from other.kernels import qkv")}
    assert not migrate(files).changed


def test_prefixes_are_the_folders_around_the_package() -> None:
    assert prefixes("/a b/src/org/kernels/__init__.py", "kernels", True) == ("", "org.", "src.org.")
    assert prefixes("/a b/src/org/kernels.py", "org.kernels", False) == ("", "src.")
    assert prefixes("/a b/kernels.py", "kernels", False) == ("",)


def test_a_module_at_the_top_that_a_package_offers() -> None:
    """What it has was renamed although others use it, whose calls were not looked at."""
    files = {
        "pkg/__init__.py": "import kernels as k\n",
        "kernels.py": EXPORT + "from nkilib.core.mlp.mlp import mlp_kernel\n",
        "main.py": "from pkg import k\n\nk.qkv(x, w, L, b, True)\nk.mlp_kernel(x, w, x, x)\n",
    }
    result = migrate(files)
    assert "import mlp as mlp_kernel\n" in result.text("kernels.py")
    assert "k.qkv(x, w, L, b, fused_residual_add=True)\n" in result.text("main.py")
    check_sound(result)


RINGS = {
    "of a package and its module": {
        "pkg/__init__.py": "import pkg.sub as sub_m\nfrom nkilib.core.qkv.qkv import qkv\n",
        "pkg/sub/__init__.py": "import pkg as up\nfrom pkg import qkv\n",
        "main.py": "from pkg.sub import qkv\n\nqkv(x, w, L, b, True)\n",
    },
    "of a name": {
        "a.py": "from b import qkv\nfrom c import qkv\n\nqkv(x, w, L, b, True)\n",
        "b.py": f"{EXPORT}from a import *\n",
        "c.py": "from b import qkv\nfrom a import *\n",
        "main.py": "from c import qkv\n\nqkv(x, w, L, b, True)\n",
    },
    "of an enumeration": {
        "a.py": "from b import *\n",
        "b.py": "from neuronxcc.nki._pre_prod_kernels import ActFnType\nfrom a import ActFnType\n\nprint(ActFnType.SiLU)\n",
    },
}


@pytest.mark.parametrize("files", RINGS.values(), ids=RINGS)
def test_modules_that_import_each_other_agree(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """They told each other longer and longer names, or each other's names, until they were given up."""
    times: list[int] = []
    real = Candidates.take

    def counted(self: Candidates, number: int, result: Analysis) -> None:
        real(self, number, result)
        times.append(self.times[number])

    monkeypatch.setattr(Candidates, "take", counted)
    result = migrate(files)
    assert not result.problems
    assert max(times) < 7
    if "main.py" in files:
        assert "fused_residual_add=True" in result.text("main.py")
    check_sound(result)
