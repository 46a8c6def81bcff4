# a second run gave keywords to a call that only the new name takes
from nkilib.core.mlp.mlp import mlp_kernel

mlp_kernel(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, eps=u)
