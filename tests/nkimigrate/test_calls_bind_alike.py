"""Every changed callable, called in every form: what its parameters receive is the same in both releases.

A program with calls of one callable runs twice, as it was and migrated, each time with a library that only
notes which parameter received which argument. Its signatures are those of the release's sources. Where both
differ, a finding must say that the place needs a person.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from snapshots import Snapshot

from nkimigrate import engine
from nkimigrate.config import Options

OLD, NEW = Snapshot("2.27"), Snapshot("2.28")
CALLABLES = {
    "attention.attention_cte.AttnConfig": "",
    "attention.attention_cte.attention_cte": "",
    "attention.attention_tkg.AttnInternalBuffers": "",
    "attention.attention_tkg.AttnTileParams": "",
    "mlp.mlp.mlp_kernel": "mlp.mlp.mlp",
    "mlp.mlp_parameters.MLPParameters": "",
    "mlp.mlp_tkg.mlp_tkg_utils.input_fused_add": "",
    "output_projection.output_projection_cte.output_projection_cte": (
        "output_projection.output_projection_cte.output_projection_cte.output_projection_cte"
    ),
    "output_projection.output_projection_tkg.output_projection_tkg": "",
    "qkv.qkv.qkv": "",
    "qkv.qkv_cte.qkv_cte": "",
    "qkv.qkv_tkg.qkv_tkg": "",
    "rmsnorm.rmsnorm_quant.RmsNormQuantKernelArgs": "",
    "rmsnorm.rmsnorm_quant.rmsnorm_quant_kernel": "",
    "utils.allocator.Scope": "",
    "utils.tiled_range.TiledRangeIterator": "",
}
"""By their names in the old release, with those that they have in the new one where these differ."""
RENAMED = {"input_fused_add": {"input_hbm": "input"}}
ADDED = {
    "Scope": {"name": ""},
    "TiledRangeIterator": {"end_offset": "start_offset + tile_size"},
}


class Argument(str):
    """An argument that is known by its parameter's old name."""

    def __add__(self, other: str) -> Argument:
        return Argument(f"{self!s} + {other!s}")


Log = list[Mapping[str, object]]


def noting(parameters: list[str], log: Log) -> Callable[..., None]:
    """A function that notes what each of its parameters received."""
    spelled = ", ".join(f"{p.partition('=')[0]}=None" if "=" in p else p for p in parameters)
    scope: dict[str, Any] = {
        "note": lambda given: log.append({n: g for n, g in given.items() if g is not None})
    }
    exec(f"def function({spelled}):\n    note(locals())", scope)
    function: Callable[..., None] = scope["function"]
    return function


class Kernel:
    """Such a function that can be launched, too."""

    def __init__(self, parameters: list[str], log: Log) -> None:
        self.function = noting(parameters, log)

    def __call__(self, *args: object, **kwargs: object) -> None:
        self.function(*args, **kwargs)

    def __getitem__(self, grid: object) -> Kernel:
        return self


def noting_class(parameters: list[str], log: Log) -> type:
    function = noting(parameters, log)
    return type("Noting", (), {"__init__": lambda self, *a, **k: function(*a, **k)})


@cache
def parameters(name: str, release: Snapshot) -> list[str]:
    found = release.signature(f"nkilib.core.{name}")
    assert found is not None
    return found


