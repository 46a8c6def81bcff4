"""NKM103: renamed names, where the new one takes the old one's place and where the old one must stay."""

from __future__ import annotations

import re

import pytest
from helpers import check_noop, check_reported, check_sound, check_transformed, migrate

IMPORT = "from nkilib.core.mlp.mlp import mlp_kernel\n"
KEPT = "from nkilib.core.mlp.mlp import mlp as mlp_kernel\n"

EVERYWHERE = {
    "call": "mlp_kernel(x, g, u, d)\n",
    "launch": "y = mlp_kernel[2](x, g, u, d)\n",
    "value": "KERNELS = {'mlp': mlp_kernel, 'two': [mlp_kernel]}\n",
    "decorator and default": "@wraps(mlp_kernel)\ndef f(k=mlp_kernel):\n    return k\n",
    "nested scopes": (
        "def f():\n    def g():\n        return lambda: [mlp_kernel(i, 1, 2, 3) for i in x]\n\n    return g\n"
    ),
    "method": "class A:\n    def run(self):\n        return self.call(mlp_kernel)\n",
    "before the import runs": "def f():\n    return mlp_kernel\n\n\nIMPORT",
    "in an f-string": "print(f'{mlp_kernel!r} ran')\n",
    "a parameter shadows it elsewhere": (
        "def f(mlp_kernel_):\n    return mlp_kernel_\n\n\ndef g():\n    return mlp_kernel\n"
    ),
    "the new name as keyword": "f(mlp=mlp_kernel)\n",
    "the new name as attribute": "f.mlp = mlp_kernel\n",
    "a longer name": "mlp_kernels = [mlp_kernel]\n",
    "comment": "run(mlp_kernel)  # the kernel\n",
    "semicolons": "a = 1; run(mlp_kernel); b = 2\n",
}


@pytest.mark.parametrize("body", EVERYWHERE.values(), ids=EVERYWHERE)
def test_every_use_is_renamed(body: str) -> None:
    before = body.replace("IMPORT", IMPORT) if "IMPORT" in body else f"{IMPORT}\n{body}"
    check_transformed(before, re.sub(r"\bmlp_kernel\b", "mlp", before), code="NKM103")


def test_a_parameter_of_that_name_is_another() -> None:
    own = "\n\ndef f(mlp_kernel):\n    return mlp_kernel\n\n\n"
    new = "from nkilib.core.mlp.mlp import mlp\n"
    check_transformed(f"{IMPORT}{own}mlp_kernel(x)\n", f"{new}{own}mlp(x)\n", code="NKM103")


PROSE = {
    "message": "print('calling mlp_kernel now', {})\n",
    "docstring": "def f():\n    '''Runs mlp_kernel.'''\n    return {}\n",
    "comment": "run({})  # not the old mlp_kernel\n",
}


@pytest.mark.parametrize("body", PROSE.values(), ids=PROSE)
def test_prose_that_mentions_the_name_is_no_use(body: str) -> None:
    new = "from nkilib.core.mlp.mlp import mlp\n"
    check_transformed(IMPORT + body.format("mlp_kernel"), new + body.format("mlp"), code="NKM103")


STAYS = {
    "__all__": "__all__ = ['mlp_kernel']\n",
    "__all__ grown": "__all__ = []\n__all__ += ['mlp_kernel']\n",
    "string annotation": "def f(k: 'type[mlp_kernel]'): ...\n",
    "code in a string": "timeit('mlp_kernel(x, g)')\n",
    "path in a string": "patch('app.mlp_kernel')\n",
    "globals": "def f(name):\n    return globals()[name]\n",
    "vars": "def f(name):\n    return vars()[name]\n",
    "the module itself": "import sys\n\nme = sys.modules[__name__]\n",
    "new name is a function": "def mlp(x):\n    return mlp_kernel(x, 1, 2, 3)\n",
    "new name is a parameter": "def f(mlp=None):\n    return mlp or mlp_kernel\n",
    "new name is a local": "def f(x):\n    mlp = mlp_kernel(x, 1, 2, 3)\n    return mlp\n",
    "new name is a loop variable": "ys = [mlp_kernel(mlp, 1, 2, 3) for mlp in x]\n",
    "new name is global elsewhere": "def f():\n    global mlp\n    mlp = mlp_kernel\n",
    "new name is a class attribute": "class A:\n    mlp = mlp_kernel\n",
    "new name is used": "print(mlp, mlp_kernel)\n",
    "a star may bring the new name": "from mine import *\n\nmlp_kernel(x, g, u, d)\n",
    "bound again": "mlp_kernel = jit(mlp_kernel)\n",
    "bound in a function": "def f():\n    global mlp_kernel\n    mlp_kernel = None\n",
    "deleted": "k = mlp_kernel\ndel mlp_kernel\n",
    "imported otherwise": "try:\n    from mine import mlp_kernel\nexcept ImportError:\n    pass\n",
}


