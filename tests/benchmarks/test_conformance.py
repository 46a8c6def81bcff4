"""The conformance runner: which cases it takes, and how it reports a small checkout written here."""

import importlib
import json
import subprocess
import sys
import types
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def cases(file, function, number):
    return [f"integration/{file}.py::{function}[{index}]" for index in range(number)]


ALL = [
    *cases("core/test_mlp_tkg", "test_fast", 50),
    *cases("core/test_mlp_tkg", "test_few", 2),
    *cases("core/test_mlp_tkg_model_config", "test_models", 50),
    *cases("core/test_rope", "test_rope", 3),
]


def test_family_is_the_file_without_its_variant(load):
    family = load("conformance_cases").family
    assert {family(case) for case in ALL} == {"mlp_tkg", "rope"}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], ["mlp_cte", "mlp_tkg", "rope", "router_topk"]),
        (["mlp"], ["mlp_cte", "mlp_tkg"]),
        (["mlp_tkg", "rope"], ["mlp_tkg", "rope"]),
    ],
)
def test_families_by_part_of_their_name(load, wanted, found):
    chosen = load("conformance_cases").chosen
    assert [name for name in ("mlp_cte", "mlp_tkg", "rope", "router_topk") if chosen(name, wanted)] == found


def draw_one_by_one(number):
    """As tests do for groups of MX values, and numbers of other kinds."""
    found = []
    for _ in range(number):
        found += [np.random.randint(0, 7), np.random.randint(0, 3), np.random.choice([-1, 1])]
        found += [np.random.random(), np.random.randint(5, 1_000_005)]
    return [*found, *np.random.randint(0, 9, 4), np.random.choice(8), *np.random.random((2, 2)).flat]


@pytest.mark.parametrize("words", [5, 1000])
def test_hastened_inputs_are_the_same(load, monkeypatch, words):
    hastened = load("conformance_speed")
    monkeypatch.setattr(hastened, "WORDS", words)
    results = []
    for function in (draw_one_by_one, hastened.hastened(draw_one_by_one)):
        np.random.seed(4)
        results.append([*function(300), *function(1), *np.random.random(3)])
    assert results[0] == results[1]


def test_goldens_sum_with_blas(load, monkeypatch):
    """The same sums in float32, and NumPy itself stays as it is."""
    hastened = load("conformance_speed")
    home = types.ModuleType(hastened.GOLDENS)
    exec("import numpy as np\ndef golden(a, b): return np.einsum('kiq,kjq->ij', a, b)", vars(home))
    monkeypatch.setitem(sys.modules, hastened.GOLDENS, home)
    plain = np.einsum
    operands = np.random.default_rng(0).random((2, 32, 5, 4), np.float32)
    want = home.golden(*operands)
    hastened.hasten()
    got = home.golden(*operands)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert home.np.einsum is not plain
    assert np.einsum is plain


def test_sample_takes_the_functions_of_a_family_in_turn(load):
    taken = load("conformance_cases").sample(ALL, set(), 6, "1")
    functions = [case.partition("[")[0].rpartition("::")[2] for case in taken]
    assert {name: functions.count(name) for name in set(functions)} == {
        "test_fast": 2,
        "test_few": 2,
        "test_models": 2,
        "test_rope": 3,
    }


def test_sample_is_the_seeds_and_grows(load):
    sample = load("conformance_cases").sample
    first = sample(ALL, set(), 6, "1")
    assert first == sample(ALL, set(), 6, "1")
    assert set(first) != set(sample(ALL, set(), 6, "2"))
    assert set(first) < set(sample(ALL, set(), 12, "1"))


def test_large_cases_fill_up_what_is_missing(load):
    large = {case for case in ALL if "rope" in case or "models" in case}
    taken = load("conformance_cases").sample(ALL, large, 10, "1")
    assert not any("models" in case for case in taken)
    assert sum("rope" in case for case in taken) == 3


