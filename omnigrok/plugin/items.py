"""Which items there are: one a claim and protocol, its control another; their order, one plan for
all of them, and ``--plan``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Generator
from pathlib import Path
from typing import cast

import pytest

from omnigrok.audit.case import ROLES
from omnigrok.audit.deviation import find_deviation
from omnigrok.audit.outcome import ClaimRefuted
from omnigrok.audit.session import AuditSession, Request
from omnigrok.errors import OmnigrokError
from omnigrok.forecast.forecast import forecast
from omnigrok.forecast.text import lines
from omnigrok.plugin.arguments import read_options
from omnigrok.plugin.collected import id_used_twice, misspelt_keyword
from omnigrok.plugin.controller import HINT, USAGE
from omnigrok.plugin.replication import problem as problem_of_retrained
from omnigrok.plugin.stash import KNOWN_BEFORE, REQUEST, SESSION, UNKNOWN_PROTOCOL, tell
from omnigrok.spelling import did_you_mean
from omnigrok.suite.schema import item_name
from omnigrok.suite.suite import id_in_two_files, load_suite


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("claim")
    if mark is None:
        return
    claim_id = mark.args[0]
    arguments = tuple(inspect.signature(metafunc.function).parameters)
    if arguments != ("case",):
        # It is called with further cases, where pytest gives it nothing.
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: the check of {claim_id} takes "
            f"({', '.join(arguments)}); a check has to take the argument case and no other: make "
            "it a function outside of classes, and let it find the rest by itself"
        )
    path = Path(str(metafunc.definition.path))
    figure_file = path.with_name(path.stem.removeprefix("test_") + ".yaml")
    wanted = metafunc.config.getoption("audit_protocol")
    values = []
    suite, tier = load_suite(figure_file.parent), read_options(metafunc.config).tier
    try:
        figure = suite.figure(figure_file.stem)
        claim = figure.claim(claim_id)
        suite.make_importable()
        wanted = wanted or suite.protocols[0]
        if wanted not in ("all", *suite.protocols):
            # Said once collecting is done: raised here it would be an error of this file alone.
            metafunc.config.stash[UNKNOWN_PROTOCOL] = (
                f"--protocol {wanted}{did_you_mean(wanted, suite.protocols)}: "
                f"{suite.folder.name}/ has {', '.join(suite.protocols)}, and all"
            )
        deviations = {
            protocol: find_deviation(suite.folder, claim_id, tier, protocol, claim.version)
            for protocol in claim.protocols
        }
    except OmnigrokError as error:
        raise pytest.UsageError(str(error)) from None
    for protocol in (
        claim.protocols if wanted == "all" else [each for each in claim.protocols if each == wanted]
    ):
        for role in ROLES:
            request = Request(suite, figure, claim, protocol, role, metafunc.function)
            marks = []
            known = deviations[protocol]
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
        pytest.UsageError: an id has two checks, or is in two figure files or folders; or what was
            trained again cannot be read.
    """
    collected = [(item, request) for item in items if (request := _request_of(item)) is not None]
    problem = config.stash.get(UNKNOWN_PROTOCOL, "") or _problem(config, collected)
    if problem and not hasattr(config, "workerinput"):
        raise pytest.UsageError(problem)
    if problem:
        tell(
            config, USAGE, problem
        )  # the controller ends the session; an error here would be a crash of the worker
        items.clear()
    yield
    _arrange(config, items)
    keyword = config.getoption("keyword")
    if keyword and not any(REQUEST in item.stash for item in items):
        tell(
            config, HINT, misspelt_keyword(keyword, {request.claim.id for _, request in collected})
        )


def _problem(config: pytest.Config, collected: list[tuple[pytest.Item, Request]]) -> str:
    checks = (
        (request.suite.folder.resolve(), request.claim.id, re.sub(r"\[.*", "", item.nodeid))
        for item, request in collected
    )
    if problem := id_used_twice(checks):
        return problem
    suites = dict.fromkeys(request.suite for _, request in collected)
    for suite in suites:
        if problem := id_in_two_files(suite.readable):
            return f"{suite.folder}: {problem}"
    return problem_of_retrained(config, {suite.folder for suite in suites})


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
            item.stash[REQUEST] = request
        kept.append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    items[:] = sorted(kept, key=_turn)
    requests = [item.stash[REQUEST] for item in items if REQUEST in item.stash]
    printer = config.pluginmanager.get_plugin("omnigrok-progress")
    more = (
        {"report": printer.update, "say": printer.say, "begins": printer.begins} if printer else {}
    )
    config.stash[SESSION] = AuditSession(read_options(config), requests, **more)
    config.stash[KNOWN_BEFORE].open(config.stash[SESSION])


def _turn(item: pytest.Item) -> int:
    """0 for most, 1 for claims about other figures, 2 for timings: the conclusions need everybody's
    runs, and an audit can be stopped.
    """
    if "benchmark" in getattr(item, "fixturenames", ()):
        return 2
    request = item.stash.get(REQUEST, None)
    return int(request is not None and not request.figure.experiments)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With ``--plan``: the forecast instead of the tests."""
    audit = session.config.stash.get(SESSION, None)
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
