"""Every public name of 2.27 can be imported under every root, or is an inside that says what to use instead."""

from __future__ import annotations

import oldcode
import pytest
from missing import exists, missing, names_of
from snapshots import DIALECTS, Snapshot, public

from nkimigrate.releases import load

RELEASE = load("2.27", "2.28")
OLD, NEW = Snapshot("2.27"), Snapshot("2.28")
ROOTS = ("nkilib", "nkilib_standalone.nkilib", "nkilib_src.nkilib")
INSIDES = [(module, name) for module, held in RELEASE.insides.items() for name in held["names"]]
IMPORT = """
import importlib
def attempt(module, name):
    try:
        exec(compile(f"from {module} import {name}", "attempt.py", "exec"), {})
    except ImportError as error:
        return str(error)
    return ""
"""
LIMITS = ("MAX_VALIDATED_B_TIMES_S_SIZE", "MAX_VALIDATED_H_SIZE", "MAX_VALIDATED_N_SIZE")
PROJECTION = "nkilib.core.output_projection.output_projection_cte"


def names() -> list[str]:
    """What 2.27 defines, and what its other dialects define."""
    others = {n for dialect in DIALECTS.values() for n in (*dialect["callables"], *dialect["names"])}
    return sorted(n for n in OLD.defined | {n for n in others if is_of_a_module(n)} if public(n))


def is_of_a_module(name: str) -> bool:
    """Whether it is no method."""
    owner = name.rpartition(".")[0]
    return owner in OLD.modules or owner in NEW.modules


@pytest.mark.parametrize("root", ROOTS)
def test_every_public_name_is_there_or_an_inside(root: str) -> None:
    pairs = [name.rpartition(".")[::2] for name in names()]
    ran = oldcode.run(f"""{IMPORT}
said = {{}}
for module, name in {pairs!r}:
    said[module, name] = attempt(module.replace("nkilib", {root!r}, 1), name)
result = said
""")
    assert ran.error == ""
    gone = {pair for pair, text in ran.result.items() if text}
    assert set(pairs) & set(INSIDES) <= gone
    assert len(pairs) - len(gone) >= 133
    for module, name in gone:
        inside = (module, name) in INSIDES
        step = RELEASE.insides[module]["step"] if inside else RELEASE.removed[f"{module}.{name}"]
        if inside or root != "nkilib":
            assert step in ran.result[module, name]


def test_what_2_28_has_and_this_library_lacks_are_insides() -> None:
    """All names of modules that are not here, and all that other modules lack."""
    lacking = missing()
    whole = {module: names_of(NEW.modules[module]) for module in lacking["modules"]}
    gone = {(module, name) for module, names in {**whole, **lacking["names"]}.items() for name in names}
    assert gone == {pair for pair in INSIDES if pair in gone}
    assert {module for module in lacking["modules"] if not whole[module]} == set()


@pytest.mark.parametrize("first", ["nkilib", "nkilib.compat"])
def test_insides_say_what_to_use(first: str) -> None:
    ran = oldcode.run(f"{IMPORT}\nresult = [attempt(m, n) for m, n in {INSIDES!r}]", first)
    assert ran.error == ""
    former = {old.rpartition(".")[0] for old in RELEASE.symbols} if first == "nkilib.compat" else set()
    for (module, name), text in zip(INSIDES, ran.result, strict=True):
        there = exists(module) or module in former
        assert text.startswith(f"{module}.{name} is not here" if there else f"{module} is not here")
        assert "is an inside of a kernel" in text
        assert RELEASE.insides[module]["step"] in text


@pytest.mark.parametrize("first", ["nkilib", "nkilib.compat"])
def test_insides_are_not_there_for_who_only_looks(first: str) -> None:
    ran = oldcode.run(
        """
import importlib.util
import nkilib.core.mlp.mlp_cte as package
import nkilib.core.qkv.qkv_tkg as module
assert not hasattr(module, "TileCounts") and getattr(module, "TileCounts", 3) == 3
assert importlib.util.find_spec("nkilib.core.mlp.mlp_cte.mlp_cte_norm") is None
assert importlib.util.find_spec("nkilib.core.mlp.mlp_cte.nothing") is None
assert not hasattr(package, "mlp_cte_norm")
result = []
for text in (
    "module.TileCounts",
    "module.nothing",
    "from nkilib.core.qkv.qkv_tkg import nothing",
    "import nkilib.core.mlp.mlp_cte.mlp_cte_norm",
    "from nkilib.core.mlp.mlp_cte import mlp_cte_norm",
    "from nkilib.core.mlp.mlp_cte import nothing",
    "import nkilib.core.mlp.mlp_cte.nothing",
):
    try:
        exec(text)
    except (AttributeError, ImportError) as error:
        result.append((type(error).__name__, str(error)))
""",
        first,
    )
    assert ran.error == ""
    kinds = [kind for kind, _ in ran.result]
    import_error, no_module = "ImportError", "ModuleNotFoundError"
    attribute = "AttributeError"
    assert kinds == [attribute, attribute, import_error, no_module, import_error, import_error, no_module]
    texts = [text for _, text in ran.result]
    assert ["is an inside of a kernel" in text for text in texts] == [
        True,
        False,
        False,
        True,
        True,
        False,
        False,
    ]


def test_the_table_lists_names_of_a_release_once() -> None:
    assert len(set(INSIDES)) == len(INSIDES)
    dialects = {n for dialect in DIALECTS.values() for n in (*dialect["callables"], *dialect["names"])}
    known = OLD.defined | OLD.imports.keys() | NEW.defined | NEW.imports.keys() | dialects
    assert not [f"{module}.{name}" for module, name in INSIDES if f"{module}.{name}" not in known]


def test_limits_can_be_read_and_assigned_as_before() -> None:
    ran = oldcode.run(f"""
import {PROJECTION} as package
from {PROJECTION}.output_projection_cte_parameters import _MAX_VALIDATED_H_SIZE
import {PROJECTION}.output_projection_cte_parameters as held
from {PROJECTION} import {", ".join(LIMITS)}
assert MAX_VALIDATED_H_SIZE == _MAX_VALIDATED_H_SIZE == 20705
before = package.MAX_VALIDATED_N_SIZE
package.MAX_VALIDATED_N_SIZE = 3
assert package.MAX_VALIDATED_N_SIZE == held._MAX_VALIDATED_N_SIZE == 3
package.MAX_VALIDATED_N_SIZE = before
result = [MAX_VALIDATED_B_TIMES_S_SIZE, MAX_VALIDATED_N_SIZE]
""")
    assert (ran.error, ran.result) == ("", [131072, 17])
    assert "MAX_VALIDATED_H_SIZE is gone" in ran.said()