@pytest.mark.parametrize("body", STAYS.values(), ids=STAYS)
def test_the_local_name_stays(body: str) -> None:
    check_transformed(IMPORT + body, KEPT + body, code="NKM103")


def test_a_name_in_a_class_body_is_an_attribute() -> None:
    body = "    def run(self, x):\n        return self.mlp_kernel(x, 1, 2, 3), A.mlp_kernel\n"
    check_transformed(f"class A:\n    {IMPORT}\n{body}", f"class A:\n    {KEPT}\n{body}", code="NKM103")


def test_the_name_twice_in_an_f_string() -> None:
    """Before Python 3.12 the places of the two cannot be told apart."""
    result = migrate({"app.py": f"{IMPORT}print(f'{{mlp_kernel}} {{mlp_kernel}}')\n"})
    assert not [f for f in result.findings if f.outcome.value == "needs-you"]
    assert "import mlp" in result.text("app.py")
    check_sound(result)


STATEMENTS = {
    "alias": ("mlp_kernel as k\nk(x)", "mlp as k\nk(x)"),
    "alias of the new name": ("mlp_kernel as mlp\nmlp(x)", "mlp\nmlp(x)"),
    "beside the new name": (
        "mlp, mlp_kernel\nmlp(x), mlp_kernel(x)",
        "mlp, mlp as mlp_kernel\nmlp(x), mlp_kernel(x)",
    ),
    "twice": ("mlp_kernel, mlp_kernel as k\nk(mlp_kernel)", "mlp, mlp as k\nk(mlp)"),
    "parentheses": (
        "(  # kernels\n    # fused\n    mlp_kernel,  # gate-up\n    MLPParameters,\n)  # end\nmlp_kernel(x)",
        "(  # kernels\n    # fused\n    mlp,  # gate-up\n    MLPParameters,\n)  # end\nmlp(x)",
    ),
    "backslashes": (
        "\\\n    mlp_kernel, \\\n    is_mlp_tkg\nmlp_kernel(x)",
        "\\\n    mlp, \\\n    is_mlp_tkg\nmlp(x)",
    ),
}


@pytest.mark.parametrize(("before", "after"), STATEMENTS.values(), ids=STATEMENTS)
def test_statements(before: str, after: str) -> None:
    start = "from nkilib.core.mlp.mlp import "
    check_transformed(f"{start}{before}\n", f"{start}{after}\n", code="NKM103")


def test_imports_of_one_name_in_two_functions() -> None:
    text = "def f():\n    {}    return mlp_kernel\n\n\ndef g():\n    {}    return mlp_kernel\n"
    before = text.format(IMPORT, IMPORT)
    check_transformed(before, before.replace("mlp_kernel", "mlp"), code="NKM103")


def test_two_imports_of_one_name() -> None:
    before = f"{IMPORT}\n\ndef f():\n    {IMPORT}    return mlp_kernel\n\n\nmlp_kernel(x)\n"
    check_transformed(before, before.replace("mlp_kernel", "mlp"), code="NKM103")


ATTRIBUTES = {
    "module alias": "import nkilib.core.mlp.mlp as m\nm.mlp_kernel[2](x)\nk = m.mlp_kernel\n",
    "module": "from nkilib.core.mlp import mlp as m\nm.mlp_kernel(x)\n",
    "stored and deleted": "import nkilib.core.mlp.mlp as m\nm.mlp_kernel = None\ndel m.mlp_kernel\n",
    "getattr": "import nkilib.core.mlp.mlp as m\ngetattr(m, 'mlp_kernel')(x)\n",
    "patch": "from unittest import mock\nimport nkilib.core.mlp.mlp as m\nmock.patch.object(m, 'mlp_kernel')\n",
}


