"""One pass over a module's syntax tree: scopes, bindings with their control-flow position, and uses of names.

A *use* is a maximal trailer chain on a name (``a.b[2](x).c``); its arguments are uses of their own.
A *binding* is anything that gives a name a value. Both carry a :class:`Block` (the nest of branches they
stand in) and an order number, from which :func:`reaching` decides which bindings a use can see.
Raises RecursionError on absurdly nested code; the caller reports that file.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from operator import attrgetter

from ..trees import children, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_order = attrgetter("order")
_TRAILERS = frozenset((ast.Attribute, ast.Call, ast.Subscript))


class Block:
    """A straight run of statements: the arm of a compound statement, or a whole body."""

    __slots__ = ("arm", "depth", "loop", "owner", "parent")

    def __init__(self, parent: Block | None, owner: ast.AST, arm: str) -> None:
        self.parent = parent
        self.owner = owner
        self.arm = arm
        self.depth: int = parent.depth + 1 if parent else 0
        self.loop = isinstance(owner, (ast.For, ast.AsyncFor, ast.While)) and arm == "body"

    def chain(self) -> Iterator[Block]:
        block: Block | None = self
        while block is not None:
            yield block
            block = block.parent

    def encloses(self, other: Block) -> bool:
        inner: Block | None = other
        while inner is not None and inner.depth > self.depth:
            inner = inner.parent
        return inner is self


class Scope:
    """A lexical scope: module, class, function (also lambda), or comprehension.

    ``shared``: bindings that other scopes make in it.
    """

    __slots__ = ("bindings", "declared", "kind", "name", "node", "owner", "parent", "shared")

    def __init__(self, kind: str, node: ast.AST, parent: Scope | None, name: str) -> None:
        self.kind = kind
        self.node = node
        self.parent = parent
        self.name = name
        self.bindings: dict[str, list[Binding]] = {}
        self.declared: dict[str, str] = {}
        self.shared: dict[str, list[Binding]] = {}
        self.owner: Scope | None = None


class Binding:
    """A name gets a value.

    ``kind``: import, assign, element (of the iterable ``value``), parameter, function, class, other.
    ``foreign``: made by another scope, through ``global`` or ``nonlocal``.
    ``path``: tuple-unpacking indexes into ``value``. ``default``: what a parameter is when nothing is given.
    ``mentions``: the uses in its value, default and annotation have an order above the first of these numbers
    and not above the second.
    """

    __slots__ = (
        "alias",
        "annotation",
        "block",
        "default",
        "foreign",
        "kind",
        "mentions",
        "name",
        "node",
        "order",
        "path",
        "scope",
        "stmt",
        "target",
        "value",
    )

    def __init__(self, name: str, kind: str, node: ast.AST, scope: Scope, block: Block, order: int) -> None:
        self.name = name
        self.kind = kind
        self.node = node
        self.scope = scope
        self.block = block
        self.order = order
        self.value: ast.expr | None = None
        self.annotation: ast.expr | None = None
        self.default: ast.expr | None = None
        self.path: tuple[int | None, ...] = ()
        self.alias: ast.alias | None = None
        self.mentions = (0, 0)
        self.foreign = False
        self.stmt: ast.stmt | None = None
        self.target: ast.expr | None = None


class Use:
    """A trailer chain: ``links`` runs from its base, nearly always a Name, outwards to the outermost trailer.

    ``outer``: the use in whose arguments, or in whose base, this one stands; None for most.
    ``name`` is "" when the base is another expression. ``block`` is None for a use whose place in the
    control flow is not known: it sees every binding.
    """

    __slots__ = ("block", "inside", "links", "name", "order", "outer", "scope", "stmt")

    def __init__(
        self,
        links: list[ast.expr],
        scope: Scope,
        block: Block | None,
        order: int,
        stmt: ast.stmt,
        inside: ast.AST,
        outer: Use | None = None,
    ) -> None:
        base = links[0]
        self.links = links
        self.name: str = base.id if base.__class__ is ast.Name else ""
        self.outer = outer
        self.scope = scope
        self.block = block
        self.order = order
        self.stmt = stmt
        self.inside = inside

    @property
    def top(self) -> ast.expr:
        return self.links[-1]


class Text:
    """A string constant and where it stands (``inside``: the node it is a direct child of)."""

    __slots__ = ("inside", "node", "scope", "stmt", "value")

    def __init__(self, node: ast.Constant, scope: Scope, stmt: ast.stmt, inside: ast.AST) -> None:
        self.node = node
        self.value = str(node.value)
        self.scope = scope
        self.stmt = stmt
        self.inside = inside


class Module:
    """Everything one pass finds in a module. ``uses`` are in the order of their numbers."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.top = Scope("module", tree, None, "")
        self.uses: list[Use] = []
        self.by_name: dict[str, list[Use]] = defaultdict(list)
        self.by_attribute: dict[str, list[Use]] = defaultdict(list)
        self.texts: list[Text] = []
        self.bindings: list[Binding] = []
        self.imports: list[Binding] = []
        self.stars: list[ast.ImportFrom] = []
        self.attributes: dict[str, list[Binding]] = {}
        self.items: dict[str, list[Binding]] = {}
        self.parents: dict[ast.AST, ast.AST] = {}
        self.bodies: dict[ast.stmt, Block] = {}
        self.scope_of: dict[ast.AST, Scope] = {}
        self.names: set[str] = set()
        _Walker(self).run()

    def forget(self) -> None:
        """Undo what makes scopes and bindings refer to each other, so that they are freed with the last
        reference to them, and not by the garbage collector. Nothing can be looked up any more.
        """
        for scope in self.scope_of.values():
            scope.bindings.clear()
            scope.shared.clear()

    def spelling(self, name: str) -> Sequence[Use]:
        """The uses that spell a name, or with a dot in front an attribute; maybe twice."""
        if name[:1] == ".":
            return self.by_attribute.get(name[1:], ())
        return self.by_name.get(name, ())

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the module."""
        return walk(self.tree)

    @cached_property
    def asserts(self) -> list[ast.Assert]:
        return [stmt for stmt in self.bodies if isinstance(stmt, ast.Assert)]

    def lookup(self, name: str, scope: Scope) -> tuple[Scope, list[Binding]] | None:
        """The scope that owns ``name`` as seen from ``scope``, and all its bindings there; None for
        builtins.
        """
        here: Scope | None = scope
        first = True
        while here is not None:
            declared = here.declared.get(name)
            if declared == "global":
                return (self.top, self.top.bindings[name]) if name in self.top.bindings else None
            visible = first or here.kind != "class"
            if visible and declared is None and name in here.bindings:
                return here, here.bindings[name]
            first = False
            here = here.parent
        return None


def exclusive(one: Block, two: Block) -> bool:
    """Whether two blocks are different arms of one ``if`` or ``match``, or different handlers of one
    ``try``.
    """
    arms = {id(block.owner): block for block in one.chain()}
    for block in two.chain():
        other = arms.get(id(block.owner))
        if other is None or other is block:
            continue
        if isinstance(block.owner, ast.If | ast.Match):
            return other.arm != block.arm
        if isinstance(block.owner, ast.Try):
            return other.arm != block.arm and "handler" in other.arm and "handler" in block.arm
    return False


def reaching(bindings: Sequence[Binding], use: Use, owner: Scope) -> list[Binding]:
    """The bindings whose value ``use`` may see.

    In another scope than the owner (a closure, a method) all of them; in the owner's scope the last one
    that surely ran before, those in branches after that one, those that a loop carries around, and those
    that functions make through ``global`` or ``nonlocal``. Empty only for a name that a class body has not
    bound yet. ``bindings`` are those of one name, in the order in which they stand.
    """
    whole_class = owner.kind == "class"
    if use.scope is not owner or use.block is None or (len(bindings) == 1 and not whole_class):
        return list(bindings)
    behind = bisect_left(bindings, use.order, key=_order)
    kept = _last(bindings, behind, use.block)
    if owner.shared and bindings:
        kept += [b for b in owner.shared.get(bindings[0].name, ()) if b not in kept]
    return kept + _carried(bindings, behind, use.block) or ([] if whole_class else list(bindings))


def _last(bindings: Sequence[Binding], behind: int, block: Block) -> list[Binding]:
    """Of the bindings in front of one, those from the last that surely ran before a block's place on."""
    kept: list[Binding] = []
    for number in range(behind - 1, -1, -1):
        binding = bindings[number]
        if exclusive(binding.block, block):
            continue
        kept.append(binding)
        if binding.block.encloses(block):
            break
    return kept[::-1]


