"""Which files may use what other modules export."""

from __future__ import annotations

import pytest

from nkimigrate.mentions import Mentions

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
        "from app.layers import Norm\n",
    ],
)
def test_no_module_or_none_of_its_names(text: str) -> None:
    assert not MENTIONS.within(text.encode())


def test_without_exports_nothing_is_mentioned() -> None:
    assert not Mentions([]).within(b"from . import mlp\nfrom app.kernels import *\n")
