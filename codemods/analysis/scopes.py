"""What is in a module: its scopes, the bindings that give names values, and the uses of names.

A *use* is a maximal trailer chain on a name (``a.b[2](x).c``); its arguments are uses of their own.
A *binding* is anything that gives a name a value. Both carry a :class:`Block` (the nest of branches they
stand in) and an order number, from which :mod:`.reaching` decides which bindings a use can see.
:func:`.collect.collect` finds all of it in one pass over the syntax tree.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..record import cached_property
from ..trees import walk


class Block:
    """A straight run of statements: the arm of a compound statement, or a whole body.

    Attributes:
        owner: the compound statement, function, class or module. arm: which of its bodies this is.
        depth: blocks around it. loop: whether it runs again and again.
    """

    __slots__ = ("arm", "depth", "loop", "owner", "parent")

    def __init__(self, parent: Block | None, owner: ast.AST, arm: str) -> None:
        self.parent = parent
        self.owner = owner
        self.arm = arm
        self.depth: int = parent.depth + 1 if parent else 0
        self.loop = isinstance(owner, (ast.For, ast.AsyncFor, ast.While)) and arm == "body"

    def chain(self) -> Iterator[Block]:
        """The block, and those around it, from the inside out."""
        block: Block | None = self
        while block is not None:
            yield block
            block = block.parent

    def encloses(self, other: Block) -> bool:
        """Whether another block is this one or stands in it."""
        inner: Block | None = other
        while inner is not None and inner.depth > self.depth:
            inner = inner.parent
        return inner is self


class Scope:
    """A lexical scope: module, class, function (also lambda), or comprehension.

    Attributes:
        bindings: name → its bindings here, in the order in which they stand.
        declared: name → ``global`` or ``nonlocal``, for names with such a declaration.
        shared: of the bindings, those that other scopes make through such declarations.
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
    """A trailer chain.

    Attributes:
        links: from its base, nearly always a Name, outwards to the outermost trailer.
        name: of the base; "" when that is another expression.
        block: None for a use whose place in the control flow is not known: it sees every binding.
        inside: the node that it is a direct child of.
        outer: the use in whose arguments, or in whose base, this one stands; None for most.
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
        """The whole chain as one expression."""
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
    """Everything that :func:`.collect.collect` finds in a module.

    Attributes:
        top: the module's own scope. scope_of: the node of each scope → the scope.
        uses: in the order of their numbers. by_name, by_attribute: by the names and attributes they spell.
        bindings, imports, stars: everything bound; of that, what imports bind; and star imports.
        attributes: attribute → the bindings that store something in it.
        items: name → the bindings that store something by subscript in what it names.
        parents: expression → the node that it stands in. bodies: statement → its block.
        names: every name that is bound somewhere. formats: whether there is an f-string.
    """

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
        self.formats = False

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
        """Every ``assert`` statement."""
        return [stmt for stmt in self.bodies if isinstance(stmt, ast.Assert)]

    def lookup(self, name: str, scope: Scope) -> tuple[Scope, list[Binding]] | None:
        """The scope that owns ``name`` as seen from ``scope``, and all its bindings there; None for
        builtins.
        """
        here: Scope | None = scope
        while here is not None:
            visible = here is scope or here.kind != "class"
            if visible and name in here.bindings and name not in here.declared:
                return here, here.bindings[name]
            if here.declared and here.declared.get(name) == "global":
                return (self.top, self.top.bindings[name]) if name in self.top.bindings else None
            here = here.parent
        return None