def _carried(bindings: Sequence[Binding], behind: int, block: Block) -> list[Binding]:
    """Of a binding and those behind it, the ones of its own scope that a loop carries to a block."""
    found: list[Binding] = []
    loops = frozenset(each for each in block.chain() if each.loop)
    for number in range(behind, len(bindings) if loops else 0):
        binding = bindings[number]
        if binding.foreign:
            continue
        if loops.isdisjoint(binding.block.chain()):
            break
        found.append(binding)
    return found


def surely_bound(bindings: Iterable[Binding], use: Use) -> bool:
    """Whether one of the bindings has run whenever control reaches ``use``."""
    block = use.block
    return block is None or any(b.order < use.order and b.block.encloses(block) for b in bindings)


class _Walker:
    """The pass itself: statements update the current scope and block, expressions record uses."""

    def __init__(self, module: Module) -> None:
        self.m = module
        self.uses, self.parents = module.uses, module.parents
        self.by_name, self.by_attribute = module.by_name, module.by_attribute
        self.scope = module.top
        self.block = Block(None, module.tree, "body")
        self.order = 0
        self.outer: Use | None = None
        self.stmt: ast.stmt = ast.Pass()

    def run(self) -> None:
        self.m.scope_of[self.m.tree] = self.m.top
        self.body(self.m.tree.body)

    # -- statements ---------------------------------------------------------------------------------

    def body(self, statements: list[ast.stmt]) -> None:
        for stmt in statements:
            self.stmt = stmt
            self.m.bodies[stmt] = self.block
            _STATEMENTS.get(type(stmt), _Walker.children)(self, stmt)

    def arm(self, owner: ast.AST, arm: str, statements: list[ast.stmt]) -> None:
        if not statements:
            return
        outer, self.block = self.block, Block(self.block, owner, arm)
        self.body(statements)
        self.block = outer

    def nested(self, scope: Scope, statements: list[ast.stmt]) -> None:
        outer = self.scope, self.block
        self.scope, self.block = scope, Block(None, scope.node, "body")
        self.body(statements)
        self.scope, self.block = outer

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.expr(decorator, node)
        defaults = self.signature_uses(node.args)
        start = self.order
        if node.returns:
            self.expr(node.returns, node)
        mentions = (start, self.order)
        binding = self.bind(node.name, "function", node)
        binding.annotation, binding.mentions = node.returns, mentions
        scope = self.new_scope("function", node, node.name)
        stmt = self.stmt
        self.parameters(node.args, scope, defaults)
        self.nested(scope, node.body)
        self.stmt = stmt

    def klass(self, node: ast.ClassDef) -> None:
        start = self.order
        for part in (*node.decorator_list, *node.bases):
            self.expr(part, node)
        for keyword in node.keywords:
            self.expr(keyword.value, node)
        mentions = (start, self.order)
        self.bind(node.name, "class", node).mentions = mentions
        self.nested(self.new_scope("class", node, node.name), node.body)

    def new_scope(self, kind: str, node: ast.AST, name: str) -> Scope:
        scope = Scope(kind, node, self.scope, name)
        self.m.scope_of[node] = scope
        return scope

    def signature_uses(self, args: ast.arguments) -> dict[ast.arg, tuple[ast.expr, int]]:
        """Records the uses in defaults; returns for each parameter with one the default, and the order that
        the uses in it begin behind.
        """
        found: dict[ast.arg, tuple[ast.expr, int]] = {}
        for arg, default in _defaults(args):
            found[arg] = default, self.order
            self.expr(default, args)
        return found

    def parameters(
        self, args: ast.arguments, scope: Scope, defaults: dict[ast.arg, tuple[ast.expr, int]]
    ) -> None:
        outer, self.scope = self.scope, scope
        block, self.block = self.block, Block(None, scope.node, "body")
        starred = [a for a in (args.vararg, args.kwarg) if a]
        for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, *starred):
            default, start = defaults.get(arg, (None, self.order))
            if arg.annotation is not None:
                self.scope, inner = outer, self.scope
                self.expr(arg.annotation, arg)
                self.scope = inner
            mentions = (start, self.order)
            binding = self.bind(arg.arg, "parameter", arg)
            binding.annotation = None if arg in starred else arg.annotation
            binding.default, binding.mentions = default, mentions
        self.scope, self.block = outer, block

    def imports(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.m.stars.append(node)  # type: ignore[arg-type]
                continue
            name = alias.asname or (
                alias.name if isinstance(node, ast.ImportFrom) else alias.name.split(".")[0]
            )
            binding = self.bind(name, "import", node)
            binding.alias = alias
            self.m.imports.append(binding)

    def assign(self, node: ast.Assign) -> None:
        start = self.order
        self.expr(node.value, node)
        mentions = (start, self.order)
        for target in node.targets:
            self.target(target, node, "assign", node.value, mentions)

    def ann_assign(self, node: ast.AnnAssign) -> None:
        start = self.order
        self.expr(node.annotation, node)
        if node.value is not None:
            self.expr(node.value, node)
        mentions = (start, self.order)
        self.target(node.target, node, "assign", node.value, mentions, node.annotation)

    def aug_assign(self, node: ast.AugAssign) -> None:
        self.expr(node.value, node)
        self.expr(node.target, node)
        self.target(node.target, node, "other", None, (0, 0))

    def loop(self, node: ast.For | ast.AsyncFor) -> None:
        start = self.order
        self.expr(node.iter, node)
        self.target(node.target, node, "element", node.iter, (start, self.order))
        self.arm(node, "body", node.body)
        self.arm(node, "orelse", node.orelse)

    def branch(self, node: ast.If | ast.While) -> None:
        self.expr(node.test, node)
        self.arm(node, "body", node.body)
        self.arm(node, "orelse", node.orelse)

    def with_(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            start = self.order
            self.expr(item.context_expr, node)
            if item.optional_vars is not None:
                mentions = (start, self.order)
                self.target(item.optional_vars, node, "enter", item.context_expr, mentions)
        self.body(node.body)

    def try_(self, node: ast.Try) -> None:
        self.arm(node, "body", node.body)
        for index, handler in enumerate(node.handlers):
            if handler.type is not None:
                self.expr(handler.type, handler)
            if handler.name:
                self.bind(handler.name, "other", handler)
            self.arm(node, f"handler{index}", handler.body)
        self.arm(node, "orelse", node.orelse)
        self.body(node.finalbody)

    def match(self, node: ast.Match) -> None:
        self.expr(node.subject, node)
        for index, case in enumerate(node.cases):
            for part in ast.walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(name, str):
                    self.bind(name, "other", part)
                if isinstance(part, ast.MatchValue):
                    self.expr(part.value, part)
                elif isinstance(part, ast.MatchClass):
                    self.expr(part.cls, part)
            if case.guard is not None:
                self.expr(case.guard, case)
            self.arm(node, f"case{index}", case.body)

    def valued(self, node: ast.Expr | ast.Return) -> None:
        if node.value is not None:
            self.expr(node.value, node)

    def scoping(self, node: ast.Global | ast.Nonlocal) -> None:
        kind = "global" if isinstance(node, ast.Global) else "nonlocal"
        for name in node.names:
            self.scope.declared[name] = kind

    def delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.bind(target.id, "other", node)
            else:
                self.expr(target, node)

    # -- bindings -----------------------------------------------------------------------------------

    def bind(self, name: str, kind: str, node: ast.AST) -> Binding:
        self.order += 1
        scope = self.scope
        if scope.declared.get(name) == "global":
            scope = self.m.top
        elif scope.declared.get(name) == "nonlocal":
            found = self.m.lookup(name, scope)
            scope = found[0] if found else scope
        binding = Binding(name, kind, node, scope, self.block, self.order)
        binding.stmt = self.stmt
        if scope is not self.scope:
            binding.foreign = True
            scope.shared.setdefault(name, []).append(binding)
        scope.bindings.setdefault(name, []).append(binding)
        self.m.bindings.append(binding)
        self.m.names.add(name)
        return binding

    def target(
        self,
        target: ast.expr,
        node: ast.stmt | ast.comprehension | ast.NamedExpr,
        kind: str,
        value: ast.expr | None,
        mentions: tuple[int, int],
        annotation: ast.expr | None = None,
        path: tuple[int | None, ...] = (),
    ) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            starred = any(isinstance(e, ast.Starred) for e in target.elts)
            for index, element in enumerate(target.elts):
                self.target(element, node, kind, value, mentions, None, (*path, None if starred else index))
        elif isinstance(target, ast.Starred):
            self.target(target.value, node, "other", None, (0, 0))
        elif isinstance(target, ast.Name):
            binding = self.bind(target.id, kind, node)
            self._fill(binding, target, value, mentions, annotation, path)
        else:
            self.expr(target, node)
            if isinstance(target, ast.Attribute):
                table, name = self.m.attributes, target.attr
            elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                table, name = self.m.items, target.value.id
            else:
                return
            self.order += 1
            binding = Binding(name, kind, node, self.scope, self.block, self.order)
            binding.stmt = self.stmt
            self._fill(binding, target, value, mentions, annotation, path)
            table.setdefault(name, []).append(binding)

    @staticmethod
    def _fill(
        binding: Binding,
        target: ast.expr,
        value: ast.expr | None,
        mentions: tuple[int, int],
        annotation: ast.expr | None,
        path: tuple[int | None, ...],
    ) -> None:
        binding.target, binding.value, binding.mentions = target, value, mentions
        binding.annotation, binding.path = annotation, path

    # -- expressions --------------------------------------------------------------------------------

    def children(self, node: ast.AST) -> None:
        for child in children(node):
            if isinstance(child, ast.expr):
                self.expr(child, node)
            else:
                self.children(child)

    def expr(self, node: ast.expr, parent: ast.AST) -> None:
        kind = node.__class__
        if kind is ast.Constant:
            if node.value.__class__ is str:  # type: ignore[attr-defined]
                self.m.texts.append(Text(node, self.scope, self.stmt, parent))  # type: ignore[arg-type]
            return
        self.parents[node] = parent
        if kind is ast.Name:
            self.use([node], parent)
        elif kind in _TRAILERS:
            self.chain(node, parent)
        else:
            _EXPRESSIONS.get(kind, _Walker.children)(self, node)

    def chain(self, top: ast.expr, parent: ast.AST) -> None:
        links = [top]
        inner = top
        while (kind := inner.__class__) in _TRAILERS:
            node = inner
            inner = node.func if kind is ast.Call else node.value  # type: ignore[attr-defined]
            if inner.__class__ is not ast.Attribute:
                self.parents[inner] = node
            links.append(inner)
        links.reverse()
        use = self.use(links, parent)
        around, self.outer = self.outer, use
        if kind is not ast.Name:
            self.expr(inner, links[1])
        for link in links:
            kind = link.__class__
            if kind is ast.Attribute:
                self.by_attribute[link.attr].append(use)  # type: ignore[attr-defined]
            elif kind is ast.Call:
                for arg in link.args:  # type: ignore[attr-defined]
                    self.expr(arg, link)
                for keyword in link.keywords:  # type: ignore[attr-defined]
                    self.expr(keyword.value, link)
            elif kind is ast.Subscript:
                self.expr(link.slice, link)  # type: ignore[attr-defined]
        self.outer = around

    def use(self, links: list[ast.expr], parent: ast.AST) -> Use:
        self.order = order = self.order + 1
        use = Use(links, self.scope, self.block, order, self.stmt, parent, self.outer)
        self.uses.append(use)
        if use.name:
            self.by_name[use.name].append(use)
        return use

    def operands(self, node: ast.BinOp) -> None:
        self.expr(node.left, node)
        self.expr(node.right, node)

    def comparison(self, node: ast.Compare) -> None:
        self.expr(node.left, node)
        for other in node.comparators:
            self.expr(other, node)

    def display(self, node: ast.Tuple | ast.List | ast.Set) -> None:
        """Tables of plain data are long and hold nothing to look at."""
        for element in node.elts:
            if type(element) is not ast.Constant or type(element.value) is str:
                self.expr(element, node)

    def lambda_(self, node: ast.Lambda) -> None:
        defaults = self.signature_uses(node.args)
        scope = self.new_scope("function", node, "<lambda>")
        self.parameters(node.args, scope, defaults)
        outer = self.scope, self.block
        self.scope, self.block = scope, Block(None, node, "body")
        self.expr(node.body, node)
        self.scope, self.block = outer

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        outer, self.scope = self.scope, self.new_scope("comprehension", node, "<comprehension>")
        for index, generator in enumerate(node.generators):
            inner = self.scope
            if index == 0:
                self.scope = outer
            start = self.order
            self.expr(generator.iter, node)
            self.scope = inner
            self.target(generator.target, generator, "element", generator.iter, (start, self.order))
            for condition in generator.ifs:
                self.expr(condition, node)
        parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        for part in parts:
            self.expr(part, node)
        self.scope = outer

    def walrus(self, node: ast.NamedExpr) -> None:
        start = self.order
        self.expr(node.value, node)
        scope = self.scope
        while self.scope.kind == "comprehension" and self.scope.parent is not None:
            self.scope = self.scope.parent
        self.target(node.target, node, "assign", node.value, (start, self.order))
        self.scope = scope


def _defaults(args: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr]]:
    """The parameters that have a default, with it, in the order in which these are evaluated."""
    positional = [*args.posonlyargs, *args.args]
    yield from zip(positional[len(positional) - len(args.defaults) :], args.defaults, strict=True)
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        if default is not None:
            yield arg, default


_STATEMENTS: dict[type, Callable[[_Walker, Any], None]] = {
    ast.FunctionDef: _Walker.function,
    ast.AsyncFunctionDef: _Walker.function,
    ast.ClassDef: _Walker.klass,
    ast.Expr: _Walker.valued,
    ast.Return: _Walker.valued,
    ast.Import: _Walker.imports,
    ast.ImportFrom: _Walker.imports,
    ast.Assign: _Walker.assign,
    ast.AnnAssign: _Walker.ann_assign,
    ast.AugAssign: _Walker.aug_assign,
    ast.For: _Walker.loop,
    ast.AsyncFor: _Walker.loop,
    ast.If: _Walker.branch,
    ast.While: _Walker.branch,
    ast.With: _Walker.with_,
    ast.AsyncWith: _Walker.with_,
    ast.Try: _Walker.try_,
    ast.Match: _Walker.match,
    ast.Global: _Walker.scoping,
    ast.Nonlocal: _Walker.scoping,
    ast.Delete: _Walker.delete,
}
if hasattr(ast, "TryStar"):
    _STATEMENTS[ast.TryStar] = _Walker.try_

# For what is not listed, ``children`` does the same more slowly.
_EXPRESSIONS: dict[type, Callable[[_Walker, Any], None]] = {
    ast.BinOp: _Walker.operands,
    ast.Compare: _Walker.comparison,
    ast.Lambda: _Walker.lambda_,
    ast.ListComp: _Walker.comprehension,
    ast.SetComp: _Walker.comprehension,
    ast.GeneratorExp: _Walker.comprehension,
    ast.DictComp: _Walker.comprehension,
    ast.NamedExpr: _Walker.walrus,
    ast.Tuple: _Walker.display,
    ast.List: _Walker.display,
    ast.Set: _Walker.display,
}
