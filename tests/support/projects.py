"""Random projects: modules that hand the library's old names and kernels of the old language on to each other.

Each module defines a few things and offers them; others import these in every way there is, also in rings, use
them, and offer them again. :func:`project` is decided by its number alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

NKI = """\
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
"""
STARTS = "    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n    tile = nl.load(x)\n"
ENDS = "    nl.store(out, value={})\n    return out\n\n\n"
ROOTS = ("nkilib", "nkilib_standalone.nkilib", "nkilib_src.nkilib")
PATHS = ("a", "b", "c", "pkg/__init__", "pkg/d", "pkg/e", "pkg/sub/__init__", "pkg/sub/f", "tests/test_g")

LIBRARY = (
    ("from {root}.core.qkv.qkv import qkv{as_}", "qkv", "qkv"),
    ("from {root}.core.mlp.mlp import mlp_kernel{as_}", "mlp_kernel", "mlp"),
    ("from {root}.core.utils.tensor_view import TensorView{as_}", "TensorView", "view"),
    ("from {root}.core.utils.logging import Logger{as_}", "Logger", "logger"),
    ("from {root}.core.subkernels.rmsnorm_tkg import rmsnorm_tkg{as_}", "rmsnorm_tkg", "norm"),
    ("from {root}.core.utils.common_types import ActFnType{as_}", "ActFnType", "enum"),
    ("import {root}.core.mlp.mlp as {alias}", "mlp_module", "module"),
    ("from neuronxcc.nki._private_kernels.mlp import mlp_isa_kernel{as_}", "mlp_isa_kernel", "private"),
    ("from neuronxcc.nki._pre_prod_kernels import NormType{as_}", "NormType", "enum"),
    ("from neuronxcc.nki._pre_prod_kernels import ActFnType{as_}", "ActFnType", "enum"),
)
"""An import, the name that it gives, and what kind of thing that is."""


@dataclass
class Thing:
    """A name of a module, what it stands for, and whether it is a kernel in the old language."""

    name: str
    kind: str


@dataclass
class Module:
    """A file while it is made."""

    path: str
    things: list[Thing] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    kernels: bool = False

    @property
    def name(self) -> str:
        return self.path.removesuffix("/__init__").replace("/", ".")

    @property
    def text(self) -> str:
        head = [NKI] if self.kernels else []
        return "".join(head) + "".join(f"{line}\n" for line in self.head) + "\n\n" + "".join(self.body)


def project(number: int) -> dict[str, str]:
    """The files of a project, by path."""
    rng = random.Random(number)
    paths = sorted(rng.sample(PATHS, rng.randint(2, 6)))
    modules = [Module(path) for path in paths]
    for module in modules:
        for _ in range(rng.randint(0, 2)):
            rng.choice((library, library, kernel, stuck, helper, stand_in))(module, rng)
    turns = [(module, other) for module in modules for other in modules if module is not other]
    rng.shuffle(turns)
    for module, other in turns[: rng.randint(1, len(turns))]:
        imported(module, other, rng)
    for module in modules:
        for _ in range(rng.randint(0, 1)):
            rng.choice((kernel, stuck, derived, derived))(module, rng)
        for _ in range(rng.randint(0, 4)):
            if module.things:
                use(module, rng.choice(module.things), rng)
        offered(module, rng)
    files = {f"{module.path}.py": module.text for module in modules}
    names = sorted({f"{m.name}.{t.name}" for m in modules for t in m.things if "." not in t.name})
    if names and rng.random() < 0.3:
        files["conf/model.yaml"] = "".join(f"- _target_: {name}\n" for name in rng.sample(names, 1))
    for path in paths:
        while "/" in path:
            path = path.rpartition("/")[0]
            if path != "tests":
                files.setdefault(f"{path}/__init__.py", "")
    return files


# -- what a module has of its own ------------------------------------------------------------------------


def library(module: Module, rng: random.Random) -> None:
    """Something of the library, or of what came with the compiler."""
    form, name, kind = rng.choice(LIBRARY)
    alias = rng.choice((name, name, f"{name}_of_{len(module.head)}"))
    line = form.format(root=rng.choice(ROOTS), as_=f" as {alias}" if alias != name else "", alias=alias)
    if "{root}" in form and rng.random() < 0.1:
        other = form.format(root="nkilib", as_=f" as {alias}" if alias != name else "", alias=alias)
        line = f"try:\n    {line}\nexcept ImportError:\n    {other}"
    module.head.append(line)
    module.things.append(Thing(alias, kind))


def named(module: Module, what: str) -> str:
    return f"{what}_{module.name.rpartition('.')[2]}{len(module.body)}"


def kernel(module: Module, rng: random.Random) -> None:
    """A kernel that can be migrated; it may need its launches to be seen, or write to a parameter."""
    name = named(module, "kernel")
    module.kernels = True
    module.things.append(Thing(name, "kernel"))
    form = rng.randrange(4)
    if form == 0:
        body = STARTS + ENDS.format("nl.multiply(tile, 2.0)")
    elif form == 1:
        body = (
            "    i = nl.program_id(0)\n"
            + STARTS.replace("(x)", "(x[i])")
            + ENDS.format("tile").replace("(out,", "(out[i],")
        )
    elif form == 2:
        body = "    tile = nl.load(x)\n    nl.store(x, value=tile)\n\n\n"
    else:
        inner = [t.name for t in module.things if t.kind == "helper"]
        value = f"{rng.choice(inner)}(tile)" if inner else "tile"
        body = STARTS + ENDS.format(value)
    decorated = rng.choice(("@nki.jit\n", "@nki.jit\n", ""))
    module.body.append(f"{decorated}def {name}(x):\n{body}")
    if not decorated:
        module.body.append(f"{name}_jit = nki.jit({name})\n\n\n")
        module.things.append(Thing(f"{name}_jit", "kernel"))


def stuck(module: Module, rng: random.Random) -> None:
    """A kernel that a person must see to."""
    name = named(module, "stuck")
    module.kernels = True
    module.things.append(Thing(name, "kernel"))
    why = rng.choice(("nl.gather_flattened(tile, tile)", "COUNT * tile"))
    count = (
        f"COUNT = 1\n\n\ndef more_{name}():\n    global COUNT\n    COUNT += 1\n\n\n" if "COUNT" in why else ""
    )
    module.body.append(f"{count}@nki.jit\ndef {name}(x):\n{STARTS}    tile = {why}\n{ENDS.format('tile')}")


def helper(module: Module, rng: random.Random) -> None:
    """A function that kernels call."""
    name = named(module, "step")
    module.kernels = True
    module.things.append(Thing(name, "helper"))
    module.body.append(f"def {name}(tile):\n    return nl.exp(tile)\n\n\n")


def derived(module: Module, rng: random.Random) -> None:
    """A class that derives from one of the library, or of another module."""
    bases = [t for t in module.things if t.kind in ("view", "logger", "class")]
    if bases:
        name, base = named(module, "Own"), rng.choice(bases)
        body = "    def size(self):\n        return self.sizes\n" if base.kind == "view" else "    pass\n"
        module.body.append(f"class {name}({base.name}):\n{body}\n\n")
        module.things.append(Thing(name, base.kind))


def stand_in(module: Module, rng: random.Random) -> None:
    """A name that only looks like one of the library's."""
    module.body.append("def qkv_like(*args):\n    return args\n\n\n")


