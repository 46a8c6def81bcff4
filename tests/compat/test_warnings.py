"""Warnings: one for each line, at the user's line, with the new spelling and the command; strict mode."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import oldcode
import pytest
from helpers import migrate
from oldcalls import HOST, OldCall, old_calls

from nkimigrate.releases import load

CALLS = list(old_calls(load("2.27", "2.28")))
STRICT = """import nkilib.compat
with nkilib.compat.strict():
    exec(compile({text!r}, "old_code.py", "exec"))
"""
TILE = "from nkilib.core.utils.tiled_range import TiledRangeIterator\n"


def test_one_for_each_line_that_calls_the_old_way() -> None:
    ran = oldcode.run(f"""{TILE}
def make(i):
    return TiledRangeIterator(4, i, 8)

result = [make(i).end_offset for i in range(3)]
TiledRangeIterator(4, 0, 8)
TiledRangeIterator(4, 0, 8, 12)
""")
    assert [(file, line) for file, line, _ in ran.warnings] == [(oldcode.FILE, 4), (oldcode.FILE, 7)]
    text = ran.warnings[0][2]
    assert text.startswith("DeprecationWarning: This call of TiledRangeIterator is in the form of 2.27.")
    assert "In 2.28: the first 3 by position, then end_offset=12." in text
    assert f"{oldcode.FILE}` rewrites it." in text


def test_the_line_is_that_of_a_kernel_s_own_code() -> None:
    ran = oldcode.run("""
import numpy as np
import nki, nki.language as nl
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg

@nki.jit
def kernel(x, g):
    return rmsnorm_tkg(inp=x, gamma=g)

result = kernel(np.ones((1, 2, 256), np.float16), np.ones((1, 256), np.float16)).shape
""")
    assert (ran.error, ran.result) == ("", (128, 2, 2))
    ((_, line, text),) = ran.warnings
    assert line == 8
    assert "Allocate the output before the call" in text


def test_the_line_of_a_launch_on_two_cores() -> None:
    ran = oldcode.run(f"""{HOST.replace("{root}", "nkilib")}
from nkilib.core.attention.attention_cte import AttnConfig
@nki.jit
def kernel(x):
    AttnConfig(*[None] * 14)
    return x
kernel[2](bf16(1, 1))
nki.jit(AttnConfig)[2](*[None] * 14)
""")
    assert ran.error == ""
    assert [(file, line) for file, line, _ in ran.warnings] == [(oldcode.FILE, 23), (oldcode.FILE, 26)]


def test_what_changed_beside_the_text_is_said() -> None:
    ran = oldcode.run("""
import nki.language as nl
from nkilib.core.mlp.mlp_parameters import MLPParameters
from nkilib.core.utils.common_types import ActFnType, NormType
make = lambda *shape: nl.ndarray(shape, dtype=nl.bfloat16, buffer=nl.hbm)
p = [make(1, 4, 256), make(256, 128), make(256, 128), make(128, 256)] + [None] * 6 + [False]
MLPParameters(*p, ActFnType.GELU, NormType.NO_NORM, nl.float32)
MLPParameters(*p, ActFnType.SiLU, NormType.NO_NORM, nl.float32)
""")
    assert ran.error == ""
    (_, first, gelu), (_, second, silu) = ran.warnings
    assert (first, second) == (7, 8)
    assert "2.27 ran SiLU whatever was passed" in gelu
    assert "2.27 ran SiLU" not in silu


def test_strict_mode_makes_them_errors_for_as_long_as_it_holds() -> None:
    ran = oldcode.run(f"""import nkilib.compat
{TILE}
def fails(call):
    try:
        call()
    except DeprecationWarning as error:
        return "old_code.py:" in str(error)
    return False

old = lambda: TiledRangeIterator(4, 0, 8)
def imports():
    import nkilib_standalone.nkilib.core.utils.allocator
imports()
result = [fails(old)]
with nkilib.compat.strict():
    result += [fails(old), fails(old), fails(imports), fails(lambda: TiledRangeIterator(4, 0, 8, 12))]
result += [fails(old), fails(imports)]
mode = nkilib.compat.strict()
result += [fails(old)]
mode.__exit__(None, None, None)
""")
    assert (ran.error, ran.result) == ("", [False, True, True, True, False, False, False, True])


def test_filters_apply(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import nkilib.compat\n{TILE}TiledRangeIterator(4, 0, 8)\nprint('went on')\n")
    for options, out, code in ([], "went on\n", 0), (["-W", "error::DeprecationWarning"], "", 1):
        done = subprocess.run(
            [sys.executable, *options, script], capture_output=True, text=True, env={"PATH": "", "HOME": "/"}
        )
        assert (done.stdout, done.returncode) == (out, code), done.stderr
        assert (
            f"{script}:3: DeprecationWarning" in done.stderr or "DeprecationWarning: This call" in done.stderr
        )


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.id)
def test_what_is_rewritten_warns_once_and_is_an_error_in_strict_mode(call: OldCall) -> None:
    """And nothing else: a call that 2.28 takes as it is passes in silence."""
    imports, text = in_two(call.source)
    now = migrate({"old.py": call.source}).text("old.py")
    name = call.form.name.rpartition(".")[2]
    changed = in_two(now)[1] != text.replace(call.subject.called.format(name), name)
    ran = oldcode.run(imports + text, call.root)
    strict = oldcode.run(f"{imports}{STRICT.format(text=text)}", call.root)
    assert ran.error == ""
    said = [warning for warning in ran.warnings if f"{call.root} is " not in warning[2]]
    assert len(set(said)) == len(said)
    assert bool(said) == (changed or f"import {name}\n" not in now)
    assert strict.error.startswith("DeprecationWarning: old_code.py:" if changed else "")
    rewritten = [words for _, _, words in said if words.endswith(f"{oldcode.FILE}` rewrites it.")]
    assert bool(rewritten) == bool(said)
    assert all("In 2.28: " in words or " in nkilib 2.28." in words for words in rewritten)
    for file, _, words in said:
        assert file == oldcode.FILE
        assert words.startswith("DeprecationWarning: ")
        assert words in rewritten or words.endswith(f"{oldcode.FILE}` reports it.")


def in_two(source: str) -> tuple[str, str]:
    """A source's imports, and what is left, which can be run behind them."""
    lines = source.splitlines(keepends=True)
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    return "".join(imports), "".join(line for line in lines if line not in imports)
