"""Kernels that are stored where evaluation does not follow, and the calls that may reach them there.

A changed kernel in a display, or among the arguments of a call, makes what holds it a *holder*: a name, what
a function gives, an attribute called like the keyword or field that it was given as. Calls through holders
whose callee is not known are what may be affected; spelling alone decides, so nothing of it is rewritten.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from .analysis import values as v
from .analysis.context import FileContext
from .analysis.fixtures import parametrized
from .analysis.reaching import reaching
from .analysis.scopes import Binding, Use
from .changed_parameters import Changed, changed_value, shape
from .handed_over import own_functions
from .private_kernels import only_looks
from .record import record
from .trees import last_name

_STORING = {"add", "append", "appendleft", "extend", "insert", "push", "setdefault", "update"}
_TAKING = {"copy", "get", "items", "pop", "popitem", "popleft", "values", "__getitem__"}
_HOLDING = (
    ast.Tuple, ast.List, ast.Set, ast.Dict, ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Starred, ast.Await,
    ast.Lambda, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp, ast.BinOp,
)  # fmt: skip
_PYTHON = {"builtins", "functools", "inspect", "itertools", "mock", "nki", "pytest", "typing", "unittest"}
_CALLED_AS = {"__getitem__": 1, "__call__": 2}
"""Methods that make an object hold what they return: how many calls that is behind the class."""
_PATTERNS = (ast.MatchAs, ast.MatchStar, ast.MatchMapping)
_DEEPEST = 4


@record
class Reached:
    """A call whose callee may be a changed kernel that was stored there."""

    node: ast.Call
    callee: ast.expr
    changed: Changed


@record
class HandedOn:
    """A kernel that is given to something unknown, and that no call in its file reaches."""

    node: ast.expr
    through: ast.expr
    changed: Changed


@record
class _Held:
    """What holds a kernel: it is called ``calls`` calls further on, or looked up as one of ``fields``.

    ``source``: where the kernel was named.
    """

    source: ast.expr
    changed: Changed
    fields: frozenset[str] = frozenset()
    calls: int = 0


def escapes(ctx: FileContext) -> Iterator[Reached | HandedOn]:
    """The calls that may reach a kernel that was stored, and would be affected; and kernels that are given
    away.
    """
    sources = [(use, found) for use in ctx.uses if (found := changed_value(ctx, ctx.evaluator.use(use)))]
    if sources:
        search = _Search(ctx)
        yield from search.calls(sources)
        yield from search.kept()


class _Search:
    def __init__(self, ctx: FileContext) -> None:
        module = ctx.module
        self.ctx = ctx
        self.links = {id(link): (use, i) for use in module.uses for i, link in enumerate(use.links)}
        stored = (b for table in (module.attributes, module.items) for group in table.values() for b in group)
        self.by_value: dict[int, list[Binding]] = {}
        for binding in (*module.bindings, *stored):
            if binding.value is not None:
                self.by_value.setdefault(id(binding.value), []).append(binding)
        self.by_node: dict[int, list[Binding]] = {}
        for binding in module.bindings:
            self.by_node.setdefault(id(binding.node), []).append(binding)
        self.by_binding: dict[str, dict[int, list[Use]]] = {}
        self.by_attribute: dict[str, list[tuple[Use, int]]] = {}
        self.agenda: list[tuple[ast.expr, _Held]] = []
        self.seen: dict[tuple[object, ...], int] = {}
        self.same: dict[int, set[int]] = {}
        self.found: dict[int, Reached] = {}
        self.handed: dict[int, HandedOn] = {}
        self.reached: set[int] = set()

    def calls(self, sources: list[tuple[Use, Changed]]) -> list[Reached]:
        self.agenda = [(use.top, _Held(use.top, changed)) for use, changed in sources]
        while self.agenda:
            node, held = self.agenda.pop()
            if held.calls <= _DEEPEST and not self._was_at(id(node), held):
                self._from(node, held)
        return list(self.found.values())

    def kept(self) -> list[HandedOn]:
        """What is given away and reached by no call, nor is what is held in the same places."""
        spread = list(self.reached)
        leading: dict[int, list[int]] = {}
        for source, firsts in self.same.items():
            for first in firsts:
                leading.setdefault(first, []).append(source)
        for source in spread:
            fresh = {*leading.get(source, ())} - self.reached
            self.reached |= fresh
            spread += fresh
        return [handed for source, handed in self.handed.items() if source not in self.reached]

    def _was_at(self, place: object, held: _Held) -> bool:
        """Whether something was followed from a place before, as one thing held there is like another."""
        key = (place, id(held.changed), held.fields, held.calls)
        before = self.seen.get(key)
        if before is None:
            self.seen[key] = id(held.source)
        else:
            self.same.setdefault(id(held.source), set()).add(before)
        return before is not None

    # -- outwards: what holds an expression -------------------------------------------------------------

    def _from(self, node: ast.expr, held: _Held) -> None:
        for binding in self.by_value.get(id(node), ()):
            self._bound(binding, held)
        use, index = self.links.get(id(node), (None, 0))
        if use is not None and not index and len(use.links) > 1:
            self._chain(use, 1, held)
            return
        parent = self.ctx.parent(node)
        if isinstance(parent, ast.Assign):
            owners = [t.value for t in parent.targets if isinstance(t, ast.Subscript)]
            self._looked_up([o.attr for o in owners if isinstance(o, ast.Attribute)], held)
        elif isinstance(parent, ast.Call) and parent.func is not node:
            self._given(parent, node, held)
        elif isinstance(parent, _HOLDING) and _is_held(parent, node):
            lazy = isinstance(parent, ast.Lambda)
            self.agenda.append(
                (parent, _Held(held.source, held.changed, held.fields, held.calls + 1) if lazy else held)
            )
        elif isinstance(parent, ast.Yield | ast.YieldFrom | ast.Return):
            self._produced(node, held)
        elif isinstance(parent, ast.Match):
            for binding in self.ctx.module.bindings:
                if binding.stmt is parent and isinstance(binding.node, _PATTERNS):
                    self._named(binding, held)

    def _produced(self, node: ast.expr, held: _Held) -> None:
        """What a function gives."""
        use = self.links.get(id(node), (None, 0))[0]
        scope = use.scope if use else None
        if scope is None or scope.kind != "function" or not isinstance(scope.node, ast.stmt):
            return
        self._made(scope.node, "function", held, 1)
        if scope.parent is not None and scope.name in _CALLED_AS:
            self._made(scope.parent.node, "class", held, _CALLED_AS[scope.name])

    def _made(self, node: ast.AST, kind: str, held: _Held, calls: int) -> None:
        """The uses of a function or class, which hold the kernel so many calls further on."""
        inner = _Held(held.source, held.changed, held.fields, held.calls + calls)
        for binding in (b for b in self.by_node.get(id(node), ()) if b.kind == kind):
            self._named(binding, inner)

    def _given(self, call: ast.Call, node: ast.expr, held: _Held) -> None:
        """An argument of a call: what it gives may hold the kernel, or what its method belongs to."""
        use, index = self.links[id(call)]
        callee = self.ctx.evaluator.use(use, index)
        names = [o.name for o in v.options(callee) if isinstance(o, v.Symbol)]
        given = [k.arg for k in call.keywords if k.value is node and k.arg]
        if functions := [o.name for o in v.options(callee) if isinstance(o, v.Function)]:
            for parameter in _parameters(self.ctx, functions, call, node):
                self._named(parameter, held)
        elif _keeps(self.ctx, names, call, node):
            self.handed.setdefault(id(held.source), HandedOn(held.source, call.func, held.changed))
        if last_name(call.func) == "parametrize":
            self._parametrized(call, held)
        elif isinstance(call.func, ast.Attribute) and call.func.attr in _STORING:
            self._stored(use, index, held)
        elif last_name(call.func) == "setattr" and len(call.args) == 3:
            name = call.args[1]
            self._looked_up([str(name.value)] if isinstance(name, ast.Constant) else [], held)
        elif functions or any(map(only_looks, names)):
            return
        elif callee is None or names:
            owned = [n for n in names if n in self.ctx.evaluator.classes]
            fields = frozenset(_fields(self.ctx, owned[0], call, node) if owned else given)
            self._looked_up(fields, held)
            inner = _Held(held.source, held.changed, fields or held.fields, held.calls)
            self._chain(use, index + 1, inner)
            if len(use.links) == index + 1:
                self.agenda.append((call, inner))

    def _parametrized(self, call: ast.Call, held: _Held) -> None:
        """Any of the parameters of the tests that a ``parametrize`` decorates."""
        decorated = self.ctx.parent(call)
        if not isinstance(decorated, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return
        for name in parametrized(call)[0]:
            for use in self.ctx.module.by_name.get(name, ()):
                owner = self.ctx.module.lookup(name, use.scope)
                inside = owner[0].node if owner else None
                if owner and owner[1][0].kind == "parameter" and inside in (decorated, *decorated.body):
                    self._chain(use, 1, held)

    def _stored(self, use: Use, index: int, held: _Held) -> None:
        """What ``holder.append(kernel)`` and its like belong to."""
        if index == 2 and use.name:
            self._each_use(use.name, use, held)
        elif index > 2 and isinstance(link := use.links[index - 2], ast.Attribute):
            self._looked_up([link.attr], held)

    # -- inwards: where a holder is used ----------------------------------------------------------------

    def _bound(self, binding: Binding, held: _Held) -> None:
        target = binding.target
        if isinstance(target, ast.Attribute):
            self._looked_up([target.attr], held)
        elif isinstance(target, ast.Subscript):
            use = self.links.get(id(target.value), (None, 0))[0]
            if use is not None and use.name:
                self._each_use(use.name, use, held)
        elif binding.scope.kind == "class":
            bases = getattr(binding.scope.node, "bases", [])
            enum = any(last_name(base).endswith("Enum") for base in bases)
            self._looked_up(["value"] if enum else [binding.name], held)
        else:
            self._named(binding, held)

    def _named(self, binding: Binding, held: _Held) -> None:
        """The uses of a name. What a parameter is called with itself, the call of its function tells."""
        for use in () if self._was_at(id(binding), held) else self._seeing(binding):
            if binding.kind != "parameter" or not _called_itself(use):
                self._chain(use, 1, held)

    def _seeing(self, binding: Binding) -> list[Use]:
        """The uses that see a binding of their name; found for all bindings of the name at once."""
        name, module = binding.name, self.ctx.module
        if name not in self.by_binding:
            found = self.by_binding[name] = {}
            for use in module.by_name.get(name, ()):
                owner = module.lookup(name, use.scope)
                for seen in reaching(owner[1], use, owner[0]) if owner is not None else ():
                    found.setdefault(id(seen), []).append(use)
        return self.by_binding[name].get(id(binding), [])

    def _each_use(self, name: str, near: Use, held: _Held) -> None:
        owner = self.ctx.module.lookup(name, near.scope)
        if owner is None or self._was_at((name, id(owner[0])), held):
            return
        for use in self.ctx.module.by_name.get(name, ()):
            if self.ctx.module.lookup(name, use.scope) == owner:
                self._chain(use, 1, held)

    def _looked_up(self, names: Iterable[str], held: _Held) -> None:
        """The attributes of anything that are called so, unless they are known to be something else."""
        inner = _Held(held.source, held.changed, frozenset(), held.calls)
        for name in names:
            for use, index in () if self._was_at(f".{name}", inner) else self._attributes(name):
                self._chain(use, index + 1, inner)

    def _attributes(self, name: str) -> list[tuple[Use, int]]:
        """The chains with such an attribute, and where in them it stands."""
        if name not in self.by_attribute:
            self.by_attribute[name] = [
                (use, index)
                for use in self.ctx.module.by_attribute.get(name, ())
                for index, link in enumerate(use.links)
                if isinstance(link, ast.Attribute)
                and link.attr == name
                and not _is_other(self.ctx, use, index)
            ]
        return self.by_attribute[name]

    def _chain(self, use: Use, start: int, held: _Held) -> None:
        """The trailers behind a holder: which of them still holds the kernel, and which calls it."""
        fields, calls = held.fields, held.calls
        for index in range(start, len(use.links)):
            link = use.links[index]
            if isinstance(link, ast.Attribute):
                if link.attr in _TAKING and index + 1 < len(use.links):
                    calls += 1
                elif link.attr in fields:
                    fields = frozenset()
                else:
                    return
            elif isinstance(link, ast.Call) and calls:
                calls -= 1
            elif isinstance(link, ast.Call):
                self._judge(use, index, held)
                return
        self.agenda.append((use.top, _Held(held.source, held.changed, fields, calls)))

    def _judge(self, use: Use, index: int, held: _Held) -> None:
        call, changed = use.links[index], held.changed
        assert isinstance(call, ast.Call)
        self.reached.add(id(held.source))
        known = _is_known(self.ctx, self.ctx.evaluator.use(use, index))
        if not known and changed.concerns(*shape(call.args, call.keywords)):
            self.found.setdefault(id(call), Reached(call, use.links[index - 1], changed))


def _keeps(ctx: FileContext, names: list[str], call: ast.Call, node: ast.expr) -> bool:
    """Whether what a call calls may keep the kernel, and not just call it with the arguments behind it."""
    along = any(k.arg in {"args", "kwargs"} for k in call.keywords) or node in call.args[:-1]
    return not along and not any(n.partition(".")[0] in _PYTHON or ctx.release.affects(n) for n in names)


def _called_itself(use: Use) -> bool:
    """Whether the name is called, at once or launched."""
    rest = (link for link in use.links[1:] if not isinstance(link, ast.Subscript))
    return isinstance(next(rest, None), ast.Call)


def _is_held(parent: ast.AST, node: ast.expr) -> bool:
    """Whether an expression gives what stands at this place in it."""
    if isinstance(parent, ast.Dict):
        return node not in parent.keys
    if isinstance(parent, ast.IfExp):
        return node is not parent.test
    if isinstance(parent, ast.Lambda):
        return node is parent.body
    if isinstance(parent, ast.DictComp):
        return node is parent.value
    return not isinstance(parent, ast.ListComp | ast.SetComp | ast.GeneratorExp) or node is parent.elt


def _is_known(ctx: FileContext, value: v.Value) -> bool:
    """Whether it is known what a value is, and not only on what object it is looked up."""
    return any(option is not None and not _only_looked_up(ctx, option) for option in v.options(value))


def _only_looked_up(ctx: FileContext, value: v.Value) -> bool:
    if isinstance(value, v.Method):
        return not ctx.release.affects(f"{value.owner}.{value.name}")
    return isinstance(value, v.Symbol) and value.name.rpartition(".")[0] in ctx.evaluator.classes


def _is_other(ctx: FileContext, use: Use, index: int) -> bool:
    """Whether an attribute is known to be something else: its class fills it with what calls give."""
    if _is_known(ctx, ctx.evaluator.use(use, index + 1)):
        return True
    owner = ctx.evaluator.use(use, index)
    if not isinstance(owner, v.Instance) or owner.of not in ctx.evaluator.classes:
        return False
    scope = ctx.module.scope_of[ctx.evaluator.classes[owner.of]]
    link = use.links[index]
    assert isinstance(link, ast.Attribute)
    stored = [b for b in ctx.module.attributes.get(link.attr, ()) if b.scope.parent is scope]
    return bool(stored) and all(isinstance(b.value, ast.Call) for b in stored)


def _parameters(ctx: FileContext, names: list[str], call: ast.Call, node: ast.expr) -> Iterator[Binding]:
    """The parameters of the file's own functions that get an argument."""
    functions = own_functions(ctx)
    for function in (functions[name] for name in names if name in functions):
        scope = ctx.module.scope_of[function]
        listed = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
        bound = isinstance(call.func, ast.Attribute) and listed[:1] in (["self"], ["cls"])
        given = [k.arg for k in call.keywords if k.value is node]
        given += [n for n, a in zip(listed[bound:], call.args, strict=False) if a is node]
        for name in given:
            yield from (b for b in scope.bindings.get(name or "", ()) if b.kind == "parameter")


def _fields(ctx: FileContext, name: str, call: ast.Call, node: ast.expr) -> list[str]:
    """The attributes in which an object of a class keeps an argument of its constructor."""
    owner = ctx.evaluator.classes[name]
    scope = ctx.module.scope_of[owner]
    made = next((s for s in owner.body if isinstance(s, ast.FunctionDef) and s.name == "__init__"), None)
    if made is None:
        names = [
            s.target.id for s in owner.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)
        ]
    else:
        names = [a.arg for a in (*made.args.posonlyargs, *made.args.args)][1:]
    given = [k.arg or "" for k in call.keywords if k.value is node]
    given += [names[i] for i, argument in enumerate(call.args) if argument is node and i < len(names)]
    if made is None:
        return given
    stored = (b for group in ctx.module.attributes.values() for b in group if b.scope.parent is scope)
    return [b.name for b in stored if isinstance(b.value, ast.Name) and b.value.id in given]
