"""How much processor time a container lets its processes have, in cores (Linux control groups)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cpu_quota(groups: Path = GROUPS, own: Path = OWN) -> float:
    """The smallest quota of this process's control group and of those above it; infinity if there
    is none.

    Version 2 states it in ``cpu.max`` ("150000 100000" is one and a half cores), version 1 in
    ``cpu.cfs_quota_us`` and ``cpu.cfs_period_us``. What cannot be read limits nothing.

    Args:
        groups: where the control groups are mounted.
        own: lists the groups of this process.
    """
    return min((_limit(folder) for folder in _folders(groups, own)), default=math.inf)


def _folders(groups: Path, own: Path) -> Iterator[Path]:
    """The group's folder and all above it, up to the mount: a container may see only the top."""
    for line in _read(own).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        mounts = [groups] if not controllers else [groups / controllers, groups / "cpu"]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in mounts:
            folder = mount / path.strip("/")
            yield from (each for each in (folder, *folder.parents) if each.is_relative_to(mount))


def _limit(folder: Path) -> float:
    quota, _, period = _read(folder / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = (
            _read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")
        )
    # "max" and -1 stand for no quota.
    return (
        int(quota) / int(period)
        if quota.isdigit() and period.isdigit() and int(period) > 0
        else math.inf
    )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
