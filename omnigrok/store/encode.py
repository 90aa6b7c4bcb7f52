"""Curves and training states as bytes: a JSON header, compressed little-endian arrays and a
SHA-256; no pickle anywhere.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from omnigrok.curves import Curves
from omnigrok.errors import BadInput, EvidenceError
from omnigrok.run import Run

VERSION = 1
CURVES_LIMIT = 64 << 20  # bytes of all arrays of one record, decompressed
STATE_LIMIT = 512 << 20
HEADER_LIMIT = 1 << 20

_CURVES, _STATE = b"OGCURVES", b"OGSTATE\n"
_PREFIX = struct.Struct(
    "<8sIIQ32s"
)  # magic, version, bytes of the header, bytes of the payload, SHA-256 of all but magic and itself
_DTYPES = (
    "|b1",
    "|i1",
    "|u1",
    "<i2",
    "<i4",
    "<i8",
    "<u2",
    "<u4",
    "<u8",
    "<f2",
    "<f4",
    "<f8",
    "<c8",
    "<c16",
)


def encode(curves: Curves, *, compress: bool = True) -> bytes:
    """One record as bytes.

    Columns are kept as float32, the arithmetic they were logged in; as float64 where the Run's
    precision or loss_precision is float64, or where float32 would turn a finite value into infinity
    or a non-zero one into 0.

    Args:
        curves: what to keep. Tuples in its provenance come back as lists.
        compress: with zlib; False is for files that compress many records together.

    Raises:
        EvidenceError: the provenance is not JSON (NaN is not), or the record is too large to be
            read back.
    """
    arrays: list[tuple[str, NDArray[Any], bool]] = [
        ("step", np.asarray(curves.step, dtype="<i8"), True)
    ]
    for name, values in curves.columns.items():
        column = np.asarray(values, dtype="<f8")
        arrays.append(
            (
                name,
                column if curves.run.wide or not _fits_float32(column) else column.astype("<f4"),
                False,
            )
        )
    head = {
        "run": curves.run.as_dict(),
        "digest": curves.run.digest,
        "diverged": bool(curves.diverged),
        "seconds": float(curves.seconds),
        "provenance": dict(curves.provenance),
    }
    return _pack(_CURVES, head, arrays, 6 if compress else None, CURVES_LIMIT)


def decode(blob: bytes) -> Curves:
    """The inverse of ``encode``; the columns are float64 again.

    Raises:
        EvidenceError: the bytes are damaged, not a record, larger than ``CURVES_LIMIT``, or of a
            newer format.
    """
    head, arrays = _unpack(_CURVES, blob, CURVES_LIMIT)
    if (
        not arrays
        or arrays[0][0] != "step"
        or arrays[0][1].dtype != np.int64
        or arrays[0][1].ndim != 1
    ):
        _fail("the record has no step axis")
    step = arrays[0][1]
    columns: dict[str, NDArray[np.float64]] = {}
    for name, values in arrays[1:]:
        if values.dtype.kind != "f" or values.shape != step.shape or name in columns:
            _fail(
                f"column {name!r} is {values.dtype} {values.shape}; floats as long as the step "
                f"axis {step.shape} are accepted"
            )
        columns[name] = values.astype(np.float64)
    seconds, diverged, provenance = (
        head.get("seconds"),
        head.get("diverged"),
        head.get("provenance"),
    )
    if (
        not isinstance(seconds, float)
        or not math.isfinite(seconds)
        or not isinstance(diverged, bool)
        or not isinstance(provenance, dict)
    ):
        _fail("the record's seconds, diverged or provenance is missing or of a wrong type")
    try:
        run = Run.from_dict(head["run"])
    except (BadInput, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EvidenceError(f"the record's Run is not accepted: {error}") from error
    return Curves(run, step, columns, diverged=diverged, seconds=seconds, provenance=provenance)


def encode_state(
    arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any] | None = None
) -> bytes:
    """A training state as bytes, with every dtype, shape and bit kept.

    Args:
        arrays: name to array of booleans, integers, floats or complex numbers, any shape.
        meta: anything JSON.

    Raises:
        EvidenceError: a dtype is not accepted, the meta is not JSON, or the state is too large to
            be read back.
    """
    listed = [(name, np.asarray(values), False) for name, values in arrays.items()]
    return _pack(_STATE, {"meta": dict(meta or {})}, listed, 1, STATE_LIMIT)


def decode_state(blob: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The inverse of ``encode_state``: (arrays, meta). The arrays are writable and own their
    memory.

    Raises:
        EvidenceError: the bytes are damaged, not a state, larger than ``STATE_LIMIT``, or of a
            newer format.
    """
    head, arrays = _unpack(_STATE, blob, STATE_LIMIT)
    meta = head.get("meta")
    if not isinstance(meta, dict) or len({name for name, _ in arrays}) != len(arrays):
        _fail("the state's meta is missing, or two arrays have one name")
    return dict(arrays), meta