@pytest.mark.parametrize(
    ("packed", "element", "values"),
    [
        ("float4_e2m1fn_x4", ml_dtypes.float4_e2m1fn, [0, 0.5, -1, 1.5, 2, 3, -4, 6]),
        ("float8_e4m3fn_x4", ml_dtypes.float8_e4m3fn, [0, 0.5, -1, 448, 2, 3, -240, 6]),
        ("float8_e5m2_x4", ml_dtypes.float8_e5m2, [0, 0.5, -1, 57344, 2, 3, -4, 6]),
    ],
)
def test_casts_pack_four_values(load, packed, element, values):
    imports = load("conformance_imports")
    data = np.array([values, values[::-1]], np.float32)
    result = imports._static_cast(data, packed)
    assert result.shape == (2, 2)
    codes = data.astype(element).view(np.uint8).reshape(2, 2, 4).astype(int)
    width = 4 if "float4" in packed else 8
    expected = sum(codes[..., place] << width * place for place in range(4))
    assert (result.view(f"u{width // 2}") == expected).all()
    assert (imports._static_cast(result, np.float32) == data).all()


CONFTEST = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--test-mode")
    parser.addoption("--platform-target", default="trn2")
    parser.addoption("--output-directory", default="output")

def pytest_collection_modifyitems(items):
    for item in items:
        if "4096" in item.name:
            item.add_marker(pytest.mark.skip(reason="Skipping slow simulation test"))
"""

TESTS = """
import numpy as np
import pytest
from nkilib_src.nkilib.core.double import double
from nkilib_src.nkilib.core.double_torch import golden

