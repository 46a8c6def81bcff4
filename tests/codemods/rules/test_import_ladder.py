"""NKM107: import ladders that try one root after the other, and those for two releases."""

from __future__ import annotations

import pytest
from helpers import check_reported, check_transformed, migrate

NEW = "from nkilib.core.qkv.qkv import qkv"
OLD = "from nkilib_standalone.nkilib.core.qkv.qkv import qkv"
WHEEL = "from nkilib_src.nkilib.core.qkv.qkv import qkv"


def ladder(first: str, second: str, error: str = " ImportError") -> str:
    body, arm = (text.replace("\n", "\n    ") for text in (first, second))
    return f"try:\n    {body}\nexcept{error}:\n    {arm}\n"


COLLAPSED = {
    "new first": (ladder(NEW, OLD), NEW),
    "old first": (ladder(OLD, NEW), NEW),
    "bare except": (ladder(NEW, OLD, ""), NEW),
    "several errors": (ladder(NEW, OLD, " (ImportError, AttributeError)"), NEW),
    "named error": (ladder(NEW, OLD, " ImportError as error"), NEW),
    "missing module": (ladder(NEW, OLD, " ModuleNotFoundError"), NEW),
    "nested in the except arm": (ladder(NEW, ladder(WHEEL, OLD).rstrip()), NEW),
    "nested in the body": (ladder(ladder(NEW, WHEEL).rstrip(), OLD), NEW),
    "two handlers": (
        f"try:\n    {NEW}\nexcept ModuleNotFoundError:\n    {WHEEL}\nexcept ImportError:\n    {OLD}\n",
        NEW,
    ),
    "on one line each": (f"try: {NEW}\nexcept ImportError: {OLD}\n", NEW),
    "comments": (
        f"# kernels\ntry:\n    # new\n    {NEW}  # a\nexcept ImportError:  # old\n    {OLD}  # b\n# end\n",
        f"# kernels\n# new\n{NEW}  # a\n# end",
    ),
    "module alias": (
        ladder("import nkilib.core.qkv.qkv as q", "import nkilib_src.nkilib.core.qkv.qkv as q"),
        "import nkilib.core.qkv.qkv as q",
    ),
    "plain": (
        ladder("import nkilib.core.qkv.qkv", "import nkilib_src.nkilib.core.qkv.qkv")
        + "nkilib.core.qkv.qkv.qkv(x, w)\n",
        "import nkilib.core.qkv.qkv\nnkilib.core.qkv.qkv.qkv(x, w)",
    ),
    "renamed in both": (
        ladder(
            "from nkilib.core.mlp.mlp import mlp_kernel",
            "from nkilib_src.nkilib.core.mlp.mlp import mlp_kernel",
        )
        + "mlp_kernel(x)\n",
        "from nkilib.core.mlp.mlp import mlp\nmlp(x)",
    ),
    "old name first": (
        ladder("from nkilib.core.mlp.mlp import mlp_kernel as m", "from nkilib.core.mlp.mlp import mlp as m"),
        "from nkilib.core.mlp.mlp import mlp as m",
    ),
    "moved module first": (
        ladder(
            "from nkilib.core.qkv.qkv_tkg_rmsnorm import SHARDING_THRESHOLD",
            "from nkilib.core.subkernels.rmsnorm_tkg import SHARDING_THRESHOLD",
        ),
        "from nkilib.core.subkernels.rmsnorm_tkg import SHARDING_THRESHOLD",
    ),
    "several imports": (
        ladder(
            f"{NEW}\nfrom nkilib.core.mlp.mlp import MLPParameters",
            f"{OLD}\nfrom nkilib_standalone.nkilib.core.mlp.mlp import MLPParameters",
        ),
        f"{NEW}\nfrom nkilib.core.mlp.mlp import MLPParameters",
    ),
}


@pytest.mark.parametrize(("before", "after"), COLLAPSED.values(), ids=COLLAPSED)
def test_arms_that_import_the_same_become_one(before: str, after: str) -> None:
    check_transformed(before, f"{after}\n", code="NKM107")


