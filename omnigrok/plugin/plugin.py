"""The pytest plugin: options, one item a claim and protocol, its control another, verdicts as test
outcomes.

pytest loads it by itself for a folder of claims (``omnigrok.plugin.entry``); where plugins are not
loaded automatically, a root conftest with ``pytest_plugins = ["omnigrok.plugin.plugin"]`` or
``-p omnigrok.plugin.plugin`` does.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from omnigrok.audit.case import ROLES, Case
from omnigrok.audit.deviation import Deviation, find_deviation
from omnigrok.audit.outcome import (
    ClaimInconclusive,
    ClaimRefuted,
    ControlReproduced,
    DeviationMoved,
    Outcome,
)
from omnigrok.audit.session import AuditSession, NotRun, Request
from omnigrok.audit.universes import judge_further
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.execution.interruption import BudgetSpent
from omnigrok.forecast.forecast import forecast
from omnigrok.forecast.text import lines
from omnigrok.plugin import words
from omnigrok.plugin.arguments import check_paths, read_options
from omnigrok.plugin.collected import id_with_two_checks, misspelt_keyword
from omnigrok.plugin.command_line import add_options
from omnigrok.plugin.controller import (
    DEVICE,
    HINT,
    KNOWN,
    PROPERTY,
    RAISED,
    USAGE,
    Controller,
    ExitStatus,
    outcome_of,
)
from omnigrok.plugin.github import GitHub, on_github
from omnigrok.plugin.gpus import assign_gpu, worker_number
from omnigrok.plugin.junit import NAMES, properties
from omnigrok.plugin.known import Known, is_known
from omnigrok.plugin.notes import Notes
from omnigrok.plugin.progress import ProgressPrinter
from omnigrok.plugin.training_cost import TrainingCost
from omnigrok.spelling import did_you_mean
from omnigrok.stats.finding import Verdict
from omnigrok.suite.schema import item_name
from omnigrok.suite.suite import id_in_two_files, load_suite
from omnigrok.training.device import share_cores

_session = pytest.StashKey[AuditSession]()
_request = pytest.StashKey[Request]()
_outcome = pytest.StashKey[Outcome]()
_known = pytest.StashKey[Known]()
_unknown = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    config = cast("pytest.Config | None", pluginmanager.get_plugin("pytestconfig"))
    add_options(parser, config.invocation_params.args if config is not None else ())


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "claim(id): this test is the check of one claim of the paper; see the YAML file next to it",
    )
    # Not from the environment, which a pytest within a worker of another inherits.
    worker = worker_number(getattr(config, "workerinput", {}).get("workerid", ""))
    if config.getoption("audit_gpu") and worker is not None:
        assign_gpu(worker)
    config.pluginmanager.register(ProgressPrinter(config), "omnigrok-progress")
    config.pluginmanager.register(Notes(config), "omnigrok-notes")
    config.pluginmanager.register(words, "omnigrok-words")
    config.stash[_known] = Known(config)
    config.pluginmanager.register(config.stash[_known], "omnigrok-known")
    share_cores()
    read_options(config)
    if not hasattr(config, "workerinput"):
        check_paths(config)
        controller = Controller(config)
        config.pluginmanager.register(controller, "omnigrok-controller")
        config.pluginmanager.register(ExitStatus(controller), "omnigrok-exit-status")
        if on_github():
            config.pluginmanager.register(GitHub(controller), "omnigrok-github")
        if TrainingCost.wanted(config):
            config.pluginmanager.register(
                TrainingCost(config, outcome_of), "omnigrok-training-cost"
            )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("claim")
    if mark is None:
        return
    claim_id = mark.args[0]
    if "case" not in metafunc.fixturenames:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: the check of {claim_id} has to take the argument case"
        )
    path = Path(str(metafunc.definition.path))
    figure_file = path.with_name(path.stem.removeprefix("test_") + ".yaml")
    wanted = metafunc.config.getoption("audit_protocol")
    values = []
    suite = load_suite(figure_file.parent)
    try:
        figure = suite.figure(figure_file.stem)
        claim = figure.claim(claim_id)
        suite.make_importable()
        wanted = wanted or suite.protocols[0]
        if wanted not in ("all", *suite.protocols):
            # Said once collecting is done: raised here it would be an error of this file alone.
            metafunc.config.stash[_unknown] = (
                f"--protocol {wanted}{did_you_mean(wanted, suite.protocols)}: "
                f"{suite.folder.name}/ has {', '.join(suite.protocols)}, and all"
            )
    except OmnigrokError as error:
        raise pytest.UsageError(str(error)) from None
    tier = read_options(metafunc.config).tier
    for protocol in (
        claim.protocols if wanted == "all" else [each for each in claim.protocols if each == wanted]
    ):
        for role in ROLES:
            request = Request(suite, figure, claim, protocol, role, metafunc.function)
            marks = []
            known = find_deviation(suite.folder, claim_id, tier, protocol, claim.version)
            if role == "claim" and known is not None and known.verdict == "REFUTED":
                marks.append(
                    pytest.mark.xfail(strict=True, raises=ClaimRefuted, reason="recorded deviation")
                )
            values.append(
                pytest.param(
                    request,
                    id=item_name(claim_id, protocol) + ("-control" if role == "control" else ""),
                    marks=marks,
                )
            )
    metafunc.parametrize("case", values, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    """Look at all claims before any is deselected, and arrange those that are left.

    Raises:
        pytest.UsageError: an id has two checks, or is in two figure files.
    """
    collected = [(item, request) for item in items if (request := _request_of(item)) is not None]
    problem = config.stash.get(_unknown, "") or _problem(collected)
    if problem and not hasattr(config, "workerinput"):
        raise pytest.UsageError(problem)
    if problem:
        _tell(
            config, USAGE, problem
        )  # the controller ends the session; an error here would be a crash of the worker
        items.clear()
    yield
    _arrange(config, items)
    keyword = config.getoption("keyword")
    if keyword and not any(_request in item.stash for item in items):
        _tell(
            config, HINT, misspelt_keyword(keyword, {request.claim.id for _, request in collected})
        )


def _problem(collected: list[tuple[pytest.Item, Request]]) -> str:
    checks = (
        (request.suite.folder, request.claim.id, re.sub(r"\[.*", "", item.nodeid))
        for item, request in collected
    )
    if problem := id_with_two_checks(checks):
        return problem
    suites = dict.fromkeys(request.suite for _, request in collected)
    return next(
        (
            f"{suite.folder}: {problem}"
            for suite in suites
            if (problem := id_in_two_files(suite.readable))
        ),
        "",
    )


def _tell(config: pytest.Config, key: str, text: str) -> None:
    """Leave a word for the controller: in this process, or with what a worker sends it at
    its end.
    """
    controller = config.pluginmanager.get_plugin("omnigrok-controller")
    if controller is not None:
        controller.notes[key] = text
    else:
        cast("Any", config).workeroutput[key] = text


def _arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop claims that have no form under the chosen protocol, put what reads all the others last,
    and plan once for what is left.
    """
    kept, dropped = [], []
    for item in items:
        request = _request_of(item)
        if item.get_closest_marker("claim") and request is None:
            dropped.append(item)
            continue
        if request is not None:
            item.stash[_request] = request
        kept.append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    items[:] = sorted(kept, key=_turn)
    requests = [item.stash[_request] for item in items if _request in item.stash]
    printer = config.pluginmanager.get_plugin("omnigrok-progress")
    more = (
        {"report": printer.update, "say": printer.say, "begins": printer.begins} if printer else {}
    )
    config.stash[_session] = AuditSession(read_options(config), requests, **more)
    config.stash[_known].open(config.stash[_session])


