"""Signatures of kernels: annotations, markers, and outputs that are passed in."""

from __future__ import annotations

import pytest
from hosted import HEAD, NEW_HEAD, check, hosted, silent

TYPING = "import neuronxcc.nki.typing as nt\n"


@pytest.mark.parametrize(
    "text",
    [
        "import my.typing as nt\n\n\ndef f(x: nt.tensor):\n    return x\n",
        "def f(x: int, *, y: str) -> float:\n    return x\n",
        "import nki\n\n\n@nki.jit\ndef k(x, *args):\n    return x\n",
    ],
)
def test_strangers(text: str) -> None:
    silent(text)


SIGNATURES = {
    "k(x: nt.tensor)": "k(x)",
    "k(x: nt.tensor[128, 512], n: int)": "k(x, n: int)",
    "k(x : nt.tensor=None, y:nt.tensor = None)": "k(x=None, y = None)",
    "k(x) -> nt.tensor": "k(x)",
    "k(x: nki.tensor) -> tuple[nki.tensor, int]": "k(x)",
    "k(x, n: int = 3) -> int": "k(x, n: int = 3) -> int",
    "k(x, *, n: int = 3)": "k(x, n: int = 3)",
    "k(x,*,n)": "k(x,n)",
    "k(\n    x=2 * 3,\n    *,  # optional\n    n=3,\n)": "k(\n    x=2 * 3,\n    # optional\n    n=3,\n)",
    "k(\n    x,\n    *,\n    n,\n)": "k(\n    x,\n    n,\n)",
    "k(\n    x,  # a * b,\n    *,\n    # more\n    n,\n)": "k(\n    x,  # a * b,\n    # more\n    n,\n)",
    "k(*, x)": "k(x)",
}


@pytest.mark.parametrize("before", SIGNATURES)
def test_signatures(before: str) -> None:
    head, body = "\n\n@nki.jit\ndef ", ":\n    return x\n"
    found = check(f"{HEAD}{TYPING}{head}{before}{body}", f"{NEW_HEAD}{head}{SIGNATURES[before]}{body}")
    assert "M-INOUT" not in [key for _, key in found.notes]


@pytest.mark.parametrize(
    ("signature", "key"),
    [("k(x, *rest)", "M-PY"), ("k(x, *more, **rest)", "M-PY"), ("k(x, y=1, *, z)", "M-ORDER")],
)
def test_signatures_that_a_person_changes(signature: str, key: str) -> None:
    assert hosted(f"{HEAD}\n\n@nki.jit\ndef {signature}:\n    return x\n").reasons == [(6, key)]


HELPER = """import neuronxcc.nki.isa as nisa


def helper(a, to):
    nl.store(to, nl.load(a))
"""
KERNEL = """

@nki.jit
def k(x, out):
    nl.store(out, nl.load(x))


"""
CALLER = "def run(a):\n    o = torch.empty(4)\n{}    return o\n"


def test_a_caller_uses_what_the_kernel_returns() -> None:
    head = f"{KERNEL}import torch\n\n\n"
    new_head = head.replace("nl.load(x))\n", "nl.load(x))\n    return out\n")
    found = check(
        HEAD + head + CALLER.format("    k(a, o)\n"),
        NEW_HEAD + new_head + CALLER.format("    o = k(a, o)\n"),
    )
    assert not found.notes
    check(
        HEAD + head + CALLER.format("    k[nl.nc(2)](x=a, out=o)\n"),
        NEW_HEAD + new_head + CALLER.format("    o = k[2](x=a, out=o)\n"),
    )


@pytest.mark.parametrize(
    "caller",
    [
        "def run(a, o):\n    k(a, o)\n",
        "def run(a):\n    o = torch.empty(4)\n    keep.append(o)\n    k(a, o)\n    return o\n",
        "def run(a):\n    o = a[0]\n    k(a, o)\n    return o\n",
        "def run(a):\n    o = torch.empty(4)\n    done = k(a, o)\n    return o\n",
        "def run(self, a):\n    k(a, self.o)\n",
        "def run(a):\n    o = torch.empty(4)\n    k(*a, o)\n    return o\n",
    ],
)
def test_callers_that_a_person_changes(caller: str) -> None:
    found = hosted(f"{HEAD}{KERNEL}{caller}")
    assert [key for _, key in found.reasons] == ["M-INOUT"]


