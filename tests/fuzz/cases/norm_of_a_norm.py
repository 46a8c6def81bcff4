if hasattr(m, 'mlp_kernel'):
    run(m)
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg ;
def run(proj, x, g, w, m):
    return rmsnorm_tkg(rmsnorm_tkg(x, g, output_in_sbuf=True, sbm=m), w)
