"""Evaluation of a module's expressions to :mod:`.values`, lazily and with memory.

Follows aliases, assignments, tuple unpacking, conditional expressions, launch subscripts, ``nki.jit``,
``functools.partial``, instance and class attributes, annotations, containers, string constants, and names
that other modules of the project export (``outside``).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ..release import Release
from ..trees import last_name
from . import classes, containers
from . import values as v
from .annotations import annotated
from .compound import COMPOUND
from .fixtures import given
from .known_calls import KNOWN_CALLS
from .narrowing import narrowed
from .reaching import reaching, surely_bound
from .scopes import Binding, Block, Module, Scope, Use

WRAPPERS = {"nki.jit", "neuronxcc.nki.jit", "torch_neuronx.xla_impl.ops.nki_jit", "neuronxcc.nki.trace"}
# Whoever defines them: what they give is called like the kernel they are given.
_SEE_THROUGH = {"enable_stack_allocator", "skip_middle_end_transformations"}
_PEELING = "peel_decorations"
_LOADED = v.Symbol("sys.modules")
_MAX_DEPTH = 40
_NOWHERE = ast.Pass()
# Behind every order number.
_LAST = 1 << 60
_TRAILERS = (ast.Attribute, ast.Call, ast.Subscript)
_CHAINS = (ast.Name, *_TRAILERS)


class Evaluator:
    """Answers what expressions of one module denote.

    Args:
        module: the scopes of the module.
        release: the release table (roots, import-throughs, type tables).
        name: the module's dotted name ("" for a script), ``package`` whether it is an ``__init__.py``.
        outside: qualified names of the user's own modules → what they denote.

    Attributes:
        classes: qualified name → the class that the module defines.
        consulted: those of the ``outside`` names that were asked for.
    """

    def __init__(
        self, module: Module, release: Release, name: str, package: bool, outside: Mapping[str, v.Value]
    ) -> None:
        self.module = module
        self.release = release
        self.name = name
        self.package = package
        self.outside = outside
        self.consulted: set[str] = set()
        self._memory: dict[int, v.Value] = {}
        self._steps: dict[Use, list[v.Value]] = {}
        self._symbols: dict[str, v.Symbol] = {}
        self._busy: set[int] = set()
        self._followed: set[tuple[str, str]] = set()
        self._stored: dict[tuple[str, int], tuple[v.Value, v.Value]] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        for binding in module.bindings:
            if binding.kind == "class" and isinstance(binding.node, ast.ClassDef):
                self.classes[self.qualified(binding)] = binding.node

    # -- names --------------------------------------------------------------------------------------

    def qualified(self, binding: Binding) -> str:
        """A name for something the module itself defines; nested scopes are spelled out."""
        return self._qualified(binding.name, binding.scope)

    def _qualified(self, name: str, scope: Scope | None) -> str:
        parts = [name]
        while scope is not None and scope.kind != "module":
            parts.append(scope.name)
            scope = scope.parent
        return ".".join([self.name or "<module>", *reversed(parts)])

    def absolute(self, node: ast.ImportFrom) -> str:
        """The absolute module path of a ``from`` import; "" when a relative one leaves the known packages."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".") if self.name else []
        drop = node.level - (1 if self.package else 0)
        if drop > len(parts) or not parts:
            return ""
        base = parts[: len(parts) - drop]
        return ".".join([*base, node.module] if node.module else base)

    def symbol(self, dotted: str) -> v.Value:
        """What a dotted import path denotes."""
        if dotted in self.outside:
            return self.exported(dotted)
        head, _, tail = dotted.rpartition(".")
        if head and head in self.outside:
            return self._behind(head, tail)
        known = self._symbols.get(dotted)
        if known is None:
            known = v.Symbol(self.release.defining(self.release.canonical(dotted)))
            self._symbols[dotted] = known
        return known

    def _behind(self, head: str, tail: str) -> v.Value:
        """An attribute of what another module exports; nothing where that is said to be itself, as by modules
        that import a name from each other.
        """
        if (head, tail) in self._followed:
            return v.Constant(None)
        self._followed.add((head, tail))
        try:
            return self.attribute(self.exported(head), tail)
        finally:
            self._followed.discard((head, tail))

    def exported(self, name: str) -> v.Value:
        """What another module of the project exports under a qualified name; remembers that it was asked
        for.
        """
        if name in self.outside:
            self.consulted.add(name)
        return self.outside.get(name)

    def use(self, use: Use, upto: int | None = None) -> v.Value:
        """The value of a use's chain, or of its first ``upto`` links."""
        known = self._steps.get(use)
        if known is not None:
            return known[-1 if upto is None else max(upto, 1) - 1]
        links = use.links if upto is None else use.links[:upto]
        value = self.name_value(use)
        for link in links[1:]:
            value = self.step(value, link, use)
        return value

    def steps(self, use: Use) -> list[v.Value]:
        """The value after each link of the chain."""
        known = self._steps.get(use)
        if known is not None:
            return known
        value = self.name_value(use)
        found = [value]
        for link in use.links[1:]:
            value = self.step(value, link, use)
            found.append(value)
        if not self._busy:  # else it may be less than what there is to know
            self._steps[use] = found
        return found

    def name_value(self, use: Use) -> v.Value:
        """The value of a use's first link alone."""
        if not use.name:
            return self._expression(use.links[0], use.scope, use.block, use.order)
        owner = self.module.lookup(use.name, use.scope)
        if owner is None:
            return self._star(use.name) or v.Symbol(f"builtins.{use.name}")
        scope, bindings = owner
        if len(bindings) == 1 and scope.kind != "class":
            value = self.binding(bindings[0])
        else:
            seen = reaching(bindings, use, scope)
            value = v.one_of([self.binding(b) for b in seen] + self._around_class(use, scope, bindings))
        if isinstance(value, v.Mapping) and use.name in self.module.items:
            return self._filled(value, use.name, scope)
        return (self._checked(use, bindings) or value) if v.may_be_unknown(value) else value

    def _around_class(self, use: Use, owner: Scope, bindings: list[Binding]) -> list[v.Value]:
        """What a name in a class body means until the body binds it: what it means outside."""
        if owner.kind != "class" or use.scope is not owner or surely_bound(bindings, use):
            return []
        return [
            self.name_value(Use(use.links[:1], owner.parent or owner, None, use.order, use.stmt, use.inside))
        ]

    def _filled(self, value: v.Mapping, name: str, scope: Scope) -> v.Value:
        """A dict with what is stored in it by ``name[key] = …``."""
        known = self._stored.get((name, id(scope)))
        if known is not None and known[0] is value:
            return known[1]
        found = self._with_stores(value, name, scope)
        if not self._busy:  # or something may be missing
            self._stored[name, id(scope)] = value, found
        return found

    def _with_stores(self, value: v.Mapping, name: str, scope: Scope) -> v.Value:
        items = dict(value.items)
        for stored in self.module.items[name]:
            owner = self.module.lookup(name, stored.scope)
            if owner is None or owner[0] is not scope or not isinstance(stored.target, ast.Subscript):
                continue
            known = self.expression(stored.target.slice, stored)
            key = known.value if isinstance(known, v.Constant) else ...
            item = self.binding(stored)
            items[key] = v.one_of([items[key], item]) if key in items else item
        return v.Mapping(tuple(items.items()))

    def _checked(self, use: Use, bindings: list[Binding]) -> v.Value:
        """What an ``isinstance`` test around a use says about its name."""
        kinds = [annotated(self, test, use.scope) for test in narrowed(self.module, use, bindings)]
        return v.one_of(kinds) if kinds and None not in kinds else None

    def _star(self, name: str) -> v.Value:
        """What a name denotes that only a star import can have brought."""
        for node in self.module.stars:
            path = self.absolute(node)
            listed = self.release.stars.get(self.release.real(self.release.canonical(path)), ())
            if f"{path}.{name}" in self.outside or name in listed:
                return self.symbol(f"{path}.{name}")
        return None

    def assume(self, known: Mapping[int, v.Value]) -> None:
        """Start anew, with values for bindings (by ``id``) that are known otherwise."""
        self._memory = dict(known)
        self._stored.clear()
        self._steps = {}

    def binding(self, binding: Binding) -> v.Value:
        """What one binding gives its name."""
        key = id(binding)
        if key in self._memory:
            return self._memory[key]
        if key in self._busy or len(self._busy) > _MAX_DEPTH:
            return None
        self._busy.add(key)
        try:
            value = self._binding(binding)
        finally:
            self._busy.discard(key)
        self._memory[key] = value
        return value

    def _binding(self, binding: Binding) -> v.Value:
        if binding.kind == "import":
            return self._imported(binding)
        if binding.kind == "class":
            return v.Symbol(self.qualified(binding))
        if binding.kind == "function":
            return self._function(binding)
        if binding.annotation is not None:
            declared = annotated(self, binding.annotation, binding.scope)
            if declared is not None and not self._is_callable_type(declared):
                return declared
        if _is_field(binding):
            return v.one_of([None, self.expression(binding.value, binding)]) if binding.value else None
        if binding.kind == "parameter":
            return self._self(binding) or given(self, binding) or self._default(binding)
        if binding.value is None or binding.kind == "other":
            return None
        node, path = _unpacked(binding.value, binding.path if binding.kind == "assign" else ())
        value = self.expression(node, binding)
        if binding.kind == "element":
            value, path = containers.element(value), binding.path
        for index in path:
            value = None if index is None else containers.item(value, index)
        return value

    def _is_callable_type(self, value: v.Value) -> bool:
        """Whether an annotation names a class of the file that says how its objects are called."""
        node = self.classes.get(value.of) if isinstance(value, v.Instance) else None
        return node is not None and "__call__" in self.module.scope_of[node].bindings

    def _imported(self, binding: Binding) -> v.Value:
        alias = binding.alias
        assert alias is not None
        if isinstance(binding.node, ast.ImportFrom):
            module = self.absolute(binding.node)
            return self.symbol(f"{module}.{alias.name}") if module else None
        return self.symbol(alias.name if alias.asname else alias.name.split(".")[0])

    def _self(self, binding: Binding) -> v.Value:
        """The first parameter of a method is an instance of its class."""
        function, owner = binding.scope.node, binding.scope.parent
        if owner is None or owner.kind != "class" or not isinstance(function, ast.FunctionDef):
            return None
        args = (*function.args.posonlyargs, *function.args.args)
        plain = not any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
        if not args or args[0] is not binding.node or not plain:
            return None
        name = self._qualified(owner.name, owner.parent)
        is_class = any(isinstance(d, ast.Name) and d.id == "classmethod" for d in function.decorator_list)
        return v.Symbol(name) if is_class else v.Instance(name)

    def _default(self, binding: Binding) -> v.Value:
        """What a parameter is when nothing is given, if that changed; callers may give anything else."""
        outer = binding.scope.parent
        if binding.default is None or outer is None:
            return None
        value = self.at_end(binding.default, outer)
        return v.one_of([None, value]) if self._changed(value) else None

    def _changed(self, value: v.Value) -> bool:
        """Whether a value is a callable that the release changed."""
        known = (self.release.forms, self.release.new_symbol)
        return any(callee.name in names for callee in v.callees(value) or () for names in known)

    def _function(self, binding: Binding) -> v.Value:
        node = binding.node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            declared = annotated(self, node.returns, binding.scope)
            if declared is not None:
                return declared if _is_property(node) else v.Function(self.qualified(binding), declared)
        returned = self._returned(node)
        return returned if _is_property(node) else v.Function(self.qualified(binding), returned)

    def _returned(self, node: ast.AST) -> v.Value:
        """What a function gives when all its returns stand directly in its body's statements."""
        scope = self.module.scope_of.get(node)
        returns = [] if scope is None else list(_returns(getattr(node, "body", [])))
        found = [
            self.expression_in(r.value, scope, r)
            for r in returns
            if r.value is not None and scope is not None
        ]
        known = [value for value in found if value is not None]
        return v.one_of(found) if known else None

    # -- expressions --------------------------------------------------------------------------------

    def expression(self, node: ast.expr, binding: Binding) -> v.Value:
        """The value of an expression that stands where ``binding`` stands, before anything is bound there."""
        return self._expression(node, binding.scope, binding.block, binding.mentions[1] or binding.order)

    def expression_in(self, node: ast.expr, scope: Scope, at: ast.AST) -> v.Value:
        """The value of an expression in the block of the statement ``at``, after all bindings there."""
        block = self.module.bodies.get(at) if isinstance(at, ast.stmt) else None
        return self._expression(node, scope, block, _LAST)

    def at_end(self, node: ast.expr, scope: Scope) -> v.Value:
        """The value of an expression when any of the bindings in its scope may have run."""
        return self._expression(node, scope, None, _LAST)

    def at(self, node: ast.expr, use: Use) -> v.Value:
        """The value of an expression that stands where ``use`` stands."""
        return self._expression(node, use.scope, use.block, use.order)

    def _expression(self, node: ast.expr, scope: Scope, block: Block | None, order: int) -> v.Value:
        if isinstance(node, ast.Constant):
            return v.Constant(node.value)
        if isinstance(node, _CHAINS):
            return self.use(Use(_links(node), scope, block, order, _NOWHERE, node))
        handler = COMPOUND.get(type(node))
        return (
            handler(self, node, lambda part: self._expression(part, scope, block, order)) if handler else None
        )

    def step(self, value: v.Value, link: ast.expr, use: Use) -> v.Value:
        """The value of a trailer applied to ``value``."""
        if value is None:
            return None
        if isinstance(value, v.OneOf):
            return v.one_of([self.step(option, link, use) for option in value.options])
        if isinstance(link, ast.Attribute):
            return self.attribute(value, link.attr)
        if isinstance(link, ast.Subscript):
            return self._subscript(value, link, use)
        return self._call(value, link, use) if isinstance(link, ast.Call) else None

    def attribute(self, value: v.Value, name: str) -> v.Value:
        """What ``value.name`` denotes."""
        if isinstance(value, v.OneOf):
            return v.one_of([self.attribute(option, name) for option in value.options])
        if isinstance(value, v.Symbol):
            if name == "__wrapped__":
                return v.Launched(value)
            if name == "__dict__":
                return v.Names(value)
            if value.name in self.classes:
                found = classes.class_attribute(self, value.name, name, set())
                return found or v.Symbol(f"{value.name}.{name}")
            return self.symbol(f"{value.name}.{name}")
        if isinstance(value, v.Instance):
            return classes.instance_attribute(self, value.of, name)
        if isinstance(value, v.Launched | v.Jitted) and name == "__wrapped__":
            return value.kernel
        if isinstance(value, v.Partial) and name == "func":
            return value.function
        return containers.mapping_method(value, name) if isinstance(value, v.Mapping) else None

    def _subscript(self, value: v.Value, link: ast.Subscript, use: Use) -> v.Value:
        if isinstance(value, v.Mapping):
            key = self.at(link.slice, use)
            return (
                value.get(key.value) if isinstance(key, v.Constant) else v.one_of([i for _, i in value.items])
            )
        if isinstance(value, v.Launched):
            return value
        if isinstance(value, v.Names) or value == _LOADED:
            key = self.at(link.slice, use)
            name = key.value if isinstance(key, v.Constant) and isinstance(key.value, str) else ""
            if not name:
                return None
            return self.attribute(value.of, name) if isinstance(value, v.Names) else self.symbol(name)
        if isinstance(value, v.Symbol | v.Jitted | v.Partial):
            return v.Launched(value)
        if isinstance(link.slice, ast.Slice):
            return containers.sliced(value)
        key = self.at(link.slice, use) if isinstance(value, v.Row) else None
        index = key.value if isinstance(key, v.Constant) and isinstance(key.value, int) else None
        return containers.item(value, index) if index is not None else containers.element(value)

    def _call(self, value: v.Value, link: ast.Call, use: Use) -> v.Value:
        if isinstance(value, v.Function | v.Symbol):
            last = value.name.rpartition(".")[2]
            if last in _SEE_THROUGH or last == _PEELING:
                given = self.at(link.args[0], use) if link.args else None
                return _peeled(given) if last == _PEELING else given
        if isinstance(value, v.Function):
            return value.returns
        if isinstance(value, v.Method):
            return classes.method_result(self, value.owner, value.name)
        if isinstance(value, v.Symbol):
            return self._called_symbol(value.name, link, use)
        if isinstance(value, v.Jitted) and value.kernel is None and len(link.args) == 1:
            return v.Jitted(self.at(link.args[0], use))
        return None

    def _called_symbol(self, name: str, link: ast.Call, use: Use) -> v.Value:
        special = KNOWN_CALLS.get(name)
        if special is not None:
            return special(self, link, use)
        if name in WRAPPERS:
            return v.Jitted(self.at(link.args[0], use) if link.args else None)
        owner, _, method = name.rpartition(".")
        if owner in self.release.types:
            return classes.method_result(self, owner, method)
        if classes.is_class(self, name):
            return v.Instance(name)
        return None

    def width(self, node: ast.expr, use: Use) -> int | None:
        """How many positional arguments an argument expression stands for; None when unknown."""
        if not isinstance(node, ast.Starred):
            return 1
        inner = node.value
        if isinstance(inner, ast.Name):
            owner = self.module.lookup(inner.id, use.scope)
            sole = owner[1] if owner and len(owner[1]) == 1 else []
            literal = sole[0].value if sole and sole[0].kind == "assign" and not sole[0].path else None
            inner = literal if isinstance(literal, ast.Tuple) else inner
        if isinstance(inner, ast.Tuple | ast.List) and not any(
            isinstance(e, ast.Starred) for e in inner.elts
        ):
            return len(inner.elts)
        return None