def _turn(item: pytest.Item) -> int:
    """0 for most, 1 for claims about other figures, 2 for timings: the conclusions need everybody's
    runs, and an audit can be stopped.
    """
    if "benchmark" in getattr(item, "fixturenames", ()):
        return 2
    request = item.stash.get(_request, None)
    return int(request is not None and not request.figure.experiments)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With ``--plan``: the forecast instead of the tests."""
    audit = session.config.stash.get(_session, None)
    if not session.config.getoption("audit_plan") or audit is None:
        return None
    reporter = cast(
        "pytest.TerminalReporter", session.config.pluginmanager.get_plugin("terminalreporter")
    )
    for line in lines(forecast(audit), audit.options, audit.device):
        reporter.write_line(line)
    return True


def _request_of(item: pytest.Item) -> Request | None:
    callspec = getattr(item, "callspec", None)
    value = callspec.params.get("case") if callspec is not None else None
    return value if isinstance(value, Request) else None


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The claim under test with its curves: trained here, or read from the store or the evidence.

    Training and loading happen in this set-up, so that their failures are pytest errors.
    """
    session = request.config.stash[_session]
    wanted: Request = request.param
    outcome = request.config.stash[_known].find(request.node, wanted)
    if outcome is not None:
        return _judged_before(request.node, wanted, outcome)
    try:
        prepared = session.case(wanted)
        if session.options.engine != "local":
            _tell(request.config, DEVICE, session.device_name)
    except (NotRun, BudgetSpent) as error:
        outcome = Outcome.without_findings(
            wanted.claim,
            wanted.figure.figure,
            wanted.protocol,
            session.options.tier,
            wanted.role,
            Verdict.NOT_RUN,
            str(error),
            unfinished=isinstance(error, BudgetSpent),
        )
        request.config.stash[_known].keep(wanted, outcome)
        _skip_not_run(request.node, outcome)
    return prepared


