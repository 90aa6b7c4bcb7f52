"""The native step's own tanh."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from omnigrok.training import native_library

pytestmark = pytest.mark.usefixtures("no_wish")


@pytest.mark.usefixtures("native_step")
def test_tanh_is_within_two_and_a_half_units_in_the_last_place() -> None:
    """Of every float that is not a denormal, in steps of 97 floats, and of all from 2^-3 to 2^0."""
    bits = np.concatenate(
        [
            np.arange(0x00800000, 0x7F800000, 97, dtype=np.uint32),
            np.arange(0x3E000000, 0x3F800000, dtype=np.uint32),
        ]
    )
    x = bits.view(np.float32)
    y = np.empty_like(x)
    found, _ = native_library._attempt()
    assert found is not None
    address = ctypes.c_void_p
    found.functions.tanh_float(
        address(x.ctypes.data), address(y.ctypes.data), ctypes.c_int64(len(x))
    )
    exact = np.tanh(x.astype(np.float64))
    assert (np.abs(y - exact) / np.spacing(exact.astype(np.float32))).max() <= 2.5
    assert (y <= 1).all()


@pytest.mark.usefixtures("native_step")
def test_tanh_is_odd_and_keeps_what_is_no_number() -> None:
    x = np.array([0.0, -0.0, 0.5, -0.5, 1e-30, 40.0, -np.inf, np.inf, np.nan], dtype=np.float32)
    y = np.empty_like(x)
    found, _ = native_library._attempt()
    assert found is not None
    found.functions.tanh_float(
        ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), ctypes.c_int64(len(x))
    )
    assert y[2] == -y[3]
    assert np.signbit(y[1])
    assert y[5:8].tolist() == [1.0, -1.0, 1.0]
    assert np.isnan(y[8])
    assert y[4] == x[4]
