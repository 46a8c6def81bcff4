# An except arm whose only statement is a function that moves out was left empty.
import neuronxcc.nki.language as nl


def staying(a):
    try:
        nl.store(out, nl.load(a))
    except ValueError:
        def f(x):
            pass
