"""YAML from strangers: bounded, without objects, each key once; anything else is one BadInput that
names the file.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from omnigrok.audit.deviation import Deviation, load_deviations
from omnigrok.errors import BadInput
from omnigrok.suite import yaml_file
from omnigrok.suite.schema import Figure, load_figure
from omnigrok.suite.yaml_file import load_yaml

CLAIMS = Path(__file__).parents[2] / "claims"


def load(folder: Path, content: str | bytes) -> Any:
    path = folder / "x.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_yaml(path)


def test_plain_values(tmp_path: Path) -> None:
    assert load(tmp_path, "a: [1, 2.5, true, null, x]\nb: {c: 2020-01-02}") == {
        "a": [1, 2.5, True, None, "x"],
        "b": {"c": datetime.date(2020, 1, 2)},
    }
    assert load(tmp_path, "") is None
    assert load(tmp_path, "a: &x [1]\nb: *x") == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    "content",
    [
        "a: [",
        "\x00",
        "a: 1\na: 2",
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system ''",
        "!!binary aGVsbG8=",
        "!!set {a}",
        "!!omap [a: 1]",
        "!!pairs [a: 1]",
        "!!timestamp x",
        "!!int ''",
        "!!int x",
        "!!float x",
        "!!bool x",
        "!!null [1]",
        "2020-99-99",
        "{[1]: 2}",
        "{{}: 2}",
        "? {a: b}\n: c",
        "1" * 5000,
        "0x" + "f" * 5000 + "\n--- 2",
        "&a [*a]",
        "&a {x: *a}",
        "a: *unknown",
        "--- 1\n--- 2",
        "<<: {a: 1}",
        "<<: 3",
        "<<: [3]",
        "%YAML 9.9\n---\n",
        "%TAG ! x\n---\n!y z",
        b"\xff\xfe\x00",
        b"\x80abc",
    ],
)
def test_what_is_refused(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(BadInput, match=r"x\.yaml: "):
        load(tmp_path, content)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(BadInput, match="cannot be read"):
            load_yaml(path)


def test_a_large_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="larger than 300000 bytes"):
        load(tmp_path, "#" * 1_000_001)


def test_a_deep_file(tmp_path: Path) -> None:
    for content in (
        "[" * 50_000,
        "[" * 5_000 + "]" * 5_000,
        "{a: " * 5_000 + "}" * 5_000,
        "- " * 5_000,
        "? " * 5_000,
    ):
        with pytest.raises(BadInput, match=r"x\.yaml: (nested too deeply|not valid YAML)"):
            load(tmp_path, content)


def bomb(levels: int, form: str) -> str:
    """Each level holds the one before nine times."""
    lines = ["a0: &a0 [x, x, x]" if form == "list" else "a0: &a0 {x: y}"]
    for level in range(1, levels):
        inner = ", ".join([f"*a{level - 1}"] * 9)
        pairs = ", ".join(f"k{n}: *a{level - 1}" for n in range(9))
        lines.append(
            f"a{level}: &a{level} [{inner}]"
            if form == "list"
            else f"a{level}: &a{level} {{{pairs}}}"
        )
    return "\n".join(lines)


@pytest.mark.parametrize("form", ["list", "mapping"])
def test_aliases_of_aliases(tmp_path: Path, form: str) -> None:
    """A kilobyte that would fill the memory is refused before any of it is built; a few aliases are
    fine.
    """
    began = time.process_time()
    with pytest.raises(
        BadInput, match="holds more than 200000 values once its aliases are written out"
    ):
        load(tmp_path, bomb(30, form))
    assert time.process_time() - began < 5
    assert len(load(tmp_path, bomb(4, form))) == 4


def test_the_limit_counts_what_aliases_stand_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_file, "LARGEST_CONTENT", 10)
    assert load(tmp_path, "[&a [1, 2], *a, 3]") == [[1, 2], [1, 2], 3]  # 1 + 3 + 3 + 1 values
    with pytest.raises(BadInput, match="holds more than 10 values"):
        load(tmp_path, "[&a [1, 2], *a, *a, 3]")


def test_the_projects_own_files_are_far_below_the_limits() -> None:
    for path in CLAIMS.glob("*.yaml"):
        assert path.stat().st_size < yaml_file.LARGEST_FILE / 10
        assert load_yaml(path)


FIGURE = (CLAIMS / "fig07_transformer.yaml").read_bytes()
ENTRY = {"claim": "a.b", "tier": "paper", "protocol": "paper", "version": 1, "finding": "f"}
ENTRY |= {"interval": [0, 1.5], "evidence": "e", "why": "w"}
DEVIATIONS = yaml.safe_dump([ENTRY, {**ENTRY, "tier": "smoke", "version": 2}]).encode()
PIECES = b"&a |*a|!!|!!timestamp |<<: |[|]|{|}|: |- |\n|\t|? |> |'|\"|.nan|1e999".split(b"|")


@st.composite
def mutated(draw: st.DrawFn, sound: bytes) -> bytes:
    content = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "piece", "splice", "drop"]))
        if kind == "flip" and place < len(content):
            content[place] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del content[max(place, 1) :]
        elif kind == "insert":
            content[place:place] = draw(st.binary(max_size=20))
        elif kind == "piece":
            content[place:place] = draw(st.sampled_from(PIECES))
        elif kind == "splice":
            other = draw(st.integers(0, len(content)))
            content[place:place] = content[other : other + 80]
        else:
            del content[place : place + draw(st.integers(1, 60))]
    return bytes(content)


@settings(max_examples=60, deadline=None)
@given(content=mutated(FIGURE))
def test_fuzz_a_figure(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "fig07_transformer.yaml"
    path.write_bytes(content)
    found: object = None
    with contextlib.suppress(BadInput):  # any other exception fails the test
        found = load_figure(path)
    assert found is None or isinstance(found, Figure)
    if isinstance(found, Figure):
        assert all(len(claim.digest) == 16 for claim in found.claims)


@settings(max_examples=150, deadline=None)
@given(content=mutated(DEVIATIONS) | st.binary(max_size=40))
def test_fuzz_deviations(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "deviations.yaml").write_bytes(content)
    found: tuple[Deviation, ...] = ()
    with contextlib.suppress(BadInput):
        found = load_deviations(folder)
    assert all(isinstance(entry, Deviation) for entry in found)


LARGE = {
    "numbers to base 60": "x: " + "1:" + "59:" * 60_000 + "59\n",
    "numbers to base 60 by tag": "x: !!int '" + "1:" + "59:" * 60_000 + "59'\n",
    "digits": "x: " + "9" * 190_000 + "\n",
    "keys": "".join(f"k{n}: 1\n" for n in range(17_000)),
    "flow": "x: [" + "[]," * 60_000 + "]\n",
    "merges": "a: &a {k: 1}\n" + "".join(f"b{n}: {{<<: [*a, *a]}}\n" for n in range(6_000)),
    "indents": "\n".join(" " * n + "a:" for n in range(700)),
    "quotes": 'x: "' + "\\n" * 90_000 + '"\n',
}


@pytest.mark.parametrize("content", LARGE.values(), ids=list(LARGE))
def test_a_file_costs_at_most_200_mb_and_20_s(
    tmp_path: Path, content: str, limited: Callable[[float, float], AbstractContextManager[None]]
) -> None:
    """The largest files that are read at all."""
    assert len(content) < yaml_file.LARGEST_FILE
    with limited(200, 20), contextlib.suppress(BadInput):
        load(tmp_path, content)


@pytest.mark.parametrize("text", ["1:30", "1:59:59", "190:20:30.15"])
def test_a_time_is_no_number(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="is not a number; quote it"):
        load(tmp_path, f"x: {text}\n")
    assert load(tmp_path, f"x: '{text}'\n") == {"x": text}


@pytest.mark.parametrize("text", ["\\e[2J", "\\u202e", "\\x9b"])
def test_texts_that_a_terminal_would_obey(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="text has control or invisible characters"):
        load(tmp_path, f'x: "{text}"\n')
    assert load(tmp_path, 'x: "two\\nlines\\tand \\_ é"\n') == {"x": "two\nlines\tand \u00a0 é"}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    with pytest.raises(BadInput, match="not a regular file"):
        load_yaml(tmp_path / "x.yaml")
