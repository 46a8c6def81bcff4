"""Tiles that kernels place in memory themselves, and loops that keep the order of their instructions."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from migrated import HEAD, check_same, check_same_strictly, migrated

RNG = np.random.default_rng(11)
IMPORT = "import neuronxcc.nki.compiler as ncc\n"


def rows(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def check(before: str, after: str, *arguments: object) -> None:
    """A file with a kernel ``k`` becomes ``after`` below its imports, and the kernel gives the same."""
    before, after = textwrap.dedent(before).lstrip("\n"), textwrap.dedent(after).lstrip("\n")
    text = check_same_strictly(HEAD + IMPORT + before, *arguments)
    assert rest(text) == after


def rest(text: str) -> str:
    """A file below its imports."""
    return text.partition("import numpy as np\n")[2].lstrip("\n")


def reasons(text: str) -> list[str]:
    """What stands in the way of a file."""
    return migrated(HEAD + IMPORT + textwrap.dedent(text))[1]


ORDERED = """
    @nki.jit
    def k(a):
        out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
        for i in nl.sequential_range({range}):  # in this order
            # one block of rows
            t = nl.load(a[i])
            nl.store(out[i], t)
        return out
    """


def test_a_loop_that_keeps_its_order_stands_in_a_scope_that_does():
    check(
        ORDERED.format(range="3, directives=ncc.no_reorder()"),
        """
        @nki.jit
        def k(a):
            out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
            with nl.no_reorder():
                for i in nl.sequential_range(3):  # in this order
                    # one block of rows
                    t = nl.ndarray(a[i].shape, dtype=a.dtype, buffer=nl.sbuf)
                    nisa.dma_copy(dst=t, src=a[i])
                    nisa.dma_copy(dst=out[i], src=t)
            return out
        """,
        rows(3, 128, 32),
    )


def test_blocks_take_turns_in_banks_of_psum():
    check(
        """
        @nki.jit
        def k(a, b):
            out = nl.ndarray((2, 3, 128, 64), dtype=a.dtype, buffer=nl.shared_hbm)
            x = nl.ndarray(
                (128, 128),
                dtype=a.dtype,
                buffer=ncc.sbuf.mod_alloc(base_addr=0),
            )
            x[...] = nl.load(a)
            y = nl.load(b)
            p = nl.ndarray((2, 3, nl.par_dim(128), 64), dtype=nl.float32,
                           buffer=ncc.psum.mod_alloc(base_bank=3, num_bank_tiles=(1, 2)))
            for i in nl.affine_range(2):
                for j in nl.affine_range(3):
                    p[i, j] = nisa.nc_matmul(x, y)
                    nl.store(out[i, j], nl.copy(p[i, j]))
            return out
        """,
        """
        @nki.jit
        def k(a, b):
            out = nl.ndarray((2, 3, 128, 64), dtype=a.dtype, buffer=nl.shared_hbm)
            x = nl.ndarray((128, 128), dtype=a.dtype, buffer=nl.sbuf, address=(0, 0))
            nisa.dma_copy(dst=x, src=a)
            y = nl.ndarray(b.shape, dtype=b.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=y, src=b)
            for i in nl.affine_range(2):
                for j in nl.affine_range(3):
                    p = nl.ndarray(
                        (128, 64),
                        dtype=nl.float32,
                        buffer=nl.psum,
                        address=(0, (3 + j % 2) * 2048),
                    )
                    nisa.nc_matmul(dst=p, stationary=x, moving=y)
                    copied = nl.ndarray(p.shape, dtype=nl.float32, buffer=nl.sbuf)
                    nisa.tensor_copy(dst=copied, src=p)
                    nisa.dma_copy(dst=out[i, j], src=copied)
            return out
        """,
        rows(128, 128),
        rows(128, 64),
    )


PLACER = """
    place = ncc.sbuf.mod_alloc


    class Stack:
        # grows from below
        def __init__(self, start):
            self.top = start

        def size(self, dtype):
            if dtype == nl.float32:
                return 4
            raise ValueError(f"no {dtype}")

        def push(self, n, dtype, count=1):
            start = self.top
            self.top += n * count * self.size(dtype)
            return place(base_addr=start, num_free_tiles=(count,))


    stack = Stack(64)


    @nki.jit
    def k(a):
        out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
        x = nl.ndarray((128, 32), dtype=a.dtype, buffer=stack.push(32, a.dtype))
        y = nl.ndarray((128, 32), dtype=nl.float32, buffer=stack.push(n=32, dtype=nl.float32))
        x[...] = nl.load(a)
        y[...] = nl.exp(x)
        nl.store(out, nl.add(x, y))
        return out
    """


def test_an_object_that_places_tiles_is_made_by_the_kernel():
    after = """
        class Stack(nl.NKIObject):
            # grows from below
            def __init__(self, start):
                self.top = start

            def size(self, dtype):
                if dtype == nl.float32:
                    return 4
                assert False, f"no {dtype}"

            def push(self, n, dtype, count=1):
                start = self.top
                self.top += n * count * self.size(dtype)
                return (0, start)


        @nki.jit
        def k(a):
            stack = Stack(64)
            out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
            x = nl.ndarray(
                (128, 32), dtype=a.dtype, buffer=nl.sbuf, address=stack.push(32, a.dtype)
            )
            y = nl.ndarray(
                (128, 32),
                dtype=nl.float32,
                buffer=nl.sbuf,
                address=stack.push(n=32, dtype=nl.float32),
            )
            nisa.dma_copy(dst=x, src=a)
            nisa.activation(dst=y, op=nl.exp, data=x)
            total = nl.ndarray(x.shape, dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=total, data1=x, data2=y, op=nl.add)
            nisa.dma_copy(dst=out, src=total)
            return out
        """
    text = check_same(IMPORT + textwrap.dedent(PLACER), "k", rows(128, 32))
    assert rest(text) == textwrap.dedent(after).lstrip("\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stack = Stack(64)", "stack = Stack(64)\n    start = stack.top"),  # the host asks it
        ("stack = Stack(64)", "stack = Stack(64)\n    other = Stack(0)"),  # there is another one
        ("stack = Stack(64)", "here = 64\n    stack = Stack(here)"),
        ("class Stack:", "class Stack(Base):"),
        ("(128, 32), dtype=nl.float32,", "(4, nl.par_dim(128), 32), dtype=nl.float32,"),  # blocks take turns
        ("num_free_tiles=(count,))", "num_free_tiles=(count,)) if count else nl.sbuf"),
    ],
)
def test_other_objects_wait_for_a_person(old, new):
    assert old in PLACER
    assert "M-ALLOC" in reasons(PLACER.replace(old, new))


@pytest.mark.parametrize(
    "function",
    [
        "def place(idx, p, f):\n    return open('places').read()",
        "def place(idx, p, f):\n    return 0, 0, 0",
        "def place(idx):\n    return 0, 0",
        "from places import place",
    ],
)
def test_functions_that_are_not_followed_wait_for_a_person(function):
    kernel = """

