"""Thrift's compact protocol, in which Parquet writes its footer and page headers, as plain values.

Read here because a decoder that trusts a forged footer can end the whole process. Structs become
dicts by field number, lists lists, binaries bytes.
"""

from __future__ import annotations

from typing import Any

from omnigrok.errors import EvidenceError

MOST_VALUES = 1 << 20
_DEEPEST = 10
_TRUE, _FALSE, _BINARY, _LIST, _STRUCT = 1, 2, 8, 9, 12
_BYTE, _INTEGERS = 3, (4, 5, 6)


def read_struct(buffer: bytes) -> tuple[dict[int, Any], int]:
    """The struct at the start of the buffer, and its length in bytes.

    Raises:
        EvidenceError: it does not end within the buffer, has a type that Parquet does not use, is
            nested deeply, or has very many values.
    """
    reader = _Reader(buffer)
    try:
        return reader.struct(0), reader.place
    except IndexError as error:
        raise EvidenceError("one of its headers is truncated or damaged") from error


class _Reader:
    def __init__(self, buffer: bytes) -> None:
        self.buffer, self.place, self.values = buffer, 0, 0

    def struct(self, depth: int) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            if number in fields:
                raise EvidenceError("one of its headers has a field twice")
            fields[number] = self._value(head & 15, depth, in_list=False)
        return fields

    def _value(self, kind: int, depth: int, *, in_list: bool) -> Any:
        self.values += 1
        if depth > _DEEPEST or self.values > MOST_VALUES:
            raise EvidenceError("one of its headers has too many values")
        if kind in (_TRUE, _FALSE):  # a boolean field's value is in its type
            return self._byte() == _TRUE if in_list else kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind in _INTEGERS:
            return self._signed()
        if kind == _BINARY:
            length = self._unsigned()
            self.place += length
            if self.place > len(self.buffer):
                raise IndexError
            return self.buffer[self.place - length : self.place]
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind == _LIST:
            head = self._byte()
            length = head >> 4 if head >> 4 < 15 else self._unsigned()
            return [self._value(head & 15, depth + 1, in_list=True) for _ in range(length)]
        raise EvidenceError("one of its headers has an unknown type")

    def _byte(self) -> int:
        self.place += 1
        return self.buffer[self.place - 1]

    def _unsigned(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise EvidenceError("a number in one of its headers has no end")

    def _signed(self) -> int:
        value = self._unsigned()
        return value >> 1 ^ -(value & 1)
