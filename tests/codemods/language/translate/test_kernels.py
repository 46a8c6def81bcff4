"""Whole kernels: what they become, word for word, and that they compute the same."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from helpers import migrate
from migrated import HEAD, both, check_same, migrated

RNG = np.random.default_rng(7)


def rows(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def body(text: str) -> str:
    """The new code from the kernel's decorator on."""
    return text[text.index("@nki.jit") :]


def check(before: str, after: str, *arguments: object) -> None:
    """A kernel ``k`` becomes ``after`` and gives the same."""
    before, after = textwrap.dedent(before).lstrip("\n"), textwrap.dedent(after).lstrip("\n")
    assert body(check_same(before, "k", *arguments)) == after


def test_assignments_that_are_aligned_stay_so():
    check(
        """
        @nki.jit
        def k(a):
            rows   = a.shape[0]
            out    = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
            t      = nl.load(a)
            c, b   = (rows,  2)
            nl.store(out, t)
            return out
        """,
        """
        @nki.jit
        def k(a):
            rows   = a.shape[0]
            out    = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
            t = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=t, src=a)
            c, b   = (rows,  2)
            nisa.dma_copy(dst=out, src=t)
            return out
        """,
        np.ones((8, 4), np.float32),
    )


def test_a_file_in_its_own_indentation_and_with_its_comments():
    check(
        """
        @nki.jit
        def k(a, b):
          # where results go
          out = nl.ndarray((128, 64), dtype=a.dtype,
                           buffer=nl.shared_hbm)

          # index tiles, which are gone
          ix = nl.arange(128)[:, None]
          iy = nl.arange(64)[None, :]

          # what comes in
          x = nl.load(a[ix, iy])  # the first one
          y = nl.load(b[ix, iy],
                      dtype=nl.float32)  # as float32

          nl.store(out[ix, iy],
                   # both
                   value=nl.exp(x) * y)
          return out  # done
        """,
        """
        @nki.jit
        def k(a, b):
          # where results go
          out = nl.ndarray((128, 64), dtype=a.dtype,
                           buffer=nl.shared_hbm)

          # what comes in
          # the first one
          x = nl.ndarray((128, 64), dtype=a.dtype, buffer=nl.sbuf)
          nisa.dma_copy(dst=x, src=a[0:128, 0:64])
          # as float32
          y = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
          nisa.dma_copy(dst=y, src=b[0:128, 0:64])

          # both
          exp = nl.ndarray(x.shape, dtype=a.dtype, buffer=nl.sbuf)
          nisa.activation(dst=exp, op=nl.exp, data=x)
          product = nl.ndarray(exp.shape, dtype=nl.float32, buffer=nl.sbuf)
          nisa.tensor_tensor(dst=product, data1=exp, data2=y, op=nl.multiply)
          nisa.dma_copy(dst=out[0:128, 0:64], src=product)
          return out  # done
        """,
        rows(128, 64),
        rows(128, 64),
    )


def test_masked_rows_are_tiles_of_so_many_rows():
    check(
        """
        @nki.jit
        def k(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            n, m = x.shape
            ip, jf = nl.mgrid[0:128, 0:m]
            for i in nl.affine_range((n + 127) // 128):
                t = nl.load(x[i * 128 + ip, jf], mask=(i * 128 + ip < n))
                nl.store(out[i * 128 + ip, jf], nl.square(t), mask=(i * 128 + ip < n))
            return out
        """,
        """
        @nki.jit
        def k(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            n, m = x.shape
            for i in nl.affine_range((n + 127) // 128):
                rows = min(128, n - i * 128)
                t = nl.ndarray((rows, m), dtype=x.dtype, buffer=nl.sbuf)
                nisa.dma_copy(dst=t, src=x[i * 128 : i * 128 + rows, 0:m])
                squared = nl.ndarray(t.shape, dtype=x.dtype, buffer=nl.sbuf)
                nisa.activation(dst=squared, op=nl.square, data=t)
                nisa.dma_copy(dst=out[i * 128 : i * 128 + rows, 0:m], src=squared)
            return out
        """,
        rows(300, 40),
    )


