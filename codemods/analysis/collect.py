"""One pass over a module's syntax tree, which finds its scopes, bindings, uses and string constants."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from ..trees import children
from .fixtures import is_fixture
from .scopes import Binding, Block, Module, Scope, Text, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAME, _ATTRIBUTE, _CALL, _SUBSCRIPT = ast.Name, ast.Attribute, ast.Call, ast.Subscript
_TRAILERS = frozenset((_ATTRIBUTE, _CALL, _SUBSCRIPT))


def collect(tree: ast.Module) -> Module:
    """Everything that is in a module.

    Raises RecursionError on absurdly nested code; the caller reports that file.
    """
    module = Module(tree)
    module.scope_of[tree] = module.top
    _Collector(module).body(tree.body)
    return module


class _Source:
    """What the targets of one statement get their values from; the fields are those of :class:`Binding`."""

    __slots__ = ("annotation", "kind", "mentions", "node", "value")

    def __init__(
        self,
        node: ast.stmt | ast.comprehension | ast.NamedExpr,
        kind: str,
        value: ast.expr | None = None,
        mentions: tuple[int, int] = (0, 0),
        annotation: ast.expr | None = None,
    ) -> None:
        self.node = node
        self.kind = kind
        self.value = value
        self.mentions = mentions
        self.annotation = annotation

    def fill(self, binding: Binding, target: ast.expr, path: tuple[int | None, ...]) -> None:
        """Tell a binding where its value comes from."""
        binding.target, binding.value, binding.mentions = target, self.value, self.mentions
        binding.path = path
        if not path:
            binding.annotation = self.annotation


class _Collector:
    """The pass itself: statements update the current scope and block, expressions record uses."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.uses, self.parents = module.uses, module.parents
        self.by_name, self.by_attribute = module.by_name, module.by_attribute
        self.scope = module.top
        self.block = Block(None, module.tree, "body")
        self.order = 0
        self.outer: Use | None = None
        self.stmt: ast.stmt = ast.Pass()

    # -- statements ---------------------------------------------------------------------------------

    def body(self, statements: list[ast.stmt]) -> None:
        for stmt in statements:
            self.stmt = stmt
            self.module.bodies[stmt] = self.block
            _STATEMENTS.get(type(stmt), _Collector.children)(self, stmt)

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
        before = self.order
        for decorator in node.decorator_list:
            self.expr(decorator, node)
        decorated = self.order > before
        defaults = self.signature_uses(node.args)
        start = self.order
        if node.returns:
            self.expr(node.returns, node)
        mentions = (start, self.order)
        binding = self.bind(node.name, "function", node)
        binding.annotation = node.returns
        binding.mentions = (before, self.order) if is_fixture(node) else mentions
        scope = self.new_scope("function", node, node.name)
        stmt = self.stmt
        self.parameters(node.args, scope, defaults)
        if decorated:
            self.parametrized(scope, before)
        self.nested(scope, node.body)
        self.stmt = stmt

    def class_(self, node: ast.ClassDef) -> None:
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
        self.module.scope_of[node] = scope
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

    @staticmethod
    def parametrized(scope: Scope, before: int) -> None:
        """Parameters without a default may get what a decorator gives them."""
        for binding in (b for bindings in scope.bindings.values() for b in bindings):
            if binding.default is None:
                binding.mentions = before, binding.mentions[1]

    def imports(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.module.stars.append(node)  # type: ignore[arg-type]
                continue
            name = alias.asname or (
                alias.name if isinstance(node, ast.ImportFrom) else alias.name.split(".")[0]
            )
            binding = self.bind(name, "import", node)
            binding.alias = alias
            self.module.imports.append(binding)

    def assign(self, node: ast.Assign) -> None:
        start = self.order
        self.expr(node.value, node)
        source = _Source(node, "assign", node.value, (start, self.order))
        for target in node.targets:
            self.target(target, source)

    def ann_assign(self, node: ast.AnnAssign) -> None:
        start = self.order
        self.expr(node.annotation, node)
        if node.value is not None:
            self.expr(node.value, node)
        self.target(node.target, _Source(node, "assign", node.value, (start, self.order), node.annotation))

    def aug_assign(self, node: ast.AugAssign) -> None:
        self.expr(node.value, node)
        self.expr(node.target, node)
        self.target(node.target, _Source(node, "other"))

    def loop(self, node: ast.For | ast.AsyncFor) -> None:
        start = self.order
        self.expr(node.iter, node)
        self.target(node.target, _Source(node, "element", node.iter, (start, self.order)))
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
                source = _Source(node, "enter", item.context_expr, (start, self.order))
                self.target(item.optional_vars, source)
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
        declared = scope.declared.get(name) if scope.declared else None
        if declared == "global":
            scope = self.module.top
        elif declared == "nonlocal":
            found = self.module.lookup(name, scope)
            scope = found[0] if found else scope
        binding = Binding(name, kind, node, scope, self.block, self.order)
        binding.stmt = self.stmt
        if scope is not self.scope:
            binding.foreign = True
            scope.shared.setdefault(name, []).append(binding)
        scope.bindings.setdefault(name, []).append(binding)
        self.module.bindings.append(binding)
        self.module.names.add(name)
        return binding

    def target(self, target: ast.expr, source: _Source, path: tuple[int | None, ...] = ()) -> None:
        """Bind all names of a target; ``path``: where in the source's value its own value is."""
        if isinstance(target, ast.Tuple | ast.List):
            stars = [i for i, e in enumerate(target.elts) if isinstance(e, ast.Starred)]
            for index, element in enumerate(target.elts):
                place = index - len(target.elts) if stars and index > stars[0] else index
                self.target(element, source, (*path, None if index in stars else place))
        elif isinstance(target, ast.Starred):
            self.target(target.value, _Source(source.node, "other"))
        elif isinstance(target, ast.Name):
            source.fill(self.bind(target.id, source.kind, source.node), target, path)
        else:
            self.expr(target, source.node)
            if isinstance(target, ast.Attribute):
                table, name = self.module.attributes, target.attr
            elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                table, name = self.module.items, target.value.id
            else:
                return
            self.order += 1
            binding = Binding(name, source.kind, source.node, self.scope, self.block, self.order)
            binding.stmt = self.stmt
            source.fill(binding, target, path)
            table.setdefault(name, []).append(binding)

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
                self.module.texts.append(Text(node, self.scope, self.stmt, parent))  # type: ignore[arg-type]
            return
        self.parents[node] = parent
        if kind is ast.Name:
            self.use([node], parent)
        elif kind in _TRAILERS:
            self.chain(node, parent)
        else:
            _EXPRESSIONS.get(kind, _Collector.children)(self, node)

    def chain(self, top: Any, parent: ast.AST) -> None:
        links = [top]
        inner, kind = top, top.__class__
        while kind in _TRAILERS:
            node = inner
            inner = node.func if kind is _CALL else node.value
            kind = inner.__class__
            if kind is not _ATTRIBUTE:
                self.parents[inner] = node
            links.append(inner)
        links.reverse()
        use = self.use(links, parent)
        around, self.outer = self.outer, use
        if kind is not _NAME:
            self.expr(inner, links[1])
        for link in links:
            kind = link.__class__
            if kind is _ATTRIBUTE:
                self.by_attribute[link.attr].append(use)
            elif kind is _CALL:
                for arg in link.args:
                    self.expr(arg, link)
                for keyword in link.keywords:
                    self.expr(keyword.value, link)
            elif kind is _SUBSCRIPT:
                self.expr(link.slice, link)
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
            source = _Source(generator, "element", generator.iter, (start, self.order))
            self.target(generator.target, source)
            for condition in generator.ifs:
                self.expr(condition, node)
        parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        for part in parts:
            self.expr(part, node)
        self.scope = outer

    def formatted(self, node: ast.JoinedStr) -> None:
        self.module.formats = True
        self.children(node)

    def walrus(self, node: ast.NamedExpr) -> None:
        start = self.order
        self.expr(node.value, node)
        scope = self.scope
        while self.scope.kind == "comprehension" and self.scope.parent is not None:
            self.scope = self.scope.parent
        self.target(node.target, _Source(node, "assign", node.value, (start, self.order)))
        self.scope = scope


def _defaults(args: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr]]:
    """The parameters that have a default, with it, in the order in which these are evaluated."""
    positional = [*args.posonlyargs, *args.args]
    yield from zip(positional[len(positional) - len(args.defaults) :], args.defaults, strict=True)
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        if default is not None:
            yield arg, default


