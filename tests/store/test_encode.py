"""Curves and states survive their encoding; damaged bytes raise EvidenceError and nothing else."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError
from omnigrok.run import Run
from omnigrok.store.encode import (
    _CURVES,
    _PREFIX,
    _checksum,
    decode,
    decode_state,
    encode,
    encode_state,
)

RUN = Run(
    task="made_up",
    model="none",
    seed=3,
    n_train=5,
    steps=100,
    lr=1e-3,
    network=(("width", 7), ("sizes", (1, 2))),
)
# Format 1 of Run(task="t", model="m", seed=1, n_train=2, steps=3, lr=0.5) with step [0, 1, 3],
# train_loss [1, 0.5, nan] and seconds 2.0
GOLDEN = """
T0dDVVJWRVMBAAAATAIAABQAAAAAAAAAfUmgNzo6i/2DmA7N3Tthgb3FlKXRcpU3J+F393nO/kh7ImFycmF5cyI6W3siZGVs
dGEiOnRydWUsImR0eXBlIjoiPGk4IiwibmFtZSI6InN0ZXAiLCJzaGFwZSI6WzNdfSx7ImRlbHRhIjpmYWxzZSwiZHR5cGUi
OiI8ZjQiLCJuYW1lIjoidHJhaW5fbG9zcyIsInNoYXBlIjpbM119XSwiY29tcHJlc3Npb24iOiJ6bGliIiwiZGlnZXN0Ijoi
ZTM0YzZmOTFhNjgzOTIxYzBiZTMxOWYxMTgwZTkwNjIiLCJkaXZlcmdlZCI6ZmFsc2UsInByb3ZlbmFuY2UiOnt9LCJydW4i
OnsiYWxwaGEiOjEuMCwiYmF0Y2hfc2l6ZSI6MCwiYmV0YXMiOlswLjksMC45OTldLCJjbGlwIjowLjAsImNvbnN0cmFpbnQi
OiJmcmVlIiwiZGF0YSI6e30sImV2YWxfc2FtcGxlcyI6MCwibG9nX2V2ZXJ5IjowLCJsb2dfcmF0aW8iOjAuMDIsImxvc3Mi
OiJtc2UiLCJsb3NzX3ByZWNpc2lvbiI6ImZsb2F0MzIiLCJsciI6MC41LCJscl9kcm9wcyI6W10sImxyX2ZhY3RvciI6MS4w
LCJtZXNzaW5lc3MiOjAuMCwibW9kZWwiOiJtIiwibl90cmFpbiI6MiwibmV0d29yayI6e30sInByZWNpc2lvbiI6ImZsb2F0
MzIiLCJzZWVkIjoxLCJzdGVwcyI6MywidGFzayI6InQiLCJ3ZWlnaHRfZGVjYXkiOjAuMH0sInNlY29uZHMiOjIuMH14nGNg
ZGLADRoYDtjb1wMACEUCQQ==
"""

numbers = st.floats(width=32)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    st.lists,
    max_leaves=5,
)


@st.composite
def any_curves(draw: st.DrawFn) -> Curves:
    length = draw(st.integers(0, 20))
    names = draw(st.lists(st.text(max_size=8), unique=True, max_size=4))
    columns = {name: draw(hnp.arrays(np.float64, length, elements=numbers)) for name in names}
    step = draw(hnp.arrays(np.int64, length))
    seconds = draw(st.floats(0, 1e9))
    return Curves(
        RUN,
        step,
        columns,
        draw(st.booleans()),
        seconds,
        draw(st.dictionaries(st.text(), plain, max_size=3)),
    )


@settings(max_examples=40, deadline=None)
@given(curves=any_curves(), compress=st.booleans())
def test_curves_come_back(curves: Curves, compress: bool) -> None:
    back = decode(encode(curves, compress=compress))
    assert back.run == curves.run
    assert back.run.digest == curves.run.digest
    assert list(back.columns) == list(curves.columns)
    assert back.step.dtype == np.int64
    assert np.array_equal(back.step, curves.step)
    for name in curves.columns:
        assert back[name].dtype == np.float64
        assert np.array_equal(back[name], curves[name], equal_nan=True)
    assert (back.diverged, back.seconds, back.provenance) == (
        curves.diverged,
        curves.seconds,
        curves.provenance,
    )
    assert encode(back, compress=compress) == encode(curves, compress=compress)


def test_a_record_of_format_1_still_reads() -> None:
    curves = decode(base64.b64decode(GOLDEN))
    assert curves.run == Run(task="t", model="m", seed=1, n_train=2, steps=3, lr=0.5)
    assert curves.step.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(curves["train_loss"], [1.0, 0.5, np.nan])
    assert curves.seconds == 2.0


@pytest.mark.parametrize(
    ("changes", "values", "exact"),
    [
        ({}, [1 / 3, 0.1], False),
        ({"precision": "float64"}, [1 / 3, 0.1], True),
        ({"loss_precision": "float64"}, [1 / 3, 1e-30], True),
        ({}, [1e300, 1 / 3], True),  # float32 would say infinity
        ({}, [1e-300, 0.0], True),  # float32 would say 0
        ({}, [np.inf, np.nan, -np.inf, -0.0], True),
    ],
)
def test_float64_is_kept_where_float32_would_lose_meaning(
    changes: dict[str, str], values: list[float], exact: bool
) -> None:
    curves = Curves(RUN.replace(**changes), np.arange(len(values)), {"loss": np.array(values)})
    back = decode(encode(curves))["loss"]
    assert np.array_equal(back, curves["loss"], equal_nan=True) == exact
    np.testing.assert_allclose(back, curves["loss"], rtol=1e-7)


def test_a_record_is_compact() -> None:
    step = np.unique(np.geomspace(1, 1e5, 600).astype(np.int64))
    curves = Curves(RUN, step, {name: np.exp(-step / 1e4) for name in "abcde"})
    assert len(encode(curves)) < step.size * 5 * 4


def test_numpy_scalars_in_the_provenance_become_numbers() -> None:
    curves = Curves(RUN, np.arange(2), {}, provenance={"norm": np.float32(0.5), "n": np.int64(3)})
    assert decode(encode(curves)).provenance == {"norm": 0.5, "n": 3}


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(EvidenceError, match="only JSON"):
        encode(Curves(RUN, np.arange(2), {}, provenance={"bad": value}))


@settings(max_examples=40, deadline=None)
@given(
    arrays=st.dictionaries(
        st.text(max_size=6),
        hnp.arrays(
            hnp.boolean_dtypes()
            | hnp.integer_dtypes()
            | hnp.floating_dtypes(sizes=(16, 32, 64))
            | hnp.complex_number_dtypes(sizes=(64, 128)),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=4,
    ),
    meta=st.dictionaries(st.text(), plain, max_size=3),
)
def test_states_come_back_bit_for_bit(
    arrays: dict[str, np.ndarray], meta: dict[str, object]
) -> None:
    back, back_meta = decode_state(encode_state(arrays, meta))
    assert back_meta == meta
    assert list(back) == list(arrays)
    for name, values in arrays.items():
        assert back[name].dtype == values.dtype.newbyteorder("=")
        assert back[name].shape == values.shape
        assert back[name].tobytes() == values.astype(values.dtype.newbyteorder("=")).tobytes()
        assert back[name].flags.writeable


def test_a_strided_array_comes_back() -> None:
    values = np.arange(12.0).reshape(3, 4).T[::2]
    np.testing.assert_array_equal(decode_state(encode_state({"w": values}))[0]["w"], values)


def test_an_object_array_is_refused() -> None:
    with pytest.raises(EvidenceError, match="dtype object"):
        encode_state({"w": np.array([{}], dtype=object)})


WHOLE = encode(Curves(RUN, np.arange(9) * 3, {"train_loss": np.linspace(1, 0, 9)}))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(place: int, change: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= change
    with pytest.raises(EvidenceError):
        decode(bytes(damaged))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=20))
def test_any_cut_or_tail_is_found(length: int, tail: bytes) -> None:
    for damaged in (WHOLE[:length], WHOLE + tail + b"x", tail, WHOLE[:length] + tail):
        if damaged != WHOLE:
            with pytest.raises(EvidenceError):
                decode(damaged)


def sealed(head: object, payload: bytes, version: int = 1) -> bytes:
    """A record with a valid checksum over anything."""
    header = json.dumps(head).encode()
    return (
        _PREFIX.pack(
            _CURVES, version, len(header), len(payload), _checksum(version, header, payload)
        )
        + header
        + payload
    )


def opened() -> dict[str, object]:
    size = _PREFIX.unpack_from(WHOLE)[2]
    return json.loads(WHOLE[_PREFIX.size : _PREFIX.size + size])


paths = st.lists(
    st.sampled_from(
        [
            "run",
            "arrays",
            "shape",
            "dtype",
            "name",
            "delta",
            "compression",
            "seconds",
            "data",
            "lr",
            0,
            1,
        ]
    ),
    max_size=3,
)


@settings(max_examples=100, deadline=None)
@given(
    path=paths,
    value=plain | st.integers(-(2**70), 2**70) | st.lists(st.integers(-2, 2**62), max_size=4),
    payload=st.binary(max_size=40) | st.none(),
)
def test_a_forged_header_raises_only_evidence_errors(
    path: list[str | int], value: object, payload: bytes | None
) -> None:
    head: object = opened()
    parent, last = {"head": head}, "head"
    for key in path:
        node = parent[last]
        if (isinstance(node, dict) and isinstance(key, str)) or (
            isinstance(node, list) and isinstance(key, int) and key < len(node)
        ):
            parent, last = node, key
            if isinstance(node, dict):
                node.setdefault(key, None)
    holder = {"head": head} if last == "head" else parent
    holder[last] = value
    body = WHOLE[_PREFIX.size + _PREFIX.unpack_from(WHOLE)[2] :] if payload is None else payload
    with contextlib.suppress(EvidenceError):
        decode(sealed(value if last == "head" else head, body))


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "too few"),
        (b"x" * 100, "starts with"),
        (encode_state({}), "starts with"),
        (sealed({}, b"", version=2), "newer omnigrok .format 2, this one reads 1.: upgrade"),
        (
            sealed(
                {
                    **opened(),
                    "arrays": [{"name": "step", "dtype": "<i8", "shape": [2**39], "delta": True}],
                },
                b"",
            ),
            "claims",
        ),
        (
            sealed(
                {
                    **opened(),
                    "arrays": [{"name": "step", "dtype": "<i8", "shape": [4], "delta": True}],
                },
                zlib.compress(bytes(10**8)),
            ),
            "as long",
        ),
        (
            sealed(
                {
                    **opened(),
                    "arrays": [{"name": "step", "dtype": "|O", "shape": [4], "delta": True}],
                },
                b"",
            ),
            "dtype",
        ),
        (sealed({**opened(), "compression": "pickle"}, b""), "not known"),
        (sealed(opened(), b"not zlib"), "decompress"),
        (
            sealed({**opened(), "run": {"task": "t"}}, WHOLE[-_PREFIX.unpack_from(WHOLE)[3] :]),
            "Run is not accepted",
        ),
        (struct.pack("<8sIIQ32s", _CURVES, 1, 2**31, 2**63, bytes(32)), "truncated"),
        (sealed([[]] * 3, b""), "header is damaged"),
    ],
)
def test_messages(blob: bytes, message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        decode(blob)


def test_deep_json_is_refused() -> None:
    header = b"[" * 100_000
    with pytest.raises(EvidenceError, match="not JSON"):
        decode(_PREFIX.pack(_CURVES, 1, len(header), 0, _checksum(1, header, b"")) + header)


def test_too_much_is_refused_when_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omnigrok.store.encode.CURVES_LIMIT", 100)
    with pytest.raises(EvidenceError, match="at most 100"):
        encode(Curves(RUN, np.arange(50), {}))
