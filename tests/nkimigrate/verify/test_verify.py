"""``nkimigrate verify`` as users meet it; every kernel here runs, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from verified import ADD_NEW, ADD_OLD, ADD_SPEC, NEW, OLD, Verifier

RMS_OLD = """
@nki.jit
def rms(x, eps=1e-6):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.load(x)
    total = nl.sum(nl.multiply(tile, tile), axis=[1], keepdims=True)
    nl.store(out, tile / nl.sqrt(total / x.shape[1] + eps))
    return out
"""
RMS_NEW = """
@nki.jit
def rms(x, eps=1e-6):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    squares = nl.ndarray(x.shape, dtype=nl.SQUARES, buffer=nl.sbuf)
    nisa.tensor_tensor(dst=squares, data1=tile, data2=tile, op=nl.multiply)
    total = nl.ndarray((x.shape[0], 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_reduce(dst=total, op=nl.add, data=squares, axis=1)
    nisa.tensor_scalar(
        dst=total, data=total, op0=nl.multiply, operand0=1 / x.shape[1], op1=nl.add, operand1=eps
    )
    nisa.activation(dst=total, op=nl.rsqrt, data=total)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=total)
    nisa.dma_copy(dst=out, src=tile)
    return out
"""
RMS_SPEC = '[[kernel]]\nname = "rms"\n[kernel.inputs]\nx = { shape = [128, 256] }\n'


def test_equal_bit_by_bit(verifier: Verifier) -> None:
    verifier.write({"old/k.py": OLD + ADD_OLD, "new/k.py": NEW + ADD_NEW, "nkimigrate_verify.toml": ADD_SPEC})
    code, out, err = verifier.command("verify", "old", "new")
    assert code == 0
    assert out == "k.py::add: equal bit by bit\n1 run: 1 equal bit by bit\n"
    assert err == "Running your code: 1 kernel, old and new (Ctrl-C stops)\n"


REDUCED_OLD = """
@nki.jit
def reduced(x, op):
    out = nl.ndarray((x.shape[0], 1), dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nisa.tensor_reduce(op, nl.load(x), axis=[1], keepdims=True))
    return out
"""
REDUCED_NEW = """
@nki.jit
def reduced(x, op):
    out = nl.ndarray((x.shape[0], 1), dtype=x.dtype, buffer=nl.shared_hbm)
    tile = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=x)
    total = nl.ndarray((x.shape[0], 1), dtype=x.dtype, buffer=nl.sbuf)
    nisa.tensor_reduce(dst=total, op=op, data=tile, axis=1)
    nisa.dma_copy(dst=out, src=total)
    return out
