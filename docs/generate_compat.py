"""Prints docs/compat.md: what nkilib.compat bridges, from the release table that it follows.

Usage: python docs/generate_compat.py > docs/compat.md (or ``make docs``)
"""

from __future__ import annotations

from collections.abc import Iterator

from nkilib.compat.behaviour import LEGACY
from nkilib.compat.methods import LEGACY_METHODS
from nkimigrate.codemods.release import CallChange, OldForm, Release
from nkimigrate.codemods.signature import first_break
from nkimigrate.releases import load

HEAD = """\
# Running 2.27 code without migrating it: nkilib.compat

Generated from the release table by `make docs`. Names are without their root `nkilib.core.`

```python
import nkilib.compat                        # or any import of nkilib_standalone or nkilib_src
from nkilib_standalone.nkilib.core.mlp.mlp import mlp_kernel

mlp_kernel(x, gate, up, down, *norms, False, ActFnType.SiLU, NormType.RMS_NORM, nl.bfloat16)
```

Old import roots lead to the same modules as `nkilib`, so enumerations and classes of all roots are the
same. Old names can be imported from where they were, and callables take the arguments of every dialect of
2.27 beside those of 2.28, in one process. The library itself stays as it is: only code outside of it sees
old names and adapters.

A call that binds to the 2.28 signature is taken for one of 2.28, unless an argument stands at a position
that changed and is what 2.27 takes there: `qkv(x, w, layout, bias, True)` is old, and with
`QuantizationType.ROW` in that place it is new. Where both read a value alike, the call is old; keywords
leave no doubt. Dialects whose import root the process has imported are tried first.

Each use warns once for its line, with a `DeprecationWarning` that says what to write and names the
command that does. Python shows such warnings for `__main__` and in tests; `-W default` shows all.

| | |
|---|---|
| `nkilib.compat.strict()` | from here on, or in a `with` statement, every use is an error |
| `nkilib.compat.legacy_behaviour()` | likewise, calls do what 2.27 did, see [below](#behaviour) |

## What is not bridged

- Strides, and results of `get_trivial_strides`, are tuples now. `sizes` is a new list at each access:
  changing it does not change the view.
- `type(view) is TensorView` is false for classes whose constructor changed. Outside of the library such a
  name is a facade that makes, and recognises, objects of the library's own class; `==`, `isinstance`,
  `issubclass`, `match`, dictionaries by type, subclasses and pickles work.
- An import under a legacy root warns where each module is first imported; `strict()` makes later ones
  errors.
- `GLOBAL_LOG_LEVEL` acts on loggers made after the assignment, and on `nkilib.core.utils.logging.logger`.
- Inside kernels the adapters run on nkisim. Whether the Neuron compiler takes them there has never been
  tried: for a device, migrate what kernels call.
- Star imports do not bring names of Python's own modules that an old module had imported, and bring what is
  new in 2.28, such as `reduce`, which may hide a name of yours.
- What nkilib does not have yet cannot be imported by its old name either, nor can [insides](#insides).

"""
INSIDES = """\
## Insides

A name is *public* when it can be used by itself: a kernel, the arguments it takes, its constants and
limits, a reference function, and everything in `utils` and `subkernels`. All public names of 2.28 are here;
those of all dialects of 2.27 can be imported from where they were, under every root, and take their old
arguments.

A name is an *inside* when it is one step, plan or buffer of a single kernel: it takes or describes the
tiles that this kernel has on chip at that moment, or chooses between its ways to do it (`USE_DMA_TRANSPOSE`,
`BLOCK_PARALLEL_FACTOR`, `MAX_BLOCK_TILE_SIZE`). The kernels of this library are composed of
[blocks](blocks.md), cut their work otherwise and have no such moment, so there is nothing that these
names could stand for, although they have no leading underscore. Importing one is an `ImportError` with
the step below, with and without compat, and `hasattr` is false. The original `nkilib` of 2.28 has most
of them.

Helpers among the steps that mean something by themselves are public: the limits and checks of the output
projection, scales on chip and their inverses, what a statistics instruction writes, the launch grids of the
MLP, which dimension its cores divide. A module of which only steps are left can be imported with compat when
2.27 code reaches a public name through it, such as `Logger` or a threshold.

"""
# "norm-buffers" is given in part, see the end of the page.
GIVEN = {*LEGACY, *(id for id, _ in LEGACY_METHODS.values()), "norm-buffers"}
TEMPLATES = {"norm-output": ["the output is allocated"], "view-copy": ["made with `_copy`"]}


