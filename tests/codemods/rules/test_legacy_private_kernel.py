"""Private kernels of the compiler package (NKM401)."""

from __future__ import annotations

from textwrap import dedent

import pytest
from helpers import check_noop, check_reported, check_sound, check_transformed, migrate

PRE = "neuronxcc.nki._pre_prod_kernels"
PRIVATE = "neuronxcc.nki._private_kernels"
TYPES = "nkilib.core.utils.common_types"


# -- what is the same ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(f"from {PRE} import ActFnType", f"from {TYPES} import ActFnType", id="from the package"),
        pytest.param(
            f"from {PRE}.common_types import NormType as NT, ActFnType",
            f"from {TYPES} import NormType as NT, ActFnType",
            id="several, one with an alias",
        ),
        pytest.param(f"import {PRE}.common_types as ct", f"import {TYPES} as ct", id="a module"),
        pytest.param(
            f"from {PRE} import common_types as ct",
            "from nkilib.core.utils import common_types as ct",
            id="as a name",
        ),
    ],
)
def test_imports(before: str, after: str) -> None:
    use = "\nX = ct.NormType.RMS_NORM, ct.ActFnType\n" if " as ct" in before else "\nX = ActFnType.SiLU\n"
    check_transformed(before + "\n" + use, after + "\n" + use, code="NKM401")


def test_a_plain_import_with_its_chains() -> None:
    old, new = f"{PRE}.util.kernel_helpers", "nkilib.core.utils.kernel_helpers"
    text = "import {0}\n\nINFO = {0}.get_program_sharding_info()\n"
    check_transformed(text.format(old), text.format(new), code="NKM401")


def test_paths_in_strings() -> None:
    check_transformed(
        f'A = "{PRE}.common_types.NormType"\nB = "{PRE}.util.kernel_helpers:get_program_sharding_info"\n',
        f'A = "{TYPES}.NormType"\nB = "nkilib.core.utils.kernel_helpers:get_program_sharding_info"\n',
        code="NKM401",
    )


def test_a_ladder_over_two_homes_of_an_enumeration_collapses() -> None:
    check_transformed(
        f"try:\n    from {PRE}.common_types import ActFnType\n"
        f"except ImportError:\n    from {PRIVATE} import ActFnType\n\nX = ActFnType.SiLU\n",
        f"from {TYPES} import ActFnType\n\nX = ActFnType.SiLU\n",
    )


def test_a_ladder_that_runs_on_both_releases_stays() -> None:
    text = (
        f"try:\n    from {TYPES} import ActFnType\n"
        f"except ImportError:\n    from {PRE}.common_types import ActFnType\n\nX = ActFnType.SiLU\n"
    )
    result = migrate({"app.py": text})
    assert not result.changed
    assert {f.outcome.value for f in result.at("app.py")} == {"noted"}


@pytest.mark.parametrize("use", ["X = describe(ct)", "X = ct.Unlisted", "X = ct.NormType, ct.ActFnType, ct"])
def test_a_module_of_which_more_is_used_stays(use: str) -> None:
    check_reported(f"import {PRE}.common_types as ct\n\n{use}\n", "NKM401", 1, TYPES)


def test_enumerations_wait_for_the_kernels_that_take_them() -> None:
    text = f"""\
    from {PRE}.common_types import NormType
    from {PRE}.util.kernel_helpers import get_program_sharding_info
    from {PRIVATE}.qkv import rmsnorm_qkv_isa_kernel
    rmsnorm_qkv_isa_kernel(x, w, g, out, norm_type=NormType.RMS_NORM, info=get_program_sharding_info())
    """
    result = migrate({"app.py": dedent(text)})
    check_sound(result)
    outcomes = {(f.line, f.outcome.value) for f in result.at("app.py") if f.code == "NKM401"}
    assert outcomes == {(1, "needs-you"), (2, "rewritten"), (3, "needs-you"), (4, "needs-you")}
    assert "together with the kernels" in result.at("app.py", 1)[0].step


@pytest.mark.parametrize(
    "use",
    [
        "run_case(x, act=ActFnType.SiLU)",
        "from .cases import run_case\nrun_case(ActFnType.SiLU if x else None)",
        "CASES = [make(dict(act=ActFnType.SiLU))]",
        "self.run(x)(ActFnType)",
    ],
)
def test_enumerations_that_another_function_is_given_wait_too(use: str) -> None:
    """It may give them to a private kernel, in a file of its own."""
    check_reported(f"from {PRE}.common_types import ActFnType\n\n{use}\n", "NKM401", 1, TYPES)


