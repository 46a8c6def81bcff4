"""Functions that a module of kernels gets when one of its operations needs several instructions or a loop.

Each is the text of a function of the new language, with ``nl`` and ``nisa`` for its modules.
"""

from __future__ import annotations

from ...record import record


@record
class Helper:
    """``source``: the function's text. needs: other helpers that it calls."""

    source: str
    needs: tuple[str, ...] = ()


HELPERS: dict[str, Helper] = {
    "broadcast_partitions": Helper('''\
def broadcast_partitions(dst, src):
    """Copy the only partition of src, (1, N), to all partitions of dst, (P, N)."""
    for start in range(0, dst.shape[0], 32):
        stop = min(start + 32, dst.shape[0])
        nisa.nc_stream_shuffle(dst=dst[start:stop, :], src=src[0:1, :], shuffle_mask=[0] * 32)
'''),
    "broadcast": Helper(
        '''\
def broadcast(dst, src):
    """Copy src, whose dimensions are those of dst or 1, to all of dst, (P, N)."""
    rows, columns = dst.shape
    source = src
    if src.shape[1] != columns:
        source = nl.ndarray((src.shape[0], columns), dtype=src.dtype, buffer=nl.sbuf)
        nisa.tensor_copy(dst=source, src=src.ap(pattern=[[1, src.shape[0]], [0, columns]], offset=0))
    if source.shape[0] == rows:
        nisa.tensor_copy(dst=dst, src=source)
    else:
        assert source.shape[0] == 1, "neither one row nor as many as there are to fill"
        broadcast_partitions(dst=dst, src=source)
''',
        needs=("broadcast_partitions",),
    ),
    "load_transposed": Helper('''\
def load_transposed(dst, src):
    """Load the transpose of src, (R, C) in HBM, into dst, (C, R) in SBUF."""
    rows, columns = src.shape
    for start in range(0, rows, 128):
        stop = min(start + 128, rows)
        loaded = nl.ndarray((stop - start, columns), dtype=src.dtype, buffer=nl.sbuf)
        nisa.dma_copy(dst=loaded, src=src[start:stop, 0:columns])
        transposed = nl.ndarray((columns, stop - start), dtype=src.dtype, buffer=nl.psum)
        nisa.nc_transpose(dst=transposed, data=loaded)
        nisa.tensor_copy(dst=dst[0:columns, start:stop], src=transposed)
'''),
    "fill_hbm": Helper('''\
def fill_hbm(dst, value):
    """Fill dst, a matrix in HBM, with a number."""
    rows, columns = dst.shape
    filled = nl.ndarray((min(rows, 128), columns), dtype=dst.dtype, buffer=nl.sbuf)
    nisa.memset(dst=filled, value=value)
    for start in range(0, rows, 128):
        stop = min(start + 128, rows)
        nisa.dma_copy(dst=dst[start:stop, 0:columns], src=filled[0 : stop - start, 0:columns])
'''),
    "variance": Helper('''\
def variance(dst, data):
    """dst, (P, 1): the variance of each row of data, (P, N)."""
    rows, columns = data.shape
    mean = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_reduce(dst=mean, op=nl.add, data=data, axis=1)
    nisa.tensor_scalar(dst=mean, data=mean, op0=nl.multiply, operand0=1.0 / columns)
    centred = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_scalar(dst=centred, data=data, op0=nl.subtract, operand0=mean)
    nisa.activation(dst=centred, op=nl.square, data=centred)
    total = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_reduce(dst=total, op=nl.add, data=centred, axis=1)
    nisa.tensor_scalar(dst=dst, data=total, op0=nl.multiply, operand0=1.0 / columns)
'''),
    "softmax": Helper('''\
def softmax(dst, data):
    """dst: the softmax of each row of data; both are (P, N)."""
    rows, columns = data.shape
    largest = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_reduce(dst=largest, op=nl.maximum, data=data, axis=1)
    powers = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_scalar(dst=powers, data=data, op0=nl.subtract, operand0=largest)
    nisa.activation(dst=powers, op=nl.exp, data=powers)
    total = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_reduce(dst=total, op=nl.add, data=powers, axis=1)
    nisa.reciprocal(dst=total, data=total)
    nisa.tensor_scalar(dst=dst, data=powers, op0=nl.multiply, operand0=total)
'''),
    "rms_norm": Helper('''\
def rms_norm(dst, data, weight, n, epsilon):
    """dst: each row of data divided by the root of its mean square, times weight; all are (P, N)."""
    rows, columns = data.shape
    squares = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.sbuf)
    nisa.activation(dst=squares, op=nl.square, data=data)
    scale = nl.ndarray((rows, 1), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_reduce(dst=scale, op=nl.add, data=squares, axis=1)
    nisa.tensor_scalar(dst=scale, data=scale, op0=nl.multiply, operand0=1.0 / n, op1=nl.add, operand1=epsilon)
    nisa.activation(dst=scale, op=nl.rsqrt, data=scale)
    normed = nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.sbuf)
    nisa.tensor_scalar(dst=normed, data=data, op0=nl.multiply, operand0=scale)
    nisa.tensor_tensor(dst=dst, data1=normed, data2=weight, op=nl.multiply)
'''),
    "itemsize": Helper('''\
def itemsize(dtype):
    """Bytes of an element of a dtype."""
    if dtype in [nl.float32, nl.tfloat32, nl.int32, nl.uint32]:
        return 4
    return 2 if dtype in [nl.bfloat16, nl.float16, nl.int16, nl.uint16] else 1
'''),
    "largest_number": Helper('''\
def largest_number(dtype):
    """The largest finite number of a float dtype."""
    if dtype in [nl.float32, nl.tfloat32]:
        return 3.4028235e38
    if dtype == nl.bfloat16:
        return 3.3895314e38
    if dtype == nl.float16:
        return 65504.0
    if dtype == nl.float8_e4m3:
        return 240.0
    assert dtype == nl.float8_e5m2, "a dtype without a largest finite number"
    return 57344.0
'''),
    "step_above_one": Helper('''\
def step_above_one(dtype):
    """The difference between 1 and the next larger number of a float dtype."""
    if dtype in [nl.float32, nl.tfloat32]:
        return 1.1920929e-07
    if dtype == nl.bfloat16:
        return 0.0078125
    if dtype == nl.float16:
        return 0.0009765625
    if dtype == nl.float8_e4m3:
        return 0.125
    assert dtype == nl.float8_e5m2, "a dtype without a next number"
    return 0.25
'''),
    "promoted_dtype": Helper('''\
def promoted_dtype(first, second):
    """The dtype of a result of operands of two dtypes: the wider float, a float before an integer.

    A number counts as float32 or int32.
    """
    if isinstance(second, float):
        return nl.float32
    if isinstance(second, int):
        second = nl.int32
    if first == second:
        return first
    pair = [first, second]
    if nl.bfloat16 in pair and nl.float16 in pair:
        return nl.float32
    if nl.float8_e4m3 in pair and nl.float8_e5m2 in pair:
        return nl.bfloat16
    floats = [nl.float32, nl.tfloat32, nl.bfloat16, nl.float16, nl.float8_e4m3, nl.float8_e5m2]
    for i in range(len(floats)):
        if floats[i] in pair:
            return floats[i]
    assert nl.int32 in pair and nl.uint32 not in pair, "integers of different dtypes: convert one of them"
    return nl.int32
'''),
}
"""Helpers by name."""
