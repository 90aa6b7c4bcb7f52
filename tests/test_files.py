"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnigrok.files import replacing


def test_a_file_takes_the_place_of_another_and_leaves_no_parts(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for data in (b"one", b"two"):
        with replacing(path) as file:
            file.write(data)
        assert path.read_bytes() == data
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_the_old_file_stays_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"), replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
