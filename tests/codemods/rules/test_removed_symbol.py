"""NKM105: names that are gone."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, migrate

MODULE = "nkilib.core.utils.logging"

PLACES = {
    "import": (1, f"from {MODULE} import GLOBAL_LOG_LEVEL\n"),
    "among others": (2, f"from {MODULE} import (\n    GLOBAL_LOG_LEVEL,\n    LogLevel,\n)\n"),
    "alias": (1, f"from {MODULE} import GLOBAL_LOG_LEVEL as level\n"),
    "in a function": (2, f"def f():\n    from {MODULE} import GLOBAL_LOG_LEVEL\n"),
    "optional": (2, f"try:\n    from {MODULE} import GLOBAL_LOG_LEVEL\nexcept ImportError:\n    pass\n"),
    "read": (2, f"import {MODULE} as log\nprint(log.GLOBAL_LOG_LEVEL)\n"),
    "set": (2, f"import {MODULE}\n{MODULE}.GLOBAL_LOG_LEVEL = 3\n"),
    "module from its package": (2, "from nkilib.core.utils import logging\nlogging.GLOBAL_LOG_LEVEL = 3\n"),
    "getattr": (2, f"import {MODULE} as log\nlevel = getattr(log, 'GLOBAL_LOG_LEVEL', None)\n"),
    "setattr": (2, f"import {MODULE} as log\nmonkeypatch.setattr(log, 'GLOBAL_LOG_LEVEL', 3)\n"),
}


@pytest.mark.parametrize(("line", "text"), PLACES.values(), ids=PLACES)
def test_reported_with_what_to_do(line: int, text: str) -> None:
    check_reported(text, "NKM105", line, "NKILIB_LOG_LEVEL")


def test_a_legacy_root_is_rewritten_all_the_same() -> None:
    result = migrate({"app.py": "from nkilib_standalone.nkilib.core.utils.logging import GLOBAL_LOG_LEVEL\n"})
    assert result.text("app.py") == f"from {MODULE} import GLOBAL_LOG_LEVEL\n"
    assert [f.code for f in result.findings if f.outcome.value == "needs-you"] == ["NKM105"]


def test_an_arm_for_the_old_release_may_import_it() -> None:
    arms = "from nkilib.core.mlp.mlp import {}"
    text = (
        f"try:\n    {arms.format('mlp')}\nexcept ImportError:\n    {arms.format('mlp_kernel as mlp')}\n"
        f"    from {MODULE} import GLOBAL_LOG_LEVEL\n"
    )
    result = migrate({"app.py": text})
    assert not result.changed
    assert not [f for f in result.findings if f.outcome.value == "needs-you"]


NOOP = {
    "another module's": "import logging  # nkilib\n\nlogging.GLOBAL_LOG_LEVEL = 3\n",
    "a name of your own": f"from {MODULE} import LogLevel\n\nGLOBAL_LOG_LEVEL = LogLevel.INFO\n",
    "a parameter": f"import {MODULE} as log\n\n\ndef f(log):\n    return log.GLOBAL_LOG_LEVEL\n",
    "prose": f"import {MODULE} as log\n\nprint('GLOBAL_LOG_LEVEL is gone')\n",
}


@pytest.mark.parametrize("text", NOOP.values(), ids=NOOP)
def test_left_alone(text: str) -> None:
    check_noop(text)
