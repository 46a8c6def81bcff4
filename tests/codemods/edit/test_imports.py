"""EditImport and AddImport."""

from __future__ import annotations

import pytest
from marked import KINDS, Edits, edited

from nkimigrate.codemods.edit import EditRefused
from nkimigrate.codemods.model import AddImport, Edit, EditImport, Rename, Span


def change(
    *names: tuple[str, str], module: tuple[str, str] | None = None, also: tuple[str, ...] = ()
) -> Edits:
    return lambda span: [EditImport(span, module, names, also)]


def add(*wanted: tuple[str, str]) -> Edits:
    return lambda: [AddImport(module, name) for module, name in wanted]


CHANGED = {
    "module": ("«from a.b import c»  # d\n", change(module=("a.b", "x.y.z")), "from x.y.z import c  # d\n"),
    "module of a star": ("«from a import *»\n", change(module=("a", "b")), "from b import *\n"),
    "module to relative": ("«from a import c»\n", change(module=("a", "..b")), "from ..b import c\n"),
    "module from relative": ("«from.import(c)»\n", change(module=(".", "b")), "from b import(c)\n"),
    "module from relative, bare": ("«from .import c»\n", change(module=(".", "b")), "from b import c\n"),
    "spaced module": ("«from a . b import  c»\n", change(module=("a.b", "x")), "from x import  c\n"),
    "name": ("«from a import b, c»\n", change(("b", "x")), "from a import x, c\n"),
    "name gets an alias": ("«from a import b»\n", change(("b", "x as b")), "from a import x as b\n"),
    "alias stays": ("«from a import b  as  c»\n", change(("b as c", "x as c")), "from a import x  as  c\n"),
    "alias goes": ("«from a import b as c, d»\n", change(("b as c", "c")), "from a import c, d\n"),
    "order and comments stay": (
        "«from a import (  # first\n    b,  # B\n    # own\n    c,\n    d  # D\n)»\n",
        change(("b", "x"), ("d", "y as d")),
        "from a import (  # first\n    x,  # B\n    # own\n    c,\n    y as d  # D\n)\n",
    ),
    "continued": ("«from a import b, \\\n    c, d»\n", change(("c", "x")), "from a import b, \\\n    x, d\n"),
    "dotted": ("«import a.b.c»\n", change(("a.b.c", "x.y")), "import x.y\n"),
    "dotted with alias": ("«import q, a.b as c»\n", change(("a.b as c", "x.y as c")), "import q, x.y as c\n"),
    "removed first": ("«from a import b, c»\n", change(("b", "")), "from a import c\n"),
    "removed middle": ("«from a import b, c, d»\n", change(("c", "")), "from a import b, d\n"),
    "removed last": ("«from a import b, c»\n", change(("c", "")), "from a import b\n"),
    "removed last in parentheses": ("«from a import (b, c,)»\n", change(("c", "")), "from a import (b,)\n"),
    "removed over a continuation": ("«from a import b, \\\n    c»\n", change(("c", "")), "from a import b\n"),
    "removed before a continuation": (
        "«from a import b, c, \\\n    d»\n",
        change(("c", "")),
        "from a import b, \\\n    d\n",
    ),
    "removed first over a continuation": (
        "«from a import b, \\\n    c»\n",
        change(("b", "")),
        "from a import c\n",
    ),
    "removed from plain": ("«import a, b.c as d»\n", change(("a", "")), "import b.c as d\n"),
    "removed lines": (
        "«from a import (\n    b,  # B\n    c,  # C\n    d,\n)»\n",
        change(("c", "")),
        "from a import (\n    b,  # B\n    # C\n    d,\n)\n",
    ),
    "removed last line": (
        "«from a import (\n    b,\n    c\n)»\n",
        change(("c", "")),
        "from a import (\n    b\n)\n",
    ),
    "becomes what is there": ("«from a import b, c»\n", change(("b", "c")), "from a import c\n"),
    "both become one": ("«from a import b, c»\n", change(("b", "x"), ("c", "x")), "from a import x\n"),
    "swapped": ("«from a import b, c»\n", change(("b", "c"), ("c", "b")), "from a import c, b\n"),
    "module and names": (
        "«from a import b, c»\n",
        change(("b", "x as b"), module=("a", "y")),
        "from y import x as b, c\n",
    ),
}

