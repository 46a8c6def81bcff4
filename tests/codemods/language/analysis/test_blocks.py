"""Block dimensions: examples, and random programs run with the old tensor and with what becomes of it."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from nkimigrate.codemods.language.analysis.access import Layout
from nkimigrate.codemods.language.analysis.blocks import Loop, Placing, Use, placed
from nkimigrate.codemods.language.analysis.facts import Facts
from nkimigrate.codemods.language.analysis.symbols import Sym

FACTS = Facts()
ROW, J, K = (Sym.atom(name) for name in "ijk")
N = Sym.constant(4)


def loop(variable, stop=N, **options):
    return Loop(variable.text, variable, Sym.constant(0), stop, Sym.constant(1), **options)


def place(uses, outer=(N,), around=()):
    return placed(outer, len(outer) + 2, around, uses, FACTS)


def test_an_element_for_each_iteration_is_dropped():
    uses = [Use((ROW,), (loop(ROW),)), Use((ROW,), (loop(ROW), loop(K)))]
    assert place(uses) == Placing(Layout(dropped=(0,)), inside="i", owners=("i",))


def test_two_loops_own_two_dimensions():
    uses = [Use((ROW, J), (loop(ROW), loop(J)))]
    assert place(uses, (N, N)) == Placing(Layout(dropped=(0, 1)), inside="j", owners=("i", "j"))


def test_what_a_later_loop_reads_is_a_list():
    uses = [Use((ROW,), (loop(ROW),)), Use((K,), (loop(K),))]
    assert place(uses) == Placing(Layout(lists=(0,)), grown="i")


def test_a_list_is_made_at_once_unless_the_first_loop_meets_all_elements_in_order():
    later = Use((K,), (loop(K),))
    assert place([Use((ROW,), (loop(ROW, Sym.constant(3)),)), later]).grown is None
    assert place([Use((ROW + 1,), (loop(ROW),)), later]).grown is None
    assert place([Use((ROW,), (loop(ROW, certain=False),)), later]).grown is None
    assert place([Use((Sym.constant(0),)), Use((ROW,), (loop(ROW),))]).grown is None
    assert place([Use((ROW,), (loop(ROW),)), Use((ROW - 1,), (loop(ROW),)), later]).grown is None


def test_what_is_carried_from_one_run_of_a_loop_to_the_next_stays():
    uses = [Use((ROW,), (loop(J), loop(ROW)))]
    assert place(uses) == Placing(Layout(lists=(0,)))
    written = [Use((ROW,), (loop(J), loop(ROW)), overwrites=True), *uses]
    assert place(written) == Placing(Layout(dropped=(0,)), inside="i", owners=("i",))


def test_a_loop_around_the_allocation_carries_nothing():
    uses = [Use((ROW,), (loop(J), loop(ROW)))]
    assert place(uses, around=(loop(J),)) == Placing(Layout(dropped=(0,)), inside="i", owners=("i",))


def test_slices_along_a_dimension_make_it_a_free_one():
    uses = [Use((ROW,), (loop(ROW),)), Use((None,))]
    assert place(uses) == Placing(Layout(order=(1, 0, 2)))


def test_functions_take_lists():
    inside = Use((ROW, J), (loop(ROW), loop(J)))
    later = Use((K, None), (loop(K),), handed=True)
    assert place([inside, later], (N, N)).layout == Layout(lists=(0, 1))
    assert place([inside, Use((None, None), handed=True)], (N, N)).layout == Layout(lists=(0, 1))
    assert place([inside, Use((None, K), (loop(K),), handed=True)], (N, N)).layout == Layout(
        lists=(1,), order=(2, 0, 3)
    )


def test_all_kinds_at_once():
    uses = [Use((ROW, J, K), (loop(ROW), loop(J), loop(K))), Use((ROW, Sym.constant(0), None), (loop(ROW),))]
    found = place(uses, (N, N, N))
    layout = Layout(dropped=(0,), lists=(1,), order=(3, 2, 4))
    assert found == Placing(layout, inside="i", grown="j", owners=("i",))


def test_a_tile_that_nothing_uses():
    assert place([]) == Placing(Layout(lists=(0,)))


# ---- Random programs. A program is a list of statements: ("for", variable, body) or ("use", index, kind).

VARIABLES = "ijk"
SIZE = 2


@st.composite
def programs(draw, depth=0):
    found = []
    for _ in range(draw(st.integers(1, 3))):
        if depth < 3 and draw(st.booleans()):
            found.append(("for", VARIABLES[depth], draw(programs(depth + 1)), draw(st.integers(0, 10**9))))
        else:
            index = draw(st.sampled_from([*VARIABLES[:depth], "0", "1"]))
            found.append(("use", index, draw(st.sampled_from(["write", "add", "read"]))))
    return found


def uses_of(program, loops=()):
    for statement in program:
        if statement[0] == "for":
            variable = Sym.atom(statement[1])
            inner = Loop(id(statement), variable, Sym.constant(0), Sym.constant(SIZE), Sym.constant(1))
            yield from uses_of(statement[2], (*loops, inner))
        else:
            index = statement[1]
            sym = Sym.atom(index) if index in VARIABLES else Sym.constant(int(index))
            yield Use((sym,), loops, overwrites=statement[2] == "write")


class Run:
    """Runs a program on blocks that are kept as a placing says; ``log`` has every value that was read."""

    def __init__(self, placing):
        self.placing = placing
        self.dropped = placing is not None and placing.layout.dropped == (0,)
        self.values = count(1)
        self.log = []
        self.blocks = self.fresh()

    def fresh(self):
        if self.placing is not None and self.placing.grown is not None:
            return []
        return [None] * (1 if self.dropped else SIZE)

    def run(self, program, environment):
        for statement in program:
            if statement[0] == "for":
                for turn in range(SIZE):
                    self.enter(id(statement))
                    self.run(statement[2], {**environment, statement[1]: turn})
            else:
                self.use(environment.get(statement[1], statement[1]), statement[2])

    def enter(self, key):
        if self.placing is not None and self.placing.inside == key:
            self.blocks = self.fresh()
        if self.placing is not None and self.placing.grown == key:
            self.blocks.append(None)

    def use(self, index, kind):
        index = 0 if self.dropped else int(index)
        if kind == "write":
            self.blocks[index] = next(self.values)
        elif kind == "add":
            self.blocks[index] = (self.blocks[index], next(self.values))
        self.log.append(self.blocks[index])


@given(programs())
def test_programs_do_the_same_with_what_becomes_of_their_blocks(program):
    uses = list(uses_of(program))
    placing = place(uses, (Sym.constant(SIZE),))
    old, new = Run(None), Run(placing)
    old.run(program, {})
    new.run(program, {})
    assert new.log == old.log