def forms(name: str, old: list[str]) -> Iterator[str]:
    """Statements that call it: each way to give arguments, with as many by position as make a difference."""
    names = [p.partition("=")[0] for p in old]
    required = sum("=" not in p for p in old)
    new = [p.partition("=")[0] for p in parameters(CALLABLES[name] or name, NEW)]
    end = next((i for i, (a, b) in enumerate(zip(names, new, strict=False)) if a != b), len(names))
    f = name.rpartition(".")[2]
    for count in sorted({0, 1, required, end, min(end + 1, len(names)), len(names)}):
        rest = [f"{n}={n}" for n in names[count:]]
        least = [f"{n}={n}" for n in names[count:required]]
        front = names[:count]
        plain, full = ", ".join(front + least), ", ".join(front + rest)
        yield from (f"{f}({plain})", f"{f}({full})", f"{f}({', '.join(front + rest[::-1])})")
        yield f"(lambda *a, **k: {f}(*a, **k))({full})"
        yield f"options = dict({', '.join(rest)}); {f}({', '.join([*front, '**options'])})"
        yield f"{f}({', '.join([*front, '**dict(' + ', '.join(rest) + ')'])})"
        yield f"table = {{'a': {f}}}; table['a']({plain})"
        yield f"module.{f}({full})"
        yield f"getattr(module, {f!r})({plain})"
        for taken in sorted({0, 1, count // 2, count} & set(range(count + 1))):
            before, behind = ", ".join([f, *front[:taken]]), ", ".join(front[taken:] + least)
            yield f"partial({before})({behind})"
            yield f"partial({', '.join([before, *rest])})({', '.join(front[taken:])})"
        if count:
            row = f"({', '.join(front)},)"
            yield f"{f}({', '.join([f'*{row}', *least])})"
            yield f"row = {row}; {f}({', '.join(['*row', *least])})"
            yield f"{f}({', '.join([front[0], '*[' + ', '.join(front[1:]) + ']', *least])})"
        if f[0].islower():
            yield from (f"{f}[2]({plain})", f"nki.jit({f})({full})", f"nki.jit({f})[2]({plain})")
        else:
            yield f"class Sub({f}): pass\n    Sub({full})"
            yield f"class Sub({f}):\n        def __init__(self): super().__init__({plain})\n    Sub()"


def program(name: str) -> tuple[str, list[int]]:
    """A file with a function for each form, and the lines that these end with."""
    module, _, last = name.rpartition(".")
    arguments = sorted({p.partition("=")[0] for p in parameters(name, OLD)})
    text = f"import nki\nfrom functools import partial\nfrom nkilib.core.{module} import {last}\n"
    package, _, inner = module.rpartition(".")
    text += f"from nkilib.core.{package} import {inner} as module\n"
    text += "".join(f"{n} = argument({n!r})\n" for n in arguments)
    ends = []
    for number, form in enumerate(forms(name, parameters(name, OLD))):
        text += f"def call{number}():\n    {form}\n"
        ends.append(text.count("\n"))
    return text, ends


def received(text: str, module: str, name: str, release: Snapshot, count: int) -> list[Log | str]:
    """What the parameters receive in each of the functions of a program, or how it fails."""
    log: Log = []
    last = name.rpartition(".")[2]
    kind = noting_class if last[0].isupper() else Kernel
    library = types.SimpleNamespace(**{last: kind(parameters(name, release), log)})
    modules = {
        "nki": types.SimpleNamespace(jit=lambda kernel: kernel),
        f"nkilib.core.{module}": library,
        f"nkilib.core.{module.rpartition('.')[0]}": types.SimpleNamespace(
            **{module.rpartition(".")[2]: library}
        ),
    }

    def imported(path: str, *rest: Any) -> Any:
        return modules[path] if path in modules else __import__(path, *rest)

    scope: dict[str, Any] = {"__builtins__": {**vars(builtins), "__import__": imported}, "argument": Argument}
    exec(text, scope)
    found: list[Log | str] = []
    for number in range(count):
        log.clear()
        try:
            scope[f"call{number}"]()
            found.append([*log])
        except TypeError as error:
            found.append(str(error))
    return found


def translated(log: Log, name: str) -> Log:
    """What the new parameters must receive."""
    last = name.rpartition(".")[2]
    renamed = RENAMED.get(last, {})
    return [{renamed.get(n, n): given for n, given in call.items()} for call in log]


@pytest.mark.parametrize("name", CALLABLES)
def test_a_call_gives_the_same_to_the_same_parameters(name: str) -> None:
    text, ends = program(name)
    report = engine.run(Options(stdin=text.encode(), stdin_filename="app.py", mode="diff", jobs=1))
    assert not report.problems
    migrated = report.changes[0].new.decode() if report.changes else text
    module = name.rpartition(".")[0]
    before = received(text, module, name, OLD, len(ends))
    after = received(migrated, module, CALLABLES[name] or name, NEW, len(ends))
    added = ADDED.get(name.rpartition(".")[2], {})
    left = {f.line for f in report.findings if f.outcome.value == "needs-you"}
    wrong, start = [], ends[0] - 2
    for end, old, new in zip(ends, before, after, strict=True):
        assert not isinstance(old, str), text.splitlines()[start:end]
        wanted = [{**call, **added} for call in translated(old, name)]
        if new != wanted and left.isdisjoint(range(start + 1, end + 1)):
            wrong.append(("\n".join(text.splitlines()[start:end]), new, wanted))
        start = end
    assert wrong == []
    assert len(left) < len(ends) * 0.55
