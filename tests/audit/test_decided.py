"""A smoke audit says how many claims agree with what the recorded evidence decided, and an opposite
verdict fails it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from toy_audit import BAD, GOOD, record

from omnigrok.audit.decided import entries_of, load_decided, sentence
from omnigrok.audit.document import Row, load_audit, parse
from omnigrok.cli import main
from omnigrok.errors import BadInput
from omnigrok.suite.suite import forget, load_suite

MIXED = "[-1.0, 2.0, 3.0]"
DEVIATION = """\
- claim: toy.{name}
  tier: smoke
  protocol: paper
  version: 1
  verdict: {verdict}
  finding: mean
  interval: [{low}, {high}]
  evidence: none
  why: three seeds are too few
"""


def audited(toy: Any, *options: str) -> tuple[Any, dict[str, Any]]:
    """A process of its own only where workers need one."""
    toy.write()
    forget()
    options = ("--audit-json", "a.json", *options)
    if "2" in options:
        done = toy.run(*options)
    else:
        quiet = ("claims", "-p", "no:cacheprovider", "-p", "no:cov", "-n", "0")
        done = toy.pytester.runpytest_inprocess(*quiet, *options)
    return done, json.loads((toy.pytester.path / "a.json").read_text())


def said(done: Any) -> str:
    """The output without its line breaks."""
    return " ".join(done.outlines)


def agreement(document: dict[str, Any]) -> dict[str, str | None]:
    return {row["id"]: row.get("agreement") for row in document["claims"]}


@pytest.fixture
def five(toy: Any) -> Any:
    """Two claims that agree, one that is undecided, one of each kind of no comparison."""
    for name, values in {
        "same": GOOD,
        "refuted": BAD,
        "open": MIXED,
        "silent": GOOD,
        "unknown": GOOD,
    }.items():
        toy.add(name, values=values)
    toy.write()
    toy.decide(same="REPRODUCED", refuted="REFUTED", open="REPRODUCED", silent="INCONCLUSIVE")
    return toy


def test_the_last_line_and_the_json_say_how_many_agree(five: Any) -> None:
    done, document = audited(five)
    assert done.ret == pytest.ExitCode.OK
    line = "evidence: 2 of the 3 claims that it decided agree, 1 undecided, 0 opposite"
    assert line in done.outlines
    assert document["agreement"] == {
        "decided": 3,
        "agrees": 2,
        "undecided": 1,
        "opposite": 0,
        "excused": 0,
        "outdated": 0,
    }
    assert agreement(document) == {
        "toy.same": "agrees",
        "toy.refuted": "agrees",
        "toy.open": "undecided",
        "toy.silent": None,
        "toy.unknown": None,
    }
    read = load_audit(five.pytester.path / "a.json")
    assert read.agreement is not None
    assert {row.id: row.evidence for row in read.claims}["toy.refuted"] == "REFUTED"


@pytest.mark.parametrize(
    ("values", "decided", "options"),
    [
        (GOOD, "REFUTED", ("-n", "0")),
        (BAD, "REPRODUCED", ("-n", "0", "-q")),
        (BAD, "REPRODUCED", ("-n", "2")),
    ],
)
def test_an_opposite_verdict_fails(
    toy: Any, values: str, decided: str, options: tuple[str, ...]
) -> None:
    toy.add("same")
    toy.add("other", values=values)
    toy.write()
    toy.decide(same="REPRODUCED", other=decided)
    done, document = audited(toy, *options)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert agreement(document) == {"toy.same": "agrees", "toy.other": "opposite"}
    line = "evidence: 1 of the 2 claims that it decided agree, 0 undecided, 1 opposite"
    assert f"{line} (toy.other-paper)" in said(done)
    why = "not a success: the opposite of what the recorded evidence decided: toy.other-paper"
    assert why in done.outlines


@pytest.mark.parametrize(("values", "decided"), [(GOOD, "REFUTED"), (BAD, "REPRODUCED")])
def test_a_recorded_deviation_excuses_it(toy: Any, values: str, decided: str) -> None:
    toy.add("other", values=values)
    toy.write()
    toy.decide(other=decided)
    verdict, low, high = ("REPRODUCED", 0.5, 1.5) if values == GOOD else ("REFUTED", -1.5, -0.5)
    entry = DEVIATION.format(name="other", verdict=verdict, low=low, high=high)
    (toy.folder / "deviations.yaml").write_text(entry)
    done, document = audited(toy)
    assert done.ret == pytest.ExitCode.OK
    assert agreement(document) == {"toy.other": "excused"}
    assert document["claims"][0]["deviation"] == "three seeds are too few"
    assert "1 excused (toy.other-paper) by a recorded deviation" in said(done)


def test_a_deviation_that_does_not_cover_what_was_found_excuses_nothing(toy: Any) -> None:
    toy.add("other")
    toy.write()
    toy.decide(other="REFUTED")
    entry = DEVIATION.format(name="other", verdict="REPRODUCED", low=5, high=6)
    (toy.folder / "deviations.yaml").write_text(entry)
    done, document = audited(toy)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert agreement(document) == {"toy.other": "opposite"}


def test_a_deviation_of_a_verdict_that_has_turned_round_is_said(toy: Any) -> None:
    toy.add("other", values=BAD)
    toy.write()
    entry = DEVIATION.format(name="other", verdict="REPRODUCED", low=0, high=2)
    (toy.folder / "deviations.yaml").write_text(entry)
    done, _ = audited(toy)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert "no longer covers what was found" in said(done)


@pytest.mark.parametrize("what", ["criterion", "check", "version"])
def test_what_has_changed_since_is_not_compared_and_said(toy: Any, what: str) -> None:
    """The verdict is the opposite, of a claim that was another one when the evidence was judged."""
    toy.add("good")
    toy.write()
    toy.decide(good="REFUTED")
    if what == "criterion":
        toy.yaml = toy.yaml.replace("above: 0", "above: 0.5")
    elif what == "version":
        toy.yaml = toy.yaml.replace("    place: nowhere", "    place: nowhere\n    version: 2")
    else:
        toy.checks = toy.checks.replace('"mean", case', '"average", case')
    done, document = audited(toy)
    assert done.ret == pytest.ExitCode.OK
    assert agreement(document) == {"toy.good": "outdated"}
    assert "1 outdated (toy.good-paper): run omnigrok evidence decide" in said(done)


def test_without_a_record_nothing_is_said(toy: Any) -> None:
    toy.add("good")
    done, document = audited(toy)
    assert document["agreement"] is None
    assert "evidence:" not in said(done)


def test_the_paper_tier_is_not_compared(toy: Any) -> None:
    toy.add("good")
    toy.write()
    toy.decide(good="REFUTED")
    done, document = audited(toy, "--tier", "paper")
    assert done.ret == pytest.ExitCode.OK
    assert document["agreement"] is None
    assert "evidence:" not in said(done)


@pytest.mark.parametrize("text", ["[{}]", "{", "[3]", '[{"claim": "toy.good"}]'])
def test_a_record_that_cannot_be_read_is_a_usage_error(toy: Any, text: str) -> None:
    toy.add("good")
    toy.write()
    (toy.folder / "decided.json").write_text(text)
    forget()
    done = toy.pytester.runpytest_inprocess("claims", "-p", "no:cacheprovider", "-p", "no:cov")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "decided.json" in said(done)


def decide(*options: str) -> Any:
    """``omnigrok evidence decide``, after the files have changed."""
    forget()
    return CliRunner().invoke(main, ["evidence", "decide", *options])


def test_the_command_writes_what_a_replay_says(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence that is new, and not judged yet, makes its claim outdated; changed evidence, too."""
    record(toy, monkeypatch)
    toy.add("silent", experiments="[tiny]")
    toy.write()
    first = decide()
    assert first.exit_code == 0, first.output
    assert first.stdout == f"{Path('claims/decided.json')}: 2 verdicts\n"
    assert decide("--check").exit_code == 0
    entries = {entry.claim: entry for entry in load_decided(toy.folder)}
    assert entries["toy.silent"].verdict == "REPRODUCED"
    assert (entries["toy.good"].scale, entries["toy.good"].version) == ("full", 1)

    (path,) = (toy.folder / "evidence").glob("*.parquet")
    path.write_bytes(path.read_bytes() + b" ")
    _, document = audited(toy)
    assert set(agreement(document).values()) == {"outdated"}
    path.write_bytes(path.read_bytes()[:-1])

    toy.add("new", experiments="[tiny]")
    toy.write()
    done = decide("--check")
    assert done.exit_code == 1
    assert "is outdated; write it with omnigrok evidence decide" in done.output
    _, document = audited(toy)
    assert agreement(document)["toy.new"] == "outdated"