def test_products_add_up_in_psum_and_blocks_become_lists():
    check(
        """
        @nki.jit
        def k(a, b):
            n, m = a.shape
            _, c = b.shape
            out = nl.ndarray((m, c), dtype=a.dtype, buffer=nl.shared_hbm)
            tiles = nl.ndarray((n // 128, nl.par_dim(128), c), dtype=b.dtype, buffer=nl.sbuf)
            for i in nl.affine_range(n // 128):
                tiles[i] = nl.load(b[i * 128 : (i + 1) * 128, 0:c])
            acc = nl.zeros((m, c), nl.float32, buffer=nl.psum)
            for i in nl.affine_range(n // 128):
                acc += nl.matmul(nl.load(a[i * 128 : (i + 1) * 128, 0:m]), tiles[i], transpose_x=True)
            nl.store(out, nl.copy(acc, dtype=a.dtype))
            return out
        """,
        """
        @nki.jit
        def k(a, b):
            n, m = a.shape
            _, c = b.shape
            out = nl.ndarray((m, c), dtype=a.dtype, buffer=nl.shared_hbm)
            tiles = []
            for i in nl.affine_range(n // 128):
                tiles.append(nl.ndarray((128, c), dtype=b.dtype, buffer=nl.sbuf))
                nisa.dma_copy(dst=tiles[i], src=b[i * 128 : (i + 1) * 128, 0:c])
            acc = nl.ndarray((m, c), dtype=nl.float32, buffer=nl.psum)
            for i in nl.affine_range(n // 128):
                tile = nl.ndarray((128, m), dtype=a.dtype, buffer=nl.sbuf)
                nisa.dma_copy(dst=tile, src=a[i * 128 : (i + 1) * 128, 0:m])
                nisa.nc_matmul(dst=acc, stationary=tile, moving=tiles[i])
            copied = nl.ndarray(acc.shape, dtype=a.dtype, buffer=nl.sbuf)
            nisa.tensor_copy(dst=copied, src=acc)
            nisa.dma_copy(dst=out, src=copied)
            return out
        """,
        rows(256, 64),
        rows(256, 96),
    )


def test_a_product_that_overwrites_gets_a_tile_of_its_own():
    check_same(
        """
@nki.jit
def k(a, b):
    out = nl.ndarray((64, 96), dtype=a.dtype, buffer=nl.shared_hbm)
    acc = nl.ndarray((64, 96), dtype=nl.float32, buffer=nl.psum)
    for i in nl.affine_range(2):
        x = nl.load(a[i * 128 : (i + 1) * 128, 0:64])
        y = nl.load(b[i * 128 : (i + 1) * 128, 0:96])
        acc[...] = nisa.nc_matmul(x, y)
    nl.store(out, acc)
    return out
""",
        "k",
        rows(256, 64),
        rows(256, 96),
    )


def test_functions_of_the_file():
    check(
        """
        def scaled(dst, tile, n, factor=2.0):
            dst[0:n, :] = nl.multiply(tile, factor)
            return nl.exp(tile)


        @nki.jit
        def k(x):
            out = nl.ndarray((2, 64, 32), dtype=x.dtype, buffer=nl.shared_hbm)
            n = 64
            t = nl.load(x)
            u = nl.ndarray((64, 32), dtype=x.dtype, buffer=nl.sbuf)
            v = scaled(u, t, n)
            nl.store(out[0], u)
            nl.store(out[1], v)
            return out
        """,
        """
        @nki.jit
        def k(x):
            out = nl.ndarray((2, 64, 32), dtype=x.dtype, buffer=nl.shared_hbm)
            n = 64
            t = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=t, src=x)
            u = nl.ndarray((64, 32), dtype=x.dtype, buffer=nl.sbuf)
            v = scaled(u, t, n)
            nisa.dma_copy(dst=out[0], src=u)
            nisa.dma_copy(dst=out[1], src=v)
            return out
        """,
        rows(64, 32),
    )


def test_programs_become_loops():
    new = check_same(
        """
@nki.jit
def double(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i = nl.program_id(0)
    j = nl.program_id(1)
    t = nl.load(x[i * 64 : (i + 1) * 64, j * 32 : (j + 1) * 32])
    nl.store(out[i * 64 : (i + 1) * 64, j * 32 : (j + 1) * 32], t + t)
    return out


def k(x):
    return double[x.shape[0] // 64, x.shape[1] // 32](x)
""",
        "k",
        rows(128, 96),
    )
    assert "    for i in nl.affine_range(x.shape[0] // 64):\n        for j in nl.affine_range" in new
    assert "    return double(x)\n" in new


