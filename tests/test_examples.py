"""The example package: what becomes of each of its places, and that the demonstration keeps its promises.

What is expected was read off the two releases' signatures by hand; see the comments in the table.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from helpers import Result, check_sound, migrate

FOLDER = Path(__file__).resolve().parent.parent / "examples"
LEGACY = "llama_trn/kernels/legacy.py"
UNPARSABLE = "scripts/dump_weights.py"

# file, line as it was, line as it must become (without indentation)
REWRITTEN = [
    # a name that the package's users import stays
    (
        "llama_trn/kernels/__init__.py",
        "from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel",
        "from nkilib.core.mlp.mlp import mlp as mlp_kernel",
    ),
    # 2.28 inserts at 13 of mlp; the instance attribute and its launch hold the kernel
    (
        "llama_trn/mlp.py",
        "hidden.dtype, False, self.eps,  # output in HBM",
        "output_dtype=hidden.dtype, store_output_in_sbuf=False, eps=self.eps,  # output in HBM",
    ),
    (
        "llama_trn/mlp.py",
        "ActFnType.SiLU, NormType.NO_NORM, torch.bfloat16)",
        "ActFnType.SiLU, NormType.NO_NORM, output_dtype=torch.bfloat16)",
    ),
    # … at 4 of qkv, silently …
    (
        "llama_trn/attention.py",
        "True, mlp_prev, attention_prev, NormType.RMS_NORM, self.gamma,",
        "fused_residual_add=True, mlp_prev=mlp_prev, attention_prev=attention_prev,"
        " fused_norm_type=NormType.RMS_NORM, gamma_norm_weights=self.gamma,",
    ),
    # … at 7 of qkv_tkg, reached through the package's own module and directly …
    (
        "llama_trn/attention.py",
        "self.config.d_head, QKVOutputLayout.NBSd,",
        "self.config.d_head, output_layout=QKVOutputLayout.NBSd,",
    ),
    (
        "llama_trn/kernels/decode.py",
        "QKVOutputLayout.NBSd,",
        "output_layout=QKVOutputLayout.NBSd,",
    ),
    ("llama_trn/kernels/decode.py", "NormType.NO_NORM,", "norm_type=NormType.NO_NORM,"),
    # … at 3 of output_projection_tkg …
    (
        "llama_trn/attention.py",
        "return kernels.output_projection_tkg[self.config.lnc](attended, self.o_weight, None, False, False)",
        "return kernels.output_projection_tkg[self.config.lnc]"
        "(attended, self.o_weight, None, TRANSPOSE_OUT=False, OUT_IN_SB=False)",
    ),
    # … and at 2 of RmsNormQuantKernelArgs
    (
        "llama_trn/quantize.py",
        "PLAIN = RmsNormQuantKernelArgs(0.0, NormType.RMS_NORM, 1e-5)",
        "PLAIN = RmsNormQuantKernelArgs(0.0, NormType.RMS_NORM, eps=1e-5)",
    ),
    (
        "llama_trn/quantize.py",
        "from nkilib_standalone.nkilib.core.utils.kernel_helpers"
        " import get_nl_act_fn_from_type_hack as activation_of",
        "from nkilib.core.utils.kernel_helpers import get_nl_act_fn_from_type as activation_of",
    ),
    # a new required parameter that follows from the old ones
    (
        "llama_trn/kernels/layouts.py",
        "return TiledRangeIterator(size, len(tiles) - 1, start)",
        "return TiledRangeIterator(size, len(tiles) - 1, start, end_offset=start + size)",
    ),
    # receivers of a proven type: annotated, chained, from an annotated list
    ("llama_trn/kernels/layouts.py", "return view.sizes[1]", "return view.shape[1]"),
    ("llama_trn/kernels/layouts.py", "return view.sizes + [1]", "return list(view.shape) + [1]"),
    (
        "llama_trn/kernels/layouts.py",
        "return TensorView(cache).permute([0, 2, 1, 3]).sizes[1]",
        "return TensorView(cache).permute([0, 2, 1, 3]).shape[1]",
    ),
    ("llama_trn/kernels/layouts.py", "for size in view.sizes:", "for size in view.shape:"),
    (
        "llama_trn/kernels/layouts.py",
        "return view.reshape_dim(dim=2, sizes=[heads, d_head])",
        "return view.reshape_dim(dim=2, shape=[heads, d_head])",
    ),
    # the constructor takes the base alone
    (
        "llama_trn/kernels/layouts.py",
        "return TensorView(cache, [columns, rows], [1, columns], 0)",
        "return TensorView(cache)._copy(shape=(columns, rows), strides=(1, columns), offset=0)",
    ),
    # 2.28 jits it; the second arm of the ladder above would import the same
    (
        "llama_trn/kernels/prefill.py",
        "attention_cte = nki.jit(_attention_cte)",
        "attention_cte = _attention_cte",
    ),
    # texts that name a symbol or a module
    (
        "tests/test_mlp.py",
        '@mock.patch("nkilib_standalone.nkilib.core.mlp.mlp.mlp_kernel")',
        '@mock.patch("nkilib.core.mlp.mlp.mlp")',
    ),
    (
        "llama_trn/registry.py",
        '"mlp": "nkilib_standalone.nkilib.core.mlp.mlp:mlp_kernel",',
        '"mlp": "nkilib.core.mlp.mlp:mlp",',
    ),
    ("llama_trn/registry.py", 'ROOT = "nkilib_standalone.nkilib"', 'ROOT = "nkilib"'),
    (
        "conf/model/llama3_8b.yaml",
        "_target_: nkilib_standalone.nkilib.core.rmsnorm.rmsnorm_quant.RmsNormQuantKernelArgs",
        "_target_: nkilib.core.rmsnorm.rmsnorm_quant.RmsNormQuantKernelArgs",
    ),
    # a legacy helper with the same signature
    (
        LEGACY,
        "from neuronxcc.nki._pre_prod_kernels.util.kernel_helpers import get_program_sharding_info",
        "from nkilib.core.utils.kernel_helpers import get_program_sharding_info",
    ),
]

# file, line that stays as it is and has no finding
SILENT = [
    (
        "llama_trn/attention.py",
        "self.project = partial(qkv[config.lnc], fused_qkv_weights=self.qkv_weight)",
    ),
    ("llama_trn/kernels/layouts.py", "return sum(self.sizes)"),
    ("llama_trn/kernels/layouts.py", "return count * itemsize + sum(plan.sizes)"),
    ("llama_trn/mlp.py", "mlp_kernel[2](hidden, gate, up, down)"),
    ("llama_trn/mlp.py", "mlp_kernel[2](hidden, gate, up, down, None, *no_biases)"),
    ("llama_trn/quantize.py", "CLIPPED = RmsNormQuantKernelArgs(lower_bound=1200.0)"),
    ("tests/test_mlp.py", '@mock.patch("llama_trn.mlp.mlp_kernel")'),
]

# file, line of the old text, what the finding must mention: exactly these places need a person
NEEDS_YOU = [
    ("llama_trn/attention.py", "return qkv(hidden, weight, *rest)", "fused_residual_add"),
    (
        "llama_trn/kernels/decode.py",
        "return rmsnorm_tkg(inp=hidden, gamma=gamma, output_in_sbuf=in_sbuf)",
        "output",
    ),
    ("llama_trn/kernels/layouts.py", 'return "x".join(str(size) for size in buffer.sizes)', "sizes"),
    ("llama_trn/kernels/layouts.py", "return TiledRangeIterator(min(length, tile), 0, 0)", "end_offset"),
    # legacy kernels that are called differently, and what belongs to them
    (
        LEGACY,
        "from neuronxcc.nki._pre_prod_kernels import NormType as LegacyNormType",
        "common_types.NormType",
    ),
    (LEGACY, "from neuronxcc.nki._private_kernels.cumsum import cumsum", "nkilib.core.cumsum.cumsum.cumsum"),
    (LEGACY, "_cumsum(probabilities, out, axis=1)", "nkilib.core.cumsum.cumsum.cumsum"),
    (LEGACY, "from neuronxcc.nki._private_kernels.mlp import mlp_isa_kernel", "nkilib.core.mlp.mlp.mlp"),
    (
        LEGACY,
        'mlp_isa_kernel[grid](hidden, gamma, gate, up, down, out, kernel_name="MLP")',
        "output = mlp[lnc](",
    ),
    (LEGACY, "from neuronxcc.nki.language import nc", "plain int"),
    ("llama_trn/registry.py", "nklog.GLOBAL_LOG_LEVEL = nklog.LogLevel.OFF", "NKILIB_LOG_LEVEL"),
]


@pytest.fixture(scope="module")
def result() -> Result:
    root = FOLDER / "llama_trn"
    files = [p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return migrate({p.relative_to(root).as_posix(): p.read_bytes() for p in files})


def lines_of(result: Result, path: str, text: str) -> list[int]:
    old = stripped(result.before[path].decode())
    return [number for number, line in enumerate(old, 1) if line == text]


def stripped(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_every_output_parses_and_a_second_run_changes_nothing(result: Result) -> None:
    check_sound(result)


@pytest.mark.parametrize(("path", "old", "new"), REWRITTEN, ids=str)
def test_rewritten(result: Result, path: str, old: str, new: str) -> None:
    (line,) = lines_of(result, path, old)
    lines = stripped(result.text(path))
    assert new in lines
    assert old not in lines
    assert any(f.edits for f in result.at(path, line))


@pytest.mark.parametrize(("path", "text"), SILENT, ids=str)
def test_left_alone(result: Result, path: str, text: str) -> None:
    (line,) = lines_of(result, path, text)
    assert text in stripped(result.text(path))
    assert not result.at(path, line)


def test_what_needs_a_person_is_exactly_this(result: Result) -> None:
    found = Counter((f.path, f.line) for f in result.findings if f.outcome.value == "needs-you")
    expected = Counter[tuple[str, int]]()
    for path, text, mention in NEEDS_YOU:
        line = lines_of(result, path, text)[0] if text else 1
        expected[path, line] += 1
        said = [f"{f.message} {f.step}" for f in result.at(path, line) if f.outcome.value == "needs-you"]
        assert any(mention in s for s in said), said
    assert found == expected


@pytest.mark.parametrize(
    ("function", "allocator", "buffer", "arguments"),
    [
        # output_in_sbuf=True, with the caller's manager: its stack, as the heap was not asked for
        ("norm_and_qkv", "sbm.alloc_stack", "nl.sbuf", {"input": "hidden", "gamma": "gamma", "sbm": "sbm"}),
        # the default was an output in HBM; the third positional argument is eps here …
        ("final_norm", "nl.ndarray", "nl.shared_hbm", {"gamma": "gamma", "eps": "eps"}),
        # … and beta there
        ("final_norm", "nl.ndarray", "nl.shared_hbm", {"gamma": "gamma", "beta": "beta", "eps": "eps"}),
    ],
    ids=["in SBUF", "rmsnorm in HBM", "layernorm in HBM"],
)
def test_norms_write_into_an_output_of_the_caller(
    result: Result, function: str, allocator: str, buffer: str, arguments: dict[str, str]
) -> None:
    tree = ast.parse(result.text("llama_trn/kernels/decode.py"))
    (scope,) = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function]
    calls = [n for n in ast.walk(scope) if isinstance(n, ast.Call)]
    norms = [n for n in calls if ast.unparse(n.func).endswith("norm_tkg")]
    (norm,) = [n for n in norms if ("beta" in arguments) == ast.unparse(n.func).startswith("layer")]
    given = dict(zip(("input", "gamma"), map(ast.unparse, norm.args), strict=False))
    given |= {str(k.arg): ast.unparse(k.value) for k in norm.keywords}
    output = given.pop("output")
    assert arguments.items() <= given.items()
    assert given.keys() <= {"input", "gamma", "beta", "eps", "sbm"}
    (made,) = [
        n.value
        for n in ast.walk(scope)
        if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == output and n.lineno < norm.lineno
    ]
    assert isinstance(made, ast.Call)
    assert ast.unparse(made.func) == allocator
    assert {k.arg: ast.unparse(k.value) for k in made.keywords}["buffer"] == buffer


def test_honoured_activation_is_noted(result: Result) -> None:
    text = "self.run = functools.partial(mlp_kernel[config.lnc], activation_fn=ActFnType.GELU)"
    (line,) = lines_of(result, "llama_trn/mlp.py", text)
    noted = [f.message for f in result.at("llama_trn/mlp.py", line) if f.outcome.value == "noted"]
    assert len(noted) == 1
    assert "activation" in noted[0]


def test_the_file_that_does_not_parse_is_reported_and_left_alone(result: Result) -> None:
    (problem,) = result.problems
    assert (problem.path, problem.code, problem.line) == (UNPARSABLE, "NKM901", 8)
    assert result.after[UNPARSABLE] == result.before[UNPARSABLE]
    with pytest.raises(SyntaxError):
        ast.parse(result.before[UNPARSABLE])


def test_no_old_name_is_left_unreported(result: Result) -> None:
    """Independent of any rule: where an old root or kernel name still stands, a finding covers it."""
    for path, data in result.after.items():
        if path == UNPARSABLE or not path.endswith((".py", ".yaml", ".toml")):
            continue
        for line in stripped(data.decode()):
            if "nkilib_standalone" in line or "neuronxcc.nki._" in line:
                (place,) = lines_of(result, path, line)
                assert result.at(path, place), f"{path}: {line}"


def nkimigrate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nkimigrate", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8")


def test_counts_add_up(result: Result) -> None:
    done = nkimigrate(
        "--check", "--isolated", "--no-cache", "--output-format", "json", "llama_trn", cwd=FOLDER
    )
    report = json.loads(done.stdout)
    summary = report["summary"]
    kinds = ("rewritten", "rewritten_with_note", "noted", "needs_you")
    assert done.returncode == 3
    assert summary["places"] == len(report["findings"]) == len(result.findings)
    assert summary["places"] == sum(summary[kind] for kind in kinds)
    assert summary["changed_files"] == len(result.changed)
    assert summary["problem_files"] == len(report["problems"]) == 1
    for kind in kinds:
        assert summary[kind] == sum(rule[kind] for rule in report["rules"])


def test_demonstration(tmp_path: Path) -> None:
    command = Path(sys.executable).parent / "nkimigrate"
    done = subprocess.run(
        [sys.executable, FOLDER / "demo.py", command, tmp_path], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fused_residual_add=True" in done.stdout
    assert "NO " not in done.stdout
