"""Evaluation of a module's expressions to :mod:`.values`, lazily and with memory.

Follows aliases, assignments, tuple unpacking, conditional expressions, launch subscripts, ``nki.jit``,
``functools.partial``, instance and class attributes, annotations, containers, string constants, and names
that other modules of the project export (``outside``).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from ..release import Release
from ..trees import last_name
from . import containers
from . import values as v
from .narrowing import narrowed
from .reaching import reaching, surely_bound
from .scopes import Binding, Block, Module, Scope, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WRAPPERS = {"nki.jit", "neuronxcc.nki.jit", "torch_neuronx.xla_impl.ops.nki_jit", "neuronxcc.nki.trace"}
# Whoever defines them: what they give is called like the kernel they are given.
_SEE_THROUGH = {"enable_stack_allocator", "skip_middle_end_transformations"}
_PEELING = "peel_decorations"
_CONTAINERS = {
    "list",
    "tuple",
    "set",
    "frozenset",
    "List",
    "Tuple",
    "Set",
    "Sequence",
    "Iterable",
    "Iterator",
}
_MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict"}
_LENIENT = {"Optional", "Final", "ClassVar", "Annotated"}
# Annotations that do not say which of all callables it is.
_ANY = {"typing.Any", "typing.Callable", "collections.abc.Callable"}
_MAX_DEPTH = 40
_NOWHERE = ast.Pass()
_TRAILERS = (ast.Attribute, ast.Call, ast.Subscript)
_CHAINS = (ast.Name, *_TRAILERS)
# Longer displays are tables of data, not collections of kernels.
_LONG = 64
_SHORT = 8


class Evaluator:
    """Answers what expressions of one module denote.

    Args:
        module: the scopes of the module.
        release: the release table (roots, import-throughs, type tables).
        name: the module's dotted name ("" for a script), ``package`` whether it is an ``__init__.py``.
        outside: qualified names of the user's own modules → what they denote.
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
        self._symbols: dict[str, v.Symbol] = {}
        self._busy: set[int] = set()
        self._classes: dict[str, ast.ClassDef] = {}
        for binding in module.bindings:
            if binding.kind == "class" and isinstance(binding.node, ast.ClassDef):
                self._classes[self.qualified(binding)] = binding.node

    # -- names --------------------------------------------------------------------------------------

    def qualified(self, binding: Binding) -> str:
        """A name for something the module itself defines; nested scopes are spelled out."""
        parts: list[str] = [binding.name]
        scope: Scope | None = binding.scope
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
            return self.attribute(self.exported(head), tail)
        known = self._symbols.get(dotted)
        if known is None:
            known = v.Symbol(self.release.defining(self.release.canonical(dotted)))
            self._symbols[dotted] = known
        return known

    def exported(self, name: str) -> v.Value:
        """What another module of the project exports under a qualified name; remembers that it was asked
        for.
        """
        if name in self.outside:
            self.consulted.add(name)
        return self.outside.get(name)

    def use(self, use: Use, upto: int | None = None) -> v.Value:
        """The value of a use's chain, or of its first ``upto`` links."""
        links = use.links if upto is None else use.links[:upto]
        value = self.name_value(use)
        for link in links[1:]:
            value = self.step(value, link, use)
        return value

    def steps(self, use: Use) -> list[v.Value]:
        """The value after each link of the chain."""
        value = self.name_value(use)
        found = [value]
        for link in use.links[1:]:
            value = self.step(value, link, use)
            found.append(value)
        return found

    def name_value(self, use: Use) -> v.Value:
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

    def constructor(self, name: str) -> str:
        """The class whose constructor a call of ``name`` runs: its nearest base that is not the user's."""
        seen: set[str] = set()
        while name in self._classes and name not in seen:
            seen.add(name)
            node = self._classes[name]
            bases = self.bases(node)
            if "__init__" in self.module.scope_of[node].bindings or len(bases) != 1:
                break
            name = bases[0]
        return name

    def _filled(self, value: v.Mapping, name: str, scope: Scope) -> v.Value:
        """A dict with what is stored in it by ``name[key] = …``."""
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
        kinds = [self.annotation(test, use.scope) for test in narrowed(self.module, use, bindings)]
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
            declared = self.annotation(binding.annotation, binding.scope)
            if declared is not None:
                return declared
        if _is_field(binding):
            return v.one_of([None, self.expression(binding.value, binding)]) if binding.value else None
        if binding.kind == "parameter":
            return self._self(binding) or self._default(binding)
        if binding.value is None or binding.kind == "other":
            return None
        node, path = _unpacked(binding.value, binding.path if binding.kind == "assign" else ())
        value = self.expression(node, binding)
        if binding.kind == "element":
            value, path = containers.element(value), binding.path
        for index in path:
            value = None if index is None else containers.item(value, index)
        return value

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
        name = self._class_name(owner)
        is_class = any(isinstance(d, ast.Name) and d.id == "classmethod" for d in function.decorator_list)
        return v.Symbol(name) if is_class else v.Instance(name)

    def _default(self, binding: Binding) -> v.Value:
        """What a parameter is when nothing is given, if that changed; callers may give anything else."""
        outer = binding.scope.parent
        if binding.default is None or outer is None:
            return None
        value = self._expression(binding.default, outer, None, 1 << 60)
        return v.one_of([None, value]) if self._changed(value) else None

    def _changed(self, value: v.Value) -> bool:
        """Whether a value is a callable that the release changed."""
        known = (self.release.forms, self.release.new_symbol)
        return any(callee.name in names for callee in v.callees(value) or () for names in known)

    def _class_name(self, scope: Scope) -> str:
        parts = [scope.name]
        outer = scope.parent
        while outer is not None and outer.kind != "module":
            parts.append(outer.name)
            outer = outer.parent
        return ".".join([self.name or "<module>", *reversed(parts)])

    def _function(self, binding: Binding) -> v.Value:
        node = binding.node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            declared = self.annotation(node.returns, binding.scope)
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

    # -- annotations --------------------------------------------------------------------------------

    def annotation(self, node: ast.expr, scope: Scope) -> v.Value:
        """An instance of the annotated class, or a sequence of such; None when it says nothing useful."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value.strip(), mode="eval").body
            except SyntaxError:
                return None
            return self._annotated(node, scope)
        return self._annotated(node, scope)

    def _annotated(self, node: ast.expr, scope: Scope) -> v.Value:
        if isinstance(node, ast.Constant):
            return self.annotation(node, scope) if isinstance(node.value, str) else None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            sides = [self._annotated(side, scope) for side in (node.left, node.right) if not _is_none(side)]
            return v.one_of(sides) if None not in sides else None
        if isinstance(node, ast.Subscript):
            head = last_name(node.value)
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            parts = [self._annotated(p, scope) for p in inner if not _is_ellipsis(p) and not _is_none(p)]
            if head in _CONTAINERS and parts and None not in parts:
                return v.Sequence(v.one_of(parts))
            if head in _LENIENT and parts:
                return parts[0]
            if head == "Union":
                return v.one_of(parts) if None not in parts else None
            if head in _MAPPINGS and len(parts) == 2 and parts[1] is not None:
                return v.Mapping(((..., parts[1]),))
            if head in {"tuple", "Tuple"} and len(inner) == len(parts) and any(parts):
                return v.Row(tuple(parts))
            return None
        value = self._dotted(node, scope)
        if not isinstance(value, v.Symbol) or value.name in _ANY:
            return None
        return v.Instance(value.name) if self._is_class(value.name) else None

    def _is_class(self, name: str) -> bool:
        return name in self.release.types or name in self._classes or name[:1].isupper() or _capital(name)

    def _dotted(self, node: ast.expr, scope: Scope) -> v.Value:
        """A dotted name looked up from a scope, whatever the order (annotations may come before their
        class).
        """
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        owner = self.module.lookup(node.id, scope)
        if owner is None:
            return v.Symbol(f"builtins.{node.id}")
        value = v.one_of([self.binding(b) for b in owner[1]])
        for name in reversed(names):
            value = self.attribute(value, name)
        return value

    # -- expressions --------------------------------------------------------------------------------

    def expression(self, node: ast.expr, binding: Binding) -> v.Value:
        return self._expression(node, binding.scope, binding.block, binding.order)

    def expression_in(self, node: ast.expr, scope: Scope, at: ast.AST) -> v.Value:
        block = self.module.bodies.get(at) if isinstance(at, ast.stmt) else None
        return self._expression(node, scope, block, 1 << 60)

    def at(self, node: ast.expr, use: Use) -> v.Value:
        """The value of an expression that stands where ``use`` stands."""
        return self._expression(node, use.scope, use.block, use.order)

    def _expression(self, node: ast.expr, scope: Scope, block: Block | None, order: int) -> v.Value:
        if isinstance(node, ast.Constant):
            return v.Constant(node.value)
        if isinstance(node, _CHAINS):
            return self.use(Use(_links(node), scope, block, order, _NOWHERE, node))
        handler = _COMPOUND.get(type(node))
        return (
            handler(self, node, lambda part: self._expression(part, scope, block, order)) if handler else None
        )

    def step(self, value: v.Value, link: ast.expr, use: Use) -> v.Value:
        """The value of a trailer applied to ``value``."""
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
            if value.name in self._classes:
                return self._class_attribute(value.name, name, set()) or v.Symbol(f"{value.name}.{name}")
            return self.symbol(f"{value.name}.{name}")
        if isinstance(value, v.Instance):
            return self._instance_attribute(value.of, name)
        if isinstance(value, v.Launched | v.Jitted) and name == "__wrapped__":
            return value.kernel
        if isinstance(value, v.Partial) and name == "func":
            return value.function
        return containers.mapping_method(value, name) if isinstance(value, v.Mapping) else None

    def _member(self, of: str, name: str) -> v.Value:
        """An attribute of an object of a type that changed."""
        kind = self.release.types[of]
        former = kind.attributes.get(name, name) in kind.tuples and name not in kind.static
        if not former:
            return v.Method(of, name)
        era = "old" if name in kind.attributes else "new" if name in kind.attributes.values() else "either"
        return v.FormerList(True, era)

    def _instance_attribute(self, of: str, name: str) -> v.Value:
        if of in self.release.types:
            return self._member(of, name)
        found = self._class_attribute(of, name, set())
        if found is None and f"{of}.{name}" in self.outside:
            return self.exported(f"{of}.{name}")
        if found is None and not self._classes.get(of):
            return v.Method(of, name)
        return found

    def _class_attribute(self, of: str, name: str, seen: set[str]) -> v.Value:
        """A class's attribute: every assignment to it in the class and its methods, else its bases'."""
        node = self._classes.get(of)
        if node is None or of in seen:
            return self._member(of, name) if of in self.release.types else self.exported(f"{of}.{name}")
        seen.add(of)
        scope = self.module.scope_of[node]
        own = [self.binding(b) for b in scope.bindings.get(name, ())]
        own += [self.binding(b) for b in self.module.attributes.get(name, ()) if self._is_own(b, scope)]
        if own:
            return v.one_of(own)
        bases = [self._base(base, scope) for base in node.bases]
        found = [self._class_attribute(b, name, seen) for b in bases if b]
        return next((value for value in found if value is not None), None)

    def _base(self, base: ast.expr, scope: Scope) -> str:
        value = self._expression(base, scope.parent or scope, None, 1 << 60)
        return value.name if isinstance(value, v.Symbol) else ""

    def kind(self, of: str, seen: frozenset[str] = frozenset()) -> str | None:
        """The changed type that a class is or derives from: "" when there is none, None when unknown."""
        node = self._classes.get(of)
        if of in self.release.types or node is None or of in seen:
            return of if of in self.release.types else ""
        names = map(self._base_of(node), node.bases)
        found = [self.kind(name, seen | {of}) if name else None for name in names]
        return next((kind for kind in found if kind), None if None in found else "")

    def _base_of(self, node: ast.ClassDef) -> Callable[[ast.expr], str]:
        scope = self.module.scope_of[node]
        return lambda base: self._base(base, scope)

    def bases(self, node: ast.ClassDef) -> list[str]:
        """Qualified names of a class's bases, as far as they are known."""
        scope = self.module.scope_of[node]
        return [name for name in (self._base(base, scope) for base in node.bases) if name]

    def _is_own(self, binding: Binding, scope: Scope) -> bool:
        """Whether an attribute assignment stands in a method of the class and goes to its first parameter."""
        function = binding.scope
        while function is not None and function.parent is not scope:
            if function.parent is None:
                return False
            function = function.parent
        target = binding.target
        if not isinstance(target, ast.Attribute) or not isinstance(target.value, ast.Name):
            return False
        args = getattr(function.node, "args", None)
        first = [*args.posonlyargs, *args.args][:1] if args else []
        return bool(first) and first[0].arg == target.value.id

    def _subscript(self, value: v.Value, link: ast.Subscript, use: Use) -> v.Value:
        if isinstance(value, v.Mapping):
            key = self.at(link.slice, use)
            return (
                value.get(key.value) if isinstance(key, v.Constant) else v.one_of([i for _, i in value.items])
            )
        if isinstance(value, v.Launched):
            return value
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
            return self._result(value.owner, value.name)
        if isinstance(value, v.Symbol):
            return self._called_symbol(value.name, link, use)
        if isinstance(value, v.Jitted) and value.kernel is None and len(link.args) == 1:
            return v.Jitted(self.at(link.args[0], use))
        return None

    def _result(self, of: str, method: str) -> v.Value:
        """What a method of a type that changed gives."""
        kind = self.release.types.get(of)
        if kind is None:
            return None
        return (
            v.Instance(of)
            if method in kind.chain
            else v.FormerList(own=False)
            if method in kind.tuples
            else None
        )

    def _called_symbol(self, name: str, link: ast.Call, use: Use) -> v.Value:
        special = _SPECIAL_CALLS.get(name)
        if special is not None:
            return special(self, link, use)
        if name in WRAPPERS:
            return v.Jitted(self.at(link.args[0], use) if link.args else None)
        owner, _, method = name.rpartition(".")
        if owner in self.release.types:
            return self._result(owner, method)
        if self._is_class(name):
            return v.Instance(name)
        return None

    def _partial(self, link: ast.Call, use: Use) -> v.Value:
        if not link.args or isinstance(link.args[0], ast.Starred):
            return None
        function = self.at(link.args[0], use)
        widths = [self.width(a, use) for a in link.args[1:]]
        first = None if None in widths else sum(w for w in widths if w is not None)
        names = tuple(k.arg for k in link.keywords if k.arg)
        return v.Partial(function, first, names)

    def _import_module(self, link: ast.Call, use: Use) -> v.Value:
        path = self.at(link.args[0], use) if link.args else None
        if not isinstance(path, v.Constant) or not isinstance(path.value, str):
            return None
        dots = len(path.value) - len(path.value.lstrip("."))
        if not dots:
            return self.symbol(path.value)
        package = self._anchor(link, use).split(".")
        above = package[: len(package) - dots + 1]
        return (
            self.symbol(".".join([*above, path.value[dots:]])) if all(above) and path.value[dots:] else None
        )

    def _anchor(self, link: ast.Call, use: Use) -> str:
        """The package that ``import_module(".name", package)`` starts from; "" when it is not known."""
        given = [k.value for k in link.keywords if k.arg == "package"] or link.args[1:2]
        package = self.at(given[0], use) if given else None
        return str(package.value) if isinstance(package, v.Constant) and package.value else ""

    def _getattr(self, link: ast.Call, use: Use) -> v.Value:
        if len(link.args) < 2:
            return None
        name = self.at(link.args[1], use)
        if not isinstance(name, v.Constant) or not isinstance(name.value, str):
            return None
        return self.attribute(self.at(link.args[0], use), name.value)

    def _cast(self, link: ast.Call, use: Use) -> v.Value:
        if len(link.args) != 2:
            return None
        return self.annotation(link.args[0], use.scope)

    def _same(self, link: ast.Call, use: Use) -> v.Value:
        return self.at(link.args[0], use) if len(link.args) == 1 else None

    def _dunder_import(self, link: ast.Call, use: Use) -> v.Value:
        """``__import__(name)`` gives the top package unless a fromlist is given."""
        full = self._import_module(link, use)
        if isinstance(full, v.Symbol) and not link.keywords and len(link.args) < 4:
            return self.symbol(full.name.split(".")[0])
        return full

    def _converted(self, link: ast.Call, use: Use) -> v.Value:
        return containers.converted(self.at(link.args[0], use)) if link.args else None

    def _copied(self, link: ast.Call, use: Use) -> v.Value:
        return containers.copied(self.at(link.args[0], use)) if link.args else None

    def _enumerate(self, link: ast.Call, use: Use) -> v.Value:
        return (
            v.Sequence(v.Row((None, containers.element(self.at(link.args[0], use))))) if link.args else None
        )

    def _zip(self, link: ast.Call, use: Use) -> v.Value:
        if any(isinstance(argument, ast.Starred) for argument in link.args):
            return None
        return v.Sequence(v.Row(tuple(containers.element(self.at(argument, use)) for argument in link.args)))

    def _dict_call(self, link: ast.Call, use: Use) -> v.Value:
        """``dict(name=value, …)``."""
        if link.args or any(keyword.arg is None for keyword in link.keywords):
            return None
        return v.Mapping(tuple((keyword.arg, self.at(keyword.value, use)) for keyword in link.keywords))

    def _super(self, _: ast.Call, use: Use) -> v.Value:
        """The object as its class's only base sees it."""
        scope: Scope | None = use.scope
        while scope is not None and scope.kind != "class":
            scope = scope.parent
        if scope is None or not isinstance(scope.node, ast.ClassDef) or len(scope.node.bases) != 1:
            return None
        base = self._base(scope.node.bases[0], scope)
        return v.Instance(base) if base else None

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