@pytest.mark.parametrize(
    "shape",
    [
        "[2] + [nl.par_dim(64), x.shape[1]]",
        "shape",
        "(2, partitions, x.shape[1])",
    ],
)
def test_partitions_that_are_marked_anywhere_in_a_shape(shape):
    new = check_same(
        f"""
@nki.jit
def k(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    partitions = nl.par_dim(64)
    shape = (2, nl.par_dim(64), x.shape[1])
    t = nl.ndarray({shape}, dtype=x.dtype, buffer=nl.sbuf)
    for i in range(2):
        t[i] = nl.load(x[i * 64 : (i + 1) * 64, :])
    for i in range(2):
        nl.store(out[i * 64 : (i + 1) * 64, :], nl.add(t[i], t[1 - i]))
    return out
""",
        "k",
        rows(128, 32),
    )
    assert "t.append(nl.ndarray((" in new


@pytest.mark.parametrize("shifted", [True, False])
def test_predicates_that_depend_on_a_branch(shifted):
    new = check_same(
        """
def masked(t, places, shifted, shift):
    i, j = nl.mgrid[0:64, 0:32]
    kept = places + i >= j
    strict = j > i
    if shifted:
        kept = places + i + shift >= j
        strict = i < j
    t[...] = nisa.affine_select(pred=kept, on_true_tile=t, on_false_value=-5.0)
    t[...] = nisa.affine_select(pred=strict, on_true_tile=t, on_false_value=-7.0)


@nki.jit
def k(x, shifted):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x[0:64, 0:32])
    masked(t, 0, shifted, 3)
    nl.store(out[0:64, 0:32], t)
    return out
""",
        "k",
        rows(64, 32),
        shifted,
    )
    assert new.count("    if shifted:\n        nisa.affine_select(") == 2


@pytest.mark.parametrize("flag", [0, 2, 5])
def test_masks_that_depend_on_branches(flag):
    check_same(
        """
@nki.jit
def k(x, flag):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i, j = nl.mgrid[0:64, 0:32]
    start = 7
    mask = i < 64
    if flag > 3:
        mask = i < 40
        start = nl.arange(64)[:, None]
    elif flag > 1:
        mask = i < 20
    t = nl.ndarray((64, 32), dtype=x.dtype, buffer=nl.sbuf)
    t[...] = 1.0
    t[i, j] = nl.load(x[i, j], mask=mask)
    u = nl.exp(t)
    nl.store(out[i, j], u)
    if flag > 3:
        nl.store(out[start, j], t)
    return out
""",
        "k",
        rows(64, 32),
        flag,
    )


def test_index_tiles_that_a_loop_makes_anew():
    check_same(
        """
@nki.jit
def k(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i, j = nl.mgrid[0:32, 0:32]
    for n in nl.affine_range(2):
        nl.store(out[n * 32 + i, j], nl.load(x[n * 32 + i, j]))
        i, j = nl.mgrid[0:32, 0:32]
    return out
""",
        "k",
        rows(64, 32),
    )


def test_a_number_that_is_made_from_what_its_name_stood_for():
    check_same(
        """
@nki.jit
def k(x, count):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    n = count
    n = min(n, x.shape[0] // 16)
    for i in range(n):
        start = i * n
        nl.store(out[nl.ds(start * 4, 16), :], nl.load(x[nl.ds(start * 4, 16), :]))
    return out
""",
        "k",
        rows(64, 32),
        4,
    )


def test_dimensions_that_only_a_function_speaks_of():
    check_same(
        """
def copied(dst, page):
    nl.store(dst[:, 0:16], nl.load(page[:, 0:16]))
    nl.store(dst[:, 16:32], nl.load(page[:, 16:32]))


@nki.jit
def k(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    for i in range(2):
        for j in range(2):
            page = x[i, j]
            copied(out[i, j], page)
    return out
""",
        "k",
        rows(256, 32).reshape(2, 2, 64, 32),
    )


