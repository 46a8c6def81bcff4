"""NKM106: star imports of modules whose names changed."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed, migrate

MLP = "from nkilib.core.mlp.mlp import "
OUT = "from nkilib.core.output_projection.output_projection_cte"

USED = {
    "renamed": ("*\nmlp_kernel(x)\n", "mlp\nmlp(x)\n"),
    "several": ("*\nmlp_kernel(MLPParameters, nl)\n", "MLPParameters, mlp, nl\nmlp(MLPParameters, nl)\n"),
    "comment and semicolon": ("*; x = 1  # all\nmlp_kernel(x)\n", "mlp; x = 1  # all\nmlp(x)\n"),
    "imported through": ("*\nmlp_cte_invoke_kernel(x)\n", "mlp_cte\nmlp_cte(x)\n"),
    "a parameter of that name": (
        "*\n\n\ndef f(mlp_kernel):\n    return mlp_kernel\n\n\nmlp_kernel(x)\n",
        "mlp\n\n\ndef f(mlp_kernel):\n    return mlp_kernel\n\n\nmlp(x)\n",
    ),
    "new name taken": ("*\nmlp = mlp_kernel(x)\n", "mlp as mlp_kernel\nmlp = mlp_kernel(x)\n"),
    "own name like a new one": (
        "*\n\n\ndef mlp_cte():\n    return nl\n",
        "nl\n\n\ndef mlp_cte():\n    return nl\n",
    ),
    "imported otherwise later": (
        "*\nfrom mine import mlp_kernel\nmlp_kernel(nl)\n",
        "nl\nfrom mine import mlp_kernel\nmlp_kernel(nl)\n",
    ),
    "__all__": ("*\n__all__ = ['mlp_kernel']\n", "mlp as mlp_kernel\n__all__ = ['mlp_kernel']\n"),
    "annotation in quotes": (
        "*\n\n\ndef f(p: 'MLPParameters'):\n    return nl\n",
        "MLPParameters, nl\n\n\ndef f(p: 'MLPParameters'):\n    return nl\n",
    ),
    "another star may bring both names": (
        "*\nfrom mine import *\nmlp_kernel(x)\n",
        "mlp as mlp_kernel\nfrom mine import *\nmlp_kernel(x)\n",
    ),
    "f-string": ("*\nprint(f'{mlp_kernel}')\n", "mlp\nprint(f'{mlp}')\n"),
}


@pytest.mark.parametrize(("before", "after"), USED.values(), ids=USED)
def test_what_is_used_is_named(before: str, after: str) -> None:
    check_transformed(MLP + before, MLP + after, code="NKM106")


HOMES = {
    "legacy root": (
        "from nkilib_standalone.nkilib.core.mlp.mlp import *\nmlp_kernel(x)\n",
        "from nkilib.core.mlp.mlp import mlp\nmlp(x)\n",
    ),
    "in a branch": (
        f"if FLAG:\n    {MLP}*\n\n    mlp_kernel(x)\n",
        f"if FLAG:\n    {MLP}mlp\n\n    mlp(x)\n",
    ),
    "moved names": (
        f"{OUT} import *\nx = div_ceil(P_MAX, 2), output_projection_cte\n",
        f"{OUT}.output_projection_cte_parameters import P_MAX\n"
        "from nkilib.core.utils.kernel_helpers import div_ceil\n"
        f"{OUT} import output_projection_cte\nx = div_ceil(P_MAX, 2), output_projection_cte\n",
    ),
    "moved module": (
        "from nkilib.core.qkv.qkv_tkg_rmsnorm import *\nprint(SHARDING_THRESHOLD)\n",
        "from nkilib.core.subkernels.rmsnorm_tkg import SHARDING_THRESHOLD\nprint(SHARDING_THRESHOLD)\n",
    ),
    "two stars": (
        f"{MLP}*\nfrom nkilib.core.qkv.qkv import *\nmlp_kernel(x), qkv(x, w), Logger('x')\n",
        f"{MLP}mlp\nfrom nkilib.core.utils.logging import Logger\nfrom nkilib.core.qkv.qkv import qkv\n"
        "mlp(x), qkv(x, w), Logger('x')\n",
    ),
    "in a ladder": (
        f"try:\n    {MLP}*\nexcept ImportError:\n    from nkilib_standalone.nkilib.core.mlp.mlp import *\n"
        "mlp_kernel(x)\n",
        f"{MLP}mlp\nmlp(x)\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), HOMES.values(), ids=HOMES)
def test_names_are_imported_from_their_homes(before: str, after: str) -> None:
    check_transformed(before, after, code="NKM106")


OPEN = {
    "nothing used": (f"{MLP}*\n", "no longer brings `mlp_cte_invoke_kernel`, `mlp_kernel`"),
    "nothing used of one that grew": (
        "from nkilib.core.utils.tp_broadcast import *\n",
        "also brings `kernel_assert`",
    ),
    "a name that came along and is gone": (f"{OUT} import *\nx = nl.sbuf, P_MAX\n", "`nl`"),
    "names looked up at run time": (
        f"{MLP}*\n\n\ndef f(name):\n    return globals()[name], nl\n",
        "mlp_kernel",
    ),
    "bound again": (f"{MLP}*\nmlp_kernel = jit(mlp_kernel)\n", "mlp_kernel"),
    "deleted": (f"{MLP}*\ndel mlp_kernel\n", "mlp_kernel"),
}


@pytest.mark.parametrize(("text", "contains"), OPEN.values(), ids=OPEN)
def test_what_cannot_be_decided_is_reported(text: str, contains: str) -> None:
    check_reported(text, "NKM106", 1, contains)


USERS = {
    "from": ("from app.k import mlp_kernel\n", f"{MLP}mlp as mlp_kernel, nl\n"),
    "attribute": ("from app import k\n\nk.mlp_kernel(x)\n", f"{MLP}mlp as mlp_kernel, nl\n"),
    "string": ("patch('app.k.mlp_kernel')\n", f"{MLP}mlp as mlp_kernel, nl\n"),
    "nobody": ("from app.k import x\n", f"{MLP}nl\n"),
}


@pytest.mark.parametrize(("use", "line"), USERS.values(), ids=USERS)
def test_what_others_take_from_the_file_stays(use: str, line: str) -> None:
    result = migrate({"app/__init__.py": "", "app/k.py": f"{MLP}*\nx = nl\n", "use.py": use})
    assert result.text("app/k.py") == f"{line}x = nl\n"
    assert result.text("use.py") == use


def test_a_star_of_a_star_brings_what_it_brought() -> None:
    use = "from app.k import *\nmlp_kernel(nl)\n"
    result = migrate({"app/__init__.py": "", "app/k.py": f"{MLP}*\n", "use.py": use})
    bound = {
        name.rpartition(" ")[2] for name in result.text("app/k.py").strip().removeprefix(MLP).split(", ")
    }
    assert bound >= {"mlp_kernel", "nl", "MLPParameters", "mlp_cte_invoke_kernel"}
    assert result.text("use.py") == use


def test_the_star_of_a_package_is_reported() -> None:
    result = migrate({"app/__init__.py": "from nkilib_standalone.nkilib.core.mlp.mlp import *\n"})
    assert result.text("app/__init__.py") == f"{MLP}*\n"
    assert [f.code for f in result.findings if f.outcome.value == "needs-you"] == ["NKM106"]


NOOP = {
    "a module that did not change": "from nkilib.core.utils.lnc_subscriptable import *\n",
    "a stranger": "from mine.nkilib.core.mlp.mlp import *\n\nmlp_kernel(x)\n",
    "named already": f"{MLP}mlp\n\nmlp(x, g, u, d)\n",
}


@pytest.mark.parametrize("text", NOOP.values(), ids=NOOP)
def test_left_alone(text: str) -> None:
    check_noop(text)
