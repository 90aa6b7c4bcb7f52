"""The time that is left, once the rate is steady enough for a guess that holds."""

from __future__ import annotations

from bisect import bisect_right

from omnigrok.execution.tally import Progress

# At first a session reads data and compiles, at a rate that says nothing about the hours to come.
SHORTEST = 20.0
STEADY = 1.5


class Pace:
    """Remembers how far a session had come when.

    The first line of a long audit used to promise 238 hours, the next 12, the tenth four; it took
    under one. So no time is given before two forecasts of the whole, one from the time up to now
    and one from half of it, agree within a factor ``STEADY``.
    """

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._shares: list[float] = []

    def left(self, progress: Progress) -> tuple[float, float] | None:
        """Seconds until all is trained, by the more and by the less hopeful of the two forecasts;
        None while that cannot be told.

        Args:
            progress: of now; calls come in the order of time.
        """
        self._seconds.append(progress.seconds)
        self._shares.append(progress.share)
        if progress.share >= 1.0:
            return 0.0, 0.0
        before = bisect_right(self._seconds, progress.seconds / 2) - 1
        if (
            progress.seconds < SHORTEST
            or before < 0
            or not self._shares[before] > 0
            or not progress.share > 0
        ):
            return None
        whole, earlier = (
            progress.seconds / progress.share,
            self._seconds[before] / self._shares[before],
        )
        if not 1 / STEADY <= whole / earlier <= STEADY:
            return None
        low, high = sorted((whole, earlier))
        return low * (1 - progress.share), high * (1 - progress.share)