def test_a_kernel_without_a_caller_is_noted() -> None:
    found = hosted(HEAD + KERNEL)
    assert found.notes == [(6, "M-INOUT")]
    assert "    return out\n" in found.text
    assert hosted(HEAD + KERNEL, pinned=frozenset({"k"})).notes == [(6, "M-INOUT")]


@pytest.mark.parametrize(
    ("body", "returned"),
    [
        ("    nl.store(out[0:2], value=x)\n", "out"),
        ("    nl.store(dst=out, value=x)\n", "out"),
        ("    nisa.dma_copy(dst=out[0], src=x)\n", "out"),
        ("    out[...] = x\n", "out"),
        ("    out[...] = x  # no newline at the end", "out"),
        ("    for i in range(2):\n        o = out.reshape((2, 2))\n        nl.store(o[i], x)\n", "out"),
        ("    helper(x, out)\n", "out"),
        ("    helper(to=out, a=x)\n", "out"),
        ("    if out is None:\n        out = nl.ndarray(x.shape)\n    nl.store(out, x)\n", "out"),
        ("    nl.store(x, out)\n    nl.store(out, x)\n", "x, out"),
    ],
)
def test_what_a_kernel_writes_it_returns(body: str, returned: str) -> None:
    text = f"{HEAD}{HELPER}\n\n@nki.jit\ndef k(x, out):\n{body}"
    found = hosted(text)
    assert found.text.endswith(f"{body.rstrip()}\n    return {returned}\n")
    assert found.text.count("return") == 1
    assert found.notes == [(11, "M-INOUT")]


@pytest.mark.parametrize(
    "body",
    [
        "    nl.store(out, x)\n    return out\n",
        "    o = out.reshape((2, 2))\n    nl.store(o[0], x)\n    return o\n",
        "    out = nl.ndarray(x.shape, dtype=x.dtype)\n    out[...] = x\n    return out\n",
        "    y = nl.load(out)\n    return y\n",
    ],
)
def test_what_is_not_an_output_passed_in(body: str) -> None:
    text = f"{HEAD}{HELPER}\n\n@nki.jit\ndef k(x, out):\n{body}"
    found = hosted(text)
    assert found.text.endswith(body)
    assert not found.notes


def test_a_kernel_that_returns_something_else_as_well() -> None:
    text = f"{HEAD}\n\n@nki.jit\ndef k(x, out):\n    nl.store(out, x)\n    return x\n"
    assert hosted(text).reasons == [(6, "M-INOUT")]


def test_annotations_of_outputs() -> None:
    signature = "def k(x: nt.tensor, a: nt.tensor[nt.mutable], b: nt.mutable_tensor):\n    other(a, b)\n"
    found = hosted(f"{HEAD}{TYPING}\n\n@nki.jit\n{signature}")
    assert found.text.endswith("def k(x, a, b):\n    other(a, b)\n    return a, b\n")


EXTRA = """

@nki.jit
def k(x, scale=1.0{extra}):
    return x


"""


@pytest.mark.parametrize(
    "extra", [", **kwargs", ",\n      **options", ", *, wide=False, **kwargs", ",  # **\n      **kwargs"]
)
def test_further_keywords_that_nothing_reads(extra: str) -> None:
    kept = {", *, wide=False, **kwargs": ", wide=False"}.get(extra, extra[:-8] if "#" in extra else "")
    call = "k(1, scale=2.0)\n"
    found = check(HEAD + EXTRA.format(extra=extra) + call, NEW_HEAD + EXTRA.format(extra=kept) + call)
    assert found.notes == []


def test_further_keywords_of_callers_elsewhere() -> None:
    found = hosted(HEAD + EXTRA.format(extra=", **kwargs"))
    assert [message for _, message in found.notes] == ["M-EXTRA"]
    assert "def k(x, scale=1.0):" in found.text


@pytest.mark.parametrize(
    ("extra", "body", "call"),
    [
        (", **kwargs", "return kwargs['x']", "k(1)"),
        (", **kwargs", "return x", "k(1, wide=True)"),
        (", **kwargs", "return x", "k(1, **{'wide': True})"),
        (", *more, **kwargs", "return x", "k(1)"),
    ],
)
def test_further_keywords_that_matter(extra: str, body: str, call: str) -> None:
    text = EXTRA.format(extra=extra).replace("return x", body)
    assert "M-PY" in [message for _, message in hosted(f"{HEAD}{text}{call}\n").reasons]
