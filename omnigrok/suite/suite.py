"""A claims folder as a value: what it audits, its figures, and the Runs that its claims need."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

from omnigrok.errors import BadInput
from omnigrok.run import Run
from omnigrok.spelling import did_you_mean
from omnigrok.suite.about import FILE, About, load_about
from omnigrok.suite.experiment import expand, reduction
from omnigrok.suite.schema import (
    Claim,
    Experiment,
    Figure,
    Protocol,
    Scale,
    Tier,
    forget_figures,
    load_figure,
)


@dataclass(frozen=True)
class Setting:
    """How the Runs of an experiment are to be made.

    Args:
        tier: "smoke" or "paper".
        protocol: one of the suite's.
        scale: of the paper tier.
        first_seed: added to every seed, for a replication with seeds of its own.
    """

    tier: Tier
    protocol: Protocol
    scale: Scale = "full"
    first_seed: int = 0

    def at(self, scale: Scale) -> Setting:
        """The same at another scale."""
        return replace(self, scale=scale)


@dataclass(frozen=True)
class Suite:
    """A claims folder; ``load_suite`` gives it. Files are read when they are asked for.

    Args:
        folder: with ``audit.yaml``, and a ``NAME.yaml`` and a ``test_NAME.py`` for each figure.
    """

    folder: Path
    _runs: dict[tuple[str, Setting], tuple[Run, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def about(self) -> About:
        """What ``audit.yaml`` says.

        Raises:
            BadInput: the file is not valid.
        """
        return load_about(self.folder)

    def make_importable(self) -> None:
        """Put the folder above the claims on the module path if it holds a package that
        ``audit.yaml`` names under ``modules``; nothing else of the claims folder's surroundings is
        importable.

        Raises:
            BadInput: ``audit.yaml`` is not valid.
        """
        above = self.folder.resolve().parent
        wanted = any((above / name).exists() for name in self.about.modules or ())
        if wanted and str(above) not in sys.path:
            sys.path.insert(0, str(above))

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """In the order of tables; the first is the default."""
        return tuple(self.about.protocols)

    def check_protocol(self, name: str) -> None:
        """Refuse a protocol that the suite lacks.

        Raises:
            BadInput: it does; the message names the nearest one.
        """
        if name not in self.protocols:
            raise BadInput(
                f"unknown protocol {name!r}{did_you_mean(name, self.protocols)}; {FILE} has "
                f"{', '.join(self.protocols)}"
            )

    def figure(self, name: str) -> Figure:
        """A figure file by its name.

        Raises:
            BadInput: the file is missing or not valid, or names a protocol that the suite lacks.
        """
        figure = load_figure(self.folder / f"{name}.yaml")
        named = {each for claim in figure.claims for each in claim.protocols}
        named |= {each for one in figure.experiments.values() for each in one.protocols}
        for protocol in sorted(named - set(self.protocols)):
            raise BadInput(
                f"{self.folder / name}.yaml: unknown protocol {protocol!r}"
                f"{did_you_mean(protocol, self.protocols)}; {FILE} has {', '.join(self.protocols)}"
            )
        return figure

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The figure files: each ``NAME.yaml`` that has a ``test_NAME.py``."""
        return tuple(
            path.stem
            for path in sorted(self.folder.glob("*.yaml"))
            if path.with_name(f"test_{path.stem}.py").exists()
        )

    @cached_property
    def figures(self) -> tuple[Figure, ...]:
        """All figure files, by name.

        Raises:
            BadInput: there is none, one is not valid, or a claim is in two of them.
        """
        if not self.names:
            raise BadInput(f"{self.folder}: holds no figure file (NAME.yaml next to test_NAME.py)")
        found = tuple(self.figure(name) for name in self.names)
        if problem := id_in_two_files(found):
            raise BadInput(f"{self.folder}: {problem}")
        return found

    @property
    def readable(self) -> tuple[Figure, ...]:
        """The figures that can be read; the others are errors of the claims that need them."""
        found = []
        for name in self.names:
            try:
                found.append(self.figure(name))
            except BadInput:
                continue
        return tuple(found)

    def claim(self, claim_id: str) -> tuple[Figure, Claim]:
        """A claim, with its figure.

        Raises:
            BadInput: there is no claim of that id; the message names the nearest one.
        """
        known = {claim.id: (figure, claim) for figure in self.figures for claim in figure.claims}
        if claim_id not in known:
            raise BadInput(
                f"unknown claim {claim_id!r}{did_you_mean(claim_id, known)}; omnigrok list names "
                "them"
            )
        return known[claim_id]

    def experiments(self, figure: Figure, claim: Claim) -> dict[str, str]:
        """The experiments that a claim reads: the name that it gives each, to ``figure:name``.

        Raises:
            BadInput: there is no such experiment.
        """
        found = {}
        for name in claim.experiments:
            full = name if ":" in name else f"{figure.figure}:{name}"
            self.experiment(full)
            found[name] = full
        return found

    def experiment(self, full_name: str) -> Experiment:
        """An experiment by ``figure:name``.

        Raises:
            BadInput: there is none.
        """
        owner, _, short = full_name.partition(":")
        home = self.figure(owner)
        if short not in home.experiments:
            raise BadInput(
                f"{owner}.yaml has no experiment {short!r}{did_you_mean(short, home.experiments)}; "
                f"it has {', '.join(home.experiments)}"
            )
        return home.experiments[short]

    def runs(self, full_name: str, setting: Setting) -> tuple[Run, ...]:
        """The Runs of ``figure:name`` (the same tuple for the same question).

        Raises:
            BadInput: unknown experiment, key or value; the message names the file.
        """
        key = full_name, setting
        if key not in self._runs:
            experiment = self.experiment(full_name)
            owner, _, short = full_name.partition(":")
            try:
                runs = expand(experiment, setting.tier, setting.protocol, setting.scale)
                self._check_modules(runs)
                if setting.first_seed:
                    runs = [run.replace(seed=run.seed + setting.first_seed) for run in runs]
                self._runs[key] = tuple(runs)
            except (BadInput, OverflowError, TypeError, ValueError) as error:
                raise BadInput(
                    f"{self.folder / owner}.yaml: experiments.{short}: {error}"
                ) from error
        return self._runs[key]

    def _check_modules(self, runs: Iterable[Run]) -> None:
        allowed = self.about.modules
        if allowed is None:
            return
        for name in dict.fromkeys(name for run in runs for name in (run.task, run.model)):
            top = name.partition(".")[0]
            if "." in name and top not in allowed:
                raise BadInput(
                    f"{name} is of the package {top!r}; {FILE} lists {', '.join(allowed) or 'none'}"
                    " under modules: add it there, or use another"
                )

    def scale(self, full_name: str, setting: Setting) -> tuple[Scale, str]:
        """("full" or "reduced", how it is reduced) of what ``runs`` gives: full where no reduction
        of the experiment changes its Runs.
        """
        same = setting.scale == "full" or setting.tier != "paper"
        if same or self.runs(full_name, setting) == self.runs(full_name, setting.at("full")):
            return "full", ""
        return "reduced", reduction(self.experiment(full_name), setting.tier, setting.protocol)

    def readers(self, full_name: str) -> list[tuple[Figure, Claim]]:
        """The claims of any figure, each with its figure, that read ``figure:name``."""
        return [
            (figure, claim)
            for figure in self.figures
            for claim in figure.claims
            if full_name in self.experiments(figure, claim).values()
        ]

    def protocols_of(self, full_name: str) -> list[Protocol]:
        """The protocols under which some claim reads ``figure:name``."""
        used = {each for _, claim in self.readers(full_name) for each in claim.protocols}
        return [protocol for protocol in self.protocols if protocol in used]

    def headline(self, protocol: Protocol) -> tuple[str, ...]:
        """The headline claims that have a form under a protocol. They are the family that Holm's
        correction decides there: fixed by the figure files, whatever was run or selected.

        Raises:
            BadInput: a figure file is not valid; a family without its claims would be too small.
        """
        return tuple(
            claim.id
            for figure in self.figures
            for claim in figure.claims
            if claim.headline and protocol in claim.protocols
        )


def id_in_two_files(figures: tuple[Figure, ...]) -> str:
    """Which claim id is in two figure files, with both; "" if none does."""
    homes: dict[str, str] = {}
    for figure in figures:
        for claim in figure.claims:
            other = homes.setdefault(claim.id, figure.figure)
            if other != figure.figure:
                return (
                    f"claim {claim.id} is in two files, {other}.yaml and {figure.figure}.yaml: "
                    "an id has to be its own"
                )
    return ""


def load_suite(folder: Path) -> Suite:
    """The suite of a claims folder; the same value for the same folder in one process.

    Nothing is read before it is asked for, so this raises nothing.
    """
    return _suite(folder, folder.absolute())


@lru_cache(maxsize=32)
def _suite(folder: Path, absolute: Path) -> Suite:
    return Suite(folder)


def forget() -> None:
    """Read claims folders again that were read before: their files may have changed."""
    _suite.cache_clear()
    forget_figures()
