"""Configuration and packaging (NKM110): bytes in, findings and bytes out."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.edit import EditRefused
from nkimigrate.codemods.model import Finding, Outcome, Rename, ReplaceText
from nkimigrate.codemods.texts import _TextFile, analyse_text, edit_text, named_paths
from nkimigrate.releases import load

RELEASE = load("2.27", "2.28")
ROOT = "nkilib_standalone.nkilib"


def found(data: bytes, path: str = "conf.yaml") -> list[Finding]:
    return list(analyse_text(data, path, RELEASE))


def migrated(data: bytes, path: str = "conf.yaml") -> bytes:
    """The text after its edits; a second pass must find nothing more to rewrite."""
    new = edit_text(data, [edit for finding in found(data, path) for edit in finding.edits])
    assert not any(finding.edits for finding in found(new, path))
    return new


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("c.yaml", f"_target_: {ROOT}.core.qkv.qkv.qkv", "_target_: nkilib.core.qkv.qkv.qkv"),
        ("c.yaml", "- nkilib.core.mlp.mlp:mlp_kernel  # x", "- nkilib.core.mlp.mlp:mlp  # x"),
        ("c.json", f'{{"k":"{ROOT}.core.mlp.mlp.mlp_kernel"}}', '{"k":"nkilib.core.mlp.mlp.mlp"}'),
        ("c.json", f'{{"#": 1, "k": "{ROOT}"}}', '{"#": 1, "k": "nkilib"}'),
        (".env", f"A={ROOT}.core.qkv.qkv_tkg_layernorm", "A=nkilib.core.subkernels.layernorm_tkg"),
        (
            "p.toml",
            "known-first-party = ['app', 'nkilib_standalone']",
            "known-first-party = ['app', 'nkilib']",
        ),
        (
            "p.toml",
            'known_third_party = [\n  "nkilib_standalone",\n]',
            'known_third_party = [\n  "nkilib",\n]',
        ),
        (
            "s.cfg",
            "known_first_party =\n    app\n    nkilib_standalone",
            "known_first_party =\n    app\n    nkilib",
        ),
        ("m.ini", "[mypy-nkilib_standalone.*]", "[mypy-nkilib.*]"),
        ("m.ini", "[mypy-nkilib_standalone.nkilib.core.*]", "[mypy-nkilib.core.*]"),
        ("p.toml", 'module = "nkilib_standalone.*"', 'module = "nkilib.*"'),
        ("s.cfg", "addopts = --cov=nkilib_standalone", "addopts = --cov=nkilib"),
        ("s.cfg", "--ignore=src/nkilib_standalone/x", "--ignore=src/nkilib_src/x"),
        ("Dockerfile", "COPY a/src/nkilib_standalone/ /b", "COPY a/src/nkilib_src/ /b"),
        (".env", "P=/a/src/nkilib_standalone:/b", "P=/a/src/nkilib_src:/b"),
        (".env", "P=C:\\a\\src\\nkilib_standalone", "P=C:\\a\\src\\nkilib_src"),
        ("c.yaml", f'a: "# {ROOT}.core.qkv.qkv"', 'a: "# nkilib.core.qkv.qkv"'),
    ],
)
def test_rewritten(path: str, before: str, after: str) -> None:
    assert migrated(before.encode(), path) == after.encode()
    assert {f.outcome for f in found(before.encode(), path)} == {Outcome.REWRITTEN}


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("c.yaml", "kernel: mlp_kernel", "`mlp`"),
        ("c.json", '{"kernel": "mlp_kernel"}', "`mlp`"),
        (".env", "KERNEL=mlp_kernel\n", "`mlp`"),
        ("p.toml", 'packages = ["nkilib_standalone"]', "`nkilib`"),
        ("c.yaml", "k: nkilib.core.utils.logging.GLOBAL_LOG_LEVEL", "NKILIB_LOG_LEVEL"),
        ("c.yaml", f"k: {ROOT}.core.no.such.module", "nkilib.core.no.such.module"),
        (".env", "P=/a/vendor/src/nkilib_standalone", "nkilib_src"),
        (".env", "P=/opt/nkilib_standalone", "nkilib_src"),
        ("c.yaml", "u: https://github.com/aws-neuron/nki-library/tree/2.27/src/nkilib_standalone", "2.28"),
        ("requirements.txt", "nkilib @ git+https://github.com/aws-neuron/nki-library@2.27", "2.28"),
        ("requirements.txt", "git+https://github.com/aws-neuron/nki-library.git@v2.27#egg=x", "2.28"),
    ],
)
def test_for_a_person(path: str, text: str, says: str) -> None:
    [finding] = found(text.encode(), path)
    assert finding.outcome is Outcome.NEEDS_YOU
    assert not finding.edits
    assert says in finding.message + finding.step


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("c.yaml", f"# _target_: {ROOT}.core.qkv.qkv.qkv"),
        ("c.yaml", f"a: 1  # was {ROOT}.core.qkv.qkv.qkv"),
        ("c.ini", f"; {ROOT}.core.qkv.qkv.qkv"),
        ("c.yaml", "a: nkilib.core.qkv.qkv.qkv"),
        ("c.yaml", "a: nkilib.core.of.a.later.release"),
        ("c.yaml", "a: app.kernels:mlp_kernel"),
        ("c.yaml", "mlp_kernel: 3"),
        ("c.toml", "mlp_kernel = 3"),
        ("c.yaml", "a: app.nkilib.core.mlp.mlp.mlp_kernel"),
        ("c.yaml", "a: my-nkilib_standalone.nkilib.core"),
        ("c.yaml", "a: my_nkilib_standalone.nkilib.core"),
        ("requirements.txt", "nkilib>=1.0\ngit+https://github.com/aws-neuron/nki-library@2.28"),
        ("p.toml", 'known_first_party = ["nkilib"]'),
        (".env", "P=/a/src/nkilib_src"),
        ("p.toml", 'known_first_party = ["nkilib_src"]\npackages = ["nkilib_src"]'),
        ("c.yaml", "u: https://github.com/aws-neuron/nki-library/tree/2.28/src/nkilib_src"),
    ],
)
def test_untouched(path: str, text: str) -> None:
    assert found(text.encode(), path) == []


def test_places_count_characters_and_lines_of_any_kind() -> None:
    data = "a: 1\r\nb: é\rü: nkilib.core.mlp.mlp.mlp_kernel\n".encode()
    [finding] = found(data)
    assert (finding.line, finding.column, finding.end_line, finding.end_column) == (3, 4, 3, 34)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig", "shift_jis", "cp1252"])
def test_other_bytes_stay_in_any_encoding(encoding: str) -> None:
    other = "ア" if encoding == "shift_jis" else "é"
    text = f"{other}: {ROOT}.core.qkv.qkv.qkv # {other}\r\n\t{other}"
    assert migrated(text.encode(encoding)) == text.replace(ROOT, "nkilib").encode(encoding)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_bytes_around_a_path_stay(before: bytes, after: bytes) -> None:
    path = f"{ROOT}.core.qkv.qkv".encode()
    data = before + b"\nx: " + path + b"\n" + after
    new = edit_text(data, [edit for finding in found(data) for edit in finding.edits])
    assert new.startswith(before + b"\nx: ")
    assert new.endswith(b"\n" + after)


def test_an_edit_that_does_not_fit_is_refused() -> None:
    with pytest.raises(EditRefused, match="not 'b'"):
        edit_text(b"abc", [ReplaceText((0, 1), "b", "x")])
    with pytest.raises(EditRefused, match="not Python"):
        edit_text(b"abc", [Rename((0, 1), "a", "x")])
    with pytest.raises(EditRefused, match="overlap"):
        edit_text(b"abc", [ReplaceText((0, 2), "ab", "x"), ReplaceText((1, 3), "bc", "y")])


def test_named_paths() -> None:
    data = b'own = "app.kernels:mlp_kernel"\nfile = "a/b.py"\n_target_: app.models.Model\nplain: word\n'
    assert named_paths(data) == {"app.kernels.mlp_kernel", "app.models.Model"}


def test_comments_are_told_by_what_stands_before_them_in_their_line() -> None:
    """Line by line, as each place alone was looked at before."""

    def in_comment(text: str, offset: int) -> bool:
        before = re.split(r"[\r\n]", text[:offset])[-1]
        marks = (before[: m.start()] for m in re.finditer(r"(?:^|(?<=\s))#|^\s*;", before))
        return any(quoted.count('"') % 2 == 0 and quoted.count("'") % 2 == 0 for quoted in marks)

    numbers = random.Random(1)
    for _ in range(500):
        text = "".join(numbers.choice("a#;\"' \n\r\t=") for _ in range(40))
        file = _TextFile(text.encode(), "a.yaml", load("2.27", "2.28"))
        for offset in (i for i, character in enumerate(text) if character not in "\r\n"):
            assert file._in_comment(offset) == in_comment(text, offset), (text, offset)