ALSO = {
    "behind": (
        "«from a import b»  # c\nd\n",
        change(also=("import x", "import y")),
        "from a import b  # c\nimport x\nimport y\nd\n",
    ),
    "in a block": (
        "if a:\n    «from a import (\n        b,\n    )»\n    c\n",
        change(also=("import x",)),
        "if a:\n    from a import (\n        b,\n    )\n    import x\n    c\n",
    ),
    "semicolon": (
        "«import a»; b\n",
        change(also=("import x", "import y")),
        "import a; import x; import y; b\n",
    ),
    "last of a line": ("a; «import b»  # c\n", change(also=("import x",)), "a; import b; import x  # c\n"),
    "trailing semicolon": ("«import a»;\nb\n", change(also=("import x",)), "import a;\nimport x\nb\n"),
    "on the line of an if": (
        "if a: «import b»\nc\n",
        change(also=("import x",)),
        "if a: import b; import x\nc\n",
    ),
    "on a continued line": (
        "if a: \\\n    «import b»\n",
        change(also=("import x",)),
        "if a: \\\n    import b; import x\n",
    ),
    "split": (
        "«from a import b, c»\n",
        change(("c", ""), also=("from x import c",)),
        "from a import b\nfrom x import c\n",
    ),
    "in its place": (
        "if a:\n    «from a import b, c»  # d\n",
        change(("b", ""), ("c", ""), also=("from x import b", "from y import c")),
        "if a:\n    from x import b  # d\n    from y import c\n",
    ),
    "in its place within a line": (
        "a; «import b»; c\n",
        change(("b", ""), also=("import x", "import y")),
        "a; import x; import y; c\n",
    ),
    "in the place of a star": ("«from a import *»\n", change(("*", ""), also=("import x",)), "import x\n"),
}

REMOVED = {
    "line": ("a\n«import b»\nc\n", "a\nc\n"),
    "lines": ("a\n«from a import (\n    b,\n)»\nc\n", "a\nc\n"),
    "only line": ("«import b»\n", ""),
    "comment stays": ("a\n    \n«import b» ;  # c\nd\n", "a\n    \n# c\nd\n"),
    "block": ("if a:\n    «import b»\nc\n", "if a:\n    pass\nc\n"),
    "block with a comment": ("if a:\n    «import b»  # c\nd\n", "if a:\n    pass  # c\nd\n"),
    "rest of a block": ("if a:\n    «import b»\n    c\n", "if a:\n    c\n"),
    "whole block": ("if a:\n    «import b»\n    «import b»\nc\n", "if a:\n    pass\nc\n"),
    "else": ("if a:\n    b\nelse:\n    «import b»\n", "if a:\n    b\nelse:\n    pass\n"),
    "shared line": ("a; «import b»; c\n", "a; pass; c\n"),
    "block on a line": ("if a: «import b»\n", "if a: pass\n"),
}

REFUSED = {
    "another module": ("«from a import b»", change(module=("c", "d")), "imports from 'a', not 'c'"),
    "another level": ("«from .a import b»", change(module=("a", "d")), "imports from '.a', not 'a'"),
    "plain import": ("«import a»", change(module=("a", "d")), "no from-import"),
    "no such name": ("«from a import b as c»", change(("b", "d")), "does not import 'b'"),
    "part of the statement": ("«from a» import b", change(("b", "d")), "no import statement"),
    "another statement": ("«a.b»", change(("b", "d")), "no import statement"),
    "comment before the comma": (
        "«from a import (b  # B\n , c)»",
        change(("c", "")),
        "comment stands between a removed name and its comma",
    ),
    "two names for one": ("«import a»", change(("a", "b, c")), "no single name"),
    "no name": ("«import a»", change(("a", "1")), "libcst does not read"),
    "star becomes a name": ("«from a import *»", change(("*", "b")), "imports everything"),
    "contradictory names": (
        "«import a»",
        lambda s: [EditImport(s, names=(("a", "b"),)), EditImport(s, names=(("a", "c"),))],
        "contradict each other: .*'b'.*'c'",
    ),
    "contradictory modules": (
        "«from a import b»",
        lambda s: [EditImport(s, module=("a", "b")), EditImport(s, module=("a", "c"))],
        "contradict each other",
    ),
    "name edited twice": (
        "«from a import «b»»",
        lambda s, t: [EditImport(s, names=(("b", "c"),)), Rename(t, "b", "d")],
        "contradicts another edit",
    ),
    "module edited twice": (
        "«from «a» import b»",
        lambda s, t: [EditImport(s, module=("a", "c")), Rename(t, "a", "d")],
        "contradicts another edit",
    ),
}

