"""Members of the enumerations, by name and value."""

from __future__ import annotations

from enum import Enum

import pytest

from nkilib.core.utils import common_types
from nkilib.core.utils.common_types import ActFnType, NormType, QuantizationType, RouterActFnType

MEMBERS = {
    "QKVOutputLayout": {"BSD": 0, "NBSd": 1, "NBdS": 2},
    "NormType": {"NO_NORM": 0, "RMS_NORM": 1, "LAYER_NORM": 2, "RMS_NORM_SKIP_GAMMA": 3},
    "ActFnType": {"SiLU": 0, "GELU": 1, "GELU_Tanh_Approx": 2, "Swish": 3},
    "RouterActFnType": {"SIGMOID": 0, "SOFTMAX": 1},
    "ExpertAffinityScaleMode": {"NO_SCALE": 0, "POST_SCALE": 1, "PRE_SCALE": 2, "PRE_SCALE_DELAYED": 3},
    "QuantizationType": {"NONE": 0, "STATIC": 1, "ROW": 2, "MX": 3},
    "GateUpDim": {"GATE": 0, "UP": 1},
}


@pytest.mark.parametrize("name", MEMBERS)
def test_members(name) -> None:
    enumeration = getattr(common_types, name)
    assert issubclass(enumeration, Enum)
    assert [(m.name, m.value) for m in enumeration] == list(MEMBERS[name].items())


def test_routers_activation_as_text() -> None:
    assert str(RouterActFnType.SIGMOID) == "sigmoid"
    assert f"{RouterActFnType.SOFTMAX}" == "softmax"


def test_by_value_and_name() -> None:
    assert QuantizationType(3) is QuantizationType.MX
    assert ActFnType["Swish"].value == 3
    with pytest.raises(ValueError, match="4 is not a valid NormType"):
        NormType(4)
