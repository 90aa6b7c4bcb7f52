from __future__ import annotations

import pytest

from omnigrok.bench.families import FAMILIES


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("omnigrok benchmarks")
    group.addoption(
        "--bench-family",
        action="append",
        choices=list(FAMILIES),
        help="only this family; may be repeated",
    )
    group.addoption("--bench-device", choices=["cpu", "cuda"], help="only this device")
    group.addoption(
        "--bench-rounds",
        type=int,
        default=5,
        help="rounds, in each of which every variant has its turn",
    )
