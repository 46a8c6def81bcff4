"""Old names and modules: all that the release table knows lead to what they are now, and warn."""

from __future__ import annotations

import importlib

import oldcode
import pytest
from missing import exists

from nkimigrate.releases import load

RELEASE = load("2.27", "2.28")
PROJECTION = "nkilib.core.output_projection.output_projection_cte"
GIVEN = {
    "nkilib.core.utils.logging.GLOBAL_LOG_LEVEL",
    "nkilib.core.utils.logging.Logger.create_child",
    f"{PROJECTION}.MAX_VALIDATED_B_TIMES_S_SIZE",
    f"{PROJECTION}.MAX_VALIDATED_H_SIZE",
    f"{PROJECTION}.MAX_VALIDATED_N_SIZE",
}


def defined(name: str) -> bool:
    """Whether nkilib has a thing at its new qualified name."""
    module, _, last = name.rpartition(".")
    return exists(module) and hasattr(importlib.import_module(module), last)


def present() -> dict[str, str]:
    """Old names, in paths that can be imported, whose new ones nkilib has."""
    old_modules = {*RELEASE.modules, *RELEASE.wrong_modules}
    found = {}
    for old, new in RELEASE.new_symbol.items():
        module = old.rpartition(".")[0]
        package = module.rpartition(".")[0]
        if defined(RELEASE.moved(new)) and (exists(module) or (module in old_modules and exists(package))):
            found[old] = RELEASE.moved(new)
    return found


def test_every_old_name_is_what_it_is_called_now() -> None:
    names = present()
    assert len(names) >= 20
    ran = oldcode.run(f"""
import importlib
from nkilib.compat.adapters import Adapter

def plain(thing):
    return thing.__wrapped__ if isinstance(thing, Adapter) else thing

def get(name):
    module, _, last = name.rpartition(".")
    space = {{}}
    # A file of its own for each import: a warning comes once for a line, and other sources may have had theirs.
    exec(compile(f"from {{module}} import {{last}} as found", f"<names {{name}}>", "exec"), space)
    return plain(space["found"])

result = [old for old, new in {names!r}.items() if get(old) is not get(new)]
""")
    assert (ran.error, ran.result) == ("", [])
    for old, new in names.items():
        assert f"{old} is {new} in nkilib 2.28. `nkimigrate " in ran.said() or "qkv_tkg_" in old


def test_modules_that_are_gone_or_were_only_printed() -> None:
    names = {o: n for o, n in {**RELEASE.modules, **RELEASE.wrong_modules}.items() if exists(n)}
    names = {o: n for o, n in names.items() if exists(o.rpartition(".")[0]) or o in RELEASE.wrong_modules}
    ran = oldcode.run(f"""
import importlib
result = [o for o, n in {names!r}.items() if importlib.import_module(o) is not importlib.import_module(n)]
""")
    assert (ran.error, ran.result) == ("", [])
    assert set(RELEASE.wrong_modules) & set(names)


def test_all_roots_lead_to_the_same_modules_whichever_comes_first() -> None:
    names = [name for name in sorted(RELEASE.known) if exists(name)]
    for first in ("nkilib_standalone", "nkilib_src"):
        ran = oldcode.run(
            f"""
import importlib
roots = ("nkilib_standalone.nkilib", "nkilib_src.nkilib", "nkilib")
find = lambda root, name: importlib.import_module(name.replace("nkilib", root, 1))
result = [n for n in {names!r} if len({{id(find(root, n)) for root in roots}}) > 1]
from nkilib_standalone.nkilib.core.utils.common_types import NormType as one
from nkilib_src.nkilib.core.utils.common_types import NormType as two
from nkilib.core.utils.common_types import NormType as three
assert one.NO_NORM is two.NO_NORM is three.NO_NORM
import nkilib_standalone.nkilib.core.output_projection.output_projection_cte.output_projection_cte as m
import nkilib.core.output_projection.output_projection_cte as package
assert callable(package.output_projection_cte)
""",
            first,
        )
        assert (ran.error, ran.result) == ("", [])


def test_what_is_not_there_is_not_found() -> None:
    ran = oldcode.run("""
import importlib, importlib.util
result = []
for name in ("nkilib_standalone.nkilib.core.nothing", "nkilib.core.nothing.at_all", "nkilib_src.nkilib.mlp"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        result.append(name)
assert importlib.util.find_spec("nkilib_standalone.nkilib.core.nothing") is None
import nkilib.core.utils.allocator as module
assert not hasattr(module, "nothing") and getattr(module, "nothing", 3) == 3
""")
    assert ran.error == ""
    assert len(ran.result) == 3


REMOVED = [name for name in RELEASE.removed if exists(name.rpartition(".")[0]) and name not in GIVEN]


@pytest.mark.parametrize("name", REMOVED)
def test_a_removed_name_says_what_to_do(name: str) -> None:
    module, _, last = name.rpartition(".")
    text = f"from {module} import {last}\n"
    ran = oldcode.run(text)
    assert ran.error.startswith("ImportError: nkilib.")
    inside = last in RELEASE.insides.get(module, {}).get("names", ())
    assert (RELEASE.insides[module]["step"] if inside else RELEASE.removed[name]) in ran.error
    (warning,) = ran.warnings
    assert warning[:2] == (oldcode.FILE, 1)
    assert RELEASE.removed[name] in warning[2]
    assert "` reports it." in warning[2]
    strict = oldcode.run(f"import nkilib.compat\nwith nkilib.compat.strict():\n    {text}")
    assert strict.error.startswith("DeprecationWarning: ")
    assert RELEASE.removed[name] in strict.error


def test_star_imports_bring_old_and_new_names() -> None:
    ran = oldcode.run("from nkilib.core.mlp.mlp import *\nresult = [mlp.__name__, mlp_kernel.__name__]\n")
    assert (ran.error, ran.result) == ("", ["mlp", "mlp_kernel"])
    brought = set(RELEASE.stars["nkilib.core.utils.allocator"])
    ran = oldcode.run("from nkilib.core.utils.allocator import *\nresult = list(globals())\n")
    assert brought - {"Optional", "dataclass", "nl"} <= set(ran.result)


def test_importing_compat_reads_no_table_and_nkilib_alone_has_none_of_it() -> None:
    ran = oldcode.run(
        "import sys\nresult = [m for m in sys.modules if 'compat' in m and 'nkilib' in m]", "nkilib"
    )
    assert ran.result == []
    oldcode.stop()
    ran = oldcode.run("from nkilib.compat.release import release\nresult = release.cache_info().currsize")
    assert (ran.error, ran.result) == ("", 0)


def test_mocks_take_the_place_of_old_and_new_names() -> None:
    ran = oldcode.run("""
from unittest import mock
import nkilib.core.mlp.mlp as module
kernel = module.mlp
for name in ("mlp", "mlp_kernel"):
    with mock.patch(f"nkilib_standalone.nkilib.core.mlp.mlp.{name}", "mine"):
        assert getattr(module, name) == "mine"
    assert getattr(module, name) != "mine"
result = module.mlp is kernel
""")
    assert (ran.error, ran.result) == ("", True)