@pytest.mark.parametrize("size", [3, 8192 // 2, 5])
def test_double(size):
    x = np.ones((2, size), np.float32)
    assert (double(x) == golden(x)).all()

def test_wrong():
    assert double(np.ones((1, 1), np.float32))[0, 0] == 3

def test_endless():
    while True:
        pass

def test_too_large():
    np.ones(2**30)

@pytest.mark.skip(reason="never")
def test_never():
    pass

def test_trn3(request):
    if request.config.option.platform_target != "trn3":
        pytest.skip("needs trn3")

def test_dies():
    import os
    os._exit(3)
"""

KERNEL = """
import nki
import nki.isa as nisa
import nki.language as nl

@nki.jit
def double(x):
    tile = nl.ndarray(x.shape, x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=2.0)
    out = nl.ndarray(x.shape, x.dtype, buffer=nl.shared_hbm)
    nisa.dma_copy(dst=out, src=tile)
    return out
"""
INSTALL = "import nkisim\n\nnkisim.install()\n"


@pytest.fixture
def checkout(tmp_path):
    files = {
        "src/nkilib_src/nkilib/__init__.py": INSTALL,
        "src/nkilib_src/nkilib/core/double.py": KERNEL,
        "src/nkilib_src/nkilib/core/double_torch.py": "def golden(x):\n    return 2 * x\n",
        "test/pytest.ini": "[pytest]\n",
        "test/conftest.py": CONFTEST,
        "test/integration/test_double.py": TESTS,
        "test/integration/test_other.py": "import nothing_of_that_name\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(checkout, *options):
    command = [sys.executable, str(ROOT / "benchmarks" / "conformance.py"), str(checkout)]
    command += ["--results", str(checkout / "results"), "--seconds", "1", "--gigabytes", "4", *options]
    code = subprocess.run(command, capture_output=True, text=True, timeout=120).returncode
    lines = (checkout / "results" / "results.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return code, {line["case"].rpartition("::")[2]: line["outcome"] for line in found}, found


@pytest.mark.slow
def test_outcomes(checkout):
    code, outcomes, found = run(checkout, "--sample", "20", "--kernels", "upstream")
    assert outcomes == {
        "test_double[3]": "passed",
        "test_double[5]": "passed",
        "test_double[4096]": "passed",
        "test_wrong": "failed",
        "test_endless": "late",
        "test_too_large": "memory",
        "test_trn3": "passed",
        "test_dies": "killed",
        "integration/test_other.py": "failed",
    }
    assert code == 1
    assert next(line for line in found if "test_trn3" in line["case"])["target"] == "trn3"
    assert "assert np.float32(2.0) == 3" in (checkout / "results" / "failures.log").read_text()
    summary = json.loads((checkout / "results" / "summary.json").read_text())
    assert summary["families"]["double"] == {"passed": 4, "failed": 2, "late": 1, "memory": 1}
    wrong = next(line["short"] for line in found if "test_wrong" in line["case"])
    code, outcomes, _ = run(checkout, "--family", "double", "--case", wrong)
    assert (code, outcomes) == (1, {"test_wrong": "failed"})


def used(outcomes):
    """Cases that are counted in a sample."""
    return {name for name, outcome in outcomes.items() if outcome not in ("memory", "skipped")}


@pytest.mark.slow
def test_resume_runs_only_what_is_missing(checkout):
    options = ("--family", "double", "--resume", "--sample")
    _, before, _ = run(checkout, *options, "2")
    assert len(used(before)) == 2
    file = checkout / "results" / "results.jsonl"
    old = file.read_text().replace('"outcome": "passed"', '"outcome": "old"')
    file.write_text(old)
    _, after, _ = run(checkout, *options, "4")
    assert file.read_text().startswith(old)
    assert len(used(after)) == 4


@pytest.mark.slow
def test_a_run_that_breaks_off_is_no_success(checkout):
    """All that was run passed, but the process that should have run the rest is gone."""
    (checkout / "test/integration/test_double.py").write_text(
        "import os\n\ndef test_good():\n    pass\n\ndef test_breaks_the_runner():\n"
        "    os.kill(os.getppid(), 9)\n"
    )
    code, outcomes, _ = run(checkout, "--family", "double", "--processes", "1", "--seed", "0", "1")
    assert code == 1
    assert set(outcomes.values()) <= {"passed"}


@pytest.mark.slow
def test_our_kernels_replace_the_checkouts(checkout):
    """Ours has no such kernel: it is never taken from the checkout, so the file cannot even be imported."""
    code, outcomes, found = run(checkout, "--family", "double", "--kernels", "ours")
    assert (code, outcomes) == (1, {"integration/test_double.py": "failed"})
    assert "our nkilib has no module nkilib.core" in found[0]["error"]


def test_ours_under_the_checkouts_names(load, monkeypatch, tmp_path):
    """One module object under both names, with its own spec; goldens are the checkout's."""
    own, theirs = tmp_path / "own" / "nkilib", tmp_path / "checkout" / "src" / "nkilib_src"
    for folder, text in ((own, "SIDE = 'ours'\n"), (theirs / "nkilib", "SIDE = 'theirs'\n")):
        (folder / "core").mkdir(parents=True)
        for name in ("__init__", "core/__init__", "core/double", "core/double_torch"):
            (folder / f"{name}.py").write_text(text)
    (theirs / "nkilib" / "core" / "only_theirs.py").write_text("")
    (theirs / "nkilib" / "core" / "double_torch.py").write_text(
        "from .double import SIDE as KERNEL\nSIDE = 'theirs'\n"
    )
    for name in [name for name in sys.modules if name.partition(".")[0] in ("nkilib", "nkilib_src")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    monkeypatch.syspath_prepend(str(theirs.parent))
    finder = load("conformance_imports").OwnKernels(theirs.parents[1])
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    try:
        kernel = importlib.import_module("nkilib_src.nkilib.core.double")
        assert kernel is importlib.import_module("nkilib.core.double")
        assert (kernel.SIDE, kernel.__spec__.name) == ("ours", "nkilib.core.double")
        golden = importlib.import_module("nkilib_src.nkilib.core.double_torch")
        assert (golden.SIDE, golden.KERNEL) == ("theirs", "ours")
        with pytest.raises(ModuleNotFoundError, match=r"our nkilib has no module nkilib\.core\.only_theirs"):
            importlib.import_module("nkilib_src.nkilib.core.only_theirs")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] in ("nkilib", "nkilib_src")]:
            del sys.modules[name]