@pytest.mark.parametrize("head", ["def f():", "class A:", "if FLAG:"])
def test_inside_something(head: str) -> None:
    inner = ladder(NEW, OLD).rstrip().replace("\n", "\n    ")
    check_transformed(f"{head}\n    {inner}\n", f"{head}\n    {NEW}\n", code="NKM107")


KEPT = {
    "a flag": ladder(f"{NEW}\nNEW = True", f"{OLD}\nNEW = False"),
    "another name": ladder(NEW, f"{OLD} as other"),
    "else": f"{ladder(NEW, OLD)}else:\n    print('new')\n",
    "finally": f"{ladder(NEW, OLD)}finally:\n    print('done')\n",
    "another error": ladder(NEW, OLD, " ValueError"),
    "an import of something else": ladder(f"{NEW}\nimport numpy", f"{OLD}\nimport numpy"),
    "no import in the arm": ladder(OLD, "qkv = None"),
    "raises": ladder(OLD, "raise"),
}


@pytest.mark.parametrize("before", KEPT.values(), ids=KEPT)
def test_other_arms_stay_and_only_the_root_changes(before: str) -> None:
    result = check_transformed(before, before.replace("nkilib_standalone.", ""), code="NKM101")
    assert not [f for f in result.findings if f.code == "NKM107"]


BOTH = {
    "renamed": ladder(
        "from nkilib.core.mlp.mlp import mlp", "from nkilib.core.mlp.mlp import mlp_kernel as mlp"
    ),
    "renamed, under the old root": ladder(
        f"{NEW}\nfrom nkilib.core.mlp.mlp import mlp",
        f"{OLD}\nfrom nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel as mlp",
    ),
    "moved module": ladder(
        "from nkilib.core.subkernels.rmsnorm_tkg import SHARDING_THRESHOLD",
        "from nkilib.core.qkv.qkv_tkg_rmsnorm import SHARDING_THRESHOLD",
    ),
    "moved name": ladder(
        "from nkilib.core.utils.logging import Logger", "from nkilib.core.qkv.qkv import Logger"
    ),
}


@pytest.mark.parametrize("text", BOTH.values(), ids=BOTH)
def test_a_ladder_for_both_releases_is_left_whole(text: str) -> None:
    line = text.splitlines().index("except ImportError:") + 1
    check_reported(text, "NKM107", line, "both releases", outcome="noted")


def test_a_root_that_is_used_otherwise_keeps_its_arm() -> None:
    plain = ladder("import nkilib.core.qkv.qkv", "import nkilib_standalone.nkilib.core.qkv.qkv")
    text = f"{plain}print(nkilib_standalone.__path__)\n"
    result = migrate({"app.py": text})
    assert not result.changed
    assert [(f.code, f.outcome.value) for f in result.findings] == [("NKM101", "needs-you")]


ON_RELEASE = {
    "new first": "if RELEASE >= (2, 28):\n    from M import mlp\nelse:\n    from M import mlp_kernel as mlp\n",
    "old first": "if OLD:\n    from M import mlp_kernel as k\nelse:\n    from M import mlp as k\n",
    "of three": (
        "if NEW:\n    from M import mlp as k\nelif OLD:\n    from M import mlp_kernel as k\nelse:\n    k = None\n"
    ),
    "under the old root": (
        "if NEW:\n    from M import mlp\nelse:\n    from nkilib_standalone.M import mlp_kernel as mlp\n"
    ),
}


@pytest.mark.parametrize("text", ON_RELEASE.values(), ids=ON_RELEASE)
def test_a_choice_by_release_is_left_whole(text: str) -> None:
    text = text.replace("M import", "nkilib.core.mlp.mlp import")
    found = migrate({"app.py": text}).findings
    assert [(f.code, f.outcome.value) for f in found if f.code != "NKM501"] == [("NKM107", "noted")]
    check_reported(text, "NKM107", 3 if "elif" in text else 1, "both releases", outcome="noted")


def test_a_choice_between_other_names_is_none_by_release() -> None:
    before = "if NEW:\n    from M import mlp as k\nelse:\n    from M import mlp_kernel as j\n"
    before = before.replace("M import", "nkilib.core.mlp.mlp import")
    check_transformed(before, before.replace("mlp_kernel as j", "mlp as j"), code="NKM103")
