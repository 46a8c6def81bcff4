"""Which files may use what other modules export."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.mentions import Mentions, any_of, in_imports

MENTIONS = Mentions(["app.kernels.mlp", "app.kernels.nl", "app.layers.Norm.kernel"])


@pytest.mark.parametrize(
    "text",
    [
        "from app.kernels import mlp\n",
        "from .kernels import (\n    other,\n    mlp,\n)\n",
        "import app.kernels as k\n\nk.mlp(x)\n",
        "from app.kernels import *\n",
        "from app.kernels import \\\n    *\n",
        "from . import mlp\n",
        "from .. import (mlp)\n",
        "from . import *\n",
        "target: app.kernels:mlp\n",
        "@patch('app.kernels.mlp')\n",
        "from app.layers import Norm\n\nNorm().kernel(x)\n",
        "from app.kernels import nl",
        "from app.layers import Norm\n",
        "mlp = kernels",
    ],
)
def test_a_module_and_a_name_of_it(text: str) -> None:
    assert MENTIONS.within(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "from app.kernels import other\n",
        "from app.other import mlp\n",
        "import mlp\n",
        "from app.kernels import mlp_2, my_mlp, inline\n",
        "from .other import mlp\n",
        "from . import other\n",
        "x = kernels * 2\n",
        "from app import kernels\n",
        "from app import layers\n",
        "k = import_module('app.my_kernels')\n",
        "print('app.kernels')\n",
    ],
)
def test_no_module_or_none_of_its_names(text: str) -> None:
    assert not MENTIONS.within(text.encode())


@pytest.mark.parametrize("text", ["from . import kernels as k\n", "from app import kernels as k\n"])
def test_a_package_may_offer_a_module(text: str) -> None:
    assert MENTIONS.within(text.encode(), package=True)
    assert not MENTIONS.within(text.replace("kernels", "others").encode(), package=True)


def test_without_exports_nothing_is_mentioned() -> None:
    assert not Mentions([]).within(b"from . import mlp\nfrom app.kernels import *\n")


SHORT = st.text("ab.\\", max_size=5).map(str.encode)


@given(st.sets(SHORT, min_size=1, max_size=12), SHORT, SHORT)
def test_a_pattern_of_many_words_finds_any_of_them(words: set[bytes], before: bytes, after: bytes) -> None:
    pattern = re.compile(any_of(sorted(words)))
    for data in (before, before + after, *(before + word + after for word in words)):
        assert (pattern.search(data) is not None) == any(word in data for word in words)


def test_words_that_share_more_and_more() -> None:
    """``b``, ``ab``, ``aab`` and so on would nest a group in each other."""
    words = [b"a" * length + b"b" for length in range(300)]
    assert re.compile(any_of(sorted(words))).search(b"a" * 500) is None
    words = [b"a" * length + b"b" + b"c" * length for length in range(1, 300)]
    pattern = re.compile(any_of(sorted(words)))
    assert all(pattern.search(word) for word in words)
    assert pattern.search(b"aabc" + b"bcca") is not None
    assert pattern.search(b"bcc") is None


def test_words_in_imports() -> None:
    text = b"""\
import neuronxcc.nki.language as nl
from neuronxcc.nki import jit
from .kernels.mlp import run  # of others
    import app.b as c
x = "import d"
importing = from_e
"""
    assert in_imports(text) == {b"kernels", b"mlp", b"import", b"run", b"app", b"b", b"as", b"c"}