# -- what it has of others -------------------------------------------------------------------------------


def imported(module: Module, other: Module, rng: random.Random) -> None:
    """An import of another module, or of what it offers."""
    path = relative(module, other, rng)
    form = rng.randrange(6)
    if form == 0 and other.things:
        module.head.append(f"from {path} import *")
        module.things += [t for t in other.things if not t.name.startswith("_")]
    elif form == 1 and not path.startswith("."):
        module.head.append(f"import {path}")
        module.things += [Thing(f"{path}.{t.name}", t.kind) for t in other.things]
    elif form == 2 and not path.startswith("."):
        alias = f"{path.rpartition('.')[2]}_m"
        module.head.append(f"import {path} as {alias}")
        module.things += [Thing(f"{alias}.{t.name}", t.kind) for t in other.things]
    elif form == 3 and "." in path.strip("."):
        above, _, last = path.rpartition(".")
        module.head.append(f"from {above or '.'} import {last}")
        module.things += [Thing(f"{last}.{t.name}", t.kind) for t in other.things]
    else:
        plain = [t for t in other.things if "." not in t.name]
        for thing in rng.sample(plain, min(len(plain), rng.randint(1, 3))):
            alias = rng.choice((thing.name, thing.name, f"{thing.name}_2"))
            module.head.append(
                f"from {path} import {thing.name}" + (f" as {alias}" if alias != thing.name else "")
            )
            module.things.append(Thing(alias, thing.kind))


