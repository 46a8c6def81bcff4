"""Decorators of kernels, and ``nki.jit`` and the harnesses as functions."""

from __future__ import annotations

import pytest
from hosted import HEAD, NEW_HEAD, check, hosted, silent

BODY = "def k(x):\n    return x\n"


@pytest.mark.parametrize(
    "text",
    [
        "import nki\n\n\n@nki.jit(mode='auto')\ndef k(x):\n    return x\n",
        "import other as nki\n\n\n@nki.benchmark\ndef k(x):\n    return x\n",
        "class nki:\n    jit = 1\n\n\n@nki.trace\ndef k(x):\n    return x\n",
        "from timeit import benchmark\n\n\n@benchmark(3)\ndef k(x):\n    return x\n",
    ],
)
def test_strangers(text: str) -> None:
    silent(text)


@pytest.mark.parametrize(
    "decorator",
    [
        "@nki.jit",
        "@nki.jit()",
        '@nki.jit(mode="auto")',
        '@nki.jit(mode="torchxla", debug_kernel=True)',
        '@nki.jit(\n    experimental_flags="enable-mutable-parameter",\n    show_compiler_tb=True,\n)',
        "@nki.compiler.skip_middle_end_transformations\n@nki.jit",
        "@nki.compiler.enable_stack_allocator(log_level=20)\n@nki.jit(kernel_return=False)",
        "@nki.jit\n@nki.compiler.force_auto_alloc",
    ],
)
def test_what_is_left_is_jit(decorator: str) -> None:
    found = check(f"{HEAD}\n\n{decorator}\n{BODY}", f"{NEW_HEAD}\n\n@nki.jit\n{BODY}")
    assert not found.notes


def test_the_platform_moves_to_the_environment() -> None:
    found = check(f'{HEAD}\n\n@nki.jit(platform_target="trn2")\n{BODY}', f"{NEW_HEAD}\n\n@nki.jit\n{BODY}")
    assert found.notes == [(5, "M-PLATFORM")]


@pytest.mark.parametrize(
    "decorator",
    [
        "@nki.benchmark",
        '@nki.benchmark(warmup=5, iters=10, save_neff_name="file.neff")',
        '@nki.profile(working_directory="x")',
        "@nki.baremetal",
        '@nki.jit(mode="simulation")',
        '@nki.jit(mode="baremetal")',
        '@nki.jit(mode="benchmark")',
    ],
)
def test_harnesses_become_jit(decorator: str) -> None:
    found = check(f"{HEAD}\n\n{decorator}\n{BODY}", f"{NEW_HEAD}\n\n@nki.jit\n{BODY}")
    assert found.notes == [(5, "M-HARNESS")]


def test_a_harness_imported_by_name() -> None:
    found = check(
        f"from neuronxcc.nki import profile\nimport neuronxcc.nki.language as nl\n\n\n@profile(overwrite=True)\n{BODY}",
        f"import nki.language as nl\nimport nki\n\n\n@nki.jit\n{BODY}",
    )
    assert found.notes == [(5, "M-HARNESS")]


def test_harnesses_as_functions() -> None:
    found = check(
        f"""{HEAD}

@nki.jit
{BODY}

def plain(x):
    return nl.load(x)


fast = nki.benchmark(warmup=5)(k)
bare = nki.baremetal(plain)
again = nki.jit(plain, mode="torchxla")
cores = nki.benchmark(warmup=5)(k[nl.nc(2)])
""",
        f"""{NEW_HEAD}

@nki.jit
{BODY}

def plain(x):
    return nl.load(x)


fast = k
bare = nki.jit(plain)
again = nki.jit(plain)
cores = k[2]
""",
    )
    assert found.notes == [(14, "M-HARNESS"), (15, "M-HARNESS"), (17, "M-HARNESS")]


def test_a_harness_of_what_is_not_known_is_left() -> None:
    text = f"{HEAD}\n\ndef run(kernels):\n    return [nki.benchmark(k) for k in kernels]\n"
    found = hosted(text)
    assert found.left == [(6, "M-HARNESS")]
    assert not found.reasons
    assert "nki.benchmark(k)" in found.text


def test_functions_that_kernels_call_have_no_decorator() -> None:
    check(
        f"""{HEAD}

@nki.jit(mode="trace")
def traced(x):
    return x


@nki.trace
def other(x):
    return x


@nki.jit
def called(x):
    return x


@nki.jit
def k(x):
    return called(traced(x))
""",
        f"""{NEW_HEAD}

def traced(x):
    return x


def other(x):
    return x


def called(x):
    return x


@nki.jit
def k(x):
    return called(traced(x))
""",
    )


SHARED = """

@nki.jit
def called(x):
    return x


@nki.jit
def k(x):
    return called(x)


"""


