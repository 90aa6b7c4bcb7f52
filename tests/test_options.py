"""Typed options: what is refused, in which words, and that the claims of this repository pass."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import Field

from omnigrok.data import find_task
from omnigrok.errors import BadInput
from omnigrok.models import find_model
from omnigrok.options import DataOptions, NetworkOptions
from omnigrok.run import Run
from omnigrok.suite.schema import Scale, Tier
from omnigrok.suite.suite import Setting, load_suite
from omnigrok.training.accepted import check_options
from omnigrok.training.work import step_operations

CLAIMS = Path(__file__).parents[1] / "claims"
IMAGES = {"source": "bundled", "n_test": 5}


def make(
    task: str, model: str, data: dict[str, Any] | None = None, network: dict[str, Any] | None = None
) -> Run:
    return Run(
        task=task,
        model=model,
        seed=0,
        n_train=20,
        steps=1,
        lr=1e-3,
        data=data or {},  # type: ignore[arg-type]
        network=network or {},  # type: ignore[arg-type]
    )


LAYERS = {"widths": [2, 3, 2], "activation": "tanh"}
MISSPELT = {
    "n_tset": (make("teacher_student", "mlp", {"n_tset": 7}, LAYERS), "n_test"),
    "actvation": (
        make("teacher_student", "mlp", network={"widths": [2, 3], "actvation": "tanh"}),
        "activation",
    ),
    "d_modle": (make("modular", "transformer", network={"d_modle": 64}), "d_model"),
    "shufle_labels": (
        make("modular", "transformer", {"shufle_labels": True}),
        "shuffle_labels",
    ),
    "hiden": (
        make("addition", "decoder", network={"hiden": [3], "activation": "relu"}),
        "hidden",
    ),
}


def build(run: Run, root: Path) -> None:
    find_task(run.task).split(run, root)
    find_model(run.model).build(run)


@pytest.mark.parametrize("key", MISSPELT)
def test_a_misspelt_option_is_refused_with_the_one_that_was_meant(key: str, tmp_path: Path) -> None:
    run, meant = MISSPELT[key]
    message = rf"unknown option '{key}' in (data|network) \(did you mean '{meant}'\?\); accepted: "
    with pytest.raises(BadInput, match=message):
        check_options([run])
    # What plans and what trains refuse it as well.
    with pytest.raises(BadInput, match=message):
        step_operations(run)
    with pytest.raises(BadInput, match=message):
        build(run, tmp_path)


@pytest.mark.parametrize("protocol", load_suite(CLAIMS).protocols)
def test_the_claims_of_this_repository_are_accepted(protocol: str) -> None:
    suite = load_suite(CLAIMS)
    checked = 0
    for figure in suite.figures:
        for name in figure.experiments:
            for tier in get_args(Tier):
                for scale in get_args(Scale):
                    setting = Setting(tier, protocol, scale)
                    runs = suite.runs(f"{figure.figure}:{name}", setting)
                    check_options(runs)
                    checked += len(runs)
    assert checked > 10_000


# Types


class Options(DataOptions):
    """Of a data set that does not exist."""

    size: Annotated[int, Field(ge=1)] = 3
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    kind: Literal["plain", "odd"] = "plain"
    some: bool | None = None
    name: str = ""
    path: Annotated[tuple[float, ...], Field(min_length=1)] = (1.0,)
    least: Annotated[int, Field(le=4)] = 4


def refusal(options: type[DataOptions | NetworkOptions], **data: Any) -> str:
    with pytest.raises(BadInput) as caught:
        options.of(make("mnist", "mlp", data, data))
    return str(caught.value).partition(": ")[2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 0}, "data.size = 0 is not accepted; a whole number of 1 or more"),
        ({"size": True}, "data.size = True is not accepted; a whole number of 1 or more"),
        ({"size": 1.0}, "data.size = 1.0 is not accepted; a whole number of 1 or more"),
        ({"size": "1"}, "data.size = '1' is not accepted; a whole number of 1 or more"),
        ({"share": 1}, "data.share = 1 is not accepted; a number above 0 and below 1"),
        ({"kind": "even"}, "data.kind = 'even' is not accepted; one of plain, odd"),
        ({"some": 1}, "data.some = 1 is not accepted; true or false, or null"),
        ({"name": 5}, "data.name = 5 is not accepted; a text"),
        ({"path": []}, "data.path = () is not accepted; a list of 1 or more values, each a number"),
        (
            {"path": [1.0, "x"]},
            "data.path = (1.0, 'x') is not accepted; a list of 1 or more values, each a number",
        ),
        ({"least": 5}, "data.least = 5 is not accepted; a whole number of 4 or less"),
    ],
)
def test_types_are_strict_and_the_message_says_what_is_accepted(
    given: dict[str, Any], message: str
) -> None:
    assert refusal(Options, **given) == message


def test_a_value_is_quoted_up_to_200_characters() -> None:
    message = refusal(Options, kind="x" * 5000)
    assert "'" + "x" * 199 + "... is not accepted; one of" in message
    assert len(refusal(Options, **{"y" * 5000: 1})) < 400


def test_true_is_not_1_although_python_says_so() -> None:
    assert Options.of(make("mnist", "mlp", {"size": 1})).size == 1
    assert "size = True" in refusal(Options, size=True)
    assert Options.of(make("mnist", "mlp", {"some": True})).some is True
    assert "some = 1 " in refusal(Options, some=1)


def test_equal_options_are_checked_once() -> None:
    one, other = make("mnist", "mlp", {"size": 4}), make("qm9", "mlp", {"size": 4})
    assert Options.of(one) is Options.of(other)


def test_the_module_is_named_as_a_run_names_it() -> None:
    assert find_task("mnist").Options.owner() == "mnist"  # type: ignore[attr-defined]
    assert Options.owner() == __name__


def test_a_misspelt_option_is_named_before_what_it_left_out_or_what_else_is_wrong() -> None:
    class Needs(NetworkOptions):
        widths: tuple[int, ...]

    assert refusal(Needs) == ("network needs widths; a list of values, each a whole number")
    assert refusal(Needs, wdiths=[1]) == (
        "unknown option 'wdiths' in network (did you mean 'widths'?); accepted: widths"
    )


# Options of the other kind


def test_an_option_is_read_from_the_other_kind_only_where_that_is_declared() -> None:
    find_model("decoder").build(
        make("addition", "decoder", {"target_dim": 4}, {"hidden": [3], "activation": "relu"})
    )
    with pytest.raises(BadInput, match="decoder: unknown option 'target_dim' in network"):
        check_options([make("addition", "decoder", network={"target_dim": 4, "hidden": [3]})])


def test_a_teacher_needs_the_networks_widths(tmp_path: Path) -> None:
    run = make("teacher_student", "transformer")
    with pytest.raises(BadInput, match="teacher_student: network needs widths"):
        find_task("teacher_student").split(run, tmp_path)


# Modules from outside

BUILD = "from torch import nn\ndef build(run): return nn.Linear(2, 2)\n"
DECLARED = """
from omnigrok.options import NetworkOptions
class Options(NetworkOptions):
    gain: int = 1
"""
OTHER = """
class Options:
    pass
"""


def outside(
    package: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, network: dict[str, Any]
) -> Run:
    (folder / package).mkdir()
    (folder / package / "__init__.py").touch()
    (folder / package / "model.py").write_text(BUILD + text)
    monkeypatch.syspath_prepend(str(folder))
    return make("mnist", f"{package}.model", IMAGES, network)


@pytest.mark.parametrize("text", ["", OTHER])
def test_a_module_from_outside_may_go_without(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = "has_other_options" if text else "has_no_options"
    check_options([outside(package, text, tmp_path, monkeypatch, {"anything": 7})])


def test_a_module_from_outside_may_declare_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = outside("has_options", DECLARED, tmp_path, monkeypatch, {"gian": 7})
    with pytest.raises(
        BadInput,
        match=r"has_options\.model: unknown option 'gian' in network \(did you mean 'gain'",
    ):
        step_operations(run)
    check_options([run.replace(network={"gain": 7})])
