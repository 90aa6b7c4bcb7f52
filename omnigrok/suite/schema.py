"""The YAML of one figure: experiments (what is trained) and claims (what is judged). Criteria live
here and nowhere else.

A figure file has the keys of ``Figure``; every key that is not declared here is refused with the
file, the key and what is accepted.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from omnigrok.errors import BadInput
from omnigrok.problems import first_problem, message, place
from omnigrok.spelling import did_you_mean
from omnigrok.stats.finding import Region
from omnigrok.suite.yaml_file import load_yaml

# A protocol is one reading of the paper's settings; audit.yaml names those of a suite.
Protocol = str
PROTOCOL_NAME = r"[a-z][a-z0-9_]{0,29}"
LONGEST_ID = 100  # of a claim, in characters
Tier = Literal["smoke", "paper"]
Scale = Literal["full", "reduced"]


def item_name(claim_id: str, protocol: str) -> str:
    """What pytest calls a claim under a protocol, and what ``-k`` selects it by, with its control
    and no claim of a longer id.
    """
    return f"{claim_id}-{protocol}"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Changes(Strict):
    """Changes to an experiment.

    Args:
        base: Run fields that all runs share; ``data`` and ``network`` are merged key by key.
        sweep: axes of the grid; an axis replaces the one of the same name.
        points: list of settings that vary together; replaces the list.
    """

    base: dict[str, Any] = {}
    sweep: dict[str, Any] = {}
    points: list[dict[str, Any]] | None = None


class Reduction(Changes):
    """What the paper tier takes with ``--scale reduced``: a coarser grid or fewer steps, for a
    machine without a GPU.

    Args:
        how: the reduction in words; every table and the evidence carry it.
    """

    how: Annotated[str, Field(min_length=1)]


class Patch(Changes):
    """Changes under one protocol or in one tier.

    Args:
        reduced: further changes with ``--scale reduced``.
    """

    reduced: Reduction | None = None


class Experiment(Patch):
    """A grid of Runs. Merged in this order: the experiment, the protocol's patch, the tier's patch,
    each with its reduction.
    """

    about: str = ""
    diverging: bool = False
    protocols: dict[Protocol, Patch] = {}
    tiers: dict[Tier, Patch] = {}


Finite = Annotated[float, Field(allow_inf_nan=False)]


class Bounds(Strict):
    """A region of finite ends: ``above``, ``below`` (open), or ``inside: [lo, hi]`` (closed)."""

    above: Finite | None = None
    below: Finite | None = None
    inside: tuple[Finite, Finite] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Bounds:
        if (self.inside is None) == (self.above is None and self.below is None):
            raise ValueError("give above and/or below, or inside: [lo, hi]")
        if self.above is not None and self.below is not None and not self.above < self.below:
            raise ValueError("above must be less than below: no value lies in this region")
        if self.inside is not None and not self.inside[0] < self.inside[1]:
            raise ValueError("inside needs lo < hi")
        return self

    def region(self) -> Region:
        """The region these bounds describe."""
        if self.inside is not None:
            return Region(*self.inside, closed=True)
        return Region(
            float("-inf") if self.above is None else self.above,
            float("inf") if self.below is None else self.below,
        )


class Control(Strict):
    """The same statistic on data for which the sentence is false.

    Args:
        why: why the sentence is false there.
        quantity: what differs from the claim's own quantity.
        edge: regions of the criterion on whose edge the control's data lie (ratio 1, difference 0).
            There the control is REPRODUCED only at p <= .001, and neutral where its interval holds
            the edge and is narrower than the claim's distance from it.
    """

    why: str
    quantity: dict[str, Any] = {}
    edge: list[str] = []


class Mechanism(Strict):
    """A smooth mechanism that would explain the curves as well, where the claim is that one kind of
    curve fits better.

    Args:
        name: under which the calibration simulates it.
        words: one sentence for the reader.
    """

    name: Annotated[str, Field(min_length=1)]
    words: Annotated[str, Field(min_length=1)]


class Claim(Strict):
    """One claim of the paper.

    Args:
        id: as in the list of claims, e.g. ``fig02.grok``.
        statement: the paper's sentence in our words.
        place: section and figure.
        reported: the paper's own value, in words, with the range or setting that it has there.
        version: of the criterion; raised, with a reason in ``history``, whenever the criterion
            changes.
        experiments: names of this file's experiments, or ``figure:name`` of another's.
        quantity: what the check reads, e.g. which arm.
        criterion: named regions, and plain numbers such as floors and margins.
        premise: what the sentence presupposes, in words; its check then gives a finding for it, and
            the claim is INCONCLUSIVE unless that one is REPRODUCED.
        universes: readings that the sentence leaves open: names of ``quantity``, each with the
            levels it may take.
        null: the generator of data on which the claim is false, used to calibrate the check.
        mechanisms: named nulls; each is simulated and calibrated by itself.
        protocols: where the claim applies.
        headline: whether it belongs to the family that Holm's correction decides.
        choices: settings on which text and code are silent, and what was chosen.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+\.[A-Za-z0-9-]+$", max_length=LONGEST_ID)]
    statement: str
    place: str
    reported: Annotated[str, Field(max_length=200)] = ""
    version: Annotated[int, Field(ge=1)] = 1
    experiments: list[str] = []
    quantity: dict[str, Any] = {}
    criterion: dict[str, Bounds | Finite]
    premise: str = ""
    universes: dict[str, Annotated[list[Any], Field(min_length=2, max_length=5)]] = {}
    control: Control
    null: Literal["permuted grid", "sign flips", "effect at the margin", "control arm"]
    mechanisms: list[Mechanism] = []
    protocols: list[Protocol] = ["paper"]
    headline: bool = False
    choices: str = ""
    history: list[str] = []

    @field_validator("protocols")
    @classmethod
    def _some_protocol(cls, value: list[Protocol]) -> list[Protocol]:
        if not value:
            raise ValueError("name at least one protocol")
        return value

    @model_validator(mode="after")
    def _names_are_there(self) -> Claim:
        for name in self.control.edge:
            if not isinstance(self.criterion.get(name), Bounds):
                raise ValueError(
                    f"claim {self.id}: control.edge: {name!r} is not a region of its criterion; it "
                    f"has {', '.join(self.criterion)}"
                )
        for key, names in (
            ("universes", self.universes),
            ("control.quantity", self.control.quantity),
        ):
            for name in names:
                if name not in self.quantity:
                    raise ValueError(
                        f"claim {self.id}: {key}: {name!r} is not a key of its quantity"
                        f"{did_you_mean(name, self.quantity)}; it has "
                        f"{', '.join(self.quantity) or 'none'}"
                    )
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the entry, 16 hex digits: a verdict carries it, so a criterion cannot change
        unseen.

        The universes and the paper's value change no verdict and are left out; so are keys of later
        versions of the schema that an entry does not use.
        """
        entry = self.model_dump(mode="json", exclude={"universes", "reported"})
        for key in ("premise", "mechanisms"):
            if not entry[key]:
                del entry[key]
        if not entry["control"]["edge"]:
            del entry["control"]["edge"]
        text = json.dumps(entry, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def criterion_digest(self) -> str:
        """8 hex digits over criterion, null and mechanisms: what a row of the calibration
        is about.
        """
        keys = {"criterion", "null"} | ({"mechanisms"} if self.mechanisms else set())
        entry = self.model_dump(mode="json", include=keys)
        return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def nulls(self) -> tuple[str, ...]:
        """What the calibration simulates: the mechanisms by name or, without any, the null."""
        return tuple(each.name for each in self.mechanisms) or (self.null,)


class Figure(Strict):
    """One YAML file."""

    figure: str
    title: str
    place: str
    choices: str = ""
    experiments: dict[str, Experiment] = {}
    claims: list[Claim]

    @model_validator(mode="after")
    def _consistent(self) -> Figure:
        seen: set[str] = set()
        for claim in self.claims:
            if claim.id in seen:
                raise ValueError(f"claim {claim.id} is listed twice")
            seen.add(claim.id)
            for name in claim.experiments:
                if ":" not in name and name not in self.experiments:
                    raise ValueError(
                        f"claim {claim.id}: unknown experiment {name!r}; accepted: "
                        f"{', '.join(self.experiments)}, or figure:name"
                    )
        return self

    def claim(self, claim_id: str) -> Claim:
        """The claim of that id.

        Raises:
            BadInput: there is none.
        """
        for claim in self.claims:
            if claim.id == claim_id:
                return claim
        raise BadInput(
            f"{self.figure}.yaml has no claim {claim_id!r}; it has "
            f"{', '.join(claim.id for claim in self.claims)}"
        )


def _describe(path: Path, raw: dict[Any, Any], error: ValidationError) -> str:
    # A number that is not finite also shows as no region.
    _, first = first_problem(error, "extra_forbidden", "finite_number")
    where, what = _named(raw, first["loc"]), message(first)
    # The model's own messages name the claim.
    at = "" if what.startswith("claim ") else f"{where or '(top level)'}: "
    model: type[BaseModel] | None = None
    if first["type"] == "extra_forbidden":
        model = _model_at(first["loc"][:-1])
    accepted = f"; accepted keys: {', '.join(model.model_fields)}" if model else ""
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{path}: {at}{what}{accepted}{more}"


def _named(raw: dict[Any, Any], loc: tuple[int | str, ...]) -> str:
    """A place in the file, a claim by its id."""
    match loc:
        case ("claims", int(index), *rest):
            entry = raw["claims"][index]
            name = entry.get("id") if isinstance(entry, dict) else None
            if isinstance(name, str):
                return ": ".join(filter(None, (f"claim {name}", place(rest))))
    return place(loc)


def _model_at(loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The model whose keys stand at a place in the file."""
    names = [part for part in loc if isinstance(part, str)]
    if not names:
        return Figure
    if names[0] == "claims":
        inner: dict[str, type[BaseModel]] = {
            "control": Control,
            "criterion": Bounds,
            "mechanisms": Mechanism,
        }
        return next((model for key, model in inner.items() if key in names), Claim)
    return Patch if "protocols" in names or "tiers" in names else Experiment


def load_figure(path: Path) -> Figure:
    """Read and validate one figure file.

    Raises:
        BadInput: the file is missing, too large, not YAML, or has a key or value that is not
            accepted.
    """
    return _load(path, path.absolute())


def forget_figures() -> None:
    """Read figure files again that were read before."""
    _load.cache_clear()


@lru_cache(maxsize=64)
def _load(path: Path, absolute: Path) -> Figure:
    raw = load_yaml(path)
    if not isinstance(raw, dict):
        raise BadInput(f"{path}: must be a mapping with the keys {', '.join(Figure.model_fields)}")
    try:
        figure = Figure.model_validate(raw)
    except ValidationError as error:
        raise BadInput(_describe(path, raw, error)) from None
    except RecursionError as error:
        raise BadInput(f"{path}: nested too deeply") from error
    if figure.figure != path.stem:
        raise BadInput(f"{path}: figure: {figure.figure!r} must be the file's name, {path.stem!r}")
    return figure
