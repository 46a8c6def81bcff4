"""Sizes and types of MX operands, and what the MX projections of an MLP are asked to do.

A scale belongs to ``_q_height`` partitions × ``_q_width`` values of a packed element; in SBUF
``SCALE_P_ELEM_PER_QUADRANT`` rows of scales lie in the first partitions of each of the
``NUM_QUADRANTS_IN_SBUF`` quadrants of ``SBUF_QUADRANT_SIZE`` partitions, from one of
``ALLOWED_P_SCALE_IDX_OFFSETS`` on. ``SUPPORTED_QMX_*`` are what is quantised on chip, and to what.
"""

from dataclasses import dataclass

import nki.language as nl

from ....blocks.lnc import Cores
from ...utils.kernel_assert import kernel_assert
from ...utils.kernel_helpers import div_ceil

NUM_QUADRANTS_IN_SBUF = 4
SBUF_QUADRANT_SIZE = 32
_q_height = 8
_q_width = 4

MX_DTYPES = [nl.float4_e2m1fn_x4, nl.float8_e4m3fn_x4, nl.float8_e5m2_x4]
SUPPORTED_QMX_INPUT_DTYPES = [nl.float16, nl.bfloat16]
SUPPORTED_QMX_OUTPUT_DTYPES = [nl.float8_e4m3fn_x4]
MX_SCALE_DTYPE = nl.uint8
SUPPORTED_QMX_OUTPUT_F_DIMS = [128, 512]
SCALE_P_ELEM_PER_QUADRANT = 4
ALLOWED_P_SCALE_IDX_OFFSETS = [0, 4, 8, 12]
ALLOWED_P_DIM_MX = [32, 64, 128]
ALLOWED_UNPACKED_P_DIM_MX = [128, 256, 512]

GATE_FUSED_IDX = 0
UP_FUSED_IDX = 1

_pmax = 128
_psum_fmax = 512
_psum_bmax = 8

_TILE = 512
"""Values of a contraction, or columns of an intermediate, in a tile."""
_TOKENS = 256


@dataclass
class ProjConfig(nl.NKIObject):
    """Sizes and options of one projection.

    Attributes:
        H, I, BxS: hidden and intermediate size, tokens.
        n_prgs, prg_id: how many cores divide H, and which of them this is; ``force_lnc1`` makes it (1, 0).
        bias_t_shared_between_gate_up: the gate/up projection's bias is ``[128, 2, ⌈I/512⌉, 4]``, of which
            ``bias_t_shared_base_offset`` chooses: 0 the first, anything else the second.
        out_p_offset: first partition of the down projection's result, a multiple of 32.
        use_stream_shuffle_broadcast: how a bias row gets onto all partitions; without effect on values.
        dbg_hidden, dbg_weight: the gate/up projection returns these operands instead of its result.
        H0, H1, H1_sharded, H_sharded: 128; H / 128; its and H's part of one core.
        n_H512_tile_sharded, n_H512_tile: tiles of 512 in H, of one core and of all.
        n_I512_tile, r_I512_tile, n_total_I512_tile, n_par_r_I512_tile: whole tiles of 512 in I; columns, and
            partitions, of a ragged last one; all tiles.
        BxS_tile_sz, H_tile_size, n_H_tile_sharded: at most 256 tokens; 1024 or 512 columns of a core's part
            of H, and how many such tiles that has.

    Raises AssertionError when H does not divide by 512 times the cores, I not by 32, or the result would not
    fit at ``out_p_offset``.
    """

    H: int
    I: int  # noqa: E741
    BxS: int
    n_prgs: int
    prg_id: int
    force_lnc1: bool = False
    bias_t_shared_between_gate_up: bool = False
    bias_t_shared_base_offset: int = 0
    out_p_offset: int = 0
    use_stream_shuffle_broadcast: bool = True
    dbg_hidden: bool = False
    dbg_weight: bool = False

    def __post_init__(self) -> None:
        if self.force_lnc1:
            self.n_prgs = 1
            self.prg_id = 0
        self.H0 = _pmax
        self.H1 = self.H // _pmax
        self.H1_sharded = self.H1 // self.n_prgs
        self.H_sharded = self.H // self.n_prgs
        self.n_H512_tile_sharded = self.H1_sharded // _q_width
        self.n_H512_tile = self.n_H512_tile_sharded * self.n_prgs
        self.n_I512_tile = self.I // _TILE
        self.r_I512_tile = self.I % _TILE
        self.n_total_I512_tile = div_ceil(self.I, _TILE)
        self.n_par_r_I512_tile = self.r_I512_tile // _q_width
        self.BxS_tile_sz = min(self.BxS, _TOKENS)
        self.H_tile_size = 2 * _TILE if self.H_sharded % (2 * _TILE) == 0 else _TILE
        self.n_H_tile_sharded = self.H_sharded // self.H_tile_size
        self.check_shapes()

    def check_shapes(self) -> None:
        """Raise AssertionError for sizes that the projections cannot have."""
        kernel_assert(self.H % _pmax == 0, f"H must be a multiple of 128, it is {self.H}")
        kernel_assert(self.H1 % self.n_prgs == 0, f"H / 128 = {self.H1} must divide by {self.n_prgs} cores")
        kernel_assert(
            self.H1_sharded % _q_width == 0,
            f"a core's part of H must be a multiple of 512, it is {self.H_sharded}",
        )
        kernel_assert(
            self.r_I512_tile % SBUF_QUADRANT_SIZE == 0, f"I must be a multiple of 32, it is {self.I}"
        )
        if self.out_p_offset != 0:
            self._check_offset()

    def _check_offset(self) -> None:
        first = self.out_p_offset
        allowed = 0 <= first < _pmax and first % SBUF_QUADRANT_SIZE == 0
        kernel_assert(allowed, f"out_p_offset must be 0, 32, 64 or 96, it is {first}")
        kernel_assert(
            first + self.BxS <= _pmax,
            f"{self.BxS} tokens from partition {first} on do not fit into 128 partitions",
        )


def cores_of(cfg: ProjConfig) -> Cores:
    """The cores that divide H, and which of them this is."""
    return Cores(count=cfg.n_prgs, index=cfg.prg_id)