@pytest.mark.parametrize("before", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_attributes_of_the_module(before: str) -> None:
    check_transformed(before, before.replace("mlp_kernel", "mlp"), code="NKM103")


def test_a_test_for_the_old_name() -> None:
    text = "import nkilib.core.mlp.mlp as m\n\nif hasattr(m, 'mlp_kernel'):\n    run(m)\n"
    check_reported(text, "NKM103", 3, "always false")


def test_other_files_keep_the_name_alive() -> None:
    files = {
        "app/__init__.py": "",
        "app/kernels.py": f"{IMPORT}\n\ndef run(x):\n    return mlp_kernel(x, 1, 2, 3)\n",
        "test_app.py": "def test(monkeypatch):\n    monkeypatch.setattr('app.kernels.mlp_kernel', None)\n",
    }
    result = migrate(files)
    assert result.text("app/kernels.py") == files["app/kernels.py"].replace(IMPORT, KEPT)
    assert result.changed == {"app/kernels.py"}


@pytest.mark.parametrize(
    "use",
    [
        "from .kernels import mlp_kernel",
        "from app import kernels\nkernels.mlp_kernel",
        "from .kernels import *\nmlp_kernel",
    ],
)
def test_a_reexported_name(use: str) -> None:
    files = {"app/__init__.py": "", "app/kernels.py": IMPORT, "app/use.py": f"{use}\n"}
    result = migrate(files)
    assert result.text("app/kernels.py") == KEPT
    assert result.changed == {"app/kernels.py"}


def test_a_package_keeps_what_it_exports() -> None:
    assert migrate({"app/__init__.py": IMPORT}).text("app/__init__.py") == KEPT


NOOP = {
    "new": "from nkilib.core.mlp.mlp import mlp\n\nmlp(x, g, u, d)\n",
    "a function of your own": "import nkilib\n\n\ndef mlp_kernel(x): ...\n\n\nmlp_kernel(x)\n",
    "from elsewhere": "import nkilib\nfrom mine import mlp_kernel\n\nmlp_kernel(x)\n",
    "a parameter": "import nkilib.core.mlp.mlp as m\n\n\ndef f(m):\n    return m.mlp_kernel(x)\n",
    "another module's": "import mine.nkilib.core.mlp.mlp as m\n\nm.mlp_kernel(x)\n",
}


@pytest.mark.parametrize("text", NOOP.values(), ids=NOOP)
def test_left_alone(text: str) -> None:
    check_noop(text)


TWENTY = ", ".join("abcdefghijklmnopqrst")
"""As many arguments as mlp_kernel takes."""

TOO_MANY = {
    "import": f"{IMPORT}\nmlp_kernel({TWENTY}, u)\n",
    "attribute": f"import nkilib.core.mlp.mlp as m\n\nm.mlp_kernel({TWENTY}, u)\n",
    "partial": f"from functools import partial\n{IMPORT}\nf = partial(mlp_kernel, {TWENTY}, u)\n",
    "given twice": f"{IMPORT}\nmlp_kernel({TWENTY}, eps=u)\n",
    "beside a right one": f"{IMPORT}\nmlp_kernel(x, g, u, d)\nmlp_kernel({TWENTY}, u)\n",
}


@pytest.mark.parametrize("text", TOO_MANY.values(), ids=TOO_MANY)
def test_a_call_that_only_the_new_name_would_take_keeps_its_name(text: str) -> None:
    """Renamed, it would run with a meaning that nobody wrote."""
    result = migrate({"a.py": text})
    assert not result.changed
    assert {f.code for f in result.findings if f.step} >= {"NKM103", "NKM201"}


def test_as_many_arguments_as_the_old_name_takes() -> None:
    assert "mlp_kernel" not in migrate({"a.py": f"{IMPORT}\nmlp_kernel({TWENTY})\n"}).text("a.py")


def test_a_class_that_takes_the_name_over_keeps_it() -> None:
    """Up to its own assignment a class body reads the module's name, which had gone."""
    before = (
        "from nkilib.core.mlp.mlp import mlp_kernel\n\n\nclass A:\n    mlp_kernel = staticmethod(mlp_kernel)\n\n\n"
        "def f(x, g, u, d):\n    return mlp_kernel(x, g, u, d)\n"
    )
    check_transformed(
        before, before.replace("mlp_kernel\n\n\nclass", "mlp as mlp_kernel\n\n\nclass"), code="NKM103"
    )


def test_a_mock_that_is_handed_on_by_its_name() -> None:
    """``patch.multiple`` gives what it makes by keyword, so that the function would have to be changed, too."""
    text = (
        "from unittest.mock import DEFAULT, patch\n\n\n"
        '@patch.multiple("nkilib.core.mlp.mlp", mlp_kernel=DEFAULT)\ndef test(mlp_kernel):\n    mlp_kernel.called\n'
    )
    check_reported(text, "NKM103", 4, "`mlp_kernel` is `mlp` now")
    given = text.replace("=DEFAULT", "=fake")
    check_transformed(given, given.replace("mlp_kernel=fake", "mlp=fake"), code="NKM103")