def test_only_a_whole_replay_of_today_is_written_down(
    toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(toy, monkeypatch)
    forget()
    toy.run("--replay", "--audit-json", "replay.json")
    replayed = json.loads(Path("replay.json").read_text())
    suite = load_suite(toy.folder)
    assert [entry.claim for entry in entries_of(suite, parse(replayed))] == ["toy.good"]
    for change in (
        {"tier": "smoke"},
        {"first_seed": 100},
        {"partial": "it was stopped"},
        {"device": "cpu"},
    ):
        with pytest.raises(BadInput, match="a whole replay"):
            entries_of(suite, parse({**replayed, **change}))
    with pytest.raises(BadInput, match=r"lacks toy\.good-paper, which have evidence: .*a whole"):
        entries_of(suite, parse({**replayed, "claims": []}))
    replayed["claims"][0]["digests"]["check"] = "0" * 16
    with pytest.raises(BadInput, match="another criterion or check"):
        entries_of(suite, parse(replayed))


def row(**fields: object) -> Row:
    return Row.model_validate({"verdict": "REFUTED", **fields})


def test_the_sentence() -> None:
    assert sentence([]) == ""
    assert sentence([row(id="a.b", protocol="paper", agreement=None)]) == ""
    rows = [
        row(id="a.b", protocol="paper", agreement="agrees"),
        row(id="a.c", protocol="paper", agreement="outdated"),
    ]
    assert sentence(rows) == (
        "evidence: 1 of the 1 claims that it decided agree, 0 undecided, 0 opposite, 1 outdated "
        "(a.c-paper): run omnigrok evidence decide"
    )