# -- compound expressions -----------------------------------------------------------------------------

Recurse = Callable[[ast.expr], v.Value]


def _if_exp(_: Evaluator, node: ast.IfExp, value: Recurse) -> v.Value:
    return v.one_of([value(node.body), value(node.orelse)])


def _bool_op(_: Evaluator, node: ast.BoolOp, value: Recurse) -> v.Value:
    return v.one_of([value(part) for part in node.values])


def _tuple(_: Evaluator, node: ast.Tuple, value: Recurse) -> v.Value:
    if len(node.elts) > _SHORT or any(isinstance(part, ast.Starred) for part in node.elts):
        return _display(_, node, value)
    items = tuple(value(part) for part in node.elts)
    return v.Row(items) if any(i is not None and not isinstance(i, v.Constant) for i in items) else None


def _display(_: Evaluator, node: ast.List | ast.Tuple | ast.Set, value: Recurse) -> v.Value:
    if len(node.elts) > _LONG or any(isinstance(part, ast.Starred | ast.Constant) for part in node.elts):
        return None
    return v.Sequence(v.one_of([value(part) for part in node.elts]))


def _comprehension(self: Evaluator, node: ast.ListComp, _: Recurse) -> v.Value:
    scope = self.module.scope_of.get(node)
    return v.Sequence(self._expression(node.elt, scope, None, 1 << 60)) if scope else None


