"""Runs what a lowering writes, under nkisim, beside the former call under ``nkisim.beta1``.

The emitter here is the simplest that a lowering can have: every tile gets a fresh name, nothing is tidied up.
"""

from __future__ import annotations

import ast
import dataclasses
import linecache
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

import nkisim.beta1 as beta1
import nkisim.beta1.language as old
import nkisim.isa as nisa
import nkisim.language as nl
import nkisim.tensor as ntensor
from nkimigrate.codemods.language.analysis.symbols import Sym
from nkimigrate.codemods.language.analysis.values import Dtype, Items, Scalar, Space, Tensor, Token, Value
from nkimigrate.codemods.language.lowering.emitter import Refused
from nkimigrate.codemods.language.lowering.helpers import HELPERS
from nkimigrate.codemods.language.lowering.registry import lower
from nkisim import nki
from nkisim.checks.language import ERROR, Module, check_function


class PlainEmitter:
    """Collects lines. ``into``: the tile that the statement assigns into. ``stored``: see ``sink``."""

    def __init__(self, into: Tensor | None = None, stored: Dtype | None = None) -> None:
        self.into = into
        self.stored = stored
        self.lines: list[str] = []
        self.helpers: set[str] = set()
        self.notes: list[tuple[str, dict[str, str]]] = []
        self.count = 0

    def target(self) -> Tensor | None:
        return self.into

    def sink(self) -> Dtype | None:
        return self.stored

    def destination(self, shape, dtype, space, like=None) -> Tensor:
        return self.into or self.temporary("dst", shape, dtype, space, like)

    def temporary(self, hint, shape, dtype, space, like=None) -> Tensor:
        self.count += 1
        name = f"{hint}_{self.count}"
        assert shape is not None or like is not None
        sizes = f"({', '.join(n.text for n in shape)},)" if shape is not None else f"{like.text}.shape"
        kind = f"{like.text}.dtype" if dtype is None else dtype.text
        self.lines.append(f"{name} = nl.ndarray({sizes}, dtype={kind}, buffer=nl.{space.value})")
        return Tensor(name, shape, dtype, space)

    def emit(self, callee: str, **arguments: str) -> None:
        self.lines.append(f"{callee}({', '.join(f'{name}={text}' for name, text in arguments.items())})")

    def line(self, code: str) -> None:
        self.lines.append(code)

    def bind(self, hint: str, code: str) -> str:
        self.count += 1
        self.lines.append(f"{hint}_{self.count} = {code}")
        return f"{hint}_{self.count}"

    def named(self, hint: str, tensor: Tensor) -> Tensor:
        return dataclasses.replace(tensor, text=self.bind(hint, tensor.text))

    def helper(self, name: str) -> str:
        self.helpers.add(name)
        return name

    def module(self, name: str) -> str:
        return {"nki.tensor": "ntensor"}[name]

    def same(self, a: Sym, b: Sym) -> bool | None:
        if a == b:
            return True
        return False if a.value is not None and b.value is not None else None

    def note(self, message: str, **fields: str) -> None:
        self.notes.append((message, fields))

    def refuse(self, message: str, **fields: str) -> Any:
        raise Refused(message, **fields)


def uniform(shape: tuple[int, ...], dtype: Any, low: float = -2.0, high: float = 2.0, seed: int = 0) -> Any:
    """Random numbers of a dtype, the same on every call."""
    return np.random.default_rng((seed, *shape)).uniform(low, high, shape).astype(dtype)


# -- arguments --------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Tile:
    """An argument that is a tile: input number ``index``, in SBUF or PSUM; whether its dtype and its shape are
    known.
    """

    index: int
    space: Space = Space.SBUF
    known: bool = True
    ranked: bool = True


@dataclasses.dataclass(frozen=True)
class Source:
    """An argument that is input number ``index`` itself, in HBM."""

    index: int
    known: bool = True
    ranked: bool = True


def dtype_name(array: np.ndarray[Any, Any]) -> str:
    return str(array.dtype)


def value_of(argument: Any, arrays: Sequence[np.ndarray[Any, Any]]) -> Value:
    """What the walker would hand in for an argument."""
    if isinstance(argument, Tile | Source):
        array = arrays[argument.index]
        name = f"tile{argument.index}" if isinstance(argument, Tile) else f"in{argument.index}"
        known = dtype_name(array) if argument.known else None
        dtype = Dtype(f"nl.{known}" if known else f"{name}.dtype", known, known or f"in{argument.index}")
        space = argument.space if isinstance(argument, Tile) else Space.HBM
        return Tensor(
            name, tuple(Sym.constant(n) for n in array.shape) if argument.ranked else None, dtype, space
        )
    if isinstance(argument, bool):
        return Scalar(str(argument))
    if isinstance(argument, int):
        return Scalar(str(argument), Sym.constant(argument))
    if isinstance(argument, float):
        return Scalar(repr(argument))
    if isinstance(argument, tuple | list):
        return Items(str(argument), tuple(value_of(item, arrays) for item in argument))
    if isinstance(argument, str):
        return Scalar(repr(argument))
    return argument  # a value as it is


