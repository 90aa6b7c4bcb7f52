"""The CPU quota of a container, read from files as Linux writes them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from omnigrok.training.quota import cpu_quota


def quota(folder: Path, own: str, files: dict[str, str]) -> float:
    for name, text in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "own").write_text(own)
    return cpu_quota(folder / "cgroup", folder / "own")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", {}, math.inf),
        (
            "0::/pod/box\n",
            {
                "pod/box/cpu.max": "max 100000",
                "pod/cpu.max": "200000 100000",
                "cpu.max": "400000 100000",
            },
            2.0,
        ),
        # Docker without a namespace names the group of the host, and mounts the container's own at
        # the top.
        ("0::/docker/0123\n", {"cpu.max": "50000 100000"}, 0.5),
        (
            "4:cpu,cpuacct:/box\n",
            {
                "cpu,cpuacct/box/cpu.cfs_quota_us": "300000\n",
                "cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        (
            "4:cpuacct,cpu:/docker/0123\n",
            {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"},
            1.0,
        ),
        (
            "4:cpu:/\n0::/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            math.inf,
        ),
        (
            "3:cpuset:/\n",
            {"cpuset/cpu.cfs_quota_us": "100000", "cpuset/cpu.cfs_period_us": "100000"},
            math.inf,
        ),
        ("0::/\n", {"cpu.max": "100000 0"}, math.inf),
        ("0::/\n", {"cpu.max": "many cores"}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_quota(tmp_path: Path, own: str, files: dict[str, str], expected: float) -> None:
    assert quota(tmp_path, own, files) == expected


def test_a_machine_without_control_groups_has_none(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "none", tmp_path / "neither") == math.inf


def test_here() -> None:
    assert cpu_quota() > 0
