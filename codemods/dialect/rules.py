"""The rules: data, with a condition where the class of a node does not say it all.

Sources: the language guide and the migration guide of release 2.28.1, and what its compiler's parser does.
What the NKI Library's own kernels of that release do is allowed.
"""

from __future__ import annotations

import ast

from . import conditions
from .rule import WARNING, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        "comprehension",
        (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
        "comprehensions and generators are not in the language; append in a loop",
    ),
    Rule("lambda", (ast.Lambda,), "lambda is not in the language; write a function of the module"),
    Rule(
        "inner-function",
        (ast.FunctionDef, ast.AsyncFunctionDef),
        "functions inside functions are not in the language; write a function of the module and pass it what "
        "it needs",
    ),
    Rule(
        "inner-class",
        (ast.ClassDef,),
        "classes inside functions are not in the language; move it to the module",
    ),
    Rule("try", (ast.Try,), "try is not in the language; test before instead"),
    Rule("raise", (ast.Raise,), "raise is not in the language; write assert condition, message"),
    Rule(
        "with",
        (ast.With, ast.AsyncWith),
        "the only with statement is with nl.no_reorder()",
        conditions.enters_other,
    ),
    Rule(
        "loop-target",
        (ast.For,),
        "a loop has one name as its target; loop over range(len(...))",
        conditions.unpacks,
    ),
    Rule(
        "loop-target-of-dict",
        (ast.For,),
        "the compiler may take one name only as the target of a loop; loop over the keys",
        conditions.unpacks_dict,
        WARNING,
    ),
    Rule(
        "loop-else",
        (ast.For, ast.While),
        "else of a loop is not in the language; use a variable",
        conditions.has_else,
    ),
    Rule("builtin", (ast.Call,), "{}() is not in the language; write a loop", conditions.absent),
    Rule(
        "unknown-builtin",
        (ast.Call,),
        "{}() may not be in the language: no kernel in use calls it",
        conditions.doubtful,
        WARNING,
    ),
    Rule("import", (ast.Import, ast.ImportFrom), "imports stand at the top of the module, not in a function"),
    Rule(
        "matmul-operator",
        (ast.BinOp, ast.AugAssign),
        "@ is not in the language; call nisa.nc_matmul",
        conditions.is_matmul,
    ),
    Rule(
        "global",
        (ast.Global, ast.Nonlocal),
        "global and nonlocal are not in the language; pass and return values",
    ),
    Rule("del", (ast.Delete,), "del is not in the language; use list.remove or dict.pop"),
    Rule("set", (ast.Set,), "sets are not in the language; use a list"),
    Rule("walrus", (ast.NamedExpr,), ":= is not in the language; assign on a line of its own"),
    Rule(
        "coroutine",
        (ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor),
        "generators and coroutines are not in the language; return a list",
    ),
    Rule("match", (ast.Match,), "match may not be in the language; write if and elif", level=WARNING),
    Rule(
        "dict-key",
        (ast.Dict,),
        "keys of a dictionary must be strings; use those, or nested lists",
        conditions.odd_key,
    ),
    Rule(
        "format",
        (ast.FormattedValue,),
        "format specifications in f-strings are not in the language",
        conditions.has_format,
    ),
    Rule("constant", (ast.Constant,), "{} constants are not in the language", conditions.odd_constant),
    Rule(
        "wide-constant",
        (ast.Constant,),
        "{} does not fit into the 32 bits that integers have",
        conditions.wide_constant,
        WARNING,
    ),
    Rule(
        "positional",
        (ast.Call,),
        "{}: the compiler's order differs from the documented one after that; give the others by keyword",
        conditions.too_many,
    ),
    Rule("star", (ast.Starred,), "unpacking with * is not in the language; write the elements out"),
    Rule(
        "star-star",
        (ast.Call,),
        "unpacking with ** is not in the language; write the arguments out",
        conditions.unpacked_call,
    ),
    Rule(
        "none-index",
        (ast.Subscript,),
        "None in an index does not add an axis, it counts as `:`; use reshape",
        conditions.none_index,
    ),
    Rule(
        "negative-index",
        (ast.Subscript,),
        "{} in a tensor's index: integers must not be negative",
        conditions.negative_index,
    ),
    Rule(
        "tile-assignment",
        (ast.Assign, ast.AugAssign),
        "a tile cannot be assigned to: where this runs it is an error; give it to an instruction as dst",
        conditions.assigns_tile,
        WARNING,
    ),
    Rule(
        "chained-view",
        (ast.Call,),
        ".{}() is for tensors that are not sliced; take it first, or of the whole tensor",
        conditions.of_slice,
    ),
)
"""What a statement or an expression of a function may not be."""

SIGNATURE_RULES: tuple[Rule, ...] = (
    Rule("coroutine", (ast.AsyncFunctionDef,), "async functions are not in the language"),
    Rule(
        "star-parameter",
        (ast.FunctionDef,),
        "*args is not in the language; name the parameters",
        conditions.starred,
    ),
    Rule(
        "star-star-parameter",
        (ast.FunctionDef,),
        "**kwargs may not be in the language; name them",
        conditions.double_starred,
        WARNING,
    ),
)
"""What a function's own head may not have."""

CLASS_RULES: tuple[Rule, ...] = (
    Rule(
        "class-base",
        (ast.ClassDef,),
        "a class that kernels make objects of has NKIObject as its only base (or Enum); this one has {}",
        conditions.foreign_base,
    ),
)
"""What a class of kernels may not be."""