def parse_json(text: bytes) -> Any:
    """JSON from outside, without NaN and without infinity, spelled out or as 1e999.

    Raises:
        EvidenceError: it is not JSON.
    """
    try:
        return json.loads(text, parse_constant=_fail, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"a header is not JSON: {error}") from error


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        _fail(f"{text[:20]} is beyond the range of numbers")
    return value


def dump_json(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII; numpy scalars become numbers.

    Raises:
        EvidenceError: the value is not JSON.
    """
    try:
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain
        ).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise EvidenceError(f"only JSON without NaN can be recorded: {error}") from error


def _plain(value: object) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is a {type(value).__name__}")


def _fail(message: str) -> NoReturn:
    raise EvidenceError(message)


def _fits_float32(values: NDArray[np.float64]) -> bool:
    with np.errstate(over="ignore", under="ignore"):
        narrow = values.astype(np.float32)
    return bool(
        np.array_equal(np.isfinite(values), np.isfinite(narrow))
        and np.array_equal(values == 0, narrow == 0)
    )


def _pack(
    magic: bytes,
    head: dict[str, Any],
    arrays: list[tuple[str, NDArray[Any], bool]],
    level: int | None,
    limit: int,
) -> bytes:
    described, chunks, total = [], [], 0
    for name, values, delta in arrays:
        dtype = values.dtype.newbyteorder("<").str
        if dtype not in _DTYPES:
            _fail(f"array {name!r} has dtype {values.dtype}; accepted: {', '.join(_DTYPES)}")
        little = np.asarray(values, dtype=dtype)
        described.append(
            {"name": str(name), "dtype": dtype, "shape": list(little.shape), "delta": delta}
        )
        if delta:
            little = np.diff(little, prepend=little.dtype.type(0))
        total += little.nbytes
        # Equal bytes of neighbouring numbers side by side: exponents and high bytes then compress
        # well.
        chunks.append(
            np.frombuffer(little.tobytes(), np.uint8).reshape(-1, little.dtype.itemsize).T.tobytes()
        )
    if total > limit:
        _fail(f"{total} bytes of arrays are too many for one record; at most {limit}")
    payload = b"".join(chunks)
    if level is not None:
        payload = zlib.compress(payload, level)
    header = dump_json(
        {**head, "arrays": described, "compression": "none" if level is None else "zlib"}
    )
    if len(header) > HEADER_LIMIT:
        _fail(
            f"a header of {len(header)} bytes is too long; at most {HEADER_LIMIT}: shorten the "
            "provenance"
        )
    return (
        _PREFIX.pack(magic, VERSION, len(header), len(payload), _checksum(VERSION, header, payload))
        + header
        + payload
    )


def _checksum(version: int, header: bytes, payload: bytes) -> bytes:
    summed = hashlib.sha256(struct.pack("<IIQ", version, len(header), len(payload)))
    summed.update(header)
    summed.update(payload)
    return summed.digest()


def _unpack(
    magic: bytes, blob: bytes, limit: int
) -> tuple[dict[str, Any], list[tuple[str, NDArray[Any]]]]:
    blob = bytes(blob)
    if len(blob) < _PREFIX.size:
        _fail(f"{len(blob)} bytes are too few for a record")
    found, version, header_size, payload_size, checksum = _PREFIX.unpack_from(blob)
    if found != magic:
        _fail(f"the record starts with {found!r}, not with {magic!r}")
    if version > VERSION:
        _fail(
            f"the record was written by a newer omnigrok (format {version}, this one reads "
            f"{VERSION}): upgrade"
        )
    if (
        version < 1
        or header_size > HEADER_LIMIT
        or _PREFIX.size + header_size + payload_size != len(blob)
    ):
        _fail("the record is truncated, or its lengths are damaged")
    header, payload = (
        blob[_PREFIX.size : _PREFIX.size + header_size],
        blob[_PREFIX.size + header_size :],
    )
    if checksum != _checksum(version, header, payload):
        _fail("the record's checksum does not match")
    head = parse_json(header)
    if not isinstance(head, dict) or not isinstance(head.get("arrays"), list):
        _fail("the record's header is damaged")
    entries = [_entry(item) for item in head["arrays"]]
    total = sum(dtype.itemsize * math.prod(shape) for _, dtype, shape, _ in entries)
    if total > limit:
        _fail(f"the record claims {total} bytes of arrays; at most {limit} are accepted")
    raw = _decompress(payload, head.get("compression"), total)
    arrays, start = [], 0
    for name, dtype, shape, delta in entries:
        size = dtype.itemsize * math.prod(shape)
        shuffled = np.frombuffer(raw[start : start + size], np.uint8).reshape(
            dtype.itemsize, size // dtype.itemsize
        )
        values = shuffled.T.copy().reshape(-1).view(dtype)
        if delta:
            values = np.cumsum(values, dtype=dtype)
        try:
            arrays.append((name, values.reshape(shape).astype(dtype.newbyteorder("="), copy=False)))
        except (ValueError, OverflowError) as error:
            raise EvidenceError(
                f"array {name!r} has a shape that is not accepted: {shape}"
            ) from error
        start += size
    return head, arrays


def _entry(item: object) -> tuple[str, np.dtype[Any], tuple[int, ...], bool]:
    if not isinstance(item, dict):
        _fail("the record's list of arrays is damaged")
    name, dtype, shape, delta = (
        item.get("name"),
        item.get("dtype"),
        item.get("shape"),
        item.get("delta"),
    )
    if (
        not isinstance(name, str)
        or not isinstance(dtype, str)
        or dtype not in _DTYPES
        or not isinstance(delta, bool)
    ):
        _fail(f"array {name!r} has dtype {dtype!r}; accepted: {', '.join(_DTYPES)}")
    if (
        not isinstance(shape, list)
        or len(shape) > 32
        or not all(type(size) is int and 0 <= size < 2**40 for size in shape)
    ):
        _fail(f"array {name!r} has a shape that is not accepted")
    if delta and dtype != "<i8":
        _fail(f"array {name!r} is delta-encoded; only <i8 can be")
    return name, np.dtype(dtype), tuple(shape), delta


def _decompress(payload: bytes, compression: object, total: int) -> bytes:
    if compression == "none":
        raw, whole = payload, True
    elif compression == "zlib":
        stream = zlib.decompressobj()
        try:
            raw = stream.decompress(payload, total + 1)
        except zlib.error as error:
            raise EvidenceError(f"the record cannot be decompressed: {error}") from error
        whole = stream.eof and not stream.unused_data
    else:
        _fail(f"compression {compression!r} is not known; zlib and none are")
    if not whole or len(raw) != total:
        _fail("the record's arrays are not as long as its header says")
    return raw
