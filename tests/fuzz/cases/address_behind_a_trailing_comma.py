import neuronxcc.nki.compiler as ncc
import neuronxcc.nki.language as nl
def kernel(x):
    out = nl.ndarray((4, 128, 512), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray(
        (4, nl.par_dim(128) or x, 512),
        dtype=nl.float32,
        buffer=ncc.sbuf.mod_alloc(base_addr=1024, num_free_tiles=(2,)),
    )
    for i in nl.affine_range(4):
        import neuronxcc.nki as nki
