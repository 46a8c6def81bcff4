"""Which kernels an expression of the host's code denotes, where they are launched, and where they get away.

Follows aliases, ``nki.jit(k)``, ``nki.benchmark(…)(k)``, ``functools.partial(k, …)``, launch subscripts,
conditional expressions and loops over a display of kernels.
"""

from __future__ import annotations

import ast
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping

from ...analysis.context import FileContext
from ...analysis.reaching import reaching
from ...analysis.scopes import Binding, Use
from ...model import Span
from ...record import cached_property, record
from ..translate.names import BETA1, Names
from ..translate.plan import LanguageModule

HARNESSES = frozenset(f"{BETA1}.{name}" for name in ("benchmark", "baremetal", "profile"))
SIMULATE = f"{BETA1}.simulate_kernel"
TORCH_JITS = frozenset({"torch_neuronx.nki_jit", "torch_neuronx.xla_impl.ops.nki_jit"})
"""What compiles a kernel that writes to its last parameters."""
NKI_CALLS = frozenset(
    {"torch_neuronx.nki_call", "torch_neuronx.xla_impl.ops.nki_call", "jax_neuronx.nki_call"}
)
BRIDGES = TORCH_JITS | NKI_CALLS
JIT = f"{BETA1}.jit"
TRACE = f"{BETA1}.trace"
WRAPPERS = HARNESSES | BRIDGES | {JIT, TRACE, "functools.partial"}
_DEPTH = 8
_LAST = (sys.maxsize, 0)


@record
class Launch:
    """A call of kernels by the host.

    Attributes:
        call: the call of the (subscripted) kernel.
        subscript: ``kernel[grid]``, or None for a call without a grid.
        kernels: names of the functions that may be meant.
        use: the chain that the call stands in.
    """

    call: ast.Call
    subscript: ast.Subscript | None
    kernels: frozenset[str]
    use: Use