ADDED = {
    "known": ("from a import b, c\n", add(("a", "c")), "from a import b, c\n"),
    "known under its alias": ("from a import b as c\n", add(("a", "b as c")), "from a import b as c\n"),
    "same module": (
        "import x\nfrom a import b  # c\ny\n",
        add(("a", "c")),
        "import x\nfrom a import b, c  # c\ny\n",
    ),
    "same module in parentheses": (
        "from a import (\n    b,  # B\n)\n",
        add(("a", "c"), ("a", "d as e")),
        "from a import (\n    b,  # B\n    c,\n    d as e,\n)\n",
    ),
    "another relative level": ("from .a import b\n", add(("a", "c")), "from .a import b\nfrom a import c\n"),
    "star": ("from a import *\nb\n", add(("a", "c")), "from a import *\nfrom a import c\nb\n"),
    "behind the imports": (
        '"""Doc."""\nfrom __future__ import annotations\n\nimport os\nfrom b import (\n    c\n)  # d\n'
        "\nx = 1\nimport y\n",
        add(("a", "c")),
        '"""Doc."""\nfrom __future__ import annotations\n\nimport os\nfrom b import (\n    c\n)  # d\n'
        "from a import c\n\nx = 1\nimport y\n",
    ),
    "behind its relatives": (
        "import a.b\nimport z\nx\n",
        add(("a.c", "d")),
        "import a.b\nfrom a.c import d\nimport z\nx\n",
    ),
    "behind a relative further down": (
        "import sys\nsys.path.append('a')\nfrom a import b\nfrom a.x import y\n",
        add(("a.c", "d")),
        "import sys\nsys.path.append('a')\nfrom a import b\nfrom a.c import d\nfrom a.x import y\n",
    ),
    "never inside try": (
        "import os\ntry:\n    from a import c\nexcept ImportError:\n    c = None\n",
        add(("a", "c")),
        "import os\nfrom a import c\ntry:\n    from a import c\nexcept ImportError:\n    c = None\n",
    ),
    "behind the line": (
        "import os; import sys; x = 1\ny\n",
        add(("a", "c")),
        "import os; import sys; x = 1\nfrom a import c\ny\n",
    ),
    "future alone": (
        "from __future__ import annotations\nx\n",
        add(("a", "c")),
        "from __future__ import annotations\nfrom a import c\nx\n",
    ),
    "docstring alone": ('"""Doc."""\nx\n', add(("a", "c")), '"""Doc."""\n\nfrom a import c\nx\n'),
    "code alone": ("# License\n\nx\n", add(("a", "c")), "# License\n\nfrom a import c\n\nx\n"),
    "two modules": (
        "import os\n",
        add(("a", "c"), ("b", "d"), ("a", "e")),
        "import os\nfrom a import c, e\nfrom b import d\n",
    ),
    "whole": ("import os\n", lambda: [AddImport("numpy", "np", True)], "import os\nimport numpy as np\n"),
    "whole known": ("import numpy as np\n", lambda: [AddImport("numpy", "np", True)], "import numpy as np\n"),
    "whole, other alias": (
        "import numpy\n",
        lambda: [AddImport("numpy", "np", True)],
        "import numpy\nimport numpy as np\n",
    ),
    "whole, no alias": ("import os\n", lambda: [AddImport("a.b", "a.b", True)], "import os\nimport a.b\n"),
    "too long a line": (
        "from a import b" + "b" * 80 + "\n",
        add(("a", "cccccc")),
        "from a import b" + "b" * 80 + "\nfrom a import cccccc\n",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("before", "edits", "after"), [*CHANGED.values(), *ALSO.values()], ids=[*CHANGED, *ALSO]
)
def test_change(before: str, edits: Edits, after: str, kind: str) -> None:
    assert edited(before, edits, kind) == KINDS[kind](after)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "after"), REMOVED.values(), ids=REMOVED)
def test_removal(before: str, after: str, kind: str) -> None:
    def remove(*spans: Span) -> list[Edit]:
        return [EditImport(span, names=(("b", ""),)) for span in spans]

    if kind == "no final newline":  # what precedes the statement keeps its newline
        assert edited(before, remove, kind).rstrip() == after.encode().rstrip()
    else:
        assert edited(before, remove, kind) == KINDS[kind](after)


@pytest.mark.parametrize(("before", "edits", "reason"), REFUSED.values(), ids=REFUSED)
def test_refusal(before: str, edits: Edits, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        edited(before, edits)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"no final newline", "latin-1", "wide"}))
@pytest.mark.parametrize(("before", "edits", "after"), ADDED.values(), ids=ADDED)
def test_addition(before: str, edits: Edits, after: str, kind: str) -> None:
    assert edited(before, edits, kind) == KINDS[kind](after)


def test_addition_without_a_final_newline() -> None:
    assert edited("import os", add(("a", "b"))) == b"import os\nfrom a import b"
    assert edited("", add(("a", "b"))) == b"from a import b\n"
    assert edited("# nothing", add(("a", "b"))) == b"# nothing\nfrom a import b\n"


def test_addition_below_shebang_and_cookie() -> None:
    before = "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\nx = 1\n"
    after = "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\nfrom a import b\n\nx = 1\n"
    assert edited(before, add(("a", "b"))).decode() == after


def test_addition_sees_the_other_edits() -> None:
    before = "«from old import b, c»\nx\n"

    def edits(span: Span) -> list[Edit]:
        return [AddImport("new", "b"), AddImport("new", "d"), EditImport(span, module=("old", "new"))]

    assert edited(before, edits) == b"from new import b, c, d\nx\n"


def test_edits_of_one_statement_are_merged() -> None:
    before = "«from a import b, c, «d» as e»\n"

    def edits(span: Span, name: Span) -> list[Edit]:
        return [
            EditImport(span, names=(("b", "x as b"),), also=("import y",)),
            EditImport(span, names=(("c", ""),), also=("import z", "import y")),
            Rename(name, "d", "w"),
        ]

    assert edited(before, edits) == b"from a import x as b, w as e\nimport y\nimport z\n"
