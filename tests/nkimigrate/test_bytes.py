"""Byte-exactness end to end: what is not part of an edit stays as it is, whatever the file is made of."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import check_sound, migrate

from nkimigrate import engine
from nkimigrate.config import Options

CALLS = """\
\"\"\"Köln, café.\"\"\"
from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel  # ümlaut
from nkilib_standalone.nkilib.core.qkv.qkv import qkv

NAME = "é"; K = mlp_kernel


def run(x, w, layout, b, g):
\tif x:
\t    label = "ñ"; y = qkv(x, w, layout, b, False, None,  # à la carte
\t        None)

\treturn mlp_kernel(x, w, g, b), "ß"  \t

"""
CALLS_AFTER = """\
\"\"\"Köln, café.\"\"\"
from nkilib.core.mlp.mlp import mlp  # ümlaut
from nkilib.core.qkv.qkv import qkv

NAME = "é"; K = mlp


def run(x, w, layout, b, g):
\tif x:
\t    label = "ñ"; y = qkv(x, w, layout, b, fused_residual_add=False, mlp_prev=None,  # à la carte
\t        attention_prev=None)

\treturn mlp(x, w, g, b), "ß"  \t

"""
LINES = """\
\"\"\"Köln, café.\"\"\"
import nki.language as nl
from nkilib.core.output_projection.output_projection_cte import P_MAX, output_projection_cte
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg

NAME = "é"; K = P_MAX


def run(x, w, layout, b, g):
\tif x:
\t    label = "ñ"
\t    z = rmsnorm_tkg(x, g)  # à la carte

\treturn output_projection_cte(x, w), "ß"  \t

"""
LINES_AFTER = """\
\"\"\"Köln, café.\"\"\"
import nki.language as nl
from nkilib.core.output_projection.output_projection_cte import output_projection_cte
from nkilib.core.output_projection.output_projection_cte.output_projection_cte_parameters import P_MAX
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg

NAME = "é"; K = P_MAX