# -- small helpers ------------------------------------------------------------------------------------


def _peeled(value: v.Value) -> v.Value:
    """What is behind the decorators of what a value may be."""
    return v.one_of([v.Launched(o) if isinstance(o, v.Symbol) else o for o in v.options(value)])


def _links(node: ast.expr) -> list[ast.expr]:
    links = [node]
    while isinstance(node, _TRAILERS):
        node = node.func if node.__class__ is ast.Call else node.value  # type: ignore[union-attr]
        links.append(node)
    links.reverse()
    return links


def _unpacked(node: ast.expr, path: tuple[int | None, ...]) -> tuple[ast.expr, tuple[int | None, ...]]:
    """The element of a tuple display that an unpacking target receives, and what is left of the path."""
    while path and path[0] is not None and isinstance(node, ast.Tuple | ast.List):
        starred = any(isinstance(e, ast.Starred) for e in node.elts)
        if starred or not -len(node.elts) <= path[0] < len(node.elts):
            break
        node, path = node.elts[path[0]], path[1:]
    return node, path


def _returns(body: list[ast.stmt]) -> list[ast.Return]:
    found: list[ast.Return] = []
    for stmt in body:
        if isinstance(stmt, ast.Return):
            found.append(stmt)
        elif not isinstance(stmt, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for name in ("body", "orelse", "finalbody"):
                found += _returns(getattr(stmt, name, []))
            for handler in getattr(stmt, "handlers", []):
                found += _returns(handler.body)
    return found


def _is_property(node: ast.AST) -> bool:
    return any(last_name(d) in {"property", "cached_property"} for d in getattr(node, "decorator_list", ()))


def _is_field(binding: Binding) -> bool:
    """Whether a class may be a data class whose constructor takes what a binding gives by default."""
    owner = binding.scope.node
    if not isinstance(owner, ast.ClassDef) or binding.annotation is None:
        return False
    return bool(owner.decorator_list or owner.bases)
