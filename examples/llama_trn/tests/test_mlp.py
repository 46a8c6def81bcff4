from unittest import mock

import pytest

torch = pytest.importorskip("torch")

from llama_trn.config import ModelConfig  # noqa: E402
from llama_trn.mlp import LlamaMLP  # noqa: E402


@pytest.fixture
def config():
    return ModelConfig(hidden=256, intermediate=512, layers=1, q_heads=4, kv_heads=2)


@mock.patch("llama_trn.mlp.mlp_kernel")
def test_block_is_one_launch(kernel, config):
    kernel.__getitem__.return_value.return_value = ["out"]
    assert LlamaMLP(config)(torch.ones(1, 4, 256)) == "out"
    kernel.__getitem__.assert_called_once_with(2)


@mock.patch("nkilib_standalone.nkilib.core.mlp.mlp.mlp_kernel")
def test_library_is_not_called_on_the_host(kernel, config):
    LlamaMLP(config)
    kernel.assert_not_called()


def test_norm_can_be_replaced(monkeypatch):
    monkeypatch.setattr("nkilib_standalone.nkilib.core.subkernels.rmsnorm_tkg.rmsnorm_tkg", lambda *a, **k: None)
    monkeypatch.setattr("llama_trn.kernels.mlp_kernel", lambda *a, **k: None)
