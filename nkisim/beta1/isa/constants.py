"""``neuronxcc.nki.isa.constants``: engines and modes."""

from ...isa.constants import dge_mode as dge_mode
from ...isa.constants import dma_engine as dma_engine
from ...isa.constants import engine as engine
from ...isa.constants import gpsimd_engine as gpsimd_engine
from ...isa.constants import nc_version as nc_version
from ...isa.constants import oob_mode as oob_mode
from ...isa.constants import reduce_cmd as reduce_cmd
from ...isa.constants import scalar_engine as scalar_engine
from ...isa.constants import tensor_engine as tensor_engine
from ...isa.constants import unknown_engine as unknown_engine
from ...isa.constants import vector_engine as vector_engine
