"""Where the options of a session say that its runs are recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnigrok.audit.session import Options
from omnigrok.errors import BadInput


def test_the_store_lies_next_to_the_one_folder_of_claims(tmp_path: Path) -> None:
    claims = tmp_path / "audit" / "claims"
    claims.mkdir(parents=True)
    found = Options().store([claims, claims / ".." / "claims"])
    assert found == tmp_path / "audit" / ".omnigrok" / "runs.sqlite"


@pytest.mark.parametrize("folders", [(), ("one", "another")])
def test_no_folder_and_several_need_a_store_that_is_named(
    tmp_path: Path, folders: tuple[str, ...]
) -> None:
    claims = [tmp_path / name for name in folders]
    with pytest.raises(BadInput, match=rf"claims of {len(folders)} folders .*--runs"):
        Options().store(claims)
    assert Options(runs=tmp_path / "runs.sqlite").store(claims) == tmp_path / "runs.sqlite"
