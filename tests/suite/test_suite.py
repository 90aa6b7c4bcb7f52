"""A claims folder as a value: ``audit.yaml``, figures, experiments, Runs, the headline family."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnigrok.errors import BadInput
from omnigrok.suite.suite import Setting, load_suite

FIGURE = """
figure: {name}
title: t
place: p
experiments:
  e:
    base: {{task: addition, model: decoder, n_train: 10, lr: 0.01, steps: 100}}
    sweep: {{seed: {{count: 2}}}}
claims:
  - {{id: {name}.a, statement: s, place: p, experiments: [{experiment}], protocols: [{protocol}],
     headline: {headline}, criterion: {{x: {{above: 0}}}}, control: {{why: w}}, "null": sign flips}}
"""


def write(folder: Path, name: str = "toy", **more: str) -> None:
    fields = {"experiment": "e", "protocol": "paper", "headline": "false", **more}
    (folder / f"{name}.yaml").write_text(FIGURE.format(name=name, **fields))
    (folder / f"test_{name}.py").touch()


def about(folder: Path, text: str) -> None:
    (folder / "audit.yaml").write_text(f"title: A paper\n{text}")


def test_without_audit_yaml_the_folder_gives_the_title(tmp_path: Path) -> None:
    write(tmp_path)
    suite = load_suite(tmp_path)
    assert suite.about.title == tmp_path.name
    assert suite.protocols == ("paper", "code")
    assert suite.about.protocols["code"].as_published


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("titel: x\n", r"titel: .*accepted keys: schema_version, title"),
        ("protocols: {}\n", "protocols: .*at least 1 item"),
        ("protocols: {all: {about: x}}\n", "not all"),
        ("protocols: {Paper: {about: x}}\n", "lower-case letters"),
        ("protocols: {paper: {abuot: x}}\n", r"accepted keys: about, as_published"),
        ("protocols: {paper: {about: x}}\nschema_version: 2\n", "schema_version: .*1"),
        ("protocols: {paper: {about: x}}\nlink: 'javascript:x'\n", "link: .*pattern"),
        ("protocols: {paper: {about: x}}\npanels: 'os; x'\n", "panels: .*pattern"),
        ("[]", "not valid YAML"),
    ],
)
def test_audit_yaml_is_checked(tmp_path: Path, text: str, message: str) -> None:
    about(tmp_path, text)
    with pytest.raises(BadInput, match=rf"audit\.yaml: .*{message}"):
        load_suite(tmp_path).about  # noqa: B018 (reads the file)


def test_a_figure_may_name_the_suites_protocols_alone(tmp_path: Path) -> None:
    about(tmp_path, "protocols: {text: {about: x}, original: {about: y}}\n")
    write(tmp_path, protocol="origina")
    with pytest.raises(
        BadInput,
        match=r"unknown protocol 'origina' \(did you mean 'original'\?\); .*text, original",
    ):
        load_suite(tmp_path).figure("toy")


def test_an_experiment_of_another_figure_is_found_with_its_readers(tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "two", experiment="'one:e'", protocol="code")
    suite = load_suite(tmp_path)
    figure, claim = suite.claim("two.a")
    assert suite.experiments(figure, claim) == {"one:e": "one:e"}
    assert [claim.id for _, claim in suite.readers("one:e")] == ["one.a", "two.a"]
    assert suite.protocols_of("one:e") == ["paper", "code"]
    assert suite.protocols_of("two:e") == []


def test_runs_are_the_same_tuple_and_seeds_can_be_others(tmp_path: Path) -> None:
    write(tmp_path)
    suite = load_suite(tmp_path)
    runs = suite.runs("toy:e", Setting("paper", "paper"))
    assert runs is suite.runs("toy:e", Setting("paper", "paper"))
    again = suite.runs("toy:e", Setting("paper", "paper", first_seed=7))
    assert [run.seed for run in again] == [run.seed + 7 for run in runs] == [7, 8]


def test_unknown_names_are_told_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path)
    suite = load_suite(tmp_path)
    with pytest.raises(BadInput, match=r"unknown claim 'toy.b' \(did you mean 'toy.a'\?\)"):
        suite.claim("toy.b")
    with pytest.raises(BadInput, match=r"toy\.yaml has no experiment 'f'; it has e"):
        suite.runs("toy:f", Setting("paper", "paper"))


def test_the_headline_family_is_what_the_figures_mark(tmp_path: Path) -> None:
    write(tmp_path, "one", headline="true")
    write(tmp_path, "two", headline="true", protocol="code")
    write(tmp_path, "three")
    suite = load_suite(tmp_path)
    assert suite.headline("paper") == ("one.a",)
    assert suite.headline("code") == ("two.a",)


def test_a_family_is_not_made_smaller_by_a_figure_that_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, "one", headline="true")
    write(tmp_path, "two", headline="perhaps")
    with pytest.raises(BadInput, match=r"two\.yaml: claim two\.a: headline"):
        load_suite(tmp_path).headline("paper")
