"""NKM204: arguments that say what is the default now."""

from __future__ import annotations

import pytest
from helpers import check_noop, check_reported, check_transformed

LOG = "from nkilib.core.utils.logging import Logger, LogLevel\n\n"

DROPPED = {
    "keyword": ("Logger('q', level=None)", "Logger('q')"),
    "position": ("Logger('q', None)", "Logger('q')"),
    "first": ("Logger(level=None, name='q')", "Logger(name='q')"),
    "in parentheses": ("Logger('q', (None))", "Logger('q')"),
    "spaces": ("Logger( 'q', level = None )", "Logger( 'q' )"),
    "mapping behind": ("Logger('q', level=None, **kw)", "Logger('q', **kw)"),
    "in a method": (
        "class A:\n    def __init__(self):\n        self.log = Logger('q', level=None)",
        "class A:\n    def __init__(self):\n        self.log = Logger('q')",
    ),
    "layout": (
        "Logger(\n    'q',  # name\n    level=None,\n)",
        "Logger(\n    'q',  # name\n)",
    ),
    "alias": ("make = Logger\nmake('q', level=None)", "make = Logger\nmake('q')"),
}


@pytest.mark.parametrize(("before", "after"), DROPPED.values(), ids=DROPPED)
def test_dropped(before: str, after: str) -> None:
    check_transformed(f"{LOG}{before}\n", f"{LOG}{after}\n", code="NKM204")


PACKING = "output_projection.output_projection_utils import calculate_head_packing as pack\n\n"


@pytest.mark.parametrize("argument", ["None", "quant_config=None"])
def test_a_parameter_that_is_gone(argument: str) -> None:
    before = f"from nkilib_standalone.nkilib.core.{PACKING}pack(n, d, p, {argument})\n"
    check_transformed(before, f"from nkilib.core.{PACKING}pack(n, d, p)\n", code="NKM204")


@pytest.mark.parametrize("argument", ["q", "quant_config=q"])
def test_a_value_of_such_a_parameter_is_reported(argument: str) -> None:
    check_reported(
        f"from nkilib.core.{PACKING}pack(n, d, p, {argument})\n", "NKM201", 3, "calculate_head_packing"
    )


NOOP = {
    "another value": "Logger('q', level=LogLevel.INFO)",
    "a variable": "Logger('q', level=level)",
    "a choice": "Logger('q', level=None if x else y)",
    "left out": "Logger('q')",
    "the standard library's": "import logging\n\nlogging.Logger('q', level=None)",
    "a class of your own": "class Log:\n    pass\n\n\nLog('q', level=None)",
}


@pytest.mark.parametrize("call", NOOP.values(), ids=NOOP)
def test_left_alone(call: str) -> None:
    check_noop(f"{LOG}{call}\n")


def test_what_the_root_says_is_new_already() -> None:
    """The root's release has the new signature, so that a second run dropped the argument, without that root."""
    before = LOG.replace("nkilib", "nkilib_src.nkilib", 1)
    check_transformed(f"{before}Logger('q', level=None)\n", f"{LOG}Logger('q')\n", code="NKM204")