def run(x, w, layout, b, g):
\tif x:
\t    label = "ñ"
\t    z_output = nl.ndarray((nl.tile_size.pmax, x.shape[0] * x.shape[1], x.shape[2] // nl.tile_size.pmax), \
dtype=x.dtype, buffer=nl.shared_hbm)
\t    z = rmsnorm_tkg(x, g, output=z_output)  # à la carte

\treturn output_projection_cte(x, w), "ß"  \t

"""
BOTH = pytest.mark.parametrize(
    ("before", "after"), [(CALLS, CALLS_AFTER), (LINES, LINES_AFTER)], ids=["calls", "new lines"]
)


def cookie(name: str) -> Callable[[str], bytes]:
    return lambda text: f"# -*- coding: {name} -*-\n{text}".encode(name)


WRITTEN: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "byte-order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "byte-order mark, cookie and CRLF": lambda text: (
        b"\xef\xbb\xbf# coding: utf-8\r\n" + text.replace("\n", "\r\n").encode()
    ),
    "latin-1": cookie("latin-1"),
    "cp1252": cookie("cp1252"),
    "iso-8859-15 in the second line": lambda text: (
        f"#!/usr/bin/env python\n# vim: set fileencoding=iso-8859-15 :\n{text}".encode("iso-8859-15")
    ),
    "form feeds": lambda text: text.replace("\n\n", "\n\x0c\n").encode(),
    "form feed before a statement": lambda text: text.replace("NAME =", "\x0cNAME =").encode(),
    "no final newline": lambda text: text.rstrip().encode(),
    "line separators that are none": lambda text: text.replace('"é"', '"\x0b\x1c\x85\u2028é"').encode(),
    "wide characters before a call": lambda text: text.replace('"ñ"', '"ñ😀漢字e\u0301"').encode(),
    "a very long line": lambda text: text.replace('"é"', repr("é" * 500_000)).encode(),
    "a very long line with a call": lambda text: text.replace(
        "K =", f"D = {'(' * 50}{'1, ' * 50_000}{')' * 50}; K ="
    ).encode(),
    "spaces at line ends": lambda text: text.replace(", b, g):", ", b, g):   ").encode(),
    "a shebang": lambda text: ("#!/usr/bin/python\n" + text).encode(),
    "lines joined by a backslash": lambda text: text.replace("NAME =", "NAME \\\n  =").encode(),
}


@BOTH
@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN.keys())
def test_everything_outside_the_edits_stays_byte_for_byte(
    before: str, after: str, write: Callable[[str], bytes]
) -> None:
    result = migrate({"app.py": write(before)})
    assert not result.problems
    assert result.after["app.py"] == write(after)
    check_sound(result)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\x0c"])
def test_a_comment_keeps_its_line_whatever_lines_end_with(end: str) -> None:
    kept = "from nkilib.core.qkv.qkv import qkv", "qkv(1, 2, 3, 4, True)  # nkimigrate: skip"
    before = end.join((*kept, "qkv(1, 2, 3, 4, True)", ""))
    after = end.join((*kept, "qkv(1, 2, 3, 4, fused_residual_add=True)", ""))
    assert migrate({"a.py": before.encode()}).after["a.py"].decode() == after


def test_line_ends_of_different_kinds_stay_where_they_are() -> None:
    before = (
        "from nkilib.core.qkv.qkv import qkv\r\n\n\r\ndef run(x, w, lay, b):\n"
        "    return qkv(\r\n        x, w, lay, b,\n        True,\r\n    )\n"
    )
    result = migrate({"app.py": before})
    assert result.after["app.py"] == before.replace("True", "fused_residual_add=True").encode()


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n", "\n    ", "\n# the end", "\n\x0c"])
def test_the_end_of_the_file_stays(end: str) -> None:
    before = f"from nkilib.core.qkv.qkv import qkv\nqkv(1, 2, 3, 4, True){end}"
    result = migrate({"app.py": before})
    assert result.after["app.py"] == before.replace("True", "fused_residual_add=True").encode()


def test_characters_the_file_cannot_hold_are_a_problem_of_that_file() -> None:
    bad = b"# coding: ascii\nimport nkilib_standalone.nkilib  # caf\xe9\n"
    unknown = b"# coding: klingon\nimport nkilib_standalone.nkilib\n"
    broken = b"import nkilib_standalone.nkilib  # \xff\n"
    result = migrate(
        {"a.py": bad, "b.py": unknown, "c.py": broken, "d.py": "import nkilib_standalone.nkilib\n"}
    )
    assert result.changed == {"d.py"}
    assert sorted(p.path for p in result.problems) == ["a.py", "b.py", "c.py"]


# -- files on disk ------------------------------------------------------------------------------------


def run(*paths: Path) -> None:
    report = engine.run(Options(paths=tuple(map(str, paths)), jobs=1, cache=False))
    assert not report.problems


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o664])
def test_mode_bits_stay(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "app.py"
    file.write_text("import nkilib_standalone.nkilib\n")
    file.chmod(mode)
    run(tmp_path)
    assert file.read_text() == "import nkilib\n"
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_a_read_only_file_is_left_alone_and_named(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("import nkilib_standalone.nkilib\n")
    file.chmod(0o444)
    report = engine.run(Options(paths=(str(tmp_path),), jobs=1, cache=False))
    assert [(p.code, Path(p.path).name) for p in report.problems] == [("NKM907", "app.py")]
    assert file.read_text() == "import nkilib_standalone.nkilib\n"


def test_a_link_stays_a_link_and_its_target_is_rewritten_once(tmp_path: Path) -> None:
    real = tmp_path / "pkg" / "real.py"
    real.parent.mkdir()
    real.write_text("from nkilib.core.qkv.qkv import qkv\nqkv(1, 2, 3, 4, True)\n")
    link = tmp_path / "link.py"
    link.symlink_to(real)
    run(tmp_path)
    assert link.is_symlink()
    assert os.readlink(link) == str(real)
    assert not real.is_symlink()
    assert real.read_text().count("fused_residual_add=") == 1


def test_a_linked_file_named_itself_is_rewritten_at_its_target(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "real.py"
    real.parent.mkdir()
    real.write_text("import nkilib_standalone.nkilib\n")
    link = tmp_path / "link.py"
    link.symlink_to(real)
    run(link)
    assert link.is_symlink()
    assert real.read_text() == "import nkilib\n"


def test_nothing_is_left_behind_and_untouched_files_are_not_rewritten(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import nkilib_standalone.nkilib\n")
    other = tmp_path / "other.py"
    other.write_text("x = 1\n")
    os.utime(other, ns=(1, 1))
    run(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["app.py", "other.py"]
    assert other.stat().st_mtime_ns == 1


def test_binary_files_that_name_the_library_stay(tmp_path: Path) -> None:
    """Pickles hold class paths; only a person can say what loads them."""
    data = b"\x80\x04\x95cnkilib_standalone.nkilib.core.utils.common_types\nNormType\n\x00."
    for name in ("state.pkl", "weights.bin", "model.pt"):
        (tmp_path / name).write_bytes(data)
    engine.run(Options(paths=(str(tmp_path),), jobs=1, cache=False))
    assert {p.read_bytes() for p in tmp_path.iterdir()} == {data}
