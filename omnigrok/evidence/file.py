"""Evidence files: recorded Curves of a claim or figure in a compact, checksummed file (*.ogev)."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import lzma
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from omnigrok.curves import Curves
from omnigrok.errors import EvidenceError
from omnigrok.run import Run
from omnigrok.store.encode import decode, dump_json, encode, parse_json
from omnigrok.store.store import Environment, Store

FORMAT = "omnigrok evidence"
SCHEMA = 1
SUFFIX = ".ogev"
FILE_LIMIT = 16 << 20  # bytes of one file, below what code hosts warn about
RAW_LIMIT = 256 << 20  # bytes of all parts together, decompressed
_START = b'{"checksum":"'


@dataclass(frozen=True)
class EvidenceFile:
    """What an evidence file holds, verified.

    Args:
        path: the file.
        curves: by digest of the Run.
        environments: where each was trained, by digest of the Run.
        meta: what the exporter added (claim, figure, ...), and "date".
    """

    path: Path
    curves: Mapping[str, Curves]
    environments: Mapping[str, Environment]
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class _Part:
    """One file, verified: header and encoded records with their environments."""

    header: Mapping[str, Any]
    records: Sequence[tuple[Environment, bytes]]


def export(
    store: Store,
    runs: Iterable[Run] | None,
    path: str | os.PathLike[str],
    *,
    env: Environment | None = None,
    meta: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the results of these Runs to an evidence file, or several where one would pass
    ``FILE_LIMIT``; raises as ``write``.

    Args:
        store: where the results are.
        runs: which Runs; None for all.
        path: ends in .ogev.
        env: where they were trained; None takes the newest result of each Run.
        meta: JSON to keep with them: claim, criterion version, command.

    Returns:
        The files, the one to ``read`` first.

    Raises:
        EvidenceError: a Run has no result.
        StoreError: a record is damaged.
    """
    if runs is None:
        newest = {
            run.digest: (curves, where)
            for run, where, curves in store.records()
            if env is None or where == env
        }
        return write(path, newest.values(), meta=meta)
    wanted = list({run.digest: run for run in runs}.values())
    found: list[tuple[Curves, Environment]] = []
    missing = []
    for run in wanted:
        record = store.get_stale(run) if env is None else None
        curves = store.get(run, env) if env else None
        if record:
            found.append(record)
        elif curves and env:
            found.append((curves, env))
        else:
            missing.append(run.digest)
    if missing:
        lacking = (
            f"{len(missing)} of {len(wanted)} runs have no "
            f"result{f' in environment {env.key}' if env else ''}"
        )
        _fail(Path(path), f"not written: {lacking}, the first {missing[0]}: train them first")
    return write(path, found, meta=meta)