def test_programs_do_once_what_is_the_same_for_all():
    new = check_same(
        """
@nki.jit
def scaled(x, scale=None):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i = nl.program_id(0)
    scale = scale or 0.5
    nl.store(out[i * 64 : (i + 1) * 64, :], nl.load(x[i * 64 : (i + 1) * 64, :]) * scale)
    return out


def k(x):
    return scaled[x.shape[0] // 64](x)
""",
        "k",
        rows(128, 32),
    )
    assert new.index("scale = scale or 0.5") < new.rindex("for i in")


def test_numpy_dtypes_made_of_others():
    new = check_same(
        """
@nki.jit
def k(x):
    kind = np.dtype(np.float32)
    out = nl.ndarray(x.shape, dtype=kind, buffer=nl.shared_hbm)
    nl.store(out, nl.load(x, dtype=np.dtype(nl.bfloat16)))
    return out
""",
        "k",
        rows(64, 32),
    )
    assert "kind = nl.float32" in new


def test_what_programs_share_is_allocated_ahead_of_their_loops():
    new = check_same(
        """
@nki.jit
def double(x):
    assert nl.program_ndim() == 1, f"got {nl.program_ndim()} axes"
    i = nl.program_id(0)
    rows = x.shape[0]
    # The output of all programs.
    out = nl.ndarray((rows, x.shape[1]), dtype=x.dtype, buffer=nl.shared_hbm)
    # One of its tiles.
    t = nl.load(x[i * 64 : (i + 1) * 64, :])
    nl.store(out[i * 64 : (i + 1) * 64, :], t + t)
    return out


def k(x):
    return double[x.shape[0] // 64](x)
""",
        "k",
        rows(128, 96),
    )
    assert "program_ndim" not in new
    assert new.index("# The output of all programs.") < new.index("out = nl.ndarray(") < new.index("for i in")
    assert new.index("for i in nl.affine_range(x.shape[0] // 64):") < new.index("# One of its tiles.")


def test_every_program_has_tiles_of_its_own():
    """A tile that is allocated above the program's number is one for each program."""
    check_same(
        """
@nki.jit
def sums(x):
    out = nl.ndarray((x.shape[0], 1), dtype=x.dtype, buffer=nl.shared_hbm)
    total = nl.zeros((64, 1), dtype=x.dtype, buffer=nl.sbuf)
    i = nl.program_id(0)
    for j in nl.sequential_range(3):
        part = nl.load(x[i * 64 : (i + 1) * 64, j * 32 : (j + 1) * 32])
        total[...] = nl.add(total, nl.sum(part, axis=1, keepdims=True))
    nl.store(out[i * 64 : (i + 1) * 64, :], total)
    return out


def k(x):
    return sums[x.shape[0] // 64](x)
""",
        "k",
        rows(128, 96),
    )


@pytest.mark.parametrize(
    "text",
    [
        "    n = 32\n    i = nl.program_id(0)\n    n = n * 2\n",
        "    n = 64\n    seen = []\n    i = nl.program_id(0)\n    seen.append(i)\n",
    ],
)
def test_programs_that_would_leave_something_to_the_next(text):
    _, keys = migrated(
        HEAD
        + f"""
@nki.jit
def double(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
{text}    nl.store(out[i * n : (i + 1) * n, :], nl.load(x[i * n : (i + 1) * n, :]))
    return out


def k(x):
    return double[x.shape[0] // 64](x)
"""
    )
    assert keys == ["M-LOOP"]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (
            "    for i in nl.affine_range(4):\n        n += 1\n    nl.store(out, nl.load(x[0:n, :]))\n",
            ["M-LOOP"],
        ),
        ("    while n:\n        n = 0\n    global n\n", ["M-PY", "M-PY"]),
        ("    t = nl.load(x)\n    nl.store(out, t, mask=t > 0)\n", ["M-MASK"]),
        ("    t = nl.rand((4, 4))\n    nl.store(out, t + 1)\n    del t\n", ["M-RAND", "M-PY"]),
    ],
)
def test_every_reason_is_said_and_nothing_that_follows_from_one(text: str, keys: list[str]) -> None:
    kernel = "@nki.jit\ndef k(x, n=0):\n    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)\n"
    _, reasons = migrated(f"{HEAD}{kernel}{text}    return out\n")
    assert reasons == keys


