# A block whose only statement is a function that moves out was left empty.
import neuronxcc.nki.isa as nisa


def kernel(x):
    u = nisa.tensor_scalar(t, op0=x.floor_divide, operand0=2)
    try:
        def f(x):
            from nkilib.core.qkv.qkv import qkv
    except ImportError:
        from nkilib_standalone.nkilib.core.qkv.qkv import qkv
