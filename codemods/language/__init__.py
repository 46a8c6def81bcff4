"""The language step: kernels written for ``neuronxcc.nki`` become kernels of ``nki``.

``analysis/`` knows what the expressions of a kernel stand for (shapes, dtypes, index tiles, masks),
``lowering/`` which instructions an operation becomes, ``translate/`` walks the statements of a kernel and
writes the new ones.
"""
