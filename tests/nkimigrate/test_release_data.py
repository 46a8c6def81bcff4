"""The table of the step 2.27 → 2.28 says what the library's sources say.

Nothing here uses the code that reads the table for a migration: it is compared with snapshots of the sources'
signatures, and with positions and names written down from the list of differences.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from snapshots import DIALECTS, Snapshot, names, normal, parameters, positional, public, required

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PATH = Path(__file__).resolve().parents[2] / "nkimigrate" / "releases" / "nkilib_2_27_to_2_28.toml"
TABLE: Mapping[str, Any] = tomllib.loads(PATH.read_text(encoding="utf-8"))
OLD, NEW = Snapshot("2.27"), Snapshot("2.28")
DECEMBER, JANUARY = "main-2025-12-22", "main-2026-01-23"

CALLS = [(call, form) for call in TABLE["calls"] for form in call["old"]]
BEHAVIOURS: list[Mapping[str, Any]] = TABLE["behaviours"]
PRIVATE: list[Mapping[str, Any]] = TABLE["private"]
IN_NO_RELEASE = {"nkilib.core.mlp.mlp.fused_mlp_isa_kernel"}


def old_name(call: Mapping[str, Any], form: Mapping[str, Any]) -> str:
    return str(form.get("name", call["name"]))


def in_dialect(dialect: str, name: str) -> list[str] | None:
    """The parameters of a callable in one of the trees called 2.27, by any path."""
    if dialect == "2.27":
        found = OLD.signature(name)
        return OLD.signature(_before(name)) if found is None else found
    listed = DIALECTS[dialect]["callables"]
    return listed.get(name) or listed.get(_before(name)) or NEW.signature(name)


def _before(name: str) -> str:
    """Another path that the table calls the same object."""
    return next((k for k, v in TABLE["throughs"].items() if v == name and OLD.signature(k)), name)


def exists_in_old(name: str) -> bool:
    return (
        OLD.has(name)
        or name in OLD.imports
        or any(
            name in d["callables"] or name in d["names"] or name in d["imports"] for d in DIALECTS.values()
        )
    )


def label(pair: tuple[Mapping[str, Any], Mapping[str, Any]]) -> str:
    return f"{old_name(*pair).removeprefix('nkilib.core.')} {pair[1]['dialect']}"


# -- signatures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", TABLE["calls"], ids=lambda call: call["name"])
def test_new_signatures_are_those_of_the_new_release(call: Mapping[str, Any]) -> None:
    listed = NEW.signature(call["name"])
    assert listed is not None
    assert parameters(call["signature"]) == normal(listed)


@pytest.mark.parametrize("pair", CALLS, ids=label)
def test_old_signatures_are_those_of_their_tree(pair: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
    call, form = pair
    listed = in_dialect(form["dialect"], old_name(call, form))
    assert listed is not None
    assert parameters(form["signature"]) == normal(listed)


def test_every_callable_has_one_entry() -> None:
    listed = [call["name"] for call in TABLE["calls"]]
    assert sorted(set(listed)) == sorted(listed)
    forms = [(old_name(call, form), form["dialect"]) for call, form in CALLS]
    assert sorted(set(forms)) == sorted(forms)


# The first position whose meaning changes, from the list of differences; None: every old position keeps it.
BREAKS: dict[tuple[str, str], int | None] = {
    ("attention.attention_cte.AttnConfig", "2.27"): 13,
    ("attention.attention_cte.attention_cte", "2.27"): None,
    ("attention.attention_cte_torch.attention_cte_torch_ref", "2.27"): None,
    ("attention.attention_tkg.AttnInternalBuffers", "2.27"): None,
    ("attention.attention_tkg.AttnTileParams", "2.27"): 1,
    ("attention.attention_tkg_utils.resize_cache_block_len_for_attention_tkg_kernel", "2.27"): None,
    ("mlp.mlp.mlp", DECEMBER): 19,
    ("mlp.mlp.mlp_kernel", "2.27"): 13,
    ("mlp.mlp_cte.mlp_cte_constants.MLPCTEConstants", "2.27"): 0,
    ("mlp.mlp_cte.mlp_cte_projection.perform_down_projection", "2.27"): 8,
    ("mlp.mlp_cte.mlp_cte_projection.perform_gate_projection_if_necessary", "2.27"): 7,
    ("mlp.mlp_cte.mlp_cte_projection.perform_up_projection", "2.27"): 7,
    ("mlp.mlp_cte.mlp_cte_tensor_io.load_hidden_tensor_tile_opt_fused_add", "2.27"): None,
    ("mlp.mlp_cte.mlp_cte_utils.apply_source_projection_activation", "2.27"): 5,
    ("mlp.mlp_cte.mlp_cte_utils.perform_elementwise_multiply", "2.27"): 6,
    ("mlp.mlp_parameters.MLPParameters", "2.27"): 13,
    ("mlp.mlp_parameters.MLPParameters", DECEMBER): 19,
    ("mlp.mlp_parameters.MLPQuantizationParameters", DECEMBER): None,
    ("mlp.mlp_tkg.mlp_tkg_constants.MLPTKGConstants.calculate_down_tiles", "2.27"): None,
    ("mlp.mlp_tkg.mlp_tkg_constants.MLPTKGConstants.calculate_gate_up_tiles", "2.27"): None,
    ("mlp.mlp_tkg.mlp_tkg_down_projection.down_projection", "2.27"): 3,
    ("mlp.mlp_tkg.mlp_tkg_down_projection.down_projection_lhs_rhs_swap", "2.27"): 3,
    ("mlp.mlp_tkg.mlp_tkg_gate_up_projection.gate_up_projection", "2.27"): 5,
    ("mlp.mlp_tkg.mlp_tkg_gate_up_projection.gate_up_projection_lhs_rhs_swap", "2.27"): 5,
    ("mlp.mlp_tkg.mlp_tkg_utils.input_fused_add", "2.27"): None,
    ("output_projection.output_projection_cte.output_projection_cte", "2.27"): None,
    ("output_projection.output_projection_cte.output_projection_cte", DECEMBER): 3,
    ("output_projection.output_projection_tkg.output_projection_tkg", "2.27"): 3,
    ("qkv.qkv.qkv", "2.27"): 4,
    ("qkv.qkv_cte.qkv_cte", "2.27"): 18,
    ("qkv.qkv_cte_utils.QKV_CTE_Config", "2.27"): 7,
    ("qkv.qkv_cte_utils.QKV_CTE_Dims", "2.27"): 14,
    ("qkv.qkv_cte_utils.QKV_CTE_UserInput", "2.27"): 18,
    ("qkv.qkv_tkg.qkv_tkg", "2.27"): 7,
    ("qkv.qkv_tkg_layernorm.layernorm_tkg", "2.27"): 2,
    ("qkv.qkv_tkg_rmsnorm.rmsnorm_tkg", "2.27"): 2,
    ("rmsnorm.rmsnorm_quant.RmsNormQuantKernelArgs", "2.27"): 2,
    ("rmsnorm.rmsnorm_quant.rmsnorm_quant_kernel", "2.27"): None,
    ("subkernels.layernorm_tkg.layernorm_tkg", "2.27"): 2,
    ("subkernels.layernorm_tkg.layernorm_tkg_llama_impl", "2.27"): None,
    ("subkernels.rmsnorm_tkg.rmsnorm_tkg", "2.27"): 2,
    ("subkernels.rmsnorm_tkg.rmsnorm_tkg", DECEMBER): 5,
    ("subkernels.rmsnorm_tkg.rmsnorm_tkg_llama_impl", "2.27"): 3,
    ("utils.allocator.SbufManager.alloc_heap", "2.27"): None,
    ("utils.allocator.SbufManager.open_scope", "2.27"): None,
    ("utils.allocator.Scope", "2.27"): 2,
    ("utils.logging.Logger", "2.27"): None,
    ("utils.tensor_view.TensorView", "2.27"): 1,
    ("utils.tensor_view.TensorView", DECEMBER): 1,
    ("utils.tensor_view.TensorView.reshape", "2.27"): None,
    ("utils.tensor_view.TensorView.reshape_dim", "2.27"): None,
    ("utils.tiled_range.TiledRangeIterator", "2.27"): None,
    ("utils.tp_broadcast.tp_broadcast", "2.27"): None,
}


def first_break(call: Mapping[str, Any], form: Mapping[str, Any]) -> int | None:
    renamed = form.get("renamed", {})
    old, new = positional(parameters(form["signature"])), positional(parameters(call["signature"]))
    ahead = [renamed.get(name, name) for name in old]
    return next((i for i, name in enumerate(ahead) if new[i : i + 1] != [name]), None)


@pytest.mark.parametrize(("name", "dialect"), BREAKS)
def test_first_breaking_position(name: str, dialect: str) -> None:
    found = [p for p in CALLS if old_name(*p) == f"nkilib.core.{name}" and p[1]["dialect"] == dialect]
    assert [first_break(*pair) for pair in found] == [BREAKS[name, dialect]]


# -- what a form says about parameters --------------------------------------------------------------------


@pytest.mark.parametrize("pair", CALLS, ids=label)
def test_parameters_named_by_a_form_exist(pair: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
    call, form = pair
    old, new = names(parameters(form["signature"])), names(parameters(call["signature"]))
    keys = "dialect name signature renamed added dropped flags rewrite template step"
    assert set(form) <= set(keys.split())
    assert ("template" in form) == (form["rewrite"] == "template")
    assert form["dialect"] in ("2.27", *DIALECTS)
    for before, after in form.get("renamed", {}).items():
        assert (before in old, before in new, after in old, after in new) == (True, False, False, True)
    assert set(form.get("dropped", ())) <= set(old)
    for name, template in form.get("added", {}).items():
        assert name in new
        assert name not in old
        assert set(re.findall(r"\{(.*?)\}", template)) <= set(old)
        ast.parse(re.sub(r"[{}]", "", template), mode="eval")
    for value in form.get("dropped", {}).values():
        ast.literal_eval(value)
    for before, flag in form.get("flags", {}).items():
        assert before in old
        assert flag["parameter"] in new
        assert NEW.has(flag["true"].rpartition(".")[0])
        assert NEW.has(flag["false"].rpartition(".")[0])


@pytest.mark.parametrize("pair", [p for p in CALLS if p[1]["rewrite"] == "keywords"], ids=label)
def test_mechanical_rewrites_lose_nothing(pair: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
    call, form = pair
    old, new = parameters(form["signature"]), parameters(call["signature"])
    renamed = [form.get("renamed", {}).get(name, name) for name in names(old)]
    assert {n for n in renamed if n not in names(new)} <= set(form.get("dropped", ()))
    assert set(required(new)) <= {*renamed, *form.get("added", ())}


@pytest.mark.parametrize("pair", [p for p in CALLS if p[1]["rewrite"] != "keywords"], ids=label)
def test_other_rewrites_say_what_to_do(pair: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
    assert pair[1]["rewrite"] in {"template", "human"}
    assert pair[1]["step"]


def test_exact_values_of_added_and_dropped_parameters() -> None:
    added = {old_name(c, f).rpartition(".")[2]: f["added"] for c, f in CALLS if "added" in f}
    assert added == {
        "MLPQuantizationParameters": {"clipping_bound": "0.0"},
        "Scope": {"name": '""'},
        "TiledRangeIterator": {"end_offset": "{start_offset} + {tile_size}"},
    }
    dropped = {old_name(c, f).rpartition(".")[2]: f["dropped"] for c, f in CALLS if "dropped" in f}
    assert dropped == {
        "Logger": {"level": "None"},
        "blockwise_mm_baseline_shard_intermediate_hybrid": {"n_block_per_iter": "1"},
        "calculate_head_packing": {"quant_config": "None"},
    }


# -- completeness -----------------------------------------------------------------------------------------


def listed_as_call() -> set[str]:
    return {old_name(*pair) for pair in CALLS} | {call["name"] for call in TABLE["calls"]}


def accounted(name: str) -> bool:
    """Whether the table says something about a name that is not what it was."""
    owner = name.rpartition(".")[0]
    return (
        name in TABLE["symbols"]
        or name in TABLE["removed"]
        or name in listed_as_call()
        or TABLE["throughs"].get(name) in listed_as_call() | NEW.defined
        or name in _behaving()
        or owner in TABLE["modules"]
        or owner in TABLE["removed"]
        or owner in TABLE["symbols"]
        or owner in TABLE["throughs"]
        or owner in _behaving()
    )


def _behaving() -> set[str]:
    return {symbol for behaviour in BEHAVIOURS for symbol in behaviour["symbols"]}


def test_every_changed_public_callable_of_the_tag_is_listed() -> None:
    changed = {
        name
        for name, listed in OLD.callables.items()
        if public(name) and name in NEW.callables and normal(listed) != normal(NEW.callables[name])
    }
    assert len(changed) > 30
    assert changed - listed_as_call() == set()


def test_every_public_name_of_the_tag_that_is_gone_is_accounted_for() -> None:
    gone = {name for name in {*OLD.defined, *OLD.callables} if public(name) and not NEW.has(name)}
    assert len(gone) > 20
    assert {name for name in gone if not accounted(name)} == set()


def test_every_private_helper_of_the_tag_that_breaks_is_listed() -> None:
    breaks = {
        name
        for name, listed in OLD.callables.items()
        if name.rpartition(".")[2].startswith("_") and "__" not in name and breaks_callers(name, listed)
    }
    assert len(breaks) > 20
    assert {name for name in breaks if not accounted(name)} == set()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_public_callable_of_a_dialect_that_breaks_is_accounted_for(dialect: str) -> None:
    listed = DIALECTS[dialect]["callables"]
    breaks = {name for name, params in listed.items() if breaks_callers(name, params)}
    assert len(breaks) > 20
    assert {name for name in breaks if not accounted(name)} == set()


def breaks_callers(name: str, old: list[str]) -> bool:
    """Whether some call that was valid fails or means something else in the new release."""
    new = NEW.signature(name)
    if new is None:
        return not NEW.has(name)
    kept = positional(new)[: len(positional(old))] == positional(old) and set(names(old)) <= set(names(new))
    return not kept or not set(required(new)) <= set(names(old))


# -- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", TABLE["symbols"])
def test_symbols_lead_from_an_old_name_to_a_new_one(old: str) -> None:
    new = TABLE["symbols"][old]
    assert exists_in_old(old)
    assert not NEW.has(old)
    assert NEW.has(new) or new.startswith("nki.language.")


def test_renamed_symbols_keep_their_call() -> None:
    for old, new in TABLE["symbols"].items():
        before, after = OLD.signature(old), NEW.signature(new)
        if before and after and old not in OLD.imports:
            assert normal(before) == normal(after), old


def test_modules_move_to_modules() -> None:
    for table, known in (("modules", True), ("wrong_modules", False)):
        for old, new in TABLE[table].items():
            assert (old in OLD.modules) is known
            assert old not in NEW.modules
            assert new in NEW.modules


def test_moved_modules_keep_their_public_names() -> None:
    for old, new in TABLE["modules"].items():
        assert {n for n in OLD.star(old) if public(n) and f"{old}.{n}" in OLD.defined} <= NEW.star(new)


@pytest.mark.parametrize("path", TABLE["throughs"])
def test_throughs_are_imports(path: str) -> None:
    target = TABLE["throughs"][path]
    in_place = f"{path.rpartition('.')[0]}.{TABLE['symbols'].get(target, path).rpartition('.')[2]}"
    assert NEW.has(path) or NEW.has(in_place)
    assert NEW.origin(path) == NEW.origin(target) or OLD.origin(path) == OLD.origin(target)


def test_throughs_and_symbols_exclude_each_other() -> None:
    assert not set(TABLE["throughs"]) & set(TABLE["symbols"])


@pytest.mark.parametrize("name", TABLE["removed"])
def test_removed_names_were_there_and_are_gone(name: str) -> None:
    assert exists_in_old(name) or name in IN_NO_RELEASE
    assert not NEW.has(name)


def test_stars_are_what_the_modules_bind() -> None:
    assert set(TABLE["stars"]) == {m for m in OLD.modules if OLD.star(m)}
    for module, listed in TABLE["stars"].items():
        assert listed == sorted(OLD.star(module)), module
    assert set(TABLE["new_stars"]) == {m for m in TABLE["stars"] if m in NEW.modules}
    for module, listed in TABLE["new_stars"].items():
        assert listed == sorted(NEW.star(module)), module


def test_stars_of_mlp() -> None:
    old, new = (TABLE[t]["nkilib.core.mlp.mlp"] for t in ("stars", "new_stars"))
    assert {"mlp_kernel", "MLPParameters", "nl"} <= set(old)
    assert {"mlp", "mlp_cte", "mlp_tkg"} <= set(new)
    assert "mlp_kernel" not in new


def test_head() -> None:
    head = TABLE["release"]
    assert (head["product"], head["from"], head["to"], head["root"]) == ("nkilib", "2.27", "2.28", "nkilib")
    assert head["legacy_roots"] == ["nkilib_standalone.nkilib", "nkilib_src.nkilib"]
    assert set(head["root_dialects"]) == set(head["legacy_roots"])
    assert {d for listed in head["root_dialects"].values() for d in listed} == {"2.27", *DIALECTS}
    assert all(NEW.signature(name) for name in head["newly_jitted"])


def test_known_modules() -> None:
    known = TABLE["release"]["known"]
    trees = {*OLD.modules, *NEW.modules, *(m for d in DIALECTS.values() for m in d["modules"])}
    assert set(known) <= trees
    telling = {m for s in (OLD, NEW) for m, content in s.modules.items() if content and m != "nkilib"}
    assert telling <= set(known)
    assert not {"nkilib", "nkilib.core", "nkilib.core.mlp"} & set(known)


def test_types() -> None:
    view = "nkilib.core.utils.tensor_view.TensorView"
    logger = "nkilib.core.utils.logging.Logger"
    assert set(TABLE["types"]) == {view, logger}
    assert TABLE["types"][logger] == {"chain": ["create_child"]}
    assert OLD.signature(f"{logger}.create_child")
    assert not NEW.signature(f"{logger}.create_child")
    entry = TABLE["types"][view]
    assert entry["attributes"] == {"sizes": "shape"}
    assert entry["tuples"] == ["shape", "strides", "get_trivial_strides"]
    assert entry["needs"] == ["dtype"]
    assert all(NEW.signature(f"{view}.{method}") is not None for method in entry["chain"])
    for method, place in entry["integers"].items():
        signature = NEW.signature(f"{view}.{method}")
        assert signature is not None
        assert names(normal(signature))[place["position"]] == place["parameter"]


def test_enumerations() -> None:
    """Values as the sources of both releases have them; every enumeration a call insists on is listed."""
    assert TABLE["enums"] == {
        "nkilib.core.utils.common_types.ActFnType": {"SiLU": 0, "GELU": 1, "GELU_Tanh_Approx": 2, "Swish": 3}
    }
    for call in TABLE["calls"]:
        assert set(call.get("enums", {})) <= set(names(parameters(call["signature"])))
        assert set(call.get("enums", {}).values()) <= set(TABLE["enums"])


# -- behaviours -------------------------------------------------------------------------------------------

KINDS = {"call", "import", "match", "members", "method", "raises", "subclass"}
WITH_VALUE = {"equals", "not"}
WITH_PARAMETER = {"passed", "missing", "computed", *WITH_VALUE}


def known_parameters(symbol: str) -> set[str]:
    found = [
        OLD.signature(symbol),
        NEW.signature(symbol),
        *(d["callables"].get(symbol) for d in DIALECTS.values()),
    ]
    return {name for listed in found if listed for name in names(listed)}


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda b: b["id"])
def test_behaviours_are_well_formed(behaviour: Mapping[str, Any]) -> None:
    assert behaviour["kind"] in KINDS
    assert behaviour["outcome"] in {"noted", "needs-you"}
    assert behaviour["symbols"]
    if behaviour["kind"] == "match":
        assert "parameter" not in behaviour
        assert isinstance(ast.literal_eval(behaviour["value"]), str)
    elif behaviour["when"] == "always":
        assert not {"parameter", "value"} & set(behaviour)
    else:
        assert behaviour["when"] in WITH_PARAMETER
        assert all(behaviour["parameter"] in known_parameters(s) for s in behaviour["symbols"])
        assert ("value" in behaviour) or behaviour["when"] not in WITH_VALUE
    for symbol in behaviour["symbols"]:
        assert NEW.has(symbol) or exists_in_old(symbol) or symbol in TABLE["throughs"]


def test_signatures_of_behaviours_are_those_of_both_releases() -> None:
    for behaviour in BEHAVIOURS:
        if "signature" in behaviour:
            for symbol in behaviour["symbols"]:
                known = NEW.signature(symbol) or NEW.signature(TABLE["throughs"].get(symbol, ""))
                assert known is not None
                assert names(parameters(behaviour["signature"])) == names(known)


def test_values_of_behaviours_exist() -> None:
    for behaviour in BEHAVIOURS:
        value = behaviour.get("value", "")
        if value.startswith("nkilib."):
            owner, _, member = value.rpartition(".")
            module, _, name = owner.rpartition(".")
            assert member in NEW.modules[module]["classes"][name]["members"]
        elif behaviour["when"] == "missing" and value:
            assert all(value in known_parameters(s) for s in behaviour["symbols"])
        elif value:
            ast.literal_eval(value)


def test_behaviour_ids_are_unique() -> None:
    ids = [behaviour["id"] for behaviour in BEHAVIOURS]
    assert sorted(set(ids)) == sorted(ids)


# What fails or changes in silence, from the list of differences: (symbol, kind, parameter).
SILENT = [
    ("nkilib.core.mlp.mlp.mlp_kernel", "call", "activation_fn"),
    ("nkilib.core.mlp.mlp.mlp", "call", "activation_fn"),
    ("nkilib.core.mlp.mlp.mlp_kernel", "call", "use_tkg_gate_up_proj_column_tiling"),
    ("nkilib.core.mlp.mlp.mlp_kernel", "call", "use_tkg_down_proj_column_tiling"),
    ("nkilib.core.mlp.mlp.mlp_kernel", "call", "force_cte_mode"),
    ("nkilib.core.mlp.mlp.mlp_kernel", "call", "down_proj_weights_tensor"),
    ("nkilib.core.mlp.mlp.mlp_kernel", "import", None),
    ("nkilib.core.attention.attention_tkg.AttnTKGConfig", "call", "full_sprior"),
    ("nkilib.core.attention.attention_tkg.AttnTKGConfig", "call", "fuse_rope"),
    ("nkilib.core.attention.attention_tkg.attention_tkg", "call", None),
    ("nkilib.core.attention.attention_tkg.attention_tkg", "call", "active_blocks_table"),
    ("nkilib.core.output_projection.output_projection_utils.calculate_head_packing", "call", None),
    ("nkilib.core.subkernels.rmsnorm_tkg.rmsnorm_tkg", "import", None),
    ("nkilib.core.subkernels.layernorm_tkg.layernorm_tkg", "import", None),
    ("nkilib.core.utils.allocator.SbufManager", "import", None),
    ("nkilib.core.utils.allocator.SbufManager", "subclass", None),
    ("nkilib.core.utils.common_types.QuantizationType", "members", None),
    ("nkilib.core.utils.kernel_helpers.get_max_positive_value_for_dtype", "call", None),
    ("nkilib.core.utils.kernel_helpers.get_nl_act_fn_from_type", "call", None),
    ("nkilib.core.utils.tensor_view.TensorView", "import", None),
    ("nkilib.core.utils.tensor_view.TensorView.broadcast", "method", "dim"),
    ("nkilib.core.utils.tensor_view.TensorView.slice", "method", "end"),
    ("nkilib.core.utils.tensor_view.TensorView.slice", "raises", None),
    ("nkilib.core.utils.tp_broadcast.tp_broadcast", "call", "psum_address"),
]


@pytest.mark.parametrize(("symbol", "kind", "parameter"), SILENT)
def test_silent_changes_are_listed(symbol: str, kind: str, parameter: str | None) -> None:
    assert any(
        symbol in b["symbols"] and b["kind"] == kind and b.get("parameter") == parameter for b in BEHAVIOURS
    )


# -- kernels of the compiler package ----------------------------------------------------------------------

LEGACY: dict[str, tuple[str, ...]] = {
    "_private_kernels.mlp": (
        "mlp_isa_kernel",
        "mlp_fused_add_isa_kernel",
        "quant_mlp_isa_kernel",
        "quant_mlp_fused_add_isa_kernel",
    ),
    "_pre_prod_kernels.mlp_tkg.mlp_tkg_isa": ("nki_mlp_tkg_isa_kernel",),
    "_private_kernels.rmsnorm": ("rmsnorm_quant_isa_kernel",),
    "_private_kernels.qkv": ("rmsnorm_qkv_isa_kernel", "rmsnorm_qkv_isa_fused_add_kernel"),
    "_pre_prod_kernels.qkv": ("nki_qkv_projection_isa_kernel",),
    "_pre_prod_kernels.output_proj": ("output_proj_kernel",),
    "_pre_prod_nkl.output_projection.output_projection_cte": ("output_projection_cte",),
    "_pre_prod_kernels.attn_fwd": ("attention_nki_kernel_adapter",),
    "_private_kernels.attention": ("attention_isa_kernel", "attention_tkg_fwd_isa_kernel"),
    "kernels.attention": (
        "attention_isa_kernel",
        "flash_fwd",
        "flash_attn_bwd",
        "FlashConfig",
        "fused_self_attn_for_SD_small_head_size",
    ),
    "_private_kernels.prefix_caching_attention": ("prefix_caching_attention_fwd_isa_kernel",),
    "_pre_prod_kernels.attention_token_gen": (
        "attention_token_gen_kernel",
        "llama3_nki_attention_block_token_gen_kernel",
        "gen_cache_mask_for_attention_tkg_kernel",
    ),
    "_private_kernels.attention_cte": ("llama3_nki_attention_block_cte_kernel",),
    "_private_kernels.cumsum": ("cumsum",),
    "kernels.cumsum": ("cumsum",),
    "_pre_prod_kernels.topk.topk": ("topk",),
    "_private_kernels.topk.topk": ("topk",),
    "_pre_prod_kernels.max.cascaded_max": ("cascaded_max",),
    "_pre_prod_kernels.moe_token_gen": (
        "moe_token_gen_all_experts_kernel",
        "moe_token_gen_kernel",
        "moe_token_gen_selective_load_kernel",
    ),
    "_pre_prod_kernels": (
        "moe_token_gen",
        "blockwise_mm_shard_on_I",
        "blockwise_matmul",
        "bwmm_mxfp4",
        "ActFnType",
        "NormType",
        "QuantizationType",
        "QKVOutputLayout",
        "RouterActFnType",
        "ExpertAffinityScaleMode",
        "ring_attention",
    ),
    "_private_kernels.router_topk": ("router_topk_isa_kernel",),
    "_private_kernels.expert_mlps": ("expert_mlps_isa_inline_kernel",),
    "_pre_prod_kernels.blockwise_matmul": ("bwmm_shard_on_block",),
    "_private_kernels.blockwise_mm": ("blockwise_mm_baseline_shard_hidden", "SkipMode", "BlockShardStrategy"),
    "_private_kernels": ("blockwise_mm_bwd", "ActFnType"),
    "_pre_prod_kernels.common_types": (
        "ActFnType",
        "NormType",
        "QuantizationType",
        "QKVOutputLayout",
        "RouterActFnType",
        "ExpertAffinityScaleMode",
    ),
    "_pre_prod_kernels.util.kernel_helpers": (
        "get_program_sharding_info",
        "get_verified_program_sharding_info",
    ),
    "_pre_prod_kernels.stream_shuffle_broadcast": ("stream_shuffle_broadcast",),
    "_private_kernels.RoPE": ("RoPE_sbuf",),
    "_private_kernels.conv": ("conv2d_dw_fb01_io01_01bf_rep_nhwc_Pcinh",),
    "kernels": ("vision",),
    "_pre_prod_kernels.collectives": ("CollectivesConfig",),
    "_private.private_api": ("sendrecv", "core_barrier", "nc_matmul_mx", "quantize_mx", "float8_e4m3fn_x4"),
    "_private": ("private_api",),
    "compiler.backends.neuron.dimensions": ("CCPipeline", "VNC"),
    "language": ("nc",),
}
DISTRIBUTED = [
    "neuronx_distributed.kernels.find_nonzero_indices.find_nonzero_indices",
    "neuronx_distributed.kernels.indexed_flatten.indexed_flatten",
    "neuronx_distributed.kernels.topk.topk_rotated",
]


@pytest.mark.parametrize(
    "name", [f"neuronxcc.nki.{m}.{n}" for m, listed in LEGACY.items() for n in listed] + DISTRIBUTED
)
def test_every_legacy_kernel_is_listed_once(name: str) -> None:
    assert sum(name in kernel["old"] for kernel in PRIVATE) == 1


@pytest.mark.parametrize("kernel", PRIVATE, ids=lambda kernel: kernel["old"][0])
def test_legacy_kernels_lead_somewhere(kernel: Mapping[str, Any]) -> None:
    new, step = kernel["new"], kernel["step"]
    assert set(kernel) <= {"old", "new", "exact", "parameters", "step", "snippet", "helper"}
    assert step
    if not new.startswith("nkilib."):
        assert not kernel["exact"]
        return
    assert NEW.has(new)
    assert kernel["snippet"].strip()
    accepted = {"", *names(NEW.signature(new) or ())}
    assert set(kernel["parameters"].values()) <= accepted


def test_only_enums_and_sharding_helpers_are_exact() -> None:
    exact = {kernel["new"].rpartition(".")[2] for kernel in PRIVATE if kernel["exact"]}
    enums = {n for n, c in NEW.modules["nkilib.core.utils.common_types"]["classes"].items() if "members" in c}
    helpers = {"get_program_sharding_info", "get_verified_program_sharding_info"}
    assert exact == enums - {"GateUpDim"} | helpers


@pytest.mark.parametrize("kernel", [k for k in PRIVATE if k.get("snippet")], ids=lambda k: k["old"][0])
def test_snippets_are_code_for_the_new_release(kernel: Mapping[str, Any]) -> None:
    tree = ast.parse(kernel["snippet"])
    homes = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nkilib."):
            for alias in node.names:
                homes[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    assert homes
    assert all(NEW.has(name) for name in homes.values())
    assert NEW.origin(kernel["new"]) in {NEW.origin(name) for name in homes.values()}
    for name, call in kernel_calls(tree):
        listed = NEW.signature(homes[name]) if name in homes else None
        if listed is not None:
            given = [*positional(listed)[: len(call.args)], *(k.arg or "**" for k in call.keywords)]
            assert len(call.args) <= len(positional(listed))
            assert sorted(set(given) & set(names(listed))) == sorted(given)
            assert set(required(listed)) <= set(given)


def kernel_calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Calls of a plain name, launched on a grid or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            callee = node.func.value if isinstance(node.func, ast.Subscript) else node.func
            if isinstance(callee, ast.Name):
                yield callee.id, node


# -- texts ------------------------------------------------------------------------------------------------


def texts() -> Iterator[tuple[str, str]]:
    yield from ((f"removed {name}", step) for name, step in TABLE["removed"].items())
    yield from ((f"inside {module}", held["step"]) for module, held in TABLE["insides"].items())
    yield from ((f"step {label(pair)}", pair[1]["step"]) for pair in CALLS if "step" in pair[1])
    yield from ((f"step {b['id']}", b["step"]) for b in BEHAVIOURS)
    yield from ((f"message {b['id']}", b["message"]) for b in BEHAVIOURS)
    yield from ((f"step {k['old'][0]}", k["step"]) for k in PRIVATE)


@pytest.mark.parametrize(("place", "text"), list(texts()), ids=lambda value: value[:60])
def test_texts_can_be_shown(place: str, text: str) -> None:
    assert text == text.strip()
    assert len(text) > 15
    assert not re.search(r"[\n\r\t]|  |\{\w*\}|\bTODO\b|\bXXX\b|…", text), place
    assert text.endswith(".") is not place.startswith("message")