def relative(module: Module, other: Module, rng: random.Random) -> str:
    """How a module spells another one."""
    if module.path.startswith("pkg/") and other.path.startswith("pkg/") and rng.random() < 0.5:
        package = module.name if module.path.endswith("__init__") else module.name.rpartition(".")[0]
        if other.name.startswith(f"{package}."):
            return f".{other.name.removeprefix(package)[1:]}"
        if package == "pkg.sub" and other.name.startswith("pkg."):
            return f"..{other.name.removeprefix('pkg.')}"
    return other.name


def use(module: Module, thing: Thing, rng: random.Random) -> None:
    """Something that is done with a name."""
    number = len(module.body)
    name, kind = thing.name, thing.kind

    def again(new: str) -> None:
        module.things.append(Thing(new, kind))

    form = rng.randrange(8)
    if form == 7:
        module.body.append(f"def patched_{number}(mock):\n    mock.patch({module.name + '.' + name!r})\n\n\n")
    elif form == 0:
        module.body.append(f"alias_{number} = {name}\n\n\n")
        again(f"alias_{number}")
    elif form == 1:
        module.body.append(
            f"class Layer{number}:\n    call = {name}\n\n    def __init__(self):\n        self.it = {name}\n\n    def run(self, x):\n        return self.it({ARGUMENTS.get(kind, 'x')})\n\n\n"
        )
        module.things.append(Thing(f"Layer{number}", "class"))
    elif form == 2 and kind in ("qkv", "mlp", "kernel"):
        module.body.append(f"from functools import partial\n\npart_{number} = partial({name})\n\n\n")
        again(f"part_{number}")
    elif form == 3 and kind in ("qkv", "mlp", "kernel"):
        module.body.append(f"grid_{number} = {name}[2]\n\n\n")
        again(f"grid_{number}")
    elif form == 4:
        module.body.append(
            f"def get_{number}():\n    from importlib import import_module\n\n    return getattr(import_module({module.name!r}), {name!r})\n\n\n"
        )
    else:
        launched = rng.choice(("", "", "[2]", "[x.shape[0]]", "[nl.nc(2)]")) if kind == "kernel" else ""
        module.kernels |= "nl" in launched
        module.body.append(
            f"def run_{number}(x):\n    return {CALLS.get(kind, '{}(x)').format(name + launched)}\n\n\n"
        )


ARGUMENTS = {
    "qkv": "x, x, 'BSD', None, True, x, x",
    "mlp": "x, x, x, x, x",
    "enum": "x",
    "logger": "'a', level=None",
    "norm": "x, x, output_in_sbuf=True",
}
CALLS = {kind: "{}(" + given + ")" for kind, given in ARGUMENTS.items()} | {
    "view": "{}(x).sizes",
    "class": "{}().run(x)",
    "enum": "{}.SiLU if x else print({}.GELU)".replace("{}", "{0}"),
    "module": "{}.mlp_kernel(x, x, x, x)",
    "helper": "x",
}


def offered(module: Module, rng: random.Random) -> None:
    """Perhaps an ``__all__``."""
    plain = sorted({t.name for t in module.things if "." not in t.name})
    if plain and rng.random() < 0.3:
        chosen = rng.sample(plain, rng.randint(1, len(plain)))
        module.body.append(f"__all__ = {chosen!r}\n")
