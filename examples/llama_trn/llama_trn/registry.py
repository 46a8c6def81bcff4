"""Kernels by name, for the command line and for plugins."""

from __future__ import annotations

import importlib
import logging

ROOT = "nkilib_standalone.nkilib"
BUILT_IN = {
    "mlp": "nkilib_standalone.nkilib.core.mlp.mlp:mlp_kernel",
    "qkv": "nkilib_standalone.nkilib.core.qkv.qkv:qkv",
    "attention": "nkilib_standalone.nkilib.core.attention.attention_cte:attention_cte",
}

log = logging.getLogger(__name__)


def load(name: str):
    """The kernel registered under ``name``; raises KeyError."""
    module, _, attribute = BUILT_IN[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def norm_module():
    return importlib.import_module(f"{ROOT}.core.subkernels.rmsnorm_tkg")


def silence_library() -> None:
    import nkilib_standalone.nkilib.core.utils.logging as nklog

    nklog.GLOBAL_LOG_LEVEL = nklog.LogLevel.OFF
    log.debug("library logging is off")