@pytest.mark.parametrize(
    "use",
    [
        "from nkilib.core.mlp.mlp import mlp\n\nmlp(x, g, u, d, activation_fn=ActFnType.SiLU)",
        "print(str(ActFnType.SiLU), TABLE[ActFnType.SiLU], ActFnType.SiLU == x)",
        "def default(act=ActFnType.SiLU):\n    return [ActFnType.GELU, act]",
    ],
)
def test_enumerations_that_nobody_else_is_given_move(use: str) -> None:
    before = f"from {PRE}.common_types import ActFnType\n{use}\n"
    assert f"from {TYPES} import ActFnType\n" in migrate({"app.py": before}).text("app.py")


HELPER = f"from {PRE}.util.kernel_helpers import get_program_sharding_info\n"
KERNEL = """
@nki.jit
def copy(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm){use}
    nl.store(out, nl.load(x))
    return out
"""


def test_a_helper_that_no_function_uses_moves_with_its_file() -> None:
    """It would move in a second run, when its file has the new language."""
    text = (
        f"import neuronxcc.nki as nki\nimport neuronxcc.nki.language as nl\n{HELPER}{KERNEL.format(use='')}"
    )
    new = migrate({"app.py": text}).text("app.py")
    assert "from nkilib.core.utils.kernel_helpers import get_program_sharding_info\n" in new
    assert "neuronxcc" not in new


def test_a_helper_that_a_kernel_uses_waits_with_it() -> None:
    use = "\n    grid, programs, core = get_program_sharding_info()"
    text = (
        f"import neuronxcc.nki as nki\nimport neuronxcc.nki.language as nl\n{HELPER}{KERNEL.format(use=use)}"
    )
    assert not migrate({"app.py": text}).changed


# -- kernels ------------------------------------------------------------------------------------------------


def reported(text: str) -> dict[int, str]:
    """Line → message and step of what needs a person; nothing may have changed."""
    result = migrate({"app.py": dedent(text)})
    assert not result.changed
    check_sound(result)
    return {f.line: f"{f.message}\n{f.step}" for f in result.at("app.py") if f.outcome.value == "needs-you"}


def test_the_import_says_what_became_of_the_parameters_and_the_call_shows_code() -> None:
    found = reported(f"""\
    from {PRIVATE}.mlp import mlp_isa_kernel
    def run(x, ln, g, u, d, out):
        mlp_isa_kernel(x, ln, g, u, d, out, kernel_name="MLP")
    """)
    assert set(found) == {1, 3}
    assert "`nkilib.core.mlp.mlp.mlp`" in found[1]
    assert "gate_w → gate_proj_weights_tensor" in found[1]
    assert "No longer parameters: out, kernel_name." in found[1]
    assert "from nkilib.core.mlp.mlp import mlp\n" not in found[1]
    assert "\n\nfrom nkilib.core.mlp.mlp import mlp\n" in found[3]
    assert "    hidden_tensor=hidden,\n" in found[3]


def test_without_a_call_the_import_shows_the_code() -> None:
    found = reported(f"from {PRIVATE}.cumsum import cumsum as kernel\nTABLE = [kernel]\n")
    assert "output = cumsum(x, axis=1)" in found[1]


@pytest.mark.parametrize(
    "body",
    [
        "f = nki_jit()(kernel)\nf(q, k, v, 1.0, out, kernel_name='X')",
        "f = nki.jit(kernel)[grid]\nf(q, k, v, 1.0, out)",
        "kernel[(nc(2),)](q, k, v, 1.0, out)",
        "f = partial(kernel[2], q, k)",
        "f = peel_decorations(kernel)\nf(q, k, v)",
        "f = nki_jit()(enable_stack_allocator(kernel, log_level=3))\nf(q, k, v)",
        "f = kernel if flag else None\nf(q, k, v)",
        "TABLE = {'a': kernel}\nTABLE['a'](q, k, v)",
    ],
)
def test_calls_through_wrappers(body: str) -> None:
    text = (
        "from functools import partial\nfrom torch_neuronx.xla_impl.ops import nki_jit\n"
        "import neuronxcc.nki as nki\n"
        f"from {PRIVATE}.attention import attention_isa_kernel as kernel\n{body}\n"
    )
    found = reported(text)
    assert set(found) == {4, text.count("\n")}
    assert "attention_cte[lnc](" in found[text.count("\n")]


def test_a_ladder_over_two_homes_of_one_kernel() -> None:
    found = reported(f"""\
    try:
        from {PRIVATE}.attention import attention_isa_kernel
        HAS_NKI = True
    except ImportError:
        from neuronxcc.nki.kernels.attention import attention_isa_kernel
        HAS_NKI = False
    def run(q, k, v, out):
        attention_isa_kernel(q, k, v, 1.0, out)
    """)
    assert set(found) == {2, 5, 8}


