"""Operations that the host hands to kernels."""

from __future__ import annotations

from hosted import HEAD, hosted

HEADER = HEAD + "import neuronxcc.nki.isa as nisa\nimport numpy as np\n"
KERNEL = """

def inner(x, how):
    return nisa.tensor_reduce(how, x, axis=[1])


@nki.jit
def k(x, op, bound=np.max):
    return nisa.tensor_scalar(inner(x, op), op0=bound, operand0=0.0)


"""
CALLS = {
    "k(1, np.sum)": "k(1, nl.add)",
    "k(1, op=np.amin, bound=np.minimum)": "k(1, op=nl.minimum, bound=nl.minimum)",
    "k(1, nl.add)": "k(1, nl.add)",
    "k(np.sum, len)": "k(np.sum, len)",
    "k(1, np.floor_divide)": "k(1, np.floor_divide)",
}


def test_functions_of_numpy_become_names_of_the_language() -> None:
    found = hosted(HEADER + KERNEL + "\n".join(CALLS) + "\n")
    assert found.text.endswith("\n".join(CALLS.values()) + "\n")
    assert "M-HANDED" not in [message for _, message in found.notes]


def test_callers_elsewhere_are_told() -> None:
    lines = (HEADER + KERNEL).splitlines()
    assert hosted(HEADER + KERNEL).notes == [(lines.index("def k(x, op, bound=np.max):") + 1, "M-HANDED")]
