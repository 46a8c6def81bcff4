"""Places of tiles, against those that the interpreter of the former language computes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.language.analysis.addresses import Modular
from nkimigrate.codemods.language.analysis.facts import Facts
from nkimigrate.codemods.language.analysis.refusal import Refused
from nkimigrate.codemods.language.analysis.symbols import Sym
from nkisim.beta1.memory import modulo

FACTS = Facts()
K = Sym.atom("k")


def numbers(*values):
    return tuple(map(Sym.constant, values))


def test_blocks_take_turns():
    two = Modular(byte=Sym.constant(1024), free_tiles=numbers(2))
    partition, byte = two.address([K], Sym.constant(128), Sym.atom("size"), FACTS)
    assert (partition.text, byte.text) == ("0", "1024 + k % 2 * size")


def test_no_remainder_where_each_block_has_its_own_place():
    facts = Facts()
    facts.loop(K, 0, Sym.atom("n"))
    own = Modular(free_tiles=(Sym.atom("n"),))
    assert own.address([K], Sym.constant(128), Sym.constant(512), facts)[1].text == "k * 512"


def test_banks_of_psum():
    banks = Modular(bank=Sym.constant(2), bank_tiles=numbers(2, 4))
    assert banks.address([K, Sym.atom("m")], *numbers(128, 2048), FACTS)[1].text == (
        "(2 + k % 2 * 4 + m % 4) * 2048"
    )
    assert Modular(bank=Sym.constant(7)).address([K], *numbers(128, 2048), FACTS)[1].text == "14336"


def test_numbers_for_other_dimensions():
    with pytest.raises(Refused, match="M-ALLOC"):
        Modular(free_tiles=numbers(2, 2)).address([K], *numbers(128, 64), FACTS)


@given(st.data())
def test_addresses_are_those_of_the_former_language(data):
    small = st.integers(0, 5)
    block = data.draw(st.lists(small, max_size=3))
    counts = [
        data.draw(st.just([]) | st.lists(st.integers(1, 4), min_size=len(block), max_size=len(block)))
        for _ in range(3)
    ]
    base = [data.draw(small) for _ in range(3)]
    rows, size = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9))
    bank, partition, byte = modulo(tuple(base), tuple(map(tuple, counts)))(tuple(block), rows, size)
    found = Modular(
        *numbers(base[2], base[0], base[1]), *(numbers(*counts[axis]) for axis in range(3))
    ).address([Sym.atom(f"b{i}") for i in range(len(block))], *numbers(rows, size), FACTS)
    values = {f"b{i}": index for i, index in enumerate(block)}
    assert [eval(sym.text, {}, values) for sym in found] == [partition, bank * 2048 + byte]