class Kernels:
    """The kernels of one file, as its host's code sees them.

    Args:
        module: the file. elsewhere: qualified names of kernels of the project's other files, as imports
            spell them.
    """

    def __init__(self, module: LanguageModule, elsewhere: frozenset[str] = frozenset()) -> None:
        self.ctx: FileContext = module.ctx
        self.names: Names = module.names
        self.module = module
        self.functions = {name: function.node for name, function in module.functions.items()}
        self._elsewhere = elsewhere
        self.nodes = {name: function.nodes.every for name, function in module.functions.items()}
        self.views: dict[tuple[Use, int], frozenset[str]] = {}
        """Parameters that a variable may be a view of where it is used, found in so many steps."""
        self._names: dict[ast.AST, str] = {node: name for name, node in self.functions.items()}
        self._bodies = sorted(_extent(node) for node in self.functions.values())

    def name_of(self, node: ast.FunctionDef) -> str:
        """What a function of the language is listed under: its name, behind that of the host's around it."""
        return self._names[node]

    def place(self, node: ast.AST) -> tuple[Use, int] | None:
        """The chain that a node is a link of, and which."""
        return self.names.place(node)

    def lines(self, span: Span) -> ast.AST:
        """A node that stands for whole lines."""
        first, last = (self.ctx.source.position(offset)[0] for offset in span)
        return ast.Pass(lineno=first, col_offset=0, end_lineno=last, end_col_offset=0)

    def whole_lines(self, statement: ast.stmt) -> Span:
        """The lines of a statement that goes, with the blank ones that would be too many then."""
        source = self.ctx.source
        starts = (*source.line_starts, len(source.utf8))
        first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
        above, below = first, last
        while above and not source.utf8[starts[above - 1] : starts[above]].strip():
            above -= 1
        while below + 1 < len(starts) and not source.utf8[starts[below] : starts[below + 1]].strip():
            below += 1
        opens = above == first and source.utf8[starts[first - 1] : starts[first]].rstrip().endswith(b":")
        if opens or (above < first and first - above >= below - last):
            return starts[first], starts[below]
        return starts[above if below > last else first], starts[last]

    def in_language(self, node: ast.AST) -> bool:
        """Whether a node stands in the body of a function that is written in the language."""
        at = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
        behind = bisect_right(self._bodies, (at, _LAST))
        return bool(behind) and at < self._bodies[behind - 1][1]

    def denoted(self, node: ast.expr, depth: int = _DEPTH) -> frozenset[str]:
        """The kernels that an expression may denote; empty when it is none, or not known to be one."""
        if depth == 0:
            return frozenset()
        if isinstance(node, ast.IfExp):
            return self.denoted(node.body, depth - 1) | self.denoted(node.orelse, depth - 1)
        if isinstance(node, ast.BoolOp):
            return frozenset().union(*(self.denoted(v, depth - 1) for v in node.values))
        if isinstance(node, ast.List | ast.Tuple):
            return frozenset().union(*(self.denoted(e, depth - 1) for e in node.elts))
        if isinstance(node, ast.Subscript):
            return self.denoted(node.value, depth - 1)
        if isinstance(node, ast.Call):
            return self._made(node, depth)
        if isinstance(node, ast.Name):
            return self._named(node, depth)
        qualified = self.names.qualified(node)
        return frozenset({qualified}) & self._elsewhere

    def waiting(self, node: ast.expr) -> str:
        """A kernel of another file that an expression may denote and that stays as it is; else ""."""
        elsewhere = self.module.elsewhere
        unready = (n for n in sorted(self.denoted(node)) if n in elsewhere and not elsewhere[n].migrated)
        return next(unready, "")

    def _made(self, node: ast.Call, depth: int) -> frozenset[str]:
        """What a wrapper is given: ``nki.jit(k)``, ``nki.jit(mode=…)(k)``."""
        maker = node.func.func if isinstance(node.func, ast.Call) else node.func
        if self.names.qualified(maker) not in WRAPPERS:
            return frozenset()
        return frozenset().union(*(self.denoted(a, depth - 1) for a in wrapped(node)))

    def _named(self, node: ast.Name, depth: int) -> frozenset[str]:
        place = self.place(node)
        owner = self.ctx.module.lookup(node.id, place[0].scope) if place else None
        if place is None or owner is None:
            return frozenset()
        seen = reaching(owner[1], place[0], owner[0])
        return frozenset().union(*(self._bound(b, depth) for b in seen))

    def _bound(self, binding: Binding, depth: int) -> frozenset[str]:
        if binding.kind == "function":
            name = self._names.get(binding.node)
            return frozenset() if name is None else frozenset({name})
        if binding.kind == "import":
            return frozenset({self.ctx.target(binding)}) & self._elsewhere
        plain = binding.kind in ("assign", "element") and not binding.path
        return self.denoted(binding.value, depth - 1) if plain and binding.value is not None else frozenset()

    @cached_property
    def blocks(self) -> dict[ast.stmt, list[ast.stmt]]:
        """The blocks of the file by their first statements."""
        fields = (value for node in self.ctx.module.nodes for _, value in ast.iter_fields(node))
        lists = (value for value in fields if isinstance(value, list) and value)
        return {block[0]: block for block in lists if isinstance(block[0], ast.stmt)}

    @cached_property
    def launches(self) -> list[Launch]:
        """Calls of kernels outside functions that are written in the language, in the order of the file."""
        found = []
        for use in self.ctx.module.uses:
            for link in use.links:
                if not isinstance(link, ast.Call) or self.in_language(link):
                    continue
                kernels = self.denoted(link.func)
                if kernels and not self._is_wrapping(link):
                    found.append(Launch(link, self._grid(link.func), kernels, use))
        return found

    def _grid(self, launched: ast.expr, depth: int = _DEPTH) -> ast.Subscript | None:
        """``kernel[grid]`` in a call of it, or of a variable that holds it."""
        if not isinstance(launched, ast.Name) or not depth:
            return launched if isinstance(launched, ast.Subscript) else None
        place = self.place(launched)
        owner = self.ctx.module.lookup(launched.id, place[0].scope) if place else None
        bound = reaching(owner[1], place[0], owner[0]) if place and owner else []
        sole = bound[0] if len(bound) == 1 and bound[0].kind == "assign" and not bound[0].path else None
        return self._grid(sole.value, depth - 1) if sole is not None and sole.value is not None else None

    def _is_wrapping(self, node: ast.Call) -> bool:
        return self.names.qualified(node.func) in WRAPPERS

    @cached_property
    def all_launches(self) -> list[Launch]:
        """Launches, those by the simulator among them, as calls with the kernel's own arguments."""
        return [*self.launches, *self._simulated()]

    @cached_property
    def launches_of(self) -> Mapping[str, list[Launch]]:
        """For each kernel all of its launches."""
        found: dict[str, list[Launch]] = defaultdict(list)
        for launch in self.all_launches:
            for name in launch.kernels:
                found[name].append(launch)
        return found

    def _simulated(self) -> Iterator[Launch]:
        for use in self.ctx.module.uses:
            for link in use.links:
                if isinstance(link, ast.Call) and self.names.qualified(link.func) == SIMULATE and link.args:
                    kernel = link.args[0]
                    subscript = self._grid(kernel)
                    call = ast.Call(link.func, link.args[1:], link.keywords)
                    yield Launch(call, subscript, self.denoted(kernel), use)

    @cached_property
    def subscripts(self) -> list[ast.Subscript]:
        """Every ``kernel[grid]`` of the host, called on the spot or not."""
        return [
            link
            for use in self.ctx.module.uses
            for link in use.links
            if isinstance(link, ast.Subscript) and not self.in_language(link) and self.denoted(link.value)
        ]

    @cached_property
    def subscripts_of(self) -> Mapping[str, list[ast.Subscript]]:
        """For each kernel those that stand behind it."""
        found: dict[str, list[ast.Subscript]] = defaultdict(list)
        for subscript in self.subscripts:
            for name in self.denoted(subscript.value):
                found[name].append(subscript)
        return found

    def launched(self, name: str) -> bool:
        """Whether a function is one that the host launches, as far as its decorators and callers say."""
        function = self.module.functions[name]
        traced = any(map(self._traces, function.node.decorator_list))
        return function.kernel and not function.callers and (not traced or self.is_used(name))

    def _traces(self, decorator: ast.expr) -> bool:
        """Whether a decorator is that of functions that kernels call."""
        qualified = self.names.qualified(decorator.func if isinstance(decorator, ast.Call) else decorator)
        return qualified == TRACE or (qualified == JIT and mode(decorator) == "trace")

    def is_used(self, name: str) -> bool:
        """Whether the host does anything with a kernel."""
        return name in self._mentions

    def escapes(self, name: str) -> bool:
        """Whether a kernel is passed on, stored, returned or used by other files, which hides launches."""
        return name in self.ctx.pinned or self.is_handed_on(name)

    def is_handed_on(self, name: str) -> bool:
        """Whether this file passes a kernel on, stores or returns it."""
        return any(self._gets_away(use) for use in self._mentions.get(name, ()))

    def is_renamed(self, name: str) -> bool:
        """Whether the file has a kernel under another name at its top, which other files may import."""
        uses = self._mentions.get(name, ())
        return any(use.stmt in self.ctx.tree.body and self._is_named(use) for use in uses)

    def _is_named(self, use: Use) -> bool:
        """Whether the use, or what a wrapper makes of it, gets a name."""
        outer: ast.AST | None = use.inside
        if isinstance(outer, ast.Call) and self._wraps(outer):
            outer = self.ctx.module.parents.get(outer)
        return isinstance(outer, ast.Assign)

    def handed_on(self, name: str) -> list[ast.expr]:
        """Where a kernel is passed on, stored or returned."""
        return [use.links[0] for use in self._mentions.get(name, ()) if self._gets_away(use)]

    @cached_property
    def _mentions(self) -> dict[str, list[Use]]:
        """For each kernel the host's uses whose chain starts at something that denotes it."""
        found: dict[str, list[Use]] = {}
        for use in self.ctx.module.uses:
            base = use.links[0]
            if isinstance(base, ast.Name) and not self.in_language(base):
                for name in self._named(base, _DEPTH) | self._behind_modules(use):
                    found.setdefault(name, []).append(use)
        return found

    def _behind_modules(self, use: Use) -> frozenset[str]:
        """Kernels of other files that a chain names through their module."""
        paths = (self.names.qualified(link) for link in use.links[1:] if isinstance(link, ast.Attribute))
        return self._elsewhere.intersection(paths) if self._elsewhere else frozenset()

    def _gets_away(self, use: Use) -> bool:
        top, inside = use.top, use.inside
        if any(isinstance(link, ast.Call) for link in use.links):
            return False
        if isinstance(inside, ast.FunctionDef):
            return False
        if isinstance(inside, ast.Call) and top in inside.args and self._wraps(inside):
            return False
        plain_alias = isinstance(inside, ast.Assign) and all(isinstance(t, ast.Name) for t in inside.targets)
        return not (plain_alias or self._is_listed(use))

    def _wraps(self, call: ast.Call) -> bool:
        maker = call.func.func if isinstance(call.func, ast.Call) else call.func
        return self.names.qualified(maker) in WRAPPERS | {SIMULATE}

    def _is_listed(self, use: Use) -> bool:
        """Whether it stands in the display that a loop runs over."""
        display = use.inside
        outer = self.ctx.module.parents.get(display)
        return isinstance(display, ast.List | ast.Tuple) and isinstance(outer, ast.For)


def _extent(node: ast.FunctionDef) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a function's body starts and ends."""
    first, last = node.body[0], node.body[-1]
    return (first.lineno, first.col_offset), (last.end_lineno or 0, last.end_col_offset or 0)


def wrapped(call: ast.Call) -> list[ast.expr]:
    """What may be the kernel among the arguments of a wrapper: the first one, or ``func`` by name."""
    by_name = [k.value for k in call.keywords if k.arg in ("func", "kernel")]
    return [*call.args[:1], *by_name]


def mode(decorator: ast.AST | None) -> str:
    """``mode`` of a call of ``nki.jit``."""
    if not isinstance(decorator, ast.Call):
        return ""
    given = [*(k.value for k in decorator.keywords if k.arg == "mode"), *decorator.args[1:2]]
    value = given[0] if given else None
    return str(value.value) if isinstance(value, ast.Constant) else ""