def test_what_the_host_launches_as_well_is_compiled_there() -> None:
    check(
        f"{HEAD}{SHARED}y = called(1)\n",
        NEW_HEAD + SHARED.replace("@nki.jit\ndef called", "def called") + "y = nki.jit(called)(1)\n",
    )


def test_launches_that_are_not_known_are_in_the_way() -> None:
    assert hosted(f"{HEAD}{SHARED}run(called)\n").reasons == [(6, "M-SUBKERNEL")]


def test_a_traced_kernel_that_is_simulated() -> None:
    found = check(
        f"{HEAD}\n\n@nki.trace\ndef k(x):\n    return x\n\n\nnki.simulate_kernel(k, 1)\n",
        f"{NEW_HEAD}\n\n@nki.jit\ndef k(x):\n    return x\n\n\nnki.simulate_kernel(k, 1)\n",
    )
    assert found.notes == [(10, "M-SIM")]


def test_a_simulator_imported_by_name_is_left() -> None:
    text = "from neuronxcc.nki import simulate_kernel\n\nsimulate_kernel(k, 1)\n"
    assert hosted(text).left == [(3, "M-SIM")]
    assert hosted(text).text == text


KERNEL = "\n\n@nki.jit\ndef k(x):\n    return x\n"


def test_a_level_of_logging_that_the_old_language_defines() -> None:
    text = f"import logging\n{HEAD}\nlogging.disable(logging.OFF)\n{KERNEL}"
    found = check(text, text.replace(HEAD, NEW_HEAD))
    assert found.notes == [(len(f"import logging\n{HEAD}".splitlines()) + 2, "M-LEVEL")]


def test_a_level_of_another_module() -> None:
    assert not hosted(f"import our_logging as logging\n{HEAD}\nlogging.disable(logging.OFF)\n{KERNEL}").notes


def test_bridges_are_in_the_way() -> None:
    body = "def k(x, out):\n    nl.store(out, nl.load(x))\n"
    jax = f"{HEAD}from jax_neuronx import nki_call\n\n\n{body}\n\ny = nki_call(k, 1, out_shape=2)\n"
    assert (10, "M-BRIDGE") in hosted(jax).reasons
    silent("from mine import nki_call\n\ny = nki_call(k, 1)\n")


WRITES = "def k(x, out):\n    nl.store(out, nl.load(x))\n"
RETURNS = f"{WRITES}    return out\n"
CALL = "\n\ndef run(x):\n    out = torch.empty_like(x)\n    {}(x, out)\n    return out\n"


@pytest.mark.parametrize("written", ["nki_jit", "nki_jit()"])
def test_the_jit_of_pytorch_is_the_languages(written: str) -> None:
    head = "import torch\nfrom torch_neuronx import nki_jit\n"
    check(
        f"{HEAD}{head}\n\n@{written}\n{WRITES}{CALL.format('k')}",
        f"{NEW_HEAD}import torch\n\n\n@nki.jit\n{RETURNS}{CALL.format('out = k')}",
    )


@pytest.mark.parametrize("made", ["nki_jit()(k)", "nki_jit(k)", "torch_neuronx.nki_jit(k)"])
def test_the_jit_of_pytorch_as_a_function(made: str) -> None:
    head = "import torch\nimport torch_neuronx\n"
    more = "from torch_neuronx.xla_impl.ops import nki_jit\n" if made.startswith("nki") else ""
    found = check(
        f"{HEAD}{head}{more}\n\n{WRITES}\n\nfast = {made}\n{CALL.format('fast')}",
        f"{NEW_HEAD}{head}\n\n{RETURNS}\n\nfast = nki.jit(k)\n{CALL.format('out = fast')}",
    )
    assert [key for _, key in found.notes] == ["M-INOUT"]  # others may import it as `fast`


def test_the_jit_of_pytorch_where_others_have_the_output() -> None:
    text = f"{HEAD}from torch_neuronx import nki_jit\n\n\n@nki_jit\n{WRITES}\n\ndef run(x, y):\n    k(x, y)\n"
    assert hosted(text).reasons == [(12, "M-INOUT")]


def test_an_alias_of_the_simulator_goes_so_that_the_file_can_be_imported() -> None:
    kernel = "\n\n@nki.jit\ndef k(x):\n    return x\n\n\n"
    found = check(
        f"{HEAD}\nsimulate = nki.simulate_kernel\n{kernel}def run(a):\n    return simulate(k, a)\n",
        f"{NEW_HEAD}{kernel}def run(a):\n    return nki.simulate_kernel(k, a)\n",
    )
    assert found.notes == [(13, "M-SIM")]


def test_an_alias_of_the_simulator_beside_others_stays_for_a_person() -> None:
    found = hosted(f"{HEAD}\nsimulate = other = nki.simulate_kernel\n\n\n@nki.jit\ndef k(x):\n    return x\n")
    assert (4, "M-SIM") in found.reasons