def as_former(argument: Any, tiles: Sequence[Any], inputs: Sequence[Any]) -> Any:
    """The argument as the former call takes it."""
    if isinstance(argument, Tile):
        return tiles[argument.index]
    if isinstance(argument, Source):
        return inputs[argument.index]
    if isinstance(argument, Token):
        return getattr(beta1.isa if argument.name.startswith("nisa.") else old, argument.name.split(".")[-1])
    return argument


# -- running ----------------------------------------------------------------------------------------------


def function(source: str, name: str, scope: dict[str, Any]) -> Callable[..., Any]:
    """A function from its text, with lines that error messages can quote."""
    filename = f"<lowered {abs(hash(source))}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(compile(source, filename, "exec"), scope)
    made: Callable[..., Any] = scope[name]
    return made


def check_language(source: str) -> None:
    """No function of the text may leave the language."""
    tree = ast.parse(source)
    module = Module(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            errors = [b for b in check_function(node, module) if b.level == ERROR]
            assert not errors, (source, errors)


def helper_sources(names: set[str]) -> str:
    """The text of helpers and of those that they need."""
    wanted: dict[str, str] = {}

    def add(name: str) -> None:
        for other in HELPERS[name].needs:
            add(other)
        wanted[name] = HELPERS[name].source

    for name in sorted(names):
        add(name)
    return "\n\n".join(wanted.values())


def launched(text: str, *arrays: Any, name: str = "kernel", platform: str = "trn2") -> Any:
    """What the kernel of this text gives, under nkisim."""
    scope: dict[str, Any] = {"nl": nl, "nisa": nisa, "ntensor": ntensor}
    kernel = nki.jit(function(text, name, scope), platform_target=platform)
    return np.asarray(kernel(*(array.copy() for array in arrays)))


@dataclasses.dataclass(frozen=True)
class Lowered:
    """What came out. ``text``: the new kernel. ``got``, ``want``: results of the new and of the former call."""

    text: str
    got: np.ndarray[Any, Any]
    want: np.ndarray[Any, Any]
    notes: tuple[str, ...]


def new_text(
    name: str,
    arguments: Mapping[str, Any],
    arrays: Sequence[np.ndarray[Any, Any]],
    into: tuple[tuple[int, ...], str, Space] | None = None,
    modified: int | None = None,
) -> tuple[str, list[str]]:
    """The kernel that the lowering writes, and its notes."""
    target = None
    if into is not None:
        shape = tuple(Sym.constant(n) for n in into[0])
        target = Tensor("target", shape, Dtype(f"nl.{into[1]}", into[1]), into[2])
    out = PlainEmitter(target)
    values = {parameter: value_of(argument, arrays) for parameter, argument in arguments.items()}
    lines = []
    for argument in arguments.values():
        if isinstance(argument, Tile):
            lines += _loaded(argument)
    if into is not None:
        lines.append(f"target = nl.ndarray({into[0]}, dtype=nl.{into[1]}, buffer=nl.{into[2].value})")
    found = lower(name, out, values)
    lines += out.lines
    lines += _stored(found, modified)
    parameters = ", ".join(f"in{i}" for i in range(len(arrays)))
    body = "\n".join(f"    {line}" for line in lines)
    helpers = helper_sources(out.helpers)
    return f"{helpers}\n\ndef kernel({parameters}):\n{body}\n", [key for key, _ in out.notes]


def _loaded(argument: Tile) -> list[str]:
    name, source = f"tile{argument.index}", f"in{argument.index}"
    lines = [
        f"{name} = nl.ndarray({source}.shape, dtype={source}.dtype, buffer=nl.sbuf)",
        f"nisa.dma_copy(dst={name}, src={source})",
    ]
    if argument.space == Space.PSUM:
        lines += [
            f"{name}_sbuf = {name}",
            f"{name} = nl.ndarray({source}.shape, dtype={source}.dtype, buffer=nl.psum)",
            f"nisa.tensor_copy(dst={name}, src={name}_sbuf)",
        ]
    return lines


def _stored(found: Tensor | None, modified: int | None) -> list[str]:
    """Return a result, or the input or tile that the call wrote."""
    if found is None and modified is None:
        return []
    text = f"tile{modified}" if found is None else found.text
    if found is not None and found.space in (Space.HBM, Space.SHARED_HBM):
        return [f"return {text}"]
    lines = [f"whole = {text}"]
    if found is not None and found.space == Space.PSUM:
        lines += [
            "landed = nl.ndarray(whole.shape, dtype=whole.dtype, buffer=nl.sbuf)",
            "nisa.tensor_copy(dst=landed, src=whole)",
            "whole = landed",
        ]
    return [
        *lines,
        "output = nl.ndarray(whole.shape, dtype=whole.dtype, buffer=nl.shared_hbm)",
        "nisa.dma_copy(dst=output, src=whole)",
        "return output",
    ]


def run_lowered(
    name: str,
    arguments: Mapping[str, Any],
    *arrays: np.ndarray[Any, Any],
    into: tuple[tuple[int, ...], str, Space] | None = None,
    modified: int | None = None,
    former: Mapping[str, Any] | None = None,
    platform: str = "trn2",
) -> Lowered:
    """Both calls on the same inputs.

    Args:
        name: of the former function. arguments: Python numbers, Tile, Source, or values of the analysis.
        into: shape, dtype and memory of a tile that the statement assigns into.
        modified: the tile that the call writes, for calls without a result.
        former: arguments of the former call that differ from the new ones'.
    """
    text, notes = new_text(name, arguments, arrays, into, modified)
    check_language(text)
    got = launched(text, *arrays, platform=platform)
    want = np.asarray(_former(name, {**arguments, **(former or {})}, arrays, into, modified, platform))
    return Lowered(text, got, want, tuple(notes))


def _former(name, arguments, arrays, into, modified, platform) -> Any:
    """The former call."""
    head, _, rest = name.partition(".")
    module: ModuleType = {"nl": old, "nisa": beta1.isa}.get(head)
    given = {key: value for key, value in arguments.items() if value is not None}

    def kernel(*inputs: Any) -> Any:
        tiles = [_former_tile(index, inputs, given) for index in range(len(inputs))]
        values = {key: as_former(value, tiles, inputs) for key, value in given.items()}
        if module is None:  # a method of tensors
            receiver = values.pop("self")
            result = getattr(receiver, rest.rpartition(".")[2])(**values)
        else:
            result = getattr(module, rest)(**values)
        return _former_result(result, tiles, into, modified)

    return beta1.jit(kernel, platform_target=platform)(*(array.copy() for array in arrays))


def _former_tile(index: int, inputs: Sequence[Any], arguments: Mapping[str, Any]) -> Any:
    spaces = [a.space for a in arguments.values() if isinstance(a, Tile) and a.index == index]
    if not spaces:
        return None
    loaded = old.load(inputs[index])
    if spaces[0] == Space.SBUF:
        return loaded
    moved = old.ndarray(loaded.shape, dtype=loaded.dtype, buffer=old.psum)
    moved[...] = loaded
    return moved


def _former_result(result: Any, tiles: Sequence[Any], into: Any, modified: int | None) -> Any:
    if into is not None:
        target = old.ndarray(into[0], dtype=getattr(old, into[1]), buffer=getattr(old, into[2].value))
        target[...] = result
        result = target
    if result is None:
        assert modified is not None
        result = tiles[modified]
    if result.buffer in ("hbm", "shared_hbm"):
        return result
    output = old.ndarray(result.shape, dtype=result.dtype, buffer=old.shared_hbm)
    old.store(output, result)
    return output


def check_equal(
    name: str, arguments: Mapping[str, Any], *arrays: np.ndarray[Any, Any], **options: Any
) -> Lowered:
    """Both calls give the same dtype and the same bits (or, with ``rtol``, results that close)."""
    rtol = options.pop("rtol", 0.0)
    ran = run_lowered(name, arguments, *arrays, **options)
    assert ran.got.size == ran.want.size, (ran.got.shape, ran.want.shape, ran.text)
    want = np.where(ran.want, 1, 0).astype(np.uint8) if ran.want.dtype == np.bool_ else ran.want
    assert ran.got.dtype == want.dtype, ran.text
    got = ran.got.reshape(want.shape)
    if rtol:
        np.testing.assert_allclose(
            got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=rtol, err_msg=ran.text
        )
    else:
        assert got.tobytes() == want.tobytes(), (ran.text, got, want)
    return ran
