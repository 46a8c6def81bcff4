"""NKM306: subclasses, stand-ins, and fields read by position."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, migrate

RANGE = "from nkilib.core.utils.tiled_range import TiledRangeIterator\n\n\n"
VIEW = "import types\n\nimport nkilib.core.utils.tensor_view as tv\n\n\n"
QKV = "import nkilib.core.qkv.qkv as Q\n\n\n"
ARGS = "import dataclasses\n\nfrom nkilib.core.rmsnorm.rmsnorm_quant import RmsNormQuantKernelArgs as A\n\n\n"


@pytest.mark.parametrize(
    "body",
    ["def rows(self):\n        return 1", "size = 3", "size: int"],
    ids=["method", "attribute", "annotation"],
)
def test_a_subclass_with_a_body(body: str) -> None:
    check_reported(f"{RANGE}class T(TiledRangeIterator):\n    {body}\n", "NKM306", 4, "end_offset")


@pytest.mark.parametrize("body", ["pass", '"""Tiles."""', "..."])
def test_a_subclass_without_one(body: str) -> None:
    check_noop(f"{RANGE}class T(TiledRangeIterator):\n    {body}\n")


CONSTRUCTORS = {
    "super": "super().__init__(a, b, c)",
    "super with arguments": "super(T, self).__init__(a, b, c)",
    "by the base's name": "TiledRangeIterator.__init__(self, a, b, c)",
    "star": "super().__init__(*a)",
}


@pytest.mark.parametrize("call", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_a_constructor_call_that_does_not_fit(call: str) -> None:
    text = f"{RANGE}class T(TiledRangeIterator):\n    def __init__(self, a, b, c):\n        {call}\n"
    check_reported(text, "NKM306", 6, "end_offset")


@pytest.mark.parametrize(
    "call", ["super().__init__(a, b, c, a + c)", "super().__init__(a, b, c, end_offset=a)"]
)
def test_a_constructor_call_that_fits(call: str) -> None:
    text = f"{RANGE}class T(TiledRangeIterator):\n    def __init__(self, a, b, c):\n        {call}\n"
    assert [f.line for f in migrate({"app.py": text}).findings] == [4]


BARE = {
    "namespace": "def f():\n    return tv.TensorView(types.SimpleNamespace(shape=1))\n",
    "named": "def f():\n    t = types.SimpleNamespace(shape=1)\n    return tv.TensorView(base_tensor=t)\n",
    "class": (
        "class Fake:\n    def __init__(self):\n        self.shape = 1\n\n\n"
        "def f():\n    return tv.TensorView(Fake())\n"
    ),
}


@pytest.mark.parametrize("body", BARE.values(), ids=BARE)
def test_a_stand_in_without_dtype(body: str) -> None:
    text = VIEW + body
    check_reported(text, "NKM306", text.count("\n"), "dtype")


COMPLETE = {
    "given": "def f():\n    return tv.TensorView(types.SimpleNamespace(shape=1, dtype=2))\n",
    "unknown": "def f(kw):\n    return tv.TensorView(types.SimpleNamespace(shape=1, **kw))\n",
    "set later": (
        "def f():\n    t = types.SimpleNamespace(shape=1)\n    t.dtype = 2\n    return tv.TensorView(t)\n"
    ),
    "class attribute": "class Fake:\n    dtype = 1\n\n\ndef f():\n    return tv.TensorView(Fake())\n",
    "set in the constructor": (
        "class Fake:\n    def __init__(self):\n        self.dtype = 1\n\n\n"
        "def f():\n    return tv.TensorView(Fake())\n"
    ),
    "derived": "class Fake(types.X):\n    x = 1\n\n\ndef f():\n    return tv.TensorView(Fake())\n",
    "anything": (
        "class Fake:\n    def __getattr__(self, name):\n        return 1\n\n\n"
        "def f():\n    return tv.TensorView(Fake())\n"
    ),
    "somebody else's": "def f(t):\n    return tv.TensorView(t), types.SimpleNamespace(shape=1)\n",
}


@pytest.mark.parametrize("body", COMPLETE.values(), ids=COMPLETE)
def test_a_stand_in_that_does(body: str) -> None:
    check_noop(VIEW + body)


PATCHES = {
    "setattr": '    m.setattr(Q, "qkv", fake)\n',
    "path": '    m.setattr("nkilib.core.qkv.qkv.qkv", fake)\n',
    "patch": '    m.patch("nkilib.core.qkv.qkv.qkv", side_effect=fake)\n',
    "patch.object": '    m.patch.object(Q, "qkv", new=fake)\n',
    "assignment": "    Q.qkv = fake\n",
}


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_a_fake_that_takes_positions_only(patch: str) -> None:
    check_reported(f"{QKV}def fake(x, w, *rest):\n    return x\n\n\ndef t(m):\n{patch}", "NKM306", 4, "fake")


FAKES = {
    "anything": "x, *a, **kw",
    "few": "x, w",
    "those of the kernel": "input, fused_qkv_weights, output_layout, bias, fused_residual_add=False",
    "few, and keywords": "x, *, output_layout=None",
}


@pytest.mark.parametrize("parameters", FAKES.values(), ids=FAKES)
def test_a_fake_that_takes_the_calls(parameters: str) -> None:
    text = f'{QKV}def fake({parameters}):\n    return 1\n\n\ndef t(m):\n    m.setattr(Q, "qkv", fake)\n'
    check_noop(text)


def test_a_fake_with_another_name_at_a_moved_position() -> None:
    text = f'{QKV}def t(m):\n    m.setattr(Q, "qkv", lambda x, w, o, b, fused: x)\n'
    check_reported(text, "NKM306", 5, "`fused`")


TUPLES = {
    "three names": "    a, b, c = dataclasses.astuple(k)\n",
    "index": "    return dataclasses.astuple(k)[2]\n",
    "pattern": "    match k:\n        case A(a, b, c):\n            return c\n",
}


@pytest.mark.parametrize("body", TUPLES.values(), ids=TUPLES)
def test_fields_by_position(body: str) -> None:
    text = f"{ARGS}def f():\n    k = A(lower_bound=0.0)\n{body}"
    found = [f for f in migrate({"app.py": text}).findings if f.code == "NKM306"]
    assert [f.outcome.value for f in found] == ["needs-you"]
    assert "quantization_type" in found[0].message


@pytest.mark.parametrize(
    "body",
    [
        "    a, b, c, d = dataclasses.astuple(k)\n",
        "    a, b = dataclasses.astuple(k)\n",
        "    match k:\n        case A(a, b):\n            return b\n",
        "    return dataclasses.asdict(k), dataclasses.astuple(other)\n",
    ],
)
def test_fields_that_did_not_move(body: str) -> None:
    check_noop(f"{ARGS}def f(other):\n    k = A(lower_bound=0.0)\n{body}")