def _dict(_: Evaluator, node: ast.Dict, value: Recurse) -> v.Value:
    items: list[tuple[object, v.Value]] = []
    for key, item in zip(node.keys, node.values, strict=True):
        known = value(key) if key is not None else None
        if not isinstance(known, v.Constant):
            return None
        items.append((known.value, value(item)))
    return v.Mapping(tuple(items))


def _joined(_: Evaluator, node: ast.JoinedStr, value: Recurse) -> v.Value:
    parts: list[str] = []
    for part in node.values:
        inner = part.value if isinstance(part, ast.FormattedValue) and part.format_spec is None else part
        known = value(inner)
        if not isinstance(known, v.Constant) or not isinstance(known.value, str):
            return None
        parts.append(known.value)
    return v.Constant("".join(parts))


def _bin_op(_: Evaluator, node: ast.BinOp, value: Recurse) -> v.Value:
    if not isinstance(node.op, ast.Add):
        left = value(node.left) if isinstance(node.op, ast.Mult) else None
        return containers.copied(left) if containers.is_former(left) else None
    left, right = value(node.left), value(node.right)
    if containers.is_former(left) or containers.is_former(right):
        return containers.joined(left, right)
    if not isinstance(left, v.Constant) or not isinstance(right, v.Constant):
        return None
    joined = isinstance(left.value, str) and isinstance(right.value, str)
    return v.Constant(f"{left.value}{right.value}") if joined else None


