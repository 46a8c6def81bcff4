# With --all-keywords, only a second run gave the arguments of norms their keywords.
import nki.language as nl
from nkilib.core.subkernels.rmsnorm_tkg import rmsnorm_tkg


def norm(x, g):
    y = rmsnorm_tkg(x, g)
    return y