def page(release: Release) -> Iterator[str]:
    """The page in pieces."""
    yield HEAD
    moves = {**release.modules, **release.wrong_modules}
    yield from _table("Modules", "| old | new |", [(_code(o), _code(n)) for o, n in moves.items()])
    names = [(_code(old), _code(release.defining(new))) for old, new in release.symbols.items()]
    yield from _table("Names", "| old | new |", names)
    yield from _table("Calls", "| callable | dialect | was | rule |", list(_calls(release)))
    yield from _table(
        "Names that are gone", "| name | what to do |", [(_code(n), s) for n, s in release.removed.items()]
    )
    yield "Compat gives `GLOBAL_LOG_LEVEL`, `Logger.create_child` and `MAX_VALIDATED_…`, which can be read\n"
    yield "and assigned as before; the others fail with this step or that of the [insides](#insides).\n\n"
    yield INSIDES
    insides = release.insides.items()
    rows = [(_code(module), ", ".join(f"`{n}`" for n in i["names"]), i["step"]) for module, i in insides]
    yield from _table("Names that are insides", "| module | names | what to do |", rows)
    yield from _table("Behaviour", "| changed | what happens with compat |", list(_behaviours(release)))
    yield "Of `norm-buffers`, `legacy_behaviour` gives the scope that is left open to the caller, and of\n"
    yield "`sbuf-manager-addresses` that what asks for no alignment gets none.\n"


def _table(heading: str, columns: str, rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"## {heading}\n\n{columns}\n{'|---' * columns.strip('|').count('|')}|---|\n"
    for row in rows:
        yield f"| {' | '.join(row)} |\n"
    yield "\n"


def _code(name: str) -> str:
    return f"`{name.removeprefix('nkilib.core.')}`"


def _calls(release: Release) -> Iterator[tuple[str, ...]]:
    for change in release.calls:
        for form in change.old:
            rule = _rule(change, form)
            if rule:
                was = "" if form.name == change.name else _code(form.name)
                yield _code(change.name), form.dialect, was, rule


def _rule(change: CallChange, form: OldForm) -> str:
    """How a call of this form is made; "" when nothing changes about it."""
    if form.rewrite == "human":
        return f"fails: {form.step}"
    start = first_break(form.signature, change.signature, form.renamed)
    parts = [] if start is None else [f"from position {start} on by keyword"]
    parts += [f"`{old}` is `{new}`" for old, new in form.renamed.items()]
    parts += [f"`{name}={value}` is added" for name, value in form.added.items()]
    parts += [f"`{name}={value}` is dropped" for name, value in form.dropped.items()]
    parts += [f"`{name}` is a member for `{flag.parameter}`" for name, flag in form.flags.items()]
    parts += TEMPLATES.get(form.template, [])
    return "; ".join(parts) or ("" if form.name == change.name else "renamed")


def _behaviours(release: Release) -> Iterator[tuple[str, ...]]:
    for behaviour in release.behaviours:
        given = behaviour.id in GIVEN
        if given:
            yield f"{behaviour.message} (`{behaviour.id}`)", "2.28's; `legacy_behaviour` gives 2.27's"
        elif behaviour.kind in ("call", "method"):
            yield f"{behaviour.message} (`{behaviour.id}`)", "2.28's"


if __name__ == "__main__":
    print("".join(page(load("2.27", "2.28"))), end="")
