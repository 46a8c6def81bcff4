"""What names mean in a function, compared with what Python's compiler says of the same code."""

from __future__ import annotations

import ast
import symtable
import sys

import pytest

from nkimigrate.codemods.language.plain import scopes

AROUND = ["one", "two", "three", "four", "box", "Kind", "ValueError"]
BODIES = {
    "assignments": "one = two\nthree: int = 4\nfour += 1",
    "loops": "for one, (two, *three) in four: pass",
    "with": "with one as two, three: pass",
    "imports": "import one.two\nimport two as three\nfrom four import box as Kind",
    "a walrus": "return (one := two) + three",
    "a walrus in a comprehension": "return [one := x for x in two]",
    "except": "try: pass\nexcept ValueError as one: two",
    "a function": "def one(a=two):\n    return three, a",
    "a function with an annotation": "def one(a: two) -> three: return a",
    "a decorated function": "@one\ndef two(): pass",
    "an async function": "async def one(a):\n    await two(a)",
    "a class": "class one(two):\n    three = 1",
    "a class with a method": "class one:\n    three = 1\n    def two(self, a=four): return three + four",
    "a lambda": "return lambda a=one, *two: a + three",
    "deleting": "one = 1\ndel one\ntwo",
    "global": "global one\none = two",
    "nonlocal": "nonlocal one\none = two",
    "a global in a function": "def one():\n    global two\n    return two + three",
    "a nonlocal in a function": "three = 1\ndef one():\n    nonlocal three, four\n    three = four",
    "patterns": "match one:\n    case [two, *three]: pass\n    case {'a': 1, **four}: pass\n    case Kind(x=box): pass",
    "a pattern with a name": "match one:\n    case int() as two: three",
    "a function in a function": "def one(two):\n    def three(): return two + four + box\n    return three",
}
if sys.version_info >= (3, 12):
    BODIES["type parameters"] = "def one[two](a: two): return a\ntype three = four\nclass box[Kind]: pass"


def both(body: str) -> tuple[ast.FunctionDef, symtable.Function]:
    """A function with this body, as a tree and as the compiler sees it. The one around it has all names."""
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    code = f"def outer({', '.join(AROUND)}):\n    def function(parameter, *rest, key=1, **more):\n{lines}"
    (node,) = ast.parse(code).body[0].body
    table = symtable.symtable(code, "<code>", "exec").get_children()[0].get_children()[0]
    assert isinstance(node, ast.FunctionDef)
    assert isinstance(table, symtable.Function)
    return node, table


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_a_function_binds(body):
    node, table = both(body)
    loops = {ast.unparse(c.target) for c in ast.walk(node) if isinstance(c, ast.comprehension)}
    local = {s.get_name() for s in table.get_symbols() if s.is_local()}
    assert scopes.bound(node) - loops == local - loops  # since 3.12 the compiler counts those of lists, too


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_a_function_takes_from_around_it(body):
    node, table = both(body)
    typed = {p.name for n in ast.walk(node) for p in getattr(n, "type_params", ())}  # count as taken
    known = {*AROUND} - typed
    assert known & {*scopes.free(node)} == {*table.get_frees()} & known


MAY_BE = {
    "above": ("name = 1\nplace()", False),
    "below": ("place()\nname = 1", True),
    "in one branch": ("if a:\n    name = 1\nplace()", True),
    "in both branches": ("if a:\n    name = 1\nelse:\n    name = 2\nplace()", False),
    "in a branch that goes on": ("if a:\n    name = 1\nelse:\n    raise a\nplace()", False),
    "in a loop": ("for i in a:\n    name = 1\nplace()", True),
    "above a loop": ("name = 1\nfor i in a:\n    place()", False),
    "the loop's variable": ("for name in a:\n    place()", False),
    "the loop's variable in what it runs over": ("for name in place():\n    pass", True),
    "the loop's variable behind it": ("for name in a:\n    pass\nelse:\n    place()", True),
    "where it may fail": ("try:\n    name = 1\nexcept a:\n    place()", True),
    "a function": ("def name(): pass\nplace()", False),
    "in a with": ("with a:\n    name = 1\n    place()", False),
}


@pytest.mark.parametrize(("body", "wanted"), MAY_BE.values(), ids=MAY_BE)
def test_whether_a_name_may_not_be_bound(body, wanted):
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (function,) = ast.parse(f"def function(a):\n{lines}").body
    assert isinstance(function, ast.FunctionDef)
    (place,) = (n for n in ast.walk(function) if isinstance(n, ast.Call) and ast.unparse(n.func) == "place")
    assert scopes.unbound(function, place, ["name", "a"]) == (["name"] if wanted else [])
