"""msgspec."""

from typing import Annotated

import msgspec
import numpy as np
import pytest


def test_msgspec_encodes_no_float_of_numpy():
    with pytest.raises(TypeError, match=r"numpy\.float64"):
        msgspec.json.encode(np.float64(0.5))


def test_msgspec_writes_nan_and_infinity_as_null():
    assert msgspec.json.encode([float("nan"), float("inf")]) == b"[null,null]"


def test_msgspec_takes_one_lower_bound_of_a_number():
    with pytest.raises(ValueError, match="Cannot specify both"):
        msgspec.Meta(gt=0, ge=0)


def test_msgspec_takes_no_bound_of_integers_beyond_64_bits():
    with pytest.raises(ValueError, match="fit in an int64"):
        msgspec.json.Decoder(Annotated[int, msgspec.Meta(le=2**64)])