def _skip_not_run(item: pytest.Item, outcome: Outcome) -> NoReturn:
    item.stash[_outcome] = outcome
    pytest.skip(f"NOT RUN: {outcome.reason}")


def _judged_before(item: pytest.Item, request: Request, outcome: Outcome) -> Case:
    if outcome.verdict is Verdict.NOT_RUN:
        _skip_not_run(item, outcome)
    return Case(
        claim=request.claim,
        figure=request.figure.figure,
        protocol=request.protocol,
        tier=item.config.stash[_session].options.tier,
        role=request.role,
        grids={},
        outcome=outcome,
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget what an earlier attempt at the same item came to."""
    if _request in item.stash:
        if _outcome in item.stash:
            del item.stash[_outcome]
        item.user_properties[:] = [each for each in item.user_properties if each[0] not in NAMES]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Turn the outcome of a check into what pytest reports."""
    if pyfuncitem.stash.get(_request, None) is None:
        return (yield)
    case = cast("Case", pyfuncitem.funcargs["case"])
    try:
        try:
            result = yield
        except ClaimRefuted:
            if case.outcome is None or case.outcome.verdict is not Verdict.REFUTED:
                raise
            result = True
        if case.outcome is not None and not is_known(pyfuncitem):
            _judge_further(pyfuncitem, case)
            pyfuncitem.config.stash[_known].keep(pyfuncitem.stash[_request], case.outcome)
    except (pytest.skip.Exception, pytest.xfail.Exception) as error:
        word = "xfail" if isinstance(error, pytest.xfail.Exception) else "skip"
        raise BadInput(
            f"the check of {case.claim.id} called pytest.{word} ({error}): a check has to judge, "
            "or to raise"
        ) from error
    if case.outcome is None:
        raise AssertionError(
            f"the check of {case.claim.id} ended without a judgement; call case.judge(findings)"
        )
    _settled(pyfuncitem, case.outcome)
    _report(pyfuncitem, case.outcome)
    return result


def _judge_further(item: pytest.Function, case: Case) -> None:
    session = item.config.stash[_session]
    universes = bool(item.config.getoption("audit_universes"))
    judge_further(item.stash[_request].check, case, universes, session.cache("universes"))


def _settled(item: pytest.Function, outcome: Outcome) -> None:
    known = _deviation(item) if outcome.role == "claim" else None
    covered = known is not None and known.covers(outcome)
    item.stash[_outcome] = replace(outcome, deviation=known.why) if known and covered else outcome
    if known is not None and not covered and outcome.verdict is Verdict.REFUTED:
        raise DeviationMoved(
            f"{outcome.claim}: the recorded deviation ({known.verdict}, {known.finding} in "
            f"{known.interval}) no longer covers what was found"
        )


def _deviation(item: pytest.Item) -> Deviation | None:
    """The deviation recorded for the claim of an item, under its protocol and tier."""
    request, tier = item.stash[_request], item.config.stash[_session].options.tier
    claim = request.claim
    return find_deviation(request.suite.folder, claim.id, tier, request.protocol, claim.version)


def _report(item: pytest.Function, outcome: Outcome) -> None:
    strict = item.config.getoption("audit_strict_verdicts")
    if outcome.role == "control":
        if outcome.verdict is Verdict.REPRODUCED:
            raise ControlReproduced(
                f"the control of {outcome.claim} came out REPRODUCED: {outcome.reason}"
            )
        if outcome.verdict is Verdict.INCONCLUSIVE:
            pytest.skip(f"weak control: {outcome.reason}")
    elif outcome.verdict is Verdict.REFUTED:
        raise ClaimRefuted(outcome.reason)  # the check has swallowed it
    elif outcome.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_RUN):
        if strict and outcome.verdict is Verdict.INCONCLUSIVE:
            raise ClaimInconclusive(outcome.reason)
        pytest.skip(f"{outcome.verdict.value}: {outcome.reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the outcome to the report, which travels from worker to controller."""
    report = yield
    request = item.stash.get(_request, None)
    if request is None or call.when == "teardown" or (call.when == "setup" and report.passed):
        return report
    outcome = item.stash.get(_outcome, None)
    error = call.excinfo
    verdicts = (
        ClaimRefuted,
        ClaimInconclusive,
        ControlReproduced,
        DeviationMoved,
        pytest.skip.Exception,
    )
    judged = outcome is not None and error is not None and isinstance(error.value, verdicts)
    if error is not None and not judged:
        outcome = _error_outcome(item, request, error.value)
    if error is not None and isinstance(error.value, OmnigrokError) and report.failed:
        # These messages say all there is to say; a traceback would bury them.
        report.longrepr = f"{type(error.value).__name__}: {error.value}"
    if outcome is None:
        return report
    if not report.failed and _has_to_fail(item, outcome):
        report.outcome, report.longrepr = "failed", f"{outcome.verdict.value}: {outcome.reason}"
        vars(report).pop("wasxfail", None)
    row = outcome.row()
    for_people = list(properties(row))
    report.user_properties += [
        (PROPERTY, row.model_dump_json()),
        (RAISED, type(error.value).__name__ if error is not None else ""),
        *([(KNOWN, True)] if is_known(item) else []),
        *for_people,
    ]
    item.user_properties += for_people  # of the report after the teardown, which JUnit reads
    return report


def _has_to_fail(item: pytest.Item, outcome: Outcome) -> bool:
    """Whether a verdict is a failure, whatever marks (``skip``, ``xfail``) its check bears."""
    if outcome.verdict is Verdict.ERROR:
        return True
    if outcome.role == "control":
        return outcome.verdict is Verdict.REPRODUCED
    known = _deviation(item)
    return outcome.verdict is Verdict.REFUTED and (known is None or known.verdict != "REFUTED")


def _error_outcome(item: pytest.Item, request: Request, error: BaseException) -> Outcome:
    claim = request.claim
    session = item.config.stash[_session]
    text = (
        f"{type(error).__name__}: {error}" if not isinstance(error, OmnigrokError) else str(error)
    )
    return Outcome.without_findings(
        claim,
        request.figure.figure,
        request.protocol,
        session.options.tier,
        request.role,
        Verdict.ERROR,
        " ".join(text.split())[:600],
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    session = config.stash.get(_session, None)
    if session is not None:
        session.close()