def test_a_fallback_for_older_releases_is_noted() -> None:
    text = """\
    try:
        from nkilib.core.attention.attention_cte import attention_cte as kernel
    except ImportError:
        from neuronxcc.nki.kernels.attention import attention_isa_kernel as kernel
    def run(q, k, v):
        return kernel(q, k, v)
    """
    result = migrate({"app.py": dedent(text)})
    check_sound(result)
    assert [(f.line, f.outcome.value) for f in result.at("app.py") if f.code == "NKM401"] == [(4, "noted")]


def test_loaded_by_name() -> None:
    found = reported(f"""\
    import importlib
    module = importlib.import_module("{PRE}.mlp_tkg.mlp_tkg_isa")
    kernel = getattr(module, "nki_mlp_tkg_isa_kernel")
    kernel(hidden=x)
    """)
    assert set(found) == {2, 4}
    assert "nkilib.core.mlp.mlp.mlp" in found[2]
    assert "hidden_tensor=" in found[4]


def test_modules_of_kernels() -> None:
    found = reported(f"""\
    import {PRIVATE}.mlp as kernels
    from {PRIVATE} import attention
    kernels.mlp_isa_kernel(x)
    attention.attention_isa_kernel(q)
    """)
    assert set(found) == {1, 2, 3, 4}
    assert "`mlp_isa_kernel`" in found[1]
    assert "quant_mlp" not in found[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"from {PRIVATE}.something import kernel\n", "No home in nkilib is known"),
        (f"from {PRIVATE}.attention import *\n", "attention_isa_kernel"),
        (f"from {PRIVATE}.attention_cte import llama3_nki_attention_block_cte_kernel\n", "compose qkv"),
        ("from neuronxcc.nki._private.private_api import sendrecv\n", "nki.isa.sendrecv"),
        (f'PATH = "{PRIVATE}.mlp.mlp_isa_kernel"\n', "nkilib.core.mlp.mlp.mlp"),
        (f'PATH = "{PRIVATE}.mlp"\n', "quant_mlp_isa_kernel"),
        ("from neuronx_distributed.kernels.topk import topk_rotated  # neuronxcc\n", "nkilib.core.topk.topk"),
    ],
)
def test_for_a_person(text: str, says: str) -> None:
    check_reported(text, "NKM401", 1, says)


def test_one_finding_for_a_call_that_may_reach_two() -> None:
    found = reported(f"""\
    from {PRIVATE}.mlp import mlp_fused_add_isa_kernel, mlp_isa_kernel
    kernel = mlp_fused_add_isa_kernel if fused else mlp_isa_kernel
    kernel[grid](x, ln, g, u, d, out)
    """)
    assert found[3].startswith("`mlp_fused_add_isa_kernel` is")
    assert "; `mlp_isa_kernel` is" in found[3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f'def f(name):\n    return load(f"{PRE}.{{name}}")\n', "decided at run time"),
        (f'def f(name):\n    return load("{PRIVATE}." + name)\n', "decided at run time"),
        ('NKI = "neuronxcc"\nK = NKIImport("mlp_isa_kernel", module_name="mlp")\n', "hidden_tensor"),
        ('NKI = "neuronxcc"\nregister(kernel="bwmm_shard_on_block")\n', "moe_cte.bwmm_shard_on_block"),
    ],
)
def test_kernels_that_are_chosen_by_name(text: str, says: str) -> None:
    check_reported(text, "NKM401", 2, says)


def test_a_module_called_like_its_kernel_is_not_the_kernel() -> None:
    text = 'NKI = "neuronxcc"\nK = NKIImport("blockwise_mm_bwd", module_name="blockwise_mm_bwd")\n'
    assert [(f.line, f.column) for f in migrate({"app.py": text}).findings if f.code == "NKM401"] == [(2, 15)]


def test_launch_helpers_matter_beside_a_kernel_only() -> None:
    helper = "from neuronxcc.nki.language import nc\n"
    assert "NKM401" not in {f.code for f in migrate({"app.py": helper + "own[nc(2)](x)\n"}).findings}
    found = reported(helper + f"from {PRIVATE}.cumsum import cumsum\ncumsum[nc(2)](x)\n")
    assert set(found) == {1, 2, 3}
    assert "plain int" in found[1]
    language = "import neuronxcc.nki.language as nl\n"
    assert set(reported(language + f"from {PRIVATE}.cumsum import cumsum\nX = nl\n")) == {2}


@pytest.mark.parametrize(
    "text",
    [
        'X = {"mlp_isa_kernel": 1}, log("mlp_isa_kernel"), "neuronxcc"\n',
        f'"""{PRIVATE}.mlp.mlp_isa_kernel"""\nX = "import {PRIVATE}.mlp"\n',
        "from app._private_kernels.mlp import mlp_isa_kernel\nmlp_isa_kernel(neuronxcc)\n",
        "from neuronx_distributed.parallel_layers import layers\nX = layers, 'neuronxcc'\n",
    ],
)
def test_untouched(text: str) -> None:
    check_noop(text)