def write(
    path: str | os.PathLike[str],
    results: Iterable[tuple[Curves, Environment]],
    *,
    meta: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write results to an evidence file, whole or not at all.

    Further parts are named by content, so an older version stays whole until the first file is
    replaced.

    Returns:
        The files, the one to ``read`` first.

    Raises:
        EvidenceError: the path does not end in .ogev or cannot be written, a Run is there twice, or
            there is too much for ``RAW_LIMIT``.
    """
    target = Path(path)
    if target.suffix != SUFFIX:
        _fail(target, f"not written: the name must end in {SUFFIX}")
    records = sorted(
        ((curves.run.digest, env, encode(curves, compress=False)) for curves, env in results),
        key=lambda record: record[0],
    )
    if len({digest for digest, _, _ in records}) < len(records):
        _fail(target, "not written: a Run is there twice, and can have one result only")
    if sum(len(record) for _, _, record in records) > RAW_LIMIT:
        _fail(
            target,
            (
                f"not written: more than {RAW_LIMIT} bytes before compression; split the Runs over "
                "several evidence files"
            ),
        )
    older = _part_names(target)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    common = {"format": FORMAT, "schema": SCHEMA, "date": date, "meta": dict(meta or {})}
    try:
        groups = list(_split(records))
    except OverflowError:
        _fail(target, f"not written: one Run alone passes {FILE_LIMIT} bytes; log fewer points")
    parts: list[tuple[Path, bytes]] = []
    for place, (group, body) in enumerate(groups[1:], start=2):
        content = _file({**common, "part_of": target.name}, group, body)
        name = f"{target.stem}.part{place}-{hashlib.sha256(content).hexdigest()[:12]}{SUFFIX}"
        parts.append((target.with_name(name), content))
    listed = [
        {"file": part.name, "sha256": hashlib.sha256(content).hexdigest()}
        for part, content in parts
    ]
    first = _file({**common, "parts": listed, "total": len(records)}, *groups[0])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for part, content in [*parts, (target, first)]:
            _replace(part, content)
        for name in set(older) - {part.name for part, _ in parts}:
            target.with_name(name).unlink(missing_ok=True)
    except OSError as error:
        raise EvidenceError(f"evidence {target} was not written: {error}") from error
    return [target, *[part for part, _ in parts]]


def read(path: str | os.PathLike[str]) -> EvidenceFile:
    """Read an evidence file and its further parts, and verify every checksum.

    Raises:
        EvidenceError: a file is missing, damaged, too large, a part only, or of a newer omnigrok;
            the message names it.
    """
    target = Path(path)
    first = _read_part(target, _content(target), RAW_LIMIT)
    if "part_of" in first.header:
        _fail(target, f"it is a further part of {first.header['part_of']!r}: read that")
    records = list(first.records)
    for entry in first.header["parts"]:
        part = target.with_name(entry["file"])
        content = _content(part)
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            _fail(part, f"it is not the part that {target.name} was written with")
        records += _read_part(
            part, content, RAW_LIMIT - sum(len(record) for _, record in records)
        ).records
    if len(records) != first.header["total"]:
        _fail(
            target,
            f"it holds {len(records)} results, not {first.header['total']} as its header says",
        )
    curves: dict[str, Curves] = {}
    environments: dict[str, Environment] = {}
    for env, record in records:
        try:
            one = decode(record)
        except EvidenceError as error:
            raise EvidenceError(f"evidence {target}: {error}") from error
        curves[one.run.digest] = one
        environments[one.run.digest] = env
    if len(curves) < len(records):
        _fail(target, "a Run is there twice")
    return EvidenceFile(
        target, curves, environments, {**first.header["meta"], "date": first.header["date"]}
    )


def import_into(store: Store, path: str | os.PathLike[str]) -> int:
    """Record the results of an evidence file in a store, under the environments they were trained
    in; how many are new.

    Raises:
        EvidenceError: the file is damaged.
        StoreError: the store cannot be written; it is as before.
    """
    evidence = read(path)
    return len(
        store.adopt(
            (curves, evidence.environments[digest]) for digest, curves in evidence.curves.items()
        )
    )


# Writing


def _split(
    records: list[tuple[str, Environment, bytes]],
) -> Iterator[tuple[list[tuple[str, Environment, bytes]], bytes]]:
    # Uncompressed records of one grid repeat their headers and step axes, which xz finds across
    # records.
    body = lzma.compress(b"".join(record for _, _, record in records), check=lzma.CHECK_CRC64)
    if len(body) + 250 * len(records) + (64 << 10) <= FILE_LIMIT:
        yield records, body
    elif len(records) > 1:
        middle = len(records) // 2
        yield from _split(records[:middle])
        yield from _split(records[middle:])
    else:
        raise OverflowError


def _file(
    header: dict[str, Any], records: list[tuple[str, Environment, bytes]], body: bytes
) -> bytes:
    environments = {env.key: [env.identity, env.torch, env.device] for _, env, _ in records}
    listed = [
        [digest, env.key, len(record), hashlib.sha256(record).hexdigest()]
        for digest, env, record in records
    ]
    raw = sum(len(record) for _, _, record in records)
    return _signed(
        {
            **header,
            "count": len(records),
            "environments": environments,
            "records": listed,
            "raw": raw,
        },
        body,
    )


def _signed(header: dict[str, Any], body: bytes) -> bytes:
    """Header line and body; the header starts with the SHA-256 of all that follows that sum."""
    rest = (
        dump_json({**header, "checksum": ""}).removeprefix(_START) + b"\n" + body
    )  # of the sorted keys, "checksum" is the first
    return _START + hashlib.sha256(rest).hexdigest().encode() + rest


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not every file system lets a folder be synced
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _part_names(target: Path) -> list[str]:
    """Further parts of the version that is about to be replaced."""
    with contextlib.suppress(EvidenceError):
        return [
            entry["file"]
            for entry in _read_part(target, _content(target), RAW_LIMIT).header.get("parts", [])
        ]
    return []


# Reading


def _fail(path: Path, what: str) -> NoReturn:
    raise EvidenceError(f"evidence {path}: {what}")


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe would wait for ever
            _fail(path, "cannot be read: it is no file")
        with open(path, "rb") as file:
            content = file.read(FILE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise EvidenceError(f"evidence {path} cannot be read: {error}") from error
    if len(content) > FILE_LIMIT:
        _fail(path, f"it is larger than {FILE_LIMIT} bytes")
    return content


def _read_part(path: Path, content: bytes, limit: int) -> _Part:
    line, newline, body = content.partition(b"\n")
    if not newline or not line.startswith(_START):
        _fail(path, "it is no evidence file, or its first line is damaged")
    stated, rest = content[len(_START) : len(_START) + 64], content[len(_START) + 64 :]
    if hashlib.sha256(rest).hexdigest().encode() != stated:
        _fail(path, "its checksum does not match: it is truncated or damaged")
    try:
        header = parse_json(line)
        if header["format"] != FORMAT or not isinstance(header["schema"], int):
            raise EvidenceError(f"its format is {header['format']!r}, not {FORMAT!r}")
        if header["schema"] > SCHEMA:
            raise EvidenceError(
                f"it was written by a newer omnigrok (schema {header['schema']}, this one reads "
                f"{SCHEMA}): upgrade"
            )
        _check_header(header)
        if not 0 <= header["raw"] <= limit:
            raise EvidenceError(
                f"it would decompress to {header['raw']} bytes; at most {limit} are accepted"
            )
        raw = _decompress(body, header["raw"])
        records = list(_records(header, raw))
    except EvidenceError as error:
        raise EvidenceError(f"evidence {path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise EvidenceError(f"evidence {path}: its header is damaged ({error!r})") from error
    return _Part(header, records)


def _check_header(header: Mapping[str, Any]) -> None:
    kinds = {
        "records": list,
        "environments": dict,
        "raw": int,
        "count": int,
        "meta": dict,
        "date": str,
    }
    kinds |= {"part_of": str} if "part_of" in header else {"parts": list, "total": int}
    for key, kind in kinds.items():
        if not isinstance(header[key], kind):
            raise EvidenceError(f"its header's {key!r} is {header[key]!r:.40}")
    _check_text(header["date"])
    for entry in header.get("parts", []):
        name, checksum = entry["file"], entry["sha256"]
        if (
            not isinstance(name, str)
            or name != Path(name).name
            or not name.endswith(SUFFIX)
            or not isinstance(checksum, str)
        ):
            raise EvidenceError("its list of parts is damaged")


def _check_text(text: object) -> None:
    """What is shown to people: a terminal obeys some of what is not printable."""
    if not isinstance(text, str) or len(text) > 200 or not text.isprintable():
        raise EvidenceError(f"{str(text)[:40]!r} is not accepted as a name or date")


def _decompress(body: bytes, size: int) -> bytes:
    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=RAW_LIMIT)
    try:
        raw = stream.decompress(body, size + 1)
        if not stream.eof and len(raw) == size:
            raw += stream.decompress(b"", 1)
    except (lzma.LZMAError, EOFError) as error:
        raise EvidenceError(f"it cannot be decompressed: {error}") from error
    if len(raw) != size or not stream.eof or stream.unused_data:
        raise EvidenceError("its results are not as long as its header says")
    return raw


def _records(header: Mapping[str, Any], raw: bytes) -> Iterator[tuple[Environment, bytes]]:
    environments = {}
    for key, (identity, torch, device) in header["environments"].items():
        for text in (identity, torch, device):
            _check_text(text)
        environments[key] = Environment(identity, torch, device)
        if environments[key].key != key:
            raise EvidenceError(f"environment {key} is damaged")
    if len(header["records"]) != header["count"]:
        raise EvidenceError("its list of results is not as long as its header says")
    start = 0
    for digest, key, size, checksum in header["records"]:
        if not isinstance(size, int) or size < 0:
            raise EvidenceError(f"the size of run {digest} is damaged")
        record = raw[start : start + size]
        start += size
        if hashlib.sha256(record).hexdigest() != checksum:
            raise EvidenceError(f"the checksum of run {digest} does not match")
        yield environments[key], record
    if start != len(raw):
        raise EvidenceError("there is more in it than its header lists")
