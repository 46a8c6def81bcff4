"""Strings that name modules and symbols (NKM109), and attributes that strings name (NKM103 to NKM105)."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_sound, check_transformed, migrate

ROOT = "nkilib_standalone.nkilib"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(f'"{ROOT}.core.qkv.qkv.qkv"', '"nkilib.core.qkv.qkv.qkv"', id="root of a symbol"),
        pytest.param('"nkilib_src.nkilib.core.qkv.qkv"', '"nkilib.core.qkv.qkv"', id="the other legacy root"),
        pytest.param('"nkilib.core.mlp.mlp:mlp_kernel"', '"nkilib.core.mlp.mlp:mlp"', id="a colon"),
        pytest.param('"nkilib.core.mlp.mlp.mlp_kernel"', '"nkilib.core.mlp.mlp.mlp"', id="a renamed symbol"),
        pytest.param(
            '"nkilib.core.qkv.qkv_tkg_rmsnorm.SHARDING_THRESHOLD"',
            '"nkilib.core.subkernels.rmsnorm_tkg.SHARDING_THRESHOLD"',
            id="a symbol of a moved module",
        ),
        pytest.param(
            '"nkilib.core.attention_cte.attention_cte"',
            '"nkilib.core.attention.attention_cte.attention_cte"',
            id="a path that only documents had",
        ),
        pytest.param(
            '"nkilib.core.mlp.mlp:mlp_cte_invoke_kernel"',
            '"nkilib.core.mlp.mlp:mlp_cte"',
            id="through a module",
        ),
        pytest.param(
            '"nkilib.core.output_projection.output_projection_cte:P_MAX"',
            '"nkilib.core.output_projection.output_projection_cte.output_projection_cte_parameters:P_MAX"',
            id="a constant with a new home, colon",
        ),
        pytest.param(
            '"nkilib.core.utils.tensor_view.TensorView.sizes"',
            '"nkilib.core.utils.tensor_view.TensorView.shape"',
            id="an attribute of a class",
        ),
        pytest.param(
            f'"mlp = {ROOT}.core.mlp.mlp:mlp_kernel"', '"mlp = nkilib.core.mlp.mlp:mlp"', id="entry point"
        ),
        pytest.param(f"r'{ROOT}'", "r'nkilib'", id="the root alone, raw"),
        pytest.param(f'"{ROOT}.core."', '"nkilib.core."', id="a prefix with its dot"),
    ],
)
def test_paths(before: str, after: str) -> None:
    check_transformed(f"TABLE = {{'kernel': {before}}}\n", f"TABLE = {{'kernel': {after}}}\n", code="NKM109")


def test_loaders() -> None:
    check_transformed(
        "import importlib\nimport pkgutil\nfrom importlib.util import find_spec\nimport pytest\n\n"
        f'm = importlib.import_module("{ROOT}.core.qkv.qkv_tkg_layernorm")\n'
        f'k = pkgutil.resolve_name("{ROOT}.core.mlp.mlp:mlp_kernel")\n'
        'found = find_spec("nkilib_standalone")\n'
        'lib = pytest.importorskip("nkilib_standalone")\n',
        "import importlib\nimport pkgutil\nfrom importlib.util import find_spec\nimport pytest\n\n"
        'm = importlib.import_module("nkilib.core.subkernels.layernorm_tkg")\n'
        'k = pkgutil.resolve_name("nkilib.core.mlp.mlp:mlp")\n'
        'found = find_spec("nkilib")\n'
        'lib = pytest.importorskip("nkilib")\n',
    )


def test_annotations_in_quotes_may_name_several() -> None:
    check_transformed(
        f'def f(a: "list[{ROOT}.core.utils.allocator.SbufManager] | None") -> "{ROOT}.core.qkv.qkv.X":\n'
        f'    x: "{ROOT}.core.utils.common_types.NormType" = a\n    return x\n',
        'def f(a: "list[nkilib.core.utils.allocator.SbufManager] | None") -> "nkilib.core.qkv.qkv.X":\n'
        '    x: "nkilib.core.utils.common_types.NormType" = a\n    return x\n',
    )


# -- strings that are put together --------------------------------------------------------------------------


def test_a_root_in_a_constant() -> None:
    check_transformed(
        f'import importlib\n\nROOT = "{ROOT}"\nqkv = importlib.import_module(ROOT + ".core.qkv.qkv")\n'
        'mlp = importlib.import_module(f"{ROOT}.core.mlp.mlp")\n',
        'import importlib\n\nROOT = "nkilib"\nqkv = importlib.import_module(ROOT + ".core.qkv.qkv")\n'
        'mlp = importlib.import_module(f"{ROOT}.core.mlp.mlp")\n',
    )


def test_the_piece_that_names_what_changed() -> None:
    check_transformed(
        f'ROOT = "{ROOT}"\nA = f"{{ROOT}}.core.mlp.mlp.mlp_kernel"\nB = ROOT + ".core.qkv.qkv_tkg_rmsnorm"\n',
        'ROOT = "nkilib"\nA = f"{ROOT}.core.mlp.mlp.mlp"\nB = ROOT + ".core.subkernels.rmsnorm_tkg"\n',
    )


def test_pieces_of_which_none_can_be_changed_alone() -> None:
    check_reported(
        'BASE = "nkilib.core"\nTAIL = "qkv.qkv_tkg_rmsnorm"\nPATH = f"{BASE}.{TAIL}"\n',
        "NKM109",
        3,
        "nkilib.core.subkernels.rmsnorm_tkg",
    )


def test_the_rest_is_chosen_at_run_time() -> None:
    result = check_transformed(
        f'def load(name):\n    return f"{ROOT}.core.{{name}}.{{name}}"\n',
        'def load(name):\n    return f"nkilib.core.{name}.{name}"\n',
    )
    assert [f.outcome.value for f in result.findings] == ["noted"]


@pytest.mark.parametrize("rest", [".core.%s.%s", ".core.{}.{name}", ".core.*", ".%(a)s"])
def test_templates(rest: str) -> None:
    result = check_transformed(f"T = '{ROOT}{rest}'\n", f"T = 'nkilib{rest}'\n", code="NKM109")
    assert [f.outcome.value for f in result.findings] == ["noted"]


def test_a_root_that_is_taken_apart() -> None:
    check_reported(
        f'import os\n\nROOT = "{ROOT}"\nPATH = os.path.join(*ROOT.split("."))\n', "NKM109", 3, "taken apart"
    )


# -- __import__ ---------------------------------------------------------------------------------------------


def test_dunder_import() -> None:
    check_transformed(
        f'a = __import__("{ROOT}.core.mlp.mlp", fromlist=["mlp_kernel", "MLPParameters"])\n'
        'b = __import__("nkilib_standalone", fromlist=["nkilib"]).nkilib.core\n'
        f'c = __import__("{ROOT}.core.qkv.qkv").nkilib.core.qkv.qkv\n',
        'a = __import__("nkilib.core.mlp.mlp", fromlist=["mlp", "MLPParameters"])\n'
        'b = __import__("nkilib").core\n'
        'c = __import__("nkilib.core.qkv.qkv").core.qkv.qkv\n',
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f'top = __import__("{ROOT}.core.qkv.qkv")\n', id="the top package is kept"),
        pytest.param('top = __import__("nkilib_standalone", fromlist=["nkilib"])\n', id="and so is this one"),
        pytest.param(
            'm = __import__("nkilib.core.utils.logging", fromlist=["GLOBAL_LOG_LEVEL"])\n', id="gone"
        ),
    ],
)
def test_dunder_import_for_a_person(text: str) -> None:
    check_reported(text, "NKM109", 1, "")


# -- patches ------------------------------------------------------------------------------------------------


def test_patches() -> None:
    check_transformed(
        "from unittest import mock\n\n\n"
        '@mock.patch("nkilib.core.mlp.mlp.mlp_kernel")\n'
        "def test_a(kernel, mocker, monkeypatch):\n"
        f'    mocker.patch("{ROOT}.core.qkv.qkv.qkv_cte")\n'
        '    monkeypatch.setattr("nkilib.core.mlp.mlp.mlp_tkg_invoke_kernel", kernel)\n'
        '    mock.patch.multiple("nkilib.core.mlp.mlp", mlp_kernel=object())\n',
        "from unittest import mock\n\n\n"
        '@mock.patch("nkilib.core.mlp.mlp.mlp")\n'
        "def test_a(kernel, mocker, monkeypatch):\n"
        '    mocker.patch("nkilib.core.qkv.qkv.qkv_cte")\n'
        '    monkeypatch.setattr("nkilib.core.mlp.mlp.mlp_tkg", kernel)\n'
        '    mock.patch.multiple("nkilib.core.mlp.mlp", mlp=object())\n',
    )


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (
            "nkilib.core.output_projection.output_projection_cte.div_ceil",
            "nkilib.core.utils.kernel_helpers.div_ceil",
        ),
        ("nkilib.core.output_projection.output_projection_cte.process_batch_tile", "private"),
        ("nkilib.core.qkv.qkv.Logger", "nkilib.core.utils.logging.Logger"),
    ],
)
def test_patches_of_what_is_looked_up_elsewhere(target: str, says: str) -> None:
    check_reported(f'from unittest.mock import patch\n\npatch("{target}").start()\n', "NKM109", 3, says)


def test_the_users_own_names_stay_valid() -> None:
    files = {
        "app/__init__.py": "",
        "app/kernels.py": "from nkilib.core.mlp.mlp import mlp_kernel\n\nK = mlp_kernel\n",
        "tests/test_app.py": 'from unittest import mock\n\nmock.patch("app.kernels.mlp_kernel").start()\n',
    }
    result = migrate(files)
    assert result.text("app/kernels.py") == (
        "from nkilib.core.mlp.mlp import mlp as mlp_kernel\n\nK = mlp_kernel\n"
    )
    assert result.text("tests/test_app.py") == files["tests/test_app.py"]
    check_sound(result)


@pytest.mark.parametrize("setup", ["'mlp = app.kernels:mlp_kernel'", "'app.kernels:mlp_kernel'"])
def test_names_in_entry_points_stay_valid(setup: str) -> None:
    files = {
        "app/__init__.py": "",
        "app/kernels.py": "from nkilib.core.mlp.mlp import mlp_kernel\n",
        "setup.py": f"from setuptools import setup\n\nsetup(entry_points={{'kernels': [{setup}]}})\n",
    }
    result = migrate(files)
    assert result.text("app/kernels.py") == "from nkilib.core.mlp.mlp import mlp as mlp_kernel\n"
    assert result.text("setup.py") == files["setup.py"]


def test_names_in_configuration_stay_valid_too() -> None:
    files = {
        "app/__init__.py": "",
        "app/kernels.py": "from nkilib.core.mlp.mlp import mlp_kernel\n",
        "pyproject.toml": '[project.entry-points.kernels]\nmlp = "app.kernels:mlp_kernel"\n',
    }
    result = migrate(files)
    assert result.text("app/kernels.py") == "from nkilib.core.mlp.mlp import mlp as mlp_kernel\n"
    assert result.text("pyproject.toml") == files["pyproject.toml"]


# -- attributes by name -------------------------------------------------------------------------------------


def test_attributes_by_name() -> None:
    check_transformed(
        "import operator\nfrom unittest import mock\n\nimport nkilib.core.mlp.mlp as M\n\n"
        'a = getattr(M, "mlp_kernel")\n'
        'b = operator.attrgetter("mlp_kernel")(M)\n'
        'c = mock.patch.object(M, "mlp_kernel")\n'
        "d = mock.patch.multiple(M, mlp_kernel=None)\n"
        'setattr(M, "mlp_kernel", None)\n',
        "import operator\nfrom unittest import mock\n\nimport nkilib.core.mlp.mlp as M\n\n"
        'a = getattr(M, "mlp")\n'
        'b = operator.attrgetter("mlp")(M)\n'
        'c = mock.patch.object(M, "mlp")\n'
        "d = mock.patch.multiple(M, mlp=None)\n"
        'setattr(M, "mlp", None)\n',
        code="NKM103",
    )


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ('import nkilib.core.mlp.mlp as M\nX = hasattr(M, "mlp_kernel")\n', "NKM103", "`mlp`"),
        ("import nkilib.core.mlp.mlp as M\nX = lambda name: getattr(M, name)\n", "NKM103", "`mlp_kernel`"),
        ('import nkilib.core.mlp.mlp as M\nX = find(M, "mlp_kernel")\n', "NKM103", "`mlp`"),
        (
            'import nkilib.core.qkv.qkv as M\nX = getattr(M, "Logger")\n',
            "NKM104",
            "nkilib.core.utils.logging.Logger",
        ),
        (
            'import nkilib.core.utils.logging as M\nsetattr(M, "GLOBAL_LOG_LEVEL", 0)\n',
            "NKM105",
            "NKILIB_LOG_LEVEL",
        ),
    ],
)
def test_attributes_by_name_for_a_person(text: str, code: str, says: str) -> None:
    check_reported(text, code, 2, says)


def test_a_name_kept_in_a_variable_is_for_a_person() -> None:
    check_reported(
        'import nkilib.core.mlp.mlp as M\n\nNAME = "mlp_kernel"\nK = getattr(M, NAME)\n', "NKM103", 4, "`mlp`"
    )


# -- what stays ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f'"""{ROOT}.core.qkv.qkv"""\nX = 1\n', id="a docstring"),
        pytest.param(f'X = "import {ROOT}.core.qkv.qkv"\n', id="code in a string"),
        pytest.param(f'X = "{ROOT}.core.qkv.qkv.qkv(x)"\n', id="code without blanks"),
        pytest.param('X = "nkilib.core.%s.%s"\n', id="a template under the library's own root"),
        pytest.param(f'X = "see {ROOT}.core.qkv.qkv for more"\n', id="prose"),
        pytest.param('X = "nkilib.core.qkv.qkv.qkv"\n', id="still valid"),
        pytest.param('X = "my_nkilib_standalone.nkilib.core"\n', id="another package"),
        pytest.param('X = "app.kernels.mlp_kernel", "app.kernels:mlp_kernel", "nkilib"\n', id="one's own"),
        pytest.param(
            'X = "nkilib.something.of.a.later.release"\n', id="unknown under the library's own root"
        ),
        pytest.param(
            'X = find_spec("nkilib_src"), "nkilib_src" in PATHS\n', id="a package that is still there"
        ),
        pytest.param(
            '"nkilib"\nX = "see github.com/aws-neuron/nki-library/tree/2.27 for it"\n', id="prose again"
        ),
        pytest.param(
            '"nkilib"\nX = "https://github.com/aws-neuron/nki-library/tree/2.28"\n', id="the new tag"
        ),
        pytest.param('X = "https://example.org/nkilib_standalone/index.html"\n', id="an address"),
        pytest.param(
            'import nkilib.core.qkv.qkv as M\nX = getattr(M, "qkv_cte"), hasattr(M, "qkv")\n', id="valid"
        ),
        pytest.param('import nkilib\nX = getattr(object(), "mlp_kernel")\n', id="a name on something else"),
    ],
)
def test_untouched(text: str) -> None:
    check_noop(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(f'X = "{ROOT}.core.no.such.module"\n', "No release", id="unknown under a legacy root"),
        pytest.param('import sys\nX = "nkilib_standalone" in sys.modules\n', "nkilib", id="a package alone"),
        pytest.param(f'X = ["nkilib", "{ROOT}"]\n', "stands beside it", id="both roots in one list"),
        pytest.param('X = "nkilib.core.utils.logging.GLOBAL_LOG_LEVEL"\n', "NKILIB_LOG_LEVEL", id="gone"),
        pytest.param('X = "/opt/vendor/src/nkilib_standalone"\n', "nkilib_src", id="a folder of one's own"),
        pytest.param(
            'X = "https://github.com/aws-neuron/nki-library/tree/2.27/src/nkilib_standalone"\n',
            "2.27",
            id="a tag",
        ),
        pytest.param(
            'X = "nkilib"\nsetup(r=["nki @ git+https://github.com/aws-neuron/nki-library@2.27"])\n',
            "2.28",
            id="a pin",
        ),
    ],
)
def test_for_a_person(text: str, says: str) -> None:
    check_reported(text, "NKM109", text.count("\n"), says)


def test_folders_of_a_checkout() -> None:
    check_transformed(
        'import sys\n\nsys.path.insert(0, "../nki-library/src/nkilib_standalone")\n',
        'import sys\n\nsys.path.insert(0, "../nki-library/src/nkilib_src")\n',
        code="NKM109",
    )
