"""Every call form of a norm, run with stand-ins of the old kernel and, once migrated, of the new one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.analyse import Place, World, analyse
from nkimigrate.codemods.edit.apply import apply
from nkimigrate.codemods.rules import all_rules
from nkimigrate.codemods.source import Source
from nkimigrate.releases import load

NEVER = {"inp": "source('x')", "gamma": "source('gamma')"}
VALUES = {
    "eps": ["1e-5"],
    "hidden_actual": ["None", "4096"],
    "beta": ["b", "None"],
    "output_in_sbuf": ["True", "False"],
    "use_heap_memory": ["True", "False"],
    "sbm": ["sbm", "None", "b.sbm"],
}
OLD = {
    "rmsnorm_tkg": ["inp", "gamma", "eps", "hidden_actual", "output_in_sbuf", "use_heap_memory", "sbm"],
    "layernorm_tkg": ["inp", "gamma", "beta", "eps", "output_in_sbuf", "use_heap_memory", "sbm"],
}


class Tensor(SimpleNamespace):
    """A tensor that knows how it was made."""

    shape, dtype = (2, 8, 256), "bf16"


class Manager(SimpleNamespace):
    """An allocator that makes such tensors."""

    def alloc_heap(self, shape: Any, *, dtype: Any, buffer: str) -> Tensor:
        return Tensor(made=("heap", shape, dtype, buffer, self.name))

    def alloc_stack(self, shape: Any, *, dtype: Any, buffer: str) -> Tensor:
        return Tensor(made=("stack", shape, dtype, buffer, self.name))


NL = SimpleNamespace(
    ndarray=lambda shape, *, dtype, buffer: Tensor(made=("plain", shape, dtype, buffer, None)),
    tile_size=SimpleNamespace(pmax=128),
    sbuf="sbuf",
    shared_hbm="hbm",
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, str]:
    """A kernel and a call of it: some arguments by position, some of the others by keyword, in any order."""
    kernel = draw(st.sampled_from(sorted(OLD)))
    names = OLD[kernel]
    count = draw(st.integers(0, len(names)))
    others = draw(st.permutations([n for n in names[count:] if n in NEVER or draw(st.booleans())]))
    plain = draw(st.booleans())
    values = {
        n: n if plain and n in NEVER else draw(st.sampled_from(VALUES.get(n, [NEVER.get(n)]))) for n in names
    }
    arguments = [str(values[n]) for n in names[:count]] + [f"{n}={values[n]}" for n in others]
    return kernel, f"{kernel}({', '.join(arguments)})"


def run(program: str, kernel: str, parameters: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The arguments that reach the kernel, and the order in which the sources were computed."""
    seen: dict[str, Any] = {}
    order: list[str] = []
    managers = Manager(name="sbm"), Manager(name="b.sbm")
    known = {"inp": Tensor(name="x"), "gamma": Tensor(name="gamma"), "sbm": managers[0]}
    known["b"] = Tensor(name="b", sbm=managers[1])

    def source(name: str) -> Tensor:
        order.append(name)
        return Tensor(name=name)

    def record(*args: Any, **kwargs: Any) -> None:
        seen.update(zip(parameters, args, strict=False))
        assert not seen.keys() & kwargs.keys()
        assert kwargs.keys() <= {*parameters}
        seen.update(kwargs)

    body = program.partition("\n\n\n")[2]
    names: dict[str, Any] = {"nl": NL, kernel: record, "source": source}
    exec(body, names)
    names["run"](**known)
    return seen, order


@given(calls())
def test_the_same_arguments_and_an_output_as_before(pair: tuple[str, str]) -> None:
    kernel, call = pair
    program = (
        f"import nki.language as nl\nfrom nkilib.core.subkernels.{kernel} import {kernel}\n\n\n"
        f"def run(inp, gamma, b, sbm):\n    y = {call}\n    return y\n"
    )
    found = analyse(
        program.encode(), Place("app.py", "app"), load("2.27", "2.28"), all_rules(), World()
    ).findings
    edits = [edit for finding in found for edit in finding.edits]
    if not edits:
        assert any(f.outcome.value == "needs-you" for f in found)
        return
    before, order = run(program, kernel, OLD[kernel])
    new = next(c for c in load("2.27", "2.28").calls if c.name.endswith(f".{kernel}")).signature
    after, order_after = run(apply(Source.decode(program.encode()), edits), kernel, list(new.positional))
    _check(before, after)
    assert order == order_after


def _check(before: dict[str, Any], after: dict[str, Any]) -> None:
    place, shape, dtype, buffer, allocator = after.pop("output").made
    in_sbuf, manager = before.pop("output_in_sbuf", False), before.get("sbm")
    managed = in_sbuf and manager is not None
    assert place == ("plain" if not managed else "heap" if before.get("use_heap_memory") else "stack")
    assert buffer == ("sbuf" if in_sbuf else "hbm")
    assert allocator == (manager.name if managed else None)
    assert (shape, dtype) == ((128, 16, 2), "bf16")
    renamed = {"inp": "input"}
    expected = {renamed.get(name, name): value for name, value in before.items()}
    assert {n: _shown(v) for n, v in after.items()} == {n: _shown(v) for n, v in expected.items()}


def _shown(value: Any) -> Any:
    return value.name if isinstance(value, SimpleNamespace) else value
