"""A claim's case as a fixture, and its verdict as what pytest reports."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any, NoReturn, cast

import pytest

from omnigrok.audit.case import Case
from omnigrok.audit.deviation import Deviation, find_deviation
from omnigrok.audit.outcome import (
    ClaimInconclusive,
    ClaimRefuted,
    ControlReproduced,
    DeviationMoved,
    Outcome,
)
from omnigrok.audit.session import NotRun, Request
from omnigrok.audit.universes import judge_further
from omnigrok.errors import BadInput, OmnigrokError
from omnigrok.execution.interruption import BudgetSpent
from omnigrok.plugin.controller import DEVICE, KNOWN, PROPERTY, RAISED
from omnigrok.plugin.junit import NAMES, properties
from omnigrok.plugin.known import is_known
from omnigrok.plugin.stash import KNOWN_BEFORE, OUTCOME, REQUEST, SESSION, tell
from omnigrok.stats.finding import Verdict


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The claim under test with its curves: trained here, or read from the store or the evidence.

    Training and loading happen in this set-up, so that their failures are pytest errors.
    """
    session = request.config.stash[SESSION]
    wanted: Request = request.param
    outcome = request.config.stash[KNOWN_BEFORE].find(request.node, wanted)
    if outcome is not None:
        return _judged_before(request.node, wanted, outcome)
    try:
        prepared = session.case(wanted)
        if session.options.engine != "local":
            tell(request.config, DEVICE, session.device_name)
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
        request.config.stash[KNOWN_BEFORE].keep(wanted, outcome)
        _skip_not_run(request.node, outcome)
    return prepared


def _skip_not_run(item: pytest.Item, outcome: Outcome) -> NoReturn:
    item.stash[OUTCOME] = outcome
    pytest.skip(f"NOT RUN: {outcome.reason}")


def _judged_before(item: pytest.Item, request: Request, outcome: Outcome) -> Case:
    if outcome.verdict is Verdict.NOT_RUN:
        _skip_not_run(item, outcome)
    return Case(
        claim=request.claim,
        figure=request.figure.figure,
        protocol=request.protocol,
        tier=item.config.stash[SESSION].options.tier,
        role=request.role,
        grids={},
        outcome=outcome,
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget what an earlier attempt at the same item came to."""
    if REQUEST in item.stash:
        if OUTCOME in item.stash:
            del item.stash[OUTCOME]
        item.user_properties[:] = [each for each in item.user_properties if each[0] not in NAMES]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Turn the outcome of a check into what pytest reports."""
    if pyfuncitem.stash.get(REQUEST, None) is None:
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
            case.outcome.row()  # what the document refuses is an error of this check
            pyfuncitem.config.stash[KNOWN_BEFORE].keep(pyfuncitem.stash[REQUEST], case.outcome)
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
    session = item.config.stash[SESSION]
    universes = bool(item.config.getoption("audit_universes"))
    judge_further(item.stash[REQUEST].check, case, universes, session.cache("universes"))


def _settled(item: pytest.Function, outcome: Outcome) -> None:
    known = _deviation(item) if outcome.role == "claim" else None
    covered = known is not None and known.covers(outcome)
    item.stash[OUTCOME] = replace(outcome, deviation=known.why) if known and covered else outcome
    if known is not None and not covered and outcome.verdict is Verdict.REFUTED:
        raise DeviationMoved(
            f"{outcome.claim}: the recorded deviation ({known.verdict}, {known.finding} in "
            f"{known.interval}) no longer covers what was found"
        )


def _deviation(item: pytest.Item) -> Deviation | None:
    """The deviation recorded for the claim of an item, under its protocol and tier."""
    request, tier = item.stash[REQUEST], item.config.stash[SESSION].options.tier
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
    request = item.stash.get(REQUEST, None)
    if request is None or call.when == "teardown" or (call.when == "setup" and report.passed):
        return report
    outcome = item.stash.get(OUTCOME, None)
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
    try:
        row = outcome.row()
    except BadInput as refused:
        outcome = _error_outcome(item, request, refused)
        row = outcome.row()
    if not report.failed and _has_to_fail(item, outcome):
        report.outcome, report.longrepr = "failed", f"{outcome.verdict.value}: {outcome.reason}"
        vars(report).pop("wasxfail", None)
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
    session = item.config.stash[SESSION]
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