"""
REDUCED_SPEC = """
[[kernel]]
name = "reduced"
[kernel.inputs]
x = { shape = [16, 8] }
op = { python = "np.max" }
"""


def test_functions_of_numpy_are_names_of_the_language_on_the_new_side(verifier: Verifier) -> None:
    code, results = verifier.results(OLD + REDUCED_OLD, NEW + REDUCED_NEW, REDUCED_SPEC)
    assert (code, [r["verdict"] for r in results]) == (0, ["identical"])
    code, results = verifier.results(OLD + REDUCED_OLD, NEW + REDUCED_NEW.replace("op=op", "op=nl.add"))
    assert [r["verdict"] for r in results] == ["different"]


ROWS_OLD = """
@nki.jit
def rows(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i = nl.program_id(0)
    nl.store(out[i * 128 : (i + 1) * 128, 0:32], nl.exp(nl.load(x[i * 128 : (i + 1) * 128, 0:32])))
    return out


@nki.jit
def floors(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i = nl.program_id(0)
    nl.store(out[i * 128 : (i + 1) * 128, 0:32], nl.floor(nl.load(x[i * 128 : (i + 1) * 128, 0:32])))
    return out


def main():
    x = np.random.rand(256, 32).astype(np.float32) * 9
    return rows[x.shape[0] // 128](x), floors[2](x)
"""


def test_a_file_with_kernels_of_both_languages(verifier: Verifier) -> None:
    """One kernel is migrated and takes no grid any more; the other one waits, and keeps its own."""
    entry = '[[kernel]]\nname = "{}"\ngrid = [2]\n[kernel.inputs]\nx = {{ shape = [256, 32] }}\n'
    spec = entry.format("rows") + entry.format("floors")
    verifier.write({"k.py": OLD + ROWS_OLD, "nkimigrate_verify.toml": spec})
    code, out, err = verifier.command("k.py", "--verify")
    assert "import neuronxcc.nki as legacy_nki\n" in (verifier.folder / "k.py").read_text()
    assert "k.py::rows: equal bit by bit" in out + err
    assert "k.py::floors: equal bit by bit" in out + err
    assert code == 1  # floors is left to a person


def test_equal_within_tolerance_says_the_largest_error(verifier: Verifier) -> None:
    found = verifier.result(OLD + RMS_OLD, NEW + RMS_NEW.replace("SQUARES", "float32"), RMS_SPEC)
    assert found["verdict"] == "close"
    (output,) = found["outputs"]
    assert 0 < output["largest_error"] < 1e-5
    assert 0 < output["relative_error"] <= output["allowed"]
    text = verifier.command("verify", "old", "new")[1]
    assert f"largest error {output['largest_error']:.2e}" in text


def test_a_rounding_that_was_not_there_is_found(verifier: Verifier) -> None:
    found = verifier.result(OLD + RMS_OLD, NEW + RMS_NEW.replace("SQUARES", "bfloat16"), RMS_SPEC)
    assert found["verdict"] == "different"
    assert "differ" in found["outputs"][0]["reason"]


SUBTRACT = "nl.store(out, nl.subtract(nl.load(a), nl.load(b)))"
PLANTED = {
    "swapped argument": ("data1=left, data2=right, op=nl.add", "data1=right, data2=left, op=nl.subtract"),
    "missing rows": (
        "nisa.dma_copy(dst=out, src=left)",
        "nisa.dma_copy(dst=out[0:127, :], src=left[0:127, :])",
    ),
    "another type": (
        "out = nl.ndarray(a.shape, dtype=a.dtype",
        "out = nl.ndarray(a.shape, dtype=nl.bfloat16",
    ),
    "another shape": ("    return out", "    return out.reshape((64, 128))"),
    "nothing returned": ("    return out", "    return None"),
    "one more result": ("    return out", "    return out, out"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_difference_is_found(verifier: Verifier, kind: str) -> None:
    was, becomes = PLANTED[kind]
    old = (
        ADD_OLD.replace("nl.store(out, nl.add(nl.load(a), nl.load(b)))", SUBTRACT)
        if "swapped" in kind
        else ADD_OLD
    )
    assert was in ADD_NEW
    code, (found,) = verifier.results(OLD + old, NEW + ADD_NEW.replace(was, becomes), ADD_SPEC)
    assert (code, found["verdict"]) == (1, "different")
    assert any(output["reason"] for output in found["outputs"])


def test_unwritten_memory_is_named_as_such(verifier: Verifier) -> None:
    broken = ADD_NEW.replace(
        "nisa.dma_copy(dst=right, src=b)", "nisa.dma_copy(dst=right[0:64, :], src=b[0:64, :])"
    )
    found = verifier.result(OLD + ADD_OLD, NEW + broken, ADD_SPEC)
    assert "4096 of them NaN only in new: is all of it written?" in found["outputs"][0]["reason"]


# -- outputs ------------------------------------------------------------------------------------------

WRITES_OLD = """
@nki.jit
def scale(a, out: nt.mutable_tensor):
    nl.store(out, nl.multiply(nl.load(a), 2.0))
"""
WRITES_NEW = """
@nki.jit
def scale(a, out):
    tile = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=tile, src=a)
    nisa.tensor_scalar(dst=tile, data=tile, op0=nl.multiply, operand0=2.0)
    nisa.dma_copy(dst=out, src=tile)
    return out
"""
WRITES_SPEC = """
[[kernel]]
name = "scale"
[kernel.inputs]
a = { shape = [128, 64] }
out = { shape = [128, 64], values = "zeros" }
"""
TYPING = "import neuronxcc.nki.typing as nt\n"


def test_a_written_parameter_is_compared_with_what_is_returned(verifier: Verifier) -> None:
    found = verifier.result(OLD + TYPING + WRITES_OLD, NEW + WRITES_NEW, WRITES_SPEC)
    assert (found["verdict"], [o["name"] for o in found["outputs"]]) == ("identical", ["out"])


def test_a_written_parameter_may_have_become_a_result(verifier: Verifier) -> None:
    own = "    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)\n"
    new = WRITES_NEW.replace("def scale(a, out):\n", f"def scale(a):\n{own}")
    assert verifier.result(OLD + TYPING + WRITES_OLD, NEW + new, WRITES_SPEC)["verdict"] == "identical"


def test_a_written_parameter_that_is_not_returned_any_more_is_lost(verifier: Verifier) -> None:
    new = WRITES_NEW.replace("    return out\n", "")
    found = verifier.result(OLD + TYPING + WRITES_OLD, NEW + new, WRITES_SPEC)
    assert found["verdict"] == "different"
    assert any("without returning it" in output["reason"] for output in found["outputs"])


def test_a_function_that_kernels_call_may_write_without_returning(verifier: Verifier) -> None:
    old, new = (
        text.replace("@nki.jit\n", "") for text in (WRITES_OLD, WRITES_NEW.replace("    return out\n", ""))
    )
    spec = WRITES_SPEC.replace('name = "scale"', 'name = "scale"\njit = true')
    assert verifier.result(OLD + TYPING + old, NEW + new, spec)["verdict"] == "identical"


# -- launches -----------------------------------------------------------------------------------------

GRID_OLD = """
@nki.jit
def add(a, b):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    i = nl.program_id(0)
    rows, columns = nl.mgrid[0:64, 0:64]
    x = nl.load(a[i * 64 + rows, columns])
    y = nl.load(b[i * 64 + rows, columns])
    nl.store(out[i * 64 + rows, columns], nl.add(x, y))
    return out
"""


def test_a_legacy_grid_and_a_plain_call(verifier: Verifier) -> None:
    spec = ADD_SPEC.replace('name = "add"', 'name = "add"\ngrid = [2]')
    assert verifier.result(OLD + GRID_OLD, NEW + ADD_NEW, spec)["verdict"] == "identical"
    alone = verifier.result(
        OLD + GRID_OLD, NEW + ADD_NEW, ADD_SPEC
    )  # half of the programs do half of the work
    assert alone["verdict"] == "different"


CORES_NEW = """
@nki.jit
def add(a, b):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    rows = a.shape[0] // nl.num_programs(0)
    start = nl.program_id(0) * rows
    left = nl.ndarray((rows, a.shape[1]), dtype=a.dtype, buffer=nl.sbuf)
    right = nl.ndarray((rows, a.shape[1]), dtype=a.dtype, buffer=nl.sbuf)
    nisa.dma_copy(dst=left, src=a[start : start + rows, :])
    nisa.dma_copy(dst=right, src=b[start : start + rows, :])
    nisa.tensor_tensor(dst=left, data1=left, data2=right, op=nl.add)
    nisa.dma_copy(dst=out[start : start + rows, :], src=left)
    return out
"""


def test_newer_kernels_that_ask_for_their_core_run_on_one_and_two(verifier: Verifier) -> None:
    code, found = verifier.results(NEW + CORES_NEW, NEW + CORES_NEW + "# changed\n", ADD_SPEC)
    assert code == 0
    assert [(r["lnc"], r["verdict"]) for r in found] == [(1, "identical"), (2, "identical")]


def test_a_legacy_launch_on_two_cores(verifier: Verifier) -> None:
    spec = ADD_SPEC.replace('name = "add"', 'name = "add"\ngrid = ["nc(2)"]')
    found = verifier.result(OLD + GRID_OLD, NEW + CORES_NEW, spec)
    assert (found["lnc"], found["verdict"]) == (2, "identical")


# -- could not run ------------------------------------------------------------------------------------

CANNOT = {
    "raises": (
        "    return out",
        "    raise ValueError('no such luck')",
        "new: running it: ValueError: no such luck",
    ),
    "exits": ("    return out", "    import sys; sys.exit(3)", "new: running it: it calls sys.exit(3)"),
    "dies": ("    return out", "    import os; os._exit(7)", "the process ended itself with exit code 7"),
    "crashes": ("    return out", "    import os; os.kill(os.getpid(), 11)", "was ended by SIGSEGV"),
    "recurses": ("    return out", "    return add(a, b)", "new: running it: it recurses too deeply"),
    "wants more": ("def add(a, b)", "def add(a, b, c)", "new: no input is given for c"),
    "is refused": ("op=nl.add", "op=nl.exp", "kernels.py:14: nisa.tensor_tensor: op is nl.exp"),
    "cannot be imported": (
        "@nki.jit",
        "import nki.nowhere\n@nki.jit",
        "importing the module: ModuleNotFoundError",
    ),
}


@pytest.mark.parametrize("kind", CANNOT)
def test_a_kernel_that_cannot_run_says_why(verifier: Verifier, kind: str) -> None:
    was, becomes, reason = CANNOT[kind]
    code, (found,) = verifier.results(OLD + ADD_OLD, NEW + ADD_NEW.replace(was, becomes), ADD_SPEC)
    assert (code, found["verdict"]) == (3, "not-run")
    assert reason in found["reason"]
    assert "Traceback" not in found["reason"]


def test_a_kernel_that_takes_too_long(verifier: Verifier) -> None:
    endless = ADD_NEW.replace("    return out", "    while True:\n        pass")
    started = time.monotonic()
    found = verifier.result(OLD + ADD_OLD, NEW + endless, ADD_SPEC, "--timeout", "6")
    assert found["reason"] == "new: running it: not done after 6 s (--timeout)"
    assert time.monotonic() - started < 60


def test_what_a_kernel_prints_is_kept_apart(verifier: Verifier) -> None:
    talking = "print('imported')\n" + ADD_NEW.replace("    return out", "    print('hello')\n    return out")
    found = verifier.result(OLD + ADD_OLD, NEW + talking, ADD_SPEC)
    assert (found["verdict"], found["printed"]) == ("identical", {"new": "imported\nhello\n"})


def test_however_much_a_kernel_prints_only_the_last_of_it_is_kept(verifier: Verifier) -> None:
    """A kernel that printed for two minutes filled the disk."""
    talking = "def talk():\n    for i in range(30):\n        print('x' * 1_000_000)\n    print('last words')\n    exit(3)\n"
    calling = ADD_NEW.replace("    return out", "    talk()\n    return out")
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, 10_000_000))\n"
    old = OLD + ADD_OLD.replace(
        "    return out", "    import os\n    print('gone', flush=True)\n    os._exit(4)"
    )
    found = verifier.result(old, NEW + limited + talking + calling, ADD_SPEC)
    assert (
        "old: running it: the process ended itself with exit code 4; its last words: gone" in found["reason"]
    )
    assert found["printed"]["new"].endswith("xxx\nlast words\n")
    assert len(found["printed"]["new"]) == 20_000


def test_a_file_that_does_not_parse_is_left_out(verifier: Verifier) -> None:
    verifier.write({"old/k.py": OLD + ADD_OLD, "new/k.py": "def add(:\n"})
    code, out, _ = verifier.command("verify", "old", "new")
    assert code == 3
    assert "k.py: left out, new: does not parse" in out


def test_a_missing_framework_that_the_kernel_does_not_need(verifier: Verifier) -> None:
    wanted = "import no_such_framework as framework\nDEVICE = framework.device('xla:0')\n"
    found = verifier.result(OLD + wanted + ADD_OLD, NEW + ADD_NEW, ADD_SPEC)
    assert found["verdict"] == "identical"
    assert found["notes"] == ["old: not installed, replaced by placeholders: no_such_framework"]


def test_a_level_of_logging_that_the_old_language_defines(verifier: Verifier) -> None:
    silent = "import logging\nlogging.disable(logging.OFF)\n"
    assert verifier.result(OLD + silent + ADD_OLD, NEW + silent + ADD_NEW, ADD_SPEC)["verdict"] == "identical"


def test_a_missing_framework_that_the_kernel_needs(verifier: Verifier) -> None:
    using = ADD_OLD.replace("    return out", "    framework.mark(out)\n    return out")
    found = verifier.result(OLD + "import no_such_framework as framework\n" + using, NEW + ADD_NEW, ADD_SPEC)
    assert "uses no_such_framework.mark, and no_such_framework is not installed here" in found["reason"]


def test_constant_inputs_are_pointed_out(verifier: Verifier) -> None:
    spec = ADD_SPEC.replace("shape = [128, 64]", 'shape = [128, 64], values = "ones"')
    verifier.write({"old/k.py": OLD + ADD_OLD, "new/k.py": NEW + ADD_NEW, "nkimigrate_verify.toml": spec})
    said = "k.py::add: equal bit by bit\n    each input is constant: such inputs show little\n"
    assert verifier.command("verify", "old", "new")[1].startswith(said)


def test_no_inputs_says_what_to_do(verifier: Verifier) -> None:
    found = verifier.result(OLD + ADD_OLD, NEW + ADD_NEW)
    assert found["verdict"] == "not-run"
    assert found["reason"].startswith(
        "no inputs: write them into nkimigrate_verify.toml (`--template` prints one)"
    )


def test_inputs_that_cannot_be_made(verifier: Verifier) -> None:
    spec = ADD_SPEC.replace("b = { shape = [128, 64] }", 'b = { python = "nowhere(3)" }')
    found = verifier.result(OLD + ADD_OLD, NEW + ADD_NEW, spec)
    assert found["reason"] == "both: b: `nowhere(3)` fails: NameError: name 'nowhere' is not defined"


def test_inputs_that_differ_are_no_comparison(verifier: Verifier) -> None:
    spec = ADD_SPEC.replace(
        "b = { shape = [128, 64] }", 'b = { python = "np.full((128, 64), nl.tile_size.seed)" }'
    )
    sides = [
        f"{head}class _S:\n    seed = {n}\nnl.tile_size.seed = {n}\n" for head, n in ((OLD, 1.0), (NEW, 2.0))
    ]
    found = verifier.result(sides[0] + ADD_OLD, sides[1] + ADD_NEW, spec)
    assert found["reason"] == "the inputs are not the same on both sides: b"


# -- what is compared ---------------------------------------------------------------------------------

HARNESS = """
if __name__ == "__main__":
    x = np.random.rand(128, 32).astype(np.float16)
    print(add(x, x + 1))
"""


def test_inputs_of_the_kernels_own_harness(verifier: Verifier) -> None:
    found = verifier.result(OLD + ADD_OLD + HARNESS, NEW + ADD_NEW + HARNESS)
    (output,) = found["outputs"]
    assert (found["verdict"], found["inputs_from"]) == ("identical", "kernels.py:15")
    assert (output["dtype"], output["shape"]) == ("float16", [128, 32])


def test_unchanged_files_are_left_out(verifier: Verifier) -> None:
    verifier.write({"old/k.py": NEW + ADD_NEW + HARNESS, "new/k.py": NEW + ADD_NEW + HARNESS})
    code, out, _ = verifier.command("verify", "old", "new", "--verbose")
    assert code == 3
    assert "k.py::add: left out, the file is unchanged" in out


def test_one_kernel_of_several(verifier: Verifier) -> None:
    both = (
        OLD + ADD_OLD + RMS_OLD,
        NEW + ADD_NEW + RMS_NEW.replace("SQUARES", "float32"),
        ADD_SPEC + RMS_SPEC,
    )
    found = verifier.result(*both, "--kernel", "rms")
    assert found["kernel"] == "rms"
    assert verifier.command("verify", "old", "new", "--kernel", "rsm")[0] == 2


def test_cases_of_one_kernel(verifier: Verifier) -> None:
    more = ADD_SPEC.replace('name = "add"', 'name = "add"\ncase = "wide"').replace("64", "512")
    code, found = verifier.results(OLD + ADD_OLD, NEW + ADD_NEW, ADD_SPEC + more)
    assert code == 0
    assert [(r["case"], r["outputs"][0]["shape"]) for r in found] == [("", [128, 64]), ("wide", [128, 512])]


def test_a_package_with_relative_imports(verifier: Verifier) -> None:
    for side, head, kernel in (("old", OLD, ADD_OLD), ("new", NEW, ADD_NEW)):
        verifier.write(
            {
                f"{side}/app/__init__.py": "",
                f"{side}/app/sizes.py": "WIDTH = 64\n",
                f"{side}/app/kernels/__init__.py": "",
                f"{side}/app/kernels/k.py": f"from ..sizes import WIDTH\n{head}{kernel}",
            }
        )
    verifier.write(
        {"nkimigrate_verify.toml": ADD_SPEC.replace("shape = [128, 64]", 'python = "np.eye(WIDTH)"')}
    )
    assert verifier.command("verify", "old", "new")[:2] == (
        0,
        "app/kernels/k.py::add: equal bit by bit\n1 run: 1 equal bit by bit\n",
    )


def test_code_that_calls_the_library_runs_old_through_compat(verifier: Verifier) -> None:
    old = "from nkilib_standalone.nkilib.core.utils.kernel_helpers import div_ceil\n\n\ndef tiles(x):\n    return x * div_ceil(7, 2)\n"
    new = old.replace("nkilib_standalone.nkilib", "nkilib")
    spec = '[[kernel]]\nname = "tiles"\n[kernel.inputs]\nx = { shape = [4] }\n'
    found = verifier.result(old, new, spec)
    assert (found["verdict"], found["printed"]) == ("identical", {})


def test_trace_compares_the_work(verifier: Verifier) -> None:
    found = verifier.result(OLD + ADD_OLD, NEW + ADD_NEW, ADD_SPEC, "--trace")
    for side in ("old", "new"):
        assert found["traces"][side]["hbm_read"] == 2 * 128 * 64 * 4
    out = verifier.command("verify", "old", "new", "--trace")[1]
    assert "    HBM bytes read                        65,536 →         65,536  1.00×\n" in out


def test_tolerance_of_the_spec_file(verifier: Verifier) -> None:
    new = NEW + RMS_NEW.replace("SQUARES", "bfloat16")
    found = verifier.result(OLD + RMS_OLD, new, f"tolerance = 0.01\n{RMS_SPEC}")
    assert (found["verdict"], found["outputs"][0]["allowed"]) == ("close", 0.01)


# -- the command --------------------------------------------------------------------------------------


def test_template_is_a_spec_file_that_works(verifier: Verifier) -> None:
    verifier.write({"old/k.py": OLD + ADD_OLD + HARNESS, "new/k.py": NEW + ADD_NEW})
    code, out, _ = verifier.command("verify", "old", "new", "--template")
    assert code == 0
    assert 'a = { shape = [128, 32], dtype = "float16", values = "uniform" }\n' in out
    assert 'b = { shape = [128, 32], dtype = "float16", values = "uniform", low = 1.0, high = 2.0 }\n' in out
    verifier.write({"nkimigrate_verify.toml": out})
    assert verifier.command("verify", "old", "new")[:2] == (
        0,
        "k.py::add: equal bit by bit\n1 run: 1 equal bit by bit\n",
    )


def test_template_runs_nothing(verifier: Verifier) -> None:
    poison = "raise SystemExit('it ran')\n"
    verifier.write({"old/k.py": OLD + ADD_OLD + poison, "new/k.py": NEW + ADD_NEW + poison})
    code, out, err = verifier.command("verify", "old", "new", "--template")
    assert (code, err) == (0, "")
    assert 'a = { shape = ["?"], dtype = "float32" }' in out


def git(*words: str, folder: Path) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def test_git_revision_against_the_working_tree(verifier: Verifier) -> None:
    verifier.write({"repo/src/k.py": OLD + ADD_OLD, "repo/src/nkimigrate_verify.toml": ADD_SPEC})
    repository = verifier.folder / "repo"
    git("init", "-q", folder=repository)
    git("add", ".", folder=repository)
    git("commit", "-qm", "Old", folder=repository)
    verifier.write({"repo/src/k.py": NEW + ADD_NEW})
    code, out, _ = verifier.command("verify", "--git", "HEAD", "repo/src")
    assert (code, out) == (0, "src/k.py::add: equal bit by bit\n1 run: 1 equal bit by bit\n")
    code, _, err = verifier.command("verify", "--git", "HEAD~1", "repo/src")
    assert code == 2
    assert "--git HEAD~1: git does not know this revision" in err


def test_git_revision_with_files_that_archives_leave_out(verifier: Verifier) -> None:
    """``git archive`` made an internal error of the link, and left the kernel out without a word."""
    verifier.write(
        {
            "repo/src/k.py": OLD + ADD_OLD,
            "repo/.gitattributes": "src export-ignore\n*.py filter=evil\n",
            "repo/nkimigrate_verify.toml": ADD_SPEC,
        }
    )
    repository = verifier.folder / "repo"
    (repository / "weights").symlink_to("/nowhere/weights")
    git("init", "-q", folder=repository)
    git("add", ".", folder=repository)
    git("commit", "-qm", "Old", folder=repository)
    git("config", "filter.evil.smudge", f"touch {verifier.folder}/ran", folder=repository)
    verifier.write({"repo/src/k.py": NEW + ADD_NEW})
    code, out, err = verifier.command("verify", "--git", "HEAD", "repo")
    assert (code, out) == (0, "src/k.py::add: equal bit by bit\n1 run: 1 equal bit by bit\n"), err
    assert not (verifier.folder / "ran").exists()
    index = subprocess.run(["git", "status", "--short"], cwd=repository, capture_output=True, text=True)
    assert index.stdout == " M src/k.py\n"


def test_git_that_refuses_says_why(verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of what git says is advice, not the reason."""
    verifier.write({"repo/k.py": "x = 1\n"})
    git("init", "-q", folder=verifier.folder / "repo")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    _, _, err = verifier.command("verify", "--git", "HEAD", "repo")
    assert err.startswith("nkimigrate: --git: detected dubious ownership in repository")


def test_a_full_temporary_folder_is_said(verifier: Verifier) -> None:
    """As files that may not grow, which needs no disk of its own."""
    verifier.write({"old/k.py": OLD + ADD_OLD, "new/k.py": NEW + ADD_NEW, "nkimigrate_verify.toml": ADD_SPEC})
    code = (
        "import resource, sys; from nkimigrate.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "sys.argv = ['nkimigrate', 'verify', 'old', 'new', '-q']\n"
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=verifier.folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nkimigrate: the temporary folder ")
    assert done.stderr.endswith(": file too large\n")


def test_what_is_no_regular_file_is_not_waited_for(verifier: Verifier) -> None:
    verifier.write({"old/k.py": OLD + ADD_OLD, "new/k.py": NEW + ADD_NEW, "nkimigrate_verify.toml": ADD_SPEC})
    for side in ("old", "new"):
        os.mkfifo(verifier.folder / side / "fifo.py")
    words = [sys.executable, "-m", "nkimigrate", "verify", "old", "new"]
    done = subprocess.run(words, cwd=verifier.folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "k.py::add: equal bit by bit")
    done = subprocess.run(
        [*words, "--spec", "/dev/zero"],
        cwd=verifier.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "nkimigrate: /dev/zero: not a regular file\n")


def test_a_path_of_that_name_can_be_migrated(verifier: Verifier) -> None:
    verifier.write({"verify/k.py": "x = 1\n"})
    assert verifier.command("./verify")[:2] == (0, "Nothing to migrate in 1 file.\n")


WRONG = {
    "no paths": ((), "verify needs OLD and NEW"),
    "one path": (("old",), "verify needs OLD and NEW"),
    "output in no folder": (
        ("old", "new", "--output", "x/y"),
        "--output x/y: not a file in an existing folder",
    ),
    "output into code": (("old", "new", "--output", "new/k.py"), "name another one"),
    "no number": (("old", "new", "--timeout", "soon"), "'soon' is not a valid number"),
    "nan": (("old", "new", "--timeout", "nan"), "nan is no number of seconds"),
    "for ever": (("old", "new", "--timeout", "inf"), "inf is not in the range"),
    "no such path": (("old", "nowhere"), "no such file or folder"),
    "file and folder": (("old/k.py", "new"), "two files or two folders"),
    "unknown option": (("old", "new", "--tarce"), "--tarce"),
    "no spec": (("old", "new", "--spec", "x.toml"), "x.toml: no such file or directory"),
    "quiet and verbose": (("old", "new", "-q", "-v"), "exclude each other"),
    "git and two paths": (("old", "new", "--git", "HEAD"), "takes one PATH"),
    "git without a repository": (("new", "--git", "HEAD"), "--git: not a git repository"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_usage(verifier: Verifier, kind: str) -> None:
    words, reason = WRONG[kind]
    verifier.write({"old/k.py": OLD + ADD_OLD, "new/k.py": NEW + ADD_NEW})
    code, out, err = verifier.command("verify", *words)
    assert (code, out) == (2, "")
    assert reason in err.lower() if reason.islower() else reason in err


def test_report_to_a_file(verifier: Verifier) -> None:
    verifier.write({"old/k.py": OLD + ADD_OLD, "new/k.py": NEW + ADD_NEW, "nkimigrate_verify.toml": ADD_SPEC})
    code, out, _ = verifier.command("verify", "old", "new", "--output-format", "json", "--output", "r.json")
    assert (code, out) == (0, "1 run: 1 equal bit by bit\n")
    assert json.loads((verifier.folder / "r.json").read_text())["summary"]["identical"] == 1


@pytest.mark.parametrize("options", [(), ("--diff",)])
def test_verify_in_one_go(verifier: Verifier, options: tuple[str, ...]) -> None:
    root = "nkilib_standalone.nkilib"
    code = f"from {root}.core.utils.kernel_helpers import div_ceil\n\n\ndef tiles(x):\n    return x * div_ceil(7, 2)\n"
    spec = '[[kernel]]\nname = "tiles"\n[kernel.inputs]\nx = { shape = [4] }\n'
    verifier.write({"app/k.py": code, "app/nkimigrate_verify.toml": spec})
    exit_code, out, err = verifier.command("app", "--verify", *options)
    said = err if options else out
    assert "k.py::tiles: equal bit by bit\n1 run: 1 equal bit by bit\n" in said
    assert exit_code == (1 if options else 0)
    assert ("nkilib_standalone" in (verifier.folder / "app/k.py").read_text()) is bool(options)


def test_verify_in_one_go_without_a_kernel(verifier: Verifier) -> None:
    verifier.write({"app/k.py": "from nkilib_standalone.nkilib.core.qkv.qkv import qkv\n"})
    code, out, err = verifier.command("app", "--verify")
    assert (code, err) == (0, "")
    assert out.endswith("No kernels in the changed files.\n")


def test_verify_in_one_go_needs_the_new_text(verifier: Verifier) -> None:
    verifier.write({"app/k.py": "x = 1\n"})
    code, _, err = verifier.command("app", "--check", "--verify")
    assert code == 2
    assert "--verify compares files before and after" in err


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_ended_runs_leave_no_process(verifier: Verifier, number: int, code: int) -> None:
    waiting = ADD_NEW.replace(
        "    return out", "    import os\n    write(str(os.getpid()))\n    while True:\n        pass"
    )
    waiting += "\ndef write(text):\n    with open('started', 'w') as file:\n        file.write(text)\n"
    verifier.write({"old/k.py": OLD + ADD_OLD, "new/k.py": NEW + waiting, "nkimigrate_verify.toml": ADD_SPEC})
    started = verifier.folder / "new" / "started"
    places = verifier.folder / "temporary"
    places.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "nkimigrate", "verify", "old", "new"],
        cwd=verifier.folder,
        env={**os.environ, "TMPDIR": str(places)},
    )
    deadline = time.monotonic() + 60
    while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, number)
    assert process.wait(30) == code
    deadline = time.monotonic() + 30
    while number == signal.SIGKILL and alive(int(started.read_text())) and time.monotonic() < deadline:
        time.sleep(0.1)  # nobody is left who could end it: it notices
    assert not alive(int(started.read_text()))
    assert number == signal.SIGKILL or not list(places.iterdir())


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()


@pytest.mark.parametrize("module", ["numpy", "nkisim", "nkilib", "click", "nkimigrate.verify"])
def test_the_main_command_loads_nothing_of_it(module: str) -> None:
    code = f"import sys; from nkimigrate import cli; cli.main(['--check', 'nothing.py']); print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