_STATEMENTS: dict[type, Callable[[_Collector, Any], None]] = {
    ast.FunctionDef: _Collector.function,
    ast.AsyncFunctionDef: _Collector.function,
    ast.ClassDef: _Collector.class_,
    ast.Expr: _Collector.valued,
    ast.Return: _Collector.valued,
    ast.Import: _Collector.imports,
    ast.ImportFrom: _Collector.imports,
    ast.Assign: _Collector.assign,
    ast.AnnAssign: _Collector.ann_assign,
    ast.AugAssign: _Collector.aug_assign,
    ast.For: _Collector.loop,
    ast.AsyncFor: _Collector.loop,
    ast.If: _Collector.branch,
    ast.While: _Collector.branch,
    ast.With: _Collector.with_,
    ast.AsyncWith: _Collector.with_,
    ast.Try: _Collector.try_,
    ast.Match: _Collector.match,
    ast.Global: _Collector.scoping,
    ast.Nonlocal: _Collector.scoping,
    ast.Delete: _Collector.delete,
}
if hasattr(ast, "TryStar"):
    _STATEMENTS[ast.TryStar] = _Collector.try_

# For what is not listed, ``children`` does the same more slowly.
_EXPRESSIONS: dict[type, Callable[[_Collector, Any], None]] = {
    ast.BinOp: _Collector.operands,
    ast.Compare: _Collector.comparison,
    ast.Lambda: _Collector.lambda_,
    ast.ListComp: _Collector.comprehension,
    ast.SetComp: _Collector.comprehension,
    ast.GeneratorExp: _Collector.comprehension,
    ast.DictComp: _Collector.comprehension,
    ast.NamedExpr: _Collector.walrus,
    ast.JoinedStr: _Collector.formatted,
    ast.Tuple: _Collector.display,
    ast.List: _Collector.display,
    ast.Set: _Collector.display,
}