@nki.jit
def k(a):
    out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
    x = nl.ndarray((128, 32), dtype=a.dtype, buffer=ncc.sbuf.alloc(place))
    x[...] = nl.load(a)
    nl.store(out, x)
    return out
"""
    assert reasons(function + kernel) == ["M-ALLOC"]


def test_an_object_that_is_asked_in_a_loop_waits_for_a_person():
    text = PLACER.replace("        y = nl", "        for i in nl.affine_range(2):\n            y = nl")
    assert "M-LOOP" in reasons(text)


def test_a_function_that_places_tiles_gives_their_addresses():
    check(
        """
        def slot(bank):
            return ncc.psum.mod_alloc(base_bank=bank, base_partition=0)


        @nki.jit
        def k(a, b):
            out = nl.ndarray((128, 64), dtype=a.dtype, buffer=nl.shared_hbm)
            x = nl.load(a)
            y = nl.load(b)
            p = nl.ndarray((128, 64), dtype=nl.float32, buffer=slot(3))
            p[...] = nisa.nc_matmul(x, y)
            nl.store(out, nl.copy(p))
            return out
        """,
        """
        def slot(bank):
            return (0, bank * 2048)


        @nki.jit
        def k(a, b):
            out = nl.ndarray((128, 64), dtype=a.dtype, buffer=nl.shared_hbm)
            x = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=x, src=a)
            y = nl.ndarray(b.shape, dtype=b.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=y, src=b)
            p = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.psum, address=slot(3))
            nisa.nc_matmul(dst=p, stationary=x, moving=y)
            copied = nl.ndarray(p.shape, dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_copy(dst=copied, src=p)
            nisa.dma_copy(dst=out, src=copied)
            return out
        """,
        rows(128, 128),
        rows(128, 64),
    )


@pytest.mark.parametrize(
    ("directives", "expected"),
    [
        ("ncc.multi_buffer(2)", ["M-MULTIBUF"]),
        ("[ncc.no_reorder(), ncc.multi_buffer(2)]", ["M-MULTIBUF"]),
        ("None", []),
    ],
)
def test_other_directives_wait_for_a_person(directives, expected):
    text = textwrap.dedent(ORDERED.format(range=f"3, directives={directives}"))
    after, found = migrated(HEAD + IMPORT + text)
    assert found == expected
    assert ("with nl.no_reorder" in after) is False


def test_a_function_that_alloc_gets_is_carried_out():
    check(
        """
        def turns(base, count):
            def place(idx, pdim_size, fdim_size):
                return 0, base + sum(i % n for i, n in zip(idx, (count,))) * fdim_size

            return place


        def banks(idx, pdim_size, fdim_size):
            (i,) = idx
            return 2 + i % 4, 0, 0


        @nki.jit
        def k(a, b):
            out = nl.ndarray((4, 128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
            base = 256
            x = nl.ndarray((4, nl.par_dim(128), 128), dtype=nl.float32,
                           buffer=ncc.sbuf.alloc(turns(base, count=2)))
            y = nl.ndarray((128, 64), dtype=nl.float32, buffer=ncc.sbuf.alloc(lambda idx, p, f: (0, 4096)))
            y[...] = nl.load(b)
            z = nl.ndarray((4, nl.par_dim(128), 64), dtype=nl.float32, buffer=ncc.psum.alloc(banks))
            for i in nl.affine_range(4):
                x[i] = nl.load(a[i])
                z[i] = nisa.nc_matmul(x[i], y)
            for i in nl.affine_range(4):
                nl.store(out[i], nl.copy(z[i]))
            return out
        """,
        """
        def turns(base, count):
            def place(idx, pdim_size, fdim_size):
                return 0, base + sum(i % n for i, n in zip(idx, (count,))) * fdim_size

            return place


        def banks(idx, pdim_size, fdim_size):
            (i,) = idx
            return 2 + i % 4, 0, 0


        @nki.jit
        def k(a, b):
            out = nl.ndarray((4, 128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
            base = 256
            y = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf, address=(0, 4096))
            nisa.dma_copy(dst=y, src=b)
            z = []
            for i in nl.affine_range(4):
                x = nl.ndarray(
                    (128, 128),
                    dtype=nl.float32,
                    buffer=nl.sbuf,
                    address=(0, base + i % 2 * 512),
                )
                z.append(
                    nl.ndarray(
                        (128, 64),
                        dtype=nl.float32,
                        buffer=nl.psum,
                        address=(0, (2 + i % 4) * 2048),
                    )
                )
                nisa.dma_copy(dst=x, src=a[i])
                nisa.nc_matmul(dst=z[i], stationary=x, moving=y)
            for i in nl.affine_range(4):
                copied = nl.ndarray(z[i].shape, dtype=nl.float32, buffer=nl.sbuf)
                nisa.tensor_copy(dst=copied, src=z[i])
                nisa.dma_copy(dst=out[i], src=copied)
            return out
        """,
        rows(4, 128, 128),
        rows(128, 64),
    )


def test_a_tile_that_is_allocated_later_keeps_the_address_it_was_given():
    check(
        """
        @nki.jit
        def k(a):
            out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
            n = a.shape[2]
            top = n * 4
            x = nl.ndarray((2, nl.par_dim(128), n), dtype=nl.float32,
                           buffer=ncc.sbuf.mod_alloc(base_addr=top))
            top += n * 4
            y = nl.ndarray((2, nl.par_dim(128), n), dtype=nl.float32,
                           buffer=ncc.sbuf.mod_alloc(base_addr=top, num_free_tiles=(2,)))
            top += 2 * n * 4
            z = nl.ndarray((128, n), dtype=nl.float32, buffer=ncc.sbuf.mod_alloc(base_addr=top))
            for i in nl.affine_range(2):
                x[i] = nl.load(a[i])
                y[i] = nl.exp(x[i])
            for i in nl.affine_range(2):
                z[...] = nl.multiply(y[i], 2.0)
                nl.store(out[i], z)
            return out
        """,
        """
        @nki.jit
        def k(a):
            out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
            n = a.shape[2]
            top = n * 4
            top += n * 4
            y_byte = top
            y = []
            top += 2 * n * 4
            z = nl.ndarray((128, n), dtype=nl.float32, buffer=nl.sbuf, address=(0, top))
            for i in nl.affine_range(2):
                x = nl.ndarray((128, n), dtype=nl.float32, buffer=nl.sbuf, address=(0, n * 4))
                y.append(
                    nl.ndarray(
                        (128, n),
                        dtype=nl.float32,
                        buffer=nl.sbuf,
                        address=(0, y_byte + i * (n * 4)),
                    )
                )
                nisa.dma_copy(dst=x, src=a[i])
                nisa.activation(dst=y[i], op=nl.exp, data=x)
            for i in nl.affine_range(2):
                nisa.tensor_scalar(dst=z, data=y[i], op0=nl.multiply, operand0=2.0)
                nisa.dma_copy(dst=out[i], src=z)
            return out
        """,
        rows(2, 128, 16),
    )


def test_addresses_that_are_counted_in_a_loop_start_again_in_each_iteration():
    check(
        """
        @nki.jit
        def k(a):
            out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
            top = 64
            x = nl.ndarray((128, 32), dtype=nl.float32, buffer=ncc.sbuf.mod_alloc(base_addr=top))
            top += 32 * 4
            for i in nl.affine_range(3):
                y = nl.ndarray((2, nl.par_dim(128), 32), dtype=nl.float32,
                               buffer=ncc.sbuf.mod_alloc(base_addr=top, num_free_tiles=(2,)))
                top += 2 * 32 * 4
                z = nl.ndarray((128, 32), dtype=nl.float32, buffer=ncc.sbuf.mod_alloc(base_addr=top))
                x[...] = nl.load(a[i])
                for j in nl.affine_range(2):
                    y[j] = nl.exp(x)
                    z[...] = nl.add(x, y[j])
                    nl.store(out[i], z)
            return out
        """,
        """
        @nki.jit
        def k(a):
            out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
            top = 64
            x = nl.ndarray((128, 32), dtype=nl.float32, buffer=nl.sbuf, address=(0, 64))
            top += 32 * 4
            top_start = top
            for i in nl.affine_range(3):
                top = top_start
                y_byte = top
                top += 2 * 32 * 4
                z = nl.ndarray((128, 32), dtype=nl.float32, buffer=nl.sbuf, address=(0, top))
                nisa.dma_copy(dst=x, src=a[i])
                for j in nl.affine_range(2):
                    y = nl.ndarray(
                        (128, 32),
                        dtype=nl.float32,
                        buffer=nl.sbuf,
                        address=(0, y_byte + j * 128),
                    )
                    nisa.activation(dst=y, op=nl.exp, data=x)
                    nisa.tensor_tensor(dst=z, data1=x, data2=y, op=nl.add)
                    nisa.dma_copy(dst=out[i], src=z)
            return out
        """,
        rows(3, 128, 32),
    )


@pytest.mark.parametrize(
    "use",
    [
        "n = top",
        "nl.store(out[i, top // 999], x)",
        "top = top + 4",
        "print(top)",
        "assert top < 999",
    ],
)
def test_numbers_that_are_counted_in_a_loop_for_something_else_wait_for_a_person(use):
    text = f"""
    @nki.jit
    def k(a):
        out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
        top = n = 0
        for i in nl.affine_range(3):
            x = nl.ndarray((128, 32), dtype=nl.float32, buffer=ncc.sbuf.mod_alloc(base_addr=top))
            top += 128
            {use}
        return out
    """
    assert "M-LOOP" in reasons(text)


def test_a_number_that_each_program_counts_for_itself_starts_again_in_each():
    text = """
    @nki.jit
    def k(a):
        out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
        row = 64
        i = nl.program_id(0)
        row += i * 128
        row -= 64
        x = nl.load(a[nl.ds(row, 128), 0:32])
        nl.store(out[nl.ds(row, 128), 0:32], nl.exp(x))
        return out


    def run(a):
        return k[a.shape[0] // 128](a)
    """
    new = check_same_strictly(HEAD + textwrap.dedent(text), rows(512, 32), name="run")
    start = new.index("    row_start = row")
    assert new[start:].splitlines()[:5] == [
        "    row_start = row",
        "    for i in nl.affine_range(a.shape[0] // 128):",
        "        row = row_start",
        "        row += i * 128",
        "        row -= 64",
    ]


def test_places_without_a_rule_are_listed():
    check(
        """
        import functools


        @nki.jit
        def k(a, b):
            out = nl.ndarray((2, 2, 128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
            x = nl.load(a)
            y = nl.load(b)
            n = 2

            def place(banks, idx, pdim_size, fdim_size):
                # not the first two
                return banks[idx] + n, 0, 0

            z = nl.ndarray((2, 2, nl.par_dim(128), 64), dtype=nl.float32,
                           buffer=ncc.psum.alloc(functools.partial(
                               place, {(0, 0): 0, (0, 1): 3, (1, 0): 1, (1, 1): 5})))
            for i in nl.affine_range(2):
                for j in nl.affine_range(2):
                    z[i, j] = nisa.nc_matmul(x, y)
                    nl.store(out[i, j], nl.copy(z[i, j]))
            return out
        """,
        """
        import functools


        @nki.jit
        def k(a, b):
            out = nl.ndarray((2, 2, 128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
            x = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=x, src=a)
            y = nl.ndarray(b.shape, dtype=b.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=y, src=b)
            n = 2

            z_bytes = [[n * 2048, (3 + n) * 2048], [(1 + n) * 2048, (5 + n) * 2048]]
            for i in nl.affine_range(2):
                for j in nl.affine_range(2):
                    z = nl.ndarray(
                        (128, 64), dtype=nl.float32, buffer=nl.psum, address=(0, z_bytes[i][j])
                    )
                    nisa.nc_matmul(dst=z, stationary=x, moving=y)
                    copied = nl.ndarray(z.shape, dtype=nl.float32, buffer=nl.sbuf)
                    nisa.tensor_copy(dst=copied, src=z)
                    nisa.dma_copy(dst=out[i, j], src=copied)
            return out
        """,
        rows(128, 128),
        rows(128, 64),
    )


def test_sizes_of_dtypes_in_numpys_words():
    text = """
    @nki.jit
    def k(a, half=True):
        out = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.shared_hbm)
        one = np.dtype(np.float32)
        other = np.dtype(nl.bfloat16 if half else one)
        top = 128 * np.dtype(np.int16).itemsize + 4 * one.itemsize + 32 * other.itemsize
        x = nl.ndarray((128, 32), dtype=one, buffer=ncc.sbuf.mod_alloc(base_addr=top))
        y = nl.ndarray((128, 32), dtype=other, buffer=ncc.sbuf.mod_alloc(base_addr=0))
        x[...] = nl.load(a)
        y[...] = nl.copy(x)
        nl.store(out, y)
        return out
    """
    new = check_same_strictly(HEAD + IMPORT + textwrap.dedent(text), rows(128, 32))
    assert "one = nl.float32\n" in new
    assert "other = nl.bfloat16 if half else one\n" in new
    assert "top = 128 * 2 + 4 * 4 + 32 * itemsize(other)\n" in new


def test_filled_tiles_lie_where_they_are_placed():
    check(
        """
        @nki.jit
        def k(a, b):
            out = nl.ndarray((128, 64), dtype=a.dtype, buffer=nl.shared_hbm)
            x = nl.load(a)
            y = nl.load(b)
            ones = nl.ones((nl.par_dim(128), 64), dtype=nl.float32, buffer=ncc.sbuf.mod_alloc(base_addr=512))
            more = nl.full((128, 64), 2.5, dtype=nl.float32, buffer=ncc.sbuf.alloc(lambda idx, p, f: (0, 768)))
            p = nl.zeros((nl.par_dim(128), 64), dtype=nl.float32, buffer=ncc.psum.mod_alloc(base_bank=2))
            for i in nl.affine_range(2):
                p += nisa.nc_matmul(x, y)
            z = nl.add(ones, more)
            nl.store(out, nl.add(p, z))
            return out
        """,
        """
        @nki.jit
        def k(a, b):
            out = nl.ndarray((128, 64), dtype=a.dtype, buffer=nl.shared_hbm)
            x = nl.ndarray(a.shape, dtype=a.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=x, src=a)
            y = nl.ndarray(b.shape, dtype=b.dtype, buffer=nl.sbuf)
            nisa.dma_copy(dst=y, src=b)
            ones = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf, address=(0, 512))
            nisa.memset(dst=ones, value=1.0)
            more = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf, address=(0, 768))
            nisa.memset(dst=more, value=2.5)
            p = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.psum, address=(0, 4096))
            for i in nl.affine_range(2):
                nisa.nc_matmul(dst=p, stationary=x, moving=y)
            z = nl.ndarray(ones.shape, dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=z, data1=ones, data2=more, op=nl.add)
            total = nl.ndarray(p.shape, dtype=nl.float32, buffer=nl.sbuf)
            nisa.tensor_tensor(dst=total, data1=p, data2=z, op=nl.add)
            nisa.dma_copy(dst=out, src=total)
            return out
        """,
        rows(128, 128),
        rows(128, 64),
    )


TURNS = """
    @nki.jit
    def k(a, b):
        out = nl.ndarray((4, 128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
        y = nl.load(b)
        p = nl.ndarray(({blocks}, nl.par_dim(128), {columns}), dtype=nl.float32, buffer=nl.psum)
        {ahead}
        for i in nl.sequential_range({start}, 4):
            x = nl.load(a[i])
            {statement}
            nl.store(out[i], nl.copy({result}))
        return out
    """


@pytest.mark.parametrize(
    ("blocks", "columns", "statement", "result"),
    [
        (2, 64, "p[i % 2] = nisa.nc_matmul(x, y)", "p[i % 2]"),
        (4, 64, "p[i - i % 2] = nisa.nc_matmul(x, y)", "p[i - i % 2]"),
        (4, 64, "p[i // 2, :, :] = nisa.nc_matmul(x, y)", "p[i // 2]"),
        (1, 160, "p[0, :, nl.ds(i * 32, 64)] = nisa.nc_matmul(x, y)", "p[0, :, nl.ds(i * 32, 64)]"),
        (5, 64, "p[i + 1] = nisa.nc_matmul(x, y)\n            p[i] = nisa.nc_matmul(x, y)", "p[i]"),
        (5, 64, "p[i] = nisa.nc_matmul(x, y)\n            p[4 - i] = nisa.nc_matmul(x, y)", "p[i]"),
        (4, 64, "p[3 - i] = nisa.nc_matmul(x, y)", "p[3 - i]"),
        (1, 256, "p[0, :, nl.ds(i * 64, 64)] = nisa.nc_matmul(x, y)", "p[0, :, nl.ds(i * 64, 64)]"),
    ],
)
def test_products_that_overwrite_others_are_not_added_to_them(blocks, columns, statement, result):
    text = TURNS.format(blocks=blocks, columns=columns, statement=statement, result=result, ahead="", start=0)
    new = check_same_strictly(HEAD + textwrap.dedent(text), rows(4, 128, 128), rows(128, 64))
    alone = "3 - i" in statement or "i * 64" in statement
    assert ("product = " in new) is not alone


def test_a_product_ahead_of_a_loop_is_overwritten_in_it():
    text = TURNS.format(
        blocks=4,
        columns=64,
        ahead="p[2] = nisa.nc_matmul(nl.load(a[0]), y)\n        nl.store(out[0], nl.copy(p[2]))",
        start=1,
        statement="p[i] = nisa.nc_matmul(x, y)",
        result="p[i]",
    )
    new = check_same_strictly(HEAD + textwrap.dedent(text), rows(4, 128, 128), rows(128, 64))
    assert "nisa.tensor_copy(dst=p[i], src=product)" in new


HANDED = """
    @nki.jit
    def k(a, b):
        out = nl.ndarray((4, 128, 64), dtype=nl.float32, buffer=nl.shared_hbm)
        y = nl.load(b)
        p = nl.ndarray((4, 2, nl.par_dim(128), 32), dtype=nl.float32, buffer=nl.psum)

        def multiply(i, tile, x):
            for j in nl.affine_range(2):
                tile[i, j] = nisa.nc_matmul(x, y[:, nl.ds(j * 32, 32)])
                nl.store(out[i, :, nl.ds(j * 32, 32)], nl.copy(tile[i, j]))

        for n in nl.sequential_range(4):
            x = nl.load(a[n])
            multiply(n, p, x)
        return out
    """


def handed(*changes: tuple[str, str]) -> str:
    """What becomes of the function when parts of the file are others; both kernels give the same."""
    text = HANDED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return check_same_strictly(HEAD + textwrap.dedent(text), rows(4, 128, 128), rows(128, 64))


def test_a_function_that_writes_each_element_once_writes_products_where_they_belong():
    new = handed()
    assert "nisa.nc_matmul(dst=tile[i][j], stationary=x, " in new.replace("\n        ", "").replace(
        ",    ", ", "
    )
    assert "product = " not in new


TWICE = "            multiply(n, p, x)\n            multiply(n, p, x)"


@pytest.mark.parametrize(
    "changes",
    [
        [("            multiply(n, p, x)", TWICE)],
        [("multiply(n, p, x)", "multiply(n % 2, p, x)"), ("nl.store(out[i,", "nl.store(out[n,")],
        [("multiply(n, p, x)", "multiply(0, p, x)"), ("nl.store(out[i,", "nl.store(out[n,")],
        [("multiply(n, p, x)", "p[n, 0] = nisa.nc_matmul(x, y[:, 0:32])\n            multiply(n, p, x)")],
        [("multiply(n, p, x)", "q = p\n            multiply(n, p, x)")],
        [("tile[i, j] = nisa", "tile[i, 0] = nisa"), ("nl.copy(tile[i, j])", "nl.copy(tile[i, 0])")],
        [("        for n in", "        multiply(0, p, nl.load(a[0]))\n        for n in")],
        [("            for j in", "            i = i // 2\n            for j in"), ("out[i,", "out[n,")],
    ],
)
def test_functions_that_may_overwrite_products_copy_them(changes):
    assert "product" in handed(*changes)