def _lambda(self: Evaluator, node: ast.Lambda, _: Recurse) -> v.Value:
    scope = self.module.scope_of.get(node)
    returned = self._expression(node.body, scope, None, 1 << 60) if scope else None
    return v.Function("<lambda>", returned)


def _named(_: Evaluator, node: ast.NamedExpr, value: Recurse) -> v.Value:
    return value(node.value)


_COMPOUND: dict[type, Callable[[Evaluator, Any, Recurse], v.Value]] = {
    ast.IfExp: _if_exp,
    ast.BoolOp: _bool_op,
    ast.List: _display,
    ast.Tuple: _tuple,
    ast.Set: _display,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.Dict: _dict,
    ast.JoinedStr: _joined,
    ast.BinOp: _bin_op,
    ast.Lambda: _lambda,
    ast.NamedExpr: _named,
}

_SPECIAL_CALLS: dict[str, Callable[[Evaluator, ast.Call, Use], v.Value]] = {
    "functools.partial": Evaluator._partial,
    "importlib.import_module": Evaluator._import_module,
    "builtins.__import__": Evaluator._dunder_import,
    "builtins.getattr": Evaluator._getattr,
    "typing.cast": Evaluator._cast,
    "builtins.list": Evaluator._converted,
    "builtins.tuple": Evaluator._converted,
    "builtins.reversed": Evaluator._converted,
    "builtins.sorted": Evaluator._converted,
    "builtins.enumerate": Evaluator._enumerate,
    "builtins.zip": Evaluator._zip,
    "builtins.dict": Evaluator._dict_call,
    "builtins.super": Evaluator._super,
    "builtins.staticmethod": Evaluator._same,
    "copy.copy": Evaluator._copied,
    "copy.deepcopy": Evaluator._copied,
}


# -- small helpers ------------------------------------------------------------------------------------


def _peeled(value: v.Value) -> v.Value:
    """What is behind the decorators of what a value may be."""
    return v.one_of([v.Launched(o) if isinstance(o, v.Symbol) else o for o in v.options(value)])


def _links(node: ast.expr) -> list[ast.expr]:
    links = [node]
    while isinstance(node, _TRAILERS):
        node = node.func if isinstance(node, ast.Call) else node.value
        links.append(node)
    links.reverse()
    return links


def _unpacked(node: ast.expr, path: tuple[int | None, ...]) -> tuple[ast.expr, tuple[int | None, ...]]:
    """The element of a tuple display that an unpacking target receives, and what is left of the path."""
    while path and path[0] is not None and isinstance(node, ast.Tuple | ast.List):
        if any(isinstance(e, ast.Starred) for e in node.elts) or path[0] >= len(node.elts):
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


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _capital(name: str) -> bool:
    last = name.rpartition(".")[2].lstrip("_")
    return last[:1].isupper() and not last.isupper()
