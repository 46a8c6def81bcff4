"""What the language step says: why a place needs a person and what to do, or what to know about it."""

from __future__ import annotations

from ...record import record


@record
class Message:
    """A text with fields in braces.

    ``code``: NKL1xx names, imports, decorators, launches; NKL2xx statements and instructions; NKL3xx indexes,
    masks, dimensions; NKL4xx loops and Python; NKL5xx numbers that change by design.
    """

    code: str
    text: str


MESSAGES: dict[str, Message] = {
    "M-HARNESS": Message(
        "NKL101",
        'nki.benchmark/profile/baremetal and jit(mode="baremetal"|"benchmark"|"simulation") do not exist in '
        "nki.*. The kernel is now @nki.jit; call it on XLA/JAX device tensors and measure with "
        "neuron-profile / neuron-explorer.",
    ),
    "M-SIM": Message(
        "NKL102",
        "nki.simulate_kernel is unavailable in NKI 0.2 (raises). On NKI >= 0.3 use "
        "nki.simulate(kernel)(*args); until then leave the test out, or run it on a device.",
    ),
    "M-LEVEL": Message(
        "NKL106",
        "`logging.OFF` is not Python's: importing neuronxcc defines it, and nothing tells that importing nki "
        "does. Write `logging.CRITICAL`.",
    ),
    "M-GRID": Message(
        "NKL103",
        "Launch grid {grid}: Beta 2 accepts one integer = number of LNC cores. Move the grid loops into the "
        "kernel (replace nl.program_id(k) by a loop variable) or split on the host.",
    ),
    "M-WAITS": Message(
        "NKL103",
        "`{name}` is launched here, and its file is not migrated. Do what is reported there, and run "
        "nkimigrate again: this launch changes with the kernel.",
    ),
    "M-LOOPED": Message(
        "NKL103",
        "`{name}` runs all programs of its grid in loops now, on one core. Launch it without a grid; to "
        "share its work out to several cores, let each of them run a part of the loops.",
    ),
    "M-SPLIT": Message(
        "NKL110",
        "Not migrated yet, and still in the old language, which the release has beside the new one: "
        "{kernels}. Do what is reported there, and run nkimigrate again.",
    ),
    "M-BRIDGE": Message(
        "NKL109",
        "{name} hands outputs to the kernel, which Beta 2 returns. Allocate them in the kernel "
        "(nl.ndarray(…, buffer=nl.shared_hbm)), return them, decorate it with @nki.jit and call it: "
        "out = kernel(*inputs).",
    ),
    "M-INOUT": Message(
        "NKL104",
        "Parameter {p} is written in place. Beta 2 only returns outputs: it is added to `return`; update "
        "every caller ({callers}) to use the returned tensor.",
    ),
    "M-INTERNAL": Message(
        "NKL105",
        "{name} is a private/undocumented Beta 1 API. Look for the same kernel in nki-library "
        "(nkilib.core...) or rewrite.",
    ),
    "M-METHOD": Message(
        "NKL105",
        "Tensors of Beta 1 have no documented method `{name}`. Write it with a function of nl or nisa, such "
        "as nl.transpose or nl.copy, and run nkimigrate again.",
    ),
    "M-GONE": Message(
        "NKL106",
        "{name} is not in nki.*, and it is not known what its use here comes to. Write it for NKI 0.2 by "
        "hand.",
    ),
    "M-STRING": Message(
        "NKL106",
        '"{name}" is a path into the old language, which the release has beside the new one. Where it is '
        "about code that is migrated, write it for nki.",
    ),
    "M-STAR": Message(
        "NKL106",
        "`from {module} import *` hides which names are used. Import the modules "
        "(`import nki.language as nl`) and write nl.… in front of their names.",
    ),
    "M-BOTH": Message(
        "NKL106",
        "`{name}` is imported from neuronxcc.nki and from nki, whose kernels are written differently. Keep "
        "the import of one of them, and the kernels of each in a file of their own.",
    ),
    "M-PATH": Message(
        "NKL106",
        "{module} is spelled by its whole path in code that is rewritten. Import it under a name "
        "(`import {module} as …`), use that, and run nkimigrate again.",
    ),
    "M-NAME": Message(
        "NKL106",
        "New code needs {module} under the name `{name}`, which means something else here. Rename that.",
    ),
    "M-PLATFORM": Message(
        "NKL107",
        "nki.jit takes no platform_target from NKI 0.3 on, so it is gone. Set the environment variable "
        "NEURON_PLATFORM_TARGET_OVERRIDE where the target is not the machine's own.",
    ),
    "M-SUBKERNEL": Message(
        "NKL107",
        "Kernels call `{name}`, so it is a plain function in Beta 2; where the host launches it, write "
        "nki.jit({name}). Not all of its launches are known here.",
    ),
    "M-ORDER": Message(
        "NKL108",
        "`*` between parameters is not in the language from NKI 0.3 on, and without it a parameter without a "
        "default follows one with. Reorder the parameters and pass them by keyword.",
    ),
    "M-EXTRA": Message(
        "NKL108",
        "`**{p}` is gone, which the kernel did not read. Not all callers are known here: what they pass "
        "beyond the other parameters must go, too.",
    ),
    "M-MATH": Message(
        "NKL201",
        "{fn} has no NKI 0.2 instruction. Options: NKI >= 0.3 nl.{fn} (experimental), or a cast/compare "
        "sequence you must validate.",
    ),
    "M-RAND": Message(
        "NKL202",
        "nl.rand/random_seed have no drop-in: nisa.rng returns raw integer bits, nisa.rand2 needs "
        "NeuronCore-v4, seeds are tiles (nisa.set_rng_seed).",
    ),
    "M-CONST": Message(
        "NKL203",
        "nl.shared_constant of a numpy value is not accepted. Pass it as a kernel input, or save .npy and "
        "pass its path.",
    ),
    "M-ALLOC": Message(
        "NKL204",
        "Manual allocation via alloc(func)/allocation_scope: rewrite with nl.ndarray(address=(partition, "
        "offset)); check the offset unit and PSUM bank alignment (2048 B).",
    ),
    "M-MULTIBUF": Message(
        "NKL205",
        "multi_buffer({n}) directive: allocate {n} buffers in a list and index with i % {n}.",
    ),
    "M-CAPACITY": Message(
        "NKL206",
        "{name} needs {bytes}/partition in {buffer} (limit {limit}); Beta 1 spilled or shared it "
        "automatically. Shorten live ranges or spill to HBM by hand.",
    ),
    "M-COLL": Message(
        "NKL207",
        "nl.all_reduce across programs: use nisa.sendrecv + core_barrier (2 LNC cores) or nki.collectives.",
    ),
    "M-OP": Message(
        "NKL208",
        "{fn}: {parameter}={value} is no operation that NKI 0.2 instructions take. Use a token of nl, such "
        "as nl.add, nl.maximum or nl.exp; write a division as a product with nisa.reciprocal.",
    ),
    "M-HANDED": Message(
        "NKL208",
        "`{p}`: instructions take names of nl, such as nl.greater_equal, not functions of NumPy. Not all "
        "callers are known here; pass names of nl.",
    ),
    "M-ARGUMENT": Message(
        "NKL209",
        "{fn}: it is not known what {parameter}={value} stands for, or NKI 0.2 does not take it. Write it "
        "out in the call (a literal, a tile or a name of nl), or write the instruction for 0.2 by hand.",
    ),
    "M-CALL": Message(
        "NKL209",
        "{fn} takes {parameters} by position, and is called with `{value}` besides. Write it by the name of "
        "its parameter, or take it out.",
    ),
    "M-RANKS": Message(
        "NKL210",
        "{fn}: {operands} have different numbers of dimensions, and it is not known how they are combined. "
        "Give both the same (`.reshape` of whole tensors), for example a bias as a column "
        "`bias.reshape((n, 1))` before it is loaded.",
    ),
    "M-VECTOR": Message(
        "NKL210",
        "{fn}: {x} has one dimension, and the instruction takes partitions with elements in each. Give it "
        "two (`.reshape((n, 1))` or `.reshape((1, n))` of a whole tensor before it is loaded).",
    ),
    "M-SHAPE": Message(
        "NKL210",
        "{fn}: the shape of {operands} is not known here, so the instruction cannot be chosen. Assert the "
        "shape or the rank of what it is loaded from (`assert x.shape == (n, m)`, "
        "`assert len(x.shape) == 2`), or allocate it in this function with a shape made of the parameters' "
        "shapes.",
    ),
    "M-DTYPE": Message(
        "NKL211",
        "{fn}: the result depends on the dtype of {operands}, which is known only when the kernel is called. "
        "Say dtype= in the call, or load with dtype=.",
    ),
    "M-CARRIED": Message(
        "NKL213",
        "nl.loop_reduce: fill the tile with the operation's neutral element before the loop, and combine in "
        "it with nisa.tensor_tensor(dst=tile, data1=tile, data2=value, op=...).",
    ),
    "M-ADDRESS": Message(
        "NKL214",
        "Tiles have their addresses themselves, in bytes. The migration guide speaks of elements where its "
        "examples have bytes, and tiles without an address are the compiler's: check on a device that all "
        "lie where they should.",
    ),
    "M-VIEW": Message(
        "NKL212",
        "{fn} of {operands}: NKI 0.2 makes views of whole tensors only. Copy the slice to a tile of its own "
        "first, or take the view before the slice.",
    ),
    "M-CUT": Message(
        "NKL212",
        "{fn} of {operands}: a mask leaves only a part of it here, and this view takes all. Take the view "
        "before the mask, or put the part into a whole tile first.",
    ),
    "M-UNCUT": Message(
        "NKL212",
        "How many elements a tile had before a mask left a part of it is not known in this function. Hand "
        "the number over as a parameter, and use that in place of the tile's shape.",
    ),
    "M-IDX": Message(
        "NKL301",
        "Index expression `{expr}` is not an affine slice. Write it as tensor.ap(pattern=[[step,count],...], "
        "offset=...) or split the loop.",
    ),
    "M-PASSED": Message(
        "NKL301",
        "An index tile or a mask is handed to `{f}`, which does more than return one expression. Hand over "
        "the sizes and make it in the function, or write the function's statements where it is called.",
    ),
    "M-MASK": Message(
        "NKL302",
        "mask={expr} is not a bound on an index tile. Use nisa.affine_select / tensor_copy_predicated, or "
        "slice the operands.",
    ),
    "M-JOINED": Message(
        "NKL302",
        "`{expr}`: masks have no truth value, so that it is not clear what `and`, `or` and `not` leave. Join "
        "bounds by `&`, each in parentheses.",
    ),
    "M-PRED": Message("NKL303", "affine_select predicate `{expr}` is not affine in the index tiles."),
    "M-RED": Message(
        "NKL304",
        "Reduction over axes {axes} is not trailing; give the reduced axes last with .ap or transpose first.",
    ),
    "M-LOOP": Message(
        "NKL401",
        "Python variable {v} changes inside a loop. Beta 1 traced the body once; Beta 2 runs it every "
        "iteration. Check the intended value: where each iteration needs what the one before left, write it "
        "into a tile (`tile[...] = value`); otherwise make it an expression of the loop's variable, or loop "
        "with nl.static_range.",
    ),
    "M-PY": Message("NKL402", "Python feature {x} is not in the NKI 0.2 language."),
    "M-NEST": Message(
        "NKL402",
        "this loop and the {n} around it change what each hands on, too often to be followed. Move the inner "
        "loops to a function of their own, and run nkimigrate again.",
    ),
    "M-INSIDE": Message(
        "NKL402",
        "`{name}` is a kernel that `{outer}` defines each time it is called. Move it to the top of the "
        "file{given}, and run nkimigrate again.",
    ),
    "M-LIST": Message(
        "NKL402",
        "`{x}` collects tiles one by one, and what its items are is not followed. Allocate one tensor with a "
        "block dimension instead, `nl.ndarray((n, nl.par_dim(P), F), ...)`, and write `{x}[i]`: it becomes a "
        "list of tiles.",
    ),
    "M-GLOBAL": Message(
        "NKL403",
        "`{v}` is changed by functions of the file. A compiled kernel of NKI 0.2 keeps the value that it was "
        "compiled with for calls with the same arguments. Pass it as a parameter of the kernel.",
    ),
    "M-DIVIDE": Message(
        "NKL501",
        "{fn}: NKI 0.2 has no division; it is a product with the reciprocal now, whose last bit may differ. "
        "Compare results with a tolerance.",
    ),
    "M-INTEGER": Message(
        "NKL502",
        "{fn} of 32-bit integers: Beta 1 computed in integers, NKI 0.2 in float32, which is exact below 2^24 "
        "only. Check the range of the values.",
    ),
    "M-PRECISION": Message(
        "NKL505",
        "{fn}: Scalar Engine computes it now, where the compiler of Beta 1 could choose a more precise one. "
        "Compare results on a device with a tolerance.",
    ),
    "M-ROUNDED": Message(
        "NKL505",
        "{fn}: Beta 1 rounded the result to {dtype} and then wrote it to a tile of {to}; it is written to "
        "that at once now, where the two differ with other digits. Compare results with a tolerance, or "
        "write it to a tile of {dtype} first.",
    ),
    "M-WIDE": Message(
        "NKL506",
        "The number {number} has more than 31 bits; the language guide of NKI 0.2 has 32-bit integers. Check "
        "what the kernel does with it on a device, or build it from smaller ones.",
    ),
    "M-SAME": Message(
        "NKL504",
        "{fn}: {operands} are taken to have the same shape. Where they do not, the instruction says so when "
        "the kernel is compiled; repeat the smaller one with .ap then.",
    ),
    "M-RANK": Message(
        "NKL504",
        "{fn}: {x} is taken to have rank {n}, as nothing tells which it has. With a higher one it means "
        "something else now; assert it (`assert len({x}.shape) == {n}`).",
    ),
    "M-COLUMN": Message(
        "NKL504",
        "{x} holds indices and is taken to have one in each partition, which is asserted now. Where it has "
        "more, load one column of them.",
    ),
    "M-RANGE": Message(
        "NKL503",
        "{fn}: the instruction is exact for arguments in {range} only. Check the range of the values.",
    ),
}
"""Texts by their keys."""
