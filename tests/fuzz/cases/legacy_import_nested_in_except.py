try:
    from nkilib_standalone.nkilib.core.utils.common_types import NormType,QKVOutputLayout
except (ImportError,ModuleNotFoundError):
    with x as y:
        from nkilib.core.utils.common_types import NormType, QKVOutputLayout