def test_what_is_in_the_new_language_stays():
    new, _ = migrated(
        HEAD
        + textwrap.dedent("""
        @nki.jit
        def k(x):
            t = nl.load(x)
            return t
        """)
    )
    again, reasons = migrated(new)
    assert again == new
    assert reasons == []


def test_an_exception_becomes_an_assertion_that_fails():
    new, reasons = migrated(
        HEAD + "@nki.jit\ndef k(x, n):\n    if n > 2:\n        raise ValueError(f'{n} is too many')\n"
        "    t = nl.load(x)\n    nl.store(x, t)\n    return x\n"
    )
    assert reasons == []
    assert "    if n > 2:\n        assert False, f'{n} is too many'\n" in new


def test_a_part_of_a_tensor_of_unknown_rank_has_the_dimensions_it_has():
    check(
        """
        @nki.jit
        def k(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            for i in nl.affine_range(x.shape[0]):
                t = nl.load(x[i])
                nl.store(out[i], nl.exp(t))
            return out
        """,
        """
        @nki.jit
        def k(x):
            out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            for i in nl.affine_range(x.shape[0]):
                t = nl.ndarray(x[i].shape, dtype=x.dtype, buffer=nl.sbuf)
                nisa.dma_copy(dst=t, src=x[i])
                exp = nl.ndarray(t.shape, dtype=x.dtype, buffer=nl.sbuf)
                nisa.activation(dst=exp, op=nl.exp, data=t)
                nisa.dma_copy(dst=out[i], src=exp)
            return out
        """,
        rows(3, 128, 16),
    )


def test_what_a_helper_gives_has_another_name_than_the_helper():
    was, now, new = both(
        """
@nki.jit
def k(x):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    variance = nl.softmax(nl.load(x), axis=1) * nl.load(x)
    nl.store(out, nl.softmax(variance, axis=1))
    return out
""",
        "k",
        rows(128, 16),
    )
    np.testing.assert_allclose(now, was, rtol=1e-5)  # exponentials are added up in another order
    assert "softmax(dst=probabilities, data=tile)" in new


def test_what_a_kernel_returns_is_in_shared_memory():
    check(
        """
        @nki.jit
        def k(x):
            first = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.hbm)
            spare = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.private_hbm)
            nisa.dma_copy(dst=spare, src=x)
            nisa.dma_copy(dst=first, src=spare)
            return first
        """,
        """
        @nki.jit
        def k(x):
            first = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
            spare = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.private_hbm)
            nisa.dma_copy(dst=spare, src=x)
            nisa.dma_copy(dst=first, src=spare)
            return first
        """,
        rows(128, 64),
    )


@pytest.mark.parametrize("engine", ["nisa.tensor_engine", "nisa.vector_engine", "nisa.engine.vector"])
def test_engines_keep_the_names_that_they_have(engine):
    text = f"""\
@nki.jit
def k(a):
    out = nl.ndarray((32, 32), dtype=a.dtype, buffer=nl.shared_hbm)
    t = nl.load(a)
    p = nisa.nc_transpose(t, engine={engine})
    nl.store(out, nl.copy(p))
    return out
"""
    assert f"engine={engine})" in check_same(text, "k", rows(32, 32))


@pytest.mark.parametrize(
    ("computed", "said"),
    [
        ("nl.broadcast_to(t, shape=(32, 32))", "`broadcast_partitions` is added for new code"),
        ("nl.rms_norm(t, g, 1, 32, 1e-6)", "`broadcast_partitions`, `rms_norm` are added for new code"),
    ],
)
def test_what_is_said_of_functions_that_new_code_calls(computed, said):
    text = f"""\
{HEAD}@nki.jit
def k(a, g):
    out = nl.ndarray((32, 32), dtype=a.dtype, buffer=nl.shared_hbm)
    g = nl.load(g[0:1, 0:32])
    t = nl.load(a[0 : {1 if "broadcast" in computed else 32}, 0:32])
    nl.store(out, {computed})
    return out
"""
    result = migrate({"kernel.py": text})
    assert said in [finding.message for finding in result.at("kernel.py")]
